"""The one thing that flows through the house: a batch of trajectories, as named arrays with masks.

Two layouts, chosen so that nothing has to be copied on the way to a network:

* what belongs to the whole environment is ``[T, B, ...]`` (time, environment) or ``[T, B, N]`` with all
  ``N`` agents in the order of ``possible_agents``;
* what belongs to a *stack* of agents is ``[P, T, B, K, ...]``: ``P`` policies with parameters of one shape,
  each acting for ``K`` agents. ``P = N, K = 1`` are independent learners, ``P = 1, K = N`` is full sharing.

Observations and states have ``T + 1`` rows, and row ``t + 1`` is always the true successor of a valid row
``t``: where an episode ends inside a fragment, the runner inserts one invalid row that holds the final
observation, and the next episode starts on the row after it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor


class _CrossesAsArrays:
    """A dataclass of tensors that is pickled as contiguous numpy arrays, whose memory pickle hands over as it is.

    Tensors would be copied several times, each with all of the storage that it is a part of. What is unpickled may
    lie in memory that others read, too: it must not be written to.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        values = {f.name: _to_arrays(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return _from_arrays, (type(self), values)


def _to_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_arrays(item) for key, item in value.items()}
    return value.detach().cpu().contiguous().numpy() if isinstance(value, Tensor) else value


def _from_arrays(kind: type, values: dict[str, Any]) -> Any:
    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: restore(item) for key, item in value.items()}
        return torch.from_numpy(value) if hasattr(value, "__array__") else value

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        # Its name in version 0.1.
        return kind(**{"stacks" if name == "groups" else name: restore(value) for name, value in values.items()})


@dataclass(frozen=True)
class StackTrajectory(_CrossesAsArrays):
    """What the agents of one stack saw and did.

    Attributes:
        agents: ``[P, K]`` int64, the index of each agent among all ``N``.
        observations: ``[P, T + 1, B, K, *obs]`` float32, or uint8 images.
        actions: ``[P, T, B, K]`` int64 (discrete) or ``[P, T, B, K, D]``.
        log_probs: ``[P, T, B, K]``, log-probability under the sampling policy, exploration included.
        action_masks: ``[P, T, B, K, A]`` bool (True is legal), or None.
    """

    agents: Tensor
    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    action_masks: Tensor | None = None

    def select(self, per_agent: Tensor) -> Tensor:
        """Picks this stack's part ``[P, T, B, K]`` of a per-agent array ``[T, B, N]`` (differentiable)."""
        p, k = self.agents.shape
        t, b, _ = per_agent.shape
        return per_agent[..., self.agents.reshape(-1)].reshape(t, b, p, k).permute(2, 0, 1, 3)


#: Its name in version 0.1, by which checkpoints know it.
GroupTrajectory = StackTrajectory


