"""The meta-gradient: how the designer's loss after the agents' update depends on its incentives before it.

Equation (4) of Yang et al. 2022 is ``(d theta_hat / d eta)^T v`` with ``v = d L_ID / d theta_hat``. Two equal
ways to the product, for any optimizer and any number ``M`` of update steps:

* ``unrolled``: build ``theta_hat(eta)`` with its graph and pull ``v`` back by autograd. The reference: memory
  and time grow with M, and it differentiates gradients (second order).
* ``mixed``: eta reaches the agents' gradient ``g`` only through advantages ``A(eta)`` and the critic's targets
  ``R(eta)``, and ``g`` is linear in both. With ``w = (d step / d g)^T v``, one step contributes

      <g(eta), w> = -mean( slope * A(eta) * d_w log pi(a|o) + vf_coeff * R(eta) * d_w V(o) ),

  where ``d_w`` is the forward-mode directional derivative along ``w``: no second-order graph. (The second term
  is there only where the critic's loss reaches the actor, by a shared trunk or a common clipping norm.) For
  M > 1 the cotangents go backwards through the steps, ``lambda_{j-1} = (d step / d theta)^T lambda_j + H_j w_j``.

Both return a scalar whose gradient with respect to eta is the meta-gradient. With several learners the shares
of the agents' gradient, of ``v`` and of ``H w`` are summed, so every learner uses the same ``w`` on its share of
the data, and the gradients of the scalars add up to the single learner's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from rllib_metagrad.core import losses, optimizers
from rllib_metagrad.core.agent_update import Batch, Lesson, Step, Update, learning_rates, loss, make_batch, update
from rllib_metagrad.core.losses import Evaluation, find_loss

Mode = Literal["mixed", "unrolled"]


@dataclass(frozen=True)
class Replica:
    """A replica of one stack's update, ready to have a gradient pulled back through it.

    Attributes:
        mode: how :meth:`pull_back` works.
        lesson: what the update was a function of.
        outcome: of the replicated update.
    """

    mode: Mode
    lesson: Lesson
    outcome: Update

    @property
    def theta_hat(self) -> Tensor:
        """Parameters after the replicated update, ``[P, D]``, detached."""
        return self.outcome.state.theta.detach()

    def pull_back(self, v: Tensor) -> Tensor:
        """A scalar whose gradient with respect to eta is this learner's share of ``(d theta_hat/d eta)^T v``.

        Args:
            v: ``[P, D]``, gradient of the designer's loss at ``theta_hat``, already summed over learners.
        """
        if self.mode == "unrolled":
            return (self.outcome.state.theta * v).sum()
        return self._pull_back_mixed(v)

    def _pull_back_mixed(self, v: Tensor) -> Tensor:
        path = self.outcome.path
        total = v.new_zeros(())
        cotangent, first_cotangent, second_cotangent = v, None, None
        for j in range(len(path) - 1, -1, -1):
            step, index = path[j], self.lesson.minibatches[j]
            pulled = self._pull_back_step(step, cotangent, first_cotangent, second_cotangent)
            through_theta, w, first_cotangent, second_cotangent = pulled
            batch = self.outcome.batch.select(index)
            share, curvature = loss_along(self.lesson, step.theta, batch, w, curvature=j > 0)
            total = total + share
            if curvature is not None:
                cotangent = through_theta + curvature
        return total

    def _pull_back_step(
        self, step: Step, cotangent: Tensor, first_cotangent: Tensor | None, second_cotangent: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Transposed derivative of one optimizer step, with respect to (theta, g, first and second moment)."""
        theta = step.theta.detach().requires_grad_()
        grad = step.grad.detach().requires_grad_()
        inputs = [theta, grad]
        state = step.optimizer
        if state.first is not None and state.second is not None:
            first = state.first.detach().requires_grad_()
            second = state.second.detach().requires_grad_()
            inputs += [first, second]
            state = optimizers.OptimizerState(first, second, state.count)
        settings = self.lesson.settings
        new_theta, new_state = optimizers.step(
            settings, theta, grad, state, learning_rates(settings, self.lesson.policy)
        )
        outputs, cotangents = [new_theta], [cotangent]
        # The second moment is a constant for `adam`: no cotangent flows through it.
        through_second = settings.optimizer == "adam_full"
        if first_cotangent is not None and new_state.first is not None:
            outputs.append(new_state.first)
            cotangents.append(first_cotangent)
        if through_second and second_cotangent is not None and new_state.second is not None:
            outputs.append(new_state.second)
            cotangents.append(second_cotangent)
        pulled = torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True)
        w = pulled[1] if pulled[1] is not None else torch.zeros_like(grad)
        first_out = pulled[2] if len(pulled) > 2 else None
        second_out = pulled[3] if len(pulled) > 2 and through_second else None
        return pulled[0], w, first_out, second_out


