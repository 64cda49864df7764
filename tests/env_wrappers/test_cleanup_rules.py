"""Cleanup's rules by hand, on small maps: moves, beams, the order of a step, spawning."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from cleanup_scenes import (
    EVERY_FACING,
    LEFT,
    QUIET,
    act,
    close,
    ground,
    places,
    scene,
    shown,
    turned,
)

from env_wrappers.cleanup import Cleanup

# -- moves ------------------------------------------------------------------------------------------------

MOVES = [
    # before, what agents 0, 1, ... do, and all ways in which it can end, equally likely
    pytest.param("... .0. ...", "^", [".0. ... ..."], id="forward"),
    pytest.param("... .0. ...", "v", ["... ... .0."], id="backward"),
    pytest.param("... .0. ...", "<", ["... 0.. ..."], id="left"),
    pytest.param("... .0. ...", ">", ["... ..0 ..."], id="right"),
    pytest.param("... .0. ...", ".", ["... .0. ..."], id="stay"),
    pytest.param("... .0. ...", ")", ["... .0. ..."], id="turning is no step"),
    pytest.param("... .0. ...", "*", ["... .0. ..."], id="cleaning is no step"),
    pytest.param("@0@", ">", ["@0@"], id="walls block"),
    pytest.param(".0", ">", [".0"], id="the edge of the map blocks"),
    pytest.param("0H", ">", [".0"], id="onto waste"),
    pytest.param("0R", ">", [".0"], id="onto river"),
    pytest.param("0S", ">", [".0"], id="onto stream"),
    pytest.param("0B", ">", [".0"], id="onto a place of apples"),
    pytest.param("a.", ">", [".0"], id="off waste"),
    pytest.param("0.1", "><", [".01", "01."], id="two want a free cell"),
    pytest.param("0.1 .2.", "><^", [".01 .2.", "01. .2.", "021 ..."], id="three want a free cell"),
    pytest.param("0.1..2.3", "><><", [".01...23", ".01..23.", "01....23", "01...23."], id="two contests"),
    pytest.param("01.", ">.", ["01."], id="the occupant stays"),
    pytest.param("01.", ">*", ["01."], id="the occupant cleans"),
    pytest.param("01.", ">)", ["01."], id="the occupant turns"),
    pytest.param("01@", ">>", ["01@"], id="the occupant is blocked by a wall"),
    pytest.param("012", ">.<", ["012"], id="two want an occupied cell"),
    pytest.param("01.", "><", ["01."], id="no swaps"),
    pytest.param("01.", ">>", [".01"], id="following"),
    pytest.param("012.", ">>>", [".012"], id="chain of three"),
    pytest.param("210.", ">>>", [".210"], id="chain of three, the first one last"),
    pytest.param("012@", ">>>", ["012@"], id="blocked chain"),
    pytest.param("0123", ">>>.", ["0123"], id="chain behind one that stays"),
    pytest.param("012.", "><>", ["01.2"], id="swap, and a third walks off"),
    pytest.param("0123", ">>><", ["0123"], id="chain into a swap"),
    pytest.param("01.2", ">><", [".012", "012."], id="chain whose head is in a contest"),
    pytest.param("01. .2.", ">>^", [".01 .2.", "021 ..."], id="two want a cell that is left"),
    pytest.param("01@ .2.", ">>^", ["01@ .2."], id="two want a cell that is not left"),
    pytest.param("01. .2.", "><^", ["01. .2."], id="two want a cell, one of them in a swap"),
    pytest.param("01 32", ">v<^", ["30 21"], id="four go round"),
    pytest.param("01 32", "v>^<", ["01 32"], id="four, two of whom run into walls"),
    pytest.param("012 543", ">>v<<^", ["501 432"], id="six go round"),
    pytest.param("01 32", ">v<.", ["01 32"], id="no going round one that stays"),
    pytest.param("401 .32", ">v<^>", ["430 .21", "401 .32"], id="a fifth, if it wins a cell of the round, stops all"),
]


@EVERY_FACING
@pytest.mark.parametrize(("before", "actions", "after"), MOVES)
def test_moves(before: str, actions: str, after: list[str], facing: int) -> None:
    env = scene(turned(before, facing), facing, seed=1)
    start = list(env.world.positions)
    seen: Counter[tuple[tuple[int, int], ...]] = Counter()
    trials = 200 if len(after) > 1 else 5
    for _ in range(trials):
        env.world.positions, env.world.facings = list(start), [facing] * len(start)
        act(env, actions)
        seen[tuple(env.world.positions)] += 1
    assert set(seen) == {tuple(places(turned(text, facing))) for text in after}
    assert all(close(count / trials, 1 / len(after), trials) for count in seen.values())


@pytest.mark.parametrize(("turn", "change"), [(")", 1), ("(", -1)])
def test_turns(turn: str, change: int) -> None:
    env = scene("0")
    for k in range(1, 9):
        act(env, turn)
        assert env.world.facings == [change * k % 4]


# -- beams ------------------------------------------------------------------------------------------------

BEAMS = [
    # before, actions, what is seen after it, the ground after it, config
    pytest.param(
        "....... ....... ....... ....... ....... ....... ...0...",
        "*",
        "....... ...*... ..***.. ..***.. ..***.. ..***.. ..*0*..",
        "....... ....... ....... ....... ....... ....... .......",
        {},
        id="open field: the middle ray from one cell ahead, the others from beside the agent",
    ),
    pytest.param("... .0.", "*", "*** *0*", "... ...", {}, id="the edge of the map"),
    pytest.param(
        "..... .@... ..... ...@. ..0..",
        "*",
        "..*.. .@*.. .**.. .**@. .*0*.",
        "..... .@... ..... ...@. .....",
        {},
        id="walls stop one ray each",
    ),
    pytest.param("... ... @0.", "*", ".** .** @0*", "... ... @..", {}, id="a wall beside the agent"),
    pytest.param(".@. .0.", "*", "*@* *0*", ".@. ...", {}, id="a wall ahead of the agent"),
    pytest.param(".H. .H. .0H", "*", "*H. **. *0*", ".H. .R. ..R", {}, id="the first waste of each ray"),
    pytest.param(".H. .1. .0.", "*.", "*H* *** *0*", ".H. ... ...", {}, id="an agent stops it"),
    pytest.param(".H. .b. .0.", "*.", "*H* *** *0*", ".H. .R. ...", {}, id="waste under an agent is cleaned"),
    pytest.param("... .a.", "*", "*** *0*", "... .H.", {}, id="not what the agent itself stands on"),
    pytest.param(".R. .A. .S. .0.", "*", "*** *** *** *0*", ".R. .A. .S. ...", {}, id="over river, apples, stream"),
    pytest.param(".H. .H. 0.1", "**", "*** *** 0*1", ".R. .R. ...", {}, id="the second goes on to the next waste"),
    pytest.param(
        ".H. 0H. ..1",
        "**",
        "*H* 0** .*1",
        ".H. .R. ...",
        {"beam_length": 2},
        id="in order of agents: 0 takes the only waste that 1 could reach",
    ),
    pytest.param(
        ".H. 1H. ..0",
        "**",
        "*** 1** .*0",
        ".R. .R. ...",
        {"beam_length": 2},
        id="in order of agents: 0 takes the near one, and 1 the other",
    ),
    pytest.param("... 0.1", "*.", "**. 0*1", "... ...", {}, id="only those that clean fire"),
    pytest.param(".H. .1. .0.", "*>", "**. *** *0*", ".R. ... ...", {}, id="moves come first: out of the beam"),
    pytest.param(".H. 1.. .0.", "*>", "*H* *** *0*", ".H. ... ...", {}, id="moves come first: into the beam"),
    pytest.param("... .0.", "*", ".*. .0.", "... ...", {"beam_width": 1}, id="width 1"),
    pytest.param(
        "..... ..... ..... ..0..",
        "*",
        "..... ..*.. ***** **0**",
        "..... ..... ..... .....",
        {"beam_width": 5, "beam_length": 2},
        id="width 5, length 2",
    ),
    pytest.param("... ... .0.", "*", "... .*. *0*", "... ... ...", {"beam_length": 1}, id="length 1"),
    pytest.param("... .0.", "*", "*** *0*", "... ...", {"beam_width": 99, "beam_length": 99}, id="beyond the map"),
]


@EVERY_FACING
@pytest.mark.parametrize(("before", "actions", "after", "left", "config"), BEAMS)
def test_beams(before: str, actions: str, after: str, left: str, config: dict[str, Any], facing: int) -> None:
    before, after, left = (turned(text, facing) for text in (before, after, left))
    env = scene(before, facing, **config)
    act(env, actions)
    height = len(before.split())
    assert shown(env, height) == after
    assert ground(env, height) == left
    act(env, "." * len(actions))
    assert "*" not in shown(env, height), "beams are seen in one step only"


def test_the_cleaner_of_7x7_needs_no_step() -> None:
    """Agent 0 reaches both waste cells from where it starts, one after the other."""
    env = Cleanup(**QUIET)
    env.reset(seed=0)
    left = []
    for _ in range(3):
        act(env, "*.")
        left.append([env.world.symbol(cell) for cell in env.config.waste_points])
    assert left == [["H", "R"], ["R", "R"], ["R", "R"]]


# -- the order of a step, apples and waste ----------------------------------------------------------------


def test_apples_are_eaten_after_moving() -> None:
    env = scene("0A.")
    assert act(env, ">") == [1]
    assert ground(env, 1) == "..."
    assert act(env, "<") == [0]
    assert act(env, ">") == [0]


def test_an_apple_goes_to_who_wins_its_cell() -> None:
    for seed in range(20):
        env = scene("0A1", seed=seed)
        rewards = act(env, "><")
        assert rewards == [float(cell == (0, 1)) for cell in env.world.positions]
        assert sum(rewards) == 1


def test_apples_appear_after_beams() -> None:
    """What is cleaned in this step is not in the way of apples any more."""
    env = scene("B.. HB0", facing=LEFT, apple_respawn_probability=1)
    act(env, ".")
    assert ground(env, 2) == "... H.."  # density 1
    act(env, "*")
    assert ground(env, 2) == "A.. RA."


def test_apples_appear_by_the_waste_before_it_appears() -> None:
    env = scene("R.B 0..", apple_respawn_probability=1, waste_spawn_probability=1)
    act(env, ".")
    assert ground(env, 2) == "H.A ..."


def test_no_apple_appears_under_an_agent() -> None:
    """Neither where one stands, nor where one has just eaten; it can as soon as the agent has left."""
    env = scene("R@ 0@ B@ B@", apple_respawn_probability=1)
    act(env, "v")
    assert shown(env, 4) == "R@ .@ 0@ A@"
    assert ground(env, 4) == "R@ .@ .@ A@"
    assert act(env, "v") == [1]
    assert ground(env, 4) == "R@ .@ A@ .@"
    assert act(env, ".") == [0]


def test_waste_may_appear_under_an_agent() -> None:
    env = scene("R0.", waste_spawn_probability=1, threshold_depletion=1)
    act(env, "<")
    assert shown(env, 1) == "0.."
    assert ground(env, 1) == "H.."


def test_only_one_waste_appears_in_a_step() -> None:
    env = scene("RRR 0..", waste_spawn_probability=1, threshold_depletion=2)
    for step in (1, 2, 3, 3):
        act(env, ".")
        assert ground(env, 1).count("H") == step


def test_apples_stay_until_eaten() -> None:
    env = scene("HHA 0..", apple_respawn_probability=1)
    for _ in range(3):
        act(env, ".")
    assert ground(env, 2) == "HHA ..."


SPAWNING = [
    # map, other config, cells with waste, apples appear at each point with, waste appears with
    pytest.param("7x7", {}, 0, 0.5, 0.75, id="7x7, d = 0"),
    pytest.param("7x7", {}, 1, 0.5 * (1 - 0.5 / 0.6), 0.5, id="7x7, d = 1/2"),
    pytest.param("7x7", {}, 2, 0, 0, id="7x7, d = 1"),
    pytest.param("10x10", {}, 0, 0.3, 1 - 0.5**16, id="10x10, d = 0"),
    pytest.param("10x10", {}, 1, 0.3 * (1 - 0.0625 / 0.4), 1 - 0.5**15, id="10x10, d = 1/16"),
    pytest.param("10x10", {}, 6, 0.01875, 1 - 0.5**10, id="10x10, the last density with apples"),
    pytest.param("10x10", {}, 7, 0, 0, id="10x10, the first density without"),
    pytest.param("full", {}, 0, 0.05, 1, id="full, d = 0"),
    pytest.param("full", {}, 48, 0, 0, id="full, the first density without"),
    pytest.param("7x7", {"threshold_depletion": 0.5}, 1, 0, 0, id="nothing at the upper threshold"),
    pytest.param("7x7", {"threshold_restoration": 0.5}, 1, 0.5, 0.5, id="all at the lower threshold"),
    pytest.param("7x7", {"threshold_restoration": 0.5}, 0, 0.5, 0.75, id="no more than all below it"),
    pytest.param("10x10", {"threshold_restoration": 0.2}, 4, 0.3 * 0.75, 1 - 0.5**12, id="between the thresholds"),
    pytest.param("7x7", {"waste_spawn_probability": 0.2}, 0, 0.5, 1 - 0.8**2, id="rare waste"),
    pytest.param("7x7", {"waste_spawn_probability": 0}, 0, 0.5, 0, id="no waste"),
    pytest.param("7x7", {"apple_respawn_probability": 0}, 0, 0, 0.75, id="no apples"),
    pytest.param("7x7", {"threshold_depletion": 2.0}, 2, 0.25, 0, id="no room for waste"),
]


@pytest.mark.parametrize(("name", "config", "waste", "apple", "more_waste"), SPAWNING)
def test_spawning(name: str, config: dict[str, Any], waste: int, apple: float, more_waste: float) -> None:
    env = Cleanup(map=name, **config)
    env.reset(seed=5)
    world, points, river = env.world, env.config.apple_points, env.config.waste_points
    rounds = 2000 if len(points) < 20 else 300
    blank = [[" " if symbol in "BP" else symbol for symbol in row] for row in env.config.rows]
    dirty = set(river[:waste])
    for r, c in river:
        blank[r][c] = "H" if (r, c) in dirty else "R"
    apples, new_waste = np.zeros((rounds, len(points))), Counter[tuple[int, int]]()
    for k in range(rounds):
        world.grid = [list(row) for row in blank]
        world.spawn()
        apples[k] = [world.symbol(cell) == "A" for cell in points]
        new = [cell for cell in river if cell not in dirty and world.symbol(cell) == "H"]
        assert len(new) <= 1
        new_waste.update(new)
        assert all(world.symbol(cell) == "H" for cell in dirty)
    frequencies = apples.mean(0)
    assert all(close(f, apple, rounds) for f in frequencies)
    assert close(float((apples[:, 0] * apples[:, -1]).mean()), apple**2, rounds), "apples appear independently"
    assert close(new_waste.total() / rounds, more_waste, rounds)
    if more_waste and len(points) < 20:
        share = more_waste / (len(river) - waste)
        assert all(close(new_waste[cell] / rounds, share, rounds) for cell in river if cell not in dirty)
