"""Maps of Cleanup: the three of the papers, and how a user's own is read.

``@`` wall, ``H`` river with waste, ``R`` river without, ``S`` stream (only to look at), ``B`` a place where
apples grow, ``P`` where agents start, space for floor. What lies beyond the map is impassable.
"""

from __future__ import annotations

from typing import Annotated, Any

from env_wrappers.text_maps import TextMap, rows_of
from rllib_metagrad.settings import SettingError, nearest
from rllib_metagrad.settings.base import Expected

Cell = tuple[int, int]
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


#: What a map sets where the config says nothing; of a user's own map, as of the 10x10 one.
OWN_MAP: dict[str, Any] = {
    "max_steps": 50,
    "view_size": 7,
    "rotation": False,
    "shuffled_spawns": False,
    "random_orientation": False,
    "threshold_depletion": 0.4,
    "threshold_restoration": 0.0,
    "waste_spawn_probability": 0.5,
    "apple_respawn_probability": 0.3,
}
MAPS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "7x7": (SMALL, OWN_MAP | {"view_size": 4, "threshold_depletion": 0.6, "apple_respawn_probability": 0.5}),
    "10x10": (MEDIUM, OWN_MAP),
    "full": (
        FULL,
        OWN_MAP
        | {
            "max_steps": 1000,
            "rotation": True,
            "shuffled_spawns": True,
            "random_orientation": True,
            "apple_respawn_probability": 0.05,
        },
    ),
}
_EXPECTED = f"{', '.join(MAPS)} or rows of text"
#: The key ``map``.
MapRows = Annotated[TextMap, Expected(_EXPECTED)]


def read_map(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """The rows of a map.

    Args:
        value: a name in :data:`MAPS`, one string of several lines, or rows.

    Raises:
        SettingError: for an unknown name, or a map with unknown characters, rows of unequal length, or no ``P``.
    """
    if isinstance(value, str) and value in MAPS:
        return MAPS[value][0]
    if isinstance(value, str) and "\n" not in value:
        raise SettingError("map", f"must be {_EXPECTED}, got {value!r}{nearest(value, MAPS, list_at_most=0)}")
    rows = rows_of(value, SYMBOLS, "@ wall, H waste, R river, S stream, B apples, P start and space")
    if not any("P" in row for row in rows):
        raise SettingError("map", "has no P, where agents start")
    return rows


def find(rows: tuple[str, ...], symbols: str) -> tuple[Cell, ...]:
    """All cells (row, column) that hold one of the symbols, in reading order."""
    return tuple((r, c) for r, row in enumerate(rows) for c, symbol in enumerate(row) if symbol in symbols)
