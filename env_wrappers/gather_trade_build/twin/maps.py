"""Maps of Gather-Trade-Build: the paper's, the files of ``ai-economist`` where it is installed, and a user's own.

``W`` a tile where wood grows, ``S`` one where stone does, ``@`` water, space for the rest.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path
from textwrap import dedent
from typing import Any

from env_wrappers.pettingzoo_env import nearest

NAME = "gather_trade_build"
PAPER_MAP = "env-pure_and_mixed-15x15.txt"
SYMBOLS = "WS@ "
PAPER = (
    "WWW    @       ",
    "WSS    @       ",
    "WWW    @       ",
    "WWW    @       ",
    "WSS            ",
    "SWS            ",
    "       @       ",
    "@@@@  @@@@  @@@",
    "       @       ",
    "WWW    @    S  ",
    " WW         SS ",
    "WWW          SS",
    "W W    @       ",
    "W      @       ",
    "       @     S ",
)


def map_folder() -> Path | None:
    """Where ``ai-economist`` keeps its map files, without importing it; None where it is not installed."""
    spec = util.find_spec("ai_economist")
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        folder = Path(place) / "foundation" / "scenarios" / "simple_wood_and_stone" / "map_txt"
        if folder.is_dir():
            return folder
    return None


def read_map(value: Any) -> tuple[str, ...]:
    """The rows of a map, all equally long.

    Args:
        value: the name of a map file, with or without ``.txt``; one string of several lines; or a list of strings.

    Raises:
        ValueError: for an unknown name, or rows with unknown characters or of unequal length.
    """
    if value is None:
        return PAPER
    if isinstance(value, str) and "\n" not in value:
        return _named(value)
    if isinstance(value, str):
        rows = tuple(dedent(value).strip("\n").split("\n"))
    elif isinstance(value, list | tuple) and value and all(isinstance(row, str) for row in value):
        rows = tuple(value)
    else:
        raise ValueError(f"{NAME}: map must be the name of a map or rows of text, got {value!r}")
    for r, row in enumerate(rows):
        for c, symbol in enumerate(row):
            if symbol not in SYMBOLS:
                raise ValueError(
                    f"{NAME}: map has {symbol!r} in row {r}, column {c}; known are W wood, S stone, @ water and space"
                )
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{NAME}: map has {len(rows[0])} columns in row 0 but {len(row)} in row {r}; all must be equal"
            )
    if not rows[0]:
        raise ValueError(f"{NAME}: map has no columns")
    return rows


def _named(name: str) -> tuple[str, ...]:
    file = name if name.endswith(".txt") else f"{name}.txt"
    if file == PAPER_MAP:
        return PAPER
    folder = map_folder()
    known = {PAPER_MAP} | (set() if folder is None else {path.name for path in folder.glob("*.txt")})
    if folder is None or file not in known:
        hint = "; other maps come with ai-economist, which is not installed" if folder is None else ""
        raise ValueError(f"{NAME}: unknown map {name!r}{nearest(name, known)}{hint}")
    # As the original reads it: what is no W, S or @ is free, a line break too.
    rows = [row for row in (folder / file).read_text().split(";") if row.strip("\n")]
    columns = max(len(row) for row in rows)
    return tuple("".join(s if s in SYMBOLS else " " for s in row).ljust(columns) for row in rows)
