"""The designer's own RL problem: advantages A^ID of R^ID, with or without a critic V_phi."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.core import losses
from rllib_metagrad.core.decisions import DesignerSteps
from rllib_metagrad.core.returns import advantages_and_targets
from rllib_metagrad.core.state import AlgorithmState, Designer, Measured, Metrics, Setup, adam, all_finite
from rllib_metagrad.metrics import DESIGNER_CRITIC_LOSS, DESIGNER_VALUE, SKIPPED_UPDATES
from rllib_metagrad.settings import IncentiveSettings, LearningDesignerSettings

LearningSetup = Setup[Designer, LearningDesignerSettings, IncentiveSettings]


@dataclass(frozen=True)
class Objective:
    """What the designer's step is made of.

    Attributes:
        advantages: ``[T, B]``, A^ID of eq. (5), constants.
        reward_unit: what a unit of R^ID is in them.
    """

    advantages: Tensor
    reward_unit: float


def designer_objective(
    setup: LearningSetup, state: AlgorithmState, steps: DesignerSteps, rewards: Tensor
) -> tuple[Objective, AlgorithmState, Metrics]:
    """A^ID on a trajectory or on its decisions, and one step of V_phi from the same forward pass.

    GAE on R^ID with V_phi, or returns without a critic. Episodes cut by a time limit bootstrap, if there is a critic.
    ``baseline: mean`` centers the returns of each time step over the batch. Without any baseline every return of a
    solved game is positive, so each sampled step looks good, and incentives grow until they saturate.

    Args:
        setup: functions and settings.
        state: of the algorithm; only phi changes.
        steps: the designer's, ``[T, B]``.
        rewards: ``[T, B]``, the designer's.
    """
    designer, reduction = setup.settings.designer, setup.reduction
    weights = losses.weights_of(steps.stepped, reduction, dim=(0, 1))
    values = fitted = phi = None
    if setup.critic is not None:
        assert state.phi is not None
        phi = state.phi.value.detach().requires_grad_()
        fitted = _values(setup.critic, phi, steps.states)
        values = fitted.detach()
        if state.phi_target is not None:
            with torch.no_grad():
                values = _values(setup.critic, state.phi_target, steps.states)
    advantages, targets = advantages_and_targets(
        designer.reward_scale * rewards,
        values,
        steps.over_terminated,
        steps.over & ~steps.over_terminated,
        setup.settings.designer_gamma,
        designer.lambda_,
    )
    unscaled = targets.detach() / designer.reward_scale
    metrics: Metrics = [Measured(DESIGNER_VALUE, reduction.sum((weights * unscaled).sum()))]
    if fitted is not None and phi is not None:
        state, more = _critic_step(setup, state, phi, fitted[:-1] - targets, weights)
        metrics += more
    if designer.baseline == "mean":
        at_t = losses.weights_of(steps.stepped, reduction, dim=1)
        advantages = losses.center(advantages, at_t, reduction, dim=1)
    unit = designer.reward_scale
    if designer.normalize_advantages:
        raw = losses.center(advantages, weights, reduction, dim=(0, 1))
        variance = reduction.sum((weights * raw * raw).sum())
        advantages = losses.normalize(advantages, weights, reduction, dim=(0, 1))
        unit = unit / (float(torch.sqrt(variance)) + 1e-8)
    return Objective(advantages.detach(), unit), state, metrics


def _values(critic: Any, phi: Tensor, states: Tensor) -> Tensor:
    values: Tensor = critic.values(phi, states.flatten(0, 1)).reshape(states.shape[:2])
    return values


def _critic_step(
    setup: LearningSetup, state: AlgorithmState, phi: Tensor, error: Tensor, weights: Tensor
) -> tuple[AlgorithmState, Metrics]:
    """Half the mean squared error of V_phi, one step down."""
    assert state.phi is not None
    loss = 0.5 * (weights * error * error).sum()
    (grad,) = torch.autograd.grad(loss, phi)
    grad = setup.reduction.sum(grad)
    if not all_finite(setup, "the designer's critic", grad):
        return state, [Measured(SKIPPED_UPDATES, 1)]
    designer = setup.settings.designer
    new_phi = state.phi.step(grad, adam(setup, designer.critic_lr))
    target = state.phi_target
    if target is not None:
        assert designer.target_tau is not None
        target = torch.lerp(target, new_phi.value, designer.target_tau)
    metrics: Metrics = [Measured(DESIGNER_CRITIC_LOSS, setup.reduction.sum(loss.detach()))]
    return replace(state, phi=new_phi, phi_target=target), metrics
