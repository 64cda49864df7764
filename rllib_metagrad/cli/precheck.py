"""Check an experiment of one of our methods before Ray is imported, which takes seconds.

Keys, types and values; the environment is built, wrapped, reset and stepped once; policies, mechanism and designer are
built for it. Importing torch takes longer than all the rest, so what needs it comes last. What only RLlib knows is
checked in validate.py.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from rllib_metagrad.cli import metrics, rllib_keys, search_space
from rllib_metagrad.cli.errors import one_line
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.settings import SettingError, nearest, renamed
from rllib_metagrad.settings.idle import check_idle
from rllib_metagrad.settings.import_path import is_import_path
from rllib_metagrad.settings.method import MethodSettings
from rllib_metagrad.settings.methods import METHODS, Method
from rllib_metagrad.settings.policies import POLICY_KEYS, Policies
from rllib_metagrad.settings.rllib import RLlibSettings
from rllib_metagrad.settings.rllib_keys import PUBLIC, check_name, check_values
from rllib_metagrad.settings.together import check_batches, check_critics, check_response

__all__ = [
    "MISTAKES",
    "check_keys",
    "check_types",
    "method_of",
    "pointing_at_config",
    "precheck",
    "try_once",
]

#: What a user's values make code raise.
MISTAKES = (ValueError, TypeError, KeyError, AttributeError, AssertionError, ImportError, MemoryError, OverflowError)
# Spellings that AlgorithmConfig.update_from_dict() accepts beside its attributes.
_ALIASES = {"lambda", "callbacks", "framework", "input", "multiagent", "num_workers", "num_cpus_for_driver", *PUBLIC}
_OLD_STACK = ("enable_rl_module_and_learner", "enable_env_runner_and_connector_v2")
# What only RLlib can read or build.
_FOR_RLLIB = (*PUBLIC, "designer_checkpoint")


def method_of(run: Any) -> Method | None:
    """The settings of our method of this name; None for a class, and for what is RLlib's or registered with Tune.

    Raises:
        SettingError: an unknown name, with the nearest known one.
    """
    if not isinstance(run, str) or run in METHODS:
        return METHODS.get(run) if isinstance(run, str) else None
    # Nothing can be registered with Tune that is not imported.
    if run not in rllib_keys.ALGORITHMS and "ray" not in sys.modules:
        hint = nearest(run, {*METHODS, *rllib_keys.ALGORITHMS}, list_at_most=99)
        raise SettingError("run", f"unknown algorithm {run!r}{hint}")
    return None


def precheck(
    experiment: Experiment, method: Method, check_resources: Callable[[dict[str, Any]], None] | None = None
) -> bool:
    """Checks all that can be known without Ray.

    Args:
        experiment: to check.
        method: its algorithm's.
        check_resources: see `validate`.

    Returns:
        False where environment and designer must still be built: only Ray can make the environment, or the designer is
        a checkpoint's.

    Raises:
        SettingError: with the key.
    """
    known = {**rllib_keys.KEYS, **method.config_defaults(), **RLlibSettings.defaults()}
    check_keys(experiment, known)
    checked = []
    for path, written in search_space.variants(experiment.config):
        plain = dict(renamed.current(key, value) for key, value in written.items())
        check_types(plain, known)
        with pointing_at_config(plain, path):
            settings = method.settings(plain)
            _check_together(plain, settings, method.config_defaults())
        _check_callbacks(plain.get("callbacks"))
        checked.append((path, plain, settings))
    metrics.check(experiment, None)
    if check_resources is not None:
        check_resources(checked[0][1])
    built = []
    for path, plain, settings in checked:
        if path is None or path[0] in ("env", "env_config", "centralized"):
            env = _environment(plain, settings)
            if env is None or any(plain.get(key) for key in _FOR_RLLIB):
                return False
            # The first environment is that of all variants of other keys.
            built.append((path, env, [others[1:] for others in checked] if path is None else [(plain, settings)]))
            env.close()
    _each(_check_fit, built)
    env, (plain, _) = built[0][1], built[0][2][0]
    metrics.check(experiment, env, {*map(_policies(plain).policy_of, env.possible_agents)})
    _each(_build, built)
    return True


def _check_together(plain: Mapping[str, Any], settings: MethodSettings[Any, Any], defaults: Mapping[str, Any]) -> None:
    """Settings beside one another, and policies, without an environment."""
    rllib = RLlibSettings.from_keys({key: plain[key] for key in RLlibSettings.config_keys() if key in plain})
    check_idle(settings, {**defaults, **plain}, defaults)
    check_batches(rllib)
    policies = _policies(plain)
    policies.check()
    loss = settings.agents.loss
    own = [one.network for one in policies.own_settings().values() if one.network is not None]
    # A user's own loss says itself, when torch is there, whether it needs a critic.
    check_critics(rllib, loss, loss != "pg", [settings.agents.network, *own])
    check_response(settings)
    from rllib_metagrad.modules.fit import check_payments, mechanism_name

    if plain.get("designer_checkpoint") is not None:
        return
    if not is_import_path(mechanism_name(settings.incentives, settings.designer)):
        check_payments(settings)


def _policies(plain: Mapping[str, Any]) -> Policies:
    return Policies(**{key: plain[key] for key in POLICY_KEYS if plain.get(key) is not None})


# -- keys and values ------------------------------------------------------------------------------------------


def check_keys(experiment: Experiment, known: Mapping[str, Any]) -> None:
    """Every key must be one.

    Args:
        known: keys with their defaults.

    Raises:
        SettingError: with the nearest one, or what it is called today.
    """
    names = {*known, *_ALIASES}
    ours = isinstance(experiment.run, str) and experiment.run in METHODS
    for key, value in experiment.config.items():
        try:
            if ours and isinstance(key, str):
                check_name(key)
                if key in known:
                    check_values({key: value}, {key: known[key]}, experiment.run_name, in_evaluation=False)
        except SettingError as error:
            raise SettingError(f"config.{error.key}", error.message) from None
        private = not ours and isinstance(key, str) and key.startswith("_")
        if not isinstance(key, str) or (key not in names and key not in renamed.KEYS and not private):
            hint = nearest(key, [name for name in names if not name.startswith("_")])
            raise SettingError(f"config.{key}", f"not a setting of {experiment.run_name}{hint}")
    for key in _OLD_STACK:
        if experiment.config.get(key) is False:
            raise SettingError(f"config.{key}", "RLlib's old API stack is not supported; remove it")


def check_types(plain: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Values whose kind differs from the default's in a way that RLlib would notice late or never.

    Raises:
        SettingError: with the key.
    """
    for key, value in plain.items():
        wanted = _wanted(key, known.get(key), value)
        if wanted and value is not None:
            raise SettingError(f"config.{key}", f"must be {wanted}, got {value!r}")


