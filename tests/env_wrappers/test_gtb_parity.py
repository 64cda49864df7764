"""The twin beside the original: observations, masks, rewards, hidden state and generators, equal to the last bit."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from importlib import util
from typing import Any

import numpy as np
import pytest
from original_economy import OriginalEconomy

from env_wrappers.gather_trade_build.twin import VectorGatherTradeBuild
from env_wrappers.gather_trade_build.twin.arrays import ASKS, BIDS
from env_wrappers.gather_trade_build.twin.maps import PAPER_MAP, map_folder, read_map
from env_wrappers.gather_trade_build.twin.observations import agent_arrays, planner_arrays
from env_wrappers.gather_trade_build.twin.rng import legacy_state
from env_wrappers.vector import child_seeds

pytestmark = pytest.mark.skipif(
    util.find_spec("ai_economist") is None, reason="needs: pip install --no-deps ai-economist==1.7.1"
)
RESOURCES = ("Stone", "Wood", "Coin")
BUILD, BUYS_AND_SELLS = 1, slice(2, 46)
CROWDED = ["WSW W", "S   S", " @@  ", "W   S", "SWS W"]


def components(build: Any = None, market: Any = None, gather: Any = None, tax: Any = None) -> list[Any]:
    """All four."""
    return [
        {"Build": build or {"skill_dist": "pareto", "payment_max_skill_multiplier": 3}},
        {"ContinuousDoubleAuction": market or {"max_num_orders": 5}},
        {"Gather": gather or {}},
        {"PeriodicBracketTax": tax or {"period": 10}},
    ]


GAMES: dict[str, dict[str, Any]] = {
    "paper": {},
    "crowded": {
        "map": CROWDED,
        "num_agents": 3,
        "max_steps": 60,
        "scenario_config": {"resource_regen_prob": 0.3, "starting_agent_coin": 40, "mobile_agent_observation_range": 2},
        "components": components(market={"max_num_orders": 2, "order_duration": 7}, tax={"period": 4}),
    },
    "ten agents, no corners": {
        "num_agents": 10,
        "max_steps": 40,
        "scenario_config": {"fixed_four_skill_and_loc": False, "resource_regen_prob": 0.2, "starting_agent_coin": 7.3},
        "components": components(
            build={"skill_dist": "lognormal", "payment": 15, "payment_max_skill_multiplier": 2, "build_labor": 3.3},
            market={"max_bid_ask": 4, "order_duration": 3, "order_labor": 0.1},
            gather={"skill_dist": "lognormal", "move_labor": 0.7, "collect_labor": 0.3},
            tax={"period": 3, "usd_scaling": 10000.0},
        ),
    },
    "two agents, no skill": {
        "map": ["W  ", " @ ", "  S"],
        "num_agents": 2,
        "max_steps": 50,
        "scenario_config": {
            "fixed_four_skill_and_loc": False,
            "resource_regen_prob": 1.0,
            "isoelastic_eta": 0.0,
            "mixing_weight_gini_vs_coin": 0.3,
            "energy_cost": 0.5,
        },
        "components": components(build={"payment": 12}, gather={"skill_dist": "pareto"}, tax={"period": 1}),
    },
    "annealed": {
        "map": CROWDED,
        "max_steps": 20,
        "rate_cap_annealing": [1, 0.3],
        "scenario_config": {"resource_regen_prob": 0.4},
    },
}
Policy = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]


def random(rng: np.random.Generator, masks: np.ndarray, t: int) -> np.ndarray:
    """Legal or not."""
    return rng.integers(0, masks.shape[1], len(masks))


def legal(rng: np.random.Generator, masks: np.ndarray, t: int) -> np.ndarray:
    """Any legal action."""
    return np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])


def greedy(rng: np.random.Generator, masks: np.ndarray, t: int) -> np.ndarray:
    """Builds where possible, trades in half of the other steps, and else walks."""
    actions = []
    prices = (masks.shape[1] - 6) // 4
    for mask in masks:
        trades = 2 + np.flatnonzero(mask[2 : 2 + 4 * prices])
        moves = 2 + 4 * prices + np.flatnonzero(mask[2 + 4 * prices :])
        if mask[BUILD] and rng.random() < 0.8:
            actions.append(BUILD)
        elif len(trades) and rng.random() < 0.5:
            actions.append(rng.choice(trades))
        else:
            actions.append(rng.choice(moves) if len(moves) else 0)
    return np.array(actions)


def illegal(rng: np.random.Generator, masks: np.ndarray, t: int) -> np.ndarray:
    """What the mask forbids, where it forbids something."""
    return np.array([rng.choice(np.flatnonzero(mask == (0 if (mask == 0).any() else 1))) for mask in masks])


def scripted(rng: np.random.Generator, masks: np.ndarray, t: int) -> np.ndarray:
    """Everybody does the same, in turn."""
    return np.full(len(masks), (7 * t) % masks.shape[1])


def hoarding(rng: np.random.Generator, masks: np.ndarray, t: int) -> np.ndarray:
    """Builds where possible, and puts coin into the dearest bids, so that little is left for taxes."""
    actions, prices = greedy(rng, masks, t), (masks.shape[1] - 6) // 4
    for i, mask in enumerate(masks):
        bids = np.flatnonzero(mask[2 : 2 + prices] if rng.random() < 0.5 else mask[2 + 2 * prices : 2 + 3 * prices])
        if mask[BUILD]:
            actions[i] = BUILD
        elif len(bids) and bids[-1] > 0 and rng.random() < 0.5:
            first = 2 if mask[2 + bids[-1]] else 2 + 2 * prices
            actions[i] = first + bids[-1]
    return actions


POLICIES: dict[str, Policy] = {f.__name__: f for f in (random, legal, greedy, illegal, scripted, hoarding)}


class DifferenceError(AssertionError):
    """The twin and the original are not equal."""


def check(name: str, ours: Any, theirs: Any) -> None:
    """Raises DifferenceError unless both are equal in every bit (up to the sign of 0)."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape or not np.array_equal(ours, theirs):
        raise DifferenceError(f"{name}: {ours} is not {theirs}")


