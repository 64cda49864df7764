"""Maps of Cleanup: the three of the papers, and how a user's own is read.

``@`` wall, ``H`` river with waste, ``R`` river without, ``S`` stream (only to look at), ``B`` a place where
apples grow, ``P`` where agents start, space for floor. What lies beyond the map is impassable.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from env_wrappers.pettingzoo_env import nearest

SYMBOLS = "@HRSBP "

#: Yang et al. (2022), there called cleanup_small_sym.
SMALL = (
    "@@@@@@@",
    "@H  PB@",
    "@H   B@",
    "@    B@",
    "@    B@",
    "@ P  B@",
    "@@@@@@@",
)

#: Yang et al. (2020), there called cleanup_10x10_sym.
MEDIUM = (
    "@@@@@@@@@@",
    "@HH   P B@",
    "@RR    BB@",
    "@HH     B@",
    "@RR    BB@",
    "@HH P   B@",
    "@RR    BB@",
    "@HH     B@",
    "@RRP   BB@",
    "@@@@@@@@@@",
)

#: Hughes et al. (2018).
FULL = (
    "@@@@@@@@@@@@@@@@@@",
    "@RRRRRR     BBBBB@",
    "@HHHHHH      BBBB@",
    "@RRRRRR     BBBBB@",
    "@RRRRR  P    BBBB@",
    "@RRRRR    P BBBBB@",
    "@HHHHH       BBBB@",
    "@RRRRR      BBBBB@",
    "@HHHHHHSSSSSSBBBB@",
    "@HHHHHHSSSSSSBBBB@",
    "@RRRRR   P P BBBB@",
    "@HHHHH   P  BBBBB@",
    "@RRRRRR    P BBBB@",
    "@HHHHHH P   BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHH    P  BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHHH  P P BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHH       BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHHH      BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHH       BBBBB@",
    "@@@@@@@@@@@@@@@@@@",
)


@dataclass(frozen=True)
class Defaults:
    """What a map sets where the config says nothing.

    Attributes:
        state_margin: cells beyond the map that the designer's picture shows on every side.
        The others are arguments of the environment.
    """

    max_steps: int = 50
    view_size: int = 7
    rotation: bool = False
    shuffled_spawns: bool = False
    random_orientation: bool = False
    threshold_depletion: float = 0.4
    threshold_restoration: float = 0.0
    waste_spawn_probability: float = 0.5
    apple_respawn_probability: float = 0.3
    state_margin: int = 0


#: Of a user's own map: as of the 10x10 one.
OWN_MAP = Defaults()
MAPS: dict[str, tuple[tuple[str, ...], Defaults]] = {
    "7x7": (SMALL, Defaults(view_size=4, threshold_depletion=0.6, apple_respawn_probability=0.5, state_margin=1)),
    "10x10": (MEDIUM, Defaults()),
    "full": (
        FULL,
        Defaults(
            max_steps=1000,
            rotation=True,
            shuffled_spawns=True,
            random_orientation=True,
            apple_respawn_probability=0.05,
        ),
    ),
}


def read_map(value: Any) -> tuple[tuple[str, ...], Defaults]:
    """The rows of a map, and what it sets.

    Args:
        value: a name in :data:`MAPS`, one string of several lines, or a list of strings.

    Raises:
        ValueError: for an unknown name, or a map with unknown characters, rows of unequal length, or no ``P``.
    """
    if isinstance(value, str) and "\n" not in value:
        if value not in MAPS:
            raise ValueError(
                f"cleanup: unknown map {value!r}{nearest(value, MAPS)}, or give your own with several rows"
            )
        return MAPS[value]
    if isinstance(value, str):
        rows = tuple(dedent(value).strip("\n").split("\n"))
    elif isinstance(value, list | tuple) and value and all(isinstance(row, str) for row in value):
        rows = tuple(value)
    else:
        raise ValueError(f"cleanup: map must be a name ({', '.join(MAPS)}) or rows of text, got {value!r}")
    width = len(rows[0])
    for r, row in enumerate(rows):
        for c, symbol in enumerate(row):
            if symbol not in SYMBOLS:
                raise ValueError(
                    f"cleanup: map has {symbol!r} in row {r}, column {c}; "
                    "known are @ wall, H waste, R river, S stream, B apples, P start and space"
                )
        if len(row) != width:
            raise ValueError(f"cleanup: map has {width} columns in row 0 but {len(row)} in row {r}; all must be equal")
    if not any("P" in row for row in rows):
        raise ValueError("cleanup: map has no P, where agents start")
    return rows, OWN_MAP


def find(rows: tuple[str, ...], symbols: str) -> tuple[tuple[int, int], ...]:
    """All cells (row, column) that hold one of the symbols, in reading order."""
    return tuple((r, c) for r, row in enumerate(rows) for c, symbol in enumerate(row) if symbol in symbols)