def _wanted(key: str, default: Any, value: Any) -> str | None:
    """What `value` should have been, or None where it is fine (or nothing is known)."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, int | float):
        if isinstance(value, bool | dict) or (isinstance(value, str) and value != "auto") or value != value:
            return "a number"
        # Shares of a CPU or GPU and seconds may be fractions of an integer default.
        fractional = "cpus" in key or "gpus" in key or key.endswith("_s")
        if isinstance(default, int) and isinstance(value, float) and not fractional:
            return None if value.is_integer() or value == float("inf") else "a whole number"
    if isinstance(default, dict) and not isinstance(value, dict) and key != "policies":  # names will do
        return "a mapping"
    return None


def _check_callbacks(callbacks: Any) -> None:
    """An import path must lead to a class: RLlib would call whatever it leads to."""
    if callbacks is None or isinstance(callbacks, type):
        return
    for path in callbacks if isinstance(callbacks, list) else [callbacks]:
        if isinstance(path, type):
            continue
        module, _, name = path.replace(":", ".").rpartition(".") if isinstance(path, str) else ("", "", "")
        if not module:
            raise SettingError("config.callbacks", f"must be the import path of a class, module.Class, got {path!r}")
        try:
            found = getattr(importlib.import_module(module), name)
        except Exception as error:  # a user's module may raise anything
            raise SettingError("config.callbacks", f"cannot import {path!r}: {one_line(error)}") from error
        bases = {base.__name__ for base in found.__mro__} if isinstance(found, type) else set()
        if not bases & {"RLlibCallback", "DefaultCallbacks"}:
            raise SettingError("config.callbacks", f"{path} is no subclass of RLlib's RLlibCallback")


@contextmanager
def pointing_at_config(plain: Mapping[str, Any], varied: search_space.Path | None) -> Iterator[None]:
    """Inside the block every mistake becomes a SettingError of the key that is wrong.

    Messages that are not ours name it, mostly first; one that names none is about what was varied.
    """
    try:
        yield
    except SettingError as error:
        raise SettingError(f"config.{error.key}", error.message) from error
    except MISTAKES as error:
        message = f"missing key {error}" if isinstance(error, KeyError) else one_line(error)
        named = next((word for word in re.findall(r"\w+", message) if word in plain), None)
        path = varied or ((named,) if named else ())
        raise SettingError(".".join(map(str, ("config", *path))), message.removeprefix(f"{named} ")) from error


# -- environment and designer -------------------------------------------------------------------------------------


def _environment(plain: Mapping[str, Any], settings: Any) -> Any:
    """One copy in a batch, reset and stepped; None for an environment that Ray makes.

    Raises:
        SettingError: an unknown name or key, an impossible value, or an environment that breaks PettingZoo's API.
    """
    import env_wrappers

    name, keys = plain.get("env"), plain.get("env_config") or {}
    if isinstance(name, type):
        return None
    if not isinstance(name, str):
        raise SettingError("config.env", f"must be the name of an environment, got {name!r}")
    if name not in env_wrappers.names():
        _check_name(name)
        return None
    try:
        env = env_wrappers.make_vec(name, 1, centralized=settings.incentives.centralized, **keys)
        try_once(env)
    except Exception as error:  # a user's environment may raise anything
        raise error_of_environment(name, keys, error) from error
    _check_memory(env, plain.get("num_envs_per_env_runner", RLlibSettings().num_envs_per_env_runner))
    return env


def try_once(env: Any) -> None:
    """Resets an environment of a user's, and makes a step of legal actions.

    Batches of ours load their compiled code for that, which takes half a second and can fail for no setting.
    """
    from env_wrappers.masks import first_legal

    if not env.one_by_one:
        return
    env.reset(seed=0)
    env.step(
        [
            np.stack(
                [
                    first_legal(group.action_space, flags)
                    for flags in ([None] * len(group.agents) if masks is None else masks[0])
                ]
            )[None]
            for group, masks in zip(env.groups, env.action_masks, strict=True)
        ]
    )


def _check_memory(env: Any, num_envs: int) -> None:
    """The observations of all copies must fit into this machine; what cannot would be found out in minutes."""
    one = sum(
        len(group.agents) * math.prod(group.observation_shape) * group.observation_dtype.itemsize
        for group in env.groups
    )
    needed, there = one * num_envs / 1e9, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if needed > there:
        raise SettingError(
            "config.num_envs_per_env_runner",
            f"{num_envs} copies of {env.name} need {needed:.0f} GB for the observations of one step, and this machine "
            f"has {there:.0f} GB; use fewer",
        )


def _check_name(name: str) -> None:
    """A name that is none of ours must be an import path, or registered with Ray, which is then imported already."""
    import gymnasium

    import env_wrappers

    known = set(env_wrappers.names())
    if "ray.tune" in sys.modules:
        from rllib_metagrad.ray_compat import names_of_registered_envs, registered_env

        if registered_env(name) is not None:
            return
        known |= {*names_of_registered_envs()}
    if name in gymnasium.registry:
        hint = "a Gymnasium environment has one agent: write it as a pettingzoo.ParallelEnv"
        raise SettingError("config.env", f"{name!r} is no PettingZoo environment; {hint}")
    if "." not in name and ":" not in name:
        raise SettingError("config.env", f"unknown environment {name!r}{nearest(name, known)}")


def error_of_environment(env: str, env_config: Mapping[str, Any], error: BaseException) -> SettingError:
    """The key of ``env_config`` that an environment's error names, else all of it."""
    if isinstance(error, SettingError) and (key := error.key.removeprefix(f"{env}: ")) in env_config:
        return SettingError(f"config.env_config.{key}", error.message)
    told = isinstance(error, ValueError | TypeError | AssertionError | ImportError)
    message = one_line(error) if told else f"{type(error).__name__}: {one_line(error)}"
    return SettingError("config.env_config", message if message.startswith(env) else f"{env}: {message}")


