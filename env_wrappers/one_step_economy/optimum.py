"""What is known of the economy without learning: how agents answer to tax rates, and which rates are best then.

Nothing is random and the choices are few, so both are computed: the answer exactly, the best rates by search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from env_wrappers.one_step_economy import rules
from env_wrappers.one_step_economy.config import OneStepEconomyConfig

# Rounds of answering to each other; a handful is usual where utility is not linear in coin.
_MAX_ROUNDS = 200
_CANDIDATES = 64


@dataclass(frozen=True)
class Outcome:
    """The economy after taxes.

    Attributes:
        hours: ``[..., N]`` worked.
        income: ``[..., N]`` before taxes.
        taxes: ``[..., N]`` paid.
        coin: ``[..., N]`` after taxes and equal shares of what was paid.
        utility: ``[..., N]``.
        welfare: ``[...]`` social welfare, the designer's objective.
        productivity, equality: ``[...]`` all coin; 1 less the normalized Gini index of coin.
    """

    hours: np.ndarray
    income: np.ndarray
    taxes: np.ndarray
    coin: np.ndarray
    utility: np.ndarray
    welfare: np.ndarray
    productivity: np.ndarray
    equality: np.ndarray


def outcome(economy: OneStepEconomyConfig, hours: np.ndarray, rates: np.ndarray) -> Outcome:
    """What ``hours [..., N]`` of work come to under marginal ``rates [..., K]``."""
    income = hours * economy.pay
    taxes = rules.tax_due(economy, income, np.asarray(rates)[..., None, :])
    coin = income - taxes + taxes.mean(-1, keepdims=True)
    utility = rules.utility(economy, coin, hours)
    welfare = rules.social_welfare(economy, income, coin, utility)
    return Outcome(hours, income, taxes, coin, utility, welfare, coin.sum(-1), rules.equality(coin))


def best_response(economy: OneStepEconomyConfig, rates: np.ndarray) -> np.ndarray:
    """Hours ``[..., N]`` that nobody gains by changing alone, under marginal ``rates [..., K]``.

    An N-th of an agent's own taxes comes back to it, and it counts that in. Where several choices are equally good,
    the fewest hours are taken. With utility linear in coin these hours are a dominant strategy; else others' taxes
    change what a coin is worth, and agents answer in turns until nobody moves.

    Raises:
        RuntimeError: if they have not come to rest, which is not possible with utility linear in coin.
    """
    n, choices = economy.num_agents, np.arange(economy.num_labor_hours + 1, dtype=np.float64)
    income = choices * economy.pay[:, None]
    taxes = rules.tax_due(economy, income, np.asarray(rates)[..., None, None, :])
    kept = income - taxes * (1 - 1 / n)
    hours = np.argmax(rules.utility(economy, kept, choices), -1)
    if not economy.isoelastic:
        return hours.astype(np.float64)
    for _ in range(_MAX_ROUNDS):
        before = hours.copy()
        for i in range(n):
            paid = np.take_along_axis(taxes, hours[..., None], -1)[..., 0]
            of_others = (paid.sum(-1) - paid[..., i]) / n
            hours[..., i] = np.argmax(rules.utility(economy, kept[..., i, :] + of_others[..., None], choices), -1)
        if (hours == before).all():
            return hours.astype(np.float64)
    raise RuntimeError(f"agents have not come to rest after {_MAX_ROUNDS} rounds of best responses")


def response(economy: OneStepEconomyConfig, rates: np.ndarray) -> Outcome:
    """The economy under marginal ``rates [..., K]`` when everybody answers as in :func:`best_response`."""
    return outcome(economy, best_response(economy, rates), rates)


def search_optimum(economy: OneStepEconomyConfig, seed: int = 0, restarts: int = 4, rounds: int = 150) -> np.ndarray:
    """Rates ``[K]`` of greatest welfare under :func:`response`, by random search with shrinking steps.

    Welfare jumps where somebody's best choice does, so nothing has a gradient. Each restart begins at the best of
    equal rates for all brackets and of random ones, and then tries changes of a few rates at a time.

    Args:
        economy: which.
        seed: of the search.
        restarts: how often to begin again; the best end counts.
        rounds: of 64 tries each, of one restart.
    """
    rng, k = np.random.default_rng(seed), len(economy.cutoffs)
    best, best_welfare = np.zeros(k), -np.inf
    for _ in range(restarts):
        equal = np.repeat(np.linspace(0, 1, 41)[:, None], k, axis=1)
        tries = np.concatenate([equal, rng.random((8 * _CANDIDATES, k))])
        current, welfare = tries[0], -np.inf
        for step in np.geomspace(0.3, 0.003, rounds):
            found = response(economy, tries).welfare
            if found.max() > welfare:
                current, welfare = tries[found.argmax()], float(found.max())
            changed = rng.random((_CANDIDATES, k)) < 0.4
            tries = np.clip(current + step * changed * rng.standard_normal((_CANDIDATES, k)), 0, 1)
        if welfare > best_welfare:
            best, best_welfare = current, welfare
    return best
