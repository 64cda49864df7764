"""Taxes of one copy: who sets the rates, what is taken, and how it is handed out."""

from __future__ import annotations

from env_wrappers.compiled import inlined
from env_wrappers.gather_trade_build.twin.arrays import COIN, SAEZ_INCOMES, Game, Reports, Rules
from env_wrappers.gather_trade_build.twin.rng import Generators, uniform


@inlined
def bracket(rules: Rules, income: float) -> int:
    """The tax bracket of an income of at least 0."""
    k = 0
    while k + 1 < len(rules.cutoffs) and income >= rules.cutoffs[k + 1]:
        k += 1
    return k


@inlined
def marginal_rate(rules: Rules, game: Game, b: int, income: float) -> float:
    """What the next coin is taxed with."""
    return 0.0 if income < 0 else game.rates[b, bracket(rules, income)]


@inlined
def set_cap(rules: Rules, game: Game, b: int) -> None:
    """The annealed cap on rates, by finished episodes."""
    if rules.annealed:
        game.cap[b] = max(0.0, min(1.0, rules.slope * (game.episodes[b] - rules.warmup)))


@inlined
def set_rates(game: Game, b: int) -> None:
    """Rates in force: those that are wanted, under the cap."""
    for k in range(game.rates.shape[1]):
        game.rates[b, k] = min(game.wanted[b, k], game.cap[b])


@inlined
def show_rates(game: Game, b: int) -> None:
    """What is observed are the rates of this moment."""
    for k in range(game.rates.shape[1]):
        game.shown[b, k] = game.rates[b, k]


@inlined
def start_taxes(rules: Rules, game: Game, b: int) -> None:
    """A new episode; under Saez' formula it starts with its mean rates, and the last ones are still shown."""
    if rules.saez:
        show_rates(game, b)
    for k in range(len(rules.start_rates)):
        game.wanted[b, k] = game.average_rates[b, k] if rules.saez else rules.start_rates[k]
    set_rates(game, b)
    if not rules.saez:
        show_rates(game, b)
    game.day[b] = 1
    game.last_coin[b] = rules.starting_coin
    game.last_income[b] = 0.0
    game.last_marginal[b] = 0.0
    game.taxed[b] = 0.0
    game.shared_out[b] = 0.0
    game.rate_sum[b] = 0.0


@inlined
def begin_period(rules: Rules, game: Game, generators: Generators, b: int) -> None:
    """Rates for the period; ``wanted`` holds them already, but before there are incomes enough for Saez' formula."""
    if rules.saez:
        for k in range(game.rates.shape[1]):
            if game.num_seen[b] >= SAEZ_INCOMES:
                game.wanted[b, k] = min(max(game.wanted[b, k], 0.0), game.cap[b])
                game.average_rates[b, k] = game.average_rates[b, k] * 0.99 + game.wanted[b, k] * 0.01
            else:
                game.wanted[b, k] = game.cap[b] * uniform(generators, b)
    set_rates(game, b)
    show_rates(game, b)
    # This step is counted already; the last period may be cut short.
    steps = min(rules.period, rules.max_steps - game.t[b] + 1)
    for k in range(game.rates.shape[1]):
        game.rate_sum[b, k] += steps * game.rates[b, k]


@inlined
def enact(rules: Rules, game: Game, b: int) -> None:
    """Takes taxes and hands them out in equal shares."""
    n = game.cells.shape[1]
    revenue = 0.0
    for i in range(n):
        income = (game.inventory[b, i, COIN] + game.escrow[b, i, COIN]) - game.last_coin[b, i]
        due = 0.0
        for k in range(len(rules.cutoffs)):
            due += game.rates[b, k] * min(rules.sizes[k], max(0.0, income - rules.cutoffs[k]))
        paid = min(game.inventory[b, i, COIN], due)
        game.inventory[b, i, COIN] -= paid
        game.taxed[b, i] += paid
        revenue += paid
        game.last_income[b, i] = income
        game.last_marginal[b, i] = marginal_rate(rules, game, b, income)
    share = revenue / n
    game.shared_out[b] += share
    for i in range(n):
        game.inventory[b, i, COIN] += share
        game.last_coin[b, i] = game.inventory[b, i, COIN] + game.escrow[b, i, COIN]
    if rules.saez:
        for i in range(n):
            at = game.num_seen[b] % SAEZ_INCOMES
            game.seen[b, at, 0] = game.last_income[b, i]
            game.seen[b, at, 1] = game.last_marginal[b, i]
            game.num_seen[b] += 1


@inlined
def tax(rules: Rules, game: Game, generators: Generators, reports: Reports, b: int) -> None:
    """Sets rates on the first day of a period, and on the last takes taxes."""
    if game.day[b] == 1:
        begin_period(rules, game, generators, b)
    for i in range(game.cells.shape[1]):
        coin, escrow = game.inventory[b, i, COIN], game.escrow[b, i, COIN]
        reports.context.income[b, i] = (coin + escrow) - game.last_coin[b, i]
        reports.context.coin[b, i] = coin
        reports.context.escrow_coin[b, i] = escrow
    reports.context.tax_day[b] = game.day[b] >= rules.period
    if game.day[b] >= rules.period:
        enact(rules, game, b)
        game.day[b] = 0
    game.day[b] += 1
