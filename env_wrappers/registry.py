"""Environments by name: ``make`` for people, ``make_vec`` for speed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pettingzoo import ParallelEnv

from env_wrappers.centralized import CentralizedVectorEnv
from env_wrappers.cleanup import Cleanup, VectorCleanup
from env_wrappers.escape_room import EscapeRoom, VectorEscapeRoom
from env_wrappers.loop import LoopVectorEnv
from env_wrappers.matrix_games import MatrixGame, VectorMatrixGame
from env_wrappers.pettingzoo_env import make_pettingzoo, nearest
from env_wrappers.vector import VectorIncentiveEnv

EnvFactory = Callable[..., ParallelEnv]
VectorFactory = Callable[..., VectorIncentiveEnv]
_REGISTRY: dict[str, tuple[EnvFactory, VectorFactory | None]] = {
    "cleanup": (Cleanup, VectorCleanup),
    "escape_room": (EscapeRoom, VectorEscapeRoom),
    "matrix_game": (MatrixGame, VectorMatrixGame),
    "pettingzoo": (make_pettingzoo, None),
}


def names() -> list[str]:
    """Registered names."""
    return sorted(_REGISTRY)


def register(name: str, factory: EnvFactory, vec_factory: VectorFactory | None = None) -> None:
    """Registers an environment.

    Args:
        name: for ``make``, ``make_vec`` and the config key ``env``.
        factory: ``factory(**env_config) -> ParallelEnv``.
        vec_factory: ``vec_factory(num_envs, autoreset=..., **env_config)``, a native batched twin, if any.
    """
    _REGISTRY[name] = (factory, vec_factory)


def make(name: str, backend: str = "native", **config: Any) -> ParallelEnv:
    """A PettingZoo ParallelEnv.

    Args:
        name: one of :func:`names`.
        backend: as for :func:`make_vec`, so that one ``env_config`` serves both; changes nothing here.
        config: its arguments (``env_config``).

    Raises:
        ValueError: for an unknown name or key (naming the nearest one), or an impossible value.
    """
    factory, _ = _lookup(name)
    _check_config(name, factory, backend, config)
    return factory(**config)


def make_vec(
    name: str,
    num_envs: int,
    autoreset: bool = False,
    centralized: bool = False,
    backend: str = "native",
    **config: Any,
) -> VectorIncentiveEnv:
    """B environments in lockstep.

    Args:
        name: one of :func:`names`.
        num_envs: B, >= 1.
        autoreset: see :class:`VectorIncentiveEnv`.
        centralized: one agent acts for all.
        backend: ``native`` takes the batched twin where there is one; ``loop`` steps ParallelEnvs one by one.
        config: arguments of the environment.

    Raises:
        ValueError: as :func:`make`.
    """
    factory, vec_factory = _lookup(name)
    _check_config(name, factory, backend, config)
    env: VectorIncentiveEnv
    if vec_factory is not None and backend == "native":
        env = vec_factory(num_envs, autoreset=autoreset, **config)
    else:
        label = str(config.get("id", name))
        env = LoopVectorEnv(lambda: factory(**config), num_envs, label, autoreset)
    return CentralizedVectorEnv(env) if centralized else env


def _lookup(name: str) -> tuple[EnvFactory, VectorFactory | None]:
    if not isinstance(name, str) or name not in _REGISTRY:
        raise ValueError(f"unknown env {name!r}{nearest(name, _REGISTRY)}")
    return _REGISTRY[name]


def _check_config(name: str, factory: EnvFactory, backend: Any, config: dict[str, Any]) -> None:
    if backend not in ("native", "loop"):
        raise ValueError(f"{name}: backend must be native or loop, got {backend!r}")
    parameters = inspect.signature(factory).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for key in config:
        if key not in parameters:
            raise ValueError(f"{name}: unknown env_config key {key!r}{nearest(key, [*parameters, 'backend'])}")
    for key, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        if needed and key not in config:
            raise ValueError(f"{name}: env_config needs {key!r}")
