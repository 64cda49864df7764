"""SplitMix64 (Steele, Lea and Flood 2014): the generator behind every random event of Cleanup.

One 64-bit word of state per environment. It is small enough to be written twice, here in Python and in
kernel.py for numba, so that a ParallelEnv and its batched twin draw the same numbers from the same seed.
"""

from __future__ import annotations

import secrets

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


class SplitMix64:
    """A stream of random numbers.

    Args:
        seed: any integer, taken modulo 2^64; it is the state before the first draw. None asks the operating
            system.

    Attributes:
        state: 64 bits, all that there is to save.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.state = secrets.randbits(64) if seed is None else int(seed) & MASK

    def bits(self) -> int:
        """The next 64 random bits."""
        self.state = (self.state + GAMMA) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def uniform(self) -> float:
        """A number in [0, 1): the upper 53 bits of one draw."""
        return (self.bits() >> 11) * 2.0**-53

    def below(self, count: int) -> int:
        """A whole number in 0 .. count - 1: the upper 32 bits of one draw times ``count``, divided by 2^32."""
        return ((self.bits() >> 32) * count) >> 32
