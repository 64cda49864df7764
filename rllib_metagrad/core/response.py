"""What the designer sees of the agents' answer: one update, or the whole of it. One function for each.

The designer's gradient is ``d_eta <g(theta, eta), w> + d_eta L_ID |_theta``: how its output moves the agents' loss
gradient g, taken along the w that says what that does to the designer's loss, and the direct effect at fixed actions.
A response is the choice of w; docs/response.md derives each and says when it holds.

| response | w |
|---|---|
| ``update`` | ``(d step / d g)^T v``: eq. (4) of Yang et al. 2022, one update of the agents |
| ``fisher`` | ``-(alpha F + delta)^-1 v``: the whole answer of entropy-regularized agents, by a linear solve |
| ``critic`` | the same in function space: ``v`` and the solve replaced by a learned ``q_i(o, a)`` |
| ``neumann`` | ``-gain sum_{k<K} (1 - H gain)^k v``: K updates, for any policy |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.core import losses, optimizers
from rllib_metagrad.core.agent_update import ForwardPass, Lesson, flatten_steps, learning_rates
from rllib_metagrad.core.fisher import (
    Curvature,
    LinearMap,
    Scored,
    conjugate_gradients,
    cross_product,
    generalized_minimal_residual,
)
from rllib_metagrad.core.meta_gradient import loss_along
from rllib_metagrad.core.scene import (
    Answer,
    Scene,
    answer_batch,
    designer_weights,
    entropy_coeff,
    make_replicas,
    outer_gradient,
)
from rllib_metagrad.core.state import Measured, Metrics, adam, forward_passes
from rllib_metagrad.metrics import CROSS_RESPONSE, FOLLOWER_GAP, RESPONSE_CRITIC_R2, RESPONSE_RESIDUAL

# Of the running estimate of the curvature's diagonal: one random vector is a rough estimate.
_DIAGONAL_DECAY = 0.97


# -- update: eq. (4) ---------------------------------------------------------------------------------------


def update_response(scene: Scene) -> Answer:
    """First term of eq. (4), ``(d theta_hat / d eta)^T v``."""
    setup = scene.setup
    replicas = make_replicas(setup, scene.past, scene.rewards(scene.past.trajectory))  # theta_hat(eta), eq. (3)
    forward = scene.forward
    if forward is None:
        forward = forward_passes(setup, [replica.theta_hat for replica in replicas], scene.validation)
    outer, metrics = outer_gradient(scene, forward)  # v = d L_ID / d theta_hat, eq. (5)
    through_agents = torch.stack([replica.pull_back(v) for replica, v in zip(replicas, outer, strict=True)]).sum()
    return Answer(through_agents, scene.memory, metrics, replicas)


# -- fisher --------------------------------------------------------------------------------------------------


def fisher_response(scene: Scene) -> Answer:
    """The whole answer of entropy-regularized agents: ``(alpha F + delta) w = -v``, or with ``+ C^T w`` on the right.

    v, F and C are of tau_hat at the current policies, ``<g(eta), w>`` is of tau: with one trajectory for both factors
    the response to anything that is only redistributed between agents is zero, sample by sample. So the running mean of
    v leaves tau out, and each solve starts from zero: what is left unsolved of an earlier one would bring tau's v back.
    """
    setup, memory, forward = scene.setup, scene.memory, _current(scene)
    designer: Any = setup.settings.designer
    outer, metrics = outer_gradient(scene, forward)
    # The v of tau itself stays out of the mean until tau is past.
    averaged = _running(memory.v, outer, designer.response_average, memory.count - 1)
    earlier = memory.last_v and _running(memory.v, memory.last_v, designer.response_average, memory.count - 1)
    memory = replace(memory, v=None if earlier is None else tuple(earlier), last_v=tuple(outer))
    curvatures = _curvatures(scene, forward)
    diagonals = _running(memory.diagonal, [c.diagonal(memory.count) for c in curvatures], _DIAGONAL_DECAY, memory.count)
    memory = replace(memory, diagonal=tuple(diagonals))
    systems = [_damped(c, d, designer.response_damping) for c, d in zip(curvatures, diagonals, strict=True)]

    def solve(right: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        solved = [
            conjugate_gradients(product, b, diagonal, designer.response_iterations)
            for (product, diagonal), b in zip(systems, right, strict=True)
        ]
        return [x for x, _ in solved], torch.cat([residual for _, residual in solved]).max()

    policies = setup.policies
    minus_v = [-v if p.trainable is None else -v * p.trainable for v, p in zip(averaged, policies, strict=True)]
    w, residual = solve(minus_v)
    if designer.response_cross > 0:
        scored, gamma = _scored(scene, forward), setup.settings.agents.gamma

        def answered_by_others(x: Sequence[Tensor]) -> list[Tensor]:
            return solve(cross_product(scored, scene.validation, gamma, x, setup.reduction))[0]

        alone = w
        w = generalized_minimal_residual(answered_by_others, alone, designer.response_cross)
        of_others = [a - b for a, b in zip(w, alone, strict=True)]
        metrics.append(Measured(CROSS_RESPONSE, _norm(of_others) / _norm(w).clamp(min=1e-30)))
    metrics.append(Measured(RESPONSE_RESIDUAL, residual))
    if scene.past.outcomes is not None:
        gradients = tuple(_actors_gradient(scene, i) for i in range(len(policies)))
        if scene.measure and memory.gradients is not None:
            to_go, _ = solve(gradients)
            gaps = [0.5 * (x * g).sum(-1) for x, g in zip(to_go, memory.gradients, strict=True)]
            metrics += [Measured(FOLLOWER_GAP, gap, stack=i) for i, gap in enumerate(gaps)]
        memory = replace(memory, gradients=gradients)

    scalar = outer[0].new_zeros(())
    rewards = scene.rewards(scene.past.trajectory)
    for i, lesson in enumerate(scene.past.lessons(setup)):
        batch = answer_batch(lesson, rewards, None if scene.past.outcomes is None else scene.past.outcomes[i].values)
        scalar = scalar + loss_along(lesson, lesson.state.theta, batch, w[i], critic=False)[0]
    return Answer(scalar, memory, metrics)


def _current(scene: Scene) -> Sequence[ForwardPass]:
    assert scene.forward is not None
    assert scene.agents is not None
    return scene.forward


def _curvatures(scene: Scene, forward: Sequence[ForwardPass]) -> list[Curvature]:
    setup, validation = scene.setup, scene.validation
    made = []
    for policy, now, stack in zip(setup.policies, forward, validation.stacks, strict=True):
        observations, _, masks, _ = flatten_steps(stack)
        active = stack.select(validation.active).reshape(len(stack.agents), -1).to(now.theta.dtype)
        made.append(
            Curvature(policy, now.theta.detach(), observations, masks, active, entropy_coeff(setup), setup.reduction)
        )
    return made


def _running(old: Sequence[Tensor] | None, new: Sequence[Tensor], decay: float, count: int) -> list[Tensor]:
    """Means that forget by ``decay`` an update, of ``count`` earlier ones and the new; at first of all alike."""
    if old is None or decay == 0:
        return list(new)
    return [torch.lerp(o, n, max(1 - decay, 1 / (count + 1))) for o, n in zip(old, new, strict=True)]


def _damped(curvature: Curvature, diagonal: Tensor, damping: float) -> tuple[LinearMap, Tensor]:
    """``alpha F + delta`` and about its diagonal; delta is ``damping`` times the mean eigenvalue, row by row.

    Estimates below zero are as far from the truth as those above: cut off there, the preconditioner would be so uneven
    that rounding decides the solution.
    """
    of_actor = ~curvature.policy.critic_only
    delta = damping * (diagonal * of_actor).sum(-1, keepdim=True).clamp(min=0) / of_actor.sum()
    least = torch.finfo(diagonal.dtype).eps * diagonal.abs().amax(-1, keepdim=True).clamp(min=1e-30)
    return lambda x: curvature(x) + delta * x, diagonal.abs() + torch.maximum(delta, least)


def _scored(scene: Scene, forward: Sequence[ForwardPass]) -> list[Scored]:
    setup, validation = scene.setup, scene.validation
    assert scene.agents is not None
    with torch.no_grad():
        rewards = setup.designer.mechanism.rewards(validation.designer_output, validation)
    scored = []
    for policy, state, stack, now in zip(setup.policies, scene.agents, validation.stacks, forward, strict=True):
        lesson = Lesson(policy, state, validation, stack, setup.settings.agents, (None,), setup.reduction)
        scored.append(Scored(policy, now.theta, answer_batch(lesson, rewards, None), stack))
    return scored


def _actors_gradient(scene: Scene, i: int) -> Tensor:
    """The first gradient that a stack's policies took in their last update, of the actor alone."""
    assert scene.past.outcomes is not None
    policy, path = scene.setup.policies[i], scene.past.outcomes[i].path
    gradient = path[0].grad.detach() * ~policy.critic_only
    return gradient if policy.trainable is None else gradient * policy.trainable


