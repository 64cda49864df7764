"""Cleanup's rules by hand, on small maps; its pictures; and returns of play that can be computed or is known."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test
from pettingzoo.utils.conversions import parallel_to_aec

from env_wrappers.cleanup import Cleanup, VectorCleanup
from env_wrappers.cleanup.colours import AGENT, BEAM

#: Maps in these tests are rows apart by a blank. A dot is floor, a digit an agent, a letter from ``a`` on an agent
#: that stands on waste (``a`` is agent 0), ``A`` an apple on a place where apples grow; the rest is as in the config.
ACTIONS = {
    "<": "left",
    ">": "right",
    "^": "up",
    "v": "down",
    ".": "stay",
    ")": "turn_right",
    "(": "turn_left",
    "*": "clean",
}
QUIET: dict[str, Any] = {"apple_respawn_probability": 0, "waste_spawn_probability": 0}
UP, RIGHT, DOWN, LEFT = range(4)
EVERY_FACING = pytest.mark.parametrize("facing", [UP, RIGHT, DOWN, LEFT])


def turned(text: str, facing: int) -> str:
    """The map turned clockwise, so that what was ahead of an agent that faces up is ahead of it again."""
    rows = np.rot90(np.array([list(row) for row in text.split()]), -facing)
    return " ".join("".join(row) for row in rows)


def places(text: str) -> list[tuple[int, int]]:
    """Cells of the agents, in order."""
    found = {}
    for r, row in enumerate(text.split()):
        for c, symbol in enumerate(row):
            if symbol.isdigit():
                found[int(symbol)] = (r, c)
            elif symbol.islower():
                found[ord(symbol) - ord("a")] = (r, c)
    return [found[i] for i in range(len(found))]


def ground_of(text: str) -> list[list[str]]:
    """What the world keeps of such a map: no agents, but the waste under them."""
    return [["H" if s.islower() else " " if s in ".B" or s.isdigit() else s for s in row] for row in text.split()]


def scene(text: str, facing: int = UP, seed: int = 0, **config: Any) -> Cleanup:
    """A game in the middle, in which nothing appears unless the config says so.

    Start cells, which a map needs, lie behind a wall below it, where nobody ever goes.
    """
    agents, rows = places(text), text.split()
    blank = [row.replace("A", "B").replace(".", " ") for row in rows]
    own = ["".join("H" if s.islower() else " " if s.isdigit() else s for s in row) for row in blank]
    width = len(rows[0])
    starts = ["P" + "@" * (width - 1)] * len(agents)
    env = Cleanup([*own, "@" * width, *starts], num_agents=len(agents), **{"rotation": True, **QUIET, **config})
    env.reset(seed=seed)
    env.world.grid[: len(rows)] = ground_of(text)
    env.world.positions, env.world.facings = agents, [facing] * len(agents)
    return env


def act(env: Cleanup, actions: str) -> list[float]:
    """One step; the rewards."""
    names = [env.action_names.index(ACTIONS[a]) for a in actions]
    _, rewards, *_ = env.step(dict(zip(env.possible_agents, names, strict=True)))
    return list(rewards.values())


def ground(env: Cleanup, height: int) -> str:
    """The upper rows of the world without agents and beams, written as in these tests."""
    return " ".join("".join(row).replace(" ", ".") for row in env.world.grid[:height])


def shown(env: Cleanup, height: int) -> str:
    """As :func:`ground`, with agents and, over them, stars for beams."""
    looks = env.world.looks(0)
    rows = [list(row.replace(" ", ".")) for row in ("".join(r) for r in env.world.grid[:height])]
    for r, row in enumerate(rows):
        for c in range(len(row)):
            if looks[r, c] == BEAM:
                row[c] = "*"
            elif looks[r, c] >= AGENT:
                row[c] = str(looks[r, c] - AGENT)
    return " ".join("".join(row) for row in rows)


def close(got: float, probability: float, trials: int) -> bool:
    """Whether a frequency agrees with a probability within five standard errors."""
    return abs(got - probability) <= 5 * sqrt(probability * (1 - probability) / trials) + 1e-12


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
    env = Cleanup(name, **config)
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


# -- what the designer is told ----------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.25])
def test_types_features_and_rewards(penalty: float) -> None:
    env = scene("H.A.. 0.1.2", cleaning_penalty=penalty)
    assert env.action_types() == env.action_features() == {}
    for actions, types in [("*^.", [0, 1, 2]), ("**<", [0, 0, 2]), (")(^", [2, 2, 2]), (".*>", [2, 0, 2])]:
        rewards = act(env, actions)
        assert rewards == [-penalty if kind == 0 else float(kind == 1) for kind in types]
        assert env.designer_reward() == sum(rewards)
        assert list(env.action_types().values()) == types
        features = env.action_features()
        assert [features[agent].tolist() for agent in env.possible_agents] == [[kind == 0] for kind in types]
        assert all(f.dtype == np.float32 for f in features.values())
    assert env.action_type_names == ("clean", "eat", "other")
    assert (env.num_action_types, env.action_feature_size) == (3, 1)


def test_a_clean_type_of_removed_waste() -> None:
    """Agent 0 faces waste, which is gone after its first beam; agent 1 fires at none, and then eats."""
    env = scene("H.A 0.1", clean_type="removed")
    for actions, types, fired in [("**", [0, 2], [1, 1]), ("*^", [2, 1], [1, 0]), (")*", [2, 2], [0, 1])]:
        act(env, actions)
        assert list(env.action_types().values()) == types
        assert [float(f[0]) for f in env.action_features().values()] == fired


def test_action_names() -> None:
    """The order is the original's."""
    assert Cleanup().action_names == ("left", "right", "up", "down", "stay", "clean")
    assert Cleanup(left_right=False).action_names == ("up", "down", "stay", "clean")
    turns = ("turn_right", "turn_left")
    assert Cleanup("full").action_names == ("left", "right", "up", "down", "stay", *turns, "clean")
    assert Cleanup("full", left_right=False).action_names == ("up", "down", "stay", *turns, "clean")
    assert Cleanup("full", left_right=False).action_space("agent_1").n == 6


