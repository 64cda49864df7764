"""What an incentive designer needs of an environment, beside PettingZoo's ParallelEnv API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from env_wrappers.renamed import RenamedMethods


class IncentiveEnv(RenamedMethods, ParallelEnv):
    """A ParallelEnv that also says what the designer sees, wants, and pays for.

    Deriving from this class is optional: for any other ParallelEnv the functions below give defaults.
    The methods are asked after ``reset`` (only :meth:`state`) and after every ``step``.

    Attributes:
        num_action_types: how many kinds of actions can earn different incentives.
        action_type_names: their names, for reports.
        action_feature_size: width of the vectors of :meth:`action_features`; None means ``num_action_types``.
        max_episode_steps: bound on an episode's length, or None.
        picture_keys: entries of agents' Dict observations that are layers ``[C, H, W]`` of one picture. In batches
            it comes first in the row of numbers, channels last, so that networks can look at it.
        observe_masks: agents observe the ``action_mask`` of their Dict observations like any other entry; legal actions
            are those of the infos' masks.
        goes_on_without_seed: ``reset()`` without a seed draws on from the last one. Batches give every later episode of
            other environments a seed, as many draw from the machine's entropy then.
        mechanism_facts: see :class:`env_wrappers.vector.VectorIncentiveEnv`.
    """

    num_action_types: int
    action_type_names: tuple[str, ...]
    action_feature_size: int | None = None
    max_episode_steps: int | None = None
    picture_keys: tuple[str, ...] = ()
    observe_masks: bool = False
    goes_on_without_seed: bool = False
    state_space: gym.Space
    mechanism_facts: Mapping[str, Any] = MappingProxyType({})

    def state(self) -> np.ndarray:
        """The designer's observation."""
        raise NotImplementedError

    def action_types(self) -> dict[str, int]:
        """Type of each last action, in ``range(num_action_types)``; only of agents that acted."""
        raise NotImplementedError

    def designer_reward(self) -> float:
        """R^ID of the last step."""
        raise NotImplementedError

    def action_features(self) -> dict[str, np.ndarray]:
        """What an incentive function sees of the last actions: the one-hot action type, unless overridden."""
        onehot = np.eye(self.num_action_types, dtype=np.float32)
        return {agent: onehot[kind] for agent, kind in self.action_types().items()}

    def context(self) -> dict[str, np.ndarray]:
        """Further arrays of the last step that a mechanism needs to recompute rewards, by name.

        Names and shapes stay the same. Taxes need a :class:`~env_wrappers.facts.TaxContext` (``_asdict()``).
        """
        return {}

    def designer_due(self) -> bool:
        """Whether the next step reads the designer's output; asked after ``reset``, too."""
        return False

    def set_designer_output(self, output: np.ndarray) -> None:
        """Takes the designer's output ``[U]`` for the next step; called before it where :meth:`designer_due`."""
        raise NotImplementedError(f"{type(self).__name__} has designer_due() but no set_designer_output(); add it")

    def get_lasting_state(self) -> Any:
        """State that survives ``reset()``, see :class:`env_wrappers.vector.VectorIncentiveEnv`; None: there is none."""
        return None

    def set_lasting_state(self, saved: Any) -> None:
        """Inverse of :meth:`get_lasting_state`, of this or another environment; not called with None."""
        raise NotImplementedError(f"{type(self).__name__} has get_lasting_state() but no set_lasting_state(); add it")

    def end_schedules(self) -> None:
        """See :class:`env_wrappers.vector.VectorIncentiveEnv`."""

    def episode_metrics(self) -> dict[str, float]:
        """What the episode came to, by name, for results and reports; asked after its last step."""
        return {}


def incentive_side(env: ParallelEnv) -> IncentiveEnv | None:
    """The :class:`IncentiveEnv` that an environment is or wraps, if any."""
    if isinstance(env, IncentiveEnv):
        return env
    inner = getattr(env, "unwrapped", env)
    return inner if isinstance(inner, IncentiveEnv) else None


def default_num_action_types(spaces: dict[str, gym.Space]) -> int:
    """Number of discrete actions (the most of any agent), or one type for all other actions."""
    if all(isinstance(space, gym.spaces.Discrete) for space in spaces.values()):
        return max(int(space.n) for space in spaces.values())
    return 1


def action_feature_size(space: gym.Space) -> int:
    """Width of :func:`action_features`.

    Raises:
        ValueError: for an action space that is neither discrete nor a box.
    """
    if isinstance(space, gym.spaces.Discrete):
        return int(space.n)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return int(np.sum(space.nvec))
    if isinstance(space, gym.spaces.Box):
        return int(np.prod(space.shape))
    raise ValueError(f"action space {space} is not supported: it must be Discrete, MultiDiscrete or Box")


def action_features(space: gym.Space, actions: np.ndarray) -> np.ndarray:
    """The actions as an incentive function sees them: one-hot for discrete ones, values for a box.

    Args:
        space: of one agent.
        actions: ``[..., ]`` for Discrete (counted from 0), ``[..., D]`` otherwise.

    Returns:
        ``[..., action_feature_size(space)]`` float32.
    """
    if isinstance(space, gym.spaces.Discrete):
        return np.eye(int(space.n), dtype=np.float32)[actions]
    if isinstance(space, gym.spaces.MultiDiscrete):
        nvec = np.asarray(space.nvec).reshape(-1)
        parts = [np.eye(n, dtype=np.float32)[actions[..., d]] for d, n in enumerate(nvec)]
        return np.concatenate(parts, axis=-1)
    return np.asarray(actions, dtype=np.float32)


def state_of(env: ParallelEnv) -> np.ndarray | None:
    """``env.state()``, or None where the environment has none."""
    # Some of PettingZoo's classic environments keep a dict under this name.
    if not callable(getattr(getattr(env, "unwrapped", env), "state", None)):
        return None
    try:
        return np.asarray(env.state())
    except NotImplementedError:
        return None


def state_space_of(env: ParallelEnv) -> gym.Space | None:
    """The environment's own ``state_space``, if it declares one."""
    space: Any = getattr(env, "state_space", None)
    return space if isinstance(space, gym.Space) else None
