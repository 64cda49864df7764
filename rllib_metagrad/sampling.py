"""Rolling out a stacked population in batched environments: columns in, columns out, no object per step."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from env_wrappers.vector import VectorIncentiveEnv
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.in_force import InForce
from rllib_metagrad.late_rewards import LateRewards
from rllib_metagrad.modules.designer import Designer
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.modules.population import Stack
from rllib_metagrad.observation_filter import ObservationFilter

# Where neither the environment nor the config says how long an episode may get.
_MAX_EPISODE_STEPS = 100_000
#: Seconds after which somebody who waits for an end should hear what to do.
_LONG_S = 30
_ENDLESS = "set env_config: {max_episode_steps: 1000}, for example, or batch_mode: truncate_episodes"

logger = logging.getLogger("ray.rllib")


@dataclass
class Behavior:
    """How to act now: parameters of every stack and of the designer, and exploration.

    Attributes:
        thetas: one ``[P, D]`` a stack.
        eta: ``[1, D]``.
        epsilon: exploration rate.
        greedy: act by the modes of all distributions.
        weights_seq_no: version of these parameters.
    """

    thetas: Sequence[Tensor]
    eta: Tensor
    epsilon: float
    greedy: bool
    weights_seq_no: int


class Sampler:
    """Rolls out policies in ``B`` environments in lockstep.

    Args:
        env: batched environments.
        stacks: which agents have which policy.
        policies: the functions of each stack.
        designer: gives the incentives of each step.
        generator: of all draws.
        unsquash: continuous actions live in [-1, 1] and are scaled to the environment's box
            (RLlib's ``normalize_actions``); otherwise they are clipped to it.
        gamma: the agents' discount, of what they are paid after their end (late_rewards.py).
        observation_filter: standardizes what policies see, and learn from; None leaves it as it is.
    """

    def __init__(
        self,
        env: VectorIncentiveEnv,
        stacks: Sequence[Stack],
        policies: Sequence[StackedPolicy],
        designer: Designer,
        generator: torch.Generator,
        unsquash: bool = True,
        gamma: float = 1.0,
        observation_filter: ObservationFilter | None = None,
    ) -> None:
        self.env = env
        self.stacks = stacks
        self.policies = policies
        self.designer = designer
        self.generator = generator
        self.unsquash = unsquash
        self.observation_filter = observation_filter
        self.late_rewards = LateRewards(env, gamma)
        reads = designer.mechanism.read_by_environment
        self.in_force = InForce(env, designer, generator) if reads else None
        #: The environment's metrics of the episodes that ended in the last rollout: one entry if they are complete,
        #: else one for each step in which some ended.
        self.episode_metrics: list[dict[str, np.ndarray]] = []

    @torch.no_grad()
    def episodes(self, behavior: Behavior, on_step: Callable[[], None] | None = None) -> Trajectory:
        """One complete episode in each environment, from a fresh, seeded reset.

        Args:
            behavior: how to act.
            on_step: called after the reset and after every step, e.g. to draw a picture.

        Raises:
            RuntimeError: if an episode does not end.
        """
        env = self.env
        env.autoreset = False
        env.reset(seed=int(torch.randint(2**31 - 1, (1,), generator=self.generator)))
        self.late_rewards.restart()
        record = self._record(env.max_episode_steps or 64)
        message_due = math.inf if env.max_episode_steps else time.monotonic() + _LONG_S
        leaves = self._leaves(behavior)
        if on_step:
            on_step()
        while not env.episode_over.all():
            if record.length >= _MAX_EPISODE_STEPS:
                raise RuntimeError(f"an episode of {env.name!r} has not ended after {record.length} steps; {_ENDLESS}")
            if time.monotonic() > message_due:
                message_due = math.inf
                logger.warning(
                    "episodes of %r have not ended after %d steps, %d s; if they never do, %s",
                    env.name,
                    record.length,
                    _LONG_S,
                    _ENDLESS,
                )
            self._step(record, behavior, leaves)
            if on_step:
                on_step()
        self.episode_metrics = [env.episode_metrics(env.episode_over)]
        return self._finish(record, behavior)

    @torch.no_grad()
    def fragment(self, behavior: Behavior, length: int, reset: bool) -> Trajectory:
        """``length`` steps in each environment, continuing where the last fragment ended."""
        env = self.env
        env.autoreset = True
        self.episode_metrics = []
        if reset:
            env.reset(seed=int(torch.randint(2**31 - 1, (1,), generator=self.generator)))
            self.late_rewards.restart()
        record = self._record(length)
        leaves = self._leaves(behavior)
        for _ in range(length):
            over = self._step(record, behavior, leaves)
            if over.any():
                self.episode_metrics.append(env.episode_metrics(over))
        return self._finish(record, behavior)

    def _record(self, capacity: int) -> _Record:
        return _Record(self.env, self.stacks, self.policies, capacity, self.observation_filter)

    def _leaves(self, behavior: Behavior) -> list[list[Tensor]]:
        """Every stack's parameters, split once for the whole rollout."""
        return [policy.parameters.split(theta) for policy, theta in zip(self.policies, behavior.thetas, strict=True)]

    def _step(self, record: _Record, behavior: Behavior, leaves: list[list[Tensor]]) -> np.ndarray:
        """One step; returns in which environments it ended an episode, ``[B]`` bool."""
        env = self.env
        record.before_step()
        actions: list[np.ndarray | None] = [None] * len(env.groups)
        for i, (stack, policy) in enumerate(zip(self.stacks, self.policies, strict=True)):
            observations, masks = record.inputs(i)
            chosen, log_probs = policy.act(
                leaves[i],
                observations,
                masks,
                behavior.epsilon,
                self.generator,
                behavior.greedy,
            )
            recorded = record.put_actions(i, chosen, log_probs)
            # [P, B, K, *] -> the environment's [B, N_g, *]
            sent = recorded.swapaxes(0, 1).reshape(env.num_envs, -1, *recorded.shape[3:])
            if isinstance(stack.action_space, gym.spaces.Box):
                sent = _to_box(sent, stack.action_space, self.unsquash)
            if stack.is_identity and sent.shape[1] == len(env.groups[stack.env_group].agents):
                actions[stack.env_group] = sent
                continue
            merged = actions[stack.env_group]
            if merged is None:
                shape = (env.num_envs, len(env.groups[stack.env_group].agents), *sent.shape[2:])
                merged = actions[stack.env_group] = np.zeros(shape, sent.dtype)
            merged[:, stack.positions] = sent
        output = None if self.in_force is None else self.in_force.before_step(behavior.eta, behavior.greedy)
        env.step(actions, output)  # type: ignore[arg-type]
        return record.after_step()

    def _finish(self, record: _Record, behavior: Behavior) -> Trajectory:
        """Adds the designer's outputs: all of them now, unless the environment has read them already."""
        self.late_rewards.credit(**record.for_late_rewards())
        arrays = record.arrays()
        if self.in_force is not None:
            return Trajectory(
                stacks=record.stack_parts(),
                epsilon=behavior.epsilon,
                weights_seq_no=behavior.weights_seq_no,
                **self.in_force.pop_record(),
                **arrays,
            )
        t, b = arrays["rewards"].shape[:2]
        states, features = arrays["states"][:-1], arrays["action_features"]
        step = self.designer.act(
            behavior.eta,
            states.reshape(t * b, *states.shape[2:]),
            features.reshape(t * b, -1),
            self.generator,
            behavior.greedy,
        )

        def unflatten(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.reshape(t, b, *x.shape[1:])

        return Trajectory(
            stacks=record.stack_parts(),
            designer_output=step.outputs.reshape(t, b, -1),
            designer_actions=unflatten(step.actions),
            designer_log_probs=unflatten(step.log_probs),
            epsilon=behavior.epsilon,
            weights_seq_no=behavior.weights_seq_no,
            **arrays,
        )


def _to_box(actions: np.ndarray, box: gym.spaces.Box, unsquash: bool) -> np.ndarray:
    """Continuous actions as the environment takes them."""
    bounded = np.isfinite(box.low) & np.isfinite(box.high)
    if unsquash and bounded.all():
        unit = (np.clip(actions, -1.0, 1.0) + 1.0) / 2.0
        return (box.low + unit * (box.high - box.low)).astype(box.dtype)
    return np.clip(actions, box.low, box.high).astype(box.dtype)


class _Record:
    """Growing arrays of one rollout, in the layouts of core/trajectory.py."""

    def __init__(
        self,
        env: VectorIncentiveEnv,
        stacks: Sequence[Stack],
        policies: Sequence[StackedPolicy],
        capacity: int,
        observation_filter: ObservationFilter | None = None,
    ) -> None:
        self._filter = observation_filter
        self.env, self.stacks, self.policies = env, stacks, policies
        self.length = 0
        self.capacity = 0
        self._env_arrays: dict[str, np.ndarray] = {}
        self._stack_arrays: list[dict[str, np.ndarray]] = [{} for _ in stacks]
        self._grow(capacity)

    def _grow(self, capacity: int) -> None:
        env, b, n = self.env, self.env.num_envs, len(self.env.possible_agents)
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "states": ((capacity + 1, b, *env.state_shape), env.state.dtype),
            "action_features": ((capacity, b, n * env.action_feature_size), np.float32),
            "action_types": ((capacity, b, n), np.int64),
            "rewards": ((capacity, b, n), np.float32),
            "active": ((capacity, b, n), np.bool_),
            "terminated": ((capacity, b, n), np.bool_),
            "truncated": ((capacity, b, n), np.bool_),
            "designer_rewards": ((capacity, b), np.float32),
            "stepped": ((capacity, b), np.bool_),
            "over": ((capacity, b), np.bool_),
            "over_terminated": ((capacity, b), np.bool_),
        }
        shapes |= {
            f"context/{key}": ((capacity, b, *shape), env.context[key].dtype)
            for key, shape in env.context_shapes.items()
        }
        for key, (shape, dtype) in shapes.items():
            self._env_arrays[key] = _extend(self._env_arrays.get(key), shape, dtype, axis=0)
        for arrays, stack, policy in zip(self._stack_arrays, self.stacks, self.policies, strict=True):
            p, k = stack.agents.shape
            discrete = not isinstance(stack.action_space, gym.spaces.Box)
            stack_shapes: dict[str, tuple[tuple[int, ...], Any]] = {
                "observations": ((p, capacity + 1, b, k, *stack.observation_shape), stack.observation_dtype),
                "actions": (
                    (p, capacity, b, k, *policy.distribution.action_shape),
                    np.int64 if discrete else np.float32,
                ),
                "log_probs": ((p, capacity, b, k), np.float32),
            }
            if stack.masked:
                stack_shapes["action_masks"] = (
                    (p, capacity, b, k, policy.distribution.num_outputs),
                    np.bool_,
                )
            for key, (shape, dtype) in stack_shapes.items():
                arrays[key] = _extend(arrays.get(key), shape, dtype, axis=1)
        self.capacity = capacity

    def _per_stack(self, i: int, source: np.ndarray) -> np.ndarray:
        """The environment's ``[B, N_g, *]`` as this stack's ``[P, B, K, *]`` (a view where the order allows)."""
        stack = self.stacks[i]
        p, k = stack.agents.shape
        if not (stack.is_identity and len(stack.positions) == source.shape[1]):
            source = source[:, stack.positions]
        return source.reshape(source.shape[0], p, k, *source.shape[2:]).swapaxes(0, 1)

    def _put_observations(self, acting: np.ndarray | None) -> None:
        """Records what is seen now; ``acting`` ``[B, N]`` says whose observations a filter has not seen yet."""
        t, observed = self.length, self.env.observations
        if self._filter is not None:
            observed = tuple(self._filter(observed, acting))
        self._env_arrays["states"][t] = self.env.state
        for i, stack in enumerate(self.stacks):
            self._stack_arrays[i]["observations"][:, t] = self._per_stack(i, observed[stack.env_group])

    def before_step(self) -> None:
        """Records what is seen before acting."""
        if self.length == self.capacity:
            self._grow(2 * self.capacity)
        self._put_observations(self.env.active)
        t, arrays, env = self.length, self._env_arrays, self.env
        arrays["active"][t] = env.active
        np.logical_not(env.episode_over, out=arrays["stepped"][t])
        for i, stack in enumerate(self.stacks):
            if stack.masked:
                given = self.env.action_masks[stack.env_group]
                assert given is not None
                masks = self._stack_arrays[i]["action_masks"][:, t]
                masks[...] = self._per_stack(i, given)
                # An agent that is not there has no legal action; its distribution must exist all the same.
                masks |= ~masks.any(-1, keepdims=True)

    def inputs(self, i: int) -> tuple[Tensor, Tensor | None]:
        """Stack ``i``'s observations ``[P, B * K, *obs]`` of this step, and masks."""
        arrays, t = self._stack_arrays[i], self.length
        observations = torch.from_numpy(arrays["observations"][:, t]).flatten(1, 2)
        masks = arrays.get("action_masks")
        return observations, None if masks is None else torch.from_numpy(masks[:, t]).flatten(1, 2)

    def put_actions(self, i: int, actions: Tensor, log_probs: Tensor) -> np.ndarray:
        """Records stack ``i``'s actions; returns them as ``[P, B, K, *]``."""
        arrays, t = self._stack_arrays[i], self.length
        recorded = arrays["actions"][:, t]
        recorded[...] = actions.numpy().reshape(recorded.shape)
        row = arrays["log_probs"][:, t]
        row[...] = log_probs.numpy().reshape(row.shape)
        return recorded

    def after_step(self) -> np.ndarray:
        """Records what the step brought; returns in which environments it ended an episode, ``[B]`` bool."""
        t, arrays, env = self.length, self._env_arrays, self.env
        arrays["rewards"][t] = env.rewards
        arrays["terminated"][t] = env.terminated
        arrays["truncated"][t] = env.truncated
        arrays["action_types"][t] = env.action_types
        arrays["action_features"][t] = env.action_features.reshape(env.num_envs, -1)
        arrays["designer_rewards"][t] = env.designer_reward
        over = arrays["over"][t]
        np.logical_and(env.episode_over, arrays["stepped"][t], out=over)
        arrays["over_terminated"][t] = over & ~env.truncated.any(-1)
        for key in env.context_shapes:
            arrays[f"context/{key}"][t] = env.context[key]
        self.length += 1
        return over

    def for_late_rewards(self) -> dict[str, np.ndarray]:
        """What :meth:`LateRewards.credit` takes, of the steps so far."""
        rows = {key: array[: self.length] for key, array in self._env_arrays.items()}
        ended = rows["terminated"] | rows["truncated"]
        return {"rewards": rows["rewards"], "active": rows["active"], "ended": ended, "stepped": rows["stepped"]}

    def arrays(self) -> dict[str, Any]:
        """Environment-level tensors of the finished rollout, with the last observations put in."""
        # Seen here they would be seen again by the fragment that goes on.
        self._put_observations(None)
        t = self.length
        tensors = {
            key: torch.from_numpy(array[: t + 1] if key == "states" else array[:t])
            for key, array in self._env_arrays.items()
        }
        context = {
            key.removeprefix("context/"): tensors.pop(key) for key in list(tensors) if key.startswith("context/")
        }
        return {**tensors, "context": context}

    def stack_parts(self) -> tuple[StackTrajectory, ...]:
        """Group-level tensors of the finished rollout."""
        t = self.length
        return tuple(
            StackTrajectory(
                agents=torch.from_numpy(stack.agents),
                **{
                    key: torch.from_numpy(array[:, : t + 1] if key == "observations" else array[:, :t])
                    for key, array in arrays.items()
                },
            )
            for stack, arrays in zip(self.stacks, self._stack_arrays, strict=True)
        )


def _extend(old: np.ndarray | None, shape: tuple[int, ...], dtype: Any, axis: int) -> np.ndarray:
    """A new array with the old one at its start."""
    new = np.zeros(shape, dtype)
    if old is not None:
        new[(slice(None),) * axis + (slice(0, old.shape[axis]),)] = old
    return new