# -- reset and end ----------------------------------------------------------------------------------------


def test_start_of_7x7() -> None:
    env = Cleanup()
    for seed in range(5):
        observations, infos = env.reset(seed=seed)
        assert env.agents == env.possible_agents == ["agent_0", "agent_1"] == list(observations) == list(infos)
        assert env.world.positions == [(5, 2), (1, 4)]
        assert env.world.facings == [UP, UP]
        assert "".join(map("".join, env.world.grid)).count("H") == 2
        assert not any("A" in row for row in env.world.grid)
        assert env.action_types() == {}
        act(env, "*>")


@pytest.mark.parametrize(("name", "agents"), [("10x10", 3), ("full", 10)])
def test_start_of_larger_maps(name: str, agents: int) -> None:
    """From the last start cell to the first, unless shuffled; too much waste for apples."""
    env = Cleanup(name, agents, shuffled_spawns=False, random_orientation=False)
    env.reset(seed=0)
    cells = [(r, c) for r, row in enumerate(env.config.rows) for c, symbol in enumerate(row) if symbol == "P"]
    assert env.world.positions == cells[::-1]
    assert env.world.facings == [UP] * agents
    assert not any("A" in row or "B" in row or "P" in row for row in env.world.grid)


def test_the_full_map() -> None:
    """As in the paper: counted on its printed map."""
    count = Counter("".join(Cleanup("full").config.rows))
    assert (len(Cleanup("full").config.rows), len(Cleanup("full").config.rows[0])) == (25, 18)
    assert count == {"@": 82, "H": 56, "R": 63, "S": 12, "B": 103, "P": 10, " ": 124}


def test_shuffled_start() -> None:
    env = Cleanup("10x10", 2, shuffled_spawns=True, random_orientation=True)
    starts, facings, rounds = Counter[Any](), Counter[Any](), 1200
    env.reset(seed=3)
    for _ in range(rounds):
        env.world.reset()
        starts[tuple(env.world.positions)] += 1
        facings[tuple(env.world.facings)] += 1
    assert len(starts) == 6  # ordered pairs of three cells
    assert all(a != b for a, b in starts)
    assert all(close(count / rounds, 1 / 6, rounds) for count in starts.values())
    assert len(facings) == 16
    assert all(close(count / rounds, 1 / 16, rounds) for count in facings.values())


