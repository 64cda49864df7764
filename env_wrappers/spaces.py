"""From PettingZoo's spaces to arrays that networks take, and back for actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.leaves import BoxLeaf, make_leaf, shown
from env_wrappers.masks import MASK, resembles_mask


class ObservationProcessor:
    """Turns one agent's observations into arrays of one shape.

    Discrete observations become one-hot; uint8 numbers are scaled to [0, 1] by their own bounds; what has several
    parts becomes one row of numbers, in Gymnasium's order. A picture (three axes) keeps its shape; one among other
    parts comes first in the row. The entry ``action_mask`` of a Dict, wherever it stands, is a mask of legal actions
    and no part of what is observed.

    Args:
        space: the environment's.
        picture_keys: of a Dict's entries that are layers ``[C, H, W]`` of one picture, which comes first, channels
            last; missing keys are ignored. Without them the only part ``[H, W, C]`` is the picture, or all of them,
            where they are of one size, channel upon channel.
        observe_masks: entries ``action_mask`` are observed like all others, and no masks.

    Attributes:
        shape, dtype, space: of the processed observation.
        masked: whether there is a mask in it.
        picture_shape: ``(H, W, C)`` of the picture at the beginning of a row, or None.
        picture_is_only_one: the picture was found by itself, without picture_keys.
        flattened: names of parts that look like pictures and are not in that one.

    Raises:
        ValueError: if the space is not supported.
    """

    def __init__(self, space: gym.Space, picture_keys: Sequence[str] = (), observe_masks: bool = False) -> None:
        self._space = space
        places = dict(_places_of(space, None if observe_masks else MASK))
        masks = [path for path in places if path and path[-1] == MASK and not observe_masks]
        self._mask = masks[0] if masks else None
        self._leaves = {path: make_leaf(part, _name(path)) for path, part in places.items() if path not in masks}
        if len(masks) > 1:
            raise ValueError(f"observation space {shown(space)} has {len(masks)} entries {MASK}, expected one")
        self.masked = bool(masks)
        if self.masked and not self._leaves:
            raise ValueError(f"observation space {shown(space)} has nothing beside {MASK}; add what agents observe")
        own = [(key,) for key in picture_keys if isinstance(self._leaves.get((key,)), BoxLeaf)]
        pictures = [path for path, leaf in self._leaves.items() if leaf.is_picture]
        alone = len(self._leaves) == 1 and len(pictures) == 1 and not own
        one_size = len({self._leaves[path].shape[:2] for path in pictures}) == 1
        self.picture_is_only_one = not own and not alone and one_size
        self._picture = own or (pictures if self.picture_is_only_one else [])
        self._channels_first = bool(own)
        self._others = [path for path in self._leaves if path not in self._picture]
        self.flattened = (
            () if own or alone else tuple(_name(path) for path in self._others if len(self._leaves[path].shape) >= 3)
        )
        self.picture_shape = self._shape_of_picture()
        only = self._leaves[pictures[0]] if alone else None
        self._plain_picture = isinstance(only, BoxLeaf) and only.is_plain_picture
        size = sum(int(np.prod(leaf.shape)) for leaf in self._leaves.values())
        self.shape: tuple[int, ...] = (size,) if only is None else only.shape
        self.dtype = np.dtype(np.uint8 if self._plain_picture else np.float32)
        limit = (0, 255) if self._plain_picture else (-np.inf, np.inf)
        self.space = gym.spaces.Box(limit[0], limit[1], self.shape, self.dtype.type)

    def _shape_of_picture(self) -> tuple[int, ...] | None:
        shapes = [self._leaves[path].shape for path in self._picture]
        if not shapes:
            return None
        if self._channels_first:
            return (*shapes[0][1:], sum(shape[0] for shape in shapes))
        return (*shapes[0][:2], sum(shape[2] for shape in shapes))

    def __call__(self, observation: Any) -> tuple[np.ndarray, Any]:
        """The processed observation, and the mask as it was given, or None.

        Raises:
            ValueError: if the observation is not in the space, saying how.
        """
        values, mask = self.check(observation)
        if self._plain_picture:
            (picture,) = values.values()
            return picture.astype(np.uint8), mask
        parts = {path: leaf.numbers(values[path]) for path, leaf in self._leaves.items()}
        if not self._picture:
            row = [part.reshape(-1) for part in parts.values()]
        else:
            layers = [parts[path] for path in self._picture]
            picture = np.concatenate(layers, axis=0 if self._channels_first else -1)
            picture = picture.transpose(1, 2, 0) if self._channels_first else picture
            row = [picture.reshape(-1), *(parts[path].reshape(-1) for path in self._others)]
        return (row[0] if len(row) == 1 else np.concatenate(row)).reshape(self.shape), mask

    def check(self, observation: Any) -> tuple[dict[tuple[Any, ...], np.ndarray], Any]:
        """The observation's leaves by path, as the space has them, and the mask as it was given, or None.

        Raises:
            ValueError: if the observation is not in the space, saying how.
        """
        found = dict(_values_of(self._space, observation, self._mask))
        mask = None if self._mask is None else found.pop(self._mask)
        return {path: self._leaves[path].check(value) for path, value in found.items()}, mask

    def resembling_masks(self, observation: Any, choices: tuple[int, ...]) -> list[str]:
        """Names of the parts of a checked observation that look like masks, and are observed as numbers."""
        found = _values_of(self._space, observation, self._mask)
        return [_name(path) for path, value in found if path and resembles_mask(path[-1], value, choices)]

    def outside(self, observation: Any) -> list[str]:
        """Names of the float parts of a checked observation that are beyond their declared bounds."""
        values, _ = self.check(observation)
        boxes = ((leaf, values[path]) for path, leaf in self._leaves.items() if isinstance(leaf, BoxLeaf))
        return [f"{leaf.name} of {leaf.space}" for leaf, value in boxes if leaf.is_outside(value)]


def _name(path: tuple[Any, ...]) -> str:
    return "observations" + "".join(f"[{key!r}]" for key in path)


def _parts_of(space: gym.Space) -> list[tuple[Any, gym.Space]] | None:
    """Keys and spaces of a Dict or Tuple, in order; None for all others."""
    if isinstance(space, gym.spaces.Dict):
        return list(space.spaces.items())
    return list(enumerate(space.spaces)) if isinstance(space, gym.spaces.Tuple) else None


def _places_of(
    space: gym.Space, mask: str | None, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], gym.Space]]:
    """Paths and spaces of all leaves, in Gymnasium's order; an entry of the mask's name counts as one."""
    parts = _parts_of(space)
    if parts is None or (path and path[-1] == mask):
        yield path, space
        return
    for key, part in parts:
        yield from _places_of(part, mask, (*path, key))


def _values_of(
    space: gym.Space, value: Any, mask: tuple[Any, ...] | None, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What an observation holds at each leaf, and its mask.

    Raises:
        ValueError: if it is not built as the space is.
    """
    parts = _parts_of(space)
    if parts is None or path == mask:
        yield path, value
        return
    keys = [key for key, _ in parts]
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(value, Mapping) or value.keys() != set(keys):
            got = sorted(value, key=str) if isinstance(value, Mapping) else shown(value)
            raise ValueError(f"{_name(path)} holds {got}, expected a dict of {' and '.join(map(str, keys))}")
    elif not isinstance(value, tuple | list) or len(value) != len(keys):
        raise ValueError(f"{_name(path)} holds {shown(value)}, expected a tuple of {len(keys)}")
    for key, part in parts:
        yield from _values_of(part, value[key], mask, (*path, key))


