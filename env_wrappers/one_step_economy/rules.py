"""The economy's rules as functions of arrays ``[..., N]``, an agent each; all in float64.

Zheng et al. 2022, *The AI Economist: Taxation policy design via two-level deep multiagent reinforcement learning*,
one-step economy; constants and definitions as in ``ai-economist`` 1.7.1.
"""

from __future__ import annotations

import numpy as np

from env_wrappers.one_step_economy.config import OneStepEconomyConfig

#: Up to here the package takes the exact Gini index.
_EXACT_GINI = 29


def tax_due(economy: OneStepEconomyConfig, income: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Bracketed income tax, in coin.

    Args:
        economy: with K brackets.
        income: ``[...]`` coin; negative income pays nothing.
        rates: ``[..., K]`` marginal rates, with the same leading axes or ones that broadcast.
    """
    within = np.minimum(economy.bracket_sizes, np.maximum(0, income[..., None] - economy.cutoffs))
    return np.asarray((rates * within).sum(-1))


def marginal_rate(economy: OneStepEconomyConfig, income: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """``[..., N]`` rates, out of ``[..., K]``, of the brackets that incomes >= 0 are in; lower ends included."""
    bracket = np.searchsorted(economy.cutoffs, income, side="right") - 1
    return np.take_along_axis(np.asarray(rates), bracket, -1)


def labor_units(economy: OneStepEconomyConfig, hours: np.ndarray) -> np.ndarray:
    """What ``labor_cost`` is the price of: hours, or a power of them."""
    return hours if economy.isoelastic else hours**economy.labor_exponent


def utility(economy: OneStepEconomyConfig, coin: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """Utilities of coin after taxes and of hours worked."""
    eta = economy.isoelastic_eta
    of_coin = (coin ** (1 - eta) - 1) / (1 - eta) if economy.isoelastic else coin
    return np.asarray(of_coin - economy.labor_cost * labor_units(economy, hours))


def equality(coin: np.ndarray) -> np.ndarray:
    """``[...]`` 1 less the normalized Gini index, as the package estimates it (for 30 agents and more otherwise)."""
    n, total = coin.shape[-1], coin.sum(-1)
    if n <= _EXACT_GINI:
        gaps = np.abs(coin[..., :, None] - coin[..., None, :]).sum((-2, -1))
        return np.asarray(1 - gaps / (2 * n * total + 1e-10) / ((n - 1) / n))
    cumulated = np.cumsum(np.sort(coin, axis=-1), axis=-1).sum(-1)
    return np.asarray(2 / (n + 1) * cumulated / (total + 1e-10))


def income_weights(income: np.ndarray) -> np.ndarray:
    """``[..., N]`` the weights of ``inv_income_weighted_utility``: inverse income before taxes, with sum 1."""
    weights = 1 / np.maximum(income, 1)
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def social_welfare(
    economy: OneStepEconomyConfig, income: np.ndarray, coin: np.ndarray, utilities: np.ndarray
) -> np.ndarray:
    """``[...]`` social welfare by the package's definition that the economy names."""
    if economy.inverse_income:
        return np.asarray((income_weights(income) * utilities).sum(-1))
    weight = economy.equality_weight
    return np.asarray((weight * equality(coin) + 1 - weight) * coin.mean(-1))
