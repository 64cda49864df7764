"""An episode of the original in figures, from the logs that its components keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from env_wrappers.gather_trade_build.measures import Accounts


class Sums:
    """Sums over the steps of an episode.

    Attributes:
        welfare: of productivity times equality.
        rates: ``[brackets]`` of the tax rates in force, or 0.0 before the first step.
        steps: how many.
    """

    def __init__(self) -> None:
        self.welfare = 0.0
        self.rates: Any = 0.0
        self.steps = 0

    def add(self, welfare: float, rates: np.ndarray) -> None:
        """One step."""
        self.welfare += welfare
        self.rates = self.rates + rates
        self.steps += 1


def accounts(original: Any, tax: Any, sums: Sums, start_coin: np.ndarray) -> Accounts:
    """The books of one economy (B = 1).

    Args:
        original: the package's environment.
        tax: its tax component, or None.
        sums: over the episode's steps.
        start_coin: ``[N]``.
    """
    agents = original.world.agents
    n = len(agents)
    states = [agent.state for agent in agents]
    skill = np.array([state.get("build_payment", state.get("skill", 0.0)) for state in states], float)
    tax_days = [] if tax is None else [day for day in tax.taxes if day]
    shared_out = float(sum(day["0"]["lump_sum"] for day in tax_days))
    cutoffs = np.zeros(0) if tax is None else np.array(tax.bracket_cutoffs)
    by_agent = {"labor": np.array([state["endogenous"]["Labor"] for state in states], float)}
    counts = {}
    logs = {component.name: component for component in original.components}
    if "Build" in logs:
        built = list(_flat(logs["Build"].builds))
        by_agent["income_from_building"] = _sums(n, ((house["builder"], house["income"]) for house in built))
        by_agent["houses"] = _sums(n, ((house["builder"], 1) for house in built))
    if "ContinuousDoubleAuction" in logs:
        trades = list(_flat(logs["ContinuousDoubleAuction"].executed_trades))
        counts["trades"] = np.array([float(len(trades))])
        earned = _sums(n, ((trade["seller"], trade["price"]) for trade in trades))
        by_agent["income_from_trading"] = earned - _sums(n, ((trade["buyer"], trade["price"]) for trade in trades))
    if "Gather" in logs:
        gathered = list(_flat(logs["Gather"].gathers))
        for resource in ("Stone", "Wood"):
            taken = ((unit["agent"], unit["n"]) for unit in gathered if unit["resource"] == resource)
            by_agent[f"{resource.lower()}_collected"] = _sums(n, taken)
    return Accounts(
        welfare=np.array([sums.welfare]),
        skill=skill[None],
        coin=np.array([[agent.total_endowment("Coin") for agent in agents]], float),
        start_coin=start_coin[None],
        taxed=_sums(n, ((i, day[str(i)]["tax_paid"]) for day in tax_days for i in range(n)))[None],
        shared_out=np.array([shared_out]),
        cutoffs=cutoffs,
        rates=np.broadcast_to(sums.rates / max(1, sums.steps), (1, len(cutoffs))),
        counts=counts,
        by_agent={name: values[None] for name, values in by_agent.items()},
    )


def _flat(log: Iterable[Iterable[Any]]) -> Iterable[Any]:
    """Entries of a log that has a list for each step."""
    return (entry for step in log for entry in step)


def _sums(agents: int, entries: Iterable[tuple[int, float]]) -> np.ndarray:
    """``[N]`` sums of (agent, amount)."""
    totals = np.zeros(agents)
    for agent, amount in entries:
        totals[agent] += amount
    return totals
