"""Environments by name: ``make`` for people, ``make_vec`` for speed."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from pettingzoo import ParallelEnv

from env_wrappers.centralized import CentralizedVectorEnv
from env_wrappers.cleanup import Cleanup, VectorCleanup
from env_wrappers.config import EnvConfig, unknown_key
from env_wrappers.escape_room import EscapeRoom, VectorEscapeRoom
from env_wrappers.gather_trade_build.foundation import FoundationEnv
from env_wrappers.gather_trade_build.twin import GatherTradeBuild, VectorGatherTradeBuild
from env_wrappers.loop import LoopVectorEnv
from env_wrappers.matrix_games import MatrixGame, VectorMatrixGame
from env_wrappers.one_shot import Contract, PublicGoods, Routing, VectorContract, VectorPublicGoods, VectorRouting
from env_wrappers.one_step_economy import OneStepEconomy, VectorOneStepEconomy
from env_wrappers.pettingzoo_env import make_pettingzoo
from env_wrappers.vector import VectorIncentiveEnv
from rllib_metagrad.settings import nearest

EnvFactory = Callable[..., ParallelEnv]
VectorFactory = Callable[..., VectorIncentiveEnv]
#: Makers of one environment and of a batch; without the second, LoopVectorEnv makes batches.
Factories = tuple[EnvFactory, VectorFactory | None]


def _native_or_loop(factory: EnvFactory, vec_factory: VectorFactory | None = None) -> dict[str, Factories]:
    return {"native": (factory, vec_factory), "loop": (factory, None)}


#: Backends of every environment by name; the first one is the default.
_REGISTRY: dict[str, dict[str, Factories]] = {
    "cleanup": _native_or_loop(Cleanup, VectorCleanup),
    "contract": _native_or_loop(Contract, VectorContract),
    "escape_room": _native_or_loop(EscapeRoom, VectorEscapeRoom),
    "gather_trade_build": {
        "numba": (GatherTradeBuild, VectorGatherTradeBuild),
        "foundation": (FoundationEnv, None),
    },
    "matrix_game": _native_or_loop(MatrixGame, VectorMatrixGame),
    "one_step_economy": _native_or_loop(OneStepEconomy, VectorOneStepEconomy),
    "pettingzoo": _native_or_loop(make_pettingzoo),
    "public_goods": _native_or_loop(PublicGoods, VectorPublicGoods),
    "routing": _native_or_loop(Routing, VectorRouting),
}


def names() -> list[str]:
    """Registered names."""
    return sorted(_REGISTRY)


def register(name: str, factory: EnvFactory, vec_factory: VectorFactory | None = None) -> None:
    """Registers an environment.

    Args:
        name: for ``make``, ``make_vec`` and the config key ``env``.
        factory: ``factory(**env_config) -> ParallelEnv``; its keys are its arguments, or the fields of its record where
            it is a class with :func:`~env_wrappers.config.configured`.
        vec_factory: ``vec_factory(num_envs, autoreset=..., **env_config)``, a native batched twin, if any.
    """
    _REGISTRY[name] = _native_or_loop(factory, vec_factory)


def make(name: str, backend: str | None = None, **config: Any) -> ParallelEnv:
    """A PettingZoo ParallelEnv.

    Args:
        name: one of :func:`names`.
        backend: as for :func:`make_vec`, so that one ``env_config`` serves both; ``native`` and ``loop`` are the same
            here.
        config: its arguments (``env_config``).

    Raises:
        ValueError: for an unknown name or key (naming the nearest one), or an impossible value.
    """
    factory, _ = _lookup(name, backend)
    _check_config(name, factory, config)
    return factory(**copy.deepcopy(config))


def make_vec(
    name: str,
    num_envs: int,
    autoreset: bool = False,
    centralized: bool = False,
    backend: str | None = None,
    **config: Any,
) -> VectorIncentiveEnv:
    """B environments in lockstep.

    Args:
        name: one of :func:`names`.
        num_envs: B, >= 1.
        autoreset: see :class:`VectorIncentiveEnv`.
        centralized: one agent acts for all.
        backend: ``native`` (default) takes the batched twin where there is one; ``loop`` steps ParallelEnvs one by
            one. gather_trade_build has ``numba`` (default), a batched twin, and ``foundation``, the original, stepped
            one by one.
        config: arguments of the environment.

    Raises:
        ValueError: as :func:`make`.
    """
    factory, vec_factory = _lookup(name, backend)
    _check_config(name, factory, config)
    env: VectorIncentiveEnv
    if vec_factory is not None:
        env = vec_factory(num_envs, autoreset=autoreset, **copy.deepcopy(config))
    else:
        label = str(config.get("id", name))
        # A copy for each: a constructor may take keys out of what it is given.
        env = LoopVectorEnv(lambda: factory(**copy.deepcopy(config)), num_envs, label, autoreset)
    return CentralizedVectorEnv(env) if centralized else env


def _lookup(name: str, backend: Any) -> Factories:
    if not isinstance(name, str) or name not in _REGISTRY:
        raise ValueError(f"unknown env {name!r}{nearest(name, _REGISTRY)}")
    backends = _REGISTRY[name]
    if backend is None:
        return next(iter(backends.values()))
    if not isinstance(backend, str) or backend not in backends:
        raise ValueError(f"{name}: backend must be {' or '.join(backends)}, got {backend!r}")
    return backends[backend]


def _check_config(name: str, factory: EnvFactory, config: dict[str, Any]) -> None:
    """Keys only; values are the environment's own business."""
    record: type[EnvConfig] | None = getattr(factory, "CONFIG", None)
    if record is not None:
        known, needed = set(record.model_fields), set[str]()
    else:
        parameters = inspect.signature(factory).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return
        known = set(parameters)
        needed = {k for k, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL}
    for key in config:
        if key not in known:
            raise unknown_key(name, key, {*known, "backend"})
    for key in sorted(needed - set(config)):
        raise ValueError(f"{name}: env_config needs {key!r}")
