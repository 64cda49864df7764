"""Environment steps per CPU second: IncentiveEnvRunner beside RLlib's MultiAgentEnvRunner, same game, same policies.

    python benchmarks/sampling.py [--repeats 5]

ER(5,2), five separate 64-32 policies, one thread; both runners in this process, their blocks interleaved.
The floor is the bare forward pass and draw of the five policies for a batch of 64, without environment or records.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import common
import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.tune.registry import register_env

import env_wrappers
from rllib_metagrad import MetaGradConfig

NUM_ENVS = 64
# As in training with the shipped configs: metrics are fetched once an iteration of 25 updates.
SAMPLES_PER_REPORT = 25


class RLlibEscapeRoom(MultiAgentEnv):
    """Escape Room as RLlib's own runner takes it."""

    def __init__(self, config: dict | None = None) -> None:
        super().__init__()
        self.env = env_wrappers.make("escape_room", n=5, m=2)
        self.agents = self.possible_agents = list(self.env.possible_agents)
        self.observation_spaces = self.env.observation_spaces
        self.action_spaces = self.env.action_spaces

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """All to the start."""
        return self.env.reset(seed=seed)

    def step(self, actions: dict) -> tuple:
        """One move; the whole episode ends for all."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        terminations["__all__"] = all(terminations.values())
        truncations["__all__"] = all(truncations.values())
        return observations, rewards, terminations, truncations, infos


def ours() -> Callable[[], int]:
    """A function that samples once and returns how many environment steps that took."""
    config = (
        MetaGradConfig()
        .environment("escape_room", env_config={"n": 5, "m": 2})
        .env_runners(num_envs_per_env_runner=NUM_ENVS)
        .agents(network={"hiddens": [64, 32]})
        .debugging(seed=0, log_level="ERROR")
    )
    algorithm = common.build(config)
    state = algorithm.learner_group.get_state(
        components=COMPONENT_LEARNER + "/" + COMPONENT_RL_MODULE, inference_only=True
    )
    runner = algorithm.env_runner
    runner.set_state(state[COMPONENT_LEARNER])

    calls = itertools.count()

    def sample() -> int:
        steps = sum(trajectory.env_steps() for trajectory in runner.sample())
        if next(calls) % SAMPLES_PER_REPORT == 0:
            runner.get_metrics()
        return steps

    return sample


def rllibs() -> Callable[[], int]:
    """The same for MultiAgentEnvRunner."""
    register_env("rllib_escape_room", RLlibEscapeRoom)
    agents = [f"agent_{i}" for i in range(5)]
    config = (
        PPOConfig()
        .environment("rllib_escape_room")
        .multi_agent(policies=set(agents), policy_mapping_fn=lambda agent, *args, **kwargs: agent)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[64, 32], fcnet_activation="relu"))
        .env_runners(num_envs_per_env_runner=NUM_ENVS, rollout_fragment_length=5, num_env_runners=0)
        .debugging(seed=0, log_level="ERROR")
    )
    runner = MultiAgentEnvRunner(config=config, worker_index=0, num_workers=0)

    calls = itertools.count()

    def sample() -> int:
        steps = sum(episode.env_steps() for episode in runner.sample(num_timesteps=5 * NUM_ENVS))
        if next(calls) % SAMPLES_PER_REPORT == 0:
            runner.get_metrics()
        return steps

    return sample


def floor() -> Callable[[], int]:
    """Five stacked forwards and draws: what no sampler can do without."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(5, i, o) for i, o in ((15, 64), (64, 32), (32, 3))]
    biases = [torch.zeros(5, 1, o) for o in (64, 32, 3)]
    x = torch.rand(5, NUM_ENVS, 15)

    @torch.no_grad()
    def forward() -> int:
        hidden = x
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if i < 2:
                hidden = torch.relu(hidden)
        log_probs = torch.log_softmax(hidden, -1)
        torch.argmax(torch.exp(log_probs) / torch.empty_like(log_probs).exponential_(generator=generator), -1)
        return NUM_ENVS

    return forward


def rate(sample: Callable[[], int], seconds: float) -> float:
    """Environment steps per CPU second."""
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        steps += sample()
    return steps / (time.process_time() - start)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    common.start_ray()
    samplers = {"env_steps_per_cpu_second": ours(), "rllib_env_steps_per_cpu_second": rllibs(), "floor": floor()}
    assert isinstance(env_wrappers.make("escape_room").action_space("agent_0"), gym.spaces.Discrete)
    for sample in samplers.values():
        rate(sample, 0.2)
    rates: dict[str, list[float]] = {name: [] for name in samplers}
    for _ in range(arguments.repeats):
        for name, sample in samplers.items():
            rates[name].append(rate(sample, 1.0))
    median = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name}: median {median[name]:,.0f} (from {min(values):,.0f} to {max(values):,.0f})")
    ratios = np.divide(rates["env_steps_per_cpu_second"], rates["rllib_env_steps_per_cpu_second"])
    common.finish(
        {
            "env_steps_per_cpu_second": round(median["env_steps_per_cpu_second"]),
            "rllib_env_steps_per_cpu_second": round(median["rllib_env_steps_per_cpu_second"]),
            "ratio": round(float(np.median(ratios)), 1),
            "floor_env_steps_per_cpu_second": round(median["floor"]),
        }
    )


if __name__ == "__main__":
    main()