def _norm(parts: Sequence[Tensor]) -> Tensor:
    return torch.sqrt(torch.stack([(part * part).sum() for part in parts]).sum())


# -- critic --------------------------------------------------------------------------------------------------


def critic_response(scene: Scene) -> Answer:
    """The whole answer in function space: ``E sum_i q_i(o_i, a_i) d_eta A_i / alpha``, without a solve.

    Soft-optimal agents have ``d_eta log pi_i(a|o) = d_eta A_i(o, a) / alpha``, and ``q_i`` is what that is worth: the
    designer's advantage given one agent's own observation and action, learned over iterations. All is read off
    tau_hat, with q as it was before it has seen it.
    """
    setup, memory, validation = scene.setup, scene.memory, scene.validation
    designer: Any = setup.settings.designer
    _current(scene)
    assert scene.agents is not None
    assert memory.critics is not None
    rewards, weights = scene.rewards(validation), designer_weights(setup, validation)
    alpha = entropy_coeff(setup) / (1 - validation.epsilon)
    scalar, fitted = weights.new_zeros(()), []
    metrics: Metrics = []
    for i, (policy, state, stack) in enumerate(zip(setup.policies, scene.agents, validation.stacks, strict=True)):
        lesson = Lesson(policy, state, validation, stack, setup.settings.agents, (None,), setup.reduction)
        batch = answer_batch(lesson, rewards, None)
        psi = memory.critics[i].value.detach().requires_grad_()
        scores = setup.answer_critics[i].scores(psi, batch.observations)
        with torch.no_grad():
            probability = policy.log_probs(state.theta, batch.observations, batch.actions, batch.masks, 0.0)
            ratio = torch.exp(probability - batch.old_log_probs)
        q = policy.centered(state.theta.detach(), batch.observations, batch.masks, scores, batch.actions)
        shape = stack.actions.shape[:4]

        def of_agents(per_step: Tensor, shape: torch.Size = shape) -> Tensor:
            """``[T, B]`` to ``[P, n]``."""
            return per_step.unsqueeze(0).unsqueeze(-1).expand(shape).reshape(shape[0], -1)

        learns = 1.0 if policy.trainable is None else policy.trainable
        each = of_agents(weights) * batch.active * learns
        scalar = scalar - (each * ratio * q.detach() * batch.advantages).sum() / alpha
        target = of_agents(scene.objective.advantages)
        of_active = losses.weights_of(batch.active, setup.reduction)
        error = (of_active * (q - target) ** 2).sum(-1)
        (grad,) = torch.autograd.grad(0.5 * error.sum(), psi)
        step = adam(setup, designer.response_critic_lr)
        fitted.append(memory.critics[i].step(setup.reduction.sum(grad), step))
        if scene.measure:
            unexplained = setup.reduction.sum(error.detach())
            spread = setup.reduction.sum((of_active * target * target).sum(-1))
            metrics.append(Measured(RESPONSE_CRITIC_R2, 1 - unexplained / spread.clamp(min=1e-30), stack=i))
    return Answer(scalar, replace(memory, critics=tuple(fitted)), metrics)