def loss_along(
    lesson: Lesson, theta: Tensor, batch: Batch, w: Tensor, *, curvature: bool = False, critic: bool = True
) -> tuple[Tensor, Tensor | None]:
    """What one step's loss does along ``w``: ``<g(eta), w>`` and, if wanted, ``H w``, summed over learners.

    The first is this learner's share, up to terms without eta: linear in ``A(eta)`` and ``R(eta)``, with constant
    coefficients. Both come from one pass with tangents, the second by forward mode over reverse mode.

    Args:
        lesson: whose loss.
        theta: ``[P, D]``, where.
        batch: with advantages and value targets that depend on eta.
        w: ``[P, D]``.
        curvature: whether ``H w`` is wanted.
        critic: whether the critic's loss counts, where it moves what the actor uses.
    """
    settings, policy, reduction = lesson.settings, lesson.policy, lesson.reduction
    epsilon, kind = lesson.trajectory.epsilon, find_loss(settings.loss)
    moved = critic and kind.needs_critic and policy.has_critic
    moved = moved and (policy.shares_trunk or bool(w[:, policy.critic_only].any()))
    weights = losses.weights_of(batch.active, reduction)
    product = None
    with forward_ad.dual_level(), torch.set_grad_enabled(curvature):
        dual = forward_ad.make_dual(theta.detach().requires_grad_(curvature), w)
        if curvature or moved:
            evaluation = policy.evaluate(dual, batch.observations, batch.actions, batch.masks, epsilon, batch.num_rows)
        else:
            log_probs = policy.log_probs(dual, batch.observations, batch.actions, batch.masks, epsilon)
            evaluation = Evaluation(log_probs, log_probs, None)
        log_probs, log_probs_along = _unpack(evaluation.log_probs)
        if moved:
            assert evaluation.values is not None
            values_along = _unpack(evaluation.values)[1]
        if curvature:
            share, _ = loss(evaluation, batch.detach(), settings, reduction)
            (grad,) = torch.autograd.grad(share, dual)
            product = _unpack(grad)[1]
    if product is not None:
        product = reduction.sum(product)
    slope = kind.slope(log_probs, batch.old_log_probs, batch.advantages.detach(), settings)
    total = -(weights * slope * log_probs_along * batch.advantages).sum()
    if moved:
        total = total - (settings.vf_coeff * weights * values_along * batch.value_targets).sum()
    return total, product


def _unpack(dual: Tensor) -> tuple[Tensor, Tensor]:
    """Value and tangent, both constants; forward mode gives no tangent where nothing depends on the direction."""
    primal, tangent = forward_ad.unpack_dual(dual)
    primal = primal.detach()
    return primal, torch.zeros_like(primal) if tangent is None else tangent.detach()


def replicate(mode: Mode, lesson: Lesson, rewards: Tensor, recorded: Update | None = None) -> Replica:
    """Repeats a stack's update with rewards that carry the graph of the incentive function.

    Args:
        mode: how :meth:`Replica.pull_back` will work.
        lesson: of the update that is replicated: states *before* it, and the minibatches that it drew.
        rewards: ``[T, B, N]``, differentiable in eta.
        recorded: the real update. ``mixed`` needs of the replica only its path, which is the real one's, so with this
            the networks need not run again; ``unrolled`` needs the graph and repeats everything.

    Returns:
        The replica. Its ``theta_hat`` equals the agents' real parameters to rounding.
    """
    unrolled = mode == "unrolled"
    if recorded is not None and not unrolled:
        outcome = replace(recorded, batch=make_batch(lesson, rewards, recorded.values))
    else:
        outcome = update(lesson, rewards, differentiable=unrolled)
    return Replica(mode, lesson, outcome)
