"""The designer's gradient, eq. (4): through the agents' answer (core/response.py), the direct effect, and the cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.core import losses
from rllib_metagrad.core.agent_update import AgentState, ForwardPass
from rllib_metagrad.core.decisions import hold
from rllib_metagrad.core.designer_objective import Objective
from rllib_metagrad.core.meta_gradient import Replica
from rllib_metagrad.core.own_objective import find_objective
from rllib_metagrad.core.response import RESPONSES, update_response
from rllib_metagrad.core.scene import (
    Answer,
    LookingThrough,
    Scene,
    answer_batch,
    designer_weights,
    entropy_coeff,
    response_name,
)
from rllib_metagrad.core.state import (
    AgentsUpdate,
    AnswerMemory,
    IncentiveFunction,
    Measured,
    Metrics,
    RunningMoments,
)
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.metrics import DIRECT_GRADIENT_NORM, DIRECT_SNR, RESPONSE_NORM, RESPONSE_SNR


@dataclass(frozen=True)
class EtaGradient:
    """Gradients with respect to eta ``[1, D]``, summed over learners, and the replicas they came through.

    Attributes:
        meta: first term of eq. (4), with the direct effect.
        cost: gradient of psi; None if nobody needs it.
        cost_value: psi.
        replicas: of the agents' update, one a stack.
        metrics: on the way.
        memory: of the agents' answer, for the next gradient.
    """

    meta: Tensor
    cost: Tensor | None
    cost_value: Tensor
    replicas: tuple[Replica, ...]
    metrics: Metrics
    memory: AnswerMemory


#: How the designer's gradient is taken: the arguments are those of :func:`designer_gradient`.
DesignerGradient = Callable[
    [
        LookingThrough,
        AgentsUpdate,
        Tensor,
        Trajectory,
        Objective,
        Sequence[ForwardPass] | None,
        bool,
        Sequence[AgentState] | None,
        AnswerMemory | None,
    ],
    EtaGradient,
]
#: How the agents' answer is seen, see core/response.py.
Response = Callable[[Scene], Answer]


def designer_gradient(
    setup: LookingThrough,
    past: AgentsUpdate,
    eta: Tensor,
    validation: Trajectory,
    objective: Objective,
    forward: Sequence[ForwardPass] | None,
    measure: bool,
    agents: Sequence[AgentState] | None = None,
    memory: AnswerMemory | None = None,
    *,
    response: Response | None = None,
) -> EtaGradient:
    """Equation (4), its terms apart: through the agents' answer, the direct effect, and of the cost psi.

    Args:
        setup: functions and settings.
        past: the agents' update to look through.
        eta: ``[1, D]``, where the gradient is taken.
        validation: tau_hat.
        objective: the designer's, on tau_hat.
        forward: passes over tau_hat of the policies where the outer gradient is taken; None for the replicas'.
        measure: compute what is only reported, psi's gradient where it has no weight among it.
        agents: their states now; :func:`update_response` needs none.
        memory: of earlier answers; None for none.
        response: how the agents' answer is seen; None for that of the settings.
    """
    designer, mechanism, reduction = setup.settings.designer, setup.designer.mechanism, setup.reduction
    tau = past.trajectory
    eta = eta.detach().requires_grad_()
    outputs = incentive_outputs(setup.designer, eta, tau)  # mu_eta(s, a)

    def rewards(trajectory: Trajectory) -> Tensor:  # r_i(s, a, mu_eta)
        offered = outputs if trajectory is tau else incentive_outputs(setup.designer, eta, trajectory)
        return mechanism.rewards(offered, trajectory)

    scene = Scene(setup, past, rewards, validation, objective, forward, agents, memory or AnswerMemory(), measure)
    answer = (response or RESPONSES[response_name(setup)])(scene)
    (of_answer,) = torch.autograd.grad(answer.scalar, eta, retain_graph=True)

    paid = mechanism.incentives(outputs, tau) if designer.cost == "realized" else outputs
    psi = losses.incentive_cost(paid.sum(-1), tau.stepped, tau.over, setup.settings.agents.gamma, reduction)
    direct = _direct_gradient(setup, objective, outputs, tau, eta)
    of_cost = None
    if measure or designer.cost_coeff > 0 or designer.cost_lr is not None:
        of_cost = reduction.sum(torch.autograd.grad(psi, eta)[0])
    metrics, memory = list(answer.metrics), answer.memory
    if direct is None:
        meta = reduction.sum(of_answer)
    else:
        meta = reduction.sum(of_answer + direct)
        direct = reduction.sum(direct)
        metrics.append(Measured(DIRECT_GRADIENT_NORM, direct.norm()))
    if response_name(setup) != "update":
        of_direct = torch.zeros_like(meta) if direct is None else direct
        memory, more = _remember(memory, meta - of_direct, of_direct, measure)
        metrics += more
    return EtaGradient(meta, of_cost, reduction.sum(psi.detach()), answer.replicas, metrics, memory)


def through_update(*args: Any, **keys: Any) -> EtaGradient:
    """:func:`designer_gradient` as in the paper, through one update of the agents."""
    return designer_gradient(*args, **keys, response=update_response)


def _remember(memory: AnswerMemory, response: Tensor, direct: Tensor, measure: bool) -> tuple[AnswerMemory, Metrics]:
    """Counts the two parts of the designer's gradient in; their norms and how far they are above their noise."""
    of_response = (memory.response or RunningMoments.start(response)).add(response)
    of_direct = (memory.direct or RunningMoments.start(direct)).add(direct)
    metrics: Metrics = [Measured(RESPONSE_NORM, response.norm())]
    if measure:
        metrics.append(Measured(RESPONSE_SNR, of_response.signal_to_noise()))
        metrics.append(Measured(DIRECT_SNR, of_direct.signal_to_noise()))
    return replace(memory, count=memory.count + 1, response=of_response, direct=of_direct), metrics


