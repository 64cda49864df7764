"""Means over several env runners are means over all of their episodes or steps, however few a runner has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import ParallelEnv
from ray import cloudpickle
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger
from ray.tune.registry import register_env

from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.evaluation import evaluate
from rllib_metagrad.metrics import ACTION_SHARE, EPISODE_LENGTH
from rllib_metagrad.weighted_mean import NAME, WeightedMeanStats, without_plain_means

KNOWN = {**MetricsLogger().stats_cls_lookup, NAME: WeightedMeanStats}


def runner_reports(*pairs: tuple[float, float]) -> dict[str, Any]:
    logger = MetricsLogger(root=False, stats_cls_lookup=KNOWN)
    for mean, weight in pairs:
        EPISODE_LENGTH.log_mean(logger, mean, weight)
        ACTION_SHARE.of("eat").log_mean(logger, mean / 10, weight)
    return logger.reduce()


@pytest.mark.parametrize(
    ("reports", "mean"),
    [
        ([[(8.0, 1)], [(1.0, 7)]], 15 / 8),
        ([[(2.0, 3), (4.0, 1)], [(6.0, 4)]], (6 + 4 + 24) / 8),
        ([[(0.1, 3)]], 0.1),  # a single value keeps its bits
        ([[(2.0, 0)], [(4.0, 0)]], 3.0),
        ([[], [(5.0, 2)]], 5.0),
    ],
)
def test_means_are_weighted(reports: list[list[tuple[float, float]]], mean: float) -> None:
    root = MetricsLogger(root=True, stats_cls_lookup=KNOWN)
    for _ in range(2):  # each iteration starts anew
        root.aggregate([runner_reports(*pairs) for pairs in reports], key="env_runners")
        assert root.peek(("env_runners", str(EPISODE_LENGTH)), latest_merged_only=True) == pytest.approx(mean)
        # What is not reported yet survives a checkpoint.
        again = MetricsLogger(root=True, stats_cls_lookup=KNOWN)
        again.set_state(root.get_state())
        for logger in (root, again):
            result = logger.reduce(compile=True)["env_runners"]
            assert result[EPISODE_LENGTH] == (mean if len(reports) == 1 else pytest.approx(mean))
            assert result["action_share"]["eat"] == pytest.approx(mean / 10)


def test_plain_means_of_an_earlier_version_make_room() -> None:
    old = MetricsLogger(root=True)
    old.log_value(("env_runners", str(EPISODE_LENGTH)), 3.0, reduce="mean")
    old.log_value(("env_runners", "mine"), 3.0, reduce="mean", window=5)
    old.log_value(("learners", "loss"), 3.0, reduce="mean")
    old.log_value(("env_runners", "num_episodes"), 3, reduce="sum")
    kept = without_plain_means(old.get_state())["stats"]
    assert set(kept) == {"env_runners--mine", "learners--loss", "env_runners--num_episodes"}


def lengths_of(worker: int) -> ParallelEnv:
    """One agent that is paid 1 a step; runner 1 plays 13 steps and only action 0, runner 2 one step and action 1."""

    class Lengths(ParallelEnv):
        metadata: ClassVar[dict[str, Any]] = {"name": "lengths"}

        def __init__(self) -> None:
            self.possible_agents, self.agents, self.t = ["a"], [], 0
            self.length, self.action = (13, 0) if worker <= 1 else (1, 1)

        def observation_space(self, agent: str) -> gym.Space:
            box = gym.spaces.Box(0, 1, (1,), np.float32)
            return gym.spaces.Dict({"observation": box, "action_mask": gym.spaces.MultiBinary(2)})

        def action_space(self, agent: str) -> gym.Space:
            return gym.spaces.Discrete(2)

        def _seen(self) -> dict[str, Any]:
            mask = np.eye(2, dtype=np.int8)[self.action]
            return {"a": {"observation": np.zeros(1, np.float32), "action_mask": mask}}

        def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
            self.agents, self.t = ["a"], 0
            return self._seen(), {"a": {}}

        def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
            self.t += 1
            over = self.t == self.length
            self.agents = [] if over else ["a"]
            return self._seen(), {"a": 1.0}, {"a": over}, {"a": False}, {"a": {}}

    return Lengths()


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
def test_two_runners_with_one_and_with_seven_episodes() -> None:
    """13 rows are one episode of 13 steps, or seven of one, with a row for each reset in between."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # runners cannot import this file
    register_env("lengths", lambda context: lengths_of(context.worker_index))
    config = get_config_class("FixedIncentive")().environment("lengths")
    config.env_runners(
        num_env_runners=2,
        num_envs_per_env_runner=1,
        batch_mode="truncate_episodes",
        rollout_fragment_length=13,
    )
    config.evaluation(evaluation_num_env_runners=2, evaluation_duration=3, evaluation_interval=1)
    config.debugging(seed=0, log_level="ERROR")
    algorithm = config.build_algo()
    for _ in range(2):
        # A fragment that begins with the row of a reset has six episodes of one step, and twelve steps of the other.
        result = algorithm.train()
        trained, evaluated = result["env_runners"], result["evaluation"]["env_runners"]
        if result["training_iteration"] == 1:
            assert trained["num_episodes"] == 8
            assert trained["episode_len_mean"] == trained["episode_return_mean"] == (13 + 7) / 8
            assert trained["designer_return_mean"] == trained["agent_episode_returns_mean"]["a"] == (13 + 7) / 8
            assert trained["action_share"]["0"] == pytest.approx(13 / 20)
            assert trained["agent_action_share"]["a"]["1"] == pytest.approx(7 / 20)
            assert (trained["episode_return_min"], trained["episode_return_max"]) == (1, 13)
            assert (trained["episode_len_min"], trained["episode_len_max"]) == (1, 13)
            assert trained["agent_steps"]["a"] == trained["module_episode_returns_mean"]["a"] == (13 + 7) / 8
            assert trained["num_agent_steps_sampled"] == {"a": 20, "__all_agents__": 20, "all": 20}
            assert trained["num_module_steps_sampled"] == {"a": 20}
            assert trained["agent_returns_mean"] == trained["agent_episode_returns_mean"]  # its name in 0.1
            assert evaluated["agent_returns_mean"] == {"a": (13 + 13 + 1) / 3}
        # Three episodes: runner 1 plays two, runner 2 one.
        assert evaluated["num_episodes"] == 3
        assert evaluated["episode_len_mean"] == evaluated["episode_return_mean"] == (13 + 13 + 1) / 3
        assert evaluated["action_share"]["0"] == pytest.approx(26 / 27)
    steps = result["env_runners"]
    total = steps["num_env_steps_sampled_lifetime"]
    assert steps["num_agent_steps_sampled_lifetime"] == steps["num_module_steps_sampled_lifetime"] == {"a": total}
    assert total > 20
    # RLlib's own evaluate() has both names, too.
    by_hand = algorithm.evaluate()["env_runners"]
    assert by_hand["agent_returns_mean"] == by_hand["agent_episode_returns_mean"]
    algorithm.stop()


