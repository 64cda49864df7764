"""Any PettingZoo environment by its import path."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import aec_to_parallel


def make_pettingzoo(id: str = "", **kwargs: Any) -> ParallelEnv:
    """Makes a ParallelEnv.

    Args:
        id: ``package.module`` with a ``parallel_env`` (or an AEC ``env``) function, such as
            ``mpe2.simple_spread_v3``; or ``package.module:callable`` of your own.
        kwargs: for that function.

    Raises:
        ValueError: if there is no such module or function, if it does not take these arguments, or if what it
            makes is no PettingZoo environment.
    """
    if not isinstance(id, str) or not id:
        raise ValueError("pettingzoo: env_config needs id, e.g. id: mpe2.simple_spread_v3")
    factory = _find(id)
    try:
        inspect.signature(factory).bind(**kwargs)
    except TypeError as error:
        raise ValueError(f"pettingzoo: {id} does not take these env_config keys: {error}") from error
    try:
        env = factory(**kwargs)
    except TypeError as error:
        raise ValueError(f"pettingzoo: {id}: {error}") from error
    if isinstance(env, AECEnv):
        env = aec_to_parallel(env)
    if not isinstance(env, ParallelEnv):
        raise ValueError(f"pettingzoo: {id} made a {type(env).__name__}, not a PettingZoo environment")
    return env


def _find(id: str) -> Callable[..., Any]:
    path, _, name = id.partition(":")
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        missing = error.name or path
        raise ValueError(f"pettingzoo: cannot import {path!r}: no module {missing!r}{_hint(path)}") from error
    except ImportError as error:
        raise ValueError(f"pettingzoo: cannot import {path!r}: {error}") from error
    if name:
        if not hasattr(module, name):
            raise ValueError(f"pettingzoo: {path!r} has no {name!r}")
        return getattr(module, name)  # type: ignore[no-any-return]
    for name in ("parallel_env", "env"):
        if hasattr(module, name):
            return getattr(module, name)  # type: ignore[no-any-return]
    raise ValueError(
        f"pettingzoo: {path!r} has neither parallel_env nor env; name your function as {path}:function"
    )


def _hint(path: str) -> str:
    """The nearest module beside the one that is missing, if its package is there."""
    package, _, leaf = path.rpartition(".")
    if not package:
        return "; is its package installed?"
    try:
        parent = importlib.import_module(package)
    except ImportError:
        return "; is its package installed?"
    names = [m.name for m in pkgutil.iter_modules(getattr(parent, "__path__", []))]
    close = get_close_matches(leaf, names, n=1)
    return f"; did you mean '{package}.{close[0]}'?" if close else ""
