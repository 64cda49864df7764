"""What there is to see of the original."""

from __future__ import annotations

from typing import Any

import numpy as np

from env_wrappers.gather_trade_build.pictures import Scene


def scene_of(original: Any, tax: Any) -> Scene:
    """What a picture shows.

    Args:
        original: the package's environment.
        tax: its tax component, or None.
    """
    world = original.world
    agents, present = world.agents, set(world.maps.keys())

    def layer(name: str) -> np.ndarray:
        return np.asarray(world.maps.get(name)) if name in present else np.zeros(world.world_size)

    def held(name: str) -> np.ndarray:
        return np.array(
            [agent.state["inventory"].get(name, 0) + agent.state["escrow"].get(name, 0) for agent in agents], float
        )

    owners = np.full(world.world_size, -1)
    if "House" in present:
        owners = np.where(layer("House") > 0, np.asarray(world.maps.get("House", owner=True)), -1)
    coin = held("Coin")
    return Scene(
        water=layer("Water"),
        wood=layer("Wood"),
        stone=layer("Stone"),
        wood_sources=layer("WoodSourceBlock"),
        stone_sources=layer("StoneSourceBlock"),
        owners=owners.astype(int),
        cells=np.array([agent.loc for agent in agents]),
        skill=np.array([agent.state.get("build_payment", agent.state.get("skill", 0.0)) for agent in agents], float),
        coin=coin,
        wood_held=held("Wood"),
        stone_held=held("Stone"),
        houses=np.array([(owners == agent.idx).sum() for agent in agents]),
        labor=np.array([agent.state["endogenous"]["Labor"] for agent in agents], float),
        cutoffs=np.zeros(0) if tax is None else np.asarray(tax.bracket_cutoffs),
        rates=np.zeros(0) if tax is None else np.asarray(tax.curr_marginal_rates, float),
        incomes=np.zeros(len(agents)) if tax is None else coin - np.asarray(tax.last_coin, float),
        day=1 if tax is None else int(tax.tax_cycle_pos),
        period=1 if tax is None else int(tax.period),
        t=int(world.timestep),
        max_steps=int(original.episode_length),
    )
