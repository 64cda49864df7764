"""Discounted returns and advantages, masked, differentiable in the rewards.

All of them are one linear recursion, so one function carries them and its adjoint.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _DiscountedSum(torch.autograd.Function):
    """``y_t = x_t + decay_t * y_{t+1}``; its adjoint runs the same recursion forwards in time.

    Written out because the loop under autograd keeps ``2 T`` nodes, and because it is called with the
    rewards of the incentive function in every meta-gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: Tensor) -> Tensor:
        ctx.save_for_backward(decay)
        y = x.detach().clone()
        for t in range(x.shape[0] - 2, -1, -1):
            y[t].addcmul_(decay[t], y[t + 1])
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (decay,) = ctx.saved_tensors
        grad = grad_outputs[0].clone()
        for t in range(1, grad.shape[0]):
            grad[t].addcmul_(decay[t - 1], grad[t - 1])
        return grad, None


def discounted_sum(x: Tensor, decay: Tensor) -> Tensor:
    """Backward-time recursion ``y_t = x_t + decay_t * y_{t+1}``, with ``y_T = 0``.

    Args:
        x: ``[T, ...]``; gradients flow to it.
        decay: ``[T, ...]``, constant.

    Returns:
        ``[T, ...]``.
    """
    return _DiscountedSum.apply(x, decay)


def advantages_and_targets(
    rewards: Tensor,
    values: Tensor | None,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lambda_: float,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates, and the value targets that belong to them.

    Schulman et al. 2016 (arXiv:1506.02438), eq. 16, with two masks: a terminated step has no successor
    value; after a terminated or truncated step the sum starts again. ``lambda_ = 1`` gives the return minus
    the value, ``lambda_ = 0`` the one-step TD error.

    Args:
        rewards: ``[T, ...]``; may depend on the incentive function.
        values: ``[T + 1, ...]``, constants; None without a critic. Then advantages are discounted returns,
            and a truncated return is cut where the data ends, as nothing is known about what follows.
        terminated: ``[T, ...]`` bool.
        truncated: ``[T, ...]`` bool.
        gamma: discount in [0, 1].
        lambda_: in [0, 1].

    Returns:
        Advantages and value targets, ``[T, ...]`` each, both differentiable in the rewards.
    """
    goes_on = (~(terminated | truncated)).to(rewards.dtype)
    if values is None:
        returns = discounted_sum(rewards, gamma * goes_on)
        return returns, returns
    values = values.detach()
    not_terminated = (~terminated).to(rewards.dtype)
    td_errors = rewards + gamma * not_terminated * values[1:] - values[:-1]
    advantages = discounted_sum(td_errors, gamma * lambda_ * goes_on)
    return advantages, advantages + values[:-1]
