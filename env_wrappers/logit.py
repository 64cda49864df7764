"""The logit (quantal response) equilibrium of two-player games, and how it answers to a change of payoffs.

Players with an entropy bonus of weight alpha play ``p_i = softmax(Q_i / alpha)``, ``Q_i`` their mean payoffs against
the other's mixture (McKelvey and Palfrey 1995). Payoffs ``[A1, A2, 2]`` are indexed as those of
:mod:`env_wrappers.matrix_games`: first player's action, second player's, player.
"""

from __future__ import annotations

import numpy as np

_STEPS, _ROUNDS, _RESIDUAL, _SINGULAR = 60, 50, 1e-10, 1e10

#: Probabilities of the first player's actions ``[A1]`` and of the second's ``[A2]``.
Mixtures = tuple[np.ndarray, np.ndarray]


def logit_equilibrium(payoffs: np.ndarray, alpha: float) -> Mixtures:
    """The equilibrium that uniform play turns into as the temperature falls to alpha, by Newton steps on the way.

    It is the only one at high temperatures; at low ones there may be others.

    Args:
        payoffs: ``[A1, A2, 2]``.
        alpha: temperature, > 0.

    Raises:
        RuntimeError: if the way ends in a fold before alpha.
    """
    rows, columns, _ = np.shape(payoffs)
    p = np.full(rows, 1 / rows), np.full(columns, 1 / columns)
    hottest = max(alpha, 10 * float(np.ptp(payoffs)) + 1e-9)
    for at in np.geomspace(hottest, alpha, _STEPS):
        p = _settled(payoffs, at, p)
    return p


def response(payoffs: np.ndarray, change: np.ndarray, alpha: float, cross: bool = True) -> Mixtures:
    """Derivative of the equilibrium when payoffs move along ``change [A1, A2, 2]``.

    Args:
        payoffs: ``[A1, A2, 2]``.
        change: direction, such as an incentive for an action of one player.
        alpha: temperature, > 0.
        cross: players answer to each other's answers; without, only to the change of their own payoffs, which is what
            ``(alpha F)^-1`` of each player alone gives.

    Raises:
        RuntimeError: as :func:`logit_equilibrium`, and with ``cross`` where several equilibria meet.
    """
    p = logit_equilibrium(payoffs, alpha)
    _, spread, own = _answers(payoffs, alpha, p)
    own_change = _mean_payoffs(change, p)
    moved = spread @ np.concatenate(own_change)
    if cross:
        through_each_other = np.eye(len(moved)) - spread @ own
        if np.linalg.cond(through_each_other) > _SINGULAR:
            raise RuntimeError(f"equilibria meet at temperature {alpha:g}, where they have no derivative")
        moved = np.linalg.solve(through_each_other, moved)
    return moved[: len(p[0])], moved[len(p[0]) :]


def derivative(
    payoffs: np.ndarray, change: np.ndarray, objective: np.ndarray, alpha: float, cross: bool = True
) -> float:
    """Derivative of the mean of ``objective [A1, A2]`` along :func:`response`; the objective itself does not change."""
    first, second = logit_equilibrium(payoffs, alpha)
    of_first, of_second = response(payoffs, change, alpha, cross)
    return float(of_first @ objective @ second + first @ objective @ of_second)


def _mean_payoffs(payoffs: np.ndarray, p: Mixtures) -> Mixtures:
    """``Q_1 [A1]`` and ``Q_2 [A2]`` against mixtures."""
    return payoffs[..., 0] @ p[1], payoffs[..., 1].T @ p[0]


def _softmax(values: np.ndarray) -> np.ndarray:
    weights = np.exp(values - values.max())
    return np.asarray(weights / weights.sum())


def _answers(payoffs: np.ndarray, alpha: float, p: Mixtures) -> tuple[Mixtures, np.ndarray, np.ndarray]:
    """Logit answers to mixtures; ``(diag q - q q^T) / alpha`` of both; and the derivative of ``(Q_1, Q_2)`` in both."""
    answers = tuple(_softmax(q / alpha) for q in _mean_payoffs(payoffs, p))
    a1, a2 = len(p[0]), len(p[1])
    spread, own = np.zeros((a1 + a2, a1 + a2)), np.zeros((a1 + a2, a1 + a2))
    for q, part in zip(answers, (slice(a1), slice(a1, None)), strict=True):
        spread[part, part] = (np.diag(q) - np.outer(q, q)) / alpha
    own[:a1, a1:], own[a1:, :a1] = payoffs[..., 0], payoffs[..., 1].T
    return (answers[0], answers[1]), spread, own


def _settled(payoffs: np.ndarray, alpha: float, p: Mixtures) -> Mixtures:
    """Newton steps on ``p - answers(p) = 0``, from mixtures near the solution."""
    a1 = len(p[0])
    x = np.concatenate(p)
    for _ in range(_ROUNDS):
        answers, spread, own = _answers(payoffs, alpha, (x[:a1], x[a1:]))
        gap = x - np.concatenate(answers)
        if np.abs(gap).max() < _RESIDUAL:
            return x[:a1], x[a1:]
        x = x - np.linalg.solve(np.eye(len(x)) - spread @ own, gap)
    raise RuntimeError(f"no logit equilibrium near {np.round(np.concatenate(p), 3).tolist()} at temperature {alpha:g}")
