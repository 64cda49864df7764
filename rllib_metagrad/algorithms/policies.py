"""Which policy acts for which agent: what users write in RLlib's keys and ours, and what becomes of it.

A function is asked once for each agent, by the driver (:func:`asked`); what it said stands in ``policy_mapping`` from
then on and travels with the config to runners, learners, evaluation and checkpoints.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.policy.policy import PolicySpec
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID

from rllib_metagrad.modules.rl_modules import DESIGNER
from rllib_metagrad.settings import SettingError, nearest
from rllib_metagrad.settings.policies import PolicySettings

if TYPE_CHECKING:
    from rllib_metagrad.algorithms.config import IncentiveDesignConfig

C = TypeVar("C", bound="IncentiveDesignConfig")
SHARED = "shared"
#: Keys of RLlib that say what a spec's fields may not.
_SPEC_FIELDS = {
    "policy_class": "a policy's network is agent_network, how it learns is agent_loss",
    "observation_space": "spaces are those of the environment",
    "action_space": "spaces are those of the environment",
}


def specs(policies: Any) -> dict[str, PolicySpec]:
    """The user's ``policies`` in one form.

    Args:
        policies: names, or a mapping from names to null, settings, PolicySpec or RLlib's tuple of four.

    Raises:
        SettingError: for anything else.
    """
    if not isinstance(policies, Mapping):
        if isinstance(policies, str) or not isinstance(policies, Collection):
            raise SettingError("policies", f"must be names, or a mapping from names to settings, got {policies!r}")
        policies = dict.fromkeys(policies)
    for name in policies:
        if not isinstance(name, str) or not name or name != name.strip() or "/" in name or name in (".", ".."):
            raise SettingError("policies", f"{name!r} is no name; it becomes that of a folder in checkpoints")
    return {name: _spec(name, value) for name, value in policies.items()}


def _spec(name: str, value: Any) -> PolicySpec:
    if isinstance(value, PolicySpec):
        return value
    if value is None or isinstance(value, Mapping):
        return PolicySpec(config=None if value is None else dict(value))
    if isinstance(value, list | tuple) and len(value) == 4:
        return PolicySpec(*value)
    raise SettingError(
        f"policies.{name}", f"must be null, settings such as {{agent_lr: 0.1}} or a PolicySpec: {value!r}"
    )


def own_settings(config: IncentiveDesignConfig) -> dict[str, PolicySettings]:
    """What policies have for themselves, by name, from ``policies`` and ``algorithm_config_overrides_per_module``.

    Raises:
        SettingError: for what cannot be set for one policy, or for a policy that is not there.
    """
    given: dict[str, dict[str, Any]] = {}
    for name, spec in specs(config.policies).items():
        for field, instead in _SPEC_FIELDS.items():
            if getattr(spec, field) is not None:
                raise SettingError(f"policies.{name}", f"cannot have a {field}: {instead}; leave it out")
        given[name] = _own(f"policies.{name}", spec.config)
    overrides = config.algorithm_config_overrides_per_module or {}
    if not isinstance(overrides, Mapping):
        raise SettingError(
            "algorithm_config_overrides_per_module", f"must be a mapping from policies, got {overrides!r}"
        )
    names = named(config)
    for name, values in overrides.items():
        key = f"algorithm_config_overrides_per_module.{name}"
        if names and name not in names:
            raise SettingError(key, f"is no policy{nearest(name, names)}")
        given[name] = {**given.get(name, {}), **_own(key, values)}
    return {name: PolicySettings.from_keys(values) for name, values in given.items() if values}


def _own(key: str, values: Any) -> dict[str, Any]:
    if values is not None and not isinstance(values, Mapping):
        raise SettingError(key, f"must hold settings such as {{agent_lr: 0.1}}, got {type(values).__name__}")
    try:
        PolicySettings.from_keys(values or {})
    except SettingError as error:
        raise SettingError(f"{key}.{error.key}", error.message) from None
    return dict(values or {})


def function_of(config: IncentiveDesignConfig) -> Callable[..., str] | None:
    """The user's ``policy_mapping_fn``, or None."""
    function = config.policy_mapping_fn
    return None if function == AlgorithmConfig.DEFAULT_POLICY_MAPPING_FN else function


def is_given(config: IncentiveDesignConfig) -> bool:
    """Whether the user has said anything of policies: then names are theirs, also ``default_policy``."""
    if config.policy_mapping or function_of(config) is not None:
        return True
    # What RLlib's own default looks like, in configs from before policies began empty.
    untouched = config.policy_mapping_fn is not None and set(config.policies) == {DEFAULT_POLICY_ID}
    return bool(config.policies) and not untouched


def named(config: IncentiveDesignConfig) -> set[str]:
    """Names of policies that are known without an environment; empty if there are none."""
    if not is_given(config):
        return {SHARED} if config.parameter_sharing else set()
    return set(specs(config.policies)) or set((config.policy_mapping or {}).values())


