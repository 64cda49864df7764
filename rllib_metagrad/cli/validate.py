"""Check an experiment before Ray starts, by building the config object (and the environment) it describes.

What can be known without importing Ray is checked first, in precheck.py. A mistake then costs a second and one line,
and not the start of Ray and a traceback out of an actor.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from rllib_metagrad.cli import loggers, metrics, search_algs, search_space
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.cli.precheck import (
    MISTAKES,
    check_keys,
    check_types,
    error_of_environment,
    method_of,
    pointing_at_config,
    precheck,
    try_once,
)
from rllib_metagrad.cli.schedulers import check_values
from rllib_metagrad.metrics import OLD_NAMES_END
from rllib_metagrad.old_metrics import current
from rllib_metagrad.settings import SettingError, nearest, renamed
from rllib_metagrad.settings.rllib_keys import PUBLIC

__all__ = ["default_config", "validate"]


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


def validate(
    experiment: Experiment, check_resources: Callable[[dict[str, Any]], None] | None = None
) -> tuple[Any, dict[str, Any]]:
    """Check algorithm, config keys, types, values and environment of an experiment.

    Every value of a grid and both ends of every range are checked, see `search_space.variants`.

    Args:
        experiment: to check.
        check_resources: raises a SettingError where a variant needs what is not there; None if nobody can say.

    Returns:
        The AlgorithmConfig of the experiment's first variant, and that variant as a dict.

    Raises:
        BadInputError: with file, line and key.
    """
    with experiment.source.pointing():
        method = method_of(experiment.run)
        _warn_of_old_names(experiment)
        search_algs.check(experiment)
        complete = method is not None and precheck(experiment, method, check_resources)
        return _validate_with_ray(experiment, complete)


def _validate_with_ray(experiment: Experiment, complete: bool) -> tuple[Any, dict[str, Any]]:
    """What RLlib and Tune have to say.

    Args:
        experiment: what precheck() knows of it has been checked.
        complete: environment and designer have been built, too.
    """
    default = default_config(experiment.run)
    known = {**dict.fromkeys(_properties(default)), **default.to_dict(), **vars(default)}
    check_keys(experiment, known)
    search_space.resolve(experiment.config, "config")
    check_values(experiment.scheduler)
    search_algs.check_values(experiment)
    loggers.check_values(experiment.loggers)
    first: tuple[Any, dict[str, Any]] | None = None
    for path, plain in search_space.variants(experiment.config):
        check_types(plain, known)
        with pointing_at_config(plain, path):
            config = default_config(experiment.run)
            config.update_from_dict(plain)
            config.validate()
        if not complete and (path is None or path[0] in ("env", "env_config", "designer_checkpoint")):
            _check_environment(config, experiment)
        first = first or (config, plain)
    assert first is not None  # variants() always yields the first one
    return first


def _warn_of_old_names(experiment: Experiment) -> None:
    """The loggers that say so elsewhere are silent here."""
    for key, value in experiment.config.items():
        new, now = renamed.current(key, value)
        if (new, now) != (key, value):
            written = new if now == value else f"{new}: {now}"
            place = experiment.source.at(f"config.{key}")
            print(f"rllib: warning: {place}: write {written}; the old name goes with the next version", file=sys.stderr)
    for key, name in metrics.used(experiment):
        if (now := current(name)) != name:
            place = (
                f"{experiment.source.at(key)}: "
                if key.startswith("stop.")
                else f"{experiment.source.at(key)}: {name}: "
            )
            print(
                f"rllib: warning: {place}write {now}; the old name is reported until version {OLD_NAMES_END}",
                file=sys.stderr,
            )


def _properties(config: Any) -> set[str]:
    """Settings that AlgorithmConfig keeps behind a property with a setter (train_batch_size_per_learner)."""
    return {
        name
        for cls in type(config).__mro__
        for name, value in vars(cls).items()
        if isinstance(value, property) and value.fset is not None
    }


def _check_environment(config: Any, experiment: Experiment) -> None:
    """The environment's name must be known; what makes it is called, and what it makes must fit the designer."""
    from rllib_metagrad.algorithms import IncentiveDesignConfig

    creator = _creator(config)
    if creator is None:
        return
    name = config.env if isinstance(config.env, str) else config.env.__name__
    if isinstance(config, IncentiveDesignConfig):
        _check_designed(config, creator, name, experiment)
        return
    from ray.rllib.env.env_context import EnvContext

    try:
        built = creator(EnvContext(config.env_config, worker_index=0))
    except MISTAKES as error:
        raise error_of_environment(name, config.env_config, error) from error
    if hasattr(built, "close"):
        built.close()


def _creator(config: Any) -> Any:
    """What makes the environment; None where only RLlib can say.

    Raises:
        SettingError: an unknown name, with the nearest known one.
    """
    import gymnasium

    import env_wrappers
    from rllib_metagrad.algorithms import IncentiveDesignConfig
    from rllib_metagrad.ray_compat import names_of_registered_envs, registered_env

    env = config.env
    if not isinstance(env, str):
        return env if isinstance(env, type) else None
    if env in env_wrappers.names():
        return lambda context: env_wrappers.make(env, **context)
    if (creator := registered_env(env)) is not None:
        return creator
    gym_made = env in gymnasium.registry
    module, _, name = env.replace(":", ".").rpartition(".")
    if module and not gym_made:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise SettingError("config.env", f"cannot import {env!r}: {error}") from error
    try:
        gymnasium.spec(env)
    except gymnasium.error.Error as error:
        known = {*gymnasium.registry, *env_wrappers.names(), *names_of_registered_envs()}
        raise SettingError("config.env", f"unknown environment {env!r}{nearest(env, known)}") from error
    if isinstance(config, IncentiveDesignConfig):
        return lambda _: gymnasium.make(env)
    return None


def _check_designed(config: Any, creator: Any, name: str, experiment: Experiment) -> None:
    """An environment in a batch of one, reset; policies, mechanism and designer are built for it."""
    from rllib_metagrad.environments import build_env, filter_options
    from rllib_metagrad.modules.spec import EnvSpec

    try:
        env = build_env(config, 1, creator)
        try_once(env)
    except Exception as error:  # a user's environment may raise anything
        if isinstance(error, SettingError) and error.key in PUBLIC:
            raise SettingError(f"config.{error.key}", error.message) from error
        raise error_of_environment(name, config.env_config, error) from error
    with pointing_at_config(experiment.config, None):
        spec = EnvSpec.of(env, filtered=filter_options(config, env) is not None)
        stacks = config.make_stacks(spec)
        setup = config.make_setup(spec, stacks)
        if setup.settings.designer.objective is not None:
            from rllib_metagrad.cli.try_objective import try_objective

            try_objective(setup, stacks, env)
    metrics.check(experiment, env, [policy for stack in stacks for policy in stack.policy_ids])
    env.close()