# -- neumann -------------------------------------------------------------------------------------------------


def neumann_response(scene: Scene) -> Answer:
    """K of the agents' updates looked through, as if all were like the last: ``w = -gain sum_{k<K} (1 - H gain)^k v``.

    H is the curvature of the loss in ratio form, ``-A pi / pi_old`` with entropy: unlike that of ``-A log pi`` on
    frozen data it is the curvature of what agents expect to earn. With K = 1 and SGD this is ``update``.
    """
    setup, past = scene.setup, scene.past
    designer: Any = setup.settings.designer
    replicas = make_replicas(setup, past, scene.rewards(past.trajectory))
    forward = scene.forward
    if forward is None:
        forward = forward_passes(setup, [replica.theta_hat for replica in replicas], scene.validation)
    outer, metrics = outer_gradient(scene, forward)
    scalar = outer[0].new_zeros(())
    for replica, v in zip(replicas, outer, strict=True):
        lesson, first = replica.lesson, replica.outcome.path[0]
        batch = replica.outcome.batch
        # No clip ever acts: the ratio form with nothing else.
        ratio_form = replace(lesson, settings=lesson.settings.replace(loss="ppo", clip_param=1e9))
        gain = optimizers.gain(
            lesson.settings, first.grad, replica.outcome.state.optimizer, learning_rates(lesson.settings, lesson.policy)
        )
        cotangent = v
        for k in range(designer.response_updates):
            last = k == designer.response_updates - 1
            w = -gain * cotangent
            share, curved = loss_along(lesson if last else ratio_form, first.theta, batch, w, curvature=not last)
            scalar = scalar + share
            if curved is not None:
                cotangent = cotangent + curved
    return Answer(scalar, scene.memory, metrics, replicas)


#: Responses by the name that the key ``designer_response`` takes.
RESPONSES: dict[str, Callable[[Scene], Answer]] = {
    "update": update_response,
    "fisher": fisher_response,
    "critic": critic_response,
    "neumann": neumann_response,
}