def check(config: IncentiveDesignConfig) -> None:
    """All that can be said without an environment.

    Raises:
        SettingError: on one line.
    """
    names = set(specs(config.policies))
    function, mapping, train = function_of(config), config.policy_mapping, config.policies_to_train
    if function is not None and not callable(function):
        raise SettingError("policy_mapping_fn", f"must be a function, got {function!r}; plain data is policy_mapping")
    if function is not None and mapping:
        raise SettingError("policy_mapping_fn", "and policy_mapping say the same; leave one out")
    if is_given(config) and config.parameter_sharing:
        raise SettingError("parameter_sharing", "is one policy for all, but there are policies; leave one out")
    for pattern, policy in (mapping or {}).items():
        if names and policy not in names:
            raise SettingError(f"policy_mapping.{pattern}", f"{policy!r} is not in policies{nearest(policy, names)}")
    if DESIGNER in named(config):
        raise SettingError("policies", f"cannot hold {DESIGNER!r}: that is the incentive designer's module")
    if not (train is None or callable(train) or (isinstance(train, Collection) and not isinstance(train, str))):
        raise SettingError("policies_to_train", f"must be names of policies, got {train!r}")
    _check_trained(config, named(config))
    own_settings(config)


def _check_trained(config: IncentiveDesignConfig, names: Collection[str]) -> None:
    train = config.policies_to_train
    for name in () if train is None or callable(train) or not names else train:
        if name not in names:
            raise SettingError("policies_to_train", f"{name!r} is no policy{nearest(name, names)}")


def policy_of(config: IncentiveDesignConfig, agent: str) -> str:
    """Name of the policy that acts for an agent.

    The user's mapping; the only one of ``policies``; that of the agent's own name among them; without any of these one
    for all with ``parameter_sharing``, else the agent's own.

    Raises:
        SettingError: if there is none, or a mapping names one that is not in ``policies``.
    """
    if not is_given(config):
        return SHARED if config.parameter_sharing else agent
    names, function = set(specs(config.policies)), function_of(config)
    if config.policy_mapping:
        return _looked_up(config.policy_mapping, agent)
    if function is not None:
        policy = _ask(function, agent)
        if names and policy not in names:
            raise SettingError(
                "policy_mapping_fn", f"maps agent {agent!r} to {policy!r}, which is not among policies {sorted(names)}"
            )
        return policy
    if len(names) == 1 or agent in names:
        return agent if agent in names else next(iter(names))
    raise SettingError(
        "policies", f"has none for agent {agent!r}; say which by policy_mapping: {{{agent}: {sorted(names)[0]}}}"
    )


def _looked_up(mapping: Mapping[str, str], agent: str) -> str:
    """An agent's own entry, or the first pattern that fits."""
    if agent in mapping:
        return mapping[agent]
    for pattern, policy in mapping.items():
        if fnmatchcase(agent, pattern):
            return policy
    raise SettingError("policy_mapping", f'has no entry for agent {agent!r}; "*" fits all that are left')


def _ask(function: Callable[..., Any], agent: str) -> str:
    """What a mapping function says of an agent, without an episode."""
    try:
        needs = inspect.signature(function).parameters.get("worker")
        # Functions from RLlib's old stack also take the worker.
        old = {"worker": None} if needs is not None and needs.default is needs.empty else {}
        policy = function(agent, None, **old)
    except Exception as error:  # a user's function may raise anything
        raise SettingError(
            "policy_mapping_fn",
            f"failed for agent {agent!r}: {type(error).__name__}: {' '.join(str(error).split())}; it is asked once for "
            "each agent, before any episode (episode is None)",
        ) from error
    if not isinstance(policy, str):
        raise SettingError("policy_mapping_fn", f"must give the name of a policy, gave {policy!r} for {agent!r}")
    return policy


def asks(config: IncentiveDesignConfig) -> bool:
    """Whether there are functions of the user's to ask, which :func:`asked` does."""
    return function_of(config) is not None or callable(config.policies_to_train)


def asked(config: C, agents: Collection[str]) -> C:
    """A copy of a config in which the user's functions have been asked, once for each agent and policy.

    Raises:
        SettingError: if there is no policy for an agent, or a policy is not there.
    """
    mapping = {agent: policy_of(config, agent) for agent in agents}
    names = sorted({*mapping.values(), *specs(config.policies)})
    _check_trained(config, names)
    values: dict[str, Any] = {}
    if is_given(config):
        given = specs(config.policies)
        values = {"policy_mapping": mapping, "policy_mapping_fn": None}
        values["policies"] = {name: given.get(name, PolicySpec()) for name in names}
    if callable(train := config.policies_to_train):
        values["policies_to_train"] = [name for name in names if train(name, None)]
    settled = config.with_values(**values)
    own_settings(settled)
    return settled
