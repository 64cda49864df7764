"""A run is fixed by its seed, in every mode, with environments that draw anew at every reset."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import ParallelEnv
from ray import cloudpickle
from ray.tune.registry import register_env

from rllib_metagrad.algorithms import get_config_class


def dice() -> ParallelEnv:
    """Three steps that pay a number drawn at reset; without a seed from the machine's entropy, as many games do."""

    class Dice(ParallelEnv):
        metadata: ClassVar[dict[str, Any]] = {"name": "dice"}

        def __init__(self) -> None:
            self.possible_agents, self.agents, self.t, self.value = ["a", "b"], [], 0, 0.0
            self.seeds: list[int | None] = []

        def observation_space(self, agent: str) -> gym.Space:
            return gym.spaces.Box(0, 1, (1,), np.float32)

        def action_space(self, agent: str) -> gym.Space:
            return gym.spaces.Discrete(2)

        def _seen(self) -> dict[str, Any]:
            return {agent: np.array([self.value], np.float32) for agent in self.possible_agents}

        def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
            self.seeds.append(seed)
            self.value = float(np.random.default_rng(seed).random())
            self.agents, self.t = list(self.possible_agents), 0
            return self._seen(), {agent: {} for agent in self.agents}

        def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
            self.t += 1
            over, rewards = self.t == 3, dict.fromkeys(self.agents, self.value)
            flags = dict.fromkeys(self.agents, over)
            self.agents = [] if over else self.agents
            return self._seen(), rewards, flags, dict.fromkeys(flags, False), {agent: {} for agent in flags}

    return Dice()


def test_every_reset_has_a_seed_that_follows_from_the_first() -> None:
    from env_wrappers import LoopVectorEnv

    def seeds(seed: int) -> list[list[int | None]]:
        env = LoopVectorEnv(dice, 2, autoreset=True)
        env.reset(seed)
        for _ in range(12):
            env.step([np.zeros((2, 2), np.int64)])
        return [copy.seeds for copy in env.envs]  # type: ignore[attr-defined]

    first, again, other = seeds(5), seeds(5), seeds(6)
    assert first == again
    used = [seed for per_copy in first + other for seed in per_copy]
    assert None not in used
    assert len(set(used)) == len(used) == 4 * 4
    assert all(0 <= seed < 2**32 for seed in used if seed is not None)


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("mode", "runners"), [("truncate_episodes", 0), ("truncate_episodes", 2)])
def test_two_builds_with_one_seed(mode: str, runners: int) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # runners cannot import this file
    register_env("dice", lambda context: dice())

    def run(seed: int) -> list[float]:
        config = get_config_class("MetaGrad")().environment("dice").debugging(seed=seed, log_level="ERROR")
        config.env_runners(
            num_env_runners=runners,
            num_envs_per_env_runner=2,
            batch_mode=mode,
            rollout_fragment_length=10 if mode == "truncate_episodes" else "auto",
        )
        config.evaluation(evaluation_interval=1, evaluation_duration=5, evaluation_num_env_runners=runners // 2)
        algorithm = config.build_algo()
        results = [algorithm.train() for _ in range(3)]
        theta = algorithm.learner_group._learner.state.agents[0].theta
        algorithm.stop()
        numbers = [
            part["designer_return_mean"] for r in results for part in (r["env_runners"], r["evaluation"]["env_runners"])
        ]
        return [*numbers, *theta.flatten().tolist()]

    first = run(3)
    assert first == run(3)
    if not runners:
        assert first != run(4)
