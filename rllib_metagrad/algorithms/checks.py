"""Checks of a config that concern several keys, or objects that are no plain data; each raises a SettingError.

Settings of ours are checked one by one by their records (rllib_metagrad/settings), RLlib's by the table of its keys,
and what contradicts one another without being an object by settings/together.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.utils import force_list

from rllib_metagrad.env_runner import IncentiveEnvRunner
from rllib_metagrad.settings import SettingError
from rllib_metagrad.settings.import_path import import_class, import_object
from rllib_metagrad.settings.rllib_keys import KEYS, PUBLIC

if TYPE_CHECKING:
    from rllib_metagrad.algorithms.config import IncentiveDesignConfig

#: Batched runners have no episode objects to hand to these.
_EPISODE_EVENTS = tuple(f"on_episode_{what}" for what in ("created", "start", "step", "end"))


def callback_classes(given: Any) -> list[type[RLlibCallback]]:
    """The user's callbacks as classes; a string is an import path and only a class is taken, nothing is called.

    Args:
        given: a class, its import path ``package.module:Class`` (or with a dot), or a list of these.

    Raises:
        SettingError: unless all are subclasses of RLlibCallback.
    """
    return [_callback_class(one) for one in (given if isinstance(given, list) else [given])]


def _callback_class(given: Any) -> type[RLlibCallback]:
    if isinstance(given, str):
        try:
            path = given if ":" in given else ":".join(given.rsplit(".", 1))
            return import_class(path, RLlibCallback)
        except ValueError as error:
            raise SettingError("callbacks", f"must be classes derived from RLlibCallback: {error}") from error
    if not (isinstance(given, type) and issubclass(given, RLlibCallback)):
        raise SettingError("callbacks", f"must be classes derived from RLlibCallback, got {given!r}")
    return given


def check_callbacks(config: IncentiveDesignConfig) -> None:
    """Callbacks are what they must be, and none waits for an event that never comes."""
    classes = callback_classes(config.callbacks_class)
    for key in (key for key in KEYS if key.startswith("callbacks_on_")):
        if not all(callable(function) for function in force_list(getattr(config, key)) if function is not None):
            raise SettingError(key, f"must be a function or a list of functions, got {getattr(config, key)!r}")
    for event in _EPISODE_EVENTS:
        given = [f for f in force_list(getattr(config, f"callbacks_{event}")) if f is not None]
        base = getattr(RLlibCallback, event)
        if given or any(getattr(c, event, base) is not base for c in classes):
            raise SettingError(
                "callbacks",
                f"{event} is never called, as whole batches of episodes are sampled at once; use on_sample_end, which "
                "receives the trajectories",
            )


def imported(key: str, value: Any) -> Any:
    """The value of a key; of one whose values are Python's own, what an import path in YAML names."""
    if key not in PUBLIC or not isinstance(value, str):
        return value
    try:
        return import_object(value)
    except ValueError as error:
        raise SettingError(key, str(error)) from error


def check_connectors(config: IncentiveDesignConfig) -> None:
    """Connectors come from a function, and have observations of agents to work on."""
    factory = config.env_to_module_connector
    if factory is not None and not callable(factory):
        raise SettingError("env_to_module_connector", f"must be a function (env, spaces, device), got {factory!r}")
    if factory is not None and config.centralized:
        raise SettingError(
            "env_to_module_connector",
            "has no meaning with centralized: true, whose one policy sees the state; leave one of them out",
        )


def check_environment(config: IncentiveDesignConfig) -> None:
    """There is an environment, by name or class, with keys."""
    if config.env is None:
        raise SettingError("env", "is missing; set env: escape_room, for example")
    if not isinstance(config.env, str | type):
        raise SettingError("env", f"must be the name of an environment, or a class, got {config.env!r}")
    check_mappings({"env_config": config.env_config})


def check_mappings(given: Mapping[str, Any]) -> None:
    """What RLlib would look into without asking is a mapping."""
    for key in {"env_config", "evaluation_config"} & set(given):
        if given[key] is not None and not isinstance(given[key], Mapping | AlgorithmConfig):
            raise SettingError(key, f"must be a mapping, got {given[key]!r}")


def check_classes(config: IncentiveDesignConfig) -> None:
    """Runner and learner are ours, or derived from ours."""
    for key, given, base in (
        ("env_runner_cls", config.env_runner_cls, IncentiveEnvRunner),
        ("learner_class", config.learner_class, config.get_default_learner_class()),
    ):
        if not (isinstance(given, type) and issubclass(given, base)):
            raise SettingError(key, f"must be a class derived from {base.__name__}, got {given!r}")


#: Of our own keys those that an evaluation reads, and RLlib's that it sets itself.
_READ_IN_EVALUATION = {"greedy_evaluation", "torch_num_threads", "mechanism", "mechanism_config", "fixed_incentives"}
_SET_IN_EVALUATION = {
    "num_env_runners": "set evaluation_num_env_runners",
    "batch_mode": "set evaluation_duration_unit",
    "rollout_fragment_length": "set evaluation_duration",
    **dict.fromkeys(
        ("observation_filter", *PUBLIC, "metrics_num_episodes_for_smoothing", "log_gradients"), "set it outside"
    ),
    **dict.fromkeys(("num_learners", "policies", "policy_mapping_fn", "policies_to_train"), "leave it out"),
}


def check_evaluation_config(config: IncentiveDesignConfig) -> None:
    """``evaluation_config`` holds nothing that an evaluation does not read."""
    given = config.evaluation_config
    check_mappings({"evaluation_config": given})
    for key, value in given.items() if isinstance(given, Mapping) else ():
        ours = key in config.own_keys() and key not in _READ_IN_EVALUATION
        if (ours or key in _SET_IN_EVALUATION or key.startswith("evaluation_")) and value != config.get(key):
            note = _SET_IN_EVALUATION.get(key, "leave it out, or set it outside")
            raise SettingError(f"evaluation_config.{key}", f"does nothing, evaluations do not read it; {note}")


def with_key(prefix: str, check: Callable[[], Any]) -> None:
    """Runs a check of something nested; what it says is wrong is so under a prefix."""
    try:
        check()
    except SettingError as error:
        raise SettingError(f"{prefix}.{error.key}", error.message) from error
