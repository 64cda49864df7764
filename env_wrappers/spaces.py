"""From PettingZoo's spaces to arrays that networks take, and back for actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np


class ObservationProcessor:
    """Turns one agent's observations into arrays of one shape.

    Discrete observations become one-hot; other composite ones are flattened; pictures (three axes) keep
    their shape; masks of legal actions (a dict's ``action_mask`` beside its ``observation``, or the info
    dict's) are split off.

    Args:
        space: the environment's.
        mask_in_info: whether infos carry ``action_mask``.
        picture_keys: of a dict's entries that are layers ``[C, H, W]`` of a picture, which comes first, channels last;
            those that it does not have count for nothing.

    Attributes:
        shape, dtype, space: of the processed observation.
        masked: whether there are masks.
        picture_shape: ``(H, W, C)`` of the picture at the beginning, or None.
    """

    def __init__(self, space: gym.Space, mask_in_info: bool = False, picture_keys: Sequence[str] = ()) -> None:
        self._mask_in_dict = (
            isinstance(space, gym.spaces.Dict) and "observation" in space.spaces and "action_mask" in space.spaces
        )
        self.masked = self._mask_in_dict or mask_in_info
        self._inner: gym.Space = space["observation"] if self._mask_in_dict else space
        inner = self._inner
        self._is_discrete = isinstance(inner, gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary)
        self._is_box = isinstance(inner, gym.spaces.Box)
        if self._is_box and len(inner.shape or ()) == 3:
            image = inner.dtype == np.uint8
            self.shape: tuple[int, ...] = tuple(inner.shape or ())
            self.dtype = np.dtype(np.uint8 if image else np.float32)
        else:
            self.shape = (gym.spaces.flatdim(inner),)
            self.dtype = np.dtype(np.float32)
        own = inner.spaces if isinstance(inner, gym.spaces.Dict) else {}
        self._layers = [key for key in picture_keys if key in own]
        self._others = gym.spaces.Dict({key: space for key, space in own.items() if key not in self._layers})
        self.picture_shape: tuple[int, ...] | None = None
        if self._layers:
            shapes = [own[key].shape for key in self._layers]
            self.picture_shape = (*shapes[0][1:], sum(shape[0] for shape in shapes))
        limit = (0, 255) if self.dtype == np.uint8 else (-np.inf, np.inf)
        self.space = gym.spaces.Box(limit[0], limit[1], self.shape, self.dtype.type)

    def __call__(self, observation: Any, info: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
        """The processed observation, and the mask or None.

        Raises:
            ValueError: if the observation is not in the space, saying how.
        """
        mask = None
        if self._mask_in_dict:
            if not isinstance(observation, dict) or not {"observation", "action_mask"} <= observation.keys():
                got = sorted(observation) if isinstance(observation, dict) else type(observation).__name__
                raise ValueError(f"observations holds {got}, expected a dict of observation and action_mask")
            mask = flat_mask(observation["action_mask"])
            observation = observation["observation"]
        elif self.masked and "action_mask" in info:
            mask = flat_mask(info["action_mask"])
        if self._is_box:
            try:
                values = np.asarray(observation)
            except ValueError as error:
                raise ValueError(f"observations holds {shown(observation)}, expected an array: {error}") from error
            if values.shape != self._inner.shape:
                raise ValueError(f"observations has shape {values.shape}, expected {self._inner.shape}")
            if values.dtype.kind not in "biuf":
                raise ValueError(f"observations has dtype {values.dtype}, expected {self._inner.dtype}")
            if self.dtype == np.uint8 and not np.issubdtype(values.dtype, np.integer):
                # A cast would turn a picture of [0, 1] floats black without a word.
                raise ValueError(f"observations has dtype {values.dtype}, expected {self._inner.dtype}")
        elif self._is_discrete and not self._inner.contains(observation):
            # flatten() would take a negative index for one from the end.
            raise ValueError(f"observations holds {shown(observation)}, expected a member of {self._inner}")
        else:
            try:
                values = self._flatten(observation)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                raise ValueError(
                    f"observations holds {shown(observation)}, expected a member of {self._inner}: {error}"
                ) from error
        # Cast first: a float64 beyond float32's range becomes infinite only here.
        with np.errstate(over="ignore", invalid="ignore"):
            values = values.reshape(self.shape).astype(self.dtype)
        if self.dtype == np.float32 and not np.isfinite(values).all():
            raise ValueError("observations holds NaN or infinity, expected finite float32 numbers")
        return values, mask

    def _flatten(self, observation: Any) -> np.ndarray:
        """A composite observation as one row, its picture first."""
        if not self._layers:
            return np.asarray(gym.spaces.flatten(self._inner, observation))
        picture = np.concatenate([observation[key] for key in self._layers]).transpose(1, 2, 0)
        return np.concatenate([picture.reshape(-1), gym.spaces.flatten(self._others, observation)])


def shown(value: Any) -> str:
    """A value as one short line, for messages."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def flat_mask(mask: Any) -> np.ndarray:
    """A mask of legal actions as one row of flags; Gymnasium's own for a MultiDiscrete are tuples of rows."""
    if isinstance(mask, tuple | list) and any(np.ndim(part) for part in mask):
        return np.concatenate([np.asarray(part, bool).reshape(-1) for part in mask])
    return np.asarray(mask, bool).reshape(-1)


@dataclass(frozen=True)
class ActionProcessor:
    """Between the policies' actions (counted from 0, flat) and the environment's.

    Attributes:
        space: what policies act in: Discrete from 0, MultiDiscrete of one axis, Box of one axis (float32).
        original: the environment's.
    """

    space: gym.Space
    original: gym.Space

    def to_env(self, action: np.ndarray) -> Any:
        """An action as the environment takes it."""
        if isinstance(self.original, gym.spaces.Discrete):
            return int(action) + int(self.original.start)
        if isinstance(self.original, gym.spaces.MultiDiscrete):
            return (action.reshape(self.original.shape) + self.original.start).astype(self.original.dtype)
        assert isinstance(self.original, gym.spaces.Box)
        return action.reshape(self.original.shape).astype(self.original.dtype)


def action_processor(space: gym.Space) -> ActionProcessor:
    """The processor for an action space.

    Raises:
        ValueError: if the space is not supported.
    """
    if isinstance(space, gym.spaces.Discrete):
        return ActionProcessor(gym.spaces.Discrete(int(space.n)), space)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return ActionProcessor(gym.spaces.MultiDiscrete(np.asarray(space.nvec).reshape(-1)), space)
    if isinstance(space, gym.spaces.MultiBinary):
        count = int(np.prod(space.shape))
        return ActionProcessor(gym.spaces.MultiDiscrete([2] * count), gym.spaces.MultiDiscrete(np.full(space.shape, 2)))
    if isinstance(space, gym.spaces.Box) and np.issubdtype(space.dtype, np.floating):
        low, high = space.low.reshape(-1), space.high.reshape(-1)
        return ActionProcessor(gym.spaces.Box(low, high, dtype=np.float32), space)
    raise ValueError(
        f"action space {shown(space)} is not supported: it must be Discrete, MultiDiscrete, MultiBinary or a float Box"
    )
