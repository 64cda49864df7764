"""Batched environments: B copies in lockstep, written into preallocated arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.renamed import RenamedMethods


class EnvAPIError(ValueError):
    """An environment broke its own API; the message names environment, agent and key."""


@dataclass(frozen=True)
class AgentGroup:
    """Agents whose (processed) observation and action spaces are equal.

    Attributes:
        agents: indices into ``possible_agents``.
        observation_shape: of one agent.
        observation_dtype: float32, or uint8 for images.
        action_space: Discrete, MultiDiscrete or a one-dimensional Box.
        masked: whether masks of legal actions are given.
        picture_shape: ``(H, W, C)`` of the picture that observations of shape ``(D,)`` begin with, channels last; what
            follows it is a vector. None where there is no such picture.
        has_only_picture: that picture is the only one among the parts of a user's observation, and nobody has said what
            networks should do with it.
    """

    agents: tuple[int, ...]
    observation_shape: tuple[int, ...]
    observation_dtype: np.dtype
    action_space: gym.Space
    masked: bool = False
    picture_shape: tuple[int, ...] | None = None
    has_only_picture: bool = False


class VectorIncentiveEnv(RenamedMethods, ABC):
    """B copies of an environment of N agents, stepped in lockstep.

    Subclasses call :meth:`allocate`, and write into the buffers in :meth:`reset` and :meth:`step`. Buffers
    are overwritten by the next call: copy what should last.

    When an episode is over, the next ``step`` ignores that copy's actions. With ``autoreset`` it resets the
    copy instead (``was_reset``; observations are the next episode's first), without it the copy stays frozen.
    So the final observation of an episode can always be read after its last step.

    Attributes:
        observations: for every group ``[B, N_g, *shape]``; an agent that has left keeps its last one.
        action_masks: for every group ``[B, N_g, A]`` bool (concatenated for MultiDiscrete), or None.
        state: ``[B, *state_shape]``, the designer's observation.
        state_picture_shape: as an :class:`AgentGroup`'s ``picture_shape``, of the state.
        active: ``[B, N]`` bool, the agent acts in the next step.
        rewards: ``[B, N]`` float32 of the last step; for agents that did not act in it what they were paid all the same
            (after their end), mostly 0.
        terminated: ``[B, N]`` bool, the agent's life ended in this step with nothing to come.
        truncated: ``[B, N]`` bool, the agent's life was cut in this step.
        episode_over: ``[B]`` bool.
        was_reset: ``[B]`` bool, the last step reset this copy.
        action_types: ``[B, N]`` int64, of the last actions; 0 for agents that did not act.
        action_features: ``[B, N, F]`` float32, the last actions as an incentive function sees them; zeros for
            agents that did not act.
        designer_reward: ``[B]`` float32, R^ID.
        context: further float32 arrays ``[B, ...]`` of the last step for mechanisms, by name; zeros where no step was
            made. Taxes need a :class:`~env_wrappers.facts.TaxContext`.
        designer_due: ``[B]`` bool, the next step reads ``designer_output``; False where dynamics do not depend on it,
            or not in that step (taxes are set once in a period).
        mechanism_facts: what mechanisms must know of the rules, by name; numbers and tuples. See
            :mod:`env_wrappers.facts`.
    """

    #: Whether get_state / set_state work; of a class, or of an instance that wraps another one.
    resumable: bool = False
    #: Whether copies are whole environments of somebody's, stepped one by one: to have more of them saves nothing.
    one_by_one: bool = False
    #: Whether :meth:`end_schedules` changes anything, which nothing undoes.
    has_schedules: bool = True

    name: str
    observation_spaces: dict[str, gym.Space]
    action_spaces: dict[str, gym.Space]
    max_episode_steps: int | None
    state_picture_shape: tuple[int, ...] | None = None
    mechanism_facts: Mapping[str, Any] = MappingProxyType({})

    def allocate(
        self,
        num_envs: int,
        possible_agents: Sequence[str],
        groups: Sequence[AgentGroup],
        state_shape: Sequence[int],
        state_dtype: Any,
        action_type_names: Sequence[str],
        action_feature_size: int,
        context_shapes: dict[str, tuple[int, ...]] | None = None,
        autoreset: bool = False,
    ) -> None:
        """Sets the attributes and creates the buffers.

        Raises:
            ValueError: unless ``num_envs`` is a whole number >= 1.
        """
        b, n = check_num_envs(num_envs), len(possible_agents)
        self.num_envs = b
        self.possible_agents = tuple(possible_agents)
        self.groups = tuple(groups)
        self.state_shape = tuple(state_shape)
        self.state_dtype = np.dtype(state_dtype)
        self.action_type_names = tuple(action_type_names)
        self.num_action_types = len(self.action_type_names)
        self.action_feature_size = action_feature_size
        self.context_shapes = dict(context_shapes or {})
        self.autoreset = autoreset
        self.observations = tuple(
            np.zeros((b, len(g.agents), *g.observation_shape), g.observation_dtype) for g in groups
        )
        self.action_masks = tuple(
            np.ones((b, len(g.agents), num_logits(g.action_space)), bool) if g.masked else None for g in groups
        )
        self.state = np.zeros((b, *state_shape), state_dtype)
        self.active = np.zeros((b, n), bool)
        self.rewards = np.zeros((b, n), np.float32)
        self.terminated = np.zeros((b, n), bool)
        self.truncated = np.zeros((b, n), bool)
        self.episode_over = np.zeros(b, bool)
        self.was_reset = np.zeros(b, bool)
        self.action_types = np.zeros((b, n), np.int64)
        self.action_features = np.zeros((b, n, action_feature_size), np.float32)
        self.designer_reward = np.zeros(b, np.float32)
        self.designer_due = np.zeros(b, bool)
        self.context = {k: np.zeros((b, *s), np.float32) for k, s in self.context_shapes.items()}

    @abstractmethod
    def reset(self, seed: int | None = None) -> None:
        """Starts a new episode in every copy.

        Args:
            seed: copy b gets the b-th child of ``np.random.SeedSequence(seed)``; None goes on with the
                generators as they are.
        """

    @abstractmethod
    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """One step of every copy.

        Args:
            actions: for every group ``[B, N_g]`` (Discrete) or ``[B, N_g, D]``; those of inactive agents are
                ignored.
            designer_output: ``[B, U]``, for environments whose dynamics depend on the designer; rows of copies for
                which ``designer_due`` is False are not read. None leaves what was set before.
        """

    def end_schedules(self) -> None:
        """Puts what changes with the number of finished episodes (annealed caps) at its end, for evaluation."""

    def get_lasting_state(self) -> list[Any]:
        """State that survives ``reset()``: episode counters for schedules, past incomes for Saez' formula.

        Returns:
            A picklable object a copy, or an empty list if there is none.
        """
        return []

    def set_lasting_state(self, saved: Sequence[Any]) -> None:
        """Inverse of :meth:`get_lasting_state`, also of another number E of copies: copy b gets that of copy b % E.

        It counts from the next reset on.
        """

    def get_state(self) -> dict[str, Any]:
        """All that exact resume needs."""
        raise NotImplementedError(f"{self.name} cannot be saved in the middle of an episode")

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state`."""
        raise NotImplementedError(f"{self.name} cannot be restored in the middle of an episode")

    def episode_metrics(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """What episodes came to, for results and reports; read once an episode, between its end and the next reset.

        Args:
            which: ``[B]`` bool, copies whose episodes are over, E of them.

        Returns:
            Numbers ``[E]`` by name, always with the same names; a name may have parts, as in ``income/agent_0``. None
            by default.
        """
        return {}

    def render(self) -> np.ndarray:
        """RGB picture ``[H, W, 3]`` uint8 of the first copy."""
        raise NotImplementedError(f"{self.name} has no picture")

    def close(self) -> None:
        """Releases resources."""

    def clear_step(self) -> None:
        """Zeroes what a step reports, so that copies and agents that do not act in it report nothing."""
        self.rewards[:] = 0
        self.terminated[:] = False
        self.truncated[:] = False
        self.was_reset[:] = False
        self.designer_reward[:] = 0
        self.action_types[:] = 0
        self.action_features[:] = 0
        for values in self.context.values():
            values[:] = 0


def check_num_envs(num_envs: Any) -> int:
    """The number of copies.

    Raises:
        ValueError: unless it is a whole number >= 1.
    """
    if not isinstance(num_envs, Integral) or isinstance(num_envs, bool) or num_envs < 1:
        raise ValueError(f"num_envs must be a whole number >= 1, got {num_envs!r}")
    return int(num_envs)


def num_logits(space: gym.Space) -> int:
    """Width of a mask over an action space.

    Raises:
        ValueError: if the space is not discrete.
    """
    if isinstance(space, gym.spaces.Discrete):
        return int(space.n)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return int(np.sum(space.nvec))
    raise ValueError(f"action masks need a Discrete or MultiDiscrete action space, got {space}")


def child_seeds(seed: int, count: int) -> list[int]:
    """Independent seeds for the copies of an environment."""
    children = np.random.SeedSequence(seed).spawn(count)
    return [int(child.generate_state(1)[0]) for child in children]
