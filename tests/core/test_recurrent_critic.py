"""A critic with a memory in the agents' update."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from problems import B, N, T, make_problem
from torch import Tensor

from rllib_metagrad.core.agent_update import Lesson, critic_values, forward_pass, update
from rllib_metagrad.core.minibatches import draw_minibatches
from rllib_metagrad.core.reduction import OneLearner
from rllib_metagrad.settings import AgentSettings

SETTINGS = AgentSettings(loss="ppo", num_epochs=2, minibatch_size=2 * T, mean_baseline=True, normalize_advantages=True)


@pytest.mark.parametrize("target_tau", [None, 0.1])
def test_values_of_all_rows_are_of_whole_episodes(target_tau: float | None) -> None:
    """Each episode alone, whether somebody has looked at its steps or not."""
    problem = make_problem(SETTINGS.replace(target_tau=target_tau), critic_lstm=4)
    policy, state, stack = problem.policy, problem.state, problem.stack
    theta = state.theta if state.target is None else state.target
    alone = [policy.values(theta, stack.observations[:, :, b, 0], T + 1) for b in range(B)]
    expected = torch.stack(alone, dim=-1).unsqueeze(-1)
    for forward in (None, forward_pass(policy, state.theta, problem.trajectory, stack)):
        torch.testing.assert_close(critic_values(policy, state, stack, forward), expected, rtol=1e-12, atol=1e-12)


def test_what_comes_after_an_episode_changes_no_update() -> None:
    """Rows after the end are padding, but for the next one where agents bootstrap (agent 2)."""
    problem = make_problem(SETTINGS, critic_lstm=4)
    plan = draw_minibatches(T, B, SETTINGS, torch.Generator().manual_seed(0), whole_columns=True)
    stack, ended_early = problem.stack, ~problem.trajectory.stepped[T - 1]
    observations = stack.observations.clone()
    observations[:, T, ended_early] = 100.0
    observations[:2, T - 1, ended_early] = -100.0
    assert len(observations) == N
    assert ended_early.any()

    def theta_of(observed: Tensor) -> Tensor:
        own = replace(stack, observations=observed)
        lesson = Lesson(problem.policy, problem.state, problem.trajectory, own, SETTINGS, plan, OneLearner())
        return update(lesson, problem.rewards(problem.eta)).state.theta

    assert torch.equal(theta_of(observations), theta_of(stack.observations))