def compare(twin: VectorGatherTradeBuild, original: OriginalEconomy, seen: Any, b: int, where: str) -> None:
    """All that can be seen, and all that is hidden."""
    game, world = twin._game, original.world
    n = twin.config.num_agents
    for i in range(n):
        for key, value in agent_arrays(twin, b, i).items():
            check(f"{where}: agent {i}, {key}", value, np.asarray(seen[str(i)][key], value.dtype))
    for key, value in planner_arrays(twin, b).items():
        check(f"{where}: planner, {key}", value, np.asarray(seen["p"][key], value.dtype))
    market, tax = original.get_component("Trade"), original.tax
    for i, agent in enumerate(world.agents):
        state = agent.state
        check(f"{where}: inventory", game.inventory[b, i], [state["inventory"][k] for k in RESOURCES])
        check(f"{where}: escrow", game.escrow[b, i], [state["escrow"][k] for k in RESOURCES])
        check(f"{where}: labor", game.labor[b, i], state["endogenous"]["Labor"])
    for resource, name in enumerate(RESOURCES[:2]):
        for side, (orders, who, price) in {
            BIDS: (market.bids[name], "buyer", "bid"),
            ASKS: (market.asks[name], "seller", "ask"),
        }.items():
            theirs = [(o[who], o[price], o[f"{price}_lifetime"]) for o in orders]
            size = game.size[b, resource, side]
            books = (game.who, game.price, game.life)
            ours = list(zip(*(book[b, resource, side, :size].tolist() for book in books), strict=True))
            check(f"{where}: orders", ours, theirs)
        check(f"{where}: sales", game.history[b, resource], [market.price_history[name][i] for i in range(n)])
    check(f"{where}: utility", game.utility[b], [original.curr_optimization_metric[i] for i in range(n)])
    check(f"{where}: welfare", game.welfare[b], original.curr_optimization_metric["p"])
    check(f"{where}: last coin", game.last_coin[b], tax.last_coin)
    check(f"{where}: last income", game.last_income[b], tax.last_income)
    ours = legacy_state(twin.generators, b)
    check(f"{where}: generator", ours[1], original.state[1])
    check(f"{where}: generator", ours[2:], original.state[2:])


