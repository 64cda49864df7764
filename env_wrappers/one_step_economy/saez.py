"""Marginal tax rates by Saez' formula, for a schedule of brackets.

Saez 2001, *Using Elasticities to Derive Optimal Income Tax Rates*, Review of Economic Studies 68: at income z the best
marginal rate is ``(1 - G) / (1 - G + a e)``, with e the elasticity of income with respect to what a marginal coin
leaves (1 - rate), a(z) = z p(z) / (1 - P(z)) the local Pareto parameter of the incomes' distribution, and G(z) the mean
social weight of those that earn at least z. Weights are inverse incomes. Bins, interpolation and brackets are as in
``ai-economist`` 1.7.1 (Zheng et al. 2022), which estimates all of it from a sample of incomes.
"""

from __future__ import annotations

import numpy as np

from env_wrappers.one_step_economy.config import Economy
from env_wrappers.one_step_economy.optimum import response

_BINS = 100
_TINY = 1e-9
# Incomes that the package's estimates are from, and updates after which the schedule has settled or goes round.
_SAMPLE, _UPDATES = 500, 400


def estimate_elasticity(incomes: np.ndarray, rates: np.ndarray) -> float:
    """Least squares of log income on log (1 - marginal rate), with a constant; not below 0.

    Gruber and Saez 2002. Skilled agents both earn more and are taxed more, which a regression over all of them takes
    for a small or negative elasticity.

    Args:
        incomes: ``[S]``; those of 0 are left out.
        rates: ``[S]`` their marginal rates; those of 1 are left out.

    Raises:
        ValueError: if fewer than two different rates are left.
    """
    good = (incomes > 0) & (rates < 1)
    x, y = np.log(1 - rates[good]), np.log(incomes[good])
    if good.sum() < 2 or np.ptp(x) < 1e-6:
        raise ValueError("the elasticity of income needs incomes at two marginal rates or more")
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return max(0.0, float(slope))


def saez_rates(incomes: np.ndarray, elasticity: float, cutoffs: np.ndarray) -> np.ndarray:
    """Marginal rates ``[K]`` by the formula, clipped to [0, 1].

    Rates are computed for a hundred equal bins of income up to the top bracket and for all incomes beyond it, linearly
    interpolated where nobody earns, and averaged over each bracket.

    Args:
        incomes: ``[S]`` a sample of incomes, not negative.
        elasticity: of income, >= 0.
        cutoffs: ``[K]`` where brackets begin, K >= 2, the first one 0.
    """
    edges = np.linspace(0, cutoffs[-1], _BINS + 1)
    counts = np.histogram(incomes, edges)[0]
    above = incomes[incomes > edges[-1]]
    at_least, mid = _mean_weights(counts, edges, above), 0.5 * (edges[:-1] + edges[1:])
    share = counts / len(incomes)
    # Within a bin, incomes count as spread evenly: half of them lie above its middle.
    beyond = np.clip(1 - np.cumsum(share) + 0.5 * share, 0, 1)
    pareto = np.full(_BINS + 1, np.nan)
    pareto[:-1][counts > 0] = (mid * share / (beyond + _TINY) / np.diff(edges))[counts > 0]
    pareto[-1] = above.mean() / (above.mean() - edges[-1] + _TINY) if len(above) else 0.0
    of_bins = (1 - at_least) / (1 - at_least + pareto * elasticity + _TINY)
    # A rate of 0 at an income of 0, one bin before the first.
    known = np.flatnonzero(~np.isnan(of_bins))
    of_bins = np.interp(np.arange(_BINS + 1), np.append(-1, known), np.append(0.0, of_bins[known]))
    owed = np.append(0.0, np.cumsum(of_bins[:-1] * np.diff(edges)))
    up_to = np.maximum(0, np.interp(cutoffs, edges, owed))
    return np.clip(np.append(np.diff(up_to) / np.diff(cutoffs), of_bins[-1]), 0, 1)


def _mean_weights(counts: np.ndarray, edges: np.ndarray, above: np.ndarray) -> np.ndarray:
    """G of each bin and beyond, ``[BINS + 1]``: mean weight of those that earn at least as much, over that of all."""
    mid = 0.5 * (edges[:-1] + edges[1:])
    weights = np.append(counts / np.maximum(1, mid), (1 / np.maximum(1, above)).sum())
    share = np.append(counts, len(above)) / (counts.sum() + len(above))

    def from_top(x: np.ndarray) -> np.ndarray:
        return np.cumsum(x[::-1])[::-1]

    at_left_edge = from_top(weights / (weights.sum() + _TINY)) / (from_top(share) + _TINY)
    return np.append(0.5 * (at_left_edge[:-1] + at_left_edge[1:]), at_left_edge[-1])


def saez_optimum(economy: Economy, elasticity: float | None = None) -> np.ndarray:
    """Rates ``[K]`` that the formula gives for the incomes that they lead to.

    The schedule is renewed from the last 500 incomes, agents answer, their incomes join the sample, and so on, as the
    package does. With few agents the schedule does not come to rest but circles; of all schedules on the last half of
    the way, and their mean, the one of greatest welfare is returned, which favours Saez.

    Args:
        economy: which.
        elasticity: None takes the true one, 1 / (labor_exponent - 1), of utility that is linear in coin.

    Raises:
        ValueError: without an elasticity where it is no constant.
    """
    if elasticity is None:
        if economy.isoelastic:
            raise ValueError("the elasticity of income is no constant with isoelastic utility; give a number")
        elasticity = 1 / (economy.labor_exponent - 1)
    rates, sample, seen = np.zeros(len(economy.cutoffs)), np.zeros(0), []
    for _ in range(_UPDATES):
        sample = np.append(sample, response(economy, rates).income)[-_SAMPLE:]
        rates = saez_rates(sample, elasticity, economy.cutoffs)
        seen.append(rates)
    late = np.array(seen[_UPDATES // 2 :])
    candidates = np.concatenate([late, late.mean(0, keepdims=True)])
    return np.asarray(candidates[response(economy, candidates).welfare.argmax()])
