"""The one estimator: numbers worked by hand, few and equal values, and curves point by point."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rllib_metagrad.statistics import estimate, estimate_curve, interval, plus_minus


def test_by_hand() -> None:
    # Sample variance of 1, 2, 3, 6 is (4 + 1 + 0 + 9) / 3 = 14/3; over sqrt(4): sqrt(14/3) / 2.
    value = estimate([1.0, 2.0, 3.0, 6.0, math.nan])
    assert (value.mean, value.iqm, value.worst, value.n) == (3.0, 2.5, 1.0, 4)
    assert value.standard_error == pytest.approx(math.sqrt(14 / 3) / 2)
    assert value.low < value.iqm < value.high


def test_one_failed_seed_of_eight_moves_the_mean_only() -> None:
    assert estimate([-14.0, *[28.0] * 7]).iqm == 28
    assert estimate([-14.0, *[28.0] * 7]).worst == -14


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Of the mean of a normal, 95% of 400 samples of size 20: with percentiles and so few a little less."""
    draws = np.random.default_rng(0).normal(size=(400, 20))
    covered = [found.low <= 0 <= found.high for found in map(estimate, draws)]
    assert 0.88 < np.mean(covered) < 0.98


@pytest.mark.parametrize("values", [[2.0, 4.0], [1.0, 2.0, 6.0]])
def test_of_two_and_three_values_the_interval_spans_them_all(values: list[float]) -> None:
    found = estimate(values)
    assert (found.low, found.high) == (min(values), max(values))
    assert found.iqm == pytest.approx(found.mean)


def test_one_value_has_no_error_and_no_interval() -> None:
    found = estimate([1.5])
    assert (found.mean, found.iqm, found.worst, found.n) == (1.5, 1.5, 1.5, 1)
    assert all(math.isnan(x) for x in (found.standard_error, found.low, found.high))


def test_none() -> None:
    found = estimate([math.nan, math.inf])
    assert found.n == 0
    assert all(math.isnan(x) for x in (found.mean, found.iqm, found.low, found.worst))


def test_equal_values() -> None:
    found = estimate([28.0] * 5)
    assert (found.mean, found.standard_error, found.iqm, found.low, found.high) == (28, 0, 28, 28, 28)


def test_the_same_numbers_give_the_same_interval() -> None:
    values = np.random.default_rng(1).normal(size=9).tolist()
    assert estimate(values) == estimate(values)


def test_what_is_missing_shows_where_nothing_may_be() -> None:
    assert math.isnan(estimate([1.0, math.nan], skip_missing=False).mean)


def test_a_curve_is_an_estimate_at_every_point() -> None:
    values = np.random.default_rng(2).normal(size=(6, 4))
    found = estimate_curve(values)
    assert found.n == 6
    for t in range(4):
        one = estimate(values[:, t])
        for name in ("mean", "standard_error", "iqm", "low", "high", "worst"):
            assert getattr(found, name)[t] == pytest.approx(getattr(one, name)), name


def test_text() -> None:
    assert plus_minus(estimate([1.0, 3.0])) == "2.00 ± 1.00"
    assert plus_minus(estimate([1.234])) == "1.23"
    assert plus_minus(estimate([])) == "–"
    assert interval(estimate([1.0, 3.0])) == "2.00 [1.00, 3.00]"
    assert interval(estimate([1.234])) == "1.23"
    assert interval(estimate([])) == "–"
