"""Check an experiment before Ray starts, by building the config object (and the environment) it describes.

A mistake then costs a second and one line, and not the start of Ray and a traceback out of an actor.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from rllib_metagrad.cli import search_space
from rllib_metagrad.cli.errors import BadInputError, nearest, one_line
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.cli.yaml_loader import Path

# Spellings that AlgorithmConfig.update_from_dict() accepts beside its attributes.
_ALIASES = {"lambda", "callbacks", "framework", "input", "multiagent", "num_workers", "num_cpus_for_driver"}
_OLD_STACK = ("enable_rl_module_and_learner", "enable_env_runner_and_connector_v2")
_MISTAKES = (ValueError, TypeError, KeyError, AttributeError, AssertionError, ImportError)


def default_config(run: Any) -> Any:
    """The AlgorithmConfig of an algorithm, by name or class, with its defaults.

    Raises:
        ValueError: an unknown name, with the nearest known one.
    """
    if not isinstance(run, str):
        return run.get_default_config()
    from ray.rllib.algorithms.registry import ALGORITHMS
    from ray.tune.registry import TRAINABLE_CLASS, _global_registry, get_trainable_cls

    import rllib_metagrad  # noqa: F401  (registers its algorithms and environments)
    from rllib_metagrad.algorithms import ALGORITHMS as OURS
    from rllib_metagrad.algorithms import get_config_class

    if run in OURS:
        return get_config_class(run)()
    # Asked for first, because RLlib's lookup of an unknown name logs a page.
    if run not in ALGORITHMS and not _global_registry.contains(TRAINABLE_CLASS, run):
        known = {*OURS, *ALGORITHMS}
        hint = nearest(run, known) or f"; known: {', '.join(sorted(known))}"
        raise ValueError(f"unknown algorithm {run!r}{hint}")
    trainable = get_trainable_cls(run)
    if not hasattr(trainable, "get_default_config"):
        raise ValueError(f"{run!r} is registered with Tune, but is no RLlib algorithm")
    return trainable.get_default_config()


def validate(experiment: Experiment) -> tuple[Any, dict[str, Any]]:
    """Check algorithm, config keys, types, values and environment of an experiment.

    Every value of a grid and both ends of every range are checked, see `search_space.variants`.

    Returns:
        The AlgorithmConfig of the experiment's first variant, and that variant as a dict.

    Raises:
        BadInputError: with file, line and key.
    """
    try:
        default = default_config(experiment.run)
    except ValueError as error:
        raise _error(experiment, ("run",), one_line(error)) from error
    _check_keys(experiment, default)
    first: tuple[Any, dict[str, Any]] | None = None
    for path, plain in search_space.variants(experiment.config):
        _check_types(experiment, plain, default)
        config = _build(experiment, plain, path)
        if path is None or path[0] in ("env", "env_config"):
            _check_environment(experiment, config)
        first = first or (config, plain)
    assert first is not None  # variants() always yields the first one
    return first


def _error(experiment: Experiment, key: Path, message: str) -> BadInputError:
    if len(key) > 1 and key[1] in experiment.from_flags:
        return BadInputError(f"--config: {'.'.join(map(str, key[1:]))}: {message}")
    path = (*experiment.path, *key)
    # `env: x` beside `config:` is the same as `config: {env: x}`; point to where it stands.
    if key and key[0] == "config" and path not in experiment.source.lines:
        outside = (*experiment.path, *key[1:])
        path = outside if outside in experiment.source.lines else path
    return experiment.source.error(path, message, show=len(experiment.path))


def _check_keys(experiment: Experiment, default: Any) -> None:
    known = {*default.to_dict(), *vars(default), *_properties(default), *_ALIASES}
    for key in experiment.config:
        if key not in known:
            known = {name for name in known if not name.startswith("_")}  # for the hint
            raise _error(experiment, ("config", key), f"not a setting of {experiment.run_name}{nearest(key, known)}")
    for key in _OLD_STACK:
        if experiment.config.get(key) is False:
            raise _error(experiment, ("config", key), "RLlib's old API stack is not supported; remove it")


def _properties(config: Any) -> set[str]:
    """Settings that AlgorithmConfig keeps behind a property with a setter (train_batch_size_per_learner)."""
    return {
        name
        for cls in type(config).__mro__
        for name, value in vars(cls).items()
        if isinstance(value, property) and value.fset is not None
    }


def _check_types(experiment: Experiment, plain: dict[str, Any], default: Any) -> None:
    """Values whose kind differs from the default's in a way that RLlib would notice late or never."""
    for key, value in plain.items():
        expected = default.get(key) if hasattr(default, key) else None
        wanted = _wanted(key, expected, value)
        if wanted and value is not None:
            raise _error(experiment, ("config", key), f"must be {wanted}, got {value!r}")