def play(
    config: dict[str, Any],
    policy: Policy,
    episodes: int,
    copies: int = 1,
    mutate: Any = None,
    tax: Any = None,
    **changed: Any,
) -> tuple[int, int]:
    """Plays both and compares after every step; returns trades and houses.

    Args:
        mutate: changes the original.
        tax: arguments for the original's tax component, where the rates do not come from outside.
        changed: arguments of the twin that differ from the original's.
    """
    twin = VectorGatherTradeBuild(copies, autoreset=True, **{**config, **changed})
    originals = [OriginalEconomy(VectorGatherTradeBuild(1, **config).config, tax) for _ in range(copies)]
    rng = np.random.default_rng(0)
    trades = houses = 0
    twin.reset(5)
    for original, seed in zip(originals, child_seeds(5, copies), strict=True):
        original.state = np.random.RandomState(seed).get_state()
        if mutate is not None:
            mutate(original)
    for episode in range(episodes):
        for b, original in enumerate(originals):
            compare(twin, original, original.reset(), b, f"episode {episode}, copy {b}, start")
        for t in range(twin.config.max_steps):
            actions = np.array([policy(rng, twin.action_masks[0][b], t) for b in range(copies)])
            rates = rng.random((copies, 7)) * (rng.random((copies, 7)) < 0.8)
            check("designer_due", twin.designer_due, [tax is None and o.tax.tax_cycle_pos == 1 for o in originals])
            twin.step([actions], rates)
            for b, original in enumerate(originals):
                if original.tax.tax_cycle_pos == 1:
                    original.tax.wanted = rates[b]
                seen, rewards, over = original.step(actions[b])
                where = f"episode {episode}, copy {b}, step {t}"
                compare(twin, original, seen, b, where)
                theirs = np.array([rewards[str(i)] for i in range(len(actions[b]))], np.float32)
                check(f"{where}: rewards", twin.rewards[b], theirs)
                check(f"{where}: over", twin.episode_over[b], over)
        trades, houses = trades + int(twin.trades.sum()), houses + int(twin.houses.sum())
        twin.step([actions])
        assert twin.was_reset.all()
    return trades, houses


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
    ],
    ids=["paper", "annealed", "fixed elasticity", "uniform weights"],
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


@pytest.mark.parametrize("annealing", [None, [1, 0.3]], ids=["free", "annealed"])
def test_discrete_rates_of_the_planner(annealing: Any) -> None:
    """Choices with and against the mask, in the right steps and in others."""
    config = {**BRISK, "tax": "planner", "rate_cap_annealing": annealing, "components": components(tax={"period": 3})}
    twin = VectorGatherTradeBuild(1, autoreset=True, **config)
    schedule = {"tax_annealing_schedule": annealing} if annealing else {}
    original = OriginalEconomy(twin.config, {"tax_model": "model_wrapper", **schedule})
    twin.reset(3)
    original.state = np.random.RandomState(child_seeds(3, 1)[0]).get_state()
    rng = np.random.default_rng(1)
    rates, allowed = set(), set()
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
            choices = rng.integers(0, 22, 7)
            twin.step([actions[None]], choices[None])
            if t < 20:
                seen, _, _ = original.step(actions, choices.tolist())
    assert rates == set(original.tax.disc_rates)
    # To leave each rate; and each of 21 rates, or of those under 0, 0.3, 0.6 and 0.9.
    assert allowed == {7, 154} if annealing is None else {7, 14, 56, 98, 140, 154}


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
    rows = ";".join(read_map(None)) + ";"
    assert rows == (folder / PAPER_MAP).read_text()
