"""Decisions that hold: by hand, and their gradient."""

from __future__ import annotations

from dataclasses import replace

import torch
from problems import T, make_problem

from rllib_metagrad.core.decisions import decisions, hold
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.settings import AgentSettings


def test_hold_by_hand() -> None:
    due = torch.tensor([[True, False], [False, False], [True, True], [False, False]])
    decided = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)  # (0, 0), (2, 0), (2, 1)
    held = hold(decided, due, torch.full((4, 2, 1), 9.0))
    assert held.squeeze(-1).tolist() == [[1, 9], [1, 9], [2, 3], [2, 3]]
    (gradient,) = torch.autograd.grad(held.sum(), decided)
    assert gradient.flatten().tolist() == [2, 2, 2]


def trajectory(due: list[list[bool]], over: list[list[bool]], stepped: list[list[bool]] | None = None) -> Trajectory:
    """Made up: states, actions and rewards say where they come from (10 t + b)."""
    base = make_problem(AgentSettings()).trajectory
    t, b = len(due), len(due[0])
    numbers = 10.0 * torch.arange(t + 1).unsqueeze(1) + torch.arange(b)
    ended = torch.tensor(over)
    return replace(
        base,
        states=numbers.unsqueeze(-1),
        stepped=torch.ones(t, b, dtype=torch.bool) if stepped is None else torch.tensor(stepped),
        over=ended,
        over_terminated=ended & (torch.arange(b) == 0),
        designer_due=torch.tensor(due),
        designer_actions=numbers[:t].long(),
        designer_log_probs=-numbers[:t],
    )


def test_decisions_of_whole_episodes_by_hand() -> None:
    no = [False, False]
    lived = trajectory([[True, True], no, [True, True], no], [no, no, no, [True, True]])
    rewards = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    made = decisions(lived, rewards)
    assert made.states.squeeze(-1).tolist() == [[0, 1], [20, 21], [40, 41]]
    assert made.rewards.tolist() == [[3, 30], [12, 120]]
    assert made.stepped.all()
    assert made.over.tolist() == [no, [True, True]]
    assert made.over_terminated.tolist() == [no, [True, False]]
    assert made.actions.tolist() == [[0, 1], [20, 21]]
    assert made.log_probs.tolist() == [[0, -1], [-20, -21]]


def test_decisions_of_fragments_by_hand() -> None:
    # The first environment is in the middle of a period, ends, is reset in row 2 and decides anew in row 3; the other
    # decides once, in row 1, and goes on.
    due = [[False, False], [False, True], [False, False], [True, False], [False, False]]
    over = [[False, False], [True, False], [False, False], [False, False], [False, False]]
    stepped = [[True, True], [True, True], [False, True], [True, True], [True, True]]
    rewards = torch.tensor([[1.0, 10.0], [2.0, 20.0], [0.0, 40.0], [8.0, 80.0], [16.0, 160.0]])
    made = decisions(trajectory(due, over, stepped), rewards)
    # First: rows 0 (no decision), 2 (the final observation), 3 (a decision), 5. Second: 0, 1, 5.
    assert made.states.squeeze(-1)[:, 0].tolist() == [0, 20, 30, 50]
    assert made.states.squeeze(-1)[:3, 1].tolist() == [1, 11, 51]
    assert made.stepped.tolist() == [[False, False], [False, True], [True, False]]
    assert made.rewards[:, 0].tolist() == [3, 0, 24]
    assert made.rewards[:2, 1].tolist() == [10, 300]
    assert made.over[:, 0].tolist() == [True, False, False]
    assert not made.over[:, 1].any()
    assert made.actions[2, 0] == 30
    assert made.actions[1, 1] == 11


def test_without_due_steps_every_step_is_a_decision() -> None:
    base = make_problem(AgentSettings()).trajectory
    every = replace(base, designer_actions=base.action_types[..., 0], designer_log_probs=base.designer_rewards)
    made = decisions(every, base.designer_rewards)
    assert made.states is base.states
    assert made.rewards.shape[0] == T
