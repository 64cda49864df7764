"""What agents and planner see and may do: one float32 vector each, written by a kernel, and the original's arrays.

An agent's vector is a picture ``[V, V, 9]`` of what is around it and then the original's flat, where V is twice its
view and one. Channels are the original's world-map (stone, wood, house, water, sources of stone and wood, inside the
map) and world-idx_map (houses' owners and agents: 0 nobody, 1 itself, i + 2 agent i). The planner's vector is the
picture of the map ``[H, W, 9]``, flat, and p0, p1, ... ``[8]`` each.

For networks (``rules.for_networks``) small numbers are scaled up, houses' owners and agents become planes of zeros and
ones (own houses, other agents), and the planner's vector has no picture.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from env_wrappers.cleanup.kernel import copy_bytes
from env_wrappers.compiled import inlined, lean
from env_wrappers.gather_trade_build.twin.arrays import (
    AGENT,
    ASKS,
    BIDS,
    CHANNELS,
    COIN,
    INSIDE,
    OWNER,
    STONE,
    WOOD,
    Game,
    Rules,
)
from env_wrappers.gather_trade_build.twin.kernel import accessible, can_build, tree_sum
from env_wrappers.gather_trade_build.twin.taxes import marginal_rate

if TYPE_CHECKING:
    from env_wrappers.gather_trade_build.twin.config import TwinConfig
    from env_wrappers.gather_trade_build.twin.vector import VectorGatherTradeBuild

#: Numbers of the planner about one agent.
PER_AGENT = 8


class Views(NamedTuple):
    """Buffers: ``[B, N, D]``, ``[B, D_planner]`` float32 and ``[B, N, A]`` bool."""

    agents: np.ndarray
    planner: np.ndarray
    masks: np.ndarray


def agent_picture(config: TwinConfig) -> tuple[int, int, int]:
    """``[V, V, 9]``: shape of an agent's picture."""
    side = 2 * config.settings.mobile_agent_observation_range + 1
    return side, side, CHANNELS


def agent_sizes(config: TwinConfig) -> tuple[int, int]:
    """Lengths of an agent's picture and flat."""
    return math.prod(agent_picture(config)), 15 + len(config.cutoffs) + 10 * config.prices + config.num_agents


def planner_picture(config: TwinConfig) -> tuple[int, int, int] | None:
    """``[H, W, 9]``: shape of the planner's picture, or None."""
    return None if config.for_networks else (len(config.rows), len(config.rows[0]), CHANNELS)


def planner_sizes(config: TwinConfig) -> tuple[int, int, int]:
    """Lengths of the planner's picture and flat, and of p0, p1, ... together."""
    picture, n = planner_picture(config), config.num_agents
    return math.prod(picture) if picture else 0, 9 + len(config.cutoffs) + 6 * config.prices + n, PER_AGENT * n


