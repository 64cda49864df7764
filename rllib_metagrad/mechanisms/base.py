"""What a mechanism is, and a registry of them by name.

A mechanism maps the designer's output ``u`` to each agent's reward, ``r_i = R_i(s, a, u)`` (Yang et al. 2022,
section 3), differentiably in ``u``. It is a pure function of a trajectory, so that the same rewards can be
recomputed under another incentive function, with gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
        read_by_environment: the environment's own dynamics depend on the output (a tax that moves coin). The designer
            is then asked before the step that reads it, from the state alone, and not once a step.
        output_names: of the outputs, for reports; None where they belong to action types or agents.
    """

    num_outputs: int
    read_by_environment = False
    output_names: tuple[str, ...] | None = None

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

    def designer_rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """R^ID ``[T, B]`` had ``output`` been in force and everybody acted as they did: its direct effect.

        Additive incentives have none. Those that move what R^ID is made of override this.
        """
        return trajectory.designer_rewards

    def to_environment(self, output: Tensor) -> Tensor:
        """What the environment's step takes, ``[B, ...]``, of outputs ``[B, U]``; for those that it reads."""
        return output


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


@dataclass(frozen=True)
class _Entry:
    factory: MechanismFactory
    facts: tuple[str, ...] = ()


_REGISTRY: dict[str, _Entry] = {
    "action_incentives": _Entry(
        lambda num_agents, num_action_types, **config: ActionIncentives(num_action_types, **config)
    ),
    "agent_incentives": _Entry(lambda num_agents, num_action_types, **config: AgentIncentives(num_agents, **config)),
}


def mechanism_names() -> list[str]:
    """Names that :func:`make_mechanism` knows."""
    return sorted(_REGISTRY)


def register_mechanism(name: str, factory: MechanismFactory, facts: Sequence[str] = ()) -> None:
    """Makes a mechanism available to configs.

    Args:
        name: for the config key ``mechanism``.
        factory: called with ``num_agents``, ``num_action_types``, the entries of ``mechanism_config`` and the facts.
        facts: names of what it must know of the environment (``VectorIncentiveEnv.mechanism_facts``).
    """
    _REGISTRY[name] = _Entry(factory, tuple(facts))


def make_mechanism(
    name: str,
    num_agents: int,
    num_action_types: int,
    config: dict[str, Any],
    facts: Mapping[str, Any] | None = None,
    env: str = "the environment",
) -> Mechanism:
    """Builds a mechanism.

    Args:
        name: one of :func:`mechanism_names`.
        num_agents: N.
        num_action_types: how many types agents' actions have.
        config: of ``mechanism_config``.
        facts: what the environment tells of itself.
        env: its name, for messages.

    Raises:
        ValueError: for an unknown name or config key, or an environment for which the mechanism makes no sense.
    """
    if name not in _REGISTRY:
        close = get_close_matches(name, _REGISTRY, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(mechanism_names())}"
        raise ValueError(f"unknown mechanism {name!r}{hint}")
    entry, known = _REGISTRY[name], facts or {}
    missing = [fact for fact in entry.facts if fact not in known]
    if missing:
        raise ValueError(f"mechanism {name!r} does not fit {env}, which has no {', '.join(missing)}")
    own = {fact: known[fact] for fact in entry.facts}
    both = sorted(own.keys() & config.keys())
    if both:
        raise ValueError(f"mechanism_config of {name!r}: {both[0]} is set by env_config, not here")
    try:
        return entry.factory(num_agents=num_agents, num_action_types=num_action_types, **own, **config)
    except TypeError as error:
        raise ValueError(f"mechanism_config of {name!r}: {error}") from error
