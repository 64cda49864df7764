"""What the arrays of the kernels tell people: an episode in figures, and what there is to see."""

from __future__ import annotations

import numpy as np

from env_wrappers.gather_trade_build.measures import Accounts
from env_wrappers.gather_trade_build.pictures import Scene
from env_wrappers.gather_trade_build.twin.arrays import (
    COIN,
    OWNER,
    STONE,
    STONE_SOURCE,
    WATER,
    WOOD,
    WOOD_SOURCE,
    Game,
    Rules,
)


def accounts(rules: Rules, game: Game, which: np.ndarray) -> Accounts:
    """The books of those copies for which ``which`` ``[B]`` bool is true."""
    coin = game.inventory[which, :, COIN] + game.escrow[which, :, COIN]
    return Accounts(
        welfare=game.welfare_sum[which],
        skill=game.payment[which],
        coin=coin,
        start_coin=np.full_like(coin, rules.starting_coin),
        taxed=game.taxed[which],
        shared_out=game.shared_out[which],
        cutoffs=rules.cutoffs,
        rates=game.rate_sum[which] / np.maximum(1, game.t[which])[:, None],
        counts={"trades": game.trades[which].astype(float)},
        by_agent={
            "income_from_building": game.houses[which] * game.payment[which],
            "income_from_trading": game.traded[which],
            "stone_collected": game.collected[which, :, STONE],
            "wood_collected": game.collected[which, :, WOOD],
            "houses": game.houses[which].astype(float),
            "labor": game.labor[which],
        },
    )


def scene_of(rules: Rules, game: Game, b: int) -> Scene:
    """What a picture of copy b shows."""
    picture = game.canvas[b][rules.free].reshape(-1, rules.columns, game.canvas.shape[-1])
    rows, columns = np.divmod(game.cells[b], rules.width)
    stone, wood, coin = (game.inventory[b] + game.escrow[b]).T
    return Scene(
        water=picture[..., WATER],
        wood=picture[..., WOOD],
        stone=picture[..., STONE],
        wood_sources=picture[..., WOOD_SOURCE],
        stone_sources=picture[..., STONE_SOURCE],
        owners=picture[..., OWNER].astype(int) - 2,
        cells=np.stack([rows, columns], 1) - rules.border,
        skill=game.payment[b],
        coin=coin,
        wood_held=wood,
        stone_held=stone,
        houses=game.houses[b],
        labor=game.labor[b],
        cutoffs=rules.cutoffs,
        rates=game.rates[b],
        incomes=coin - game.last_coin[b],
        day=int(game.day[b]),
        period=rules.period,
        t=int(game.t[b]),
        max_steps=rules.max_steps,
    )