def _each(fits: Callable[..., None], built: Iterable[tuple[Any, Any, Iterable[tuple[Any, Any]]]]) -> None:
    """One check of every environment beside all settings that are to be trained in it."""
    for path, env, variants in built:
        for plain, settings in variants:
            with pointing_at_config(plain, path):
                fits(plain, settings, env)


def _check_fit(plain: Mapping[str, Any], settings: MethodSettings[Any, Any], env: Any) -> None:
    """What can be told of an environment without torch: every agent has a policy, the mechanism fits, and so on.

    Raises:
        ValueError: on one line.
    """
    from rllib_metagrad.modules.fit import check_fit, check_payments

    policies = _policies(plain)
    for agent in env.possible_agents:
        policies.policy_of(agent)
    with _blaming_the_mechanism():
        check_payments(settings)
        check_fit(settings, _spec(plain, env))


def _spec(plain: Mapping[str, Any], env: Any) -> Any:
    """What policies and designer are built for."""
    from rllib_metagrad.modules.spec import EnvSpec

    return EnvSpec.of(env, filtered=plain.get("observation_filter") == "MeanStdFilter")


def _build(plain: Mapping[str, Any], settings: MethodSettings[Any, Any], env: Any) -> None:
    """Builds policies, mechanism and designer for an environment.

    Raises:
        SettingError, ValueError: networks, mechanism, losses or designer do not fit it.
    """
    from rllib_metagrad.modules.population import make_setup, make_stacks

    policies, spec = _policies(plain), _spec(plain, env)
    own = policies.own_settings()
    with _blaming_the_mechanism():
        stacks = make_stacks(spec, policies.policy_of, own)
        setup = make_setup(settings, spec, stacks, own=own)
    if settings.designer.objective is not None:
        from rllib_metagrad.cli.try_objective import try_objective

        # Made again: of a simulator there may be only one, and this one has been closed.
        with closing(_environment(plain, settings)) as again:
            try_objective(setup, stacks, again)


@contextmanager
def _blaming_the_mechanism() -> Iterator[None]:
    try:
        yield
    except SettingError:
        raise
    except ValueError as error:
        if str(error).startswith("mechanism "):
            raise SettingError("mechanism", one_line(error)) from error
        raise
