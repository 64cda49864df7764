"""Maps that users write as rows of text."""

from __future__ import annotations

from textwrap import dedent
from typing import Annotated

from pydantic import Field, Strict

from rllib_metagrad.settings import SettingError

#: A name, one string of several lines, or rows.
TextMap = str | Annotated[tuple[str, ...], Strict(False), Field(min_length=1)]


def rows_of(text: str | tuple[str, ...], symbols: str, legend: str) -> tuple[str, ...]:
    """The rows of a map, all equally long.

    Args:
        text: one string of several lines, whose common indentation is dropped; or rows.
        symbols: that cells can hold.
        legend: what they are, for messages.

    Raises:
        SettingError: for other characters, or rows of unequal length.
    """
    rows = tuple(dedent(text).strip("\n").split("\n")) if isinstance(text, str) else text
    width = len(rows[0])
    for r, row in enumerate(rows):
        for c, symbol in enumerate(row):
            if symbol not in symbols:
                raise SettingError("map", f"has {symbol!r} in row {r}, column {c}; known are {legend}")
        if len(row) != width:
            raise SettingError("map", f"has {width} columns in row 0 but {len(row)} in row {r}; all must be equal")
    return rows
