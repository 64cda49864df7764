"""What a response is read from (core/response.py), and eq. (5): the designer's loss and its gradient v."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.core import losses
from rllib_metagrad.core.agent_update import (
    AgentState,
    Batch,
    ForwardPass,
    Lesson,
    Update,
    critic_values,
    flatten_steps,
    make_batch,
)
from rllib_metagrad.core.designer_objective import Objective
from rllib_metagrad.core.losses import find_loss
from rllib_metagrad.core.meta_gradient import Replica, replicate
from rllib_metagrad.core.state import AgentsUpdate, AnswerMemory, Measured, Metrics, Setup
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.metrics import DESIGNER_LOSS
from rllib_metagrad.settings import IncentiveFunctionSettings, LookingThroughSettings

LookingThrough = Setup[Any, IncentiveFunctionSettings, LookingThroughSettings]


@dataclass(frozen=True)
class Scene:
    """All that an answer is read from.

    Attributes:
        setup: functions and settings.
        past: the agents' last update, on tau.
        rewards: of a trajectory, ``[T, B, N]`` differentiable in eta.
        validation: tau_hat.
        objective: the designer's, on tau_hat.
        forward: passes over tau_hat of the policies where the outer gradient is taken; None for the replicas'.
        agents: their states now, after ``past``; None where nothing but ``update`` is asked for.
        memory: of earlier answers.
        measure: whether metrics are wanted that cost something.
    """

    setup: LookingThrough
    past: AgentsUpdate
    rewards: Callable[[Trajectory], Tensor]
    validation: Trajectory
    objective: Objective
    forward: Sequence[ForwardPass] | None
    agents: Sequence[AgentState] | None
    memory: AnswerMemory
    measure: bool


@dataclass(frozen=True)
class Answer:
    """What a response gives.

    Attributes:
        scalar: its gradient with respect to eta is this learner's share of the response.
        memory: for the next one.
        metrics: on the way.
        replicas: of the agents' update, one a stack, where there are some.
    """

    scalar: Tensor
    memory: AnswerMemory
    metrics: Metrics
    replicas: tuple[Replica, ...] = ()


def outer_gradient(scene: Scene, forward: Sequence[ForwardPass]) -> tuple[list[Tensor], Metrics]:
    """``v = d L_ID / d theta_hat`` of every stack, ``[P, D]`` each, summed over learners: eq. (5) differentiated.

    The designer's loss is one of the *joint* action: log-probabilities of all agents that acted are summed.
    """
    setup, validation, advantages = scene.setup, scene.validation, scene.objective.advantages
    designer, reduction = setup.settings.designer, setup.reduction
    joint, old_joint = torch.zeros_like(advantages), torch.zeros_like(advantages)
    for now, stack in zip(forward, validation.stacks, strict=True):
        active = stack.select(validation.active)
        joint = joint + (now.evaluation.log_probs.reshape(active.shape) * active).sum((0, 3))
        old_joint = old_joint + (flatten_steps(stack)[3].reshape(active.shape) * active).sum((0, 3))
    per_step = losses.designer_outer_loss(designer.loss, joint, old_joint, advantages, designer.clip_param)
    loss = (designer_weights(setup, validation) * per_step).sum()
    # The agents' update goes back through the same graphs.
    gradients = torch.autograd.grad(loss, [now.theta for now in forward], retain_graph=True)
    metrics: Metrics = [Measured(DESIGNER_LOSS, reduction.sum(loss.detach()))]
    return [reduction.sum(gradient) for gradient in gradients], metrics


def designer_weights(setup: LookingThrough, trajectory: Trajectory) -> Tensor:
    """Weights ``[T, B]`` of steps in the designer's loss, and in the direct effect: a mean over steps.

    Beside the whole answer it is that of the discounted return from the start, ``gamma^t``: the response and the
    direct effect are then two parts of one derivative. The paper's estimate weighs all steps alike.
    """
    weights = losses.weights_of(trajectory.stepped, setup.reduction, dim=(0, 1))
    gamma = setup.settings.designer_gamma
    if response_name(setup) == "update" or gamma == 1:
        return weights
    return weights * losses.discounts(trajectory.stepped, trajectory.over, gamma, weights)


def response_name(setup: LookingThrough) -> str:
    """Which response; AMD's designer has only ``update``."""
    return getattr(setup.settings.designer, "response", "update")


def make_replicas(setup: LookingThrough, past: AgentsUpdate, rewards: Tensor) -> tuple[Replica, ...]:
    """Replicas of the agents' update, one a stack, with rewards ``[T, B, N]`` that carry the graph of eta."""
    lessons = past.lessons(setup)
    outcomes: Sequence[Update | None] = past.outcomes or [None] * len(lessons)
    mode = setup.settings.incentives.meta_gradient
    return tuple(replicate(mode, lesson, rewards, known) for lesson, known in zip(lessons, outcomes, strict=True))


def answer_batch(lesson: Lesson, rewards: Tensor, values: Tensor | None) -> Batch:
    """A stack's steps with what its agents answer to: advantages whose derivative in rewards is that of whole returns.

    As the agents' own (:func:`make_batch`), but for lambda 1, since a tax that comes k steps later must not count
    lambda^k, and centered over the batch at each time step, which leaves the gradient and takes out noise. Where agents
    scale their advantages, these are scaled by the same number.

    Args:
        lesson: the stack's.
        rewards: ``[T, B, N]``, differentiable in eta.
        values: ``[P, T + 1, B, K]``; None to compute them where there is a critic.
    """
    settings = lesson.settings
    if values is None and find_loss(settings.loss).needs_critic:
        values = critic_values(lesson.policy, lesson.state, lesson.stack, None)
    whole = settings.replace(lambda_=1.0, mean_baseline=True, normalize_advantages=False)
    batch = make_batch(replace(lesson, settings=whole), rewards, values)
    if not settings.normalize_advantages:
        return batch
    own = make_batch(replace(lesson, settings=settings.replace(normalize_advantages=False)), rewards.detach(), values)
    weights = losses.weights_of(own.active, lesson.reduction)
    centered = losses.center(own.advantages, weights, lesson.reduction)
    scale = torch.sqrt(lesson.reduction.sum((weights * centered * centered).sum(-1, keepdim=True))) + 1e-8
    return replace(batch, advantages=batch.advantages / scale)


def entropy_coeff(setup: LookingThrough) -> float:
    """alpha, the temperature of the agents' answer in units of their loss, with its floor."""
    least: float = setup.settings.designer.response_least_entropy  # type: ignore[attr-defined]
    return max(setup.settings.agents.entropy_coeff, least)
