"""One estimator for everything that is measured several times: over seeds, episodes or repetitions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
_TRIM = 0.25
_RESAMPLES = 2000
_SEED = 0

T = TypeVar("T", float, np.ndarray)


@dataclass(frozen=True)
class Estimate(Generic[T]):
    """What `n` values say of what they were drawn from.

    Attributes:
        mean: of all values.
        standard_error: of the mean: sample standard deviation over sqrt(n); NaN for one value.
        iqm: interquartile mean: of what is left without the lowest and the highest quarter (of fewer than four values
            nothing is left out). One failed seed does not move it, as Agarwal et al., "Deep Reinforcement Learning at
            the Edge of the Statistical Precipice" (2021), recommend.
        low, high: 95% interval of `iqm` by percentile bootstrap; NaN for one value. Of two and three values it spans
            them all.
        worst: the lowest value.
        n: how many values.
    """

    mean: T
    standard_error: T
    iqm: T
    low: T
    high: T
    worst: T
    n: int


def estimate(values: Iterable[float], *, skip_missing: bool = True) -> Estimate[float]:
    """The estimate of some numbers; everything is NaN where there are none.

    Args:
        values: NaN or infinite where a run has none to give.
        skip_missing: leave those out; otherwise they show in the mean.
    """
    numbers = np.fromiter(values, dtype=float)
    if skip_missing:
        numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Estimate(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, n=0)
    mean, error, iqm, low, high, worst = map(float, _numbers(numbers))
    return Estimate(mean, error, iqm, low, high, worst, len(numbers))


def estimate_curve(values: np.ndarray) -> Estimate[np.ndarray]:
    """The same for each of T points.

    Args:
        values: ``[n, T]``, finite. All points are resampled alike, so that bands are smooth.
    """
    mean, error, iqm, low, high, worst = _numbers(np.asarray(values, dtype=float))
    return Estimate(mean, error, iqm, low, high, worst, len(values))


def _numbers(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Everything but n, of ``[n]`` or ``[n, T]``."""
    mean, iqm = values.mean(0), stats.trim_mean(values, _TRIM, axis=0)
    if len(values) == 1:
        unknown = np.full_like(mean, math.nan)
        return mean, unknown, iqm, unknown, unknown, values.min(0)
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    rows = np.moveaxis(values, 0, -1)
    # Indices are drawn and not values: the same rows at every point.
    found = stats.bootstrap(
        (np.arange(len(values)),),
        lambda drawn, axis: stats.trim_mean(rows[..., drawn], _TRIM, axis=axis),
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return mean, error, iqm, found.low, found.high, values.min(0)


def plus_minus(value: Estimate[float], digits: int = 2) -> str:
    """`25.60 ± 0.12`: mean and standard error; no error for one value, a dash for none."""
    if value.n == 0:
        return "–"
    text = f"{value.mean:.{digits}f}"
    return text if math.isnan(value.standard_error) else f"{text} ± {value.standard_error:.{digits}f}"


def interval(value: Estimate[float], digits: int = 2) -> str:
    """`25.61 [25.20, 25.90]`: interquartile mean and its interval; no interval for one value, a dash for none."""
    if value.n == 0:
        return "–"
    text = f"{value.iqm:.{digits}f}"
    return text if math.isnan(value.low) else f"{text} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
