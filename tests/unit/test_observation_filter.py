"""The running standardization of observations, beside RLlib's own filter and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from ray.rllib.utils.filter import MeanStdFilter

from env_wrappers.vector import AgentGroup
from rllib_metagrad.observation_filter import FilterOptions, Moments, ObservationFilter

GROUPS = (
    AgentGroup((0, 2), (3,), np.dtype(np.float32), Discrete(2)),
    AgentGroup((1,), (2, 2, 1), np.dtype(np.uint8), Discrete(2)),
)


def batch(rng: np.random.Generator, num_envs: int) -> list[np.ndarray]:
    rows = rng.normal([[1.0, -50.0, 0.0], [7.0, 0.0, 0.0]], [1.0, 9.0, 0.0], (num_envs, 2, 3))
    return [rows.astype(np.float32), rng.integers(0, 256, (num_envs, 1, 2, 2, 1), dtype=np.uint8)]


@pytest.mark.parametrize("options", [{}, {"clip": None}, {"demean": False}, {"destd": False, "clip": 2.0}])
def test_the_same_numbers_as_rllibs_filter(options: dict) -> None:
    """Of one environment, an observation after the other, a filter of RLlib's for each agent."""
    rng = np.random.default_rng(1)
    own = ObservationFilter(GROUPS, FilterOptions(**options))
    arguments = {**{"demean": True, "destd": True, "clip": 10.0}, **options}
    rllibs = {agent: MeanStdFilter(g.observation_shape, **arguments) for g in GROUPS for agent in g.agents}
    for t in range(30):
        observed, acting = batch(rng, 1), np.array([[True, t % 3 > 0, t > 4]])
        filtered = own(observed, acting)
        for group, values, result in zip(GROUPS, observed, filtered, strict=True):
            assert result.dtype == np.float32
            for place, agent in enumerate(group.agents):
                if acting[0, agent] and t > 6:  # before its second observation RLlib's deviation is the mean
                    expected = rllibs[agent](values[0, place].astype(np.float64))
                    np.testing.assert_allclose(result[0, place], expected, rtol=2e-4, atol=2e-4)
                elif acting[0, agent]:
                    rllibs[agent](values[0, place].astype(np.float64))


def test_parts_of_several_runners_are_the_whole() -> None:
    """Moments of batches of any sizes, merged in whatever way, are NumPy's of all rows."""
    rng = np.random.default_rng(2)
    runners = [ObservationFilter(GROUPS, FilterOptions()) for _ in range(3)]
    rows: list[list[np.ndarray]] = [[], [], []]
    known: list[Moments] | None = None
    for _ in range(4):  # updates
        seen = []
        for runner, size in zip(runners, (1, 5, 8), strict=True):
            for _ in range(3):
                observed, acting = batch(rng, size), rng.random((size, 3)) < 0.7
                runner(observed, acting)
                for g, place, agent in ((0, 0, 0), (0, 1, 2), (1, 0, 1)):
                    rows[agent] += list(observed[g][acting[:, agent], place])
            seen.append(runner.pop())
        for one in seen:
            known = one if known is None else [a.with_others(b) for a, b in zip(known, one, strict=True)]
        assert known is not None
        for runner in runners:
            runner.set([tuple(moments) for moments in known])
    assert known is not None
    for g, place, agent in ((0, 0, 0), (0, 1, 2), (1, 0, 1)):
        assert known[g].number[place] == len(rows[agent])
        every = np.array(rows[agent], np.float64)
        np.testing.assert_allclose(known[g].mean[place], every.mean(0), atol=1e-9)
        np.testing.assert_allclose(known[g].std()[place], every.std(0, ddof=1), rtol=1e-9, atol=1e-9)


def test_nothing_is_learned_where_nobody_acts_and_where_it_is_frozen() -> None:
    rng = np.random.default_rng(3)
    frozen = ObservationFilter(GROUPS, FilterOptions(), frozen=True)
    still = ObservationFilter(GROUPS, FilterOptions(update=False))
    learns = ObservationFilter(GROUPS, FilterOptions())
    acting, nobody = np.ones((4, 3), bool), np.zeros((4, 3), bool)
    for one, who in ((frozen, acting), (still, acting), (learns, nobody), (learns, None)):
        observed = batch(rng, 4)
        # Without observations only RLlib's bound acts.
        np.testing.assert_allclose(one(observed, who)[1], np.clip(observed[1], -10, 10), rtol=1e-5)
        assert not any(moments.number.any() for moments in [*one.moments, *one.pop()])


def test_moments_of_other_observations_are_refused() -> None:
    other = ObservationFilter(GROUPS[:1], FilterOptions())
    with pytest.raises(ValueError, match="observation_filter: moments are of observations"):
        ObservationFilter(GROUPS, FilterOptions()).set(other.moments)
