"""Two-player matrix games, one-shot or repeated: the benchmarks of Baumann et al. 2020 (arXiv:1806.04067)."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, get_args

import gymnasium as gym
import numpy as np
from pydantic import Strict

from env_wrappers.config import EnvConfig, configured
from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.pictures import draw_matrix_game
from env_wrappers.simultaneous import SimultaneousVectorEnv
from rllib_metagrad.settings import setting
from rllib_metagrad.settings.base import Expected

NAMES = ("cooperate", "defect")
AGENTS = ("player_0", "player_1")
GameName = Literal["prisoners_dilemma", "chicken", "stag_hunt"]
# Row player's payoffs [own action, other's action]; all three games are symmetric.
_ROW: dict[GameName, tuple[tuple[float, float], tuple[float, float]]] = {
    "prisoners_dilemma": ((3.0, 0.0), (4.0, 1.0)),
    "chicken": ((3.0, 1.0), (4.0, 0.0)),
    "stag_hunt": ((4.0, 0.0), (3.0, 1.0)),
}
GAMES: tuple[GameName, ...] = get_args(GameName)
# What a player sees: nothing yet, or what both did last (own action first).
_NUM_OBSERVATIONS = 5


_Two = Annotated[tuple[float, float], Strict(False)]
_Matrix = Annotated[tuple[_Two, _Two], Strict(False)]
Payoffs = Annotated[tuple[_Matrix, _Matrix], Strict(False), Expected("2 x 2 x 2 finite numbers")]


class MatrixGameConfig(EnvConfig):
    """Keys of the matrix games."""

    NAME = "matrix_game"

    game: GameName = setting("prisoners_dilemma", "which payoffs")
    num_rounds: int = setting(1, "rounds of an episode", ge=1)
    memory: bool = setting(False, "players see both actions of the last round; otherwise always the same")
    payoffs: Payoffs | None = setting(
        None, "`[first player's action][second player's action][player]`, instead of the game's"
    )
    render_mode: Literal["human", "rgb_array"] | None = setting(None, "`human` (a line of text a round) or `rgb_array`")

    @cached_property
    def table(self) -> np.ndarray:
        """Payoffs ``[2, 2, 2]``: first player's action, second player's action, player."""
        if self.payoffs is not None:
            return np.array(self.payoffs, np.float64)
        row = np.array(_ROW[self.game])
        return np.stack([row, row.T], axis=-1)


@configured(MatrixGameConfig)
class MatrixGame(IncentiveEnv):
    """A 2 x 2 game as a PettingZoo ParallelEnv.

    Args:
        config: None for the defaults.
        keys: fields of :class:`MatrixGameConfig`, to set or change some.

    Raises:
        ValueError: for impossible values.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "matrix_game_v0",
        "render_modes": ["human", "rgb_array"],
        "is_parallelizable": True,
    }

    def __init__(self, config: MatrixGameConfig | None = None, **keys: Any) -> None:
        self.config = config = MatrixGameConfig.of(config, keys)
        self.payoffs, self.memory = config.table, config.memory
        self.max_episode_steps, self.render_mode = config.num_rounds, config.render_mode
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
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
        over = self._t >= self.config.num_rounds
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

    def render(self) -> np.ndarray | None:
        """A picture, or a line of text on stdout."""
        if self.render_mode == "rgb_array":
            return draw_matrix_game(self.payoffs, NAMES, self._last, self._t)
        if self.render_mode == "human":
            played = "-" if self._last is None else ", ".join(NAMES[a] for a in self._last)
            print(f"round {self._t}: {played}  payoffs sum to {self._reward:g}")
        return None

    def close(self) -> None:
        """Nothing to release."""


@configured(MatrixGameConfig)
class VectorMatrixGame(SimultaneousVectorEnv):
    """B matrix games, identical to :class:`MatrixGame` step for step.

    Args:
        num_envs: B, >= 1.
        config: None for the defaults.
        autoreset: see :class:`VectorIncentiveEnv`.
        keys: fields of :class:`MatrixGameConfig`, to set or change some.

    Raises:
        ValueError: for impossible values.
    """

    def __init__(
        self, num_envs: int, config: MatrixGameConfig | None = None, autoreset: bool = False, **keys: Any
    ) -> None:
        self.config = config = MatrixGameConfig.of(config, keys)
        super().__init__(
            config.NAME,
            num_envs,
            AGENTS,
            observation_size=_NUM_OBSERVATIONS,
            state_size=_NUM_OBSERVATIONS,
            action_names=NAMES,
            max_steps=config.num_rounds,
            start=np.zeros(2, np.int64),
            autoreset=autoreset,
        )
        self.memory = config.memory
        self.payoffs = config.table.astype(np.float32)
        # Summed before rounding to float32, as the ParallelEnv does.
        self._sums = config.table.sum(-1).astype(np.float32)
        self._onehot = np.eye(_NUM_OBSERVATIONS, dtype=np.float32)

    def _play(self, targets: np.ndarray, playing: np.ndarray, ended: np.ndarray) -> None:
        if (targets >> 1).any():
            raise self.invalid_action(targets)
        first, second = targets[:, 0], targets[:, 1]
        np.multiply(self.payoffs[first, second], playing[:, None], out=self.rewards)
        np.multiply(self._sums[first, second], playing, out=self.designer_reward)
        if self.memory:
            np.copyto(self._game, 1 + 2 * targets + targets[:, ::-1], where=playing[:, None])
        # A repeated game ends with its last round, rather than being cut there: nothing is to come.
        np.greater_equal(self._t, self._max_steps - 1, out=ended)
        np.logical_and(ended, playing, out=ended)

    def _observe(self) -> None:
        np.take(self._onehot, self._game, axis=0, out=self.observations[0])
        self.state[:] = self.observations[0][:, 0]

    def render(self) -> np.ndarray:
        t = int(self._t[0])
        last = self.action_types[0].tolist() if t else None
        return draw_matrix_game(self.config.table, NAMES, last, t)
