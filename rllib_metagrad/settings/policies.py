"""Which policy acts for which agent, and what one has for itself: what users write in RLlib's keys and ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from rllib_metagrad.settings.base import SettingError, Settings, nearest, setting
from rllib_metagrad.settings.networks import NetworkSettings

#: Of the one policy of all agents, and of the designer's module.
SHARED, DESIGNER = "shared", "designer"
#: Config keys that :class:`Policies` is made of.
POLICY_KEYS = (
    "policies",
    "policy_mapping",
    "policy_mapping_fn",
    "policies_to_train",
    "algorithm_config_overrides_per_module",
    "parameter_sharing",
)


class PolicySettings(Settings):
    """Settings of one policy, in `policies` (YAML: `{a: {agent_lr: 0.1}}`, Python: `PolicySpec(config=...)`)."""

    PREFIX = "agent_"
    OWNER = "a single policy; set it for all agents"

    lr: float | None = setting(None, "its own constant learning rate; null for that of all", ge=0)
    network: NetworkSettings | None = setting(None, "its own network; null for that of all")


class Spec(NamedTuple):
    """The fields of RLlib's PolicySpec."""

    policy_class: Any = None
    observation_space: Any = None
    action_space: Any = None
    config: Any = None


# What a spec's fields may not say.
_INSTEAD = {
    "policy_class": "a policy's network is agent_network, how it learns is agent_loss",
    "observation_space": "spaces are those of the environment",
    "action_space": "spaces are those of the environment",
}


def read_specs(policies: Any) -> dict[str, Spec]:
    """The user's ``policies`` in one form.

    Args:
        policies: names, or a mapping from names to null, settings, RLlib's PolicySpec or its tuple of four.

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
    return {name: _read_spec(name, value) for name, value in policies.items()}


def _read_spec(name: str, value: Any) -> Spec:
    if value is None or isinstance(value, Mapping):
        return Spec(config=None if value is None else dict(value))
    if isinstance(value, list | tuple) and len(value) == 4:
        return Spec(*value)
    if all(hasattr(value, field) for field in Spec._fields):  # a PolicySpec, without importing Ray for it
        return Spec(*(getattr(value, field) for field in Spec._fields))
    raise SettingError(
        f"policies.{name}", f"must be null, settings such as {{agent_lr: 0.1}} or a PolicySpec: {value!r}"
    )


@dataclass(frozen=True)
class Policies:
    """All that a user has said of policies; attributes are values of the config keys of their names.

    Attributes:
        policy_mapping_fn: a function of the user's; None for RLlib's default.
    """

    policies: Any = ()
    policy_mapping: Any = None
    policy_mapping_fn: Any = None
    policies_to_train: Any = None
    algorithm_config_overrides_per_module: Any = None
    parameter_sharing: bool = False

    @property
    def is_given(self) -> bool:
        """Whether the user has said anything: then names are theirs, also ``default_policy``."""
        return bool(self.policies or self.policy_mapping or self.policy_mapping_fn is not None)

    def named(self) -> set[str]:
        """Names of policies that are known without an environment; empty if there are none."""
        if not self.is_given:
            return {SHARED} if self.parameter_sharing else set()
        return set(read_specs(self.policies)) or set((self.policy_mapping or {}).values())

    def own_settings(self) -> dict[str, PolicySettings]:
        """What policies have for themselves, by name.

        Raises:
            SettingError: for what cannot be set for one policy, or for a policy that is not there.
        """
        given: dict[str, dict[str, Any]] = {}
        for name, spec in read_specs(self.policies).items():
            for field, instead in _INSTEAD.items():
                if getattr(spec, field) is not None:
                    raise SettingError(f"policies.{name}", f"cannot have a {field}: {instead}; leave it out")
            given[name] = _own(f"policies.{name}", spec.config)
        overrides = self.algorithm_config_overrides_per_module or {}
        if not isinstance(overrides, Mapping):
            raise SettingError(
                "algorithm_config_overrides_per_module", f"must be a mapping from policies, got {overrides!r}"
            )
        names = self.named()
        for name, values in overrides.items():
            key = f"algorithm_config_overrides_per_module.{name}"
            if names and name not in names:
                raise SettingError(key, f"is no policy{nearest(name, names)}")
            given[name] = {**given.get(name, {}), **_own(key, values)}
        return {name: PolicySettings.from_keys(values) for name, values in given.items() if values}

    def check(self) -> None:
        """All that can be said without an environment.

        Raises:
            SettingError: on one line.
        """
        names = set(read_specs(self.policies))
        function, mapping, train = self.policy_mapping_fn, self.policy_mapping, self.policies_to_train
        if function is not None and not callable(function):
            raise SettingError(
                "policy_mapping_fn", f"must be a function, got {function!r}; plain data is policy_mapping"
            )
        if function is not None and mapping:
            raise SettingError("policy_mapping_fn", "and policy_mapping say the same; leave one out")
        if self.is_given and self.parameter_sharing:
            raise SettingError("parameter_sharing", "is one policy for all, but there are policies; leave one out")
        for pattern, policy in (mapping or {}).items():
            if names and policy not in names:
                raise SettingError(
                    f"policy_mapping.{pattern}", f"{policy!r} is not in policies{nearest(policy, names)}"
                )
        if DESIGNER in self.named():
            raise SettingError("policies", f"cannot hold {DESIGNER!r}: that is the incentive designer's module")
        if not (train is None or callable(train) or (isinstance(train, Collection) and not isinstance(train, str))):
            raise SettingError("policies_to_train", f"must be names of policies, got {train!r}")
        self.check_trained(self.named())
        self.own_settings()

    def check_trained(self, names: Collection[str]) -> None:
        """Checks that ``policies_to_train``, where it is names, are some of these."""
        train = self.policies_to_train
        for name in () if train is None or callable(train) or not names else train:
            if name not in names:
                raise SettingError("policies_to_train", f"{name!r} is no policy{nearest(name, names)}")

    def policy_of(self, agent: str) -> str:
        """Name of the policy that acts for an agent.

        The user's mapping; the only one of ``policies``; that of the agent's own name among them; without any of these
        one for all with ``parameter_sharing``, else the agent's own.

        Raises:
            SettingError: if there is none, or a mapping names one that is not in ``policies``.
        """
        if not self.is_given:
            return SHARED if self.parameter_sharing else agent
        names = set(read_specs(self.policies))
        if self.policy_mapping:
            return _looked_up(self.policy_mapping, agent)
        if self.policy_mapping_fn is not None:
            policy = _ask(self.policy_mapping_fn, agent)
            if names and policy not in names:
                raise SettingError(
                    "policy_mapping_fn",
                    f"maps agent {agent!r} to {policy!r}, which is not among policies {sorted(names)}",
                )
            return policy
        if len(names) == 1 or agent in names:
            return agent if agent in names else next(iter(names))
        raise SettingError(
            "policies", f"has none for agent {agent!r}; say which by policy_mapping: {{{agent}: {sorted(names)[0]}}}"
        )


def _own(key: str, values: Any) -> dict[str, Any]:
    if values is not None and not isinstance(values, Mapping):
        raise SettingError(key, f"must hold settings such as {{agent_lr: 0.1}}, got {type(values).__name__}")
    try:
        PolicySettings.from_keys(values or {})
    except SettingError as error:
        raise SettingError(f"{key}.{error.key}", error.message) from None
    return dict(values or {})


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
