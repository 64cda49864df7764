"""What the kernels work on: the rules, the B economies, and what they report."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from env_wrappers.facts import TaxContext

#: Resources by number, and coin behind them.
STONE, WOOD, COIN = range(3)
BIDS, ASKS = range(2)
#: Channels of the picture of a map.
HOUSE, WATER, STONE_SOURCE, WOOD_SOURCE, INSIDE, OWNER, AGENT, CHANNELS = 2, 3, 4, 5, 6, 7, 8, 9
#: Incomes that Saez' formula looks at.
SAEZ_INCOMES = 500
NO_SKILL, PARETO, LOGNORMAL = range(3)


class Rules(NamedTuple):
    """What stays the same. Cells are numbers in a map with a border as wide as agents see.

    Attributes:
        ground: ``[S, 9]`` float32, the picture at the start of an episode, without agents.
        free: int64 cells, row by row, that the map has (``[rows * columns]``).
        sources, source_numbers: ``[2, K]`` int64, cells where stone and wood grow, and their places in ``free``;
            -1 behind the last.
        offsets: ``[4]`` int64, steps left, right, up, down.
        kinds, amounts: ``[A]`` int64, the type of each action, and its price or direction.
        corners: ``[N]`` int64 cells by rank of skill, or empty.
        corner_payments: ``[N]`` float64.
        cutoffs, sizes: ``[K]`` float64, of tax brackets.
        start_rates: ``[K]`` float64.
        columns, width, border: int; of the map, of the bordered map.
        external: rates, or the planner's choices of them, come from outside; saez: they follow Saez' formula.
        The others are named as the package's arguments.
    """

    ground: np.ndarray
    free: np.ndarray
    sources: np.ndarray
    source_numbers: np.ndarray
    offsets: np.ndarray
    kinds: np.ndarray
    amounts: np.ndarray
    corners: np.ndarray
    corner_payments: np.ndarray
    cutoffs: np.ndarray
    sizes: np.ndarray
    start_rates: np.ndarray
    columns: int
    width: int
    border: int
    max_steps: int
    payment: float
    skill_multiplier: float
    build_skill: int
    build_labor: float
    order_labor: float
    order_duration: int
    max_num_orders: int
    move_labor: float
    collect_labor: float
    gather_skill: int
    period: int
    external: bool
    saez: bool
    annealed: bool
    warmup: float
    slope: float
    regeneration: float
    starting_coin: float
    eta: float
    energy_cost: float
    equality_weight: float
    planner_objective: bool
    for_networks: bool


class Game(NamedTuple):
    """The B economies.

    Attributes:
        canvas: ``[B, S, 9]`` float32: stone, wood, house, water, sources of stone and wood, inside, the house's owner
            + 2, the agent + 2.
        cells: ``[B, N]`` int64, where agents are.
        inventory, escrow: ``[B, N, 3]`` float64: stone, wood, coin.
        labor, payment, skill, bonus: ``[B, N]`` float64; payment for a house, and the skills that were drawn.
        who, price, life: ``[B, 2, 2, O]`` int64, open orders by resource and side, in the order of the book.
        size: ``[B, 2, 2]`` int64, how many of them.
        open_orders: ``[B, 2, N]`` int64.
        levels: ``[B, 2, 2, N, P]`` float32, open orders by price.
        history: ``[B, 2, N, P]`` float64, fading counts of sales by price.
        rates: ``[B, K]`` float64 in force; wanted: before the cap; shown: those that are observed.
        cap: ``[B]`` float64.
        average_rates: ``[B, K]`` float64, of Saez' rates, fading.
        seen: ``[B, 500, 2]`` float64, the last taxed incomes and their marginal rates, for Saez' formula (else
            ``[B, 0, 2]``); num_seen ``[B]`` int64 counts all of them, and the next one is at its remainder.
        elasticity: ``[B]`` float64, of incomes, as estimated.
        day: ``[B]`` int64 of the tax period, from 1.
        last_coin, last_income, last_marginal: ``[B, N]`` float64.
        utility, welfare: ``[B, N]`` and ``[B]`` float64, of agents, and the planner's social welfare.
        t, episodes, trades: ``[B]`` int64; finished episodes; trades of this episode.
        houses: ``[B, N]`` int64, of each agent.
        traded: ``[B, N]`` float64, coin of sales less that of purchases in this episode.
        collected: ``[B, N, 2]`` float64, stone and wood.
        taxed: ``[B, N]`` float64, taxes paid; shared_out ``[B]``: what each agent got back.
        welfare_sum, rate_sum: ``[B]`` and ``[B, K]`` float64, sums over steps of productivity * equality, and of
            rates (of the whole period, from its first step on).
        order, kinds, amounts, coins, previous, gaps, incomes, net, shared: scratch.
    """

    canvas: np.ndarray
    cells: np.ndarray
    inventory: np.ndarray
    escrow: np.ndarray
    labor: np.ndarray
    payment: np.ndarray
    skill: np.ndarray
    bonus: np.ndarray
    who: np.ndarray
    price: np.ndarray
    life: np.ndarray
    size: np.ndarray
    open_orders: np.ndarray
    levels: np.ndarray
    history: np.ndarray
    rates: np.ndarray
    wanted: np.ndarray
    shown: np.ndarray
    cap: np.ndarray
    average_rates: np.ndarray
    seen: np.ndarray
    num_seen: np.ndarray
    elasticity: np.ndarray
    day: np.ndarray
    last_coin: np.ndarray
    last_income: np.ndarray
    last_marginal: np.ndarray
    utility: np.ndarray
    welfare: np.ndarray
    t: np.ndarray
    episodes: np.ndarray
    trades: np.ndarray
    houses: np.ndarray
    traded: np.ndarray
    collected: np.ndarray
    taxed: np.ndarray
    shared_out: np.ndarray
    welfare_sum: np.ndarray
    rate_sum: np.ndarray
    order: np.ndarray
    kinds: np.ndarray
    amounts: np.ndarray
    coins: np.ndarray
    previous: np.ndarray
    gaps: np.ndarray
    incomes: np.ndarray
    net: np.ndarray
    shared: np.ndarray


class Reports(NamedTuple):
    """Buffers of a VectorIncentiveEnv."""

    active: np.ndarray
    rewards: np.ndarray
    truncated: np.ndarray
    episode_over: np.ndarray
    was_reset: np.ndarray
    action_types: np.ndarray
    action_features: np.ndarray
    designer_reward: np.ndarray
    designer_due: np.ndarray
    context: TaxContext[np.ndarray]
