"""Which seeds play the same game: of a batch, of one copy of it, and of the original (docs/gather_trade_build.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_play import needs_package

from env_wrappers import make, make_vec
from env_wrappers.vector import VectorIncentiveEnv, child_seeds

#: ``[steps, agents]``; those that are not possible do nothing.
ACTIONS = np.random.default_rng(0).integers(0, 50, (60, 4))


def rewards_of(env: Any, seed: int) -> np.ndarray:
    """``[steps, agents]`` of one copy."""
    env.reset(seed=seed)
    rows = []
    for row in ACTIONS:
        rewards = env.step(dict(zip(env.possible_agents, map(int, row), strict=True)))[1]
        rows.append(list(rewards.values()))
    return np.array(rows, np.float32)


def rewards_of_copies(env: VectorIncentiveEnv, seed: int) -> np.ndarray:
    """``[steps, copies, agents]``."""
    env.reset(seed)
    rows = []
    for row in ACTIONS:
        env.step([np.tile(row, (env.num_envs, 1))])
        rows.append(env.rewards.copy())
    return np.stack(rows)


@needs_package
def test_the_compiled_and_the_original_economy() -> None:
    """A batch's copies have children of its seed, whatever the backend; the original alone has the seed itself."""
    original = make("gather_trade_build", backend="foundation")
    twin = rewards_of_copies(make_vec("gather_trade_build", 2), 7)
    loop = rewards_of_copies(make_vec("gather_trade_build", 2, backend="foundation"), 7)
    one = rewards_of(make("gather_trade_build"), 7)
    np.testing.assert_array_equal(twin, loop)
    np.testing.assert_array_equal(one, twin[:, 0])
    for b, child in enumerate(child_seeds(7, 2)):
        np.testing.assert_array_equal(rewards_of(original, child), twin[:, b])
    assert (rewards_of(original, 7) != one).any()
    assert (twin[:, 0] != twin[:, 1]).any()
