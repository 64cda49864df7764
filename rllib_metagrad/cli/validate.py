"""Check an experiment before Ray starts, by building the config object (and the environment) it describes.

A mistake then costs a second and one line, and not the start of Ray and a traceback out of an actor.
"""

from __future__ import annotations

import importlib
import re
import sys
from functools import partial
from typing import Any

from rllib_metagrad.cli import search_space
from rllib_metagrad.cli.errors import one_line
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.settings import SettingError, nearest, renamed
from rllib_metagrad.settings.rllib_keys import check_name

__all__ = ["default_config", "validate"]

# Spellings that AlgorithmConfig.update_from_dict() accepts beside its attributes.
_ALIASES = {"lambda", "callbacks", "framework", "input", "multiagent", "num_workers", "num_cpus_for_driver"}
_OLD_STACK = ("enable_rl_module_and_learner", "enable_env_runner_and_connector_v2")
_MISTAKES = (ValueError, TypeError, KeyError, AttributeError, AssertionError, ImportError)


def default_config(run: Any) -> Any:
    """The AlgorithmConfig of an algorithm, by name or class, with its defaults.

    Raises:
        SettingError: an unknown name, with the nearest known one.
    """
    if not isinstance(run, str):
        return run.get_default_config()
    from ray.rllib.algorithms.registry import ALGORITHMS
    from ray.tune.registry import get_trainable_cls

    import rllib_metagrad  # noqa: F401  (registers its algorithms and environments)
    from rllib_metagrad.algorithms import ALGORITHMS as OURS
    from rllib_metagrad.algorithms import get_config_class
    from rllib_metagrad.ray_compat import is_registered_trainable

    if run in OURS:
        return get_config_class(run)()
    # Asked for first, because RLlib's lookup of an unknown name logs a page.
    if run not in ALGORITHMS and not is_registered_trainable(run):
        hint = nearest(run, {*OURS, *ALGORITHMS}, list_at_most=99)
        raise SettingError("run", f"unknown algorithm {run!r}{hint}")
    trainable = get_trainable_cls(run)
    if not hasattr(trainable, "get_default_config"):
        raise SettingError("run", f"{run!r} is registered with Tune, but is no RLlib algorithm")
    return trainable.get_default_config()


def validate(experiment: Experiment) -> tuple[Any, dict[str, Any]]:
    """Check algorithm, config keys, types, values and environment of an experiment.

    Every value of a grid and both ends of every range are checked, see `search_space.variants`.

    Returns:
        The AlgorithmConfig of the experiment's first variant, and that variant as a dict.

    Raises:
        BadInputError: with file, line and key.
    """
    with experiment.source.pointing():
        default = default_config(experiment.run)
        _check_keys(experiment, default)
        _warn_of_old_names(experiment)
        first: tuple[Any, dict[str, Any]] | None = None
        for path, plain in search_space.variants(experiment.config):
            _check_types(plain, default)
            config = _build(experiment.run, plain, path)
            if path is None or path[0] in ("env", "env_config"):
                _check_environment(config)
            first = first or (config, plain)
        assert first is not None  # variants() always yields the first one
        return first


def _check_keys(experiment: Experiment, default: Any) -> None:
    from rllib_metagrad.algorithms.checks import with_key

    known = {*default.to_dict(), *vars(default), *_properties(default), *_ALIASES}
    for key in experiment.config:
        if key not in known and key not in renamed.KEYS:
            if hasattr(default, "own_keys"):  # a method of ours, not one of RLlib's
                with_key("config", partial(check_name, key))
            hint = nearest(key, [name for name in known if not name.startswith("_")])
            raise SettingError(f"config.{key}", f"not a setting of {experiment.run_name}{hint}")
    for key in _OLD_STACK:
        if experiment.config.get(key) is False:
            raise SettingError(f"config.{key}", "RLlib's old API stack is not supported; remove it")


def _warn_of_old_names(experiment: Experiment) -> None:
    """The loggers that say so elsewhere are silent here."""
    for key, value in experiment.config.items():
        new, now = renamed.current(key, value)
        if (new, now) != (key, value):
            written = new if now == value else f"{new}: {now}"
            place = experiment.source.at(f"config.{key}")
            print(f"rllib: warning: {place}: write {written}; the old name goes with the next version", file=sys.stderr)


def _properties(config: Any) -> set[str]:
    """Settings that AlgorithmConfig keeps behind a property with a setter (train_batch_size_per_learner)."""
    return {
        name
        for cls in type(config).__mro__
        for name, value in vars(cls).items()
        if isinstance(value, property) and value.fset is not None
    }


def _check_types(plain: dict[str, Any], default: Any) -> None:
    """Values whose kind differs from the default's in a way that RLlib would notice late or never."""
    for key, value in plain.items():
        expected = default.get(key) if hasattr(default, key) else None
        wanted = _wanted(key, expected, value)
        if wanted and value is not None:
            raise SettingError(f"config.{key}", f"must be {wanted}, got {value!r}")


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
    if isinstance(default, dict) and not isinstance(value, dict) and key != "policies":  # also a list of names
        return "a mapping"
    return None


def _build(run: Any, plain: dict[str, Any], varied: search_space.Path | None) -> Any:
    config = default_config(run)
    try:
        config.update_from_dict(plain)
        config.validate()
    except SettingError as error:
        raise SettingError(f"config.{error.key}", error.message) from error
    except _MISTAKES as error:  # of RLlib: the message names the key that is wrong, mostly first
        message = f"missing key {error}" if isinstance(error, KeyError) else one_line(error)
        named = next((word for word in re.findall(r"\w+", message) if word in plain), None)
        path = varied or ((named,) if named else ())
        raise SettingError(".".join(map(str, ("config", *path))), message.removeprefix(f"{named} ")) from error
    return config


def _check_environment(config: Any) -> None:
    """The environment's name must be known; one that is registered is also built once and closed."""
    import gymnasium
    from ray.rllib.env.env_context import EnvContext

    import env_wrappers
    from rllib_metagrad.ray_compat import names_of_registered_envs, registered_env

    env = config.env
    if not isinstance(env, str):
        return
    ours, creator = env in env_wrappers.names(), registered_env(env)
    if ours or creator is not None:
        try:
            if ours:
                built = env_wrappers.make(env, **config.env_config)
            else:
                built = creator(EnvContext(config.env_config, worker_index=0))
        except _MISTAKES as error:
            raise _error_of_environment(env, config.env_config, error) from error
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
            raise SettingError("config.env", f"cannot import {env!r}: {error}") from error
    known = {*gymnasium.registry, *env_wrappers.names(), *names_of_registered_envs()}
    raise SettingError("config.env", f"unknown environment {env!r}{nearest(env, known)}")


def _error_of_environment(env: str, env_config: dict[str, Any], error: BaseException) -> SettingError:
    if isinstance(error, SettingError) and (key := error.key.removeprefix(f"{env}: ")) in env_config:
        return SettingError(f"config.env_config.{key}", error.message)
    message = one_line(error)
    return SettingError("config.env_config", message if message.startswith(env) else f"{env}: {message}")
