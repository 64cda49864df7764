"""Who sets the taxes, from when they are in force, and what they take; numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from foundation_play import needs_package, noop, steps

from env_wrappers.gather_trade_build.foundation import FoundationEnv

pytestmark = needs_package

CUTOFFS = [0, 9.7, 39.475, 84.2, 160.725, 204.1, 510.3]
RATES = [0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9]


def set_coin(env: FoundationEnv, inventory: list[float], escrow: list[float]) -> None:
    for agent, mine, held in zip(env.original.world.agents, inventory, escrow, strict=True):
        agent.state["inventory"]["Coin"], agent.state["escrow"]["Coin"] = mine, held


def coins(env: FoundationEnv) -> list[float]:
    return [float(agent.state["inventory"]["Coin"]) for agent in env.original.world.agents]


def test_tax_of_a_period_by_hand() -> None:
    """All start with 10 coin. Paid is the least of coin in the inventory and T(income); a fourth of all comes back."""
    env = FoundationEnv(rates=RATES)
    np.testing.assert_allclose(env.bracket_cutoffs, CUTOFFS)
    env.reset(seed=0)
    steps(env, 9)
    assert env.last_taxes() is None
    # Incomes 50, 5, 20 (28 of the 30 coin are in escrow) and -4.
    set_coin(env, [60, 15, 2, 6], [0, 0, 28, 0])
    env.step(noop(env))
    taxes = env.last_taxes()
    assert taxes is not None
    np.testing.assert_allclose(taxes["income"], [50, 5, 20, -4])
    # T(50) = 0.1 * 9.7 + 0.2 * 29.775 + 0.5 * 10.525; T(20) = 0.97 + 0.2 * 10.3 = 3.03, but only 2 can be taken.
    paid = [0.97 + 5.955 + 5.2625, 0.5, 2, 0]
    np.testing.assert_allclose(taxes["tax_paid"], paid)
    np.testing.assert_allclose(taxes["lump_sum"], [14.6875 / 4] * 4)
    np.testing.assert_allclose(taxes["marginal_rate"], [0.5, 0.1, 0.2, 0])
    np.testing.assert_allclose(taxes["effective_rate"][:3], [12.1875 / 50, 0.1, 0.1])
    np.testing.assert_allclose(coins(env), np.array([60, 15, 2, 6]) - paid + 14.6875 / 4)
    assert env.metrics()["PeriodicTax/total_collected_taxes"] == pytest.approx(14.6875)


def test_rates_from_outside_begin_with_the_next_period() -> None:
    env = FoundationEnv()
    observed = slice(115, 122)  # the rates within an agent's flat vector
    env.reset(seed=0)
    assert env.period_begins
    env.set_rates([0.3] * 7)
    env.step(noop(env))
    assert not env.period_begins
    np.testing.assert_allclose(env.tax_rates(), [0.3] * 7)
    np.testing.assert_allclose(env.observations()["agent_0"]["flat"][observed], [0.3] * 7)
    env.set_rates(RATES)
    for expected in ([0.3] * 7, RATES):
        while not env.period_begins:
            np.testing.assert_allclose(env.tax_rates(), expected)
            set_coin(env, [110, 10, 10, 10], [0] * 4)
            env.original.get_component("PeriodicTax").last_coin = [10.0] * 4
            env.step(noop(env))
        taxes = env.last_taxes()
        assert taxes is not None
        np.testing.assert_allclose(taxes["rates"], expected)
        due = sum(
            rate * (min(100, high) - low)
            for rate, low, high in zip(expected, CUTOFFS, [*CUTOFFS[1:], np.inf], strict=True)
            if low < 100
        )
        assert taxes["tax_paid"][0] == pytest.approx(due)
        env.step(noop(env))
    assert env.original.world.timestep == 21
    env.reset()
    np.testing.assert_array_equal(env.tax_rates(), np.zeros(7))


def test_other_brackets_and_periods() -> None:
    tax = {"bracket_spacing": "linear", "n_brackets": 3, "top_bracket_cutoff": 20, "period": 4}
    components = [["Build", {"skill_dist": "pareto"}], "Gather", ["PeriodicBracketTax", tax]]
    env = FoundationEnv(components=components, rates=[0, 0.5, 1])
    np.testing.assert_array_equal(env.bracket_cutoffs, [0, 10, 20])
    env.reset(seed=0)
    steps(env, 3)
    set_coin(env, [35, 10, 10, 10], [0] * 4)
    env.step(noop(env))
    taxes = env.last_taxes()
    assert taxes is not None
    np.testing.assert_allclose(taxes["tax_paid"], [0.5 * 10 + 5, 0, 0, 0])


def test_us_federal() -> None:
    env = FoundationEnv(tax="us_federal")
    env.reset(seed=0)
    steps(env, 9)
    set_coin(env, [60, 10, 10, 10], [0] * 4)
    env.step(noop(env))
    taxes = env.last_taxes()
    assert taxes is not None
    np.testing.assert_allclose(taxes["rates"], [0.1, 0.12, 0.22, 0.24, 0.32, 0.35, 0.37])
    # 970 plus 12% of 29,775 plus 22% of 10,525 dollars, in thousands.
    assert taxes["tax_paid"][0] == pytest.approx(0.97 + 3.573 + 2.3155)


def test_free_market() -> None:
    env = FoundationEnv(tax="free_market")
    env.reset(seed=0)
    steps(env, 9)
    set_coin(env, [600, 10, 10, 10], [0] * 4)
    env.step(noop(env))
    assert coins(env) == [600, 10, 10, 10]
    np.testing.assert_array_equal(env.tax_rates(), np.zeros(7))


def test_planner_actions() -> None:
    """0 leaves a rate, i sets 0.05 (i - 1), and only in the first step of a period."""
    env = FoundationEnv(tax="planner")
    np.testing.assert_array_equal(env.planner_action_space.nvec, [22] * 7)
    env.reset(seed=0)
    env.set_planner_action([5, 1, 21, 0, 0, 0, 11])
    env.step(noop(env))
    expected = [0.2, 0, 1, 0, 0, 0, 0.5]
    np.testing.assert_allclose(env.tax_rates(), expected)
    env.set_planner_action([2] * 7)
    env.step(noop(env))
    np.testing.assert_allclose(env.tax_rates(), expected)
    steps(env, 8)
    assert env.period_begins
    env.set_planner_action([0, 3, 0, 0, 0, 0, 0])
    env.step(noop(env))
    np.testing.assert_allclose(env.tax_rates(), [0.2, 0.1, 1, 0, 0, 0, 0.5])
    with pytest.raises(ValueError, match="planner's action"):
        env.set_planner_action([22] * 7)
    with pytest.raises(ValueError, match="planner's action"):
        env.set_planner_action([1, 2])


def test_annealed_cap() -> None:
    """No tax for one episode and the next; then a fourth more with each, cut off with the minimum."""
    env = FoundationEnv(rates=[0.4, 0.1, 0.9, 0.4, 0.4, 0.4, 0.4], rate_cap_annealing=[1, 0.25], max_steps=10)
    for cap in (0, 0, 0.25, 0.5, 0.75, 1, 1):
        env.reset(seed=0)
        steps(env, 10)
        taxes = env.last_taxes()
        assert taxes is not None
        np.testing.assert_allclose(taxes["rates"], np.minimum([0.4, 0.1, 0.9, 0.4, 0.4, 0.4, 0.4], cap))


def test_saez_in_the_one_step_economy() -> None:
    """After 500 observed incomes the rates are those of Saez' formula; the top one is worked out here.

    With a the mean income above the top cutoff over its distance to it, e the elasticity and g the welfare weight of
    those incomes against the average one, the top rate is (1 - g) / (1 - g + a e). Weights are 1 / income, below the
    cutoff at the middle of a hundred bins.
    """
    tax = {"bracket_spacing": "us-federal", "period": 2, "usd_scaling": 10000.0, "saez_fixed_elas": 0.5}
    env = FoundationEnv(
        scenario="one-step-economy", num_agents=100, components=["SimpleLabor", ["PeriodicBracketTax", tax]], tax="saez"
    )
    rng, incomes = np.random.default_rng(0), []
    env.reset(seed=0)
    for _ in range(5):
        env.step(noop(env))
        env.step({agent: int(rng.integers(1, 60)) for agent in env.possible_agents})
        taxes = env.last_taxes()
        assert taxes is not None
        incomes.append(taxes["income"])
        env.reset()
    env.step(noop(env))
    z, top = np.concatenate(incomes), 51.03
    above = z[z > top]
    assert 100 < len(above) < 400
    width = top / 100
    middles = (np.floor(z[z <= top] / width) + 0.5) * width
    total = (1 / above).sum() + (1 / np.maximum(1, middles)).sum()
    g = ((1 / above).sum() / total) / (len(above) / len(z))
    a = above.mean() / (above.mean() - top)
    assert env.tax_rates()[-1] == pytest.approx((1 - g) / (1 - g + a * 0.5), rel=1e-6)
    assert ((env.tax_rates() >= 0) & (env.tax_rates() <= 1)).all()
    before = env.tax_rates()
    env.reset()
    env.step(noop(env))
    np.testing.assert_allclose(env.tax_rates(), before)


def test_saez_draws_rates_until_it_has_seen_enough() -> None:
    env = FoundationEnv(scenario="one-step-economy", tax="saez")
    env.reset(seed=0)
    env.step(noop(env))
    first = env.tax_rates()
    env.reset(seed=1)
    env.step(noop(env))
    assert np.all(first != env.tax_rates())
    env.reset(seed=0)
    env.step(noop(env))
    np.testing.assert_array_equal(first, env.tax_rates())


def test_one_step_economy_with_rates_from_outside() -> None:
    """Rates, then hours: coin is hours times skill, less tax, plus the lump sum; utility is coin less squared hours."""
    env = FoundationEnv(scenario="one-step-economy", num_agents=2, objective="planner")
    env.reset(seed=0)
    env.set_rates([0.5] * 7)
    env.step(noop(env))
    hours = {"agent_0": 30, "agent_1": 50}
    skills = [agent.state["skill"] for agent in env.original.world.agents]
    _, _, _, truncated, _ = env.step(hours)
    assert all(truncated.values())
    income = np.array([30, 50]) * skills
    np.testing.assert_allclose(coins(env), income / 2 + (income / 2).sum() / 2)
