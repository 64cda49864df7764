"""A subsidy on building, for economies in which agents build houses."""

from __future__ import annotations

from torch import Tensor

from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.mechanisms.base import BoundedIncentives

#: What a subsidy must know of the environment.
FACTS = ("house_action_type",)


class HouseSubsidy(BoundedIncentives):
    """A payment for every house, in units of utility, so that the economy's coin is left alone.

    A house is an action of its type: masks allow that action only where there will be a house.

    Args:
        house_action_type: type of the action that builds.
        scale: largest payment, > 0.
        squash: see :class:`BoundedIncentives`.
        financed: all agents pay for it in equal shares, so that payments add up to zero.
    """

    def __init__(
        self,
        num_agents: int,
        num_action_types: int,
        house_action_type: int,
        scale: float = 2.0,
        squash: str = "sigmoid",
        financed: bool = True,
    ) -> None:
        super().__init__(1, scale, squash)
        if not isinstance(financed, bool):
            raise ValueError(f"mechanism_config financed must be true or false, got {financed!r}")
        self.output_names = ("house",)
        self.house, self.financed = house_action_type, financed

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """The payment to builders, less everybody's share if it is financed."""
        active = trajectory.active.to(output)
        payments = output * (trajectory.action_types == self.house) * active
        if not self.financed:
            return payments
        return payments - active * payments.sum(-1, keepdim=True) / active.sum(-1, keepdim=True).clamp(min=1)
