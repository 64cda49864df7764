"""Maps of Gather-Trade-Build: the paper's, the files of ``ai-economist`` where it is installed, and a user's own.

``W`` a tile where wood grows, ``S`` one where stone does, ``@`` water, space for the rest.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path

from env_wrappers.gather_trade_build.config import PAPER_MAP
from env_wrappers.text_maps import rows_of
from rllib_metagrad.settings import SettingError, nearest

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


def read_map(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """The rows of a map, all equally long.

    Args:
        value: the name of a map file, with or without ``.txt``; one string of several lines; or rows.

    Raises:
        SettingError: for an unknown name, or rows with unknown characters or of unequal length.
    """
    if isinstance(value, str) and "\n" not in value:
        return _named(value)
    rows = rows_of(value, SYMBOLS, "W wood, S stone, @ water and space")
    if not rows[0]:
        raise SettingError("map", "has no columns")
    return rows


def _named(name: str) -> tuple[str, ...]:
    file = name if name.endswith(".txt") else f"{name}.txt"
    if file == PAPER_MAP:
        return PAPER
    folder = map_folder()
    known = {PAPER_MAP} | (set() if folder is None else {path.name for path in folder.glob("*.txt")})
    if folder is None or file not in known:
        hint = "; other maps come with ai-economist, which is not installed" if folder is None else ""
        hint = nearest(name, known) + hint
        raise SettingError("map", f"must be the name of a map, got {name!r}{hint}")
    # As the original reads it: what is no W, S or @ is free, a line break too.
    rows = [row for row in (folder / file).read_text().split(";") if row.strip("\n")]
    columns = max(len(row) for row in rows)
    return tuple("".join(s if s in SYMBOLS else " " for s in row).ljust(columns) for row in rows)