@dataclass(frozen=True)
class Trajectory(_CrossesAsArrays):
    """A batch of ``B`` episodes (or fragments) of ``T`` steps.

    Attributes:
        stacks: one entry per stack of agents.
        states: ``[T + 1, B, *state]``, what the designer observes.
        action_features: ``[T, B, N * F]`` float32, the joint action as the incentive function sees it.
        action_types: ``[T, B, N]`` int64, which incentive each agent's action earns.
        rewards: ``[T, B, N]`` float32, environment rewards, without incentives.
        active: ``[T, B, N]`` bool, the agent acted in this step; all else is masked by it.
        terminated: ``[T, B, N]`` bool, the agent's life ended here: nothing to bootstrap.
        truncated: ``[T, B, N]`` bool, the agent's life was cut here: bootstrap from the next row.
        designer_rewards: ``[T, B]`` float32, R^ID.
        stepped: ``[T, B]`` bool, the environment was stepped (not reset, not frozen after its end).
        over: ``[T, B]`` bool, the episode ended with this step.
        over_terminated: ``[T, B]`` bool, it ended so that the designer must not bootstrap.
        designer_output: ``[T, B, U]`` float32, the incentives in force; rewards really paid follow from it.
        designer_log_probs: ``[T, B]``, only where the designer is itself a stochastic policy (dual-RL).
        designer_actions: what such a designer sampled, ``[T, B, ...]``.
        designer_due: ``[T, B]`` bool, the environment read the designer's output in this step and until the next such
            one holds to it; None where the designer acts in every step.
        context: arrays ``[T, B, ...]`` that a mechanism needs to recompute rewards.
        epsilon: exploration rate of the sampling policies, in [0, 1].
        weights_seq_no: which version of the weights acted.
        part: ``(i, n)``, it is the i-th of n equal parts of a batch.
    """

    stacks: tuple[StackTrajectory, ...]
    states: Tensor
    action_features: Tensor
    action_types: Tensor
    rewards: Tensor
    active: Tensor
    terminated: Tensor
    truncated: Tensor
    designer_rewards: Tensor
    stepped: Tensor
    over: Tensor
    over_terminated: Tensor
    designer_output: Tensor
    designer_log_probs: Tensor | None = None
    designer_actions: Tensor | None = None
    designer_due: Tensor | None = None
    context: dict[str, Tensor] = field(default_factory=dict)
    epsilon: float = 0.0
    weights_seq_no: int = 0
    part: tuple[int, int] = (0, 1)

    @property
    def num_steps(self) -> int:
        """T."""
        return self.rewards.shape[0]

    @property
    def num_envs(self) -> int:
        """B."""
        return self.rewards.shape[1]

    def env_steps(self) -> int:
        """Environment steps really taken (the name that RLlib's evaluation calls on what a runner samples)."""
        return int(self.stepped.sum())

    def agent_steps(self) -> int:
        """Agent steps really taken."""
        return int(self.active.sum())

    def ended_by_time_limits(self) -> Trajectory:
        """The same with every truncation as a termination: nothing is bootstrapped where a time limit struck."""
        return replace(
            self,
            terminated=self.terminated | self.truncated,
            truncated=torch.zeros_like(self.truncated),
            over_terminated=self.over,
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> Trajectory:
        """Applies a function to every tensor except the agents' indices, e.g. a move to a device."""
        return _map(self, lambda tensor, _axis: function(tensor))

    def shard(self, index: int, count: int) -> Trajectory:
        """The ``index``-th of ``count`` equal parts along ``B``, as one learner of several receives it.

        Raises:
            ValueError: if ``B`` is not a multiple of ``count``.
        """
        if self.num_envs % count:
            raise ValueError(
                f"{self.num_envs} environments cannot be shared equally among {count} learners; make "
                "num_envs_per_env_runner * max(1, num_env_runners) a multiple of num_learners"
            )
        size = self.num_envs // count
        own = _map(self, lambda tensor, axis: tensor.narrow(axis, index * size, size))
        return replace(own, part=(index, count))


def concatenate(parts: list[Trajectory]) -> Trajectory:
    """Joins trajectories of several runners along ``B``, padding shorter ones with invalid rows.

    Args:
        parts: at least one trajectory, all sampled with the same weights and exploration.
    """
    if len(parts) == 1:
        return parts[0]
    length = max(part.num_steps for part in parts)
    parts = [_pad(part, length) for part in parts]

    def join(tensors: list[Any], axis: int) -> Any:
        return None if tensors[0] is None else torch.cat(tensors, dim=axis)

    stacks = tuple(
        StackTrajectory(
            agents=same[0].agents,
            **{
                f.name: join([getattr(g, f.name) for g in same], 2)
                for f in fields(StackTrajectory)
                if f.name != "agents"
            },
        )
        for same in zip(*(part.stacks for part in parts), strict=True)
    )
    arrays = {
        f.name: join([getattr(part, f.name) for part in parts], 1)
        for f in fields(Trajectory)
        if f.name not in _NOT_ARRAYS
    }
    context = {key: join([part.context[key] for part in parts], 1) for key in parts[0].context}
    return replace(parts[0], stacks=stacks, context=context, **arrays)


_NOT_ARRAYS = ("stacks", "context", "epsilon", "weights_seq_no", "part")


def _map(trajectory: Trajectory, function: Callable[[Tensor, int], Tensor]) -> Trajectory:
    """Applies ``function(tensor, axis of B)`` everywhere."""

    def apply(value: Any, axis: int) -> Any:
        return None if value is None else function(value, axis)

    stacks = tuple(
        StackTrajectory(
            agents=stack.agents,
            **{f.name: apply(getattr(stack, f.name), 2) for f in fields(StackTrajectory) if f.name != "agents"},
        )
        for stack in trajectory.stacks
    )
    arrays = {f.name: apply(getattr(trajectory, f.name), 1) for f in fields(Trajectory) if f.name not in _NOT_ARRAYS}
    context = {key: function(value, 1) for key, value in trajectory.context.items()}
    return replace(trajectory, stacks=stacks, context=context, **arrays)


def _pad(trajectory: Trajectory, length: int) -> Trajectory:
    """Appends invalid rows up to ``length``; the last observation is repeated, all masks are False."""
    missing = length - trajectory.num_steps
    if missing == 0:
        return trajectory

    def pad(tensor: Any, axis: int, repeat_last: bool) -> Any:
        if tensor is None:
            return None
        last = tensor.narrow(axis, tensor.shape[axis] - 1, 1)
        shape = list(last.shape)
        shape[axis] = missing
        tail = last.expand(shape) if repeat_last else tensor.new_zeros(shape)
        return torch.cat([tensor, tail], dim=axis)

    stacks = tuple(
        StackTrajectory(
            agents=stack.agents,
            observations=pad(stack.observations, 1, True),
            actions=pad(stack.actions, 1, False),
            log_probs=pad(stack.log_probs, 1, False),
            # A padded row is masked out of every loss, but its distribution must exist: repeat a legal mask.
            action_masks=pad(stack.action_masks, 1, True),
        )
        for stack in trajectory.stacks
    )
    arrays: dict[str, Any] = {
        f.name: pad(getattr(trajectory, f.name), 0, f.name == "states")
        for f in fields(Trajectory)
        if f.name not in _NOT_ARRAYS
    }
    context = {key: pad(value, 0, False) for key, value in trajectory.context.items()}
    return replace(trajectory, stacks=stacks, context=context, **arrays)
