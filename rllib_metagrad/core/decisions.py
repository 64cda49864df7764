"""Designers that act once per period: their output is held until the next decision.

Tax rates are set at the start of a period. So the designer's function is evaluated on those steps alone, and a
designer that is itself a policy earns for a decision all that comes before the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rllib_metagrad.core.trajectory import Trajectory


class DesignerSteps(Protocol):
    """What a designer's advantages are made of; row ``k + 1`` of the states is the successor of row ``k``."""

    @property
    def states(self) -> Tensor:
        """``[K + 1, B, *state]``."""
        ...

    @property
    def stepped(self) -> Tensor:
        """``[K, B]`` bool, real steps."""
        ...

    @property
    def over(self) -> Tensor:
        """``[K, B]`` bool, the episode ended with it."""
        ...

    @property
    def over_terminated(self) -> Tensor:
        """``[K, B]`` bool, it ended with nothing to bootstrap."""
        ...


@dataclass(frozen=True)
class Decisions:
    """The designer's decisions of a trajectory, one a row, ``K`` of them at most in each environment.

    Attributes:
        states: ``[K + 1, B, *state]``, when deciding, and after the last one.
        features: ``[K, B, F]``, joint actions of the step, where the designer sees them; else ``F = 0``.
        stepped: ``[K, B]`` bool, there is a decision.
        over: ``[K, B]`` bool, the episode ended before there was another.
        over_terminated: ``[K, B]`` bool, so that nothing is bootstrapped.
        rewards: ``[K, B]``, sums until the next decision or the end.
        actions: ``[K, B, ...]``.
        log_probs: ``[K, B]``.
    """

    states: Tensor
    features: Tensor
    stepped: Tensor
    over: Tensor
    over_terminated: Tensor
    rewards: Tensor
    actions: Tensor
    log_probs: Tensor


def hold(decided: Tensor, due: Tensor, before: Tensor) -> Tensor:
    """What is in force at every step, ``[T, B, U]``, differentiable in ``decided``.

    Args:
        decided: ``[n, U]``, at the steps that are due, in the order of ``due.nonzero()``.
        due: ``[T, B]`` bool.
        before: ``[T, B, U]``, taken where nothing has been decided yet: a fragment may begin within a period.
    """
    rows = torch.arange(due.shape[0], device=due.device).unsqueeze(1)
    last = torch.where(due, rows, -1).cummax(0).values
    placed = torch.zeros_like(before).index_put(due.nonzero(as_tuple=True), decided)
    held = placed.gather(0, last.clamp(min=0).unsqueeze(-1).expand_as(before))
    return torch.where((last >= 0).unsqueeze(-1), held, before)


def decisions(trajectory: Trajectory, rewards: Tensor) -> Decisions:
    """A trajectory as a stochastic designer lived it.

    Without ``trajectory.designer_due`` every step is a decision. What is earned before the first decision of a
    fragment belongs to none.

    Args:
        trajectory: with the designer's actions and log-probabilities.
        rewards: ``[T, B]``, the designer's.
    """
    actions, log_probs, due = trajectory.designer_actions, trajectory.designer_log_probs, trajectory.designer_due
    assert actions is not None
    assert log_probs is not None
    if due is None:
        return Decisions(
            trajectory.states,
            trajectory.action_features,
            trajectory.stepped,
            trajectory.over,
            trajectory.over_terminated,
            rewards,
            actions,
            log_probs,
        )
    length, b = due.shape
    # Rows of states that stay: decisions, what follows an end, and both edges.
    kept = torch.ones(length + 1, b, dtype=torch.bool, device=due.device)
    kept[1:length] = due[1:] | trajectory.over[:-1]
    number = kept.cumsum(0) - 1
    rows = int(number[-1].max()) + 1
    source = torch.zeros(rows, b, dtype=torch.int64, device=due.device)
    at, copies = kept.nonzero(as_tuple=True)
    source[number[at, copies], copies] = at
    there = torch.arange(rows, device=due.device).unsqueeze(1) <= number[-1]

    def pick(array: Tensor, index: Tensor) -> Tensor:
        return array[index, torch.arange(b, device=index.device)]

    def total(array: Tensor) -> Tensor:
        """Sums ``[rows - 1, B]`` of ``[T, B]`` from each kept row to the next."""
        summed: Tensor = array.new_zeros(rows, b).scatter_add(0, number[:length], array)
        return summed[:-1]

    # The last row of each environment only follows; behind it there is nothing.
    index = source[:-1].clamp(max=length - 1)
    return Decisions(
        states=pick(trajectory.states, source),
        features=rewards.new_zeros(rows - 1, b, 0),
        stepped=pick(due & trajectory.stepped, index) & there[1:],
        over=total(trajectory.over.to(rewards.dtype)) > 0,
        over_terminated=total(trajectory.over_terminated.to(rewards.dtype)) > 0,
        rewards=total(rewards * trajectory.stepped),
        actions=pick(actions, index),
        log_probs=pick(log_probs, index),
    )
