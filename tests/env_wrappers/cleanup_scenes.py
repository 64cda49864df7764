"""Scenes of Cleanup for tests: small maps as text, and what became of them."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from env_wrappers.cleanup import Cleanup
from env_wrappers.cleanup.colors import AGENT, BEAM

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
COLORS = {
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
    env = Cleanup(map=[*own, "@" * width, *starts], num_agents=len(agents), **{"rotation": True, **QUIET, **config})
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
