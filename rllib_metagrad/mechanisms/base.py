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
import torch.nn.functional as F
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


class BoundedIncentives(Mechanism):
    """Additive incentives in ``(0, scale)``.

    Args:
        num_outputs: U.
        scale: largest incentive, > 0.
        squash: ``sigmoid`` as in Yang et al. 2022, section 4.2, or ``softsign``, ``(1 + x / (1 + |x|)) / 2``. A
            sigmoid's slope vanishes exponentially, in float32 it is zero beyond 17: an incentive that has run to
            its bound can then never be lowered again. Softsign's slope falls only as ``1 / x^2``.
    """

    def __init__(self, num_outputs: int, scale: float = 2.0, squash: str = "sigmoid") -> None:
        if not isinstance(scale, int | float) or isinstance(scale, bool) or not scale > 0:
            raise ValueError(f"mechanism_config scale must be a number > 0, got {scale!r}")
        if squash not in ("sigmoid", "softsign"):
            raise ValueError(f"mechanism_config squash must be sigmoid or softsign, got {squash!r}")
        self.num_outputs = num_outputs
        self.scale = float(scale)
        self.kind = squash

    def squash(self, raw: Tensor) -> Tensor:
        """Scaled sigmoid or softsign."""
        if self.kind == "softsign":
            return (0.5 * self.scale) * (1 + F.softsign(raw))
        return self.scale * torch.sigmoid(raw)


class ActionIncentives(BoundedIncentives):
    """An additive incentive for each action type, paid to every agent whose action is of that type."""

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """``u[type of the agent's action]`` where the agent acted, else 0."""
        return output.gather(-1, trajectory.action_types) * trajectory.active


class AgentIncentives(BoundedIncentives):
    """An additive incentive for each agent, whatever it did: dual-RL (c) of Yang et al. 2022, section 4.2."""

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
