"""Saez' formula for the one-step economy: an estimate of the elasticity, and the schedule that the formula leads to."""

from __future__ import annotations

import numpy as np

from env_wrappers.one_step_economy.config import OneStepEconomyConfig
from env_wrappers.one_step_economy.optimum import response
from env_wrappers.saez_formula import bracket_rates, elasticity_of

# Incomes that the package's estimates are from, and updates after which the schedule has settled or goes round.
_SAMPLE, _UPDATES = 500, 400


def estimate_elasticity(incomes: np.ndarray, rates: np.ndarray) -> float:
    """Elasticity of income with respect to what a marginal coin leaves, by least squares; not below 0.

    Args:
        incomes: ``[S]``; those of 0 are left out.
        rates: ``[S]`` their marginal rates; those of 1 are left out.

    Raises:
        ValueError: if fewer than two different rates are left.
    """
    good = (incomes > 0) & (rates < 1)
    if good.sum() < 2 or np.ptp(rates[good]) < 1e-6:
        raise ValueError("the elasticity of income needs incomes at two marginal rates or more")
    return max(0.0, elasticity_of(incomes[good], rates[good]))


def saez_rates(incomes: np.ndarray, elasticity: float, cutoffs: np.ndarray) -> np.ndarray:
    """Marginal rates ``[K]`` by the formula, with inverse incomes as social weights, clipped to [0, 1].

    Args:
        incomes: ``[S]`` a sample of incomes, not negative.
        elasticity: of income, >= 0.
        cutoffs: ``[K]`` where brackets begin, K >= 2, the first one 0.
    """
    sizes = np.append(cutoffs[1:], np.inf) - cutoffs
    return np.clip(bracket_rates(incomes, cutoffs, sizes, elasticity, "inverse_income"), 0, 1)


def saez_optimum(economy: OneStepEconomyConfig, elasticity: float | None = None) -> np.ndarray:
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
