"""Who learns what: which agents share a policy, and which policies are stacked into one matrix of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.vector import AgentGroup, VectorIncentiveEnv
from rllib_metagrad.modules.networks import NetworkSettings
from rllib_metagrad.modules.policy import StackedPolicy


@dataclass(frozen=True)
class EnvSpec:
    """Shapes and names of an environment: all that learners need to know of it, and picklable."""

    name: str
    possible_agents: tuple[str, ...]
    groups: tuple[AgentGroup, ...]
    state_shape: tuple[int, ...]
    num_action_types: int
    action_type_names: tuple[str, ...]
    action_feature_size: int
    max_episode_steps: int | None
    mechanism_facts: dict[str, Any] = field(default_factory=dict)
    state_picture_shape: tuple[int, ...] | None = None

    @classmethod
    def of(cls, env: VectorIncentiveEnv) -> EnvSpec:
        """Reads it off an environment."""
        return cls(
            env.name,
            tuple(env.possible_agents),
            tuple(env.groups),
            tuple(env.state_shape),
            env.num_action_types,
            tuple(env.action_type_names),
            env.action_feature_size,
            env.max_episode_steps,
            dict(env.mechanism_facts),
            env.state_picture_shape,
        )

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.possible_agents)

    @property
    def num_features(self) -> int:
        """N * F, width of the joint action."""
        return self.num_agents * self.action_feature_size


@dataclass(frozen=True)
class Stack:
    """``P`` policies of one shape, each acting for ``K`` agents.

    Attributes:
        policy_ids: the P RLlib module ids.
        agents: ``[P, K]`` indices among all N agents.
        env_group: index of the environment's group that holds these agents.
        positions: ``[P * K]`` where the agents are within that group's arrays, policy-major.
        observation_shape: of one agent.
        action_space: of one agent.
        picture_shape: of the picture that its observation begins with, see :class:`AgentGroup`.
    """

    policy_ids: tuple[str, ...]
    agents: np.ndarray
    env_group: int
    positions: np.ndarray
    observation_shape: tuple[int, ...]
    observation_dtype: np.dtype
    action_space: gym.Space
    masked: bool
    picture_shape: tuple[int, ...] | None = None

    @cached_property
    def is_identity(self) -> bool:
        """Whether the environment's arrays are already in this stack's order."""
        return bool((self.positions == np.arange(len(self.positions))).all())

    def make_policy(self, settings: NetworkSettings, critic: bool) -> StackedPolicy:
        """The functions of the stack's policies."""
        return StackedPolicy(
            self.observation_shape, self.action_space, settings, critic, picture_shape=self.picture_shape
        )


def make_stacks(spec: EnvSpec, policy_of: Callable[[str], str]) -> tuple[Stack, ...]:
    """Groups agents by policy, and policies by what they can be stacked with.

    Policies are stacked if their agents' spaces are equal and they act for equally many agents.

    Args:
        spec: of the environment.
        policy_of: maps an agent's name to the id of its policy.

    Raises:
        ValueError: if one policy is to act for agents whose spaces differ.
    """
    home: dict[str, int] = {}
    stacks: list[Stack] = []
    for env_group, group in enumerate(spec.groups):
        members: dict[str, list[int]] = {}
        for position, agent in enumerate(group.agents):
            name = spec.possible_agents[agent]
            policy = policy_of(name)
            if home.setdefault(policy, env_group) != env_group:
                raise ValueError(
                    f"policy {policy!r} is mapped to agents of {spec.name!r} whose observation or action spaces "
                    f"differ (the last is {name!r}); map them to different policies"
                )
            members.setdefault(policy, []).append(position)
        by_size: dict[int, list[str]] = {}
        for policy, positions in members.items():
            by_size.setdefault(len(positions), []).append(policy)
        for policies in by_size.values():
            order = np.array([members[policy] for policy in policies])
            stacks.append(
                Stack(
                    tuple(policies),
                    np.array(group.agents)[order],
                    env_group,
                    order.reshape(-1),
                    group.observation_shape,
                    group.observation_dtype,
                    group.action_space,
                    group.masked,
                    group.picture_shape,
                )
            )
    return tuple(stacks)
