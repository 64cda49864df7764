"""The environments' own metrics: of which episodes they are, and how they get through loops and runners."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch

from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.loop import LoopVectorEnv
from env_wrappers.vector import EnvAPIError
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.episode_statistics import EpisodeStatistics


def trajectory(over: np.ndarray) -> Trajectory:
    """Steps of one agent that earn 1 each; episodes follow each other at once."""
    t, b = over.shape
    ones, none = torch.ones(t, b, 1), torch.zeros(t, b, 1, dtype=torch.bool)
    return Trajectory(
        stacks=(),
        states=torch.zeros(t + 1, b, 1),
        action_features=ones,
        action_types=torch.zeros(t, b, 1, dtype=torch.int64),
        rewards=ones,
        active=~none,
        terminated=none,
        truncated=none,
        designer_rewards=ones[..., 0],
        stepped=~none[..., 0],
        over=torch.from_numpy(over),
        over_terminated=torch.from_numpy(over),
        designer_output=ones,
    )


def test_metrics_stand_beside_the_totals_of_their_episodes() -> None:
    """Fragments: environment 0 ends after steps 2 and 4, environment 1 after step 4, environment 2 after step 3."""
    over = np.zeros((5, 3), bool)
    over[[1, 3, 3, 2], [0, 0, 1, 2]] = True
    metrics = [{"name": np.array([20.0])}, {"name": np.array([32.0])}, {"name": np.array([40.0, 41.0])}]
    statistics = EpisodeStatistics(3, 1, 1, 1)
    statistics.add(trajectory(over), np.zeros((5, 3, 1)), metrics)
    totals = statistics.pop()
    assert totals is not None
    assert totals.length.tolist() == [2, 3, 2, 4]
    assert totals.metrics["name"].tolist() == [20, 32, 40, 41]
    assert statistics.pop() is None


def test_only_so_many_complete_episodes_count() -> None:
    over = np.zeros((5, 3), bool)
    over[-1] = True
    metrics = {"name": np.array([1.0, 2.0, 3.0])}
    statistics = EpisodeStatistics(3, 1, 1, 1)
    statistics.add_complete(trajectory(over), np.zeros((5, 3, 1)), 2, metrics)
    statistics.add_complete(trajectory(over), np.zeros((5, 3, 1)), None, metrics)
    totals = statistics.pop()
    assert totals is not None
    assert totals.metrics["name"].tolist() == [1, 2, 1, 2, 3]
    assert len(totals.length) == 5


def test_without_metrics() -> None:
    statistics = EpisodeStatistics(1, 1, 1, 1)
    statistics.add(trajectory(np.ones((2, 1), bool)), np.zeros((2, 1, 1)))
    statistics.add_complete(trajectory(np.ones((1, 1), bool)), np.zeros((1, 1, 1)), None, {})
    totals = statistics.pop()
    assert totals is not None
    assert len(totals.length) == 3
    assert totals.metrics == {}


class Counting(IncentiveEnv):
    """Ends after two steps; its metric is how many times it was reset."""

    metadata: ClassVar[dict[str, Any]] = {"name": "counting_v0", "render_modes": []}

    def __init__(self, metric: Any = None) -> None:
        self.possible_agents, self.agents = ["a"], []
        self.num_action_types, self.action_type_names = 1, ("any",)
        self.state_space = gym.spaces.Box(0, 1, (1,), np.float32)
        self.metric = metric
        self.resets = self.t = 0

    def observation_space(self, agent: str) -> gym.Space:
        return gym.spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.t, self.resets = ["a"], 0, self.resets + 1
        return {"a": np.zeros(1, np.float32)}, {"a": {}}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.t += 1
        over = self.t == 2
        self.agents = [] if over else ["a"]
        return {"a": np.zeros(1, np.float32)}, {"a": 1.0}, {"a": over}, {"a": False}, {"a": {}}

    def state(self) -> np.ndarray:
        return np.zeros(1, np.float32)

    def action_types(self) -> dict[str, int]:
        return {"a": 0}

    def designer_reward(self) -> float:
        return 0.0

    def episode_metrics(self) -> dict[str, float]:
        return {"parts/resets": self.resets if self.metric is None else self.metric}


def test_of_environments_in_a_loop() -> None:
    env = LoopVectorEnv(Counting, 3, autoreset=True)
    env.reset(0)
    before = [copy.resets for copy in env.envs]
    env.envs[1].resets += 5
    for _ in range(2):
        env.step([np.zeros((3, 1), int)])
    assert env.episode_over.all()
    measured = env.episode_metrics(np.array([True, True, False]))
    assert measured["parts/resets"].tolist() == [before[0], before[1] + 5]
    assert env.episode_metrics(np.zeros(3, bool)) == {}


def test_what_is_no_number_is_refused() -> None:
    env = LoopVectorEnv(lambda: Counting(metric="many"), 1, name="counting")
    env.reset(0)
    with pytest.raises(EnvAPIError, match=r"counting.*episode_metrics\(\)\['parts/resets'\].*'many'"):
        env.episode_metrics(np.ones(1, bool))
