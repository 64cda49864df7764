"""Agents that cannot be opened (section 4.2): surrogates fitted to what they were seen to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from rllib_metagrad.core import losses, optimizers
from rllib_metagrad.core.agent_update import AgentState, Policy, flatten_steps
from rllib_metagrad.core.reduction import Reduction
from rllib_metagrad.core.state import AgentsUpdate, Measured, Metrics
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.metrics import CLONING_KL
from rllib_metagrad.settings import MetaGradSettings, OptimizerSettings


def clone_agents(
    policies: Sequence[Policy],
    clones: Sequence[AgentState],
    past: AgentsUpdate,
    settings: MetaGradSettings,
    reduction: Reduction,
) -> tuple[AgentsUpdate, Metrics]:
    """The same update, made by surrogates that have been fitted to its trajectory.

    Its gradient is clipped: for a surrogate the data is off-policy, and an action that it deems all but
    impossible, once seen with a negative advantage, drives its logits to infinity within a few updates.
    """
    fitted, metrics = _fit(policies, clones, past.trajectory, settings, reduction)
    limits = [x for x in (past.settings.grad_clip, settings.cloning_grad_clip) if x is not None]
    clipped = past.settings.replace(grad_clip=min(limits, default=None))
    return replace(past, states=fitted, settings=clipped, outcomes=None), metrics


def _fit(
    policies: Sequence[Policy],
    clones: Sequence[AgentState],
    trajectory: Trajectory,
    settings: MetaGradSettings,
    reduction: Reduction,
) -> tuple[tuple[AgentState, ...], Metrics]:
    """Behavioral cloning: a few steps of Adam up the likelihood of the recorded actions."""
    fitted: list[AgentState] = []
    metrics: Metrics = []
    optimizer = OptimizerSettings(optimizer="adam", lr=settings.cloning_lr)
    for policy, clone, stack in zip(policies, clones, trajectory.stacks, strict=True):
        observations, actions, masks, recorded = flatten_steps(stack)
        p = stack.agents.shape[0]
        weights = losses.weights_of(stack.select(trajectory.active).reshape(p, -1), reduction)
        theta = clone.theta
        moments = optimizers.initial_state(optimizer, theta)
        for _ in range(settings.cloning_steps):
            leaf = theta.detach().requires_grad_()
            log_probs = policy.log_probs(leaf, observations, actions, masks, trajectory.epsilon)
            loss = -(weights * log_probs).sum()
            (grad,) = torch.autograd.grad(loss, leaf)
            theta, moments = optimizers.step(optimizer, theta, reduction.sum(grad), moments)
        with torch.no_grad():
            fitted_log_probs = policy.log_probs(theta, observations, actions, masks, trajectory.epsilon)
        gap = (weights * (recorded - fitted_log_probs)).sum() / p
        metrics.append(Measured(CLONING_KL, reduction.sum(gap)))
        fitted.append(replace(clone, theta=theta))
    return tuple(fitted), metrics