def test_apples_may_be_there_at_the_start() -> None:
    """Of a map with little waste: spawning takes place once before the first observation."""
    env = Cleanup(["RB", "P "], num_agents=1, apple_respawn_probability=1, waste_spawn_probability=1)
    env.reset(seed=0)
    assert env.world.grid == [["H", "A"], [" ", " "]]


def test_a_map_without_river() -> None:
    env = Cleanup(["BP"], num_agents=1, apple_respawn_probability=1)
    env.reset(seed=0)
    assert act(env, "<") == [1]


def test_truncated_at_max_steps() -> None:
    env = Cleanup(max_steps=3)
    env.reset(seed=0)
    for t in (1, 2, 3):
        observations, _, terminated, truncated, infos = env.step({"agent_0": 0, "agent_1": 0})
        assert list(terminated.values()) == [False, False]
        assert list(truncated.values()) == [t == 3, t == 3]
        assert list(observations) == list(infos) == env.possible_agents
    assert env.agents == []
    env.reset()
    assert env.agents == env.possible_agents


def test_seeds() -> None:
    """A seed repeats everything; without one the generator goes on."""

    def play(seed: int | None) -> list[list[list[str]]]:
        env.reset(seed=seed)
        return [act(env, "*.") and [list(row) for row in env.world.grid] for _ in range(20)]

    env = Cleanup()
    first, second = play(7), play(None)
    assert first != second
    assert play(7) == first
    assert play(None) == second
    assert play(8) != first


# -- pictures ---------------------------------------------------------------------------------------------

COLOURS = {
    ".": (0, 0, 0),
    "@": (180, 180, 180),
    "A": (0, 255, 0),
    "H": (113, 75, 24),
    "R": (99, 156, 194),
    "*": (100, 255, 255),
    "0": (159, 67, 255),
    "1": (2, 81, 154),
    "2": (204, 0, 204),
    "3": (216, 30, 54),
    "4": (254, 151, 0),
    "5": (100, 255, 255),
    "6": (99, 99, 255),
    "7": (250, 204, 255),
    "8": (238, 223, 16),
}


def painted(text: str) -> np.ndarray:
    """A picture as agents see it."""
    return np.array([[COLOURS[symbol] for symbol in row] for row in text.split()], np.uint8)


def test_pictures_of_7x7() -> None:
    env = Cleanup(**QUIET)
    observations, _ = env.reset(seed=0)
    start = {
        "agent_0": "..@H..1.@ ..@H....@ ..@.....@ ..@.....@ ..@.0...@ ..@@@@@@@ ......... ......... .........",
        "agent_1": "......... ......... ......... @@@@@@@.. @H..1.@.. @H....@.. @.....@.. @.....@.. @.0...@..",
    }
    for agent, text in start.items():
        np.testing.assert_array_equal(observations[agent], painted(text))
        assert env.observation_space(agent).contains(observations[agent])
    whole = "......... .@@@@@@@. .@H..1.@. .@H....@. .@.....@. .@.....@. .@.0...@. .@@@@@@@. ........."
    np.testing.assert_array_equal(env.state(), painted(whole))
    assert env.state_space.contains(env.state())

    observations, *_ = env.step({"agent_0": 5, "agent_1": 0})
    env.world.grid[2][5] = "A"
    whole = "......... .@@@@@@@. .@H**..@. .@***.A@. .@***..@. .@***..@. .@*0*..@. .@@@@@@@. ........."
    np.testing.assert_array_equal(env.state(), painted(whole))  # agent 1, under a beam, is not seen
    text = "..@H**..@ ..@***..@ ..@***..@ ..@***..@ ..@*0*..@ ..@@@@@@@ ......... ......... ........."
    np.testing.assert_array_equal(observations["agent_0"], painted(text))
    act(env, "..")
    whole = "......... .@@@@@@@. .@H.1..@. .@R...A@. .@.....@. .@.....@. .@.0...@. .@@@@@@@. ........."
    np.testing.assert_array_equal(env.state(), painted(whole))