def _wanted(key: str, default: Any, value: Any) -> str | None:
    """What `value` should have been, or None where it is fine (or nothing is known)."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, int | float):
        if isinstance(value, bool) or (isinstance(value, str) and value != "auto"):
            return "a number"
        if isinstance(value, dict):
            return "a number"
        # Shares of a CPU or GPU and seconds may be fractions of an integer default.
        fractional = "cpus" in key or "gpus" in key or key.endswith("_s")
        if isinstance(default, int) and isinstance(value, float) and not fractional:
            return None if value.is_integer() or value == float("inf") else "a whole number"
    if isinstance(default, dict) and not isinstance(value, dict):
        return "a mapping"
    return None


def _build(experiment: Experiment, plain: dict[str, Any], varied: Path | None) -> Any:
    config = default_config(experiment.run)
    try:
        config.update_from_dict(plain)
        config.validate()
    except _MISTAKES as error:
        message = f"missing key {error}" if isinstance(error, KeyError) else one_line(error)
        # Messages name the key that is wrong, mostly first; point to its line.
        words = re.findall(r"\w+", message)
        named = next((word for word in words if word in plain), None)
        key = varied or ((named,) if named else ())
        if message.startswith(f"{named} "):  # the place says it already
            message = message.removeprefix(f"{named} ")
        raise _error(experiment, ("config", *key), message) from error
    return config


def _check_environment(experiment: Experiment, config: Any) -> None:
    """The environment's name must be known; one that is registered is also built once and closed."""
    import gymnasium
    from ray.rllib.env.env_context import EnvContext
    from ray.tune.registry import ENV_CREATOR, _global_registry

    import env_wrappers

    env = config.env
    if not isinstance(env, str):
        return
    ours = env in env_wrappers.names()
    if ours or _global_registry.contains(ENV_CREATOR, env):
        try:
            if ours:
                built = env_wrappers.make(env, **config.env_config)
            else:
                built = _global_registry.get(ENV_CREATOR, env)(EnvContext(config.env_config, worker_index=0))
        except _MISTAKES as error:
            message = one_line(error)
            message = message if message.startswith(env) else f"{env}: {message}"
            raise _error(experiment, ("config", "env_config"), message) from error
        if hasattr(built, "close"):
            built.close()
        return
    try:
        gymnasium.spec(env)
        return
    except gymnasium.error.Error:
        pass
    module, _, name = env.rpartition(".")
    if module:
        try:
            getattr(importlib.import_module(module), name)
            return
        except (ImportError, AttributeError) as error:
            raise _error(experiment, ("config", "env"), f"cannot import {env!r}: {error}") from error
    known = {*gymnasium.registry, *env_wrappers.names(), *_registered_environments()}
    raise _error(experiment, ("config", "env"), f"unknown environment {env!r}{nearest(env, known)}")


def _registered_environments() -> list[str]:
    """Names given to `register_env` in this process, for hints only."""
    from ray.tune.registry import ENV_CREATOR, _global_registry

    names = []
    for category, key in getattr(_global_registry, "_to_flush", {}):
        if category == ENV_CREATOR:
            names.append(key.decode() if isinstance(key, bytes) else key)
    return names
