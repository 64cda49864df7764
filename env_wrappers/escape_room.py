"""Escape Room ER(n, m): somebody must pull the lever at a cost so that others can leave.

Rules (Yang et al. 2020, 2022): each agent is at the lever (0), the start (1) or the door (2), and names
where to go. The door is open in a step if at least ``m`` agents choose the lever in that step. An agent that
chooses the open door gets +10; one that stays where it is gets 0; any other move costs 1. The episode ends
when somebody leaves through the open door, or is cut after ``max_steps``.

Agents observe their own position and then the others' in order, one-hot (3n numbers); the designer observes
all positions (3n). The sum of rewards is R^ID; its optimum is ``10(n - m) - m``, and a designer that pays the
lever just enough nets ``10(n - m) - 2m``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Self, get_args

import gymnasium as gym
import numpy as np
from pydantic import model_validator

from env_wrappers.config import EnvConfig, RenderMode, configured
from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.pictures import draw_escape_room
from env_wrappers.simultaneous import SimultaneousVectorEnv
from rllib_metagrad.settings import SettingError, setting

LEVER, START, DOOR = 0, 1, 2
NAMES = ("lever", "start", "door")


class EscapeRoomConfig(EnvConfig):
    """Keys of ER(n, m)."""

    NAME = "escape_room"

    # Observations take n * 3n numbers of each copy: 12 MB for 1000 agents.
    n: int = setting(5, "number of agents", ge=2, le=1000)
    m: int = setting(2, "how many must pull the lever, at most n - 1", ge=1)
    max_steps: int = setting(5, "steps after which an episode is cut", ge=1)
    render_mode: RenderMode | None = setting(None, "`human` (a line of text a step) or `rgb_array`")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.m >= self.n:
            raise SettingError(
                "m", f"must be between 1 and n - 1 = {self.n - 1} (somebody must be free to leave), got {self.m}"
            )
        return self

    @property
    def agent_names(self) -> tuple[str, ...]:
        """agent_0, agent_1, ..."""
        return tuple(f"agent_{i}" for i in range(self.n))


@configured(EscapeRoomConfig)
class EscapeRoom(IncentiveEnv):
    """ER(n, m) as a PettingZoo ParallelEnv.

    Args:
        config: None for the defaults.
        keys: fields of :class:`EscapeRoomConfig`, to set or change some.

    Raises:
        ValueError: for impossible values.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "escape_room_v0",
        "render_modes": list(get_args(RenderMode)),
        "render_fps": 2,
        "is_parallelizable": True,
    }

    def __init__(self, config: EscapeRoomConfig | None = None, **keys: Any) -> None:
        self.config = config = EscapeRoomConfig.of(config, keys)
        n = self.n = config.n
        self.m = config.m
        self.max_episode_steps = config.max_steps
        self.render_mode = config.render_mode
        self.possible_agents = list(config.agent_names)
        self.agents: list[str] = []
        self.num_action_types, self.action_type_names = 3, NAMES
        self.state_space = gym.spaces.Box(0.0, 1.0, (3 * n,), np.float32)
        self.observation_spaces = {
            agent: gym.spaces.Box(0.0, 1.0, (3 * n,), np.float32) for agent in self.possible_agents
        }
        self.action_spaces = {agent: gym.spaces.Discrete(3) for agent in self.possible_agents}
        self._positions = [START] * n
        self._actions: dict[str, int] = {}
        self._reward = 0.0
        self._open = False
        self._t = 0

    def observation_space(self, agent: str) -> gym.Space:
        """``Box(0, 1, (3n,))``."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """``Discrete(3)``: lever, start, door."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """All agents to the start. Nothing is random, so the seed changes nothing."""
        self.agents = list(self.possible_agents)
        self._positions = [START] * self.n
        self._actions, self._reward, self._open, self._t = {}, 0.0, False, 0
        return self._observations(), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """One joint move."""
        targets = [int(actions[agent]) for agent in self.possible_agents]
        self._open = sum(target == LEVER for target in targets) >= self.m
        rewards = {}
        for i, agent in enumerate(self.possible_agents):
            if self._open and targets[i] == DOOR:
                rewards[agent] = 10.0
            else:
                rewards[agent] = 0.0 if targets[i] == self._positions[i] else -1.0
        self._positions = targets
        self._t += 1
        left = self._open and DOOR in targets
        cut = not left and self._t >= self.config.max_steps
        self._actions = dict(zip(self.possible_agents, targets, strict=True))
        self._reward = sum(rewards.values())
        observations = self._observations()
        agents, self.agents = self.agents, [] if left or cut else self.agents
        if self.render_mode == "human":
            self.render()
        return (
            observations,
            rewards,
            dict.fromkeys(agents, left),
            dict.fromkeys(agents, cut),
            {agent: {} for agent in agents},
        )

    def _observations(self) -> dict[str, np.ndarray]:
        onehot = np.eye(3, dtype=np.float32)[self._positions]
        return {
            agent: np.concatenate([onehot[i], np.delete(onehot, i, axis=0).reshape(-1)])
            for i, agent in enumerate(self.possible_agents)
        }

    def state(self) -> np.ndarray:
        """All positions one-hot, ``[3n]``."""
        return np.eye(3, dtype=np.float32)[self._positions].reshape(-1)

    def action_types(self) -> dict[str, int]:
        """The place that each agent chose."""
        return self._actions

    def designer_reward(self) -> float:
        """Sum of the agents' rewards."""
        return self._reward

    def render(self) -> np.ndarray | None:
        """A picture, or a line of text on stdout."""
        if self.render_mode == "rgb_array":
            return draw_escape_room(self._positions, self._open, self._t, self._reward, self.m)
        if self.render_mode == "human":
            places = "  ".join(
                f"{name}: {[i for i, p in enumerate(self._positions) if p == place]}"
                for place, name in enumerate(NAMES)
            )
            print(f"t={self._t}  {places}  door {'open' if self._open else 'shut'}  reward {self._reward:g}")
        return None

    def close(self) -> None:
        """Nothing to release."""