@pytest.mark.parametrize(
    ("facing", "seen"),
    [(UP, "@HR R0A 1.@"), (RIGHT, "RA@ H0. @R1"), (DOWN, "@.1 A0R RH@"), (LEFT, "1R@ .0H @AR")],
)
def test_the_view_turns_with_the_agent(facing: int, seen: str) -> None:
    """What is ahead is on top. The stream looks like the river, and the designer's picture does not turn."""
    env = Cleanup(["@HR", "SPB", "P @"], view_size=1, **QUIET)
    env.reset(seed=0)
    env.world.positions, env.world.facings = [(1, 1), (2, 0)], [facing, UP]
    env.world.grid[1][2] = "A"
    observations, *_ = env.step(dict.fromkeys(env.possible_agents, env.action_names.index("stay")))
    np.testing.assert_array_equal(observations["agent_0"], painted(seen))
    np.testing.assert_array_equal(observations["agent_1"], painted(".R0 .1. ..."))
    np.testing.assert_array_equal(env.state(), painted("@HR R0A 1.@"))


def test_colours_of_many_agents() -> None:
    """Those of the first nine; then they repeat."""
    env = Cleanup(["P" * 10], num_agents=10)
    env.reset(seed=0)
    np.testing.assert_array_equal(env.state(), painted("0876543210"))


