"""What learners and runners know of an environment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from env_wrappers.vector import AgentGroup, VectorIncentiveEnv


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
    filtered: bool = False

    @classmethod
    def of(cls, env: VectorIncentiveEnv, filtered: bool = False) -> EnvSpec:
        """Reads it off an environment; ``filtered``: policies see standardized observations, also of pictures."""
        return cls(
            env.name,
            tuple(env.possible_agents),
            tuple(replace(g, observation_dtype=np.dtype(np.float32)) if filtered else g for g in env.groups),
            tuple(env.state_shape),
            env.num_action_types,
            tuple(env.action_type_names),
            env.action_feature_size,
            env.max_episode_steps,
            dict(env.mechanism_facts),
            env.state_picture_shape,
            filtered,
        )

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.possible_agents)

    @property
    def num_features(self) -> int:
        """N * F, width of the joint action."""
        return self.num_agents * self.action_feature_size