@configured(EscapeRoomConfig)
class VectorEscapeRoom(SimultaneousVectorEnv):
    """B games of ER(n, m), identical to :class:`EscapeRoom` step for step.

    The first reset in a process imports numba and loads its kernels, together about half a second; once, before
    they are in numba's cache, they are compiled, which takes about as long again.

    Args:
        num_envs: B, >= 1.
        config: None for the defaults.
        autoreset: see :class:`VectorIncentiveEnv`.
        keys: fields of :class:`EscapeRoomConfig`, to set or change some.

    Raises:
        ValueError: for impossible values.
    """

    def __init__(
        self, num_envs: int, config: EscapeRoomConfig | None = None, autoreset: bool = False, **keys: Any
    ) -> None:
        self.config = config = EscapeRoomConfig.of(config, keys)
        super().__init__(
            config.NAME,
            num_envs,
            config.agent_names,
            observation_size=3 * config.n,
            state_size=3 * config.n,
            action_names=NAMES,
            max_steps=config.max_steps,
            start=np.full(config.n, START),
            autoreset=autoreset,
        )
        self.m = config.m

    @cached_property
    def _play_kernel(self) -> Callable[..., bool]:
        from env_wrappers import escape_room_kernel

        return escape_room_kernel.play

    @cached_property
    def _observe_kernel(self) -> Callable[..., None]:
        from env_wrappers import escape_room_kernel

        return escape_room_kernel.observe

    def _play(self, targets: np.ndarray, playing: np.ndarray, ended: np.ndarray) -> None:
        if not self._play_kernel(targets, playing, self.m, self._game, self.rewards, self.designer_reward, ended):
            raise self.invalid_action(targets)

    def _observe(self) -> None:
        self._observe_kernel(self._game, self.observations[0], self.state)

    def render(self) -> np.ndarray:
        # Whoever is at the lever chose it in the last step, so positions tell whether the door was open.
        is_open = bool((self._game[0] == LEVER).sum() >= self.m)
        t, reward = int(self._t[0]), float(self.designer_reward[0])
        return draw_escape_room(self._game[0].tolist(), is_open, t, reward, self.m)