@pytest.mark.parametrize(
    ("name", "agents", "view", "state"), [("7x7", 2, 9, (9, 9)), ("10x10", 3, 15, (10, 10)), ("full", 5, 15, (25, 18))]
)
def test_planes_show_what_rgb_shows(name: str, agents: int, view: int, state: tuple[int, int]) -> None:
    """Every cell is in at most one plane, and painting the planes gives the RGB picture."""
    more: dict[str, Any] = {"threshold_depletion": 0.9, "apple_respawn_probability": 0.3}
    rgb, planes = Cleanup(name, agents, **more), Cleanup(name, agents, observation="planes", **more)
    colours = np.array([COLOURS[symbol] for symbol in "@AHRR*" + "012345678"[:agents]])
    rng = np.random.default_rng(0)
    seen = np.zeros(len(colours), bool)
    observations = [env.reset(seed=4)[0] for env in (rgb, planes)]
    for _ in range(25):
        for agent in rgb.possible_agents:
            picture, stack = (o[agent] for o in observations)
            assert (picture.shape, stack.shape) == ((view, view, 3), (view, view, 6 + agents))
            pairs = [(picture, stack), (rgb.state(), planes.state())]
            for colour, onehot in pairs:
                assert onehot.dtype == np.uint8
                assert set(np.unique(onehot)) <= {0, 255}
                assert (np.count_nonzero(onehot, axis=-1) <= 1).all()
                np.testing.assert_array_equal((onehot // 255) @ colours, colour)
                seen |= onehot.any((0, 1))
        actions = {a: int(rng.integers(len(rgb.action_names))) for a in rgb.possible_agents}
        observations = [env.step(actions)[0] for env in (rgb, planes)]
    assert rgb.state().shape[:2] == state
    has_stream = "S" in "".join(rgb.config.rows)
    assert seen[[0, 1, 2, 3, 5]].all()
    assert seen[4] == has_stream
    assert seen[6:].all()


def test_human_rendering(capsys: pytest.CaptureFixture[str]) -> None:
    env = Cleanup(render_mode="human", **QUIET)
    env.reset(seed=0)
    capsys.readouterr()
    env.step({"agent_0": 5, "agent_1": 4})
    rows = ["t=1  reward 0", "@@@@@@@", "@H**1 @", "@***  @", "@***  @", "@***  @", "@*0*  @", "@@@@@@@"]
    assert capsys.readouterr().out == "\n".join(rows) + "\n"


def test_rgb_array() -> None:
    env = Cleanup("full", 5, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(dict.fromkeys(env.possible_agents, 7))
    after = env.render()
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert before.shape == after.shape == (25 * 32 + 28, 18 * 32, 3)
    assert before.dtype == np.uint8
    assert (before != after).any()
    assert Cleanup().render() is None


def test_pettingzoo(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(Cleanup(max_steps=20), num_cycles=50)
    parallel_seed_test(lambda: Cleanup(max_steps=20, shuffled_spawns=True, random_orientation=True), num_cycles=50)
    render_test(lambda render_mode=None: parallel_to_aec(Cleanup(max_steps=5, render_mode=render_mode)))
    capsys.readouterr()


# -- returns of known play on 7x7 -------------------------------------------------------------------------

Policy = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def returns_of(harvester: Policy, episodes: int) -> np.ndarray:
    """Returns of agent 0 cleaning all the time from its start, and agent 1 harvesting on the apples' column.

    Args:
        harvester: ``(row, apples [B, 5], way) -> [B]`` steps down the column, -1 to 1; ``way`` is its own.
        episodes: B.
    """
    env = VectorCleanup(episodes)
    env.reset(seed=0)
    right, up, down, stay, clean = range(1, 6)
    total, way = np.zeros(episodes), np.ones(episodes, int)
    for t in range(50):
        actions = np.full((episodes, 2), clean)
        row = np.argwhere((env.state == COLOURS["1"]).all(-1))[:, 1] - 1
        apples = (env.state[:, 2:7, 6] == COLOURS["A"]).all(-1)
        way[:] = harvester(row, apples, way)
        actions[:, 1] = np.choose(way + 1, [up, stay, down]) if t else right
        env.step([actions])
        total += env.designer_reward
    assert env.episode_over.all()
    return total


def there_and_back(row: np.ndarray, apples: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Without looking."""
    return np.where(row == 5, -1, np.where(row == 1, 1, way))


def to_the_nearest(row: np.ndarray, apples: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The upper one of two; stays where it is while there is none."""
    distance = np.where(apples, np.abs(np.arange(1, 6) - row[:, None]), 99)
    return np.where(apples.any(1), np.sign(distance.argmin(1) + 1 - row), 0)


def expected_there_and_back() -> float:
    """The exact mean of :func:`there_and_back`, without simulation.

    Each step cleans one waste cell, so that waste density is 1/2 until a step in which no waste appeared (each
    with probability 1/2) is followed by one that finds only one cell; from that step ``k`` on it is 0 whenever
    apples appear. Given ``k``, places are independent, and each is empty with the probability that nothing has
    appeared since the agent was there.
    """
    rows, row, way = [1], 1, 1
    while len(rows) < 50:
        way = -1 if row == 5 else 1 if row == 1 else way
        row += way
        rows.append(row)
    mean = 0.0
    for k in range(2, 60):
        empty = dict.fromkeys(range(1, 6), 1.0)
        for t, row in enumerate(rows, 1):
            mean += 0.5 ** (k - 1) * (1 - empty[row])
            empty[row] = 1.0
            chance = 0.5 if t >= k else 0.5 * (1 - 0.5 / 0.6)
            for other in empty:
                empty[other] *= 1.0 if other == row else 1 - chance
    return mean


def test_cleaner_and_blind_harvester_earn_what_the_rules_imply() -> None:
    returns = returns_of(there_and_back, 2000)
    expected = expected_there_and_back()
    assert expected == pytest.approx(38.856, abs=0.001)
    assert abs(returns.mean() - expected) < 4 * returns.std() / sqrt(len(returns))


def test_cleaner_and_greedy_harvester() -> None:
    """Measured over 20,000 episodes: 39.0."""
    returns = returns_of(to_the_nearest, 1000)
    assert abs(returns.mean() - 39.0) < 0.4
    assert 2.0 < returns.std() < 2.8


def test_random_play() -> None:
    """The original's: 1.33 with a standard error of 0.17."""
    env, rng = VectorCleanup(2000), np.random.default_rng(0)
    env.reset(seed=0)
    total = np.zeros(2000)
    for _ in range(50):
        env.step([rng.integers(0, 6, (2000, 2))])
        total += env.designer_reward
    assert abs(total.mean() - 1.36) < 4 * total.std() / sqrt(len(total))
    assert abs(total.mean() - 1.33) < 0.17


def test_without_cleaning_nobody_eats() -> None:
    env, rng = VectorCleanup(50), np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(50):
        env.step([rng.integers(0, 5, (50, 2))])
        assert not env.designer_reward.any()
