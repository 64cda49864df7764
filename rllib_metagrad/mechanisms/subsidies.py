"""A subsidy on building, for economies in which agents build houses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from env_wrappers.facts import HouseFacts
from rllib_metagrad.mechanisms.base import BoundedIncentives
from rllib_metagrad.settings import setting

if TYPE_CHECKING:
    from torch import Tensor

    from rllib_metagrad.core.trajectory import Trajectory

__all__ = ["HouseSubsidy"]


class HouseSubsidy(BoundedIncentives):
    """A payment for every house, in units of utility: no coin moves.

    A house is an action of its type: masks allow that action only where it succeeds.
    """

    class Config(BoundedIncentives.Config):
        """Bound, shape, and who pays."""

        financed: bool = setting(True, "all agents pay for it in equal shares, so that payments add up to zero")

    needs = HouseFacts
    output_names = ("house",)
    config: Config
    facts: HouseFacts

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """The payment to builders, less each agent's share if it is financed."""
        active = trajectory.active.to(output)
        payments = output * (trajectory.action_types == self.facts.house_action_type) * active
        if not self.config.financed:
            return payments
        return payments - active * payments.sum(-1, keepdim=True) / active.sum(-1, keepdim=True).clamp(min=1)
