"""Taxes of the one-step economy: the mechanism repeats the environment's rewards and R^ID, and differentiates both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from economies import double, record
from hypothesis import given, settings
from hypothesis import strategies as st

from env_wrappers.one_step_economy import VectorOneStepEconomy
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.mechanisms import make_mechanism
from rllib_metagrad.mechanisms.taxes import BracketedTax

SETTINGS: list[dict[str, Any]] = [
    {},
    {"num_agents": 4, "planner_reward_type": "coin_eq_times_productivity", "mixing_weight_gini_vs_coin": 0.3},
    {"num_agents": 31, "planner_reward_type": "coin_eq_times_productivity"},
    {"num_agents": 3, "agent_reward_type": "isoelastic_coin_minus_labor", "labor_cost": 0.3, "isoelastic_eta": 0.4},
]


def played(rates: np.ndarray, config: dict[str, Any], seed: int = 0) -> tuple[BracketedTax, Trajectory]:
    """The mechanism, and one episode of random hours under ``rates [B, 7]``."""
    env = VectorOneStepEconomy(len(rates), **config)
    env.reset(0)
    rng = np.random.default_rng(seed)
    hours = rng.integers(1, 101, env.active.shape)
    todo = iter([np.zeros_like(hours), hours])
    trajectory = record(env, lambda: next(todo), rates[None])
    made = make_mechanism("bracketed_tax", hours.shape[1], 2, {}, env.mechanism_facts, env.name)
    assert isinstance(made, BracketedTax)
    return made, trajectory


@pytest.mark.parametrize("config", SETTINGS)
def test_rewards_and_designer_rewards_equal_the_environments(config: dict[str, Any]) -> None:
    mechanism, trajectory = played(np.random.default_rng(1).random((5, 7)), config)
    output = trajectory.designer_output
    torch.testing.assert_close(mechanism.rewards(output, trajectory), trajectory.rewards, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(mechanism.designer_rewards(output, trajectory), trajectory.designer_rewards)
    # Under the rates of another economy that did the same: what the environment gave that one.
    same = np.repeat(np.random.default_rng(2).random((1, 7)), 2, 0)
    other = np.random.default_rng(3).random((2, 7))
    (mechanism, first), (_, second) = (played(rates, config) for rates in (same, other))
    moved = mechanism.designer_rewards(second.designer_output, first)
    torch.testing.assert_close(moved, second.designer_rewards, rtol=1e-4, atol=1e-2)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), which=st.sampled_from(range(len(SETTINGS))))
def test_the_direct_effect_is_a_derivative(seed: int, which: int) -> None:
    """By finite differences."""
    mechanism, trajectory = played(np.random.default_rng(seed).uniform(0.1, 0.9, (1, 7)), SETTINGS[which], seed)
    trajectory = double(trajectory)
    output = trajectory.designer_output.requires_grad_()
    assert torch.autograd.gradcheck(lambda u: mechanism.designer_rewards(u, trajectory), (output,), atol=1e-4)
