"""A user's own R^ID is asked about a few real steps before Ray starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch

from env_wrappers.vector import VectorIncentiveEnv
from rllib_metagrad.core.own_objective import judge
from rllib_metagrad.core.state import Setup
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.modules.population import Stack
from rllib_metagrad.sampling import Behavior, Sampler

__all__ = ["try_objective"]

_STEPS = 3


def try_objective(setup: Setup[Any, Any, Any], stacks: Sequence[Stack], env: VectorIncentiveEnv) -> None:
    """Steps an environment with policies that have learned nothing, and asks ``designer_objective`` what it was worth.

    Raises:
        SettingError: on one line, if it fails, or does not give a finite number for each step.
    """
    generator = torch.Generator().manual_seed(0)
    thetas = [
        policy.initialize(len(stack.policy_ids), generator)
        for policy, stack in zip(setup.policies, stacks, strict=True)
    ]
    behavior = Behavior(thetas, setup.designer.initialize(generator), epsilon=0.0, greedy=False, weights_seq_no=0)
    policies = cast(tuple[StackedPolicy, ...], setup.policies)
    sampler = Sampler(env, stacks, policies, setup.designer, generator)
    judge(setup.settings.designer.objective)(sampler.fragment(behavior, _STEPS, reset=True))
