"""Two-player matrix games, one-shot or repeated: the benchmarks of Baumann et al. 2020 (arXiv:1806.04067)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.vector import AgentGroup, VectorIncentiveEnv

NAMES = ("cooperate", "defect")
AGENTS = ("player_0", "player_1")
# Row player's payoffs [own action, other's action]; all three games are symmetric.
_ROW = {
    "prisoners_dilemma": ((3.0, 0.0), (4.0, 1.0)),
    "chicken": ((3.0, 1.0), (4.0, 0.0)),
    "stag_hunt": ((4.0, 0.0), (3.0, 1.0)),
}
GAMES = tuple(_ROW)
# What a player sees: nothing yet, or what both did last (own action first).
_NUM_OBSERVATIONS = 5


def payoff_table(game: str, payoffs: Any = None) -> np.ndarray:
    """Payoffs ``[2, 2, 2]``: first player's action, second player's action, player.

    Raises:
        ValueError: for an unknown game, or payoffs of another shape.
    """
    if payoffs is not None:
        table = np.asarray(payoffs, dtype=np.float64)
        if table.shape != (2, 2, 2) or not np.isfinite(table).all():
            raise ValueError(
                f"matrix_game: payoffs must be 2 x 2 x 2 finite numbers, got shape {table.shape}"
            )
        return table
    if game not in _ROW:
        raise ValueError(f"matrix_game: unknown game {game!r}; known: {', '.join(GAMES)}")
    row = np.array(_ROW[game])
    return np.stack([row, row.T], axis=-1)


def check_rounds(num_rounds: Any) -> None:
    """Raises a ValueError unless it is a whole number >= 1."""
    if not isinstance(num_rounds, int) or isinstance(num_rounds, bool) or num_rounds < 1:
        raise ValueError(f"matrix_game: num_rounds must be a whole number >= 1, got {num_rounds!r}")


class MatrixGame(IncentiveEnv):
    """A 2 x 2 game as a PettingZoo ParallelEnv.

    Args:
        game: ``prisoners_dilemma``, ``chicken`` or ``stag_hunt``.
        num_rounds: rounds of an episode.
        memory: players see both actions of the last round; otherwise always the same.
        payoffs: ``[2, 2, 2]``, instead of the game's.
        render_mode: None or ``human``.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "matrix_game_v0",
        "render_modes": ["human"],
        "is_parallelizable": True,
    }

    def __init__(
        self,
        game: str = "prisoners_dilemma",
        num_rounds: int = 1,
        memory: bool = False,
        payoffs: Any = None,
        render_mode: str | None = None,
    ) -> None:
        check_rounds(num_rounds)
        self.payoffs = payoff_table(game, payoffs)
        self.max_episode_steps, self.memory, self.render_mode = num_rounds, memory, render_mode
        self.possible_agents, self.agents = list(AGENTS), []
        self.num_action_types, self.action_type_names = 2, NAMES
        space = gym.spaces.Box(0.0, 1.0, (_NUM_OBSERVATIONS,), np.float32)
        self.state_space = space
        self.observation_spaces = {a: gym.spaces.Box(0.0, 1.0, space.shape, np.float32) for a in AGENTS}
        self.action_spaces = {a: gym.spaces.Discrete(2) for a in AGENTS}
        self._last: tuple[int, int] | None = None
        self._reward, self._t = 0.0, 0

    def observation_space(self, agent: str) -> gym.Space:
        """One-hot of five: nothing seen yet, or (own, other's) last actions."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """``Discrete(2)``: cooperate, defect."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """A new episode; nothing is random."""
        self.agents = list(AGENTS)
        self._last, self._reward, self._t = None, 0.0, 0
        return self._observations(), {a: {} for a in AGENTS}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """One round."""
        first, second = (int(actions[a]) for a in AGENTS)
        self._last = (first, second)
        self._t += 1
        rewards = {a: float(self.payoffs[first, second, i]) for i, a in enumerate(AGENTS)}
        self._reward = sum(rewards.values())
        # A repeated game ends with its last round: nothing is to come.
        over = self._t >= self.max_episode_steps
        if over:
            self.agents = []
        if self.render_mode == "human":
            self.render()
        return (
            self._observations(),
            rewards,
            dict.fromkeys(AGENTS, over),
            dict.fromkeys(AGENTS, False),
            {a: {} for a in AGENTS},
        )

    def _observations(self) -> dict[str, np.ndarray]:
        onehot = np.eye(_NUM_OBSERVATIONS, dtype=np.float32)
        if self._last is None or not self.memory:
            return {a: onehot[0].copy() for a in AGENTS}
        first, second = self._last
        return {
            AGENTS[0]: onehot[1 + 2 * first + second].copy(),
            AGENTS[1]: onehot[1 + 2 * second + first].copy(),
        }

    def state(self) -> np.ndarray:
        """What the first player sees."""
        return self._observations()[AGENTS[0]]

    def action_types(self) -> dict[str, int]:
        """The actions."""
        return {} if self._last is None else dict(zip(AGENTS, self._last, strict=True))

    def designer_reward(self) -> float:
        """Sum of payoffs."""
        return self._reward

    def render(self) -> None:
        """A line of text on stdout."""
        if self.render_mode == "human":
            played = "-" if self._last is None else ", ".join(NAMES[a] for a in self._last)
            print(f"round {self._t}: {played}  payoffs sum to {self._reward:g}")

    def close(self) -> None:
        """Nothing to release."""


class VectorMatrixGame(VectorIncentiveEnv):
    """B matrix games, identical to :class:`MatrixGame` step for step."""

    resumable = True

    def __init__(
        self,
        num_envs: int,
        game: str = "prisoners_dilemma",
        num_rounds: int = 1,
        memory: bool = False,
        payoffs: Any = None,
        render_mode: str | None = None,
        autoreset: bool = False,
    ) -> None:
        check_rounds(num_rounds)
        self.name = "matrix_game"
        self.payoffs = payoff_table(game, payoffs).astype(np.float32)
        self.max_episode_steps, self.memory = num_rounds, memory
        space = gym.spaces.Box(0.0, 1.0, (_NUM_OBSERVATIONS,), np.float32)
        self.observation_spaces = dict.fromkeys(AGENTS, space)
        self.action_spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(2))
        group = AgentGroup((0, 1), space.shape, np.dtype(np.float32), gym.spaces.Discrete(2))
        self.allocate(num_envs, AGENTS, [group], space.shape, np.float32, NAMES, 2, autoreset=autoreset)
        self._seen = np.zeros((num_envs, 2), np.int64)
        self._t = np.zeros(num_envs, np.int64)

    def reset(self, seed: int | None = None) -> None:
        """See the base class; nothing is random."""
        self.clear_step()
        self._seen[:] = 0
        self._t[:] = 0
        self.episode_over[:] = False
        self.active[:] = True
        self._observe()

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class."""
        played = actions[0]
        playing = ~self.episode_over
        self.was_reset[:] = self.episode_over & self.autoreset
        self.rewards[:] = self.payoffs[played[:, 0], played[:, 1]] * playing[:, None]
        self.rewards.sum(1, out=self.designer_reward)
        self._t += playing
        over = playing & (self._t >= self.max_episode_steps)
        self.terminated[:] = over[:, None]
        self.action_types[:] = played
        self.action_features[:] = np.eye(2, dtype=np.float32)[played]
        if self.memory:
            seen = 1 + 2 * played + played[:, ::-1]
            self._seen[:] = np.where(playing[:, None], seen, self._seen)
        self._seen[self.was_reset] = 0
        self._t[self.was_reset] = 0
        self.episode_over[:] = over | (self.episode_over & ~self.was_reset)
        self.active[:] = ~self.episode_over[:, None]
        self._observe()

    def _observe(self) -> None:
        onehot = np.eye(_NUM_OBSERVATIONS, dtype=np.float32)[self._seen]
        self.observations[0][:] = onehot
        self.state[:] = onehot[:, 0]

    def get_state(self) -> dict[str, Any]:
        """See the base class."""
        return {"seen": self._seen.copy(), "t": self._t.copy(), "over": self.episode_over.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """See the base class."""
        self._seen[:], self._t[:] = state["seen"], state["t"]
        self.episode_over[:] = state["over"]
        self.active[:] = ~self.episode_over[:, None]
        self._observe()
