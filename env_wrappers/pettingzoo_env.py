"""Any PettingZoo environment by its import path."""

from __future__ import annotations

import functools
import importlib
import inspect
import pathlib
import pkgutil
import sys
import sysconfig
from collections.abc import Callable
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from pettingzoo import AECEnv, ParallelEnv

from env_wrappers.kinds import as_parallel_env
from env_wrappers.time_limit import TimeLimit
from rllib_metagrad.settings import nearest

#: What PettingZoo's modules call their factories.
_FACTORIES = ("parallel_env", "env", "raw_env")


def make_pettingzoo(id: str = "", **kwargs: Any) -> ParallelEnv:
    """Makes a ParallelEnv.

    Args:
        id: ``package.module`` with a ``parallel_env`` (or an AEC ``env``) function, such as
            ``mpe2.simple_spread_v3``; or ``package.module:callable`` of your own.
        kwargs: for that function. ``max_episode_steps`` is ours, unless it has such an argument: it cuts episodes
            after so many steps.

    Raises:
        ValueError: if there is no such module or function, if that is no factory of environments (it is not called
            then) or does not take these arguments, or if what it makes is no PettingZoo environment, or one whose
            agents do not act at the same time.
    """
    if not isinstance(id, str) or not id:
        raise ValueError("pettingzoo: env_config needs id, e.g. id: mpe2.simple_spread_v3")
    module, factory = _find(id)
    if not _may_be_called(id, factory):
        raise ValueError(
            f"pettingzoo: {id} is neither an environment's class nor a factory of environments, and is not called; "
            "if it makes one, call it in a function of your own and name that"
        )
    known = _parameters(module, factory)
    own = "max_episode_steps" in (known or ())
    limit = None if own else kwargs.pop("max_episode_steps", None)
    for key in kwargs:
        if known is not None and key not in known:
            raise ValueError(f"pettingzoo: {id} has no argument {key!r}{nearest(key, known)}")
    signature = _signature(factory)
    try:
        if signature is not None:
            signature.bind(**kwargs)
    except TypeError as error:
        raise ValueError(f"pettingzoo: {id} does not take these env_config keys: {error}") from error
    env = as_parallel_env(factory(**kwargs), f"pettingzoo: {id}")
    return env if limit is None else TimeLimit(env, limit)


def _find(id: str) -> tuple[ModuleType, Callable[..., Any]]:
    path, colon, name = id.partition(":")
    if not all(part.isidentifier() for part in path.split(".")):
        raise ValueError(f"pettingzoo: id must be package.module or package.module:function, got {id!r}")
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        missing = error.name or path
        # What is missing may be the environment itself, or something that it needs.
        hint = _hint(path) if path == missing or path.startswith(f"{missing}.") else "; install it"
        raise ValueError(f"pettingzoo: cannot import {path!r}: no module {missing!r}{hint}") from error
    except ImportError as error:
        raise ValueError(f"pettingzoo: cannot import {path!r}: {error}") from error
    callables = {key: value for key, value in vars(module).items() if callable(value)}
    if colon:
        if name not in callables:
            public = [key for key in callables if not key.startswith("_")]
            raise ValueError(f"pettingzoo: {path!r} has no function {name!r}{nearest(name, public)}")
        return module, callables[name]
    for key in ("parallel_env", "env"):
        if key in callables:
            return module, callables[key]
    close = get_close_matches("parallel_env", callables, n=1)
    hint = f"; did you mean '{path}:{close[0]}'?" if close else f"; name your function as {path}:function"
    raise ValueError(f"pettingzoo: {path!r} has neither parallel_env nor env{hint}")


def _may_be_called(id: str, factory: Callable[..., Any]) -> bool:
    """Whether something may be a factory of environments, told without a call.

    What the user has written may be. Of what is installed, Python's own library included, only environments' classes,
    functions that PettingZoo's names or their return types say to be factories, and those beside environments:
    ``os:system`` is none, whoever named it.
    """
    factory = factory.func if isinstance(factory, functools.partial) else factory
    if isinstance(factory, type):
        return all(hasattr(factory, name) for name in ("reset", "step", "observation_space", "action_space"))
    home = sys.modules.get(getattr(factory, "__module__", None) or type(factory).__module__)
    if home is not None and not _is_installed(home):
        return True
    _, colon, name = id.partition(":")
    if not colon or name in _FACTORIES:
        return True
    annotated = inspect.get_annotations(factory).get("return") if inspect.isfunction(factory) else None
    return any(map(_is_environment, [annotated, *(vars(home).values() if home else ())]))


def _is_installed(module: ModuleType) -> bool:
    """Whether a module is Python's own or lies among installed packages."""
    if module.__name__.partition(".")[0] in sys.stdlib_module_names:
        return True
    file = getattr(module, "__file__", None)
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return file is not None and any(pathlib.Path(file).is_relative_to(folder) for folder in folders)


def _is_environment(found: Any) -> bool:
    """Whether this is an environment's class, or the name of one in an annotation."""
    if isinstance(found, str):
        return found.endswith(("ParallelEnv", "AECEnv"))
    return isinstance(found, type) and issubclass(found, ParallelEnv | AECEnv)


def _parameters(module: ModuleType, factory: Callable[..., Any]) -> set[str] | None:
    """Names of the arguments, or None where they are unknown.

    PettingZoo's ``parallel_env`` and ``env`` are often closures that hand everything to ``raw_env``.
    """
    own = factory in (getattr(module, "parallel_env", None), getattr(module, "env", None))
    for candidate in (factory, getattr(module, "raw_env", None) if own else None):
        signature = _signature(candidate) if candidate is not None else None
        if signature is None:
            continue
        parameters = signature.parameters.values()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return {p.name for p in parameters}
    return None


def _signature(factory: Callable[..., Any]) -> inspect.Signature | None:
    """None for what is written in C and does not tell."""
    try:
        return inspect.signature(factory)
    except ValueError:
        return None


def _hint(path: str) -> str:
    """The nearest module beside the one that is missing, if its package is there."""
    package, _, leaf = path.rpartition(".")
    if not package:
        return "; is its package installed?"
    try:
        parent = importlib.import_module(package)
    except ImportError:
        return "; is its package installed?"
    modules = [m.name for m in pkgutil.iter_modules(getattr(parent, "__path__", []))]
    close = get_close_matches(leaf, modules, n=1)
    return f"; did you mean '{package}.{close[0]}'?" if close else ""
