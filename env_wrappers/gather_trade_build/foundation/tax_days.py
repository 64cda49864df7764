"""What mechanisms must know to compute taxes again: facts of the economy, and numbers of each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from env_wrappers.facts import DesignerFacts, HouseFacts, TaxContext, TaxFacts, merged
from env_wrappers.gather_trade_build.foundation.config import ONE_STEP, FoundationConfig
from env_wrappers.gather_trade_build.foundation.taxes import EXTERNAL_TAX, PACKAGE_TAX


def mechanism_facts(config: FoundationConfig, original: Any, types: tuple[str, ...]) -> dict[str, Any]:
    """Those of the original that hold for its configuration, for ``mechanism_facts``.

    Where taxes are not the last component, what comes after them may move coin again: then there is nothing that a tax
    by a mechanism could rely on, and its facts are left out.

    Args:
        config: of the environment.
        original: the package's environment.
        types: names of action types.
    """
    houses = [HouseFacts(house_action_type=types.index("Build"))] if "Build" in types else []
    components = list(original.components)
    if config.tax is None or components[-1].name not in (EXTERNAL_TAX, PACKAGE_TAX):
        return merged(*houses)
    linear = getattr(original, "agent_reward_type", "") == "coin_minus_labor_cost"
    taxes = TaxFacts(
        bracket_cutoffs=tuple(float(cutoff) for cutoff in components[-1].bracket_cutoffs),
        isoelastic_eta=0.0 if linear else float(original.isoelastic_eta),
        energy_cost=float(original.labor_cost if config.scenario == ONE_STEP else original.energy_cost),
        social_welfare=None if config.objective == "welfare" else _social_welfare(config, original),
    )
    return merged(DesignerFacts(reads_designer_output=config.tax == "external"), taxes, *houses)


def _social_welfare(config: FoundationConfig, original: Any) -> tuple[str, float]:
    """Name and equality weight."""
    name = str(original.planner_reward_type)
    if name == "inv_income_weighted_utility" and config.scenario != ONE_STEP:
        # Only there the package weighs by income; elsewhere, its name notwithstanding, by all coin.
        name = "inv_coin_weighted_utility"
    return name, 1.0 - float(original.mixing_weight_gini_vs_coin)


class TaxDays:
    """Keeps what mechanisms need of each step.

    Args:
        facts: of an economy that reads the designer's output.
        original: the package's environment.
    """

    def __init__(self, facts: TaxFacts, original: Any) -> None:
        self._facts, self._original, self._tax = facts, original, original.components[-1]

    def context(self, rewards: np.ndarray) -> TaxContext[np.ndarray]:
        """Of the last step, without the axis of copies.

        Args:
            rewards: ``[N]`` of the step; zeros before the first one.
        """
        tax, agents = self._tax, self._original.world.agents
        day = tax.taxes[-1] if tax.taxes else None
        total = np.array([agent.total_endowment("Coin") for agent in agents])
        coin = np.array([agent.state["inventory"]["Coin"] for agent in agents])
        income, gained = total - np.array(tax.last_coin, np.float64), np.zeros(len(agents))
        if day:
            taxed = [day[str(agent.idx)] for agent in agents]
            income = np.array([one["income"] for one in taxed])
            gained = np.array([one["lump_sum"] - one["tax_paid"] for one in taxed])
            coin = tax.coin_before
        labor = np.array([self._labor(agent.state["endogenous"]["Labor"]) for agent in agents])
        eta = self._facts.isoelastic_eta
        utility = (total ** (1 - eta) - 1) / (1 - eta) - self._facts.energy_cost * labor
        return TaxContext(
            tax_day=np.array(float(bool(day))),
            rates=np.array(tax.curr_marginal_rates, np.float64),
            rate_cap=np.array(float(tax.curr_rate_max)),
            income=income,
            coin=coin,
            escrow_coin=total - gained - coin,
            labor=labor,
            # Whatever constants the scenario's own utility has, with this its reward comes out.
            previous_utility=utility - rewards,
        )

    def _labor(self, labor: float) -> float:
        """As it counts in utility: warm-up or an exponent put in."""
        original = self._original
        if getattr(original, "agent_reward_type", "") == "coin_minus_labor_cost":
            return float(labor**original.labor_exponent)
        return float(labor * getattr(original, "energy_weight", 1.0))
