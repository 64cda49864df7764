"""A random generator of one's own for code that draws from the global ``np.random``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

#: Held while something global (``np.random``, ``sys.stdout``, ``np.int``) is not as others expect it.
LOCK = threading.RLock()


class PrivateGenerator:
    """The state of a Mersenne twister (MT19937) that takes the place of the global one for a while.

    Args:
        seed: as ``np.random.seed`` takes it, in ``range(2**32)``; None takes one from the system.

    Raises:
        ValueError: for another seed.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not 0 <= seed < 2**32:
            raise ValueError(f"gather_trade_build: the seed must be between 0 and 2**32 - 1, got {seed}")
        self._state: Any = np.random.RandomState(seed).get_state()

    @property
    def state(self) -> Any:
        """As of ``np.random.get_state()``: name, key ``[624]`` uint32, position, has_gauss, cached_gaussian."""
        name, key, *rest = self._state
        return (name, key.copy(), *rest)

    @state.setter
    def state(self, state: Any) -> None:
        checker = np.random.RandomState(0)
        checker.set_state(state)  # refuses what is no state
        self._state = checker.get_state()

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """``np.random`` is this generator inside; and afterwards as it was, whatever happens."""
        with LOCK:
            outside = np.random.get_state()
            np.random.set_state(self._state)
            try:
                yield
            finally:
                self._state = np.random.get_state()
                np.random.set_state(outside)
