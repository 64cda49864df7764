"""Random numbers for B copies, in numba: NumPy's legacy Mersenne twister bit for bit, or SplitMix64.

MT19937 (Matsumoto and Nishimura 1998) in the ways in which ``np.random.seed``, ``rand``, ``randint``, ``permutation``,
``pareto`` and ``lognormal`` draw from it, so that a copy has the numbers of a process that plays the original. The
other generator is that of Cleanup: one word of state, and what nobody looks at is not drawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from env_wrappers.cleanup.kernel import below as splitmix_below
from env_wrappers.cleanup.kernel import uniform as splitmix_uniform
from env_wrappers.compiled import compiled, inlined

WORDS, _SHIFT = 624, 397
_UPPER, _LOWER, _MATRIX = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x9908B0DF)
_B, _C = np.uint32(0x9D2C5680), np.uint32(0xEFC60000)
_0, _1, _5, _6, _7, _11, _15, _18, _30 = (np.uint32(n) for n in (0, 1, 5, 6, 7, 11, 15, 18, 30))


class Generators(NamedTuple):
    """The generators of B copies.

    Attributes:
        exact: the Mersenne twister; otherwise SplitMix64.
        key, position: ``[B, 624]`` uint32 and ``[B]`` int64 as in ``np.random.get_state()``.
        has_gauss, gauss: ``[B]`` bool and ``[B]`` float64, the second one of a pair of normal numbers.
        word: ``[B]`` uint64, the state of SplitMix64.
    """

    exact: bool
    key: np.ndarray
    position: np.ndarray
    has_gauss: np.ndarray
    gauss: np.ndarray
    word: np.ndarray


def make_generators(num_envs: int, exact: bool) -> Generators:
    """Generators in no state yet: seed them."""
    return Generators(
        exact=exact,
        key=np.zeros((num_envs, WORDS if exact else 1), np.uint32),
        position=np.zeros(num_envs, np.int64),
        has_gauss=np.zeros(num_envs, bool),
        gauss=np.zeros(num_envs),
        word=np.zeros(num_envs, np.uint64),
    )


@compiled
def seed_all(generators: Generators, seeds: np.ndarray) -> None:
    """Seeds copy b with ``seeds[b]`` (int64 in ``range(2**32)``), as ``np.random.seed`` does."""
    for b in range(len(seeds)):
        generators.word[b] = np.uint64(seeds[b])
        generators.has_gauss[b] = False
        generators.gauss[b] = 0.0
        if generators.exact:
            key = generators.key[b]
            key[0] = np.uint32(seeds[b])
            for i in range(1, WORDS):
                previous = np.uint64(key[i - 1] ^ (key[i - 1] >> _30))
                key[i] = np.uint32((np.uint64(1812433253) * previous + np.uint64(i)) & np.uint64(0xFFFFFFFF))
            generators.position[b] = WORDS


def legacy_state(generators: Generators, b: int) -> tuple[Any, ...]:
    """The exact generator of copy b as ``np.random.get_state()`` returns it; a copy."""
    return (
        "MT19937",
        generators.key[b].copy(),
        int(generators.position[b]),
        int(generators.has_gauss[b]),
        float(generators.gauss[b]),
    )


def set_legacy_state(generators: Generators, b: int, state: Any) -> None:
    """Inverse of :func:`legacy_state`."""
    generators.key[b] = state[1]
    generators.position[b], generators.has_gauss[b], generators.gauss[b] = state[2:5]


@inlined
def _mix(upper: np.uint32, lower: np.uint32) -> np.uint32:
    y = (upper & _UPPER) | (lower & _LOWER)
    return (y >> _1) ^ ((_0 - (y & _1)) & _MATRIX)


@compiled
def _twist(key: np.ndarray) -> None:
    """The next 624 words."""
    for i in range(WORDS - _SHIFT):
        key[i] = key[i + _SHIFT] ^ _mix(key[i], key[i + 1])
    for i in range(WORDS - _SHIFT, WORDS - 1):
        key[i] = key[i + _SHIFT - WORDS] ^ _mix(key[i], key[i + 1])
    key[WORDS - 1] = key[_SHIFT - 1] ^ _mix(key[WORDS - 1], key[0])


@inlined
def _bits32(generators: Generators, b: int) -> np.uint32:
    """The next 32 random bits of the twister."""
    if generators.position[b] >= WORDS:
        _twist(generators.key[b])
        generators.position[b] = 0
    y = generators.key[b, generators.position[b]]
    generators.position[b] += 1
    y ^= y >> _11
    y ^= (y << _7) & _B
    y ^= (y << _15) & _C
    return y ^ (y >> _18)


@inlined
def skip_uniform(generators: Generators, b: int, count: int) -> None:
    """Passes over ``count`` numbers of :func:`uniform`; SplitMix64 just leaves them out."""
    if generators.exact:
        position = generators.position[b] + 2 * count
        while position > WORDS:
            _twist(generators.key[b])
            position -= WORDS
        generators.position[b] = position


@inlined
def uniform(generators: Generators, b: int) -> float:
    """A number in [0, 1) with 53 random bits, as ``np.random.rand()``."""
    if not generators.exact:
        return splitmix_uniform(generators.word, b)
    high = np.float64(_bits32(generators, b) >> _5)
    low = np.float64(_bits32(generators, b) >> _6)
    return (high * 67108864.0 + low) / 9007199254740992.0


@inlined
def up_to(generators: Generators, b: int, most: int) -> int:
    """A whole number in 0 .. most, as ``np.random.randint(0, most + 1)``; nothing is drawn if most is 0."""
    if most == 0:
        return 0
    if not generators.exact:
        return splitmix_below(generators.word, b, most + 1)
    mask = most
    for shift in (1, 2, 4, 8, 16):
        mask |= mask >> shift
    value = np.int64(_bits32(generators, b)) & mask
    while value > most:
        value = np.int64(_bits32(generators, b)) & mask
    return int(value)


@inlined
def permute(generators: Generators, b: int, order: np.ndarray) -> None:
    """Fills ``order`` as ``np.random.permutation(len(order))``."""
    for i in range(len(order)):
        order[i] = i
    for i in range(len(order) - 1, 0, -1):
        j = up_to(generators, b, i)
        order[i], order[j] = order[j], order[i]


@inlined
def pareto(generators: Generators, b: int, a: float) -> float:
    """As ``np.random.pareto(a)``."""
    return np.exp(-np.log(1.0 - uniform(generators, b)) / a) - 1.0


@inlined
def lognormal(generators: Generators, b: int, mean: float, sigma: float) -> float:
    """As ``np.random.lognormal(mean, sigma)``: the polar method, which makes two normal numbers and keeps one."""
    if generators.has_gauss[b]:
        normal = generators.gauss[b]
        generators.has_gauss[b] = False
        generators.gauss[b] = 0.0
    else:
        x, y, square = 0.0, 0.0, 0.0
        while square >= 1.0 or square == 0.0:
            x = 2.0 * uniform(generators, b) - 1.0
            y = 2.0 * uniform(generators, b) - 1.0
            square = x * x + y * y
        factor = np.sqrt(-2.0 * np.log(square) / square)
        generators.gauss[b] = factor * x
        generators.has_gauss[b] = True
        normal = factor * y
    return np.exp(mean + sigma * normal)


@compiled
def draw(generators: Generators, b: int, kind: int, argument: float, out: np.ndarray) -> None:
    """Fills ``out`` (float64) from one of the distributions, by the letter in ``kind``; for tests and start-up.

    0: uniform, 1: up_to(argument), 2: permute, 3: pareto(argument), 4: lognormal(argument, 0.5), 5: skips
    ``argument`` uniform numbers before each.
    """
    if kind == 2:
        order = np.zeros(len(out), np.int64)
        permute(generators, b, order)
        out[:] = order
        return
    for k in range(len(out)):
        if kind == 1:
            out[k] = up_to(generators, b, int(argument))
        elif kind == 3:
            out[k] = pareto(generators, b, argument)
        elif kind == 4:
            out[k] = lognormal(generators, b, argument, 0.5)
        else:
            if kind == 5:
                skip_uniform(generators, b, int(argument))
            out[k] = uniform(generators, b)
