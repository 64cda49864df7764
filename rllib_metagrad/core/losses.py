"""Losses of the agents and of the incentive designer.

Means over steps are written as sums with weights that add up to one, because with several learners each
computes its share of the sum and the shares are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rllib_metagrad.core.reduction import Reduction
from rllib_metagrad.settings import AgentSettings
from rllib_metagrad.settings.designer import DesignerLoss


@dataclass(frozen=True)
class Evaluation:
    """A policy's view of recorded steps: ``log_probs`` and ``entropy`` ``[P, n]``; ``values`` or None."""

    log_probs: Tensor
    entropy: Tensor
    values: Tensor | None


def weights_of(mask: Tensor, reduction: Reduction, dim: int | tuple[int, ...] = -1) -> Tensor:
    """Turns a mask into weights that sum to one over ``dim`` and over all learners (all zero if it is empty)."""
    mask = mask.to(torch.get_default_dtype()) if mask.dtype == torch.bool else mask
    total = reduction.sum(mask.sum(dim, keepdim=True))
    return mask / total.clamp(min=1.0)


def center(x: Tensor, weights: Tensor, reduction: Reduction, dim: int | tuple[int, ...] = -1) -> Tensor:
    """``x - mean`` under ``weights`` that sum to one over ``dim`` and all learners; differentiable."""
    return x - reduction.differentiable_sum((weights * x).sum(dim, keepdim=True))


def normalize(x: Tensor, weights: Tensor, reduction: Reduction, dim: int | tuple[int, ...] = -1) -> Tensor:
    """``(x - mean) / (std + 1e-8)`` under ``weights`` that sum to one over ``dim`` and all learners; differentiable."""
    centered = center(x, weights, reduction, dim)
    variance = reduction.differentiable_sum((weights * centered * centered).sum(dim, keepdim=True))
    return centered / (torch.sqrt(variance + 1e-16) + 1e-8)


def clipped_ratio_objective(log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip_param: float) -> Tensor:
    """PPO's clipped surrogate, Schulman et al. 2017 (arXiv:1707.06347), eq. 7; elementwise, to be maximized."""
    ratio = torch.exp(log_probs - old_log_probs)
    clipped = ratio.clamp(1 - clip_param, 1 + clip_param)
    return torch.minimum(ratio * advantages, clipped * advantages)


class AgentLoss(Protocol):
    """The agents' policy loss at each step: eq. (3)'s update direction is minus its gradient.

    Arrays are ``[P, n]``. A loss may depend on the advantage in any way at the recorded value; the meta-gradient needs
    the derivative of its gradient with respect to the advantage, which :meth:`slope` says.
    """

    @property
    def needs_critic(self) -> bool:
        """Whether advantages are made with a value function; else they are discounted returns."""
        ...

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """The loss of each step, differentiable in ``log_probs``."""
        ...

    def slope(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """``s`` in ``d loss / d log_prob = -s * advantage``.

        The advantage enters the agents' gradient only through this product, which is what makes the meta-gradient a
        directional derivative (core/meta_gradient.py).
        """
        ...


@dataclass(frozen=True)
class PolicyGradient:
    """``-log pi(a|o) A``: REINFORCE on returns, or with a critic's advantages."""

    needs_critic: bool

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """See :class:`AgentLoss`."""
        return -log_probs * advantages

    def slope(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """One."""
        return torch.ones_like(log_probs)


@dataclass(frozen=True)
class ClippedRatio:
    """PPO."""

    needs_critic: bool = True

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """See :class:`AgentLoss`."""
        return -clipped_ratio_objective(log_probs, old_log_probs, advantages, settings.clip_param)

    def slope(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """The ratio where the clip does not act, else zero."""
        ratio = torch.exp(log_probs - old_log_probs)
        clipped = ratio.clamp(1 - settings.clip_param, 1 + settings.clip_param)
        return ratio * (ratio * advantages <= clipped * advantages)


#: Agents' losses by the name that the key ``agent_loss`` takes.
LOSSES: dict[str, AgentLoss] = {
    "pg": PolicyGradient(needs_critic=False),
    "actor_critic": PolicyGradient(needs_critic=True),
    "ppo": ClippedRatio(),
}


def designer_outer_loss(
    kind: DesignerLoss, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip_param: float
) -> Tensor:
    """The designer's loss at each step of the validation trajectory, ``[T, B]``.

    ``reinforce`` is the policy-gradient estimate of the second factor of eq. (4); ``ppo`` is eq. (5) with
    the ratio (6) taken against the policy that sampled the trajectory.

    Args:
        kind: which.
        log_probs: ``[T, B]``, of the *joint* action under the updated policies.
        old_log_probs: ``[T, B]``, recorded when sampling.
        advantages: ``[T, B]``, the designer's.
        clip_param: epsilon of eq. (5).
    """
    if kind == "ppo":
        return -clipped_ratio_objective(log_probs, old_log_probs, advantages, clip_param)
    return -log_probs * advantages


def incentive_cost(per_step: Tensor, stepped: Tensor, over: Tensor, gamma: float, reduction: Reduction) -> Tensor:
    """psi of eq. (1): the mean over steps of the discounted cost, this learner's share of it.

    Args:
        per_step: ``[T, B]`` cost of each step, differentiable in the incentive function.
        stepped: ``[T, B]`` bool, real steps.
        over: ``[T, B]`` bool, last step of an episode; discounting starts again after it. A fragment that
            begins within an episode is discounted from its own first row.
        gamma: discount.
        reduction: across learners.
    """
    discount = torch.ones_like(per_step)
    for t in range(1, per_step.shape[0]):
        discount[t] = torch.where(over[t - 1] | ~stepped[t - 1], 1.0, gamma * discount[t - 1])
    return (weights_of(stepped, reduction, dim=(0, 1)) * discount * per_step).sum()
