"""The inner loops of VectorEscapeRoom, in a module of their own so that only it pays for importing numba."""

from __future__ import annotations

import numpy as np

from env_wrappers.compiled import lean


@lean
def play(
    targets: np.ndarray,
    playing: np.ndarray,
    m: int,
    positions: np.ndarray,
    rewards: np.ndarray,
    total: np.ndarray,
    ended: np.ndarray,
) -> bool:
    """One joint move of each of B games of n agents.

    Args:
        targets: ``[B, n]`` int64: 0 lever, 1 start, 2 door.
        playing: ``[B]`` bool; the others get rewards of 0 and stay as they are.
        m: agents that the lever needs.
        positions: ``[B, n]`` int64, updated.
        rewards: ``[B, n]`` float32, written.
        total: ``[B]`` float32, written: sum of the rewards.
        ended: ``[B]`` bool, written: whether somebody has left.

    Returns:
        False if a target is not one of the three; some copies are then left unplayed.
    """
    copies, n = targets.shape
    for b in range(copies):
        total[b] = 0.0
        ended[b] = False
        rewards[b] = 0.0
        if not playing[b]:
            continue
        pulling = 0
        for i in range(n):
            if targets[b, i] < 0 or targets[b, i] > 2:
                return False
            pulling += targets[b, i] == 0
        is_open = pulling >= m
        for i in range(n):
            target = targets[b, i]
            if is_open and target == 2:
                rewards[b, i] = 10.0
                ended[b] = True
            elif target != positions[b, i]:
                rewards[b, i] = -1.0
            total[b] += rewards[b, i]
            positions[b, i] = target
    return True


@lean
def observe(positions: np.ndarray, observations: np.ndarray, state: np.ndarray) -> None:
    """One-hot positions: everybody's for the designer; each agent's own first, then the others', for agents.

    Args:
        positions: ``[B, n]`` int64.
        observations: ``[B, n, 3n]`` float32, written.
        state: ``[B, 3n]`` float32, written.
    """
    copies, n = positions.shape
    observations[:] = 0.0
    state[:] = 0.0
    for b in range(copies):
        for j in range(n):
            position = positions[b, j]
            state[b, 3 * j + position] = 1.0
            for i in range(n):
                if i == j:
                    place = 0
                elif j < i:
                    place = j + 1
                else:
                    place = j
                observations[b, i, 3 * place + position] = 1.0
