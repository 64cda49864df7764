"""The agents' whole answer where they are entropy-regularized: ``w = -(alpha F + delta)^-1 v``.

At the agents' answer their loss gradient is zero, ``g(theta*, eta) = 0``, so the designer's gradient through it is
``d_eta <g(theta, eta), w>`` with ``G^T w = -v`` and ``G = d g / d theta``. An agent whose loss has the entropy bonus
``alpha H`` has ``G = alpha F`` there, F being the Fisher matrix of its policy: for soft-optimal ``pi*``,
``J(pi) - J(pi*) = -alpha E_{d^pi} KL(pi || pi*)`` (soft performance difference). This is the hypergradient of Thoma et
al. 2024 (arXiv:2406.01575) in its natural-gradient form. docs/response.md has the derivation and what it needs.

F is exact over actions and a mean over recorded observations; it is never built, only multiplied with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from rllib_metagrad.core import losses
from rllib_metagrad.core.agent_update import Batch, Policy
from rllib_metagrad.core.reduction import Reduction
from rllib_metagrad.core.returns import discounted_sum
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory

#: A symmetric linear map on the parameters ``[P, D]`` of a stack's policies, each row by itself.
LinearMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Curvature:
    """``alpha F`` of a stack's policies, averaged over the steps in which their agents acted.

    Attributes:
        policy: of the stack.
        theta: ``[P, D]``.
        observations: ``[P, n, *obs]``.
        masks: ``[P, n, A]`` of legal actions, or None.
        active: ``[P, n]``, 1 where the agent acted, else 0.
        alpha: weight of the agents' entropy bonus.
        reduction: across learners.
    """

    policy: Policy
    theta: Tensor
    observations: Tensor
    masks: Tensor | None
    active: Tensor
    alpha: float
    reduction: Reduction

    def __call__(self, x: Tensor) -> Tensor:
        """``alpha F x`` of ``[P, D]``, summed over learners."""
        weights = losses.weights_of(self.active, self.reduction)
        share = self.policy.fisher_product(self.theta, self.observations, self.masks, weights, x)
        return self.reduction.sum(self.alpha * share)

    def diagonal(self, count: int) -> Tensor:
        """``[P, D]``, an unbiased estimate of its diagonal (Bekas et al. 2007): ``z * (alpha F z)``, random signs z.

        Args:
            count: the seed of the signs, the same for all learners.
        """
        generator = torch.Generator().manual_seed(count)
        signs = torch.randint(0, 2, self.theta.shape, generator=generator).to(self.theta) * 2 - 1
        return signs * self(signs)


def conjugate_gradients(product: LinearMap, right: Tensor, diagonal: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Solves ``product(x) = right`` for each row by itself, preconditioned (Hestenes & Stiefel 1952; Jacobi).

    Args:
        product: symmetric and positive definite.
        right: ``[P, D]``.
        diagonal: ``[P, D]`` about the map's diagonal, > 0.
        iterations: at most; rows that are solved to near rounding stay as they are.

    Returns:
        x ``[P, D]``, and the relative residual ``|right - product(x)| / |right|`` ``[P]`` (0 where ``right`` is).
    """
    eps, tiny = torch.finfo(right.dtype).eps, torch.finfo(right.dtype).tiny
    norm = torch.linalg.vector_norm(right, dim=-1, keepdim=True)
    x, residual, direction, left = torch.zeros_like(right), right, right / diagonal, norm
    square = (residual * direction).sum(-1, keepdim=True)
    moving, largest = norm > tiny, torch.zeros_like(square)
    for _ in range(iterations):
        along = product(direction)
        curvature = (direction * along).sum(-1, keepdim=True)
        quotient = curvature / (direction * diagonal * direction).sum(-1, keepdim=True).clamp(min=tiny)
        largest = torch.maximum(largest, quotient)
        # A singular map (two parameters for one logit) leaves directions of nothing but rounding.
        moving = moving & (quotient > eps * largest)
        if not bool(moving.any()):
            break
        step = torch.where(moving, square / curvature, 0.0)
        x, residual = x + step * direction, residual - step * along
        scaled = residual / diagonal
        new = (residual * scaled).sum(-1, keepdim=True)
        direction = scaled + torch.where(moving, new / square, 0.0) * direction
        left = torch.linalg.vector_norm(residual, dim=-1, keepdim=True)
        square, moving = new, moving & (left > eps**0.75 * norm)
    return x, (left / norm.clamp(min=tiny)).squeeze(-1)


