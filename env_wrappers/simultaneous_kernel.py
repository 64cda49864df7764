"""The bookkeeping of a simultaneous game's step, in a module of its own so that only games import numba."""

from __future__ import annotations

import numpy as np

from env_wrappers.compiled import lean


@lean
def keep_books(
    action_types: np.ndarray,
    playing: np.ndarray,
    ended: np.ndarray,
    max_steps: int,
    autoreset: bool,
    t: np.ndarray,
    features: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    over: np.ndarray,
    was_reset: np.ndarray,
    active: np.ndarray,
) -> bool:
    """What follows from a joint move of each of B games of n agents, besides observations.

    Args:
        action_types: ``[B, n]`` int64.
        playing: ``[B]`` bool; where it is False, the copy is reset (``autoreset``) or frozen.
        ended: ``[B]`` bool, the move has ended the game.
        max_steps: after which a game is cut.
        autoreset: see VectorIncentiveEnv.
        t: ``[B]`` int64, moves made in each game; updated.
        features: ``[B, n, A]`` float32, written: actions one-hot, zeros where nobody plays.
        terminated: ``[B, n]`` bool, written.
        truncated: ``[B, n]`` bool, written.
        over: ``[B]`` bool, updated.
        was_reset: ``[B]`` bool, written.
        active: ``[B, n]`` bool, written.

    Returns:
        Whether a copy is to be reset.
    """
    copies, n = action_types.shape
    features[:] = 0.0
    resets = False
    for b in range(copies):
        was_reset[b] = autoreset and over[b]
        resets |= was_reset[b]
        cut = False
        if playing[b]:
            t[b] += 1
            cut = t[b] >= max_steps and not ended[b]
            over[b] = ended[b] or cut
        elif autoreset:
            t[b] = 0
            over[b] = False
        for i in range(n):
            if playing[b]:
                features[b, i, action_types[b, i]] = 1.0
            terminated[b, i] = ended[b]
            truncated[b, i] = cut
            active[b, i] = not over[b]
    return resets
