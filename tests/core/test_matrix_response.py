"""What the designer sees of a matrix game's players, against the derivative of their logit equilibrium."""

from __future__ import annotations

import numpy as np
import pytest
from played_games import FISHER, Game, play

from env_wrappers.logit import derivative, logit_equilibrium
from env_wrappers.matrix_games import GAMES, MatrixGameConfig

#: An incentive for the first player's cooperation.
FIRST = np.zeros((2, 2, 2))
FIRST[0, :, 0] = 1


def gradients(game: str, alpha: float, incentive: float) -> tuple[float, float]:
    """Of the sum of payoffs in the incentive, at the equilibrium: with answers to answers, and without."""
    table = MatrixGameConfig(game=game).table
    payoffs = table.tolist()
    mixtures = logit_equilibrium(table + incentive * FIRST, alpha)
    logits = np.array([np.log(p[1] / p[0]) for p in mixtures])
    played = Game(
        [lambda a, x: payoffs[a[0]][a[1]][0] + x * (1 - a[0]), lambda a, x: payoffs[a[0]][a[1]][1]],
        lambda a, x: sum(payoffs[a[0]][a[1]]),
    )
    designers = (FISHER.replace(response_cross=4), FISHER)
    both = [-float(play(played, logits, incentive, alpha, designer).gradient().meta) for designer in designers]
    return both[0], both[1]


@pytest.mark.parametrize(
    ("game", "whole", "alone"), [("prisoners_dilemma", 0.393, 0.393), ("chicken", 0.5, 0.75), ("stag_hunt", 1.5, 0.75)]
)
def test_as_in_the_table_of_the_docs(game: str, whole: float, alone: float) -> None:
    """docs/matrix_game.md: in chicken answers soften each other, in stag hunt they add up."""
    assert gradients(game, 1.0, 0.0) == pytest.approx((whole, alone), abs=1e-3)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize(("alpha", "incentive"), [(1.0, 0.8), (2.0, -0.5), (0.8, 1.5)])
def test_away_from_even_play(game: str, alpha: float, incentive: float) -> None:
    table = MatrixGameConfig(game=game).table
    wanted = [derivative(table + incentive * FIRST, FIRST, table.sum(-1), alpha, cross) for cross in (True, False)]
    assert gradients(game, alpha, incentive) == pytest.approx(wanted, abs=1e-3)
