"""Escape Room ER(n, m): somebody must pull the lever at a cost so that others can leave (Yang et al. 2020, 2022).

Rules: each agent is at the lever (0), the start (1) or the door (2), and names where to go. The door is open in a
step if at least ``m`` agents choose the lever in that step. An agent that chooses the open door gets +10; one that
stays where it is gets 0; any other move costs 1. The episode ends when somebody leaves through the open door, or is
cut after ``max_steps``.

Agents observe their own position and then the others' in order, one-hot (3n numbers); the designer observes all
positions (3n). The sum of rewards is R^ID; its optimum is ``10(n - m) - m``, and a designer that pays the lever
just enough nets ``10(n - m) - 2m``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.pictures import draw_escape_room
from env_wrappers.vector import AgentGroup, VectorIncentiveEnv

LEVER, START, DOOR = 0, 1, 2
NAMES = ("lever", "start", "door")


def check_config(n: Any, m: Any, max_steps: Any) -> None:
    """Raises a ValueError for impossible games."""
    for key, value in (("n", n), ("m", m), ("max_steps", max_steps)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"escape_room: {key} must be a whole number, got {value!r}")
    if n < 2:
        raise ValueError(f"escape_room: n must be at least 2, got {n}")
    if not 1 <= m < n:
        raise ValueError(
            f"escape_room: m must be between 1 and n - 1 = {n - 1} (somebody must be free to leave), got {m}"
        )
    if max_steps < 1:
        raise ValueError(f"escape_room: max_steps must be at least 1, got {max_steps}")


def agent_names(n: int) -> tuple[str, ...]:
    """agent_0, agent_1, ..."""
    return tuple(f"agent_{i}" for i in range(n))


class EscapeRoom(IncentiveEnv):
    """ER(n, m) as a PettingZoo ParallelEnv.

    Args:
        n: number of agents, >= 2.
        m: how many must pull the lever, 1 <= m < n.
        max_steps: after which an episode is cut.
        render_mode: None, ``human`` (a line of text a step) or ``rgb_array``.

    Raises:
        ValueError: for impossible values.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "escape_room_v0",
        "render_modes": ["human", "rgb_array"],
        "render_fps": 2,
        "is_parallelizable": True,
    }

    def __init__(self, n: int = 5, m: int = 2, max_steps: int = 5, render_mode: str | None = None) -> None:
        check_config(n, m, max_steps)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"escape_room: render_mode must be human or rgb_array, got {render_mode!r}")
        self.n, self.m, self.max_episode_steps = n, m, max_steps
        self.render_mode = render_mode
        self.possible_agents = list(agent_names(n))
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
        cut = not left and self._t >= self.max_episode_steps
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


class VectorEscapeRoom(VectorIncentiveEnv):
    """B games of ER(n, m), identical to :class:`EscapeRoom` step for step."""

    resumable = True

    def __init__(
        self,
        num_envs: int,
        n: int = 5,
        m: int = 2,
        max_steps: int = 5,
        render_mode: str | None = None,
        autoreset: bool = False,
    ) -> None:
        check_config(n, m, max_steps)
        self.name = "escape_room"
        self.m, self.max_episode_steps = m, max_steps
        agents = agent_names(n)
        space = gym.spaces.Box(0.0, 1.0, (3 * n,), np.float32)
        self.observation_spaces = dict.fromkeys(agents, space)
        self.action_spaces = dict.fromkeys(agents, gym.spaces.Discrete(3))
        group = AgentGroup(tuple(range(n)), (3 * n,), np.dtype(np.float32), gym.spaces.Discrete(3))
        self.allocate(num_envs, agents, [group], (3 * n,), np.float32, NAMES, 3, autoreset=autoreset)
        self._positions = np.full((num_envs, n), START)
        self._t = np.zeros(num_envs, np.int64)
        self._onehot = np.eye(3, dtype=np.float32)
        self._own_first = np.array([[i, *(j for j in range(n) if j != i)] for i in range(n)])

    def reset(self, seed: int | None = None) -> None:
        """See the base class; nothing is random."""
        self.clear_step()
        self._positions[:] = START
        self._t[:] = 0
        self.episode_over[:] = False
        self.active[:] = True
        self._observe()

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class."""
        targets = actions[0]
        # Column vectors, so that they act on [B, n].
        playing = ~self.episode_over[:, None]
        is_open = (targets == LEVER).sum(1, keepdims=True) >= self.m
        leaves = is_open & (targets == DOOR) & playing
        costs = (targets != self._positions) & playing & ~leaves
        np.multiply(leaves, np.float32(10), out=self.rewards)
        np.subtract(self.rewards, costs, out=self.rewards)
        self.rewards.sum(1, out=self.designer_reward)
        self._t += playing[:, 0]
        left = leaves.any(1, keepdims=True)
        cut = playing & ~left & (self._t >= self.max_episode_steps)[:, None]
        self.terminated[:] = left
        self.truncated[:] = cut
        self.action_types[:] = targets
        self.action_features[:] = self._onehot[targets]
        self._positions = np.where(playing, targets, self._positions)
        if self.autoreset:
            np.copyto(self.was_reset, self.episode_over)
            self._positions[self.was_reset] = START
            self._t[self.was_reset] = 0
            np.copyto(self.episode_over, (left | cut)[:, 0])
        else:
            self.episode_over |= (left | cut)[:, 0]
        np.logical_not(self.episode_over[:, None], out=self.active)
        self._observe()

    def _observe(self) -> None:
        onehot = self._onehot[self._positions]
        self.state[:] = onehot.reshape(self.num_envs, -1)
        self.observations[0][:] = onehot[:, self._own_first].reshape(self.observations[0].shape)

    def get_state(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "positions": self._positions.copy(),
            "t": self._t.copy(),
            "over": self.episode_over.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """See the base class."""
        self._positions, self._t = state["positions"].copy(), state["t"].copy()
        self.episode_over[:] = state["over"]
        self.active[:] = ~self.episode_over[:, None]
        self._observe()

    def render(self) -> np.ndarray:
        """See the base class."""
        is_open = bool(self.terminated[0].any())
        return draw_escape_room(
            self._positions[0].tolist(), is_open, int(self._t[0]), float(self.designer_reward[0]), self.m
        )
