"""Designers of the literature beside MetaGrad's: AMD, and the designer as one more RL agent (dual-RL)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from rllib_metagrad.core import losses
from rllib_metagrad.core.agent_update import ForwardPass
from rllib_metagrad.core.algorithm import count_update, descend
from rllib_metagrad.core.decisions import decisions
from rllib_metagrad.core.designer_gradient import LookingThrough, through_update
from rllib_metagrad.core.designer_objective import designer_objective
from rllib_metagrad.core.state import (
    AgentsUpdate,
    AlgorithmState,
    Measured,
    Metrics,
    Setup,
    StochasticDesigner,
    all_finite,
    designer_adam,
    forward_passes,
)
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.metrics import DESIGNER_ENTROPY, DESIGNER_LOSS, SKIPPED_UPDATES
from rllib_metagrad.settings import IncentiveSettings, StochasticDesignerSettings

DualRLSetup = Setup[StochasticDesigner, StochasticDesignerSettings, IncentiveSettings]


def amd_designer_step(
    setup: LookingThrough, state: AlgorithmState, tau: Trajectory, *, want_cost: bool = True
) -> tuple[AlgorithmState, Sequence[ForwardPass] | None, Metrics]:
    """Adaptive mechanism design, Baumann et al. 2020 (arXiv:1806.04067): one step on the agents' next data.

    The planner ascends welfare by anticipating the agents' next step from the data at hand,
    ``<grad_theta V(theta), delta theta(eta)>`` with plain gradient steps ``delta theta``: no updated policy is
    sampled, so there is no validation trajectory and no replica of the optimizer that agents really use.
    """
    objective, state, metrics = designer_objective(setup, state, tau, tau.designer_rewards)
    state, due = count_update(setup, state)
    if not due:
        return state, None, metrics
    plain = setup.settings.agents.replace(optimizer="sgd", grad_clip=None, num_epochs=1)
    anticipated = AgentsUpdate(tau, state.agents, state.eta.value, plain, ([None],) * len(setup.policies))
    # By the current policies: first order in the agents' step.
    forward = forward_passes(setup, [agent.theta for agent in state.agents], tau)
    gradient = through_update(setup, anticipated, state.eta.value, tau, objective, forward, want_cost)
    metrics += gradient.metrics
    stepped = descend(setup, state, gradient)
    if stepped is None:
        return state, forward, [*metrics, Measured(SKIPPED_UPDATES, 1)]
    return stepped[0], forward, metrics + stepped[1]


def dual_rl_designer_step(
    setup: DualRLSetup, state: AlgorithmState, tau: Trajectory
) -> tuple[AlgorithmState, Sequence[ForwardPass] | None, Metrics]:
    """Policy gradient (or PPO) on the designer's own decisions, for R^ID minus incentives paid (section 4.2).

    Payments that are in R^ID already (``Mechanism.in_objective``) are not taken off again.
    """
    designer, reduction = setup.settings.designer, setup.reduction
    earned, mechanism = tau.designer_rewards, setup.designer.mechanism
    if not mechanism.in_objective:
        earned = earned - mechanism.incentives(tau.designer_output, tau).sum(-1)
    made = decisions(tau, earned)
    objective, state, metrics = designer_objective(setup, state, made, made.rewards)
    weights = losses.weights_of(made.stepped, reduction, dim=(0, 1))
    states, features = made.states[:-1].flatten(0, 1), made.features.flatten(0, 1)
    old = made.log_probs
    for _ in range(designer.num_epochs):
        eta = state.eta.value.detach().requires_grad_()
        log_probs, entropy = setup.designer.evaluate(eta, states, features, made.actions.flatten(0, 1))
        per_step = losses.designer_outer_loss(
            designer.loss, log_probs.reshape(old.shape), old, objective.advantages, designer.clip_param
        )
        bonus = designer.entropy_coeff * entropy.reshape(old.shape)
        loss = (weights * (per_step - bonus)).sum()
        (grad,) = torch.autograd.grad(loss, eta)
        grad = reduction.sum(grad)
        if not all_finite(setup, "the designer", grad):
            return state, None, [*metrics, Measured(SKIPPED_UPDATES, 1)]
        state = replace(state, eta=state.eta.step(grad, designer_adam(setup)))
    metrics += setup.of_gradient(grad)
    mean_entropy = (weights * entropy.detach().reshape(old.shape)).sum()
    metrics += [
        Measured(DESIGNER_LOSS, reduction.sum(loss.detach())),
        Measured(DESIGNER_ENTROPY, reduction.sum(mean_entropy)),
    ]
    return state, None, metrics
