"""Payments and tolls of the one-shot games: by hand, equal to the environment's R^ID, differentiable, counted once."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from economies import double
from hypothesis import given, settings
from hypothesis import strategies as st

from env_wrappers import make_vec
from env_wrappers.one_shot.base import OneShotVectorEnv
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.episode_statistics import EpisodeStatistics
from rllib_metagrad.mechanisms import Mechanism, make_mechanism

GAMES: list[tuple[str, str, dict[str, Any]]] = [
    ("contract", "payment", {"num_agents": 2}),
    ("public_goods", "payment", {"num_agents": 3, "num_levels": 4}),
    ("routing", "toll", {"num_drivers": 4}),
    ("routing", "toll", {"num_drivers": 3, "network": "braess", "tolled": ["bridge", "up_narrow"]}),
]


def played(name: str, mechanism: str, config: dict[str, Any], prices: np.ndarray, seed: int = 0) -> Any:
    """The mechanism, and a step of random actions under ``prices [B, U]``."""
    env = make_vec(name, len(prices), **config)
    assert isinstance(env, OneShotVectorEnv)
    env.reset(0)
    env.step([np.random.default_rng(seed).integers(0, env.num_action_types, env.active.shape)], prices)
    shape = (1, *env.rewards.shape)
    yes = torch.ones(shape, dtype=torch.bool)
    trajectory = Trajectory(
        stacks=(),
        states=torch.ones(2, len(prices), 1),
        action_features=torch.zeros(*shape[:2], 1),
        action_types=torch.from_numpy(env.action_types)[None],
        rewards=torch.from_numpy(env.rewards)[None],
        active=yes,
        terminated=yes,
        truncated=~yes,
        designer_rewards=torch.from_numpy(env.designer_reward)[None],
        stepped=yes[..., 0],
        over=yes[..., 0],
        over_terminated=yes[..., 0],
        designer_output=torch.from_numpy(prices.astype(np.float32))[None],
    )
    made = make_mechanism(mechanism, shape[2], env.num_action_types, {"scale": 5.0}, env.mechanism_facts, env.name)
    return made, trajectory


def prices(which: int, batch: int, seed: int) -> np.ndarray:
    count = 2 if "tolled" in GAMES[which][2] else 1
    return np.random.default_rng(seed).uniform(0.1, 2, (batch, count))


def test_a_payment_by_hand() -> None:
    mechanism, trajectory = played(*GAMES[1], np.array([[0.5]]))
    trajectory = replace(trajectory, action_types=torch.tensor([[[0, 1, 3]]]))
    np.testing.assert_allclose(mechanism.incentives(trajectory.designer_output, trajectory), [[[0, 0.5, 1.5]]])
    idle = replace(trajectory, active=torch.tensor([[[True, True, False]]]))
    np.testing.assert_allclose(mechanism.incentives(trajectory.designer_output, idle), [[[0, 0.5, 0]]])
    assert mechanism.output_names == ("subsidy",)


def test_tolls_by_hand() -> None:
    mechanism, trajectory = played(*GAMES[3], np.array([[0.5, 0.25]]))
    trajectory = replace(trajectory, action_types=torch.tensor([[[0, 1, 2]]]))
    found = mechanism.rewards(trajectory.designer_output, trajectory) - trajectory.rewards
    np.testing.assert_allclose(found, [[[-0.25, -0.75, 0]]], atol=1e-6)
    assert mechanism.output_names == ("bridge", "up_narrow")


@pytest.mark.parametrize("which", range(len(GAMES)))
def test_designer_rewards_are_the_environments_under_other_prices(which: int) -> None:
    (mechanism, first), (_, second) = (played(*GAMES[which], prices(which, 6, seed)) for seed in (1, 2))
    torch.testing.assert_close(mechanism.designer_rewards(first.designer_output, first), first.designer_rewards)
    moved = mechanism.designer_rewards(second.designer_output, first)
    torch.testing.assert_close(moved, second.designer_rewards, rtol=1e-4, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), which=st.sampled_from(range(len(GAMES))))
def test_gradients_by_finite_differences(seed: int, which: int) -> None:
    mechanism, trajectory = played(*GAMES[which], prices(which, 2, seed), seed)
    trajectory = double(trajectory)
    output = trajectory.designer_output.requires_grad_()
    for function in (mechanism.rewards, mechanism.designer_rewards):
        value = function(output, trajectory)
        if value.requires_grad:
            assert torch.autograd.gradcheck(lambda u, f=function: f(u, trajectory), (output,))
        else:  # tolls are transfers
            assert GAMES[which][1] == "toll"
            assert function == mechanism.designer_rewards


@pytest.mark.parametrize("which", range(len(GAMES)))
def test_net_returns_count_payments_once(which: int) -> None:
    mechanism, trajectory = played(*GAMES[which], prices(which, 3, 0))
    assert isinstance(mechanism, Mechanism)
    statistics = EpisodeStatistics(
        3, trajectory.rewards.shape[2], mechanism.num_action_types, mechanism.num_outputs, True
    )
    statistics.add_complete(trajectory, mechanism.incentives(trajectory.designer_output, trajectory).numpy())
    totals = statistics.pop()
    assert totals is not None
    assert abs(totals.paid).sum() > 0
    np.testing.assert_array_equal(totals.net, totals.designer_return)


def test_an_environment_without_units_is_refused() -> None:
    message = "mechanism 'toll' does not fit escape_room, which has no prices, units, cost_of_funds"
    with pytest.raises(ValueError, match=re.escape(message)):
        make_mechanism("toll", 2, 3, {}, make_vec("escape_room", 1).mechanism_facts, "escape_room")
