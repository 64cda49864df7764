"""CentralizedVectorEnv: all agents as one, for the centralised upper bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.incentive_env import action_features
from env_wrappers.leaves import shown
from env_wrappers.vector import AgentGroup, VectorIncentiveEnv, num_logits

AGENT = "central"


class CentralizedVectorEnv(VectorIncentiveEnv):
    """One agent that sees the state, chooses every agent's action, and earns R^ID.

    Args:
        inner: batched environments whose agents' actions are discrete.

    Raises:
        ValueError: if an agent's actions are not discrete.
    """

    def __init__(self, inner: VectorIncentiveEnv) -> None:
        self.inner = inner
        self.name = inner.name
        self.max_episode_steps = inner.max_episode_steps
        self.resumable, self.one_by_one = inner.resumable, inner.one_by_one
        self.has_schedules = inner.has_schedules
        self.state_picture_shape = inner.state_picture_shape
        nvec: list[int] = []
        self._widths: list[int] = []
        for agent in inner.possible_agents:
            space = inner.action_spaces[agent]
            if not isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
                raise ValueError(
                    f"env {inner.name!r}: a centralised policy needs discrete actions, "
                    f"but agent {agent!r} has {shown(space)}"
                )
            own = [int(space.n)] if isinstance(space, gym.spaces.Discrete) else np.asarray(space.nvec).tolist()
            nvec += own
            self._widths.append(len(own))
        action_space = gym.spaces.MultiDiscrete(nvec)
        image = len(inner.state_shape) == 3 and inner.state_dtype == np.uint8
        shape = inner.state_shape if len(inner.state_shape) == 3 else (int(np.prod(inner.state_shape)),)
        dtype = np.dtype(np.uint8 if image else np.float32)
        limit = (0, 255) if image else (-np.inf, np.inf)
        self.observation_spaces = {AGENT: gym.spaces.Box(limit[0], limit[1], shape, dtype.type)}
        self.action_spaces = {AGENT: action_space}
        masked = any(group.masked for group in inner.groups)
        self.allocate(
            inner.num_envs,
            (AGENT,),
            [AgentGroup((0,), shape, dtype, action_space, masked, inner.state_picture_shape)],
            inner.state_shape,
            inner.state_dtype,
            ("any",),
            sum(nvec),
            autoreset=inner.autoreset,
        )
        self._starts = np.cumsum([0, *self._widths])

    def reset(self, seed: int | None = None) -> None:
        self.clear_step()
        self.inner.reset(seed)
        self._observe()

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        self.inner.autoreset = self.autoreset
        joint = actions[0][:, 0]
        sent = []
        for group in self.inner.groups:
            columns = [joint[:, self._starts[i] : self._starts[i + 1]] for i in group.agents]
            stacked = np.stack(columns, axis=1)
            sent.append(stacked[..., 0] if isinstance(group.action_space, gym.spaces.Discrete) else stacked)
        self.clear_step()
        acted = self.inner.active.copy()
        stepped = ~self.inner.episode_over
        self.inner.step(sent, designer_output)
        self.rewards[:, 0] = self.inner.designer_reward
        self.designer_reward[:] = self.inner.designer_reward
        self.was_reset[:] = self.inner.was_reset
        ended = self.inner.episode_over & acted.any(1)
        cut = (self.inner.truncated & acted).any(1)
        self.terminated[:, 0] = ended & ~cut
        self.truncated[:, 0] = ended & cut
        self.action_features[stepped, 0] = action_features(self.action_spaces[AGENT], joint[stepped])
        self._observe()

    def _observe(self) -> None:
        self.state[:] = self.inner.state
        self.observations[0][:, 0] = self.inner.state.reshape(self.observations[0][:, 0].shape)
        self.episode_over[:] = self.inner.episode_over
        self.active[:, 0] = ~self.inner.episode_over
        self.designer_due[:] = self.inner.designer_due
        masks = self.action_masks[0]
        if masks is None:
            return
        parts: list[np.ndarray] = [np.zeros(0)] * len(self.inner.possible_agents)
        for group, given in zip(self.inner.groups, self.inner.action_masks, strict=True):
            for position, agent in enumerate(group.agents):
                width = num_logits(group.action_space)
                everything = np.ones((self.num_envs, width), bool)
                parts[agent] = everything if given is None else given[:, position]
        masks[:, 0] = np.concatenate(parts, axis=1)

    def end_schedules(self) -> None:
        self.inner.end_schedules()

    def get_lasting_state(self) -> list[Any]:
        return self.inner.get_lasting_state()

    def set_lasting_state(self, saved: Sequence[Any]) -> None:
        self.inner.set_lasting_state(saved)

    def get_state(self) -> dict[str, Any]:
        return self.inner.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self.clear_step()
        self.inner.set_state(state)
        self._observe()

    def episode_metrics(self, which: np.ndarray) -> dict[str, np.ndarray]:
        return self.inner.episode_metrics(which)

    def render(self) -> np.ndarray:
        return self.inner.render()

    def close(self) -> None:
        self.inner.close()
