"""Which recorded steps each of the agents' M update steps learns from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.settings import AgentSettings


def minibatches_of(
    trajectory: Trajectory,
    stack: StackTrajectory,
    settings: AgentSettings,
    generator: torch.Generator,
    whole_columns: bool,
) -> list[Tensor | None]:
    """Indices of the M steps into a stack's steps, on their device: :func:`draw_minibatches`, then :func:`of_shard`.

    Draws are the CPU's, so that they do not depend on devices.
    """
    index, count = trajectory.part
    columns = count * trajectory.num_envs * stack.agents.shape[1]
    drawn = draw_minibatches(trajectory.num_steps, columns, settings, generator, whole_columns)
    own = of_shard(drawn, columns, index, count)
    return [None if indices is None else indices.to(stack.actions.device) for indices in own]


def draw_minibatches(
    num_rows: int, num_columns: int, settings: AgentSettings, generator: torch.Generator, whole_columns: bool = False
) -> list[Tensor | None]:
    """Indices of the M steps: ``num_epochs`` shuffled passes over flattened steps ``[T * C]``, time first.

    Without a minibatch size there is nothing to draw and the generator is left alone. Each of several learners draws
    for all of them, with a generator in the same state, and takes what lies in its shard: see :func:`of_shard`.

    Args:
        num_rows: T.
        num_columns: C, the episodes of all agents of a policy, of all learners.
        settings: how agents learn.
        generator: of the shuffling.
        whole_columns: for a critic with a memory, shuffle the columns, and give all T steps of each, time first.

    Raises:
        ValueError: if a minibatch is to hold whole columns and is smaller than one.
    """
    size = settings.minibatch_size
    if size is None or size >= num_rows * num_columns:
        return [None] * settings.num_epochs
    if whole_columns and size < num_rows:
        raise ValueError(
            f"agent_minibatch_size is {size}, but with agent_network.critic_lstm a minibatch is of whole episodes, and "
            f"one has {num_rows} steps; make it at least that, or null"
        )
    items, count = (num_columns, size // num_rows) if whole_columns else (num_rows * num_columns, size)
    batches: list[Tensor | None] = []
    for _ in range(settings.num_epochs):
        order = torch.randperm(items, generator=generator)
        # A last, shorter rest joins none of the batches: equal sizes keep the steps' noise equal.
        parts = [order[i : i + count] for i in range(0, items - count + 1, count)]
        batches.extend(_all_rows(part, num_rows, num_columns) if whole_columns else part for part in parts)
    return batches


def of_shard(minibatches: Sequence[Tensor | None], num_columns: int, index: int, count: int) -> list[Tensor | None]:
    """What of each minibatch lies in one learner's shard, as indices into the shard; in the order of the drawing.

    Shares of sums are divided by counts of all learners, so some may hold more of a minibatch than others, or nothing.

    Args:
        minibatches: of :func:`draw_minibatches`, into flattened steps ``[T * C]`` of all learners.
        num_columns: C.
        index: of the shard: it is the columns from ``index * C / count``, so many as ``C / count``.
        count: of shards; divides C.
    """
    if count == 1:
        return list(minibatches)
    own = num_columns // count

    def share(drawn: Tensor) -> Tensor:
        rows, columns = drawn // num_columns, drawn % num_columns - index * own
        return (rows * own + columns)[(columns >= 0) & (columns < own)]

    return [None if drawn is None else share(drawn) for drawn in minibatches]


def _all_rows(columns: Tensor, num_rows: int, num_columns: int) -> Tensor:
    """Indices ``[T * c]`` of all steps of some columns ``[c]``, time first."""
    return (torch.arange(num_rows).unsqueeze(1) * num_columns + columns).reshape(-1)