class Walk(ParallelEnv):
    """Episodes of 3, 4, 5, 3, 4, 5, ... steps of two agents, who earn 1 and 2 a step."""

    metadata: ClassVar[dict[str, Any]] = {"name": "walk"}

    def __init__(self) -> None:
        self.possible_agents, self.agents, self.t, self.episode = ["a", "b"], [], 0, -1

    def observation_space(self, agent: str) -> gym.Space:
        return gym.spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.t, self.episode = ["a", "b"], 0, self.episode + 1
        return {agent: np.zeros(1, np.float32) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.t += 1
        over, agents = self.t == 3 + self.episode % 3, self.agents
        self.agents = [] if over else agents
        seen = {agent: np.zeros(1, np.float32) for agent in agents}
        rewards = dict(zip(agents, (1.0, 2.0), strict=False))
        return seen, rewards, dict.fromkeys(agents, over), dict.fromkeys(agents, False), {agent: {} for agent in agents}


@pytest.fixture(scope="module")
def walker(ray_session: None) -> Iterator[Any]:
    register_env("walk", lambda _: Walk())
    config = get_config_class("FixedIncentive")().environment("walk").debugging(seed=0, log_level="ERROR")
    config.env_runners(num_envs_per_env_runner=2).incentives(parameter_sharing=True)
    algorithm = config.build_algo()
    yield algorithm
    algorithm.stop()


@pytest.mark.integration
@pytest.mark.parametrize("steps", [1, 3, 7, 8, 23])
def test_an_evaluation_by_steps_is_the_fewest_whole_episodes(walker: Any, steps: int) -> None:
    result = evaluate(walker, steps=steps, seed=1)
    assert result["steps"] >= steps > result["steps"] - result["episode_len_max"]
    assert result["steps"] == pytest.approx(result["episodes"] * result["episode_len_mean"])
    assert 3 <= result["episode_len_min"] <= result["episode_len_max"] <= 5
    mean = result["episode_len_mean"]
    assert (
        result["agent_episode_returns_mean"]
        == result["agent_returns_mean"]
        == pytest.approx({"a": mean, "b": 2 * mean})
    )
    assert result["module_episode_returns_mean"] == pytest.approx({"shared": 3 * mean})


@pytest.mark.integration
def test_episodes_and_steps_are_not_given_together(walker: Any) -> None:
    assert evaluate(walker, 5, seed=1)["episodes"] == 5
    for arguments, message in (
        ({"episodes": 3, "steps": 9}, "episodes and steps: give one"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"episodes": 0}, "episodes must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(walker, **arguments)
