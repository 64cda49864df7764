"""Returns of play in Cleanup that can be computed or is known."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from cleanup_scenes import COLORS

from env_wrappers.cleanup import VectorCleanup

Policy = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def returns_of(harvester: Policy, episodes: int) -> np.ndarray:
    """Returns of agent 0 cleaning all the time from its start, and agent 1 harvesting on the apples' column.

    Args:
        harvester: ``(row, apples [B, 5], way) -> [B]`` steps down the column, -1 to 1; ``way`` is its own.
        episodes: B.
    """
    env = VectorCleanup(episodes)
    env.reset(seed=0)
    right, up, down, stay, clean = range(1, 6)
    total, way = np.zeros(episodes), np.ones(episodes, int)
    for t in range(50):
        actions = np.full((episodes, 2), clean)
        row = np.argwhere((env.state == COLORS["1"]).all(-1))[:, 1] - 1
        apples = (env.state[:, 2:7, 6] == COLORS["A"]).all(-1)
        way[:] = harvester(row, apples, way)
        actions[:, 1] = np.choose(way + 1, [up, stay, down]) if t else right
        env.step([actions])
        total += env.designer_reward
    assert env.episode_over.all()
    return total


def there_and_back(row: np.ndarray, apples: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Without looking."""
    return np.where(row == 5, -1, np.where(row == 1, 1, way))


def to_the_nearest(row: np.ndarray, apples: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The upper one of two; stays where it is while there is none."""
    distance = np.where(apples, np.abs(np.arange(1, 6) - row[:, None]), 99)
    return np.where(apples.any(1), np.sign(distance.argmin(1) + 1 - row), 0)


def expected_there_and_back() -> float:
    """The exact mean of :func:`there_and_back`, without simulation.

    Each step cleans one waste cell, so that waste density is 1/2 until a step in which no waste appeared (each
    with probability 1/2) is followed by one that finds only one cell; from that step ``k`` on it is 0 whenever
    apples appear. Given ``k``, places are independent, and each is empty with the probability that nothing has
    appeared since the agent was there.
    """
    rows, row, way = [1], 1, 1
    while len(rows) < 50:
        way = -1 if row == 5 else 1 if row == 1 else way
        row += way
        rows.append(row)
    mean = 0.0
    for k in range(2, 60):
        empty = dict.fromkeys(range(1, 6), 1.0)
        for t, row in enumerate(rows, 1):
            mean += 0.5 ** (k - 1) * (1 - empty[row])
            empty[row] = 1.0
            chance = 0.5 if t >= k else 0.5 * (1 - 0.5 / 0.6)
            for other in empty:
                empty[other] *= 1.0 if other == row else 1 - chance
    return mean


def test_cleaner_and_blind_harvester_earn_what_the_rules_imply() -> None:
    returns = returns_of(there_and_back, 2000)
    expected = expected_there_and_back()
    assert expected == pytest.approx(38.856, abs=0.001)
    assert abs(returns.mean() - expected) < 4 * returns.std() / sqrt(len(returns))


def test_cleaner_and_greedy_harvester() -> None:
    """Measured over 20,000 episodes: 39.0."""
    returns = returns_of(to_the_nearest, 1000)
    assert abs(returns.mean() - 39.0) < 0.4
    assert 2.0 < returns.std() < 2.8


def test_random_play() -> None:
    """The original's: 1.33 with a standard error of 0.17."""
    env, rng = VectorCleanup(2000), np.random.default_rng(0)
    env.reset(seed=0)
    total = np.zeros(2000)
    for _ in range(50):
        env.step([rng.integers(0, 6, (2000, 2))])
        total += env.designer_reward
    assert abs(total.mean() - 1.36) < 4 * total.std() / sqrt(len(total))
    assert abs(total.mean() - 1.33) < 0.17


def test_without_cleaning_nobody_eats() -> None:
    env, rng = VectorCleanup(50), np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(50):
        env.step([rng.integers(0, 5, (50, 2))])
        assert not env.designer_reward.any()
