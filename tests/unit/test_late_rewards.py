"""Rewards paid after an agent's end: every sum counts them, and its discounted return at its last step is exact."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pettingzoo import ParallelEnv

from env_wrappers import EnvAPIError, make_vec
from rllib_metagrad import MetaGradConfig
from rllib_metagrad.core.returns import advantages_and_targets
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.env_runner import IncentiveEnvRunner
from rllib_metagrad.late_rewards import LateRewards

GAMMA = 0.5


class Paid(ParallelEnv):
    """a and b act and earn 1 a step; b's life ends after a step; b is paid 10 in step ``when``; a's ends after 4 steps.

    By hand: a earns 4, b 11, the designer 15.
    """

    metadata: dict[str, Any] = {"name": "paid_v0"}  # noqa: RUF012

    def __init__(self, when: int) -> None:
        self.possible_agents, self.agents, self.when, self.t = ["a", "b"], [], when, 0

    def observation_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.t = ["a", "b"], 0
        return {"a": 0, "b": 0}, {}

    def step(self, actions: dict[str, Any]) -> Any:
        self.t += 1
        rewards = dict.fromkeys(actions, 1.0)
        if self.t == self.when:
            rewards["b"] = 10.0
        ended = {"a": self.t == 4} | ({"b": True} if self.t == 1 else {})
        self.agents = [] if self.t == 4 else ["a"]
        return dict.fromkeys(actions, 1), rewards, ended, {}.fromkeys(ended, False), {}


def runner_of(when: int, **settings: Any) -> IncentiveEnvRunner:
    config = MetaGradConfig().environment("paid").env_runners(num_envs_per_env_runner=2, **settings)
    config.training(gamma=GAMMA)
    config.debugging(seed=0)
    runner = IncentiveEnvRunner(config=config, env_creator=lambda context: Paid(when), worker_index=0, num_workers=0)
    generator = torch.Generator().manual_seed(0)
    thetas = [p.initialize(len(s.policy_ids), generator) for p, s in zip(runner.policies, runner.stacks, strict=True)]
    runner._weights = {"agents": thetas, "designer": runner.designer.initialize(generator), "epsilon": 0.0}
    return runner


def returns_of(trajectory: Trajectory) -> torch.Tensor:
    returns, _ = advantages_and_targets(
        trajectory.rewards, None, trajectory.terminated, trajectory.truncated, GAMMA, 1.0
    )
    return returns


@pytest.mark.parametrize("when", [2, 3, 4])
def test_complete_episodes(when: int) -> None:
    runner = runner_of(when)
    (trajectory,) = runner.sample()
    totals = runner.statistics.pop()
    assert totals is not None
    assert totals.agent_returns.tolist() == [[4, 11]] * 2
    assert totals.designer_return.tolist() == [15] * 2
    # R^ID has it in the step in which it is paid.
    expected = np.array([2.0, 1, 1, 1])
    expected[when - 1] += 10
    np.testing.assert_array_equal(trajectory.designer_rewards[:, 0], expected)
    # b's only action is followed by 1 at once and 10 after when - 1 steps.
    torch.testing.assert_close(returns_of(trajectory)[0, :, 1], torch.full((2,), 1 + GAMMA ** (when - 1) * 10))
    torch.testing.assert_close(returns_of(trajectory)[:, 0, 0], torch.tensor([1.875, 1.75, 1.5, 1.0]))


def test_fragments_within_which_they_are_paid() -> None:
    """Ten steps: two whole episodes, each after a reset."""
    runner = runner_of(3, batch_mode="truncate_episodes", rollout_fragment_length=9)
    (trajectory,) = runner.sample()
    totals = runner.statistics.pop()
    assert totals is not None
    assert totals.agent_returns.tolist() == [[4, 11]] * 4
    first_steps = returns_of(trajectory)[[0, 5], 0, 1]
    torch.testing.assert_close(first_steps, torch.full((2,), 1 + GAMMA**2 * 10))


def test_in_another_fragment_than_the_last_action() -> None:
    runner = runner_of(3, batch_mode="truncate_episodes", rollout_fragment_length=2)
    runner.sample()
    message = "env 'paid': agent 'b': paid 10 after its end, which was in an earlier fragment; set batch_mode: complete"
    with pytest.raises(EnvAPIError, match=message):
        runner.sample()


def rows(*values: float) -> np.ndarray:
    """One agent in one copy."""
    return np.array(values, np.float32).reshape(-1, 1, 1)


def credited(rewards: Any, active: Any, ended: Any, stepped: Any, gamma: float = GAMMA) -> list[float]:
    env = make_vec("matrix_game", 1)
    late = LateRewards(env, gamma)
    late._ended = late._ended[:, :1]
    paid = rows(*rewards)
    late.credit(paid, rows(*active) > 0, rows(*ended) > 0, rows(*stepped)[..., 0] > 0)
    return paid.ravel().tolist()


#: Rewards, active, ended, stepped, and what becomes of the rewards, by hand.
CASES = [
    pytest.param([1, 0, 8], [1, 0, 0], [1, 0, 0], [1, 1, 1], [3, 0, 6], id="two steps late"),
    pytest.param([1, 4, 8], [1, 0, 0], [1, 0, 0], [1, 1, 1], [5, 2, 6], id="twice"),
    pytest.param([1, 1, 8], [1, 1, 0], [0, 1, 0], [1, 1, 1], [1, 5, 4], id="after the second step"),
    pytest.param([1, 8, 1], [1, 0, 1], [0, 0, 1], [1, 1, 1], [1, 8, 1], id="not ended: the return has it anyway"),
    pytest.param([8, 1, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1], [8, 1, 1], id="before it came"),
    pytest.param([1, 0, 8, 1], [1, 0, 0, 1], [1, 0, 0, 0], [1, 0, 1, 1], [1, 0, 8, 1], id="in the next episode"),
]


@pytest.mark.parametrize(("rewards", "active", "ended", "stepped", "expected"), CASES)
def test_cases_by_hand(rewards: Any, active: Any, ended: Any, stepped: Any, expected: list[float]) -> None:
    assert credited(rewards, active, ended, stepped) == expected
    assert sum(expected) == sum(rewards)


def test_without_a_discount_all_of_it_moves() -> None:
    assert credited([1, 0, 8], [1, 0, 0], [1, 0, 0], [1, 1, 1], gamma=1.0) == [9, 0, 0]
