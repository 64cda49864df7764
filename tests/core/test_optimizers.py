"""Functional optimisers against torch.optim's, clipping against torch's, and their derivatives."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch

from rllib_metagrad.core.agent_update import learning_rates
from rllib_metagrad.core.optimizers import (
    OptimizerState,
    clip_by_global_norm,
    initial_state,
    step,
)
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.settings import AgentSettings, NetworkSettings, OptimizerSettings


@pytest.mark.parametrize("name", ["sgd", "adam", "adam_full"])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.99)])
def test_steps_equal_torch_optim(name: str, betas: tuple[float, float]) -> None:
    g = torch.Generator().manual_seed(0)
    theta = torch.randn(1, 9, generator=g, dtype=torch.float64)
    reference = theta.clone().requires_grad_()
    settings = OptimizerSettings(optimizer=name, lr=0.03, betas=betas, eps_root=0.0)  # type: ignore[arg-type]
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD([reference], lr=0.03) if name == "sgd" else torch.optim.Adam([reference], lr=0.03, betas=betas)
    )
    state = initial_state(settings, theta)
    for _ in range(12):
        grad = torch.randn(1, 9, generator=g, dtype=torch.float64)
        reference.grad = grad.clone()
        optimizer.step()
        theta, state = step(settings, theta, grad, state)
        torch.testing.assert_close(theta, reference.detach(), rtol=1e-12, atol=1e-14)
    assert state.count == 12


def test_clipping_equals_torch_and_acts_on_each_policy_alone() -> None:
    grad = torch.tensor([[3.0, 4.0], [0.3, 0.4]], dtype=torch.float64)
    clipped = clip_by_global_norm(grad, 1.0)
    torch.testing.assert_close(clipped, torch.tensor([[0.6, 0.8], [0.3, 0.4]], dtype=torch.float64))
    leaf = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    leaf.grad = grad[0].clone()
    torch.nn.utils.clip_grad_norm_([leaf], 1.0)
    torch.testing.assert_close(clipped[0], leaf.grad, rtol=1e-6, atol=0)


def test_clipping_a_zero_gradient_has_a_finite_derivative() -> None:
    grad = torch.zeros(1, 3, requires_grad=True)
    (derivative,) = torch.autograd.grad(clip_by_global_norm(grad, 1.0).sum(), grad)
    torch.testing.assert_close(derivative, torch.ones(1, 3))


@pytest.mark.parametrize("lr", [0.1, 0.0])
def test_critic_rate_is_of_its_own_coordinates_only(lr: float) -> None:
    """Also where the actor's schedule has come to zero."""
    policy = StackedPolicy((1,), gym.spaces.Discrete(2), NetworkSettings(hiddens=()), critic=True)
    settings = AgentSettings(optimizer="sgd", lr=lr, critic_lr=0.5)
    theta = torch.zeros(1, policy.parameters.size)
    moved, _ = step(settings, theta, theta + 1, OptimizerState(), rates=learning_rates(settings, policy))
    torch.testing.assert_close(moved, torch.where(policy.critic_only, -0.5, -lr).unsqueeze(0))


def test_adam_holds_its_second_moment_constant_and_adam_full_does_not() -> None:
    grad = torch.full((1, 1), 2.0, dtype=torch.float64, requires_grad=True)
    theta = torch.zeros(1, 1, dtype=torch.float64)
    derivatives = {}
    for name in ("adam", "adam_full"):
        settings = OptimizerSettings(optimizer=name, lr=1.0, eps=1e-30, eps_root=0.0)  # type: ignore[arg-type]
        new, _ = step(settings, theta, grad, initial_state(settings, theta))
        (derivatives[name],) = torch.autograd.grad(new.sum(), grad)
    # First step: theta' = -g / |g|. With the moment held constant d/dg = -1/|g| = -0.5; fully it is 0.
    torch.testing.assert_close(derivatives["adam"], torch.full((1, 1), -0.5, dtype=torch.float64))
    torch.testing.assert_close(derivatives["adam_full"], torch.zeros(1, 1, dtype=torch.float64))
