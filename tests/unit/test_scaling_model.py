"""The model of throughput over env runners, against numbers worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scaling_model import (
    Constants,
    constants_from,
    half_way,
    limit,
    line,
    seconds_per_update,
    throughput,
)

#: Each further runner adds 0.1 s of messages and 100 * 0.002 = 0.2 s of learning.
HAND = Constants(steps=100, sample=1.0, fixed=0.5, per_runner=0.1, per_step=0.002, trajectory_bytes=1_000_000)

positive = st.floats(1e-6, 10.0)
constants = st.builds(
    Constants,
    steps=st.integers(1, 10_000),
    sample=positive,
    fixed=positive,
    per_runner=positive,
    per_step=positive,
    trajectory_bytes=st.integers(1, 10**8),
)


@pytest.mark.parametrize(
    ("runners", "settings", "seconds"),
    [
        (1, {}, 1.0 + 0.5 + 0.3),
        (5, {}, 1.0 + 0.5 + 5 * 0.3),
        (5, {"learners": 2}, 1.0 + 0.5 + 5 * (0.1 + 0.1)),
        (5, {"bandwidth": 1e7}, 1.0 + 0.5 + 5 * (0.3 + 0.1)),
        (5, {"cores": 2}, 2.5 + 0.5 + 5 * 0.3),
        (2, {"cores": 4}, 1.0 + 0.5 + 2 * 0.3),
    ],
)
def test_seconds_of_an_update(runners: int, settings: dict[str, float], seconds: float) -> None:
    assert seconds_per_update(HAND, runners, **settings) == pytest.approx(seconds)
    assert throughput(HAND, runners, **settings) == pytest.approx(100 * runners / seconds)


def test_limit_and_half_way() -> None:
    assert limit(HAND) == pytest.approx(1000 / 3)
    assert half_way(HAND) == pytest.approx(5.0)  # 1.5 s that do not grow, 0.3 s a runner
    assert throughput(HAND, 5) == pytest.approx(limit(HAND) / 2)
    assert limit(HAND, learners=4) == pytest.approx(100 / 0.15)
    assert limit(HAND, bandwidth=1e7) == pytest.approx(250.0)


@given(constants, st.integers(1, 4000), st.integers(1, 64))
def test_more_runners_are_never_slower_and_stay_below_the_limit(known: Constants, runners: int, learners: int) -> None:
    here, more = (throughput(known, n, learners=learners) for n in (runners, runners + 1))
    assert here <= more * (1 + 1e-12)
    assert more < limit(known, learners=learners) * (1 + 1e-12)


def test_constants_from_measurements() -> None:
    found = constants_from(
        [1, 2, 4],
        steps=100,
        sample=1.0,
        cpu=1.9,
        messages=[0.15, 0.25, 0.45],  # 0.05 + 0.1 R
        learning=[0.6, 0.8, 1.2],  # 0.4 + 0.2 R
        trajectory_bytes=7,
    )
    assert found.per_runner == pytest.approx(0.1)
    assert found.per_step == pytest.approx(0.002)
    assert found.fixed == pytest.approx(1.9 - 1.0 - 0.1 - 0.2)
    # What was measured with the first number of runners comes out again.
    assert seconds_per_update(found, 1) == pytest.approx(1.9)


def test_nothing_is_left_to_explain_where_slopes_explain_too_much() -> None:
    learning = [0.6, 1.2, 3.0]  # more than in proportion: the line's slope is 57 / 70
    found = constants_from(
        [1, 2, 4], steps=1, sample=0.1, cpu=0.7, messages=[0, 0, 0], learning=learning, trajectory_bytes=1
    )
    assert found.per_step == pytest.approx(57 / 70)
    assert found.fixed == 0.0


def test_a_line_through_points() -> None:
    assert line([0, 1, 3], [1, 3, 7]) == pytest.approx((1.0, 2.0))
    assert line([0, 1, 2], [0, 3, 0]) == pytest.approx((1.0, 0.0))
    with pytest.raises(ValueError, match="two different x"):
        line([2, 2], [1, 3])
