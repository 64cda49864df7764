"""TimeLimit: an end for episodes that have none of their own."""

from __future__ import annotations

from typing import Any

from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper


class TimeLimit(BaseParallelWrapper):
    """Cuts episodes: all agents that still live are truncated in the last step.

    Args:
        env: any ParallelEnv.
        max_episode_steps: steps of the longest episode.

    Raises:
        ValueError: unless ``max_episode_steps`` is a whole number >= 1.
    """

    def __init__(self, env: ParallelEnv, max_episode_steps: Any) -> None:
        if not isinstance(max_episode_steps, int) or isinstance(max_episode_steps, bool) or max_episode_steps < 1:
            raise ValueError(f"max_episode_steps must be a whole number >= 1, got {max_episode_steps!r}")
        super().__init__(env)
        self.max_episode_steps = max_episode_steps
        self._steps = 0

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """A new episode, whose steps are counted."""
        self._steps = 0
        return self.env.reset(seed=seed) if options is None else self.env.reset(seed=seed, options=options)

    def step(self, actions: dict[str, Any]) -> Any:
        """One step; in the last one ``truncations`` are True for all but those that are terminated."""
        observations, rewards, terminations, truncations, infos = super().step(actions)
        self._steps += 1
        if self._steps >= self.max_episode_steps:
            truncations = dict(truncations) | {a: not terminations.get(a) for a in {*actions, *self.env.agents}}
        return observations, rewards, terminations, truncations, infos

    @property
    def agents(self) -> list[str]:
        """Nobody after the last step."""
        return [] if self._steps >= self.max_episode_steps else self.env.agents
