"""Which steps the agents' minibatches hold."""

from __future__ import annotations

import pytest
import torch

from rllib_metagrad.core.minibatches import draw_minibatches, of_shard
from rllib_metagrad.settings import AgentSettings


def drawn(size: int | None, whole_columns: bool) -> list[torch.Tensor | None]:
    """Two passes over three rows of five columns."""
    settings = AgentSettings(loss="ppo", num_epochs=2, minibatch_size=size)
    return draw_minibatches(3, 5, settings, torch.Generator().manual_seed(0), whole_columns)


@pytest.mark.parametrize("whole_columns", [False, True])
def test_without_a_size_or_with_one_for_all_every_step_learns_from_everything(whole_columns: bool) -> None:
    assert drawn(None, whole_columns) == drawn(15, whole_columns) == [None, None]


def test_a_pass_is_a_shuffle_cut_into_equal_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    expected = [
        order[i : i + 7] for order in (torch.randperm(15, generator=generator) for _ in range(2)) for i in (0, 7)
    ]
    parts = drawn(7, whole_columns=False)
    assert len(parts) == 4
    assert all(torch.equal(part, other) for part, other in zip(parts, expected, strict=True) if part is not None)


def test_whole_columns_are_all_rows_of_some_time_first() -> None:
    parts = drawn(7, whole_columns=True)  # two of five columns fit, twice; one is left over
    assert len(parts) == 4
    for first, second in (parts[:2], parts[2:]):
        assert first is not None
        assert second is not None
        columns = torch.cat([first[:2], second[:2]])
        assert columns.unique().numel() == 4
        assert columns.max() < 5
        for part in (first, second):
            assert torch.equal(part, torch.cat([part[:2], part[:2] + 5, part[:2] + 10]))


def test_a_minibatch_smaller_than_an_episode_is_one_clear_line() -> None:
    with pytest.raises(
        ValueError, match=r"^agent_minibatch_size is 2, .* one has 3 steps; make it at least that, or null"
    ):
        drawn(2, whole_columns=True)
    assert len(drawn(2, whole_columns=False)) == 14


@pytest.mark.parametrize("whole_columns", [False, True])
@pytest.mark.parametrize("shards", [1, 2, 3, 6])
def test_shards_share_what_is_drawn(whole_columns: bool, shards: int) -> None:
    """Values found by each shard's indices in its columns are those of the minibatch, in their order."""
    rows, columns = 4, 6
    settings = AgentSettings(loss="ppo", num_epochs=2, minibatch_size=9)
    drawn = draw_minibatches(rows, columns, settings, torch.Generator().manual_seed(0), whole_columns)
    steps = torch.arange(rows * columns).reshape(rows, columns)
    parts = [of_shard(drawn, columns, i, shards) for i in range(shards)]
    for j, whole in enumerate(drawn):
        assert whole is not None
        found = []
        for part, own in zip(parts, steps.chunk(shards, dim=1), strict=True):
            index = part[j]
            assert index is not None
            values = own.reshape(-1)[index]
            assert values.tolist() == [v for v in whole.tolist() if v in own]
            found += values.tolist()
        assert sorted(found) == sorted(whole.tolist())
    assert of_shard([None, None], columns, 0, shards) == [None, None]
