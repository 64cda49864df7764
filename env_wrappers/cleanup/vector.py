"""Cleanup in batches: numba kernels over B copies."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from env_wrappers.cleanup.colors import AGENT, BEAM, LOOKS, OUTSIDE
from env_wrappers.cleanup.config import TYPE_NAMES, CleanupConfig
from env_wrappers.cleanup.pictures import draw_cleanup
from env_wrappers.config import configured
from env_wrappers.vector import AgentGroup, VectorIncentiveEnv, child_seeds

if TYPE_CHECKING:
    from env_wrappers.cleanup.kernel import Game, Reports, Rules

#: Arrays of the games from which all others follow.
_SAVED = ("cells", "positions", "facings", "beams", "num_beams", "t", "rng")


@configured(CleanupConfig)
class VectorCleanup(VectorIncentiveEnv):
    """B games of Cleanup, identical to :class:`~env_wrappers.cleanup.environment.Cleanup` step for step.

    Args:
        num_envs: B, >= 1.
        config: None for the defaults.
        autoreset: see :class:`VectorIncentiveEnv`.
        keys: fields of :class:`CleanupConfig`, to set or change some.

    Raises:
        ValueError: for impossible values.
    """

    resumable = True

    def __init__(
        self, num_envs: int, config: CleanupConfig | None = None, autoreset: bool = False, **keys: Any
    ) -> None:
        from env_wrappers.cleanup import kernel

        self.config = config = CleanupConfig.of(config, keys)
        self.name = config.NAME
        self.max_episode_steps = config.max_steps
        self.action_names = config.action_names
        agents = config.agent_names
        space = gym.spaces.Discrete(len(config.actions))
        self.observation_spaces = {a: config.image_space(config.observation_shape) for a in agents}
        self.action_spaces = dict.fromkeys(agents, space)
        group = AgentGroup(tuple(range(len(agents))), config.observation_shape, np.dtype(np.uint8), space)
        self.allocate(num_envs, agents, [group], config.state_shape, np.uint8, TYPE_NAMES, 1, autoreset=autoreset)
        self._border = max(config.view_size, config.beam_width // 2, config.state_margin, 1)
        self._kernel = kernel
        self._rules: Rules = self._make_rules(config)
        self._game: Game = self._make_game(config)
        b, n = self.num_envs, len(agents)
        self._reports: Reports = kernel.Reports(
            observations=self.observations[0].reshape(b, n, -1),
            state=self.state.reshape(b, -1),
            **{name: getattr(self, name) for name in kernel.Reports._fields[2:]},
        )
        self._actions = np.zeros((b, n), np.int64)

    def _make_rules(self, config: CleanupConfig) -> Rules:
        border, margin = self._border, config.state_margin
        looks = [[LOOKS[" " if symbol in "BP" else symbol] for symbol in row] for row in config.rows]
        ground = np.pad(np.array(looks, np.uint8), border, constant_values=OUTSIDE)
        width = ground.shape[1]
        cells = len(config.waste_points)
        density = np.arange(cells + 1) / max(cells, 1)
        low, high = config.threshold_restoration, config.threshold_depletion
        share = np.where(density <= low, 1.0, 1.0 - (density - low) / (high - low))
        spent = density >= high
        return self._kernel.Rules(
            ground=ground.reshape(-1),
            spawns=self._flat(config.spawns, width),
            apple_points=self._flat(config.apple_points, width),
            waste_points=self._flat(config.waste_points, width),
            apple_chance=np.where(spent, 0.0, share * config.apple_respawn_probability),
            waste_chance=np.where(spent, 0.0, config.waste_spawn_probability),
            kinds=np.array(config.actions, np.int64),
            palette=config.palette,
            offsets=np.array([-width, 1, width, -1], np.int64),
            radius=config.view_size,
            half=config.beam_width // 2,
            length=config.beam_length,
            max_steps=config.max_steps,
            penalty=config.cleaning_penalty,
            paid_by_waste=config.paid_by_waste,
            shuffled=config.shuffled_spawns,
            turned=config.random_orientation,
            state_first=(border - margin) * (width + 1),
            state_rows=self.state_shape[0],
            state_columns=self.state_shape[1],
            width=width,
        )

    def _flat(self, cells: Sequence[tuple[int, int]], width: int) -> np.ndarray:
        """Numbers of cells in the bordered map."""
        return np.array([(r + self._border) * width + c + self._border for r, c in cells], np.int64)

    def _make_game(self, config: CleanupConfig) -> Game:
        b, n, size = self.num_envs, config.num_agents, len(self._rules.ground)
        game: Game = self._kernel.Game(
            cells=np.zeros((b, size), np.uint8),
            canvas=np.zeros((b, size * self._rules.palette.shape[1]), np.uint8),
            taken=np.zeros((b, size), bool),
            positions=np.zeros((b, n), np.int64),
            facings=np.zeros((b, n), np.int64),
            beams=np.zeros((b, n * config.beam_width * config.beam_length), np.int64),
            num_beams=np.zeros(b, np.int64),
            waste=np.zeros(b, np.int64),
            t=np.zeros(b, np.int64),
            rng=np.array([secrets.randbits(64) for _ in range(b)], np.uint64),
            targets=np.zeros(n, np.int64),
            order=np.zeros(len(config.spawns), np.int64),
        )
        # Not a game yet, but one in which a step before the first reset stays on the map.
        game.cells[:] = self._rules.ground
        game.positions[:] = self._rules.spawns[:n]
        return game

    def reset(self, seed: int | None = None) -> None:
        self.clear_step()
        if seed is not None:
            self._game.rng[:] = child_seeds(seed, self.num_envs)
        self._kernel.reset(self._rules, self._game, self._reports)

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class.

        Raises:
            ValueError: for an action that there is not.
        """
        np.copyto(self._actions, actions[0], casting="unsafe")
        if not self._kernel.step(self._rules, self._game, self._reports, self._actions, self.autoreset):
            taken = self._actions[~self.episode_over]
            raise self.config.invalid_action(taken[(taken < 0) | (taken >= len(self.config.actions))][0])

    def get_state(self) -> dict[str, Any]:
        saved = {name: getattr(self._game, name).copy() for name in _SAVED}
        return {**saved, "over": self.episode_over.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """See the base class.

        Raises:
            ValueError: if it was taken with other arguments that change the arrays' shapes.
        """
        for name in _SAVED:
            expected = getattr(self._game, name).shape
            if np.shape(state[name]) != expected:
                raise ValueError(f"cleanup: the state's {name} has shape {np.shape(state[name])}, expected {expected}")
        self.clear_step()
        for name in _SAVED:
            getattr(self._game, name)[:] = state[name]
        self.episode_over[:] = state["over"]
        self.active[:] = ~self.episode_over[:, None]
        self._kernel.redraw(self._rules, self._game, self._reports)

    def render(self) -> np.ndarray:
        game, border = self._game, self._border
        looks = game.cells[0].copy()
        looks[game.positions[0]] = AGENT + np.arange(self.config.num_agents)
        looks[game.beams[0, : game.num_beams[0]]] = BEAM
        looks = looks.reshape(-1, self._rules.width)[border:-border, border:-border]
        places = [divmod(cell, self._rules.width) for cell in game.positions[0].tolist()]
        positions = [(r - border, c - border) for r, c in places]
        reward = float(self.designer_reward[0])
        return draw_cleanup(looks, positions, game.facings[0].tolist(), int(game.t[0]), reward)
