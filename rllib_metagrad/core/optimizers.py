"""Optimiser steps as pure functions, so that they can be differentiated.

Parameters of a stack of policies are one matrix ``[P, D]``: a row is a policy, so an elementwise step
moves all of them at once and a row's norm is that policy's global gradient norm.

* ``sgd``: theta - lr * g.
* ``adam``: Kingma & Ba 2015 (arXiv:1412.6980), Algorithm 1. Differentiated through the first moment only;
  the second moment is a constant, as in the code released with Yang et al. 2022.
* ``adam_full``: the same numbers, differentiated through both moments. At the very first step
  ``m / sqrt(v) = sign(g)``, whose derivative is zero, so it needs ``eps_root > 0`` to give a signal there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rllib_metagrad.settings import OptimizerSettings


@dataclass(frozen=True)
class OptimizerState:
    """Moments ``[P, D]`` (None for sgd) and how many steps were taken."""

    first: Tensor | None = None
    second: Tensor | None = None
    count: int = 0


def initial_state(settings: OptimizerSettings, theta: Tensor) -> OptimizerState:
    """Zero moments of the parameters' shape."""
    if settings.optimizer == "sgd":
        return OptimizerState()
    return OptimizerState(torch.zeros_like(theta), torch.zeros_like(theta))


def clip_by_global_norm(grad: Tensor, limit: float) -> Tensor:
    """Scales each row of ``grad`` ``[P, D]`` to an L2 norm of ``limit`` at most (differentiable)."""
    norm = torch.linalg.vector_norm(grad, dim=-1, keepdim=True)
    return grad * (limit / norm.clamp(min=limit))


def step(
    settings: OptimizerSettings,
    theta: Tensor,
    grad: Tensor,
    state: OptimizerState,
    rates: Tensor | None = None,
    second_moment: Tensor | None = None,
) -> tuple[Tensor, OptimizerState]:
    """One step downhill; differentiable in ``theta``, ``grad`` and the state's moments.

    Args:
        settings: the rule and its rates.
        theta: ``[P, D]``.
        grad: ``[P, D]``, gradient of a loss.
        state: of the same rule.
        rates: learning rates that broadcast to ``[P, D]`` (a critic's own), or None for that of ``settings``.
        second_moment: replaces ``adam``'s new second moment. Finite differences of ``adam`` use it, as its
            derivative takes that moment as given.

    Returns:
        New parameters and new state.
    """
    if settings.grad_clip is not None:
        grad = clip_by_global_norm(grad, settings.grad_clip)
    lr: float | Tensor = settings.lr if rates is None else rates
    if settings.optimizer == "sgd":
        return theta - lr * grad, OptimizerState(count=state.count + 1)
    assert state.first is not None
    assert state.second is not None
    beta1, beta2 = settings.betas
    count = state.count + 1
    first = beta1 * state.first + (1 - beta1) * grad
    squared = grad if settings.optimizer == "adam_full" else grad.detach()
    second = beta2 * state.second + (1 - beta2) * squared * squared
    if second_moment is not None:
        second = second_moment
    first_hat = first / (1 - beta1**count)
    second_hat = second / (1 - beta2**count)
    root = torch.sqrt(second_hat + settings.root if settings.root else second_hat)
    return theta - lr * first_hat / (root + settings.eps), OptimizerState(first, second, count)


def gain(
    settings: OptimizerSettings, grad: Tensor, state: OptimizerState, rates: Tensor | None = None
) -> float | Tensor:
    """What a lasting gradient is multiplied by in each step, momentum having caught up: a factor for ``[P, D]``.

    Args:
        settings: the rule and its rates.
        grad: ``[P, D]``, of the last step: a clipped norm is taken as given.
        state: after that step.
        rates: see :func:`step`.
    """
    factor: float | Tensor = settings.lr if rates is None else rates
    if settings.grad_clip is not None:
        norm = torch.linalg.vector_norm(grad, dim=-1, keepdim=True)
        factor = factor * (settings.grad_clip / norm.clamp(min=settings.grad_clip))
    if state.second is None:
        return factor
    second = state.second / (1 - settings.betas[1] ** state.count)
    return factor / (torch.sqrt(second + settings.root) + settings.eps)
