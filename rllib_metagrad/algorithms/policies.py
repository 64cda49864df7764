"""Policies of a config of RLlib's: what users write in its keys and ours, and what becomes of it.

A function is asked once for each agent, by the driver (:func:`asked`); what it said stands in ``policy_mapping`` from
then on and travels with the config to runners, learners, evaluation and checkpoints.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.policy.policy import PolicySpec
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID

from rllib_metagrad.settings.policies import POLICY_KEYS, Policies, read_specs

if TYPE_CHECKING:
    from rllib_metagrad.algorithms.config import IncentiveDesignConfig

C = TypeVar("C", bound="IncentiveDesignConfig")


def specs(policies: Any) -> dict[str, PolicySpec]:
    """The user's ``policies`` as RLlib keeps them, see :func:`read_specs`."""
    return {name: PolicySpec(*spec) for name, spec in read_specs(policies).items()}


def given(config: IncentiveDesignConfig) -> Policies:
    """All that a config says of policies."""
    values = {key: getattr(config, key) for key in POLICY_KEYS}
    if config.policy_mapping_fn == AlgorithmConfig.DEFAULT_POLICY_MAPPING_FN:
        values["policy_mapping_fn"] = None
        # What RLlib's own default looks like, in configs from before policies began empty.
        if set(config.policies) == {DEFAULT_POLICY_ID}:
            values["policies"] = {}
    return Policies(**values)


def asks(config: IncentiveDesignConfig) -> bool:
    """Whether there are functions of the user's to ask, which :func:`asked` does."""
    return given(config).policy_mapping_fn is not None or callable(config.policies_to_train)


def asked(config: C, agents: Collection[str]) -> C:
    """A copy of a config in which the user's functions have been asked, once for each agent and policy.

    Raises:
        SettingError: if there is no policy for an agent, or a policy is not there.
    """
    of_user = given(config)
    mapping = {agent: of_user.policy_of(agent) for agent in agents}
    known = specs(config.policies)
    names = sorted({*mapping.values(), *known})
    of_user.check_trained(names)
    values: dict[str, Any] = {}
    if of_user.is_given:
        values = {"policy_mapping": mapping, "policy_mapping_fn": None}
        values["policies"] = {name: known.get(name, PolicySpec()) for name in names}
    if callable(train := config.policies_to_train):
        values["policies_to_train"] = [name for name in names if train(name, None)]
    settled = config.with_values(**values)
    given(settled).own_settings()
    return settled
