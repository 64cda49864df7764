"""Losses of the agents and of the incentive designer.

Means over steps are written as sums with weights that add up to one, because with several learners each
computes its share of the sum and the shares are added.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Protocol, cast

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from rllib_metagrad.core.reduction import Reduction
from rllib_metagrad.settings import AgentSettings, SettingError, nearest
from rllib_metagrad.settings.designer import DesignerLoss
from rllib_metagrad.settings.import_path import import_object, is_import_path


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

    Arrays are ``[P, n]``, and each step stands for itself: its loss depends on no other step. It may depend on the
    advantage in any way; the meta-gradient needs the derivative of its gradient with respect to the advantage, which
    :meth:`slope` says.
    """

    @property
    def needs_critic(self) -> bool:
        """Whether advantages are made with a value function; else they are discounted returns."""
        ...

    def per_step(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """The loss of each step, differentiable in ``log_probs``."""
        ...

    def slope(self, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, settings: AgentSettings) -> Tensor:
        """``-d^2 loss / (d log_prob d advantage)``: ``s``, where the gradient is ``-s * advantage``.

        Incentives enter the agents' gradient only through advantages, which is what makes the meta-gradient a
        directional derivative (core/meta_gradient.py). :func:`check_slope` compares it with finite differences.
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


@cache
def find_loss(name: str) -> AgentLoss:
    """An agents' loss.

    Args:
        name: one of :data:`LOSSES`, or an import path ``package.module:Class`` of a class, which is called without
            arguments, or of an object.

    Raises:
        SettingError: on one line, if there is none of that name, or it is no loss.
    """
    if name in LOSSES:
        return LOSSES[name]
    if not is_import_path(name):
        raise SettingError("agent_loss", f"is {name!r}, which is no loss{nearest(name, LOSSES)}")
    try:
        found = import_object(name, lambda value: hasattr(value, "per_step") and value is not AgentLoss)
        loss = found() if isinstance(found, type) else found
    except ValueError as error:
        raise SettingError("agent_loss", str(error)) from error
    except TypeError as error:
        raise SettingError("agent_loss", f"{name} cannot be made without arguments: {error}") from error
    for method in ("per_step", "slope"):
        given = getattr(loss, method, None)
        if not callable(given) or getattr(type(loss), method, None) is getattr(AgentLoss, method):
            raise SettingError("agent_loss", f"{name} lacks {method}(log_probs, old_log_probs, advantages, settings)")
        try:
            inspect.signature(given).bind(*range(4))
        except TypeError:
            raise SettingError(
                "agent_loss",
                f"{name}: {method}{inspect.signature(given)} must take log_probs, old_log_probs, advantages, settings",
            ) from None
    if not isinstance(getattr(loss, "needs_critic", None), bool):
        raise SettingError("agent_loss", f"{name} lacks needs_critic, True or False")
    return cast(AgentLoss, loss)


def check_loss(settings: AgentSettings) -> None:
    """Checks the agents' loss: that there is one of its name, and :func:`check_slope` if it is a user's own.

    Raises:
        SettingError: on one line.
    """
    loss = find_loss(settings.loss)
    if settings.loss not in LOSSES:
        check_slope(loss, settings)


def check_slope(loss: AgentLoss, settings: AgentSettings) -> None:
    """Compares :meth:`AgentLoss.slope` with finite differences at made-up steps, of which a half have ratio one.

    A wrong slope gives wrong meta-gradients, and nothing else would tell. Takes a few milliseconds.

    Args:
        loss: which.
        settings: with which it is to be used.

    Raises:
        SettingError: on one line, if it is not the derivative that the meta-gradient needs, a step's loss depends on
            other steps, or autograd cannot differentiate the loss as the meta-gradient does.
    """
    name = settings.loss if is_import_path(settings.loss) else type(loss).__name__
    try:
        problem = _problem_of(loss, settings)
    except Exception as error:  # a user's loss may raise anything
        problem = f"fails at made-up steps: {type(error).__name__}: {' '.join(str(error).split())}"
    if problem:
        raise SettingError("agent_loss", f"{name} {problem}")


def _problem_of(loss: AgentLoss, settings: AgentSettings) -> str | None:
    generator = torch.Generator().manual_seed(0)

    def draw() -> Tensor:
        return torch.rand(2, 16, generator=generator, dtype=torch.float64)

    log_probs = (-0.1 - 2 * draw()).requires_grad_()
    old = log_probs.detach() + torch.tensor([[0.0], [1.0]]) * (draw() - 0.5)
    advantages = (0.2 + draw()) * (1 - 2 * (draw() < 0.5).double())
    weights, along = 0.5 + draw(), 0.5 + draw()

    def gradient(at: Tensor, graph: bool = False) -> Tensor:
        share = (weights * loss.per_step(log_probs, old, at, settings)).sum()
        return torch.autograd.grad(share, log_probs, create_graph=graph)[0]

    shapes = {
        "per_step": loss.per_step(log_probs, old, advantages, settings).shape,
        "slope": (slope := loss.slope(log_probs.detach(), old, advantages, settings)).shape,
    }
    for method, shape in shapes.items():
        if shape != log_probs.shape:
            return f": {method} must return one number a step, {tuple(log_probs.shape)}, got {tuple(shape)}"
    h = 1e-5
    numeric = (gradient(advantages + h * along) - gradient(advantages - h * along)) / (2 * h)
    live = advantages.clone().requires_grad_()
    product = (gradient(live, graph=True) * along).sum()
    pulled = torch.autograd.grad(product, live, allow_unused=True)[0] if product.requires_grad else None
    if not _close(torch.zeros_like(live) if pulled is None else pulled, numeric):
        return (
            "is not what autograd differentiates: d^2 per_step / (d log_prob d advantage) differs from finite "
            "differences; detach no advantages, and let no step's loss depend on other steps"
        )
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(log_probs, along)
        torch.autograd.grad((weights * loss.per_step(dual, old, advantages, settings)).sum(), dual)
    stated = -weights * slope * along
    if not _close(stated, numeric):
        i = int((stated - numeric).abs().argmax())
        right = float((-numeric / (weights * along)).flatten()[i])
        where = ", ".join(
            f"{key} {float(value.detach().flatten()[i]):.4g}"
            for key, value in (("log_prob", log_probs), ("old_log_prob", old), ("advantage", advantages))
        )
        return (
            "has a slope that is not -d^2 per_step / (d log_prob d advantage): "
            f"{float(slope.flatten()[i]):.4g} instead of {right:.4g} at {where}"
        )
    return None


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-6)


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
    discount = discounts(stepped, over, gamma, per_step)
    return (weights_of(stepped, reduction, dim=(0, 1)) * discount * per_step).sum()


def discounts(stepped: Tensor, over: Tensor, gamma: float, like: Tensor) -> Tensor:
    """``gamma^t`` ``[T, B]`` of every step, t counted from its episode's start (or the fragment's).

    Args:
        stepped: ``[T, B]`` bool, real steps.
        over: ``[T, B]`` bool, last step of an episode.
        gamma: discount.
        like: a tensor of the wanted shape, dtype and device.
    """
    discount = torch.ones_like(like)
    for t in range(1, like.shape[0]):
        discount[t] = torch.where(over[t - 1] | ~stepped[t - 1], 1.0, gamma * discount[t - 1])
    return discount
