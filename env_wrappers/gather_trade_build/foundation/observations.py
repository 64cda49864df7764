"""The package's observations as arrays, and the spaces that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

#: Under this key the covid scenario puts all agents together, on the last axis.
COLLATED = "a"
MASK = "action_mask"


def as_arrays(observation: Any) -> Any:
    """Dicts stay dicts; everything else becomes an array of its own with at least one axis.

    Arrays are float32; maps of agents' numbers stay int16; flat masks are int8, as Gymnasium's spaces sample by them.
    """
    if isinstance(observation, Mapping):
        return {
            key: np.array(value, np.int8) if key == MASK and not isinstance(value, Mapping) else as_arrays(value)
            for key, value in observation.items()
        }
    values = np.array(observation)
    return np.atleast_1d(values.astype(np.int16 if values.dtype == np.int16 else np.float32))


def space_of(arrays: Any, num_agents: int) -> gym.Space:
    """A space for observations like this one.

    Args:
        arrays: of :func:`as_arrays`.
        num_agents: bounds the maps of agents' numbers: 0 nobody, 1 oneself, i + 2 agent i.
    """
    if isinstance(arrays, dict):
        return gym.spaces.Dict({key: space_of(value, num_agents) for key, value in arrays.items()})
    if arrays.dtype == np.int8:
        return gym.spaces.Box(0, 1, arrays.shape, np.int8)
    if arrays.dtype == np.int16:
        return gym.spaces.Box(0, num_agents + 1, arrays.shape, np.int16)
    return gym.spaces.Box(-np.inf, np.inf, arrays.shape, np.float32)


def of_agents(values: Mapping[str, Any], num_agents: int) -> list[Any]:
    """What each agent has, of observations or rewards as the package returns them.

    Args:
        values: with a key "0", "1", ... for every agent, or with all of them under COLLATED.
        num_agents: N.

    Returns:
        N values.
    """
    if COLLATED not in values:
        return [values[str(i)] for i in range(num_agents)]
    return [_take(values[COLLATED], i, num_agents) for i in range(num_agents)]


def _take(values: Any, index: int, num_agents: int) -> Any:
    if isinstance(values, Mapping):
        return {key: _take(value, index, num_agents) for key, value in values.items()}
    array = np.asarray(values)
    if array.ndim == 1:
        # Several fields of N numbers each, one after another.
        return array.reshape(-1, num_agents)[:, index] if array.size > num_agents else array[index]
    return array[..., index]


def planner_vector(arrays: Mapping[str, Any]) -> np.ndarray:
    """The planner's numbers beside its maps: its own ``flat``, then those of ``p0``, ``p1``, ...; float32."""
    rows = _rows(arrays)
    return np.concatenate(rows).astype(np.float32) if rows else np.zeros(1, np.float32)


def _rows(arrays: Mapping[str, Any]) -> list[np.ndarray]:
    rows: list[np.ndarray] = []
    for key, value in arrays.items():
        if isinstance(value, dict) and key != MASK:
            rows += _rows(value)
        elif isinstance(value, np.ndarray) and value.ndim == 1 and key not in (MASK, "time"):
            rows.append(value)
    return rows
