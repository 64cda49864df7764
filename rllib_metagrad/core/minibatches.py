"""Which recorded steps each of the agents' M update steps learns from."""

from __future__ import annotations

import torch
from torch import Tensor

from rllib_metagrad.settings import AgentSettings


def draw_minibatches(
    num_rows: int, num_columns: int, settings: AgentSettings, generator: torch.Generator, whole_columns: bool = False
) -> list[Tensor | None]:
    """Indices of the M steps: ``num_epochs`` shuffled passes over flattened steps ``[T * C]``, time first.

    Without a minibatch size there is nothing to draw and the generator is left alone.

    Args:
        num_rows: T.
        num_columns: C, the episodes of all agents of a policy.
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


def _all_rows(columns: Tensor, num_rows: int, num_columns: int) -> Tensor:
    """Indices ``[T * c]`` of all steps of some columns ``[c]``, time first."""
    return (torch.arange(num_rows).unsqueeze(1) * num_columns + columns).reshape(-1)
