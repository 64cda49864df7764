"""Returns and advantages against numbers worked by hand, and against definitions under random inputs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rllib_metagrad.core.returns import advantages_and_targets, discounted_sum

F, T = False, True


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def flags(*values: bool) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(1)


def test_returns_restart_after_an_episode_ends() -> None:
    returns, _ = advantages_and_targets(
        column(1, 2, 4, 8), None, flags(F, T, F, F), flags(F, F, F, F), gamma=0.5, lambda_=1.0
    )
    # 1 + 0.5 * 2 | 2 (ends) | 4 + 0.5 * 8 | 8
    torch.testing.assert_close(returns, column(2, 2, 8, 8))


def test_td_errors_bootstrap_truncated_but_not_terminated_steps() -> None:
    values = column(1, 2, 3, 10)
    rewards = column(1, 1, 1)
    terminated, _ = advantages_and_targets(rewards, values, flags(F, F, T), flags(F, F, F), 0.5, 0.0)
    truncated, _ = advantages_and_targets(rewards, values, flags(F, F, F), flags(F, F, T), 0.5, 0.0)
    # r + gamma V' - V: 1 + 1 - 1, 1 + 1.5 - 2, then 1 - 3 or 1 + 5 - 3.
    torch.testing.assert_close(terminated, column(1, 0.5, -2))
    torch.testing.assert_close(truncated, column(1, 0.5, 3))


def test_gae_by_hand() -> None:
    advantages, targets = advantages_and_targets(
        column(1, 1), column(1, 2, 4), flags(F, F), flags(F, F), gamma=0.5, lambda_=0.5
    )
    # delta = [1 + 1 - 1, 1 + 2 - 2] = [1, 1]; A = [1 + 0.25 * 1, 1]; targets = A + V.
    torch.testing.assert_close(advantages, column(1.25, 1))
    torch.testing.assert_close(targets, column(2.25, 3))


def test_advantages_do_not_leak_across_a_truncation() -> None:
    values = torch.zeros(5, 1, dtype=torch.float64)
    advantages, _ = advantages_and_targets(
        column(1, 1, 100, 1), values, flags(F, F, F, F), flags(F, T, F, F), gamma=1.0, lambda_=1.0
    )
    torch.testing.assert_close(advantages, column(2, 1, 101, 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10_000))
def test_discounted_sum_is_the_recursion_and_its_adjoint(length: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(length, 3, generator=g, dtype=torch.float64, requires_grad=True)
    decay = torch.rand(length, 3, generator=g, dtype=torch.float64)
    rows = [x[-1]]
    for t in range(length - 2, -1, -1):
        rows.insert(0, x[t] + decay[t] * rows[0])
    expected = torch.stack(rows)
    y = discounted_sum(x, decay)
    torch.testing.assert_close(y, expected)
    weights = torch.randn(length, 3, generator=g, dtype=torch.float64)
    (ours,) = torch.autograd.grad((y * weights).sum(), x)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_lambda_returns_mix_n_step_returns(lambda_: float) -> None:
    """Against the definition: A_t = sum over l of (gamma lambda)^l delta_{t+l}."""
    g = torch.Generator().manual_seed(3)
    rewards, values = torch.randn(6, 2, generator=g), torch.randn(7, 2, generator=g)
    none = torch.zeros(6, 2, dtype=torch.bool)
    advantages, _ = advantages_and_targets(rewards, values, none, none, 0.9, lambda_)
    deltas = rewards + 0.9 * values[1:] - values[:-1]
    for t in range(6):
        expected = sum((0.9 * lambda_) ** (k - t) * deltas[k] for k in range(t, 6))
        torch.testing.assert_close(advantages[t], expected)
