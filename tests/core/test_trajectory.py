"""A trajectory between processes: few contiguous arrays, equal to the last bit."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory, concatenate

T, B, N = 3, 2, 2


def make(capacity: int = T) -> Trajectory:
    """One of a longer record's first ``T`` steps, with every kind of array but a designer's own actions."""
    draw = torch.Generator().manual_seed(0)

    def steps(*shape: int, rows: int = T) -> Tensor:
        return torch.rand(capacity + rows - T, B, *shape, generator=draw)[:rows]

    def no() -> Tensor:
        return torch.zeros(capacity, B, N, dtype=torch.bool)[:T]

    stack = StackTrajectory(
        agents=torch.tensor([[0], [1]]),
        observations=torch.rand(N, capacity + 1, B, 1, 4, generator=draw)[:, : T + 1],
        actions=torch.randint(3, (N, capacity, B, 1), generator=draw)[:, :T],
        log_probs=torch.rand(N, capacity, B, 1, generator=draw)[:, :T],
    )
    return Trajectory(
        stacks=(stack,),
        states=steps(4, rows=T + 1),
        action_features=steps(N * 3),
        action_types=torch.randint(3, (capacity, B, N), generator=draw)[:T],
        rewards=steps(N),
        active=~no(),
        terminated=no(),
        truncated=no(),
        designer_rewards=steps(),
        stepped=torch.ones(capacity, B, dtype=torch.bool)[:T],
        over=torch.zeros(capacity, B, dtype=torch.bool)[:T],
        over_terminated=torch.zeros(capacity, B, dtype=torch.bool)[:T],
        designer_output=steps(3),
        context={"income": steps(N)},
        epsilon=0.25,
        weights_seq_no=7,
    )


def tensors(value: Any) -> list[Tensor]:
    """All tensors of a trajectory, in the order of its fields."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for item in value.values() for t in tensors(item)]
    if isinstance(value, tuple):
        return [t for item in value for t in tensors(item)]
    if isinstance(value, Trajectory | StackTrajectory):
        return [t for f in fields(value) for t in tensors(getattr(value, f.name))]
    return []


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickled_trajectory_comes_back(protocol: int) -> None:
    before = make()
    after = pickle.loads(pickle.dumps(before, protocol=protocol))
    assert (type(after), type(after.stacks[0])) == (Trajectory, StackTrajectory)
    assert (after.epsilon, after.weights_seq_no, after.designer_actions) == (0.25, 7, None)
    assert list(after.context) == ["income"]
    for old, new in zip(tensors(before), tensors(after), strict=True):
        assert old.dtype == new.dtype
        assert torch.equal(old, new)


def test_every_tensor_is_one_array_without_the_rest_of_its_storage() -> None:
    """Of a record with room for a thousand steps only those taken are sent, and each tensor as one piece of memory."""
    trajectory = make(capacity=1000)
    buffers: list[pickle.PickleBuffer] = []
    header = pickle.dumps(trajectory, protocol=5, buffer_callback=buffers.append)
    # By hand, T = 3, B = 2, N = 2: 4 arrays of the stack (agents; 4 * 2 * 2 observations of 4; actions; log-probs), 11
    # of the environments, what the designer offered, and the context.
    sizes = [16, 256, 96, 48, 128, 144, 96, 48, 12, 12, 12, 24, 6, 6, 6, 72, 48]
    assert [buffer.raw().nbytes for buffer in buffers] == sizes
    assert len(header) < 3000
    assert len(pickle.dumps(trajectory)) < sum(sizes) + 4000


def test_what_was_read_only_can_be_joined_and_sharded() -> None:
    """As it comes out of the object store, without a warning."""
    trajectory = make()
    buffers: list[pickle.PickleBuffer] = []
    header = pickle.dumps(trajectory, protocol=5, buffer_callback=buffers.append)
    received = pickle.loads(header, buffers=[bytes(buffer.raw()) for buffer in buffers])
    joined = concatenate([received, replace(received)])
    assert joined.num_envs == 2 * B
    for old, new in zip(tensors(trajectory), tensors(joined.shard(1, 2)), strict=True):
        assert torch.equal(old, new)
