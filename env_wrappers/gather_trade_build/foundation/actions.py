"""Agents' actions: their names and types, and how the package takes them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.gather_trade_build.config import NAME


class Actions:
    """The actions of one kind of agent.

    Args:
        agent: the package's.

    Attributes:
        space: ``Discrete``, or ``MultiDiscrete`` with the package's multi_action_mode_agents.
        names: what actions are, where they are one choice.
        types: no-op and the action subspaces, such as Build, Buy_Stone or Gather.
    """

    def __init__(self, agent: Any) -> None:
        self.space = action_space(agent)
        subspaces = [name.rpartition(".")[2] for name in agent._action_names]
        self.types = ("noop", *subspaces)
        kinds, names = [0], ["noop"]
        for subspace, (name, number) in sorted(agent.single_action_map.items()):
            assert subspace == len(kinds)
            kinds.append(1 + agent._action_names.index(name))
            names.append(f"{name.rpartition('.')[2]} {number}")
        self._kinds = np.array(kinds)
        self.names = tuple(names)

    def parse(self, agent: str, action: Any) -> tuple[Any, int]:
        """An action as the package takes it, and its type: of several chosen at once that of the first.

        Raises:
            ValueError: naming the agent, for an action that is not in the space.
        """
        values = np.asarray(action)
        space = self.space
        sizes = np.array(space.nvec if isinstance(space, gym.spaces.MultiDiscrete) else space.n)
        if (
            values.shape != sizes.shape
            or values.dtype.kind not in "iu"
            or (values < 0).any()
            or (values >= sizes).any()
        ):
            raise ValueError(f"{NAME}: action {action!r} of {agent} is not in {space}")
        if values.ndim == 0:
            return int(values), int(self._kinds[int(values)])
        chosen = np.flatnonzero(values)
        return values.tolist(), 1 + int(chosen[0]) if chosen.size else 0


def action_space(agent: Any) -> gym.Space:
    """What an agent, or the planner, of the package chooses from."""
    sizes = agent.action_spaces
    return gym.spaces.MultiDiscrete(sizes) if agent.multi_action_mode else gym.spaces.Discrete(int(sizes))
