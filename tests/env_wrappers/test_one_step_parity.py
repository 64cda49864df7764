"""The one-step economy beside the original's: observations, masks, rewards, taxes, welfare and skills are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foundation_play import needs_package

from env_wrappers import make
from env_wrappers.gather_trade_build.foundation import FoundationEnv
from env_wrappers.one_step_economy import VectorOneStepEconomy, rules, saez
from env_wrappers.one_step_economy.config import US_FEDERAL_CUTOFFS, OneStepEconomyConfig

pytestmark = needs_package

SETTINGS: list[dict[str, Any]] = [
    {"num_agents": 2, "labor_exponent": 2.0, "labor_cost": 0.01},
    {"num_agents": 10},
    {"num_agents": 4, "payment_max_skill_multiplier": 30.0, "planner_reward_type": "coin_eq_times_productivity"},
    {"num_agents": 31, "planner_reward_type": "coin_eq_times_productivity", "mixing_weight_gini_vs_coin": 0.3},
    {"num_agents": 5, "agent_reward_type": "isoelastic_coin_minus_labor", "labor_cost": 0.2, "isoelastic_eta": 0.4},
]


def original(settings: dict[str, Any]) -> FoundationEnv:
    """The package's economy with the same constants."""
    given = {"labor_exponent": 3.5, "labor_cost": 3e-5} | settings
    n, most = given.pop("num_agents"), given.pop("payment_max_skill_multiplier", 10.0)
    env = make(
        "gather_trade_build",
        backend="foundation",
        scenario="one-step-economy",
        num_agents=n,
        objective="planner",
        components=[
            {"SimpleLabor": {"payment_max_skill_multiplier": most}},
            {"PeriodicBracketTax": {"bracket_spacing": "us-federal", "period": 2}},
        ],
        scenario_config=given,
    )
    assert isinstance(env, FoundationEnv)
    return env


@pytest.mark.parametrize("settings", SETTINGS)
def test_equal_in_every_number(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    theirs, ours = original(settings), VectorOneStepEconomy(1, **settings)
    n = ours.config.num_agents
    agents = theirs.possible_agents
    np.testing.assert_array_equal(ours.config.pay, theirs.original.get_component("SimpleLabor").skills)

    def same_view() -> None:
        views = theirs.observations()
        np.testing.assert_allclose(ours.observations[0][0], [views[a]["flat"] for a in agents], rtol=1e-6)
        assert ours.action_masks[0] is not None
        np.testing.assert_array_equal(ours.action_masks[0][0], [views[a]["action_mask"] for a in agents])
        np.testing.assert_allclose(ours.state[0], theirs.state(), rtol=1e-6)

    for episode in range(30):
        theirs.reset(seed=episode)
        ours.reset(episode)
        same_view()
        rates = rng.random(7) * rng.integers(0, 2, 7)
        theirs.set_rates(rates)
        for step in range(2):
            # Now and then somebody works in the first step, which its mask forbids and the package allows.
            hours = rng.integers(0, 101, n) * (rng.random(n) < (0.9 if step else 0.1))
            _, rewards, *_ = theirs.step(dict(zip(agents, hours.tolist(), strict=True)))
            ours.step([hours[None]], rates[None])
            same_view()
            np.testing.assert_allclose(ours.rewards[0], [rewards[a] for a in agents], rtol=1e-6, atol=1e-4)
            np.testing.assert_allclose(ours.designer_reward[0], theirs.designer_reward(), rtol=1e-6, atol=1e-5)
        taxes = theirs.last_taxes()
        assert taxes is not None
        np.testing.assert_allclose(ours.context["income"][0], taxes["income"], rtol=1e-6)
        owed = rules.tax_due(ours.config, taxes["income"], rates)
        np.testing.assert_allclose(owed, taxes["tax_paid"], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(ours.context["coin"][0] - owed + owed.mean(), _coin(theirs), rtol=1e-6)
        assert ours.episode_over.all()


def _coin(env: FoundationEnv) -> list[float]:
    return [agent.total_endowment("Coin") for agent in env.original.world.agents]


@pytest.mark.parametrize("top", [60.0, 400.0, 900.0])
def test_saez_schedule_is_the_package_s(top: float) -> None:
    """From samples with empty bins and with incomes beyond the top bracket."""
    tax = original({"num_agents": 2}).original.get_component("PeriodicTax")
    rng = np.random.default_rng(1)
    for _ in range(20):
        incomes = top * rng.beta(0.8, 2.0, 500)
        elasticity = float(rng.uniform(0.1, 2.0))
        weights, pareto = tax.get_binned_saez_welfare_weight_and_pareto_params(incomes)
        with np.errstate(invalid="ignore"):
            of_bins = tax.get_saez_marginal_rates(weights, pareto, elasticity)
        bins = tax._saez_income_bin_edges, tax._saez_income_bin_sizes
        theirs = np.clip(tax.bracketize_schedule(of_bins, *bins), 0, 1)
        ours = saez.saez_rates(incomes, elasticity, np.array(US_FEDERAL_CUTOFFS))
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_elasticity_is_the_package_s() -> None:
    tax = original({"num_agents": 2}).original.get_component("PeriodicTax")
    rng = np.random.default_rng(2)
    rates = rng.uniform(0, 0.9, 300)
    incomes = 50 * (1 - rates) ** 0.7 * np.exp(0.1 * rng.standard_normal(300))
    theirs, _ = tax.estimate_uniform_income_elasticity(np.stack([incomes, rates], 1), elas_df=0.0)
    assert saez.estimate_elasticity(incomes, rates) == pytest.approx(theirs, rel=1e-9)
    assert theirs == pytest.approx(0.7, abs=0.05)


def test_skills_of_a_freshly_seeded_package() -> None:
    """One draw of a thousand, sorted and averaged by rank."""
    skills = OneStepEconomyConfig(num_agents=4, payment_max_skill_multiplier=3.0).skills
    np.testing.assert_allclose(skills, [1.13567402, 1.33765015, 1.65562808, 2.2063058], rtol=1e-8)