def incentive_outputs(designer: IncentiveFunction, eta: Tensor, trajectory: Trajectory) -> Tensor:
    """``mu_eta`` on a trajectory, ``[T, B, U]``, differentiable in eta."""
    due = trajectory.designer_due
    if due is not None:
        states = trajectory.states[:-1][due]
        decided = designer.outputs(eta, states, states.new_zeros(len(states), 0))
        return hold(decided, due, trajectory.designer_output)
    t, b = trajectory.stepped.shape
    states, features = trajectory.states[:-1].flatten(0, 1), trajectory.action_features.flatten(0, 1)
    return designer.outputs(eta, states, features).reshape(t, b, -1)


def _direct_gradient(
    setup: LookingThrough, objective: Objective, outputs: Tensor, tau: Trajectory, eta: Tensor
) -> Tensor | None:
    """This learner's share of the gradient of minus the mean R^ID at fixed actions, weighted; None if there is none.

    Where outputs move what R^ID is made of (taxes that are redistributed), its derivative has a term that eq. (4)
    leaves out: their effect before anybody has learned. It is in the units of the advantages.
    """
    designer = setup.settings.designer
    weight = designer.direct_weight
    if weight == 0:
        return None
    if designer.objective is None:
        rewards = setup.designer.mechanism.designer_rewards(outputs, tau)
    else:
        rewards = find_objective(designer.objective)(replace(tau, designer_output=outputs))
    loss = -weight * objective.reward_unit * (designer_weights(setup, tau) * rewards).sum()
    if not loss.requires_grad:
        return None
    return torch.autograd.grad(loss, eta, retain_graph=True)[0]


def predicted_kl(setup: LookingThrough, past: AgentsUpdate, before: Tensor, after: Tensor) -> Tensor:
    """KL divergence, in nats, a mean over agents' steps, by which the step of eta moves the agents' answer.

    Soft-optimal agents move by ``delta log pi = delta A / alpha``, so it is ``E (delta A)^2 / (2 alpha^2)``, the
    centered change of advantages on tau. What is chance in later rewards is counted in, so it is never too small.

    Args:
        setup: functions and settings.
        past: the agents' last update.
        before, after: ``[1, D]`` parameters of the incentive function.
    """
    tau, mechanism = past.trajectory, setup.designer.mechanism
    with torch.no_grad():
        old, new = (mechanism.rewards(incentive_outputs(setup.designer, eta, tau), tau) for eta in (before, after))
        alpha, total, count = entropy_coeff(setup) / (1 - tau.epsilon), old.new_zeros(()), 0
        for lesson in past.lessons(setup):
            # They cancel in the difference.
            values = torch.zeros(lesson.stack.observations.shape[:4], device=old.device, dtype=old.dtype)
            was, now = (answer_batch(lesson, rewards, values) for rewards in (old, new))
            weights = losses.weights_of(was.active, setup.reduction)
            moved = (now.advantages - was.advantages) / alpha
            total = total + 0.5 * (weights * moved * moved).sum()
            count += len(lesson.stack.agents)
    return setup.reduction.sum(total) / count
