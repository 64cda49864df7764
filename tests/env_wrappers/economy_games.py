"""Games of the economy and ways to play them, for tests that set the twin beside the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from original_economy import OriginalEconomy

from env_wrappers.gather_trade_build.twin import VectorGatherTradeBuild
from env_wrappers.gather_trade_build.twin.arrays import ASKS, BIDS
from env_wrappers.gather_trade_build.twin.observations import agent_arrays, planner_arrays
from env_wrappers.gather_trade_build.twin.rng import legacy_state
from env_wrappers.vector import child_seeds

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


#: Tax brackets of other kinds than the United States'.
LINEAR = {"bracket_spacing": "linear", "n_brackets": 3, "top_bracket_cutoff": 30}
LOG = {"bracket_spacing": "log", "n_brackets": 6, "top_bracket_cutoff": 45}
GAMES: dict[str, dict[str, Any]] = {
    "paper": {},
    "crowded": {
        "map": CROWDED,
        "num_agents": 3,
        "max_steps": 60,
        "scenario_config": {"resource_regen_prob": 0.3, "starting_agent_coin": 40, "mobile_agent_observation_range": 2},
        "components": components(market={"max_num_orders": 2, "order_duration": 7}, tax={"period": 4, **LINEAR}),
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
        "components": components(build={"payment": 12}, gather={"skill_dist": "pareto"}, tax={"period": 1, **LOG}),
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
    rng, shape = np.random.default_rng(0), (copies, len(twin.bracket_cutoffs))
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
            rates = rng.random(shape) * (rng.random(shape) < 0.8)
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
