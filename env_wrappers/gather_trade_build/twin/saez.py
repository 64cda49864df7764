"""Taxes by Saez' formula, as Zheng et al. (2020) let it learn from the last incomes of an economy."""

from __future__ import annotations

import numpy as np

from env_wrappers.gather_trade_build.twin.arrays import SAEZ_INCOMES, Game, Rules
from env_wrappers.saez_formula import Weights, bracket_rates, elasticity_of

#: A new estimate of the elasticity counts one fiftieth.
_MEMORY = 0.98


def write_rates(rules: Rules, game: Game, playing: np.ndarray, elasticity: float | None, weights: Weights) -> None:
    """Writes the formula's rates to ``game.wanted`` of all copies whose next step sets rates by it.

    Args:
        rules, game: of the batch; ``elasticity`` of ``game`` is updated.
        playing: ``[B]`` bool, copies whose episode is not over.
        elasticity: to use instead of the estimate, or None.
        weights: of the formula.
    """
    for b in np.flatnonzero(playing & (game.day == 1) & (game.num_seen >= SAEZ_INCOMES)):
        seen, rates = incomes(game, int(b)).T
        game.elasticity[b] = estimate_elasticity(seen, rates, float(game.elasticity[b]))
        used = float(game.elasticity[b]) if elasticity is None else elasticity
        game.wanted[b] = bracket_rates(seen, rules.cutoffs, rules.sizes, used, weights)


def incomes(game: Game, b: int) -> np.ndarray:
    """Incomes of copy b and their marginal rates, the last 500 and the oldest first: ``[K, 2]``."""
    if game.num_seen[b] <= SAEZ_INCOMES:
        return game.seen[b, : game.num_seen[b]].copy()
    first = game.num_seen[b] % SAEZ_INCOMES
    return np.concatenate([game.seen[b, first:], game.seen[b, :first]])


def estimate_elasticity(incomes: np.ndarray, rates: np.ndarray, previous: float) -> float:
    """Running mean of the elasticity of income to 1 less its marginal rate; estimates below 0 count as 0.

    Args:
        incomes, rates: ``[K]``; incomes up to 0 and rates of 1 do not count.
        previous: the estimate so far, which stays where too little counts or rates are all alike.
    """
    use = (incomes > 0) & (rates < 1)
    if use.sum() < 10 or np.std(rates[use]) < 1e-6:
        return previous
    return float((1 - _MEMORY) * np.maximum(elasticity_of(incomes[use], rates[use]), 0.0) + _MEMORY * previous)
