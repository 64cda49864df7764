"""Steps and resets of B economies; the rules of ``layout_from_file/simple_wood_and_stone``.

Numbers are added in the order in which the original adds them, so that they are equal to the last bit.
"""

from __future__ import annotations

import numpy as np

from env_wrappers.compiled import inlined, lean
from env_wrappers.gather_trade_build.twin.arrays import (
    AGENT,
    ASKS,
    BIDS,
    COIN,
    HOUSE,
    INSIDE,
    LOGNORMAL,
    OWNER,
    PARETO,
    STONE,
    STONE_SOURCE,
    WATER,
    WOOD,
    WOOD_SOURCE,
    Game,
    Reports,
    Rules,
)
from env_wrappers.gather_trade_build.twin.market import expire_orders, match_orders, place_order, sort_orders
from env_wrappers.gather_trade_build.twin.rng import (
    Generators,
    lognormal,
    pareto,
    permute,
    skip_uniform,
    uniform,
    up_to,
)
from env_wrappers.gather_trade_build.twin.taxes import set_cap, start_taxes, tax

# Types of actions, as in config.TYPE_NAMES.
BUILD, BUY_STONE, SELL_STONE, BUY_WOOD, SELL_WOOD, GATHER = range(1, 7)


@inlined
def tree_sum(values: np.ndarray, count: int) -> float:
    """Sum of up to 128 numbers in NumPy's order: eight sums beside each other, and then the rest."""
    if count < 8:
        total = 0.0
        for k in range(count):
            total += values[k]
        return total
    whole = count - count % 8
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(0, whole, 8):
        a += values[k]
        b += values[k + 1]
        c += values[k + 2]
        d += values[k + 3]
        e += values[k + 4]
        f += values[k + 5]
        g += values[k + 6]
        h += values[k + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for k in range(whole, count):
        total += values[k]
    return total


@inlined
def accessible(game: Game, b: int, i: int, cell: int) -> bool:
    """Whether agent i could go there: inside, no water, nobody else's house, nobody there."""
    canvas = game.canvas[b]
    owner = canvas[cell, OWNER]
    return (
        canvas[cell, INSIDE] != 0
        and canvas[cell, WATER] == 0
        and (owner == 0 or owner == i + 2)
        and canvas[cell, AGENT] == 0
    )


@inlined
def can_build(game: Game, b: int, i: int) -> bool:
    """Whether agent i has stone and wood, and stands on a cell without anything, even a source."""
    canvas, cell = game.canvas[b], game.cells[b, i]
    return (
        game.inventory[b, i, STONE] >= 1
        and game.inventory[b, i, WOOD] >= 1
        and canvas[cell, STONE_SOURCE] == 0
        and canvas[cell, WOOD_SOURCE] == 0
        and canvas[cell, HOUSE] == 0
        and canvas[cell, WATER] == 0
    )


@inlined
def build(rules: Rules, game: Game, generators: Generators, kinds: np.ndarray, b: int) -> None:
    """Houses, in random order."""
    permute(generators, b, game.order)
    for i in game.order:
        if kinds[i] == BUILD and can_build(game, b, i):
            game.inventory[b, i, WOOD] -= 1.0
            game.inventory[b, i, STONE] -= 1.0
            game.canvas[b, game.cells[b, i], HOUSE] = 1
            game.canvas[b, game.cells[b, i], OWNER] = i + 2
            game.inventory[b, i, COIN] += game.payment[b, i]
            game.labor[b, i] += rules.build_labor
            game.houses[b, i] += 1


@inlined
def auction(rules: Rules, game: Game, kinds: np.ndarray, amounts: np.ndarray, b: int) -> None:
    """Orders, trades, and the end of old orders."""
    n, prices = game.history.shape[2:]
    for resource in range(2):
        for i in range(n):
            for p in range(prices):
                game.history[b, resource, i, p] *= 0.995
            if kinds[i] == BUY_STONE + 2 * resource:
                place_order(rules, game, b, resource, BIDS, i, amounts[i])
            elif kinds[i] == SELL_STONE + 2 * resource:
                place_order(rules, game, b, resource, ASKS, i, amounts[i])
    for resource in range(2):
        for side in range(2):
            sort_orders(game, b, resource, side)
        match_orders(game, b, resource)
    for resource in range(2):
        for side in range(2):
            expire_orders(rules, game, b, resource, side)


@inlined
def gather(rules: Rules, game: Game, generators: Generators, kinds: np.ndarray, amounts: np.ndarray, b: int) -> None:
    """Moves in random order; everybody takes what is on its cell, whatever it did."""
    permute(generators, b, game.order)
    canvas = game.canvas[b]
    for i in game.order:
        cell = game.cells[b, i]
        if kinds[i] == GATHER:
            target = cell + rules.offsets[amounts[i]]
            if accessible(game, b, i, target):
                canvas[cell, AGENT] = 0
                canvas[target, AGENT] = i + 2
                game.cells[b, i] = target
                cell = target
                game.labor[b, i] += rules.move_labor
        for resource in range(2):
            if canvas[cell, resource] != 0:
                lucky = uniform(generators, b) < game.bonus[b, i]
                amount = 2.0 if lucky else 1.0
                game.inventory[b, i, resource] += amount
                game.collected[b, i, resource] += amount
                canvas[cell, resource] = 0
                game.labor[b, i] += rules.collect_labor


@inlined
def regenerate(rules: Rules, game: Game, generators: Generators, b: int) -> None:
    """Wood and then stone grow again; the original draws a number for every cell of the map."""
    for resource in (WOOD, STONE):
        seen = 0
        for k in range(rules.sources.shape[1]):
            cell = rules.sources[resource, k]
            if cell < 0:
                break
            if game.canvas[b, cell, resource] == 0:
                skip_uniform(generators, b, rules.source_numbers[resource, k] - seen)
                if uniform(generators, b) < rules.regeneration:
                    game.canvas[b, cell, resource] = 1
                seen = rules.source_numbers[resource, k] + 1
        skip_uniform(generators, b, len(rules.free) - seen)


@inlined
def appraise(rules: Rules, game: Game, b: int) -> tuple[float, float]:
    """Agents' utilities and the planner's welfare; returns productivity * equality and the welfare's change."""
    n, coins = game.cells.shape[1], game.coins
    for i in range(n):
        coins[i] = game.inventory[b, i, COIN] + game.escrow[b, i, COIN]
        worth = (coins[i] ** (1.0 - rules.eta) - 1.0) / (1.0 - rules.eta)
        game.utility[b, i] = worth - game.labor[b, i] * rules.energy_cost
    total = tree_sum(coins, n)
    for i in range(n):
        for j in range(n):
            game.gaps[i * n + j] = abs(coins[i] - coins[j])
    gini = tree_sum(game.gaps, n * n) / (2 * n * total + 1e-10) / ((n - 1) / n)
    weighted = rules.equality_weight * (1 - gini) + (1 - rules.equality_weight)
    before = game.welfare[b]
    game.welfare[b] = weighted * (total / n)
    return total * (1 - gini), game.welfare[b] - before


@inlined
def draw_skill(rules: Rules, generators: Generators, b: int) -> float:
    """Of building."""
    if rules.build_skill == PARETO:
        return pareto(generators, b, 4.0)
    if rules.build_skill == LOGNORMAL:
        return lognormal(generators, b, -1.0, 0.5)
    return 1.0


@inlined
def draw_bonus(rules: Rules, generators: Generators, b: int) -> float:
    """The probability to collect two instead of one."""
    if rules.gather_skill == PARETO:
        return min(2.0, pareto(generators, b, 3.0)) / 2.0
    if rules.gather_skill == LOGNORMAL:
        return min(2.0, lognormal(generators, b, -2.022, 0.938)) / 2.0
    return 0.0


@inlined
def start_agents(rules: Rules, game: Game, generators: Generators, b: int) -> None:
    """Places and skills of agents: drawn, and then by the rank that each draws if there are corners."""
    n, canvas = game.cells.shape[1], game.canvas[b]
    rows = len(rules.free) // rules.columns
    for i in range(n):
        cell = -1
        while cell < 0 or not accessible(game, b, i, cell):
            row = up_to(generators, b, rows - 1)
            cell = rules.free[row * rules.columns + up_to(generators, b, rules.columns - 1)]
        game.cells[b, i] = cell
        canvas[cell, AGENT] = i + 2
    for i in range(n):
        skill = draw_skill(rules, generators, b)
        rate = min(rules.skill_multiplier, (rules.skill_multiplier - 1.0) * skill + 1.0)
        game.skill[b, i] = skill
        game.payment[b, i] = (rate if rules.build_skill else 1.0) * rules.payment
    for i in range(n):
        game.bonus[b, i] = draw_bonus(rules, generators, b)
    if len(rules.corners) > 0:
        for i in range(n):
            canvas[game.cells[b, i], AGENT] = 0
        permute(generators, b, game.order)
        for rank in range(n):
            i = game.order[rank]
            game.cells[b, i] = rules.corners[rank]
            canvas[rules.corners[rank], AGENT] = i + 2
            game.payment[b, i] = rules.corner_payments[rank]


@inlined
def start(rules: Rules, game: Game, generators: Generators, reports: Reports, b: int) -> None:
    """A new episode of copy b."""
    for cell in range(rules.ground.shape[0]):
        for channel in range(rules.ground.shape[1]):
            game.canvas[b, cell, channel] = rules.ground[cell, channel]
    game.inventory[b] = 0.0
    game.inventory[b, :, COIN] = rules.starting_coin
    game.escrow[b] = 0.0
    game.labor[b] = 0.0
    start_agents(rules, game, generators, b)
    game.size[b] = 0
    game.open_orders[b] = 0
    game.levels[b] = 0.0
    game.history[b] = 0.0
    start_taxes(rules, game, b)
    game.t[b] = 0
    game.trades[b] = 0
    game.houses[b] = 0
    game.traded[b] = 0.0
    game.collected[b] = 0.0
    game.welfare_sum[b] = 0.0
    appraise(rules, game, b)
    reports.episode_over[b] = False
    reports.active[b] = True
    reports.designer_due[b] = rules.external


@inlined
def play(
    rules: Rules, game: Game, generators: Generators, reports: Reports, kinds: np.ndarray, amounts: np.ndarray, b: int
) -> None:
    """One step of a copy whose episode goes on."""
    set_cap(rules, game, b)
    game.t[b] += 1
    build(rules, game, generators, kinds, b)
    auction(rules, game, kinds, amounts, b)
    gather(rules, game, generators, kinds, amounts, b)
    tax(rules, game, generators, reports, b)
    regenerate(rules, game, generators, b)
    for i in range(len(kinds)):
        reports.context.previous_utility[b, i] = game.utility[b, i]
        game.previous[i] = game.utility[b, i]
    level, change = appraise(rules, game, b)
    cut = game.t[b] >= rules.max_steps
    for i in range(len(kinds)):
        reports.rewards[b, i] = game.utility[b, i] - game.previous[i]
        reports.context.labor[b, i] = game.labor[b, i]
        reports.action_types[b, i] = kinds[i]
        for k in range(reports.action_features.shape[2]):
            reports.action_features[b, i, k] = k == kinds[i]
        reports.active[b, i] = not cut
        reports.truncated[b, i] = cut
    for k in range(game.rates.shape[1]):
        reports.context.rates[b, k] = game.rates[b, k]
    game.welfare_sum[b] += level
    reports.context.rate_cap[b] = game.cap[b]
    reports.designer_reward[b] = change if rules.planner_objective else level
    reports.episode_over[b] = cut
    reports.designer_due[b] = rules.external and game.day[b] == 1 and not cut
    game.episodes[b] += cut


@inlined
def report_nothing(reports: Reports, b: int) -> None:
    """For a copy that did not step."""
    reports.rewards[b] = 0.0
    reports.truncated[b] = False
    reports.action_types[b] = 0
    reports.action_features[b] = 0.0
    reports.designer_reward[b] = 0.0
    reports.context.tax_day[b] = 0.0
    reports.context.income[b] = 0.0
    reports.context.coin[b] = 0.0
    reports.context.escrow_coin[b] = 0.0
    reports.context.labor[b] = 0.0
    reports.context.previous_utility[b] = 0.0
    reports.context.rates[b] = 0.0
    reports.context.rate_cap[b] = 0.0


# -- called from Python -----------------------------------------------------------------------------------


@lean
def reset(rules: Rules, game: Game, generators: Generators, reports: Reports, which: np.ndarray) -> None:
    """Starts a new episode in those copies where ``which`` ``[B]`` bool is true."""
    for b in range(len(game.t)):
        if which[b]:
            start(rules, game, generators, reports, b)


@lean
def step(
    rules: Rules, game: Game, generators: Generators, reports: Reports, actions: np.ndarray, autoreset: bool
) -> bool:
    """One step of every copy: played, or left as it is. To reset those that say ``was_reset`` is up to the caller.

    Args:
        rules, game, generators, reports: see there; all but rules are written.
        actions: ``[B, N]`` int64.
        autoreset: whether copies whose episode is over are reset.

    Returns:
        False, with nothing changed, if an action is not one of those there are.
    """
    copies, n = game.cells.shape
    for b in range(copies):
        for i in range(n):
            if not reports.episode_over[b] and not 0 <= actions[b, i] < len(rules.kinds):
                return False
    kinds, amounts = game.kinds, game.amounts
    for b in range(copies):
        reports.was_reset[b] = reports.episode_over[b] and autoreset
        if not reports.episode_over[b]:
            for i in range(n):
                kinds[i] = rules.kinds[actions[b, i]]
                amounts[i] = rules.amounts[actions[b, i]]
            play(rules, game, generators, reports, kinds, amounts, b)
        else:
            report_nothing(reports, b)
    return True
