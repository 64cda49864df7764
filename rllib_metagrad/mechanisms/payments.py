"""Prices on what agents do: a payment for each unit of it, or a toll."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from env_wrappers.facts import UnitFacts
from rllib_metagrad.mechanisms.base import BoundedIncentives

if TYPE_CHECKING:
    from torch import Tensor

    from rllib_metagrad.core.trajectory import Trajectory

__all__ = ["Payment", "Toll"]


class Payment(BoundedIncentives):
    """The designer pays a price for each unit that an agent's action has: a bonus for work, a subsidy on what is given.

    It is in force before anybody acts. R^ID falls by what a unit of money costs, in the environment and here.
    """

    needs = UnitFacts
    read_by_environment = True
    in_objective = True
    #: 1: the designer pays agents; -1: agents pay.
    sign: ClassVar[float] = 1.0
    facts: UnitFacts

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """U names of prices."""
        return self.facts.prices

    @cached_property
    def units(self) -> Tensor:
        """``[A, U]`` of each action type."""
        import torch

        return torch.tensor(self.facts.units)

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """Price times units, if the agent acted."""
        units = self.units.to(output)[trajectory.action_types]  # [T, B, N, U]
        return self.sign * (units * output.unsqueeze(-2)).sum(-1) * trajectory.active

    def designer_rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """R^ID with these payments for the same actions instead of those recorded."""
        if self.facts.cost_of_funds == 0:
            return trajectory.designer_rewards
        before = self.incentives(trajectory.designer_output, trajectory)
        more = (self.incentives(output, trajectory) - before).sum(-1)
        return trajectory.designer_rewards - self.facts.cost_of_funds * more


class Toll(Payment):
    """Agents pay a price for each unit that their action has; a road on their path, say."""

    sign = -1.0
