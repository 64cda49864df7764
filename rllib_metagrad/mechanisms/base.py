"""What a mechanism is, and a registry of them by name.

A mechanism maps the designer's output ``u`` to each agent's reward, ``r_i = R_i(s, a, u)`` (Yang et al. 2022,
section 3), differentiably in ``u``. It is a pure function of a trajectory, so that the same rewards can be
recomputed under another incentive function, with gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.core.trajectory import Trajectory


class Mechanism(ABC):
    """Turns designer outputs into rewards.

    Attributes:
        num_outputs: U, outputs of the incentive function at a step.
    """

    num_outputs: int

    @abstractmethod
    def squash(self, raw: Tensor) -> Tensor:
        """Maps the network's unbounded outputs ``[..., U]`` into the set of admissible incentives."""

    @abstractmethod
    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """What each agent really receives beyond its environment reward, ``[T, B, N]``; differentiable in ``output``.

        Args:
            output: ``[T, B, U]``, squashed.
        """

    def rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """Agents' rewards ``[T, B, N]`` under ``output``."""
        return trajectory.rewards + self.incentives(output, trajectory)


class ActionIncentives(Mechanism):
    """An additive incentive for each action type, paid to every agent whose action is of that type.

    Yang et al. 2022, section 4.2: a sigmoid output layer of size ``|A|``, scaled to ``(0, scale)``.

    Args:
        num_action_types: of the environment.
        scale: largest incentive, > 0.
    """

    def __init__(self, num_action_types: int, scale: float = 2.0) -> None:
        if not isinstance(scale, int | float) or not scale > 0:
            raise ValueError(f"mechanism_config scale must be a number > 0, got {scale!r}")
        self.num_outputs = num_action_types
        self.scale = float(scale)

    def squash(self, raw: Tensor) -> Tensor:
        """``scale * sigmoid``."""
        return self.scale * torch.sigmoid(raw)

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """``u[type of the agent's action]`` where the agent acted, else 0."""
        return output.gather(-1, trajectory.action_types) * trajectory.active


class AgentIncentives(Mechanism):
    """An additive incentive for each agent, whatever it did: dual-RL (c) of Yang et al. 2022, section 4.2.

    Args:
        num_agents: N.
        scale: largest incentive, > 0.
    """

    def __init__(self, num_agents: int, scale: float = 2.0) -> None:
        if not isinstance(scale, int | float) or not scale > 0:
            raise ValueError(f"mechanism_config scale must be a number > 0, got {scale!r}")
        self.num_outputs = num_agents
        self.scale = float(scale)

    def squash(self, raw: Tensor) -> Tensor:
        """``scale * sigmoid``."""
        return self.scale * torch.sigmoid(raw)

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """``u[agent]`` where the agent acted, else 0."""
        return output * trajectory.active


MechanismFactory = Callable[..., Mechanism]
_REGISTRY: dict[str, MechanismFactory] = {
    "action_incentives": lambda num_agents, num_action_types, **config: ActionIncentives(num_action_types, **config),
    "agent_incentives": lambda num_agents, num_action_types, **config: AgentIncentives(num_agents, **config),
}


def mechanism_names() -> list[str]:
    """Names that :func:`make_mechanism` knows."""
    return sorted(_REGISTRY)


def register_mechanism(name: str, factory: MechanismFactory) -> None:
    """Makes a mechanism available to configs.

    Args:
        name: for the config key ``mechanism``.
        factory: called with ``num_agents``, ``num_action_types`` and the entries of ``mechanism_config``.
    """
    _REGISTRY[name] = factory


def make_mechanism(name: str, num_agents: int, num_action_types: int, config: dict[str, Any]) -> Mechanism:
    """Builds a mechanism.

    Raises:
        ValueError: for an unknown name or config key.
    """
    if name not in _REGISTRY:
        close = get_close_matches(name, _REGISTRY, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(mechanism_names())}"
        raise ValueError(f"unknown mechanism {name!r}{hint}")
    try:
        return _REGISTRY[name](num_agents=num_agents, num_action_types=num_action_types, **config)
    except TypeError as error:
        raise ValueError(f"mechanism_config of {name!r}: {error}") from error
