"""Income taxes in brackets or at one rate, paid back in equal shares, and what they leave to agents.

The environment moves the coin. A mechanism computes the same again from what the environment reports of each step
(:class:`~env_wrappers.facts.TaxContext`), none of which depends on the rates of the period that ends in the step. So
rewards are a function of the rates, with a gradient.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

from env_wrappers.facts import TaxContext, TaxFacts
from rllib_metagrad.mechanisms.base import BoundedIncentives
from rllib_metagrad.mechanisms.welfare import SocialWelfare, productivity_times_equality, social_welfare
from rllib_metagrad.settings import setting

if TYPE_CHECKING:
    from torch import Tensor

    from rllib_metagrad.core.trajectory import Trajectory

__all__ = ["BracketedTax", "LinearTax", "bracketed_tax", "isoelastic_utility", "net_transfers"]

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
    sizes = cutoffs.diff(append=cutoffs.new_full((1,), math.inf))
    within = (income.unsqueeze(-1) - cutoffs).clamp(min=0).minimum(sizes)
    return (within * rates.unsqueeze(-2)).sum(-1)


def net_transfers(owed: Tensor, coin: Tensor) -> Tensor:
    """What agents gain, ``[..., N]`` in coin: an equal share of all taxes less their own, eq. (8).

    Args:
        owed: ``[..., N]`` taxes.
        coin: ``[..., N]`` that can be taken; nobody pays more.
    """
    paid = coin.minimum(owed)
    return paid.mean(-1, keepdim=True) - paid


def isoelastic_utility(coin: Tensor, labor: Tensor, eta: float, energy_cost: float) -> Tensor:
    """``(C^(1 - eta) - 1) / (1 - eta) - energy_cost * labor``; Yang et al. 2022, eq. (25), eta in [0, 1)."""
    return (coin.clamp(min=_LEAST_COIN) ** (1 - eta) - 1) / (1 - eta) - energy_cost * labor


class BracketedTax(BoundedIncentives):
    """The designer's outputs are the marginal rates of the environment's K tax brackets."""

    class Config(BoundedIncentives.Config):
        """Bound and shape."""

        scale: float = setting(1.0, "largest rate", gt=0, le=1)

    needs = TaxFacts
    read_by_environment = True
    config: Config
    facts: TaxFacts

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """K names."""
        return tuple(f"bracket_{k}" for k in range(len(self.facts.bracket_cutoffs)))

    @cached_property
    def cutoffs(self) -> Tensor:
        """``[K]`` in coin, where brackets begin."""
        import torch

        return torch.tensor(self.facts.bracket_cutoffs)

    @cached_property
    def welfare(self) -> SocialWelfare | None:
        """What R^ID is the change of; None where R^ID is productivity times equality after the step."""
        named = self.facts.social_welfare
        return None if named is None else social_welfare(*named)

    def rates(self, output: Tensor) -> Tensor:
        """Marginal rates ``[..., K]`` of all brackets."""
        return output

    def to_environment(self, output: Tensor) -> Tensor:
        """Marginal rates ``[B, K]``."""
        return self.rates(output)

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """Net transfers in coin; their sum over agents is zero."""
        # What is above the cap is not levied, and has no gradient.
        cap = TaxContext.read(trajectory.context).rate_cap.unsqueeze(-1)
        return self._transfers(self.rates(output).minimum(cap), trajectory)

    def _transfers(self, rates: Tensor, trajectory: Trajectory) -> Tensor:
        """Net transfers ``[T, B, N]`` in coin at marginal rates ``[T, B, K]``."""
        context = TaxContext.read(trajectory.context)
        owed = bracketed_tax(context.income, rates, self.cutoffs.to(rates))
        levied = (context.tax_day > 0).unsqueeze(-1) & trajectory.active
        return net_transfers(owed, context.coin).where(levied, 0.0)

    def rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """Rewards ``[T, B, N]`` under these rates, as if everybody had acted as recorded.

        Rewards are changes of utility. Coin that other taxes would have left stays to the end of the episode (or
        fragment), so what taxes change is the utility of all later coin: rewards add up to that of the last.
        """
        context = TaxContext.read(trajectory.context)
        recorded = self._utility(self._recorded_coin(trajectory), trajectory)
        levied = (context.tax_day > 0).unsqueeze(-1) & trajectory.active
        in_force = (recorded - context.previous_utility).where(levied, trajectory.rewards)
        other = self._utility(self._coin_under(output, trajectory), trajectory)
        gap = (other - recorded).where(trajectory.active, 0.0)
        return in_force + gap - _before(gap, trajectory)

    def _recorded_coin(self, trajectory: Trajectory) -> Tensor:
        """All coin ``[T, B, N]`` after each step's taxes, as it was."""
        return self._coin(trajectory) + self._transfers(TaxContext.read(trajectory.context).rates, trajectory)

    def _coin(self, trajectory: Trajectory) -> Tensor:
        """All coin ``[T, B, N]`` before this step's taxes."""
        context = TaxContext.read(trajectory.context)
        return context.coin + context.escrow_coin

    def _utility(self, coin: Tensor, trajectory: Trajectory) -> Tensor:
        """Utility ``[T, B, N]`` of all coin ``[T, B, N]`` and the labor recorded."""
        labor = TaxContext.read(trajectory.context).labor
        return isoelastic_utility(coin, labor, self.facts.isoelastic_eta, self.facts.energy_cost)

    def designer_rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """R^ID under these rates, as if everybody had acted as recorded.

        It is a level, or the change of one. Coin that other taxes would have left stays where it is until the
        end of the episode (or fragment).
        """
        coin = self._coin_under(output, trajectory)
        if self.welfare is None:
            return productivity_times_equality(coin).where(trajectory.stepped, trajectory.designer_rewards)
        income = TaxContext.read(trajectory.context).income
        other = self.welfare(income, coin, self._utility(coin, trajectory))
        as_it_was = self._recorded_coin(trajectory)
        recorded = self.welfare(income, as_it_was, self._utility(as_it_was, trajectory))
        gap = (other - recorded).where(trajectory.stepped, 0.0)
        return trajectory.designer_rewards + gap - _before(gap, trajectory)

    def _coin_under(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """All coin ``[T, B, N]`` after each step's taxes, had these rates been in force since the episode's start."""
        import torch

        now = self.incentives(output, trajectory)
        gained = (now - self._transfers(TaxContext.read(trajectory.context).rates, trajectory)).cumsum(0)
        # Of all taxes before this step's, in its episode alone.
        before = _shifted(gained)
        rows = torch.arange(1, len(before), device=before.device).unsqueeze(1)
        start = torch.zeros(before.shape[:2], dtype=torch.int64, device=before.device)
        start[1:] = torch.where(trajectory.over[:-1], rows, 0).cummax(0).values
        before = before - before.gather(0, start.unsqueeze(-1).expand_as(before))
        return self._coin(trajectory) + before + now


def _before(values: Tensor, trajectory: Trajectory) -> Tensor:
    """The values of the step before ``[T, B, ...]``, zero in an episode's first."""
    over = _shifted(trajectory.over).reshape(*values.shape[:2], *[1] * (values.ndim - 2))
    return _shifted(values).where(~over, 0.0)


def _shifted(values: Tensor) -> Tensor:
    """The values one row later, zeros in the first row."""
    import torch

    return torch.cat([torch.zeros_like(values[:1]), values[:-1]])


class LinearTax(BracketedTax):
    """One rate for all income: :class:`BracketedTax` with equal rates and one output."""

    output_names = ("income",)

    def rates(self, output: Tensor) -> Tensor:
        """The same rate in all brackets."""
        return output.expand(*output.shape[:-1], len(self.cutoffs))
