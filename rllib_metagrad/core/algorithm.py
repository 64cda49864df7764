"""Algorithm 1 of Yang et al. 2022, whole: the agents' step, the designer's step, and both in turn.

Pure functions of :class:`AlgorithmState`: a step returns the new state and its metrics. ``metagrad_step`` is one pass
of the loop on a trajectory that serves twice (section 4.2): as validation data of the agents' last update, and as
training data of their next one. The learners of RLlib call the same two steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rllib_metagrad.core.agent_update import ForwardPass, Update, update
from rllib_metagrad.core.cloning import clone_agents
from rllib_metagrad.core.designer_gradient import (
    DesignerGradient,
    EtaGradient,
    designer_gradient,
    incentive_outputs,
    predicted_kl,
)
from rllib_metagrad.core.designer_objective import designer_objective
from rllib_metagrad.core.minibatches import minibatches_of
from rllib_metagrad.core.scene import (
    LookingThrough,
    make_replicas,
)
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
    META_GRADIENT_NORM,
    PREDICTED_KL,
    REPLICA_GAP,
    SKIPPED_UPDATES,
)
from rllib_metagrad.settings import MetaGradSettings
from rllib_metagrad.settings.designer import MetaGradDesignerSettings

MetaGradSetup = Setup[IncentiveFunction, MetaGradDesignerSettings, MetaGradSettings]


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
        gradient_of: the designer's gradient; None for :func:`designer_gradient`.
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
        gradient = (gradient_of or designer_gradient)(
            setup, known, eta, validation, objective, at, want_cost, state.agents, state.memory
        )
        metrics += gradient.metrics
        if epoch == 0 and want_gap and not cloned:
            metrics.append(Measured(REPLICA_GAP, replica_gap(setup, state, past)))
        stepped = descend(setup, state, gradient)
        if stepped is None:
            return state, forward, [*metrics, Measured(SKIPPED_UPDATES, 1)]
        before, (state, more) = state.eta.value, stepped
        state, of_limit = _limit(setup, known, before, replace(state, memory=gradient.memory))
        metrics += more + of_limit
    if cloned and gradient is not None:
        clones = tuple(replace(r.outcome.state, theta=r.theta_hat) for r in gradient.replicas)
        state = replace(state, clones=clones)
    return state, forward, metrics


def count_update(setup: LookingThrough, state: AlgorithmState) -> tuple[AlgorithmState, bool]:
    """Counts an update of the agents, and says whether the designer looks through it, see ``interval``."""
    count = (state.num_seen + 1) % setup.settings.designer.interval
    return replace(state, num_seen=count), count == 0


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


def _limit(
    setup: LookingThrough, past: AgentsUpdate, before: Tensor, state: AlgorithmState
) -> tuple[AlgorithmState, Metrics]:
    """Shortens the designer's step to ``response_kl``, the divergence by which it moves the agents' answer."""
    most = getattr(setup.settings.designer, "response_kl", None)
    if most is None:
        return state, []
    eta = state.eta
    kl = float(predicted_kl(setup, past, before, eta.value))
    share = min(1.0, math.sqrt(most / kl)) if kl > 0 else 1.0
    state = replace(state, eta=replace(eta, value=torch.lerp(before, eta.value, share)))
    return state, [Measured(PREDICTED_KL, kl * share * share)]


def replica_gap(setup: LookingThrough, state: AlgorithmState, past: AgentsUpdate) -> float:
    """The invariant: the replica IS the update that the agents made. The largest difference of a parameter.

    Measured on a whole replica: incentives, advantages and all M steps from the start.
    """
    with torch.no_grad():
        outputs = incentive_outputs(setup.designer, past.eta, past.trajectory)
    rewards = setup.designer.mechanism.rewards(outputs, past.trajectory)
    replicas = make_replicas(setup, replace(past, outcomes=None), rewards)
    return max(float((r.theta_hat - now.theta).abs().max()) for r, now in zip(replicas, state.agents, strict=True))
