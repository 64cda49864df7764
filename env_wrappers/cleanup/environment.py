"""Cleanup as a PettingZoo ParallelEnv: apples grow only while somebody keeps the river clean.

Hughes et al. (2018), with the small maps of Yang et al. (2020, 2022). The rules are in rules.py, and in words in
docs/cleanup.md.
"""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import gymnasium as gym
import numpy as np

from env_wrappers.cleanup.config import CLEAN, TYPE_NAMES, CleanupConfig
from env_wrappers.cleanup.pictures import as_text, draw_cleanup
from env_wrappers.cleanup.rng import SplitMix64
from env_wrappers.cleanup.rules import World
from env_wrappers.config import RenderMode, configured
from env_wrappers.incentive_env import IncentiveEnv


@configured(CleanupConfig)
class Cleanup(IncentiveEnv):
    """The cleanup game.

    An apple is worth 1. Incentives can depend on an action's type: ``clean`` (whether or not it cleaned
    anything), ``eat`` (any other that earned a reward), ``other``. R^ID is the sum of the agents' rewards. An
    incentive function sees one number of an agent's action: whether it was ``clean``.

    Args:
        config: None for the defaults.
        keys: fields of :class:`CleanupConfig`, to set or change some; docs/cleanup.md has their meaning.

    Raises:
        ValueError: for impossible values.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "cleanup_v0",
        "render_modes": list(get_args(RenderMode)),
        "render_fps": 5,
        "is_parallelizable": True,
    }
    goes_on_without_seed = True

    def __init__(self, config: CleanupConfig | None = None, **keys: Any) -> None:
        self.config = config = CleanupConfig.of(config, keys)
        self.render_mode = config.render_mode
        self.max_episode_steps = config.max_steps
        self.possible_agents = list(config.agent_names)
        self.agents: list[str] = []
        self.num_action_types, self.action_type_names = len(TYPE_NAMES), TYPE_NAMES
        self.action_feature_size = 1
        self.action_names = config.action_names
        self.state_space = config.image_space(config.state_shape)
        self.observation_spaces = {a: config.image_space(config.observation_shape) for a in self.possible_agents}
        self.action_spaces = {a: gym.spaces.Discrete(len(config.actions)) for a in self.possible_agents}
        self._palette = config.palette
        self.world = World(config, SplitMix64())
        self._types: dict[str, int] = {}
        self._fired: dict[str, bool] = {}
        self._reward = 0.0
        self._t = 0

    def observation_space(self, agent: str) -> gym.Space:
        """``Box(0, 255, (2 view_size + 1, 2 view_size + 1, C), uint8)``."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """``Discrete``; ``action_names`` says what the actions are."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """A new episode; a seed restarts the generator, None continues with it."""
        if seed is not None:
            self.world.rng = SplitMix64(seed)
        self.world.reset()
        self.agents = list(self.possible_agents)
        self._types, self._fired, self._reward, self._t = {}, {}, 0.0, 0
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
        """One joint action.

        Raises:
            ValueError: for an action that there is not.
        """
        config, agents = self.config, self.possible_agents
        kinds = []
        for agent in agents:
            if not 0 <= (action := int(actions[agent])) < len(config.actions):
                raise config.invalid_action(action)
            kinds.append(config.actions[action])
        ate = self.world.step(kinds)
        rewards = {}
        for agent, kind, eaten, removed in zip(agents, kinds, ate, self.world.removed, strict=True):
            fired = kind == CLEAN
            rewards[agent] = float(eaten) - (config.cleaning_penalty if fired else 0.0)
            cleaned = removed > 0 if config.paid_by_waste else fired
            # On a cell with an apple a beam that removes nothing is still a beam.
            self._types[agent] = 0 if cleaned else 1 if rewards[agent] > 0 else 2
            self._fired[agent] = fired
        self._reward = sum(rewards.values())
        self._t += 1
        cut = self._t >= config.max_steps
        observations = self._observations()
        self.agents = [] if cut else self.agents
        if self.render_mode == "human":
            self.render()
        return (
            observations,
            rewards,
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, cut),
            {agent: {} for agent in agents},
        )

    def _observations(self) -> dict[str, np.ndarray]:
        return {agent: self._palette[self.world.view(i)] for i, agent in enumerate(self.possible_agents)}

    def state(self) -> np.ndarray:
        """The whole map, not turned, and on ``7x7`` one cell around it: ``[rows, columns, C]`` uint8."""
        return self._palette[self.world.looks(self.config.state_margin)]

    def action_types(self) -> dict[str, int]:
        """0 clean, 1 eat, 2 other."""
        return dict(self._types)

    def action_features(self) -> dict[str, np.ndarray]:
        """``[1]`` float32: whether the agent fired its cleaning beam."""
        return {agent: np.array([fired], np.float32) for agent, fired in self._fired.items()}

    def designer_reward(self) -> float:
        """Sum of the agents' rewards."""
        return self._reward

    def render(self) -> np.ndarray | None:
        """A picture, or the map as text on stdout."""
        world = self.world
        if self.render_mode == "rgb_array":
            return draw_cleanup(world.looks(0), world.positions, world.facings, self._t, self._reward)
        if self.render_mode == "human":
            print(as_text(world.looks(0), self._t, self._reward))
        return None

    def close(self) -> None:
        """Nothing to release."""
