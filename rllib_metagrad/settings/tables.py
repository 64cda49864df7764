"""Tables of settings for the docs, from the fields themselves; ``python scripts/write_docs.py`` writes them."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import Any

from rllib_metagrad.settings.base import Settings, expected, plain

_BLOCK = re.compile(r"(<!-- begin settings (.+?) -->\n).*?(<!-- end settings -->)", re.DOTALL)
_HEAD = "| key | default | what it may be | meaning |\n|---|---|---|---|\n"


def table(*records: type[Settings]) -> str:
    """A Markdown table with a row for every field that the records themselves declare, bases left out."""
    return _HEAD + "".join(_row(record, field) for record in records for field in _own_fields(record))


def _own_fields(record: type[Settings]) -> list[str]:
    return [field for field in record.model_fields if field in record.__annotations__]


def _row(record: type[Settings], field: str) -> str:
    info = record.model_fields[field]
    default = _shown(plain(info.get_default(call_default_factory=True)))
    cells = [f"`{record.key_of(field)}`", default, expected(info), info.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _shown(value: Any) -> str:
    """A default in YAML's flow style."""
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key}: {json.dumps(item)}" for key, item in value.items()) + "}`"
    if isinstance(value, str):
        return f"`{value}`" if value else ""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


def rewritten(page: str) -> str:
    """A page whose blocks ``<!-- begin settings MODULE:RECORD ... -->`` hold the tables of today."""

    def block(match: re.Match[str]) -> str:
        module, names = match[2].split(":")
        records = [getattr(import_module(module), name) for name in names.split()]
        return match[1] + table(*records) + match[3]

    return _BLOCK.sub(block, page)
