"""Mixed mode == unrolled == float64 finite differences, for every kind of update."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from problems import Problem, make_problem
from torch import Tensor

from rllib_metagrad.core.agent_update import Lesson, Update, forward_pass, update
from rllib_metagrad.core.meta_gradient import Mode, replicate
from rllib_metagrad.core.minibatches import draw_minibatches
from rllib_metagrad.core.reduction import OneLearner
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.settings import AgentSettings

ONE = OneLearner()
CASES = list(
    itertools.product(["pg", "actor_critic", "ppo"], ["sgd", "adam", "adam_full"], [1, 3], [False, True], [None, 0.05])
)


def settings_of(loss: str, optimizer: str, steps: int, clip: float | None) -> AgentSettings:
    return AgentSettings(
        loss=loss,  # type: ignore[arg-type]
        optimizer=optimizer,  # type: ignore[arg-type]
        lr=0.05,
        grad_clip=clip,
        num_epochs=steps,
        entropy_coeff=0.02,
        gamma=0.9,
        lambda_=0.8,
        critic_lr=0.02,
        mean_baseline=loss == "pg",
        normalize_advantages=loss == "ppo",
    )


def plan_of(problem: Problem, settings: AgentSettings) -> list[Tensor | None]:
    """The M steps' minibatches."""
    rows, columns = problem.stack.actions.shape[1], problem.stack.actions[0, 0].numel()
    generator = torch.Generator().manual_seed(2)
    return draw_minibatches(rows, columns, settings, generator, whole_columns=problem.policy.recurrent)


def lesson_of(problem: Problem, settings: AgentSettings, plan: list[Tensor | None] | None = None) -> Lesson:
    minibatches = plan_of(problem, settings) if plan is None else plan
    return Lesson(problem.policy, problem.state, problem.trajectory, problem.stack, settings, minibatches, ONE)


def meta_gradient(
    problem: Problem, settings: AgentSettings, mode: Mode, v: Tensor, recorded: Update | None = None
) -> Tensor:
    eta = problem.eta.clone().requires_grad_()
    replica = replicate(mode, lesson_of(problem, settings), problem.rewards(eta), recorded)
    (gradient,) = torch.autograd.grad(replica.pull_back(v), eta)
    return gradient


def finite_differences(problem: Problem, settings: AgentSettings, v: Tensor) -> Tensor:
    """Central differences of ``<theta_hat(eta), v>``; `adam` takes its second moments as given."""
    lesson = lesson_of(problem, settings)

    def theta_hat(eta: Tensor, second_moments: list[Tensor | None] | None) -> Tensor:
        return update(lesson, problem.rewards(eta), second_moments=second_moments).state.theta

    second_moments = None
    if settings.optimizer == "adam":
        base = update(lesson, problem.rewards(problem.eta))
        second_moments = [step.second_moment for step in base.path]
    h = 3e-5
    gradient = torch.zeros_like(problem.eta)
    for i in range(len(problem.eta)):
        delta = torch.zeros_like(problem.eta)
        delta[i] = h
        difference = theta_hat(problem.eta + delta, second_moments) - theta_hat(problem.eta - delta, second_moments)
        gradient[i] = (difference * v).sum() / (2 * h)
    return gradient


@pytest.mark.parametrize(("loss", "optimizer", "steps", "shared", "clip"), CASES)
def test_mixed_equals_unrolled_equals_finite_differences(
    loss: str, optimizer: str, steps: int, shared: bool, clip: float | None
) -> None:
    settings = settings_of(loss, optimizer, steps, clip)
    compare(make_problem(settings, shared, share_trunk=shared), settings)


@pytest.mark.parametrize("shared", [False, True])
def test_through_networks_of_a_picture_and_a_vector(shared: bool) -> None:
    settings = settings_of("ppo", "adam", 2, None)
    compare(make_problem(settings, shared, share_trunk=shared, pictures=True), settings)


@pytest.mark.parametrize(
    ("loss", "optimizer", "share_trunk", "minibatch_size", "target_tau"),
    [
        ("ppo", "adam", False, None, None),
        ("ppo", "adam", False, 9, None),
        ("ppo", "adam_full", True, 9, 0.1),
        ("actor_critic", "sgd", True, 9, None),
    ],
)
def test_through_a_critic_with_a_memory(
    loss: str, optimizer: str, share_trunk: bool, minibatch_size: int | None, target_tau: float | None
) -> None:
    """Two passes, each one step, or three of two whole episodes."""
    settings = settings_of(loss, optimizer, 2, 0.5).replace(minibatch_size=minibatch_size, target_tau=target_tau)
    problem = make_problem(settings, share_trunk=share_trunk, critic_lstm=4)
    assert len(plan_of(problem, settings)) == (2 if minibatch_size is None else 6)
    compare(problem, settings)


def compare(problem: Problem, settings: AgentSettings) -> None:
    """Asserts that both modes give what finite differences do."""
    v = torch.randn(problem.state.theta.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mixed = meta_gradient(problem, settings, "mixed", v)
    unrolled = meta_gradient(problem, settings, "unrolled", v)
    numeric = finite_differences(problem, settings, v)
    assert mixed.norm() > 1e-6
    torch.testing.assert_close(mixed, unrolled, rtol=1e-9, atol=1e-12)
    assert (mixed - numeric).norm() <= 1e-5 * numeric.norm()


@pytest.mark.parametrize(
    ("loss", "optimizer", "steps", "critic_lstm"),
    [*itertools.product(["pg", "ppo"], ["sgd", "adam"], [1, 3], [None]), ("ppo", "adam", 3, 4)],
)
def test_recorded_updates_serve_as_replicas(loss: str, optimizer: str, steps: int, critic_lstm: int | None) -> None:
    settings = settings_of(loss, optimizer, steps, None)
    problem = make_problem(settings, critic_lstm=critic_lstm)
    lesson, rewards = lesson_of(problem, settings, [None] * steps), problem.rewards(problem.eta)
    recorded = update(lesson, rewards)
    forward = forward_pass(problem.policy, problem.state.theta, problem.trajectory, problem.stack)
    with_forward = update(lesson, rewards, forward=forward)
    assert torch.equal(recorded.state.theta, with_forward.state.theta)
    v = torch.randn(problem.state.theta.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = meta_gradient(problem, settings, "mixed", v)
    assert torch.equal(meta_gradient(problem, settings, "mixed", v, recorded), whole)


def test_time_limits_as_ends_leave_nothing_to_bootstrap() -> None:
    settings = settings_of("actor_critic", "sgd", 1, None)
    problem = make_problem(settings)
    cut = problem.trajectory
    cut = replace(cut, terminated=torch.zeros_like(cut.terminated), truncated=cut.terminated | cut.truncated)
    ended = cut.ended_by_time_limits()
    assert torch.equal(ended.terminated, cut.truncated)
    assert not ended.truncated.any()
    assert torch.equal(ended.over_terminated, ended.over)

    def advantages(trajectory: Trajectory) -> Tensor:
        lesson = replace(lesson_of(problem, settings), trajectory=trajectory, stack=trajectory.stacks[0])
        return update(lesson, problem.rewards(problem.eta)).batch.advantages

    assert not torch.equal(advantages(cut), advantages(ended))
