"""The continuous double auction of one copy: an order book for stone and one for wood."""

from __future__ import annotations

from env_wrappers.compiled import inlined
from env_wrappers.gather_trade_build.twin.arrays import ASKS, BIDS, COIN, Game, Rules


@inlined
def place_order(rules: Rules, game: Game, b: int, resource: int, side: int, i: int, price: int) -> None:
    """A new order at the end of the book, if agent i can make it; what it promises goes to escrow."""
    if game.open_orders[b, resource, i] >= rules.max_num_orders:
        return
    good, amount = (COIN, float(price)) if side == BIDS else (resource, 1.0)
    if game.inventory[b, i, good] < amount:
        return
    k = game.size[b, resource, side]
    game.who[b, resource, side, k] = i
    game.price[b, resource, side, k] = price
    game.life[b, resource, side, k] = 0
    game.size[b, resource, side] = k + 1
    game.levels[b, resource, side, i, price] += 1
    game.open_orders[b, resource, i] += 1
    game.inventory[b, i, good] -= amount
    game.escrow[b, i, good] += amount
    game.labor[b, i] += rules.order_labor


@inlined
def _before(side: int, price: int, life: int, other_price: int, other_life: int) -> bool:
    """Whether an order goes first: high bids, low asks, and then the older one."""
    if price != other_price:
        return price > other_price if side == BIDS else price < other_price
    return life > other_life


@inlined
def sort_orders(game: Game, b: int, resource: int, side: int) -> None:
    """Sorts one side of a book; equal orders keep their places."""
    who, prices, lives = game.who[b, resource, side], game.price[b, resource, side], game.life[b, resource, side]
    for k in range(1, game.size[b, resource, side]):
        i, price, life = who[k], prices[k], lives[k]
        at = k
        while at > 0 and _before(side, price, life, prices[at - 1], lives[at - 1]):
            who[at], prices[at], lives[at] = who[at - 1], prices[at - 1], lives[at - 1]
            at -= 1
        who[at], prices[at], lives[at] = i, price, life


@inlined
def remove_order(game: Game, b: int, resource: int, side: int, k: int) -> None:
    """Takes an order out of the book, without touching escrow."""
    who, prices, lives = game.who[b, resource, side], game.price[b, resource, side], game.life[b, resource, side]
    game.levels[b, resource, side, who[k], prices[k]] -= 1
    game.open_orders[b, resource, who[k]] -= 1
    last = game.size[b, resource, side] - 1
    for j in range(k, last):
        who[j], prices[j], lives[j] = who[j + 1], prices[j + 1], lives[j + 1]
    game.size[b, resource, side] = last


@inlined
def trade(game: Game, b: int, resource: int, bid: int, ask: int) -> None:
    """Executes a bid and an ask at the price of the older one, or of the ask if they are equally old."""
    buyer, seller = game.who[b, resource, BIDS, bid], game.who[b, resource, ASKS, ask]
    offered, asked = game.price[b, resource, BIDS, bid], game.price[b, resource, ASKS, ask]
    price = asked if game.life[b, resource, BIDS, bid] <= game.life[b, resource, ASKS, ask] else offered
    remove_order(game, b, resource, BIDS, bid)
    remove_order(game, b, resource, ASKS, ask)
    game.history[b, resource, seller, price] += 1.0
    game.escrow[b, seller, resource] -= 1.0
    game.inventory[b, buyer, resource] += 1.0
    game.escrow[b, buyer, COIN] -= offered
    game.inventory[b, seller, COIN] += price
    game.inventory[b, buyer, COIN] += offered - price
    game.traded[b, seller] += price
    game.traded[b, buyer] -= price
    game.trades[b] += 1


@inlined
def match_orders(game: Game, b: int, resource: int) -> None:
    """Executes trades until no bid meets an ask.

    The best bid takes the best ask of somebody else. When that one is too dear for it, its buyer is out of this round
    with all other bids as well. Those can only be lower, so to go on behind the bid is the same.
    """
    bid = 0
    out = 0  # bit i: agent i is out
    while bid < game.size[b, resource, BIDS]:
        buyer = game.who[b, resource, BIDS, bid]
        if (out >> buyer) & 1:
            bid += 1
            continue
        ask = 0
        while ask < game.size[b, resource, ASKS] and game.who[b, resource, ASKS, ask] == buyer:
            ask += 1
        if (
            ask == game.size[b, resource, ASKS]
            or game.price[b, resource, BIDS, bid] < game.price[b, resource, ASKS, ask]
        ):
            out |= 1 << buyer
        else:
            trade(game, b, resource, bid, ask)
            bid = 0


@inlined
def expire_orders(rules: Rules, game: Game, b: int, resource: int, side: int) -> None:
    """All orders get older; those that are too old give back what they promised."""
    good = COIN if side == BIDS else resource
    k = 0
    while k < game.size[b, resource, side]:
        game.life[b, resource, side, k] += 1
        if game.life[b, resource, side, k] <= rules.order_duration:
            k += 1
            continue
        i = game.who[b, resource, side, k]
        amount = float(game.price[b, resource, side, k]) if side == BIDS else 1.0
        remove_order(game, b, resource, side, k)
        game.escrow[b, i, good] -= amount
        game.inventory[b, i, good] += amount
