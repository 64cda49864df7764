"""Small ParallelEnvs with one peculiarity each: a script, a random stream, an IncentiveEnv's own reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from env_wrappers import IncentiveEnv, LoopVectorEnv

Result = tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]


class Scripted(ParallelEnv):
    """Two steps long; agents have given spaces, and observe a constant plus the step.

    Args:
        observation_spaces, action_spaces: by agent.
        observe: ``(agent, t) -> observation``.
        change: alters what ``step`` returns, in place or by returning another value.
        lives: after how many steps each agent leaves (2 unless given); it is then terminated.
        keep_listed: finished agents stay in ``agents``, flagged True, and go on observing zeros.
    """

    def __init__(
        self,
        observation_spaces: Mapping[str, gym.Space],
        action_spaces: Mapping[str, gym.Space],
        observe: Callable[[str, int], Any],
        change: Callable[[Scripted, Result], Any] | None = None,
        lives: Mapping[str, int] | None = None,
        keep_listed: bool = False,
        infos: Callable[[str, int], dict[str, Any]] | None = None,
    ) -> None:
        self.metadata = {"name": "scripted_v0", "render_modes": []}
        self.observation_spaces, self.action_spaces = dict(observation_spaces), dict(action_spaces)
        self.possible_agents = list(self.observation_spaces)
        self.agents: list[str] = []
        self._observe, self._change, self._keep = observe, change, keep_listed
        self._infos = infos or (lambda agent, t: {})
        self._lives = dict.fromkeys(self.possible_agents, 2) | dict(lives or {})
        self.received: list[dict[str, Any]] = []
        self.t = 0

    def observation_space(self, agent: str) -> gym.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.t, self.received = list(self.possible_agents), 0, []
        observations = {a: self._observe(a, 0) for a in self.agents}
        return observations, {a: self._infos(a, 0) for a in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        self.t += 1
        self.received.append(actions)
        here = list(self.possible_agents) if self._keep else list(self.agents)
        over = {a: self.t >= self._lives[a] for a in here}
        observations = {}
        for agent in here:
            gone = self.t > self._lives[agent]
            seen = self._observe(agent, self.t)
            observations[agent] = np.zeros_like(seen) if gone else seen
        if not self._keep:
            self.agents = [a for a in self.agents if not over[a]]
        rewards = {a: np.float64(1.0) for a in here}
        result = (
            observations,
            rewards,
            over,
            dict.fromkeys(here, False),
            {a: self._infos(a, self.t) for a in here},
        )
        changed = self._change(self, result) if self._change else None
        return result if changed is None else changed


def vectors(**keywords: Any) -> Scripted:
    """Agents a and b observe ``[t, t]`` and choose one of two."""
    box = gym.spaces.Box(-10.0, 10.0, (2,), np.float32)
    return Scripted(
        {"a": box, "b": box},
        {"a": gym.spaces.Discrete(2), "b": gym.spaces.Discrete(2)},
        lambda agent, t: np.full(2, t + 1, np.float32),
        **keywords,
    )


class Noisy(ParallelEnv):
    """One agent that sees a random number; the generator is seeded only by ``reset(seed)``."""

    metadata: dict[str, Any] = {"name": "noisy_v0", "render_modes": []}  # noqa: RUF012

    def __init__(self) -> None:
        self.possible_agents = ["a"]
        self.agents: list[str] = []
        self._space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
        self._choices = gym.spaces.Discrete(2)
        self._rng = np.random.default_rng()
        self._t = 0

    def observation_space(self, agent: str) -> gym.Space:
        return self._space

    def action_space(self, agent: str) -> gym.Space:
        return self._choices

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.agents, self._t = ["a"], 0
        return {"a": self._rng.random(1, np.float32)}, {"a": {}}

    def step(self, actions: dict[str, Any]) -> Result:
        self._t += 1
        cut = self._t >= 3
        self.agents = [] if cut else ["a"]
        return {"a": self._rng.random(1, np.float32)}, {"a": 0.0}, {"a": False}, {"a": cut}, {"a": {}}


class Taxed(IncentiveEnv):
    """An IncentiveEnv with types, features and a context of its own."""

    metadata: dict[str, Any] = {"name": "taxed_v0", "render_modes": []}  # noqa: RUF012
    num_action_types, action_type_names = 2, ("rest", "work")
    action_feature_size, max_episode_steps = 1, 2

    def __init__(self) -> None:
        self.possible_agents = ["a", "b"]
        self.agents: list[str] = []
        self._space = gym.spaces.Box(0.0, 9.0, (1,), np.float32)
        self._choices = gym.spaces.Discrete(4)
        self.state_space = gym.spaces.Box(0.0, 9.0, (3,), np.float32)
        self._last: dict[str, int] = {}
        self._t = 0

    def observation_space(self, agent: str) -> gym.Space:
        return self._space

    def action_space(self, agent: str) -> gym.Space:
        return self._choices

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self._last, self._t = ["a", "b"], {}, 0
        return {a: np.zeros(1, np.float32) for a in self.agents}, {a: {} for a in self.agents}

    def step(self, actions: dict[str, Any]) -> Result:
        self._t, self._last = self._t + 1, {k: int(v) for k, v in actions.items()}
        here, over = list(self.agents), self._t >= 2
        self.agents = [] if over else here
        zeros = {a: np.zeros(1, np.float32) for a in here}
        return zeros, dict.fromkeys(here, 1.0), dict.fromkeys(here, False), dict.fromkeys(here, over), {}

    def state(self) -> np.ndarray:
        return np.full(3, self._t, np.float32)

    def action_types(self) -> dict[str, int]:
        return {a: int(k >= 2) for a, k in self._last.items()}

    def action_features(self) -> dict[str, np.ndarray]:
        return {a: np.array([k / 2], np.float32) for a, k in self._last.items()}

    def designer_reward(self) -> float:
        return 7.0

    def context(self) -> dict[str, np.ndarray]:
        return {"income": np.array([self._last.get(a, 0) for a in self.possible_agents], np.float32)}


def loop(make: Callable[[], ParallelEnv], num_envs: int = 1, autoreset: bool = False) -> LoopVectorEnv:
    """Copies of a small environment, reset."""
    env = LoopVectorEnv(make, num_envs, autoreset=autoreset)
    env.reset(0)
    return env
