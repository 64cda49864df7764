"""The logit equilibrium of two-player games, and its derivative with and without answers to answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from env_wrappers.logit import derivative, logit_equilibrium, response
from env_wrappers.matrix_games import GAMES, MatrixGameConfig

#: An incentive for the first player's first action.
FIRST = np.zeros((2, 2, 2))
FIRST[0, :, 0] = 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 4), columns=st.integers(1, 4), alpha=st.floats(1.0, 5.0))
def test_each_answers_the_other(seed: int, rows: int, columns: int, alpha: float) -> None:
    payoffs = np.random.default_rng(seed).uniform(-1, 1, (rows, columns, 2))
    first, second = logit_equilibrium(payoffs, alpha)
    for p, q in ((first, payoffs[..., 0] @ second), (second, payoffs[..., 1].T @ first)):
        np.testing.assert_allclose(p, np.exp(q / alpha) / np.exp(q / alpha).sum(), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.floats(0.8, 3.0))
def test_response_is_the_derivative_of_the_equilibrium(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    payoffs, change = rng.uniform(-1, 1, (2, 3, 2, 2))
    objective, h = rng.uniform(-1, 1, (3, 2)), 1e-5
    moved = [logit_equilibrium(payoffs + t * change, alpha) for t in (h, -h)]
    for found, plus, minus in zip(response(payoffs, change, alpha), *moved, strict=True):
        np.testing.assert_allclose(found, (plus - minus) / (2 * h), atol=1e-7)
    values = [first @ objective @ second for first, second in moved]
    numeric = (values[0] - values[1]) / (2 * h)
    assert derivative(payoffs, change, objective, alpha) == pytest.approx(numeric, abs=1e-7)


@pytest.mark.parametrize(
    ("game", "alpha", "whole", "alone"),
    [
        ("chicken", 0.6, 15 / 22, 1.25),
        ("chicken", 1.0, 0.5, 0.75),
        ("stag_hunt", 1.0, 1.5, 0.75),
        ("stag_hunt", 2.0, 0.5, 0.375),
    ],
)
def test_symmetric_games_by_hand(game: str, alpha: float, whole: float, alone: float) -> None:
    """Both play 1/2: an incentive h moves the first by h / 4 alpha, each answer to that by a factor k / 4 alpha.

    k is -2 in chicken and 2 in stag hunt; a change of p moves the sum of payoffs by 3, as the other plays 1/2.
    """
    payoffs = MatrixGameConfig(game=game).table
    objective = payoffs.sum(-1)
    assert derivative(payoffs, FIRST, objective, alpha) == pytest.approx(whole)
    assert derivative(payoffs, FIRST, objective, alpha, cross=False) == pytest.approx(alone)


def test_answers_to_answers_iterated() -> None:
    """The sum of answers to answers to ... comes to the whole, where they fade."""
    payoffs, alpha = MatrixGameConfig(game="chicken").table, 1.0
    change, total = FIRST, [np.zeros(2), np.zeros(2)]
    for _ in range(40):
        moved = response(payoffs, change, alpha, cross=False)
        total = [a + b for a, b in zip(total, moved, strict=True)]
        change = np.stack(
            [
                np.tile((payoffs[..., 0] @ moved[1])[:, None], (1, 2)),
                np.tile((payoffs[..., 1].T @ moved[0])[None], (2, 1)),
            ],
            axis=-1,
        )
    for found, wanted in zip(total, response(payoffs, FIRST, alpha), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-10)


@pytest.mark.parametrize("game", GAMES)
def test_with_a_dominant_action_nobody_answers_answers(game: str) -> None:
    """So it is in the prisoners' dilemma, whose gain of defection is 1 whatever the other does, and in no other."""
    payoffs = MatrixGameConfig(game=game).table
    both = [derivative(payoffs, FIRST, payoffs.sum(-1), 2.0, cross) for cross in (True, False)]
    assert (abs(both[0] - both[1]) < 1e-9) == (game == "prisoners_dilemma")


def test_where_equilibria_meet_there_is_no_derivative() -> None:
    with pytest.raises(RuntimeError, match=r"equilibria meet at temperature 0\.5"):
        response(MatrixGameConfig(game="chicken").table, FIRST, 0.5)
