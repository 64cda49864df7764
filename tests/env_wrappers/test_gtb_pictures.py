"""Pictures of the economy: what is on them, and the same of the twin and of the original."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from foundation_play import needs_package, noop
from pettingzoo.test import parallel_api_test

from env_wrappers import make, make_vec
from env_wrappers.gather_trade_build.pictures import Scene, as_text, draw_economy
from env_wrappers.gather_trade_build.twin import GatherTradeBuild
from env_wrappers.vector import child_seeds

#: 0 on the left, 1 on water's right; a house of 1 at the bottom right.
SCENE = Scene(
    water=np.array([[0, 1, 0], [0, 0, 0]], bool),
    wood=np.array([[0, 0, 0], [1, 0, 0]], bool),
    stone=np.array([[0, 0, 0], [0, 0, 0]], bool),
    wood_sources=np.array([[0, 0, 0], [1, 0, 0]], bool),
    stone_sources=np.array([[0, 0, 0], [0, 1, 0]], bool),
    owners=np.array([[-1, -1, -1], [-1, -1, 1]]),
    cells=np.array([[0, 0], [0, 2]]),
    skill=np.array([11.3, 22.2]),
    coin=np.array([30.0, 10.0]),
    wood_held=np.array([1.0, 0.0]),
    stone_held=np.array([0.0, 2.0]),
    houses=np.array([0, 1]),
    labor=np.array([3.25, 10.0]),
    cutoffs=np.array([0, 9.7]),
    rates=np.array([0.1, 0.25]),
    incomes=np.array([12.0, -3.0]),
    day=4,
    period=10,
    t=13,
    max_steps=100,
)


def test_text() -> None:
    assert as_text(SCENE).splitlines() == [
        "t=13  productivity 40.0  equality 0.500  welfare 20.0",
        "0@1",
        "Wsb",
        "1: skill 22.2  coin 10.0  wood 0  stone 2  houses 1  labor 10.0",
        "0: skill 11.3  coin 30.0  wood 1  stone 0  houses 0  labor 3.2",
        "tax 0+: 10%  9.7+: 25%",
    ]


def test_brackets_of_incomes() -> None:
    assert SCENE.brackets.tolist() == [1, 0]
    assert replace(SCENE, incomes=np.array([9.7, 9.69])).brackets.tolist() == [1, 0]


def test_everything_is_on_the_picture() -> None:
    picture = draw_economy(SCENE)
    assert picture.dtype == np.uint8
    # Three columns of the largest cells, and the panel; two rows are lower than what is written beside them.
    assert picture.shape[1] == 3 * 40 + 448
    assert picture.shape[0] > 2 * 40
    changes: dict[str, Any] = {
        "water": ~SCENE.water,
        "wood": ~SCENE.wood,
        "stone": ~SCENE.stone,
        "wood_sources": ~SCENE.wood_sources,
        "stone_sources": ~SCENE.stone_sources,
        "owners": -np.ones_like(SCENE.owners),
        "cells": SCENE.cells + np.array([[1, 0]]),
        "skill": SCENE.skill + 1,
        "coin": SCENE.coin * np.array([1, 2]),
        "wood_held": SCENE.wood_held + 1,
        "stone_held": SCENE.stone_held + 1,
        "houses": SCENE.houses + 1,
        "labor": SCENE.labor + 1,
        "rates": 2 * SCENE.rates,
        "cutoffs": 2 * SCENE.cutoffs,
        "incomes": SCENE.incomes - 3,
        "day": 5,
        "t": 14,
    }
    for name, value in changes.items():
        assert (draw_economy(replace(SCENE, **{name: value})) != picture).any(), name


def test_without_taxes_and_with_crowds() -> None:
    none = np.zeros(0)
    lower = draw_economy(replace(SCENE, cutoffs=none, rates=none))
    assert lower.shape[0] < draw_economy(SCENE).shape[0]
    many = {name: np.arange(10.0) for name in ("skill", "coin", "wood_held", "stone_held", "labor", "incomes")}
    crowd = replace(SCENE, cells=np.zeros((10, 2), int), houses=np.zeros(10), **many)
    assert draw_economy(crowd).shape[0] == draw_economy(SCENE).shape[0] + 8 * 24


@needs_package
def test_the_original_looks_the_same() -> None:
    config: dict[str, Any] = {"rates": [0.1 * k for k in range(1, 8)], "render_mode": "rgb_array"}
    twin, original = GatherTradeBuild(**config), make("gather_trade_build", backend="foundation", **config)
    batch = make_vec("gather_trade_build", 2, backend="foundation", **config)
    rng = np.random.default_rng(0)
    twin.reset(seed=6)
    original.reset(seed=child_seeds(6, 1)[0])
    batch.reset(6)
    for _ in range(30):
        masks = np.asarray(twin.economy.action_masks[0][0])
        actions = [int(rng.choice(np.flatnonzero(mask))) for mask in masks]
        twin.step(dict(zip(twin.agents, actions, strict=True)))
        original.step(dict(zip(original.agents, actions, strict=True)))
        batch.step([np.array([actions, [0] * 4])])
    picture = twin.render()
    assert picture is not None
    np.testing.assert_array_equal(picture, original.render())
    np.testing.assert_array_equal(picture, batch.render())


@needs_package
def test_scenarios_without_a_map_have_a_picture() -> None:
    env = make("gather_trade_build", backend="foundation", scenario="one-step-economy", render_mode="rgb_array")
    env.reset(seed=0)
    env.step(noop(env.unwrapped))
    assert env.render().ndim == 3


@needs_package
@pytest.mark.parametrize("backend", ["numba", "foundation"])
def test_human(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    env = make("gather_trade_build", backend=backend, tax="us_federal", render_mode="human")
    env.reset(seed=0)
    capsys.readouterr()
    env.step(dict.fromkeys(env.agents, 0))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 15 + 4 + 1
    assert lines[0].startswith("t=1  productivity 40.0  equality 1.000  welfare 40.0")
    assert lines[-1].startswith("tax 0+: 10%  9.7+: 12%  39.475+: 22%")


@pytest.mark.parametrize("backend", ["numba", pytest.param("foundation", marks=needs_package)])
def test_render_modes_are_checked(backend: str) -> None:
    with pytest.raises(
        ValueError, match="gather_trade_build: render_mode must be one of human, rgb_array or null, got 'ascii'"
    ):
        make("gather_trade_build", backend=backend, render_mode="ascii")
    env = make("gather_trade_build", backend=backend)
    env.reset(seed=0)
    assert env.render() is None


def test_pettingzoo() -> None:
    parallel_api_test(GatherTradeBuild(max_steps=5, render_mode="rgb_array"), num_cycles=12)


def test_a_new_episode_forgets_rates_that_were_set() -> None:
    env = GatherTradeBuild(rates=[0.2] * 7)
    env.reset(seed=0)
    env.set_rates([0.7] * 7)
    env.step(dict.fromkeys(env.agents, 0))
    assert env.economy.context["rates"][0].tolist() == pytest.approx([0.7] * 7)
    env.reset()
    env.step(dict.fromkeys(env.agents, 0))
    assert env.economy.context["rates"][0].tolist() == pytest.approx([0.2] * 7)