def generalized_minimal_residual(
    product: Callable[[Sequence[Tensor]], Sequence[Tensor]], right: Sequence[Tensor], iterations: int
) -> list[Tensor]:
    """Solves ``x - product(x) = right`` for all stacks together (Saad & Schultz 1986).

    ``x = right + product(x)``, repeated, comes to the same only where agents answer each other weakly: on roads that
    drivers leave when others come, it diverges.

    Args:
        product: any linear map of lists of ``[P, D]``.
        right: ``[P, D]`` of every stack.
        iterations: how often it is multiplied.
    """
    shapes = [one.shape for one in right]

    def flat(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.reshape(-1) for part in parts])

    def stacked(vector: Tensor) -> list[Tensor]:
        cut = torch.split(vector, [shape.numel() for shape in shapes])
        return [part.reshape(shape) for part, shape in zip(cut, shapes, strict=True)]

    b = flat(right)
    norm = torch.linalg.vector_norm(b)
    if not bool(norm > 0):
        return list(right)
    basis, images = [b / norm], []
    for _ in range(iterations):
        image = basis[-1] - flat(product(stacked(basis[-1])))
        images.append(image)
        fresh = image
        for _ in range(2):  # once more against rounding
            for known in basis:
                fresh = fresh - (fresh @ known) * known
        length = torch.linalg.vector_norm(fresh)
        if not bool(length > torch.finfo(b.dtype).eps ** 0.75 * torch.linalg.vector_norm(image)):
            break
        basis.append(fresh / length)
    share = torch.linalg.lstsq(torch.stack(images, -1), b.unsqueeze(-1)).solution
    return stacked(torch.stack(basis[: len(images)], -1) @ share.squeeze(-1))


@dataclass(frozen=True)
class Scored:
    """A stack's policies on a trajectory, for :func:`cross_product`.

    Attributes:
        policy, theta: whose scores ``grad log pi`` are meant, ``[P, D]``.
        batch: of the trajectory; its advantages are constants.
        stack: the stack's part of it.
    """

    policy: Policy
    theta: Tensor
    batch: Batch
    stack: StackTrajectory

    def along(self, w: Tensor, trajectory: Trajectory) -> tuple[Tensor, Tensor, Tensor]:
        """A leaf ``[P, D]``, log-probabilities ``[P, T, B, K]`` with the graph from it, and ``s . w`` beside them."""
        shape = self.stack.actions.shape[:4]
        leaf, batch = self.theta.detach().requires_grad_(), self.batch
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(leaf, w)
            both = self.policy.log_probs(dual, batch.observations, batch.actions, batch.masks, trajectory.epsilon)
            log_probs, tangent = forward_ad.unpack_dual(both)
            along = torch.zeros_like(log_probs) if tangent is None else tangent
        return leaf, log_probs.reshape(shape), along.detach().reshape(shape)


def cross_product(
    stacks: Sequence[Scored], trajectory: Trajectory, gamma: float, w: Sequence[Tensor], reduction: Reduction
) -> list[Tensor]:
    """``C^T w`` of every stack, ``[P, D]`` each, summed over learners: how agents' answers move each other's.

    Agent i's policy moves the gradient ``E sum_t s_jt Q_jt`` of agent j, as ``Q_jt`` holds what i does at t and later:
    ``C_ji = E sum_t s_jt sum_{k>=t} gamma^(k-t) A_jk s_ik^T``, with scores ``s = grad log pi``. Row i of the product is
    ``E sum_k s_ik sum_{j != i} A_jk sum_{t<=k} gamma^(k-t) s_jt . w_j``.

    Args:
        stacks: all of them.
        trajectory: that they are scored on.
        gamma: the agents' discount.
        w: ``[P, D]`` of every stack.
        reduction: across learners.
    """
    goes_on = gamma * (~trajectory.over & trajectory.stepped).unsqueeze(-1).to(w[0].dtype)
    owed = w[0].new_zeros(*trajectory.active.shape)
    leaves = []
    for one, along in zip(stacks, w, strict=True):
        leaf, log_probs, scored = one.along(along, trajectory)
        shape = scored.shape
        weights = losses.weights_of(one.batch.active, reduction).reshape(shape)
        who = one.stack.agents.reshape(-1)

        def by_agent(array: Tensor, count: int = len(who)) -> Tensor:
            """``[P, T, B, K]`` to ``[T, B, P * K]``."""
            return array.permute(1, 2, 0, 3).reshape(*array.shape[1:3], count)

        until = _earlier_sum(by_agent(weights * scored), goes_on)
        owed[..., who] = until * by_agent(one.batch.advantages.reshape(shape))
        leaves.append((leaf, log_probs))
    others = owed.sum(-1, keepdim=True) - owed
    products = []
    for (leaf, log_probs), one in zip(leaves, stacks, strict=True):
        acted = one.stack.select(trajectory.active)
        (share,) = torch.autograd.grad((log_probs * one.stack.select(others) * acted).sum(), leaf)
        products.append(reduction.sum(share))
    return products


def _earlier_sum(x: Tensor, decay: Tensor) -> Tensor:
    """``y_t = x_t + decay_{t-1} y_{t-1}`` of ``[T, ...]``: :func:`discounted_sum` with time turned round."""
    turned = torch.cat([decay[:-1].flip(0), torch.zeros_like(decay[:1])])
    return discounted_sum(x.flip(0), turned).flip(0)
