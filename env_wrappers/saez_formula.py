"""Marginal tax rates by Saez' formula, from a sample of incomes and without knowing utilities.

Saez 2001, *Using Elasticities to Derive Optimal Income Tax Rates*, Review of Economic Studies 68, as Zheng et al.
(2020) adapt it to brackets. The operations and their order are those of ``ai-economist`` 1.7.1, so that rates are equal
to the last bit: sums and products of matrices round by order.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

#: Incomes are counted in this many equal bins below the top bracket.
BINS = 100
Weights = Literal["inverse_income", "uniform"]
_TINY = 1e-9


def elasticity_of(incomes: np.ndarray, rates: np.ndarray) -> float:
    """Least squares of log income on log (1 - marginal rate), with a constant; may be below 0.

    Gruber and Saez 2002. Skilled agents both earn more and are taxed more, which a regression over all of them takes
    for a small or negative elasticity.

    Args:
        incomes: ``[K]`` above 0.
        rates: ``[K]`` their marginal rates, below 1, and not all alike.
    """
    x = np.log(np.maximum(1 - rates, _TINY))
    # Columns in the layout that the original has: BLAS adds up by layout.
    columns = np.stack([x, np.ones_like(x)]).T
    inverse = np.linalg.inv(columns.T.dot(columns))
    return float(inverse.T.dot(columns.T.dot(np.log(np.maximum(incomes, _TINY))))[0])


def bracket_rates(
    incomes: np.ndarray, cutoffs: np.ndarray, sizes: np.ndarray, elasticity: float, weights: Weights
) -> np.ndarray:
    """Marginal rates by bracket.

    Args:
        incomes: ``[K]`` observed.
        cutoffs, sizes: ``[brackets]`` lowest incomes of the brackets, from 0, and their widths.
        elasticity: of incomes.
        weights: what a coin of an agent's is worth to society.

    Returns:
        ``[brackets]`` means of the formula's rates over each bracket, not yet cut to what is allowed.
    """
    edges = np.linspace(0, cutoffs[-1], BINS + 1)
    by_bin = _bin_rates(incomes, edges, elasticity, weights)
    widths = np.concatenate([edges[1:] - edges[:-1], [np.inf]])
    inside = np.minimum(widths, np.maximum(0, cutoffs[1:, None] - edges))
    due = np.maximum(0, (by_bin * inside).sum(1))
    return np.append(np.diff(due, prepend=0.0) / sizes[:-1], by_bin[-1])


def _bin_rates(incomes: np.ndarray, edges: np.ndarray, elasticity: float, weights: Weights) -> np.ndarray:
    """``[BINS + 1]`` marginal rates (1 - g) / (1 - g + a e): of the bins, and of what is above them.

    g is the mean weight of those who earn as much or more, against the mean of all; a says how thin incomes are from
    there on (Pareto's parameter); e is the elasticity. Where nobody earns, rates are interpolated.
    """
    counts, _ = np.histogram(incomes, edges)
    below, above = incomes[incomes < edges[0]], incomes[incomes > edges[-1]]
    total = counts.sum() + len(below) + len(above)
    share = np.append(counts / total, len(above) / total)
    middles, widths = 0.5 * (edges[:-1] + edges[1:]), edges[1:] - edges[:-1]
    g = _weights_from_here(counts * _weight(middles, weights), below, above, share, weights)
    up_to = np.minimum(np.cumsum(np.append(share[0] + len(below) / total, share[1:])), 1.0)
    # Incomes are taken as evenly spread within their bin.
    beyond = np.clip((1 - up_to + 0.5 * share)[:-1], 0, 1)
    a = np.where(counts > 0, middles * share[:-1] / (beyond + _TINY) / widths, np.nan)
    mean = np.mean(above) if len(above) else 0.0
    a = np.append(a, mean / (mean - edges[-1] + _TINY) if len(above) else 0.0)
    return _interpolated((1.0 - g) / (1.0 - g + a * elasticity + _TINY))


def _weight(incomes: np.ndarray, weights: Weights) -> np.ndarray:
    return np.ones_like(incomes) if weights == "uniform" else 1.0 / np.maximum(1, incomes)


def _weights_from_here(
    by_bin: np.ndarray, below: np.ndarray, above: np.ndarray, share: np.ndarray, weights: Weights
) -> np.ndarray:
    """``[BINS + 1]`` mean weight of incomes from the middle of each bin on, against the mean of all."""
    under = np.sum(_weight(np.maximum(below, 0), weights)) if len(below) else 0
    over = np.sum(_weight(above, weights)) if len(above) else 0
    total = by_bin.sum() + under + over
    density = np.append(by_bin, over) / (total + _TINY)
    from_here = np.cumsum(density[::-1])[::-1] / (np.cumsum(share[::-1])[::-1] + _TINY)
    return np.append(0.5 * (from_here[:-1] + from_here[1:]), from_here[-1])


def _interpolated(rates: np.ndarray) -> np.ndarray:
    """Fills the gaps (NaN) before each rate by a line from the rate before it, from 0 at first."""
    rate, at = 0.0, -1
    for i in np.flatnonzero(~np.isnan(rates)).tolist():
        if i - at > 1:
            rates[at + 1 : i] = np.linspace(rate, rates[i], i - at + 1)[1:-1]
        rate, at = rates[i], i
    return rates
