"""The twin's random numbers are those of NumPy's legacy generator, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from env_wrappers.cleanup.rng import SplitMix64
from env_wrappers.gather_trade_build.twin import rng

UNIFORM, UP_TO, PERMUTE, PARETO, LOGNORMAL, SKIPPED = range(6)


def drawn(generators: rng.Generators, kind: int, argument: float, count: int) -> np.ndarray:
    """Numbers of copy 0."""
    out = np.zeros(count)
    rng.draw(generators, 0, kind, argument, out)
    return out


def seeded(seed: int, exact: bool) -> rng.Generators:
    """One generator."""
    generators = rng.make_generators(1, exact)
    rng.seed_all(generators, np.array([seed], np.int64))
    return generators


def assert_same_state(generators: rng.Generators, legacy: np.random.RandomState) -> None:
    """Key, position and the cached normal number."""
    ours, theirs = rng.legacy_state(generators, 0), legacy.get_state()
    np.testing.assert_array_equal(ours[1], theirs[1])
    assert ours[2:] == theirs[2:]


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1])
@pytest.mark.parametrize(
    ("kind", "argument", "theirs"),
    [
        (UNIFORM, 0, lambda legacy, n: legacy.rand(n)),
        (UP_TO, 14, lambda legacy, n: legacy.randint(0, 15, n)),
        (UP_TO, 0, lambda legacy, n: legacy.randint(0, 1, n)),
        (UP_TO, 39, lambda legacy, n: [legacy.randint(0, 40) for _ in range(n)]),
        (PERMUTE, 0, lambda legacy, n: legacy.permutation(n)),
        (PARETO, 4, lambda legacy, n: legacy.pareto(4, n)),
        (LOGNORMAL, -1, lambda legacy, n: legacy.lognormal(-1, 0.5, n)),
        (SKIPPED, 224, lambda legacy, n: np.array([legacy.rand(225)[-1] for _ in range(n)])),
    ],
)
def test_equals_numpy(seed: int, kind: int, argument: float, theirs: Callable[..., Any]) -> None:
    generators, legacy = seeded(seed, True), np.random.RandomState(seed)
    assert_same_state(generators, legacy)
    for count in (1, 3, 10, 1000):
        np.testing.assert_array_equal(drawn(generators, kind, argument, count), theirs(legacy, count))
        assert_same_state(generators, legacy)


def test_state_can_be_set() -> None:
    generators, legacy = seeded(3, True), np.random.RandomState(9)
    legacy.lognormal(size=5)
    rng.set_legacy_state(generators, 0, legacy.get_state())
    assert_same_state(generators, legacy)
    np.testing.assert_array_equal(drawn(generators, LOGNORMAL, -1, 4), legacy.lognormal(-1, 0.5, 4))


def test_plain_mode_is_splitmix64() -> None:
    generators, theirs = seeded(5, False), SplitMix64(5)
    np.testing.assert_array_equal(drawn(generators, UNIFORM, 0, 5), [theirs.uniform() for _ in range(5)])
    np.testing.assert_array_equal(drawn(generators, UP_TO, 14, 9), [theirs.below(15) for _ in range(9)])
    # What nobody looks at is not drawn.
    assert drawn(generators, SKIPPED, 100, 1)[0] == theirs.uniform()
