"""The one-step economy by itself: bad input, sums done by hand, the API, resuming, best responses and best rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test
from test_vector import assert_equal, snapshot

from env_wrappers import make
from env_wrappers.one_step_economy import OneStepEconomy, VectorOneStepEconomy, optimum, rules, saez
from env_wrappers.one_step_economy.config import OneStepEconomyConfig

#: Two agents, three brackets; numbers that can be checked by hand.
SMALL: dict[str, Any] = {
    "num_agents": 2,
    "skills": [1.0, 3.0],
    "num_labor_hours": 20,
    "labor_exponent": 2.0,
    "labor_cost": 0.1,
    "bracket_cutoffs": [0.0, 10.0, 30.0],
}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_agents": 1}, "num_agents must be a whole number >= 2, got 1"),
        ({"num_agents": 2.5}, "num_agents must be a whole number >= 2, got 2.5"),
        ({"skills": [1.0, 2.0]}, "skills must be 10 numbers, one for each of the agents, got 2"),
        ({"num_agents": 2, "skills": [1.0, 0.0]}, "skills must be above 0, got 0"),
        ({"num_agents": 2, "skills": "12"}, "skills must be a list of numbers or null, got '12'"),
        ({"payment_max_skill_multiplier": 0.5}, "payment_max_skill_multiplier must be a number >= 1, got 0.5"),
        ({"num_labor_hours": 0}, "num_labor_hours must be a whole number >= 1, got 0"),
        ({"agent_reward_type": "coin_minus_labour_cost"}, "did you mean 'coin_minus_labor_cost'"),
        ({"planner_reward_type": "coin_eq_times_prod"}, "did you mean 'coin_eq_times_productivity'"),
        ({"isoelastic_eta": 1.0}, "isoelastic_eta must be a number >= 0 and < 1, got 1.0"),
        ({"labor_exponent": 1.0}, "labor_exponent must be a number > 1, got 1.0"),
        ({"labor_cost": -1.0}, "labor_cost must be a number >= 0, got -1.0"),
        ({"labor_cost": "1"}, "labor_cost must be a number >= 0, got '1'"),
        ({"mixing_weight_gini_vs_coin": 1.5}, "mixing_weight_gini_vs_coin must be a number >= 0 and <= 1, got 1.5"),
        ({"bracket_cutoffs": [0.0, 5.0, 5.0]}, "bracket_cutoffs must begin with 0 and increase, got [0.0, 5.0, 5.0]"),
        ({"rates": [0.1] * 6}, "rates must be 7 numbers, one a tax bracket, got 6"),
        ({"rates": [0.1] * 6 + [1.1]}, "rates must be between 0 and 1"),
        ({"labor_costs": 1.0}, "unknown env_config key 'labor_costs'; did you mean 'labor_cost'"),
    ],
)
def test_bad_input_is_told_in_one_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^one_step_economy: [^\n]*$") as error:
        make("one_step_economy", **config)
    assert message in str(error.value)


def test_rates_and_actions_are_checked() -> None:
    env = VectorOneStepEconomy(2, **SMALL)
    env.reset(0)
    nothing = [np.zeros((2, 2), int)]
    for bad in (1.01, -0.01, np.nan):
        with pytest.raises(ValueError, match="tax rates must be between 0 and 1"):
            env.step(nothing, np.array([[0.5] * 3, [0.5, bad, 0.5]]))
    with pytest.raises(ValueError, match=r"shape \(2, 3\), got \(2, 7\)"):
        env.step(nothing, np.zeros((2, 7)))
    with pytest.raises(ValueError, match="action 21 is not one of 0 to 20"):
        env.step([np.array([[0, 21], [0, 0]])])
    with pytest.raises(ValueError, match="rates must be 3 numbers"):
        OneStepEconomy(**SMALL).set_rates([0.1])


def test_an_episode_by_hand() -> None:
    env = OneStepEconomy(**SMALL)
    env.set_rates([0.1, 0.5, 0.2])
    _, infos = env.reset(seed=0)
    assert infos["agent_0"]["action_mask"].sum() == 1
    _, rewards, terminations, truncations, infos = env.step({"agent_0": 0, "agent_1": 0})
    assert rewards == {"agent_0": 0.0, "agent_1": 0.0}
    assert infos["agent_1"]["action_mask"].all()
    assert not any(terminations.values())
    # Incomes 8 and 36: taxes 0.8, and 1 + 10 + 1.2 = 12.2; both get 6.5 back. Labour costs 0.1 * 64 and 0.1 * 144.
    _, rewards, terminations, truncations, _ = env.step({"agent_0": 8, "agent_1": 12})
    assert rewards["agent_0"] == pytest.approx(8 - 0.8 + 6.5 - 6.4, rel=1e-6)
    assert rewards["agent_1"] == pytest.approx(36 - 12.2 + 6.5 - 14.4, rel=1e-6)
    # Weights 1/8 and 1/36 are as 9 to 2.
    assert env.designer_reward() == pytest.approx((9 * 7.3 + 2 * 15.9) / 11, rel=1e-6)
    assert all(terminations.values())
    assert not any(truncations.values())
    assert not env.agents
    assert env.context()["tax_day"] == 1
    np.testing.assert_allclose(env.context()["labor"], [64, 144])


def test_equality_times_productivity_by_hand() -> None:
    economy = OneStepEconomyConfig(**SMALL, planner_reward_type="coin_eq_times_productivity")
    after = optimum.outcome(economy, np.array([8.0, 12.0]), np.zeros(3))
    # Coin 8 and 36: the Gini index is |36 - 8| / 44, the highest of two agents being 1.
    assert after.equality == pytest.approx(1 - 28 / 44)
    assert after.welfare == pytest.approx((16 / 44) * 22)


def test_pettingzoo_api(capsys: pytest.CaptureFixture[str]) -> None:
    parallel_api_test(make("one_step_economy"), num_cycles=20)
    parallel_seed_test(lambda: make("one_step_economy"), num_cycles=4)
    assert capsys.readouterr().out == "Passed Parallel API test\n"


@pytest.mark.parametrize("autoreset", [False, True])
def test_resumes_in_the_middle(autoreset: bool) -> None:
    rng = np.random.default_rng(0)
    moves = [(rng.integers(0, 101, (3, 10)), rng.random((3, 7))) for _ in range(7)]
    one, other = (VectorOneStepEconomy(3, autoreset=autoreset) for _ in range(2))
    one.reset(0)
    for hours, rates in moves[:3]:
        one.step([hours], rates)
    other.set_state(one.get_state())
    for hours, rates in moves[3:]:
        one.step([hours], rates)
        other.step([hours], rates)
        assert_equal(snapshot(one), snapshot(other))
    with pytest.raises(ValueError, match="the state's rates has shape"):
        VectorOneStepEconomy(2).set_state(one.get_state())


def test_autoreset_goes_on_and_frozen_copies_stay() -> None:
    going, frozen = VectorOneStepEconomy(2, autoreset=True), VectorOneStepEconomy(2)
    hours, rates = np.full((2, 10), 30), np.full((2, 7), 0.3)
    seen = []
    for env in (going, frozen):
        env.reset(0)
        for _ in range(3):
            env.step([hours], rates)
        seen.append((env.episode_over.all(), env.was_reset.all(), env.active.all(), float(env.rewards.sum())))
    assert seen == [(False, True, True, 0.0), (True, False, False, 0.0)]
    assert frozen.designer_due.sum() == 0
    assert going.designer_due.all()
    assert all((values == 0).all() for values in frozen.context.values())


RATES = st.lists(st.floats(0, 1), min_size=7, max_size=7).map(np.array)


@settings(max_examples=60, deadline=None)
@given(rates=RATES, seed=st.integers(0, 10**6))
def test_taxes_are_handed_out_and_monotone(rates: np.ndarray, seed: int) -> None:
    economy = OneStepEconomyConfig(num_agents=6)
    hours = np.random.default_rng(seed).integers(0, 101, 6).astype(float)
    after = optimum.outcome(economy, hours, rates)
    assert after.coin.sum() == pytest.approx(after.income.sum())
    assert (after.taxes <= after.income + 1e-9).all()
    order = np.argsort(after.income)
    assert (np.diff(after.taxes[order]) >= -1e-9).all()
    assert 0 <= after.equality <= 1 + 1e-12
    np.testing.assert_allclose(rules.income_weights(after.income).sum(), 1)


@settings(max_examples=25, deadline=None)
@given(rates=RATES, isoelastic=st.booleans())
def test_nobody_gains_by_another_choice(rates: np.ndarray, isoelastic: bool) -> None:
    utility = {"agent_reward_type": "isoelastic_coin_minus_labor", "labor_cost": 0.5} if isoelastic else {}
    economy = OneStepEconomyConfig(num_agents=3, num_labor_hours=30, **utility)
    hours = optimum.best_response(economy, rates)
    own = optimum.outcome(economy, hours, rates).utility
    for i in range(3):
        others = np.repeat(hours[None], 31, axis=0)
        others[:, i] = np.arange(31)
        assert optimum.outcome(economy, others, rates[None]).utility[:, i].max() <= own[i] + 1e-9


def test_best_response_without_taxes_by_hand() -> None:
    # 1 = 0.2 h and 3 = 0.2 h.
    assert optimum.best_response(OneStepEconomyConfig(**SMALL), np.zeros(3)).tolist() == [5, 15]
    # One half of a coin goes, and half of that comes back: 0.75 = 0.2 h, 2.25 = 0.2 h, rounded up or down.
    equal = optimum.best_response(OneStepEconomyConfig(**SMALL), np.full(3, 0.5))
    assert equal.tolist() == [4, 11]


def test_search_finds_what_a_grid_finds() -> None:
    """Two brackets, so that a grid is fine enough."""
    economy = OneStepEconomyConfig(num_agents=4, bracket_cutoffs=[0.0, 100.0])
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 1, 101)), -1).reshape(-1, 2)
    best = optimum.response(economy, grid).welfare.max()
    found = optimum.response(economy, optimum.search_optimum(economy, restarts=2, rounds=60)).welfare
    assert found >= best - 1e-9


def test_the_formula_nears_the_optimum_as_agents_get_many() -> None:
    """Saez' schedule is for a continuum of agents: at 40 its welfare is within 2% of the searched optimum's."""
    economy = OneStepEconomyConfig(num_agents=40)
    of_saez = optimum.response(economy, saez.saez_optimum(economy)).welfare
    searched = optimum.response(economy, optimum.search_optimum(economy, restarts=1, rounds=40)).welfare
    assert 0.98 < of_saez / searched < 1.02
    assert optimum.response(economy, np.zeros(7)).welfare < 0.7 * of_saez


def test_saez_needs_an_elasticity() -> None:
    with pytest.raises(ValueError, match="elasticity of income is no constant"):
        saez.saez_optimum(OneStepEconomyConfig(agent_reward_type="isoelastic_coin_minus_labor"))
    with pytest.raises(ValueError, match="two marginal rates or more"):
        saez.estimate_elasticity(np.array([1.0, 2.0]), np.array([0.5, 0.5]))


def test_what_an_episode_came_to() -> None:
    """Incomes 8 and 48; tax 10% up to 10, 20% up to 30, 50% beyond: 0.8 and 1 + 4 + 9, of which half comes back."""
    env = VectorOneStepEconomy(2, **SMALL)
    env.reset(0)
    env.step([np.zeros((2, 2), int)], np.array([[0.1, 0.2, 0.5], [0, 0, 0]]))
    env.step([np.array([[8, 16], [1, 2]])])
    measured = env.episode_metrics(np.array([True, False]))
    coin = np.array([8 - 0.8 + 7.4, 48 - 14 + 7.4])
    equality = 1 - (coin[1] - coin[0]) / coin.sum()
    expected = {
        "welfare": 56 * equality,
        "productivity": 56,
        "equality": equality,
        "tax_rate/0": 0.1,
        "tax_rate/10": 0.2,
        "tax_rate/30": 0.5,
        "income/skill_1": 8,
        "income/skill_2": 48,
        "tax_paid/skill_1": 0.8,
        "tax_paid/skill_2": 14,
        "income_after_redistribution/skill_1": coin[0],
        "income_after_redistribution/skill_2": coin[1],
        "labor/skill_1": 8,
        "labor/skill_2": 16,
    }
    assert list(measured) == list(expected)
    np.testing.assert_allclose([values[0] for values in measured.values()], list(expected.values()))
    assert all(len(values) == 1 for values in measured.values())