@inlined
def write_windows(rules: Rules, game: Game, out: np.ndarray, b: int, i: int) -> int:
    """Copies what is around agent i, who sees itself and its houses as 1; returns where to go on."""
    side = 2 * rules.border + 1
    first = game.cells[b, i] - rules.border * (rules.width + 1)
    canvas, length = game.canvas[b].reshape(-1), side * CHANNELS
    for row in range(side):
        copy_bytes(out, row * length, canvas, (first + row * rules.width) * CHANNELS, length * 4)
    if rules.for_networks:
        for k in range(side * side):
            out[k * CHANNELS + OWNER] = out[k * CHANNELS + OWNER] == i + 2
            out[k * CHANNELS + AGENT] = out[k * CHANNELS + AGENT] > 0
        out[(side * side // 2) * CHANNELS + AGENT] = 0
        return side * length
    out[(side * side // 2) * CHANNELS + AGENT] = 1
    if game.houses[b, i] > 0:
        for k in range(side * side):
            if out[k * CHANNELS + OWNER] == i + 2:
                out[k * CHANNELS + OWNER] = 1
    return side * length


@inlined
def write_market(rules: Rules, game: Game, shared: np.ndarray, net: np.ndarray, b: int) -> None:
    """What all see of the market, into ``shared`` ``[6 P + 2]``: asks, bids, sales by price; two mean prices."""
    n, prices = game.history.shape[2:]
    unit = 0.1 if rules.for_networks else 0.01
    for resource in range(2):
        for p in range(prices):
            asks, bids, sales = np.float32(0), np.float32(0), 0.0
            for i in range(n):
                asks += game.levels[b, resource, ASKS, i, p]
                bids += game.levels[b, resource, BIDS, i, p]
                sales += game.history[b, resource, i, p]
            shared[resource * prices + p] = asks
            shared[(2 + resource) * prices + p] = bids
            shared[(4 + resource) * prices + p] = sales * unit
            net[p] = sales
        value = 0.0
        for p in range(prices):
            value += p * net[p]
        shared[6 * prices + resource] = value / max(0.001, tree_sum(net, prices))


@inlined
def write_agent(
    rules: Rules, game: Game, shared: np.ndarray, incomes: np.ndarray, out: np.ndarray, at: int, b: int, i: int
) -> None:
    """The agent's flat numbers, in the order of the original's sorted names."""
    n, prices = game.history.shape[2:]
    out[at] = game.payment[b, i] / rules.payment
    out[at + 1] = game.skill[b, i]
    at += 2
    for resource in range(2):
        for p in range(prices):
            k = resource * prices + p
            asks, bids = game.levels[b, resource, ASKS, i, p], game.levels[b, resource, BIDS, i, p]
            out[at + k] = shared[k] - asks
            out[at + 2 * prices + k] = shared[2 * prices + k] - bids
            out[at + 4 * prices + 2 + k] = asks
            out[at + 6 * prices + 2 + k] = bids
            out[at + 8 * prices + 2 + k] = shared[4 * prices + k]
        out[at + 4 * prices + resource] = shared[6 * prices + resource]
    at += 10 * prices + 2
    out[at] = game.bonus[b, i]
    at += 1
    at = write_tax(rules, game, out, at, b)
    for k in range(n):
        out[at + k] = incomes[k]
    at += n
    coin = game.inventory[b, i, COIN]
    out[at] = marginal_rate(rules, game, b, (coin + game.escrow[b, i, COIN]) - game.last_coin[b, i])
    out[at + 1] = game.day[b] / rules.period
    out[at + 2] = game.t[b] / rules.max_steps
    write_belongings(rules, game, out, at + 3, b, i)


@inlined
def write_tax(rules: Rules, game: Game, out: np.ndarray, at: int, b: int) -> int:
    """Rates, first day, tax day."""
    brackets = game.rates.shape[1]
    for k in range(brackets):
        out[at + k] = game.shown[b, k]
    out[at + brackets] = game.day[b] == 1
    out[at + brackets + 1] = game.day[b] >= rules.period
    return at + brackets + 2


@inlined
def write_belongings(rules: Rules, game: Game, out: np.ndarray, at: int, b: int, i: int) -> None:
    """Coin, stone, wood, column, row."""
    unit = 0.2 if rules.for_networks else 0.01
    out[at] = game.inventory[b, i, COIN] * 0.01
    out[at + 1] = game.inventory[b, i, STONE] * unit
    out[at + 2] = game.inventory[b, i, WOOD] * unit
    cell = game.cells[b, i]
    out[at + 3] = (cell % rules.width - rules.border) / rules.columns
    out[at + 4] = (cell // rules.width - rules.border) / (len(rules.free) // rules.columns)


@inlined
def write_planner(rules: Rules, game: Game, shared: np.ndarray, incomes: np.ndarray, out: np.ndarray, b: int) -> None:
    """The planner's vector."""
    n, prices = game.history.shape[2:]
    rows = len(rules.free) // rules.columns
    canvas, length = game.canvas[b].reshape(-1), rules.columns * CHANNELS
    at = 0
    if not rules.for_networks:
        for row in range(rows):
            copy_bytes(out, row * length, canvas, rules.free[row * rules.columns] * CHANNELS, length * 4)
        at = rows * length
    for k in range(4 * prices):
        out[at + k] = shared[k]
    out[at + 4 * prices] = shared[6 * prices]
    out[at + 4 * prices + 1] = shared[6 * prices + 1]
    for k in range(2 * prices):
        out[at + 4 * prices + 2 + k] = shared[4 * prices + k]
    at = write_tax(rules, game, out, at + 6 * prices + 2, b)
    for k in range(n):
        out[at + k] = incomes[k]
    out[at + n] = game.day[b] / rules.period
    out[at + n + 1] = game.t[b] / rules.max_steps
    # Its own coin, stone and wood stay 0.
    at += n + 5
    for i in range(n):
        income = (game.inventory[b, i, COIN] + game.escrow[b, i, COIN]) - game.last_coin[b, i]
        out[at] = marginal_rate(rules, game, b, income)
        out[at + 1] = game.last_income[b, i] / rules.period
        out[at + 2] = game.last_marginal[b, i]
        write_belongings(rules, game, out, at + 3, b, i)
        at += PER_AGENT


@inlined
def write_mask(rules: Rules, game: Game, mask: np.ndarray, b: int, i: int) -> None:
    """What agent i may do: no-op, build, buying and selling stone and wood at each price, four directions."""
    prices = game.history.shape[3]
    mask[0] = True
    mask[1] = can_build(game, b, i)
    at = 2
    for resource in (STONE, WOOD):
        room = game.open_orders[b, resource, i] < rules.max_num_orders
        for p in range(prices):
            mask[at + p] = room and p <= game.inventory[b, i, COIN]
        at += prices
        for p in range(prices):
            mask[at + p] = room and game.inventory[b, i, resource] > 0
        at += prices
    for k in range(4):
        mask[at + k] = accessible(game, b, i, game.cells[b, i] + rules.offsets[k])


@lean
def observe(rules: Rules, game: Game, views: Views) -> None:
    """Writes the observations and masks of every copy."""
    n = game.cells.shape[1]
    shared, net, incomes = game.shared, game.net, game.incomes
    for b in range(len(game.t)):
        write_market(rules, game, shared, net, b)
        for i in range(n):
            income = game.last_income[b, i] / rules.period
            k = i
            while k > 0 and incomes[k - 1] > income:
                incomes[k] = incomes[k - 1]
                k -= 1
            incomes[k] = income
        for i in range(n):
            at = write_windows(rules, game, views.agents[b, i], b, i)
            write_agent(rules, game, shared, incomes, views.agents[b, i], at, b, i)
            write_mask(rules, game, views.masks[b, i], b, i)
        write_planner(rules, game, shared, incomes, views.planner[b], b)


# -- the original's arrays --------------------------------------------------------------------------------


def agent_arrays(env: VectorGatherTradeBuild, b: int, i: int) -> dict[str, np.ndarray]:
    """What the original gives to agent i: world-map, world-idx_map (int16), time, flat, action_mask (float32)."""
    config = env.config
    length, _ = agent_sizes(config)
    picture, flat = np.split(env.observations[0][b, i].copy(), [length])
    channels = picture.reshape(agent_picture(config)).transpose(2, 0, 1)
    return {
        "world-map": channels[:OWNER],
        "world-idx_map": channels[OWNER:].astype(np.int16),
        "time": flat[-6:-5],
        "flat": flat,
        "action_mask": np.asarray(env.action_masks[0])[b, i].astype(np.float32),
    }


def planner_arrays(env: VectorGatherTradeBuild, b: int) -> dict[str, Any]:
    """What the original gives to the planner, without its mask: world-map, world-idx_map, time, flat, p0, p1, ..."""
    config = env.config
    sizes = planner_sizes(config)
    picture, flat, others = np.split(env.state[b].copy(), np.cumsum(sizes[:-1]))
    rows, columns = len(config.rows), len(config.rows[0])
    channels = picture.reshape(rows, columns, CHANNELS).transpose(2, 0, 1)
    arrays: dict[str, Any] = {
        "world-map": channels[:INSIDE],
        "world-idx_map": channels[OWNER:].astype(np.int16),
        "time": flat[-4:-3],
        "flat": flat,
    }
    return arrays | {f"p{i}": p for i, p in enumerate(others.reshape(config.num_agents, PER_AGENT))}
