"""Leaves of observation spaces: each is checked for membership, and turned into numbers that networks take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np


def shown(value: Any) -> str:
    """A value as one short line, for messages."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


class Leaf(ABC):
    """One array of an observation: all of it, or what stands at one place of its Dict and Tuple spaces.

    Args:
        space: its own.
        name: for messages, such as ``observations['map']``.

    Attributes:
        shape: of what comes out.
    """

    shape: tuple[int, ...]

    def __init__(self, space: gym.Space, name: str = "observations") -> None:
        self.space, self.name = space, name

    @property
    def is_picture(self) -> bool:
        """Whether it has three axes: height, width, channels."""
        return len(self.shape) == 3

    @abstractmethod
    def check(self, value: Any) -> np.ndarray:
        """The value as an array of the space.

        Raises:
            ValueError: if it is no member of the space, saying how.
        """

    @abstractmethod
    def numbers(self, values: np.ndarray) -> np.ndarray:
        """What :meth:`check` has returned as finite float32 numbers ``[*shape]``.

        Raises:
            ValueError: if a number is not finite in float32.
        """


class BoxLeaf(Leaf):
    """A Box. Integers must be whole and within their bounds; floats must be finite, whatever bounds were declared.

    Attributes:
        scaled: numbers are scaled to [0, 1] by the space's own bounds: uint8, and uint16 pictures.
        is_plain_picture: three axes of uint8 between 0 and 255, which networks scale themselves.
    """

    def __init__(self, space: gym.spaces.Box, name: str = "observations") -> None:
        super().__init__(space, name)
        self.shape = tuple(space.shape)
        self._integer = space.dtype.kind in "biu"
        self.scaled = space.dtype == np.uint8 or (space.dtype == np.uint16 and self.is_picture)
        self._low, self._high = _common(space.low), _common(space.high)
        self._any_of_dtype = False
        if space.dtype.kind in "iu":
            limits = np.iinfo(space.dtype)
            self._any_of_dtype = bool((space.low == limits.min).all() and (space.high == limits.max).all())
        self.is_plain_picture = self.is_picture and space.dtype == np.uint8 and self._any_of_dtype
        if self.scaled:
            span = _common(space.high).astype(np.float32) - _common(space.low).astype(np.float32)
            self._span = np.where(span == 0, np.float32(1), span)

    def check(self, value: Any) -> np.ndarray:
        try:
            values = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{self.name} holds {shown(value)}, expected an array: {error}") from error
        if values.shape != self.shape:
            raise ValueError(f"{self.name} has shape {values.shape}, expected {self.shape}")
        kind = values.dtype.kind
        # A cast would make a picture of floats in [0, 1] black.
        fractions = kind == "f" and self._integer and (self.scaled or (values != np.trunc(values)).any())
        if kind not in "biuf" or fractions:
            raise ValueError(f"{self.name} has dtype {values.dtype}, expected {self.space.dtype}")
        if self._integer and not (self._any_of_dtype and values.dtype == self.space.dtype):
            outside = (values < self._low) | (values > self._high)
            if outside.any():
                first = values[outside].flat[0]
                raise ValueError(f"{self.name} holds {first}, expected a member of {self.space}")
        return values

    def numbers(self, values: np.ndarray) -> np.ndarray:
        # Cast first: a float64 beyond float32's range becomes infinite only here.
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = values.astype(np.float32)
        if self.scaled:
            return (numbers - self._low.astype(np.float32)) / self._span
        if not np.isfinite(numbers).all():
            raise ValueError(f"{self.name} holds NaN or infinity, expected finite float32 numbers")
        return numbers

    def is_outside(self, values: np.ndarray) -> bool:
        """Whether a number is beyond the declared bounds: no mistake for floats, but worth a word."""
        return bool(((values < self._low) | (values > self._high)).any())


class FlattenedLeaf(Leaf):
    """A member of any other space, as Gymnasium flattens it: one-hot for Discrete and MultiDiscrete.

    Raises:
        ValueError: if Gymnasium cannot flatten the space.
    """

    def __init__(self, space: gym.Space, name: str = "observations") -> None:
        super().__init__(space, name)
        try:
            self.shape = (gym.spaces.flatdim(space),)
        except (ValueError, NotImplementedError) as error:
            raise ValueError(
                f"observation space {shown(space)} is not supported: it must be a Box, Discrete, MultiDiscrete, "
                "MultiBinary, or a Dict or Tuple of such"
            ) from error

    def check(self, value: Any) -> np.ndarray:
        # flatten() would take a negative index for one from the end.
        try:
            if self.space.contains(value):
                return np.asarray(gym.spaces.flatten(self.space, value))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            pass
        raise ValueError(f"{self.name} holds {shown(value)}, expected a member of {self.space}")

    def numbers(self, values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)


def make_leaf(space: gym.Space, name: str = "observations") -> Leaf:
    """The leaf of a space that is neither Dict nor Tuple.

    Raises:
        ValueError: if the space is not supported.
    """
    return BoxLeaf(space, name) if isinstance(space, gym.spaces.Box) else FlattenedLeaf(space, name)


def _common(bounds: np.ndarray) -> np.ndarray:
    """Bounds of all numbers as one, where they are equal."""
    return bounds.flat[0:1].reshape(()) if bounds.size and (bounds == bounds.flat[0]).all() else bounds
