"""The twin beside the original: observations, masks, rewards, hidden state and generators, equal to the last bit."""

from __future__ import annotations

import inspect
import textwrap
from importlib import util
from typing import Any

import numpy as np
import pytest
from economy_games import (
    CROWDED,
    GAMES,
    LINEAR,
    LOG,
    POLICIES,
    DifferenceError,
    check,
    compare,
    components,
    greedy,
    hoarding,
    play,
)
from original_economy import OriginalEconomy

from env_wrappers.gather_trade_build.twin import VectorGatherTradeBuild
from env_wrappers.gather_trade_build.twin.maps import PAPER_MAP, map_folder, read_map
from env_wrappers.vector import child_seeds

pytestmark = pytest.mark.skipif(
    util.find_spec("ai_economist") is None, reason="needs: pip install --no-deps ai-economist==1.7.1"
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("game", GAMES)
def test_equals_the_original(game: str, policy: str) -> None:
    play(GAMES[game], POLICIES[policy], episodes=4 if game == "annealed" else 1)


def test_bulk_of_trades_and_houses() -> None:
    config = {"map": CROWDED, "scenario_config": {"resource_regen_prob": 0.3, "starting_agent_coin": 60}}
    trades, houses = play(config, greedy, episodes=3, copies=2)
    assert trades >= 200
    assert houses >= 20


@pytest.mark.slow
def test_thousands_of_trades() -> None:
    total = np.zeros(2, int)
    for config in (
        {"scenario_config": {"starting_agent_coin": 60}},
        {"map": CROWDED, "scenario_config": {"resource_regen_prob": 0.3, "starting_agent_coin": 60}},
        {"num_agents": 8, "scenario_config": {"resource_regen_prob": 0.2, "starting_agent_coin": 60}},
    ):
        total += play(config, greedy, episodes=8, copies=2)
    assert total[0] >= 2000
    assert total[1] >= 200


def test_top_bracket_incomes() -> None:
    # A house pays more than 510 coins here, so rates of all brackets count.
    config = {
        "map": CROWDED,
        "scenario_config": {"resource_regen_prob": 0.5, "starting_agent_coin": 20},
        "components": components(
            build={"payment": 600, "skill_dist": "pareto", "payment_max_skill_multiplier": 3}, tax={"period": 10}
        ),
    }
    incomes: list[float] = []

    def look(original: OriginalEconomy) -> None:
        enact = original.tax.enact_taxes

        def enact_and_look() -> None:
            enact()
            incomes.extend(original.tax.last_income)

        original.tax.enact_taxes = enact_and_look

    play(config, greedy, episodes=1, mutate=look)
    assert max(incomes) > 510.3


@pytest.mark.parametrize("annealing", [None, [0, 0.25]])
@pytest.mark.parametrize(
    ("tax", "arguments"),
    [
        ("us_federal", {"tax_model": "us-federal-single-filer-2018-scaled"}),
        ("free_market", {"disable_taxes": True}),
    ],
)
def test_other_taxes(tax: str, arguments: dict[str, Any], annealing: Any) -> None:
    schedule = {"tax_annealing_schedule": annealing} if annealing else {}
    play(
        {"map": CROWDED, "max_steps": 25, "tax": tax, "rate_cap_annealing": annealing},
        greedy,
        episodes=3,
        tax={**arguments, **schedule},
    )


#: Periods of two steps, so that there soon are incomes enough for Saez' formula.
BRISK: dict[str, Any] = {
    "map": CROWDED,
    "max_steps": 20,
    "scenario_config": {"resource_regen_prob": 0.5, "starting_agent_coin": 30},
}


@pytest.mark.parametrize(
    ("policy", "annealing", "settings"),
    [
        ("greedy", None, {}),
        ("hoarding", [3, 0.1], {}),
        ("greedy", None, {"saez_fixed_elas": 0.8, "usd_scaling": 20000.0}),
        ("legal", None, {"pareto_weight_type": "uniform", "usd_scaling": 10000.0}),
        ("greedy", None, LINEAR),
    ],
    ids=["paper", "annealed", "fixed elasticity", "uniform weights", "other brackets"],
)
def test_saez(policy: str, annealing: Any, settings: dict[str, Any]) -> None:
    """Random rates of 12 episodes of 40 incomes, and then by the formula; two copies, each with incomes of its own."""
    schedule = {"tax_annealing_schedule": annealing} if annealing else {}
    used: list[np.ndarray] = []

    def look(original: OriginalEconomy) -> None:
        formula = original.tax.bracketize_schedule

        def look_and_go_on(**arguments: Any) -> np.ndarray:
            used.append(formula(**arguments))
            return used[-1]

        original.tax.bracketize_schedule = look_and_go_on

    play(
        {
            **BRISK,
            "tax": "saez",
            "rate_cap_annealing": annealing,
            "components": components(tax={"period": 2, **settings}),
        },
        POLICIES[policy],
        episodes=16,
        copies=2,
        mutate=look,
        tax={"tax_model": "saez", **settings, **schedule},
    )
    # 16 episodes of 10 periods and 4 incomes: the formula's turn comes after 500, in the 13th.
    assert len(used) == 2 * (160 - 125)
    assert np.ptp([rates[0] for rates in used]) > 0


@pytest.mark.parametrize(
    ("annealing", "spacing"), [(None, {}), ([1, 0.3], {}), (None, LOG)], ids=["free", "annealed", "other brackets"]
)
def test_discrete_rates_of_the_planner(annealing: Any, spacing: dict[str, Any]) -> None:
    """Choices with and against the mask, in the right steps and in others."""
    taxes = components(tax={"period": 3, **spacing})
    config = {**BRISK, "tax": "planner", "rate_cap_annealing": annealing, "components": taxes}
    twin = VectorGatherTradeBuild(1, autoreset=True, **config)
    schedule = {"tax_annealing_schedule": annealing} if annealing else {}
    original = OriginalEconomy(twin.config, {"tax_model": "model_wrapper", **schedule})
    twin.reset(3)
    original.state = np.random.RandomState(child_seeds(3, 1)[0]).get_state()
    rng = np.random.default_rng(1)
    rates, allowed = set(), set()
    brackets = len(twin.bracket_cutoffs)
    for episode in range(6):
        seen = original.reset()
        for t in range(21):
            where = f"episode {episode}, step {t}"
            compare(twin, original, seen, 0, where)
            check(f"{where}: planner's mask", twin.planner_masks()[0], seen["p"]["action_mask"])
            check(f"{where}: rates", twin._game.rates[0], original.tax.curr_marginal_rates)
            rates.update(twin._game.rates[0].tolist())
            allowed.add(int(twin.planner_masks().sum()))
            actions = greedy(rng, twin.action_masks[0][0], t)
            choices = rng.integers(0, 22, brackets)
            twin.step([actions[None]], choices[None])
            if t < 20:
                seen, _, _ = original.step(actions, choices.tolist())
    assert rates == set(original.tax.disc_rates)
    # To leave each rate; and each of 21 rates, or of those under 0.3, 0.6 and 0.9 (rounding leaves these three out).
    assert allowed == {n * brackets for n in ((1, 22) if annealing is None else (1, 2, 7, 13, 19, 22))}


def rewrite(owner: Any, name: str, old: str, new: str) -> None:
    """Replaces a method of one component by one with another line of source."""
    method = getattr(type(owner), name)
    source = textwrap.dedent(inspect.getsource(method))
    assert old in source
    scope: dict[str, Any] = dict(method.__globals__)
    exec(source.replace(old, new), scope)
    setattr(owner, name, scope[name].__get__(owner))


MUTATIONS: dict[str, tuple[str, str, str, str]] = {
    "price of the older order": ("Trade", "match_orders", '<= ask["ask_lifetime"]', '< ask["ask_lifetime"]'),
    "best bid first": ("Trade", "match_orders", "reverse=True", "reverse=False"),
    "lifetime of orders": ("Trade", "remove_expired_orders", "<= self.order_duration", "< self.order_duration"),
    "fading of prices": ("Trade", "component_step", "0.995", "0.9950001"),
    "tax only from the inventory": (
        "PeriodicTax",
        "enact_taxes",
        'np.minimum(\n            agent.state["inventory"]["Coin"], tax_due',
        'np.minimum(\n            agent.total_endowment("Coin"), tax_due',
    ),
    "income with escrow": (
        "PeriodicTax",
        "enact_taxes",
        'income = agent.total_endowment("Coin") - last_coin',
        'income = agent.state["inventory"]["Coin"] - last_coin',
    ),
    "build order": ("Build", "component_step", "world.get_random_order_agents()", "world.agents"),
    "labor of building": ("Build", "component_step", "+= self.build_labor", "+= 9.0"),
}
#: Coin is short, orders are many: taxes exceed what is not promised, and orders grow old.
TIGHT: dict[str, Any] = {
    "map": CROWDED,
    "max_steps": 60,
    "scenario_config": {"resource_regen_prob": 0.3, "starting_agent_coin": 12},
    "components": components(market={"max_num_orders": 5, "order_duration": 6}, tax={"period": 3}),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_changed_rules_are_noticed(mutation: str) -> None:
    component, *change = MUTATIONS[mutation]
    with pytest.raises(DifferenceError):
        play(TIGHT, hoarding, 4, mutate=lambda original: rewrite(original.get_component(component), *change))


@pytest.mark.parametrize(
    "changed",
    [
        {"scenario_config": {**TIGHT["scenario_config"], "resource_regen_prob": 0.31}},
        {"components": components(market={"max_num_orders": 4, "order_duration": 6}, tax={"period": 3})},
        {"rate_cap_annealing": [0, 0.9]},
    ],
    ids=["regeneration", "number of orders", "tax cap"],
)
def test_changed_settings_are_noticed(changed: dict[str, Any]) -> None:
    with pytest.raises(DifferenceError):
        play(TIGHT, hoarding, 4, **changed)


def test_the_tight_game_is_equal() -> None:
    play(TIGHT, hoarding, 4)


def test_map_files_are_read_as_the_original_reads_them() -> None:
    folder = map_folder()
    assert folder is not None
    names = sorted(path.name for path in folder.glob("*.txt"))
    assert len(names) == 11
    for name in names:
        config = {"map": name, "scenario_config": {"fixed_four_skill_and_loc": False}}
        twin = VectorGatherTradeBuild(1, **config)
        original = OriginalEconomy(twin.config, file=name)
        twin.reset(1)
        original.state = np.random.RandomState(child_seeds(1, 1)[0]).get_state()
        compare(twin, original, original.reset(), 0, name)
    rows = ";".join(read_map(PAPER_MAP)) + ";"
    assert rows == (folder / PAPER_MAP).read_text()
