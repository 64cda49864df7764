"""Income taxes in brackets or at one rate, paid back in equal shares, and what they leave to agents.

The environment moves the coin. A mechanism repeats that reckoning from what the environment tells of each step
(``Trajectory.context``), none of which depends on the rates of the period that ends: the income, the coin that can be
taken, what lies in escrow, labour, and the utility before. So rewards are a function of the rates, with a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.mechanisms.base import BoundedIncentives
from rllib_metagrad.mechanisms.welfare import productivity_times_equality
from rllib_metagrad.mechanisms.welfare import social_welfare as welfare_of

#: What a tax must know of the environment.
FACTS = ("bracket_cutoffs", "isoelastic_eta", "energy_cost", "social_welfare")

# Marginal utility is infinite without any coin; below this it counts as none.
_LEAST_COIN = 1e-8


def bracketed_tax(income: Tensor, rates: Tensor, cutoffs: Tensor) -> Tensor:
    """Tax on incomes, Yang et al. 2022, eq. (7): each rate is on the part of the income in its bracket.

    Args:
        income: ``[..., N]``, in coin; negative ones owe nothing.
        rates: ``[..., K]`` marginal, lowest bracket first.
        cutoffs: ``[K]``, where brackets begin, in coin; the first is 0, the last bracket has no end.

    Returns:
        ``[..., N]`` in coin, differentiable in ``rates``.
    """
    sizes = torch.diff(cutoffs, append=cutoffs.new_full((1,), torch.inf))
    within = torch.minimum((income.unsqueeze(-1) - cutoffs).clamp(min=0), sizes)
    return (within * rates.unsqueeze(-2)).sum(-1)


def net_transfers(owed: Tensor, coin: Tensor) -> Tensor:
    """What agents gain, ``[..., N]`` in coin: an equal share of all taxes less their own, eq. (8).

    Args:
        owed: ``[..., N]`` taxes.
        coin: ``[..., N]`` that can be taken; nobody pays more.
    """
    paid = torch.minimum(coin, owed)
    return paid.mean(-1, keepdim=True) - paid


def isoelastic_utility(coin: Tensor, labor: Tensor, eta: float, energy_cost: float) -> Tensor:
    """``(C^(1 - eta) - 1) / (1 - eta) - energy_cost * labor``; Yang et al. 2022, eq. (25), eta in [0, 1)."""
    return (coin.clamp(min=_LEAST_COIN) ** (1 - eta) - 1) / (1 - eta) - energy_cost * labor


class BracketedTax(BoundedIncentives):
    """The designer's outputs are the marginal rates of the environment's brackets.

    Args:
        bracket_cutoffs: where brackets begin, in coin.
        isoelastic_eta: of agents' utility.
        energy_cost: of a unit of labour, in utility.
        social_welfare: name and equality weight of what R^ID is the change of; None where R^ID is the level of
            productivity x equality in every step.
        scale: largest rate, in (0, 1].
        squash: see :class:`BoundedIncentives`.
    """

    read_by_environment = True

    def __init__(
        self,
        num_agents: int,
        num_action_types: int,
        bracket_cutoffs: Sequence[float],
        isoelastic_eta: float,
        energy_cost: float,
        social_welfare: tuple[str, float] | None,
        scale: float = 1.0,
        squash: str = "sigmoid",
    ) -> None:
        super().__init__(len(bracket_cutoffs), scale, squash)
        if self.scale > 1:
            raise ValueError(f"mechanism_config scale must be a tax rate <= 1, got {scale!r}")
        self.output_names = tuple(f"bracket_{k}" for k in range(len(bracket_cutoffs)))
        self.cutoffs = torch.tensor(bracket_cutoffs)
        self.eta, self.energy_cost = isoelastic_eta, energy_cost
        self.welfare = None if social_welfare is None else welfare_of(*social_welfare)

    def rates(self, output: Tensor) -> Tensor:
        """Marginal rates ``[..., K]`` of all brackets."""
        return output

    def to_environment(self, output: Tensor) -> Tensor:
        """Marginal rates ``[B, K]``."""
        return self.rates(output)

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """Net transfers in coin; their sum over agents is zero."""
        context = trajectory.context
        # What is above the cap is not levied, and has no gradient.
        rates = torch.minimum(self.rates(output), context["rate_cap"].unsqueeze(-1))
        owed = bracketed_tax(context["income"], rates, self.cutoffs.to(rates))
        levied = (context["tax_day"] > 0).unsqueeze(-1) & trajectory.active
        return torch.where(levied, net_transfers(owed, context["coin"]), 0.0)

    def rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """On tax days the change of utility with the taxes of these rates; in all other steps as it was."""
        context = trajectory.context
        _, utility = self._after_taxes(output, trajectory)
        levied = (context["tax_day"] > 0).unsqueeze(-1) & trajectory.active
        return torch.where(levied, utility - context["previous_utility"], trajectory.rewards)

    def _after_taxes(self, output: Tensor, trajectory: Trajectory) -> tuple[Tensor, Tensor]:
        """All coin and utility ``[T, B, N]`` after this step's taxes at these rates."""
        coin = self._coin(trajectory) + self.incentives(output, trajectory)
        return coin, self._utility(coin, trajectory)

    def _coin(self, trajectory: Trajectory) -> Tensor:
        """All coin ``[T, B, N]`` before this step's taxes."""
        return trajectory.context["coin"] + trajectory.context["escrow_coin"]

    def _utility(self, coin: Tensor, trajectory: Trajectory) -> Tensor:
        return isoelastic_utility(coin, trajectory.context["labor"], self.eta, self.energy_cost)

    def designer_rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """R^ID under these rates, as if everybody had acted as recorded.

        It is a level, or the change of one. Coin that other taxes would have left stays where it is until the
        end of the episode (or fragment).
        """
        now = self.incentives(output, trajectory)
        gained = (now - self.incentives(trajectory.designer_output, trajectory)).cumsum(0)
        # Of all taxes before this step's, in its episode alone.
        before = _shifted(gained)
        rows = torch.arange(1, len(before), device=before.device).unsqueeze(1)
        start = torch.zeros(before.shape[:2], dtype=torch.int64, device=before.device)
        start[1:] = torch.where(trajectory.over[:-1], rows, 0).cummax(0).values
        before = before - before.gather(0, start.unsqueeze(-1).expand_as(before))
        coin = self._coin(trajectory) + before + now
        if self.welfare is None:
            return torch.where(trajectory.stepped, productivity_times_equality(coin), trajectory.designer_rewards)
        income = trajectory.context["income"]
        other = self.welfare(income, coin, self._utility(coin, trajectory))
        recorded = self.welfare(income, *self._after_taxes(trajectory.designer_output, trajectory))
        gap = torch.where(trajectory.stepped, other - recorded, 0.0)
        return trajectory.designer_rewards + gap - torch.where(_shifted(trajectory.over), 0.0, _shifted(gap))


def _shifted(values: Tensor) -> Tensor:
    """The values one row later, zeros in the first row."""
    return torch.cat([torch.zeros_like(values[:1]), values[:-1]])


class LinearTax(BracketedTax):
    """One rate for all income: :class:`BracketedTax` with equal rates and one output."""

    def __init__(self, num_agents: int, num_action_types: int, **arguments: Any) -> None:
        super().__init__(num_agents, num_action_types, **arguments)
        self.num_outputs = 1
        self.output_names = ("income",)

    def rates(self, output: Tensor) -> Tensor:
        """The same rate in all brackets."""
        return output.expand(*output.shape[:-1], len(self.cutoffs))
