"""What native twins of small games share: every agent acts in every step, and all leave together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.vector import AgentGroup, VectorIncentiveEnv


class SimultaneousVectorEnv(VectorIncentiveEnv):
    """B deterministic games in which equal agents choose an action type each until the game ends for all.

    A game is what :meth:`_play` and :meth:`_observe` say, and the integer array ``_game`` ``[B, ...]``, which
    starts at a given value. The count of steps, the end of episodes, autoreset and resuming are done here.

    Args:
        name: for messages.
        num_envs: B, >= 1.
        agents: N names.
        observation_size: of one agent.
        state_size: of the designer's observation.
        action_names: A names; they are the action types.
        max_steps: after which an episode is cut.
        start: the game's array at the start of an episode, for one copy.
        autoreset: see :class:`VectorIncentiveEnv`.
    """

    resumable = True

    def __init__(
        self,
        name: str,
        num_envs: int,
        agents: Sequence[str],
        observation_size: int,
        state_size: int,
        action_names: Sequence[str],
        max_steps: int,
        start: np.ndarray,
        autoreset: bool,
    ) -> None:
        self.name = name
        self.max_episode_steps = self._max_steps = max_steps
        num_actions = len(action_names)
        space = gym.spaces.Box(0.0, 1.0, (observation_size,), np.float32)
        self.observation_spaces = dict.fromkeys(agents, space)
        self.action_spaces = dict.fromkeys(agents, gym.spaces.Discrete(num_actions))
        group = AgentGroup(
            tuple(range(len(agents))), space.shape, np.dtype(np.float32), gym.spaces.Discrete(num_actions)
        )
        self.allocate(
            num_envs,
            agents,
            [group],
            (state_size,),
            np.float32,
            action_names,
            num_actions,
            autoreset=autoreset,
        )
        self._start = start
        self._game = np.repeat(start[None], self.num_envs, axis=0)
        self._t = np.zeros(self.num_envs, np.int64)
        # Scratch arrays, so that a step allocates little.
        self._playing = np.zeros(self.num_envs, bool)
        self._ended = np.zeros(self.num_envs, bool)

    @cached_property
    def _keep_books(self) -> Callable[..., bool]:
        from env_wrappers import simultaneous_kernel

        return simultaneous_kernel.keep_books

    @abstractmethod
    def _play(self, targets: np.ndarray, playing: np.ndarray, ended: np.ndarray) -> None:
        """One move of every copy that plays.

        Args:
            targets: ``[B, N]`` int64, 0 where nobody plays.
            playing: ``[B]`` bool.
            ended: ``[B]`` bool, to be written: this move has ended the game. Also to be written are
                ``rewards`` and ``designer_reward`` (0 where nobody plays) and ``_game``.

        Raises:
            ValueError: for an action that there is not.
        """

    @abstractmethod
    def _observe(self) -> None:
        """Writes ``observations`` and ``state`` from ``_game``."""

    def reset(self, seed: int | None = None) -> None:
        """See the base class; nothing is random."""
        self.clear_step()
        self._game[:] = self._start
        self._t[:] = 0
        self._set_over(np.zeros(self.num_envs, bool))

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class.

        Raises:
            ValueError: for an action that there is not.
        """
        playing, ended = self._playing, self._ended
        np.logical_not(self.episode_over, out=playing)
        np.multiply(actions[0], playing[:, None], out=self.action_types, casting="unsafe")
        self._play(self.action_types, playing, ended)
        if self._keep_books(
            self.action_types,
            playing,
            ended,
            self._max_steps,
            self.autoreset,
            self._t,
            self.action_features,
            self.terminated,
            self.truncated,
            self.episode_over,
            self.was_reset,
            self.active,
        ):
            self._game[self.was_reset] = self._start
        self._observe()

    def _set_over(self, over: np.ndarray) -> None:
        self.episode_over[:] = over
        np.logical_not(over[:, None], out=self.active)
        self._observe()

    def invalid_action(self, targets: np.ndarray) -> ValueError:
        """The error for actions beyond the action space."""
        last = self.num_action_types - 1
        bad = targets[(targets < 0) | (targets > last)]
        return ValueError(f"{self.name}: action {bad[0]} is not one of 0 to {last}")

    def get_state(self) -> dict[str, Any]:
        return {"game": self._game.copy(), "t": self._t.copy(), "over": self.episode_over.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """See the base class.

        Raises:
            ValueError: if it was taken with another number of copies or of agents.
        """
        if np.shape(state["game"]) != self._game.shape:
            raise ValueError(f"{self.name}: the state has shape {np.shape(state['game'])}, expected {self._game.shape}")
        self.clear_step()
        self._game[:], self._t[:] = state["game"], state["t"]
        self._set_over(np.asarray(state["over"], bool))
