"""What an episode of the economy came to: welfare, rates, and who earned, paid and got what, by rank of skill."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: With more agents there are no numbers by rank.
MOST_RANKS = 10


@dataclass(frozen=True)
class Accounts:
    """Books of B episodes of N agents so far.

    Attributes:
        welfare: ``[B]`` sum over steps of productivity times equality.
        skill: ``[B, N]`` what agents are ranked by.
        coin, start_coin: ``[B, N]`` all coin, escrow included, now and at the start.
        taxed: ``[B, N]`` taxes paid.
        shared_out: ``[B]`` what each agent got of them.
        cutoffs: ``[K]`` where tax brackets begin; empty without taxes.
        rates: ``[B, K]`` rates in force, mean over steps.
        counts: further numbers ``[B]`` by name.
        by_agent: further numbers ``[B, N]`` by name.
    """

    welfare: np.ndarray
    skill: np.ndarray
    coin: np.ndarray
    start_coin: np.ndarray
    taxed: np.ndarray
    shared_out: np.ndarray
    cutoffs: np.ndarray
    rates: np.ndarray
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    by_agent: dict[str, np.ndarray] = field(default_factory=dict)


def equality(coin: np.ndarray) -> np.ndarray:
    """1 less the Gini index, which is first scaled so that all coin with one agent makes 0.

    Args:
        coin: ``[..., N]``, N >= 2.

    Returns:
        ``[...]``.
    """
    n = coin.shape[-1]
    gaps = np.abs(coin[..., :, None] - coin[..., None, :]).sum((-2, -1))
    return np.asarray(1 - gaps / (2 * (n - 1) * coin.sum(-1) + 1e-10))


def measure(accounts: Accounts) -> dict[str, np.ndarray]:
    """Metrics ``[B]`` by name; docs/metrics.md explains each."""
    coin = accounts.coin
    taken = {
        "welfare": accounts.welfare,
        "productivity": coin.sum(-1),
        "equality": equality(coin),
        **accounts.counts,
        **{f"tax_rate/{cutoff:g}": accounts.rates[:, k] for k, cutoff in enumerate(accounts.cutoffs)},
    }
    if coin.shape[1] > MOST_RANKS:
        return taken
    after = coin - accounts.start_coin
    by_agent = {
        "income": after + accounts.taxed - accounts.shared_out[:, None],
        "tax_paid": accounts.taxed,
        "income_after_redistribution": after,
        **accounts.by_agent,
    }
    order = np.argsort(accounts.skill, axis=1, kind="stable")
    for name, values in by_agent.items():
        ranked = np.take_along_axis(values, order, axis=1)
        taken |= {f"{name}/skill_{rank + 1}": ranked[:, rank] for rank in range(coin.shape[1])}
    return taken
