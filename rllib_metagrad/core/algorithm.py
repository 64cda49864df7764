"""Algorithm 1 of Yang et al. 2022, whole: the agents' step, the designer's step, and both in turn.

Pure functions of :class:`AlgorithmState`: a step returns the new state and its metrics. ``metagrad_step`` is one pass
of the loop on a trajectory that serves twice (section 4.2): as validation data of the agents' last update, and as
training data of their next one. The learners of RLlib call the same two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rllib_metagrad.core import losses
from rllib_metagrad.core.agent_update import ForwardPass, Lesson, Update, flatten_steps, update
from rllib_metagrad.core.cloning import clone_agents
from rllib_metagrad.core.decisions import hold
from rllib_metagrad.core.designer_objective import Objective, designer_objective
from rllib_metagrad.core.meta_gradient import Replica, replicate
from rllib_metagrad.core.minibatches import minibatches_of
from rllib_metagrad.core.state import (
    AgentsUpdate,
    AlgorithmState,
    AnySetup,
    IncentiveFunction,
    Measured,
    Metrics,
    Parameter,
    Setup,
    adam,
    all_finite,
    designer_adam,
    forward_passes,
)
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.metrics import (
    COST_GRADIENT_NORM,
    DESIGNER_COST,
    DESIGNER_LOSS,
    DIRECT_GRADIENT_NORM,
    META_GRADIENT_NORM,
    REPLICA_GAP,
    SKIPPED_UPDATES,
)
from rllib_metagrad.settings import IncentiveFunctionSettings, LookingThroughSettings, MetaGradSettings

LookingThrough = Setup[IncentiveFunction, IncentiveFunctionSettings, LookingThroughSettings]
MetaGradSetup = Setup[IncentiveFunction, IncentiveFunctionSettings, MetaGradSettings]


@dataclass(frozen=True)
class EtaGradient:
    """Gradients with respect to eta ``[1, D]``, summed over learners, and the replicas they came through.

    Attributes:
        meta: first term of eq. (4), with the direct effect of ``designer_direct_coeff``.
        cost: gradient of psi; None if nobody needs it.
        cost_value: psi.
        replicas: of the agents' update, one a stack.
        metrics: on the way.
    """

    meta: Tensor
    cost: Tensor | None
    cost_value: Tensor
    replicas: tuple[Replica, ...]
    metrics: Metrics


#: How the designer's gradient is taken: ``(setup, past, eta, validation, objective, forward, want_cost)``, see
#: :func:`through_update`.
DesignerGradient = Callable[
    [LookingThrough, AgentsUpdate, Tensor, Trajectory, Objective, Sequence[ForwardPass] | None, bool], EtaGradient
]


def metagrad_step(
    setup: MetaGradSetup,
    state: AlgorithmState,
    tau: Trajectory,
    generator: torch.Generator,
    *,
    measure: bool = True,
) -> tuple[AlgorithmState, Metrics]:
    """One pass of Algorithm 1's loop on a trajectory sampled with ``state``: lines 7 and 8, then lines 4 to 6.

    Args:
        setup: functions, and settings :meth:`Setup.at` this moment.
        state: theta, eta, and the agents' last update.
        tau: sampled by policies theta under incentives eta.
        generator: of minibatches.
        measure: report also what costs something: psi's gradient, and how exact the replica is.
    """
    eta_in_force = state.eta.value
    state, forward, of_designer = designer_step(setup, state, tau, want_cost=measure, want_gap=measure)
    state, of_agents = agents_step(setup, state, tau, eta_in_force, generator, forward)
    return state, of_designer + of_agents


# -- the agents: eq. (3) ------------------------------------------------------------------------------------


def agents_step(
    setup: AnySetup,
    state: AlgorithmState,
    tau: Trajectory,
    eta_in_force: Tensor,
    generator: torch.Generator,
    forward: Sequence[ForwardPass] | None = None,
) -> tuple[AlgorithmState, Metrics]:
    """Agents learn from the rewards that the trajectory really carried, ``r_i + incentives``.

    Args:
        setup: functions and settings.
        state: whose agents sampled ``tau``.
        tau: training data.
        eta_in_force: the designer's parameters when ``tau`` was sampled.
        generator: of minibatches.
        forward: passes over ``tau`` at the agents' parameters, where there are some already.
    """
    settings = setup.settings.agents
    rewards = setup.designer.mechanism.rewards(tau.designer_output, tau)
    minibatches = tuple(
        minibatches_of(tau, stack, settings, generator, whole_columns=policy.recurrent)
        for policy, stack in zip(setup.policies, tau.stacks, strict=True)
    )
    made = AgentsUpdate(tau, state.agents, eta_in_force, settings, minibatches)
    metrics: Metrics = []
    outcomes: list[Update] = []
    for i, lesson in enumerate(made.lessons(setup)):
        outcome = update(lesson, rewards, forward=None if forward is None else forward[i])
        if not all_finite(setup, f"agents {setup.stack_names[i] if setup.stack_names else i}", outcome.state.theta):
            # Where an update is skipped there is nothing that the designer could look through.
            return replace(state, last_update=None), [*metrics, Measured(SKIPPED_UPDATES, 1)]
        outcomes.append(outcome)
        metrics += [Measured(metric, values, stack=i) for metric, values in outcome.metrics.items()]
    made = replace(made, outcomes=tuple(outcomes))
    return replace(state, agents=tuple(outcome.state for outcome in outcomes), last_update=made), metrics


# -- the designer: eq. (4) and (5) --------------------------------------------------------------------------


def designer_step(
    setup: MetaGradSetup,
    state: AlgorithmState,
    validation: Trajectory,
    *,
    gradient_of: DesignerGradient | None = None,
    want_cost: bool = True,
    want_gap: bool = True,
) -> tuple[AlgorithmState, Sequence[ForwardPass] | None, Metrics]:
    """The designer descends eq. (4) on data of the agents' updated policies (Algorithm 1, line 7).

    Args:
        setup: functions and settings.
        state: with the agents' last update; its agents sampled ``validation``.
        validation: tau_hat.
        gradient_of: the designer's gradient; None for :func:`through_update`, the paper's.
        want_cost: report psi's gradient even where it has no weight.
        want_gap: report how far a whole replica is from the update that agents made.

    Returns:
        The new state; forward passes of the current policies over ``validation``, for the agents' step, or None if
        the designer needed none; metrics.
    """
    designer, method = setup.settings.designer, setup.settings.incentives
    objective, state, metrics = designer_objective(setup, state, validation, validation.designer_rewards)
    if state.last_update is None:
        return state, None, metrics
    state, due = count_update(setup, state)
    if not due:
        return state, None, metrics
    past = state.last_update
    assert past is not None
    cloned = state.clones is not None
    if state.clones is not None:
        past, more = clone_agents(setup.policies, state.clones, past, method, setup.reduction)
        metrics += more
    forward = None if cloned else forward_passes(setup, [agent.theta for agent in state.agents], validation)
    start, gradient = state.eta.value, None
    for epoch in range(designer.num_epochs):
        # The gradient belongs to the eta that was in force; with several epochs its base point moves along.
        eta = past.eta + (state.eta.value - start)
        known = past if epoch == 0 else replace(past, outcomes=None)
        at = forward if epoch == 0 else None
        gradient = (gradient_of or through_update)(setup, known, eta, validation, objective, at, want_cost)
        metrics += gradient.metrics
        if epoch == 0 and want_gap and not cloned:
            metrics.append(Measured(REPLICA_GAP, replica_gap(setup, state, past)))
        stepped = descend(setup, state, gradient)
        if stepped is None:
            return state, forward, [*metrics, Measured(SKIPPED_UPDATES, 1)]
        state, more = stepped
        metrics += more
    if cloned and gradient is not None:
        clones = tuple(replace(r.outcome.state, theta=r.theta_hat) for r in gradient.replicas)
        state = replace(state, clones=clones)
    return state, forward, metrics


def count_update(setup: LookingThrough, state: AlgorithmState) -> tuple[AlgorithmState, bool]:
    """Counts an update of the agents, and says whether the designer looks through it, see ``interval``."""
    count = (state.num_seen + 1) % setup.settings.designer.interval
    return replace(state, num_seen=count), count == 0


def through_update(
    setup: LookingThrough,
    past: AgentsUpdate,
    eta: Tensor,
    validation: Trajectory,
    objective: Objective,
    forward: Sequence[ForwardPass] | None,
    want_cost: bool,
) -> EtaGradient:
    """Equation (4), its two terms apart: through the agents' update, and of the cost psi.

    Args:
        setup: functions and settings.
        past: the agents' update to look through.
        eta: ``[1, D]``, where the gradient is taken.
        validation: tau_hat.
        objective: the designer's, on tau_hat.
        forward: passes over tau_hat of the policies where the outer gradient is taken; None for the replicas'.
        want_cost: compute psi's gradient even where it has no weight.
    """
    designer, mechanism, reduction = setup.settings.designer, setup.designer.mechanism, setup.reduction
    tau = past.trajectory
    eta = eta.detach().requires_grad_()
    outputs = incentive_outputs(setup.designer, eta, tau)  # mu_eta(s, a)
    rewards = mechanism.rewards(outputs, tau)  # r_i(s, a, mu_eta)
    replicas = _replicas(setup, past, rewards)  # theta_hat(eta), eq. (3)
    if forward is None:
        forward = forward_passes(setup, [replica.theta_hat for replica in replicas], validation)
    outer, metrics = outer_gradient(setup, forward, validation, objective)  # v = d L_ID / d theta_hat, eq. (5)
    through_agents = torch.stack([replica.pull_back(v) for replica, v in zip(replicas, outer, strict=True)]).sum()
    (meta,) = torch.autograd.grad(through_agents, eta, retain_graph=True)  # (d theta_hat / d eta)^T v

    paid = mechanism.incentives(outputs, tau) if designer.cost == "realized" else outputs
    psi = losses.incentive_cost(paid.sum(-1), tau.stepped, tau.over, setup.settings.agents.gamma, reduction)
    direct, more = _direct_gradient(setup, objective, outputs, tau, eta)
    meta = meta + direct
    of_cost = None
    if want_cost or designer.cost_coeff > 0 or designer.cost_lr is not None:
        of_cost = reduction.sum(torch.autograd.grad(psi, eta)[0])
    return EtaGradient(reduction.sum(meta), of_cost, reduction.sum(psi.detach()), replicas, metrics + more)


def outer_gradient(
    setup: LookingThrough, forward: Sequence[ForwardPass], validation: Trajectory, objective: Objective
) -> tuple[list[Tensor], Metrics]:
    """``v = d L_ID / d theta_hat`` of every stack, ``[P, D]`` each, summed over learners: eq. (5) differentiated.

    The designer's loss is one of the *joint* action: log-probabilities of all agents that acted are summed.
    """
    designer, reduction = setup.settings.designer, setup.reduction
    joint = torch.zeros_like(objective.advantages)
    old_joint = torch.zeros_like(objective.advantages)
    for now, stack in zip(forward, validation.stacks, strict=True):
        active = stack.select(validation.active)
        joint = joint + (now.evaluation.log_probs.reshape(active.shape) * active).sum((0, 3))
        old_joint = old_joint + (flatten_steps(stack)[3].reshape(active.shape) * active).sum((0, 3))
    weights = losses.weights_of(validation.stepped, reduction, dim=(0, 1))
    per_step = losses.designer_outer_loss(designer.loss, joint, old_joint, objective.advantages, designer.clip_param)
    loss = (weights * per_step).sum()
    # The agents' update goes back through the same graphs.
    gradients = torch.autograd.grad(loss, [now.theta for now in forward], retain_graph=True)
    metrics: Metrics = [Measured(DESIGNER_LOSS, reduction.sum(loss.detach()))]
    return [reduction.sum(gradient) for gradient in gradients], metrics


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
) -> tuple[Tensor, Metrics]:
    """This learner's share of the gradient of minus the mean R^ID at fixed actions, weighted.

    Where outputs move what R^ID is made of (taxes that are redistributed), its derivative has a term that eq. (4)
    leaves out: their effect before anybody has learned. It is in the units of the advantages.
    """
    weight = setup.settings.designer.direct_coeff
    if weight == 0:
        return torch.zeros_like(eta), []
    rewards = setup.designer.mechanism.designer_rewards(outputs, tau)
    weights = losses.weights_of(tau.stepped, setup.reduction, dim=(0, 1))
    loss = -weight * objective.reward_unit * (weights * rewards).sum()
    if not loss.requires_grad:
        return torch.zeros_like(eta), []
    (gradient,) = torch.autograd.grad(loss, eta, retain_graph=True)
    return gradient, [Measured(DIRECT_GRADIENT_NORM, setup.reduction.sum(gradient).norm())]


def descend(
    setup: LookingThrough, state: AlgorithmState, gradient: EtaGradient
) -> tuple[AlgorithmState, Metrics] | None:
    """One step of eta, or two where psi has an optimizer of its own; None if the gradient is not finite."""
    designer = setup.settings.designer
    of_cost = torch.zeros_like(gradient.meta) if gradient.cost is None else designer.cost_coeff * gradient.cost
    if not all_finite(setup, "the designer", gradient.meta, of_cost):
        return None
    if designer.cost_lr is None:
        state = replace(state, eta=state.eta.step(gradient.meta + of_cost, designer_adam(setup)))
    else:
        eta = state.eta.step(gradient.meta, designer_adam(setup))
        cost = Parameter(eta.value, state.cost_optimizer)
        cost = cost.step(of_cost, adam(setup, designer.cost_lr, designer.grad_clip))
        state = replace(state, eta=replace(eta, value=cost.value), cost_optimizer=cost.optimizer)
    metrics: Metrics = [Measured(META_GRADIENT_NORM, gradient.meta.norm())]
    metrics += setup.of_gradient(gradient.meta + of_cost)
    if gradient.cost is not None:
        metrics.append(Measured(COST_GRADIENT_NORM, gradient.cost.norm()))
    metrics.append(Measured(DESIGNER_COST, gradient.cost_value))
    return state, metrics


def replica_gap(setup: LookingThrough, state: AlgorithmState, past: AgentsUpdate) -> float:
    """The invariant: the replica IS the update that the agents made. The largest difference of a parameter.

    Measured on a whole replica: incentives, advantages and all M steps from the start.
    """
    with torch.no_grad():
        outputs = incentive_outputs(setup.designer, past.eta, past.trajectory)
    rewards = setup.designer.mechanism.rewards(outputs, past.trajectory)
    replicas = _replicas(setup, replace(past, outcomes=None), rewards)
    return max(float((r.theta_hat - now.theta).abs().max()) for r, now in zip(replicas, state.agents, strict=True))


def _replicas(setup: LookingThrough, past: AgentsUpdate, rewards: Tensor) -> tuple[Replica, ...]:
    lessons: tuple[Lesson, ...] = past.lessons(setup)
    outcomes: Sequence[Update | None] = past.outcomes or [None] * len(lessons)
    mode = setup.settings.incentives.meta_gradient
    return tuple(replicate(mode, lesson, rewards, known) for lesson, known in zip(lessons, outcomes, strict=True))