@dataclass(frozen=True)
class ActionProcessor:
    """Between the policies' actions (counted from 0, flat) and the environment's.

    Attributes:
        space: what policies act in: Discrete from 0, MultiDiscrete of one axis, Box of one axis.
        original: the environment's.
    """

    space: gym.Space
    original: gym.Space

    def to_env(self, action: np.ndarray) -> Any:
        """An action as the environment takes it; numbers of a box are clipped into it."""
        if isinstance(self.original, gym.spaces.Discrete):
            return int(action) + int(self.original.start)
        if isinstance(self.original, gym.spaces.MultiDiscrete):
            return (action.reshape(self.original.shape) + self.original.start).astype(self.original.dtype)
        assert isinstance(self.original, gym.spaces.Box)
        box = self.original
        # Rounding to the space's type may lead just out of it.
        return np.clip(action.reshape(box.shape).astype(box.dtype), box.low, box.high)


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
        return ActionProcessor(gym.spaces.Box(low, high, dtype=space.dtype.type), space)
    raise ValueError(
        f"action space {shown(space)} is not supported: it must be Discrete, MultiDiscrete, MultiBinary or a float Box"
    )


def action_names(spaces: Sequence[gym.Space]) -> tuple[str, ...]:
    """Names of discrete actions, as the environment counts them; counted from 0 where agents' first ones differ.

    Args:
        spaces: of all agents, all Discrete; the longest one says how many names there are.
    """
    discrete = [space for space in spaces if isinstance(space, gym.spaces.Discrete)]
    starts = {int(space.start) for space in discrete}
    first = starts.pop() if len(starts) == 1 else 0
    count = max(int(space.n) for space in discrete)
    return tuple(str(first + i) for i in range(count))
