"""The kernels' arrays, from a checked configuration."""

from __future__ import annotations

import numpy as np

from env_wrappers.gather_trade_build.twin import arrays
from env_wrappers.gather_trade_build.twin.arrays import Game, Rules
from env_wrappers.gather_trade_build.twin.config import SKILLS, TwinConfig


def make_rules(config: TwinConfig) -> Rules:
    """The kernels' rules."""
    border, rows = config.settings.mobile_agent_observation_range, config.rows
    height, columns = len(rows), len(rows[0])
    width = columns + 2 * border
    symbols = np.array([list(row) for row in rows])
    ground = np.zeros((arrays.CHANNELS, height + 2 * border, width), np.float32)
    inner = ground[:, border:-border, border:-border]
    for channels, symbol in (((0, 4), "S"), ((1, 5), "W"), ((3,), "@")):
        for channel in channels:
            inner[channel] = symbols == symbol
    inner[arrays.INSIDE] = 1
    cells = np.arange(height * columns)
    free = (cells // columns + border) * width + cells % columns + border
    numbers = [np.flatnonzero(symbols.ravel() == symbol) for symbol in "SW"]
    places = np.full((2, max(len(k) for k in numbers)), -1, np.int64)
    for resource, found in enumerate(numbers):
        places[resource, : len(found)] = found
    corners = [(r + border) * width + c + border for r, c in config.corners]
    cutoffs = config.cutoffs
    prices = np.arange(config.prices)
    build, market, gather, settings = config.build, config.market, config.gather, config.settings
    return arrays.Rules(
        ground=np.ascontiguousarray(ground.reshape(arrays.CHANNELS, -1).T),
        free=free,
        sources=np.where(places < 0, -1, free[places]),
        source_numbers=places,
        offsets=np.array([-1, 1, -width, width], np.int64),
        kinds=np.concatenate([[0, 1], np.repeat([2, 3, 4, 5], config.prices), [6] * 4]).astype(np.int64),
        amounts=np.concatenate([[0, 0], np.tile(prices, 4), np.arange(4)]).astype(np.int64),
        corners=np.array(corners, np.int64),
        corner_payments=_corner_payments(config),
        cutoffs=cutoffs,
        sizes=np.append(cutoffs[1:], np.inf) - cutoffs,
        start_rates=np.array(config.rates),
        columns=columns,
        width=width,
        border=border,
        max_steps=config.max_steps,
        payment=float(build.payment),
        skill_multiplier=float(build.payment_max_skill_multiplier),
        build_skill=SKILLS.index(build.skill_dist),
        build_labor=float(build.build_labor),
        order_labor=float(market.order_labor),
        order_duration=market.order_duration,
        max_num_orders=config.max_orders,
        move_labor=float(gather.move_labor),
        collect_labor=float(gather.collect_labor),
        gather_skill=SKILLS.index(gather.skill_dist),
        period=config.tax_settings.period,
        external=config.tax in ("external", "planner"),
        saez=config.tax == "saez",
        annealed=config.annealing is not None and config.tax != "planner",
        warmup=config.annealing[0] if config.annealing else 0.0,
        slope=config.annealing[1] if config.annealing else 0.0,
        regeneration=float(settings.resource_regen_prob),
        starting_coin=float(settings.starting_agent_coin),
        eta=float(settings.isoelastic_eta),
        energy_cost=float(settings.energy_cost),
        equality_weight=1 - settings.mixing_weight_gini_vs_coin,
        planner_objective=config.objective == "planner",
        for_networks=config.for_networks,
    )


def _corner_payments(config: TwinConfig) -> np.ndarray:
    """``[N]`` means of sorted Pareto skills, from the draws with which the original estimates them."""
    if not config.corners:
        return np.zeros(0)
    most = config.build.payment_max_skill_multiplier
    draws = np.random.RandomState(1).pareto(4, size=(100000, config.num_agents))
    skills = np.sort(np.minimum(most, (most - 1) * draws + 1), axis=1)
    return np.asarray(skills.mean(axis=0) * config.build.payment)


def make_game(config: TwinConfig, rules: Rules, num_envs: int) -> Game:
    """Zeros, of the shapes that the kernels want."""
    b, n, p, orders = num_envs, config.num_agents, config.prices, config.num_agents * config.max_orders
    cap = 1.0 if not rules.annealed else max(0.0, min(1.0, rules.slope * -rules.warmup))
    numbers = (
        *("labor", "payment", "skill", "bonus", "last_coin", "last_income", "last_marginal", "utility"),
        *("traded", "taxed"),
    )
    return arrays.Game(
        canvas=np.zeros((b, *rules.ground.shape), np.float32),
        cells=np.zeros((b, n), np.int64),
        inventory=np.zeros((b, n, 3)),
        escrow=np.zeros((b, n, 3)),
        who=np.zeros((b, 2, 2, orders), np.int64),
        price=np.zeros((b, 2, 2, orders), np.int64),
        life=np.zeros((b, 2, 2, orders), np.int64),
        size=np.zeros((b, 2, 2), np.int64),
        open_orders=np.zeros((b, 2, n), np.int64),
        levels=np.zeros((b, 2, 2, n, p), np.float32),
        history=np.zeros((b, 2, n, p)),
        rates=np.zeros((b, len(rules.cutoffs))),
        wanted=np.zeros((b, len(rules.cutoffs))),
        shown=np.zeros((b, len(rules.cutoffs))),
        average_rates=np.zeros((b, len(rules.cutoffs))),
        rate_sum=np.zeros((b, len(rules.cutoffs))),
        seen=np.zeros((b, arrays.SAEZ_INCOMES if rules.saez else 0, 2)),
        num_seen=np.zeros(b, np.int64),
        elasticity=np.full(b, 0.5),
        collected=np.zeros((b, n, 2)),
        cap=np.full(b, cap),
        day=np.ones(b, np.int64),
        houses=np.zeros((b, n), np.int64),
        gaps=np.zeros(n * n),
        net=np.zeros(p),
        shared=np.zeros(6 * p + 2),
        **{name: np.zeros(n, np.int64) for name in ("order", "kinds", "amounts")},
        **{name: np.zeros(n) for name in ("coins", "previous", "incomes")},
        **{name: np.zeros((b, n)) for name in numbers},
        **{name: np.zeros(b) for name in ("welfare", "welfare_sum", "shared_out")},
        **{name: np.zeros(b, np.int64) for name in ("t", "episodes", "trades")},
    )
