"""Writes the tables of docs/ that are made from code: `python scripts/write_docs.py`."""

from __future__ import annotations

from pathlib import Path

from rllib_metagrad import metrics
from rllib_metagrad.settings.tables import rewritten

DOCS = Path(__file__).parent.parent / "docs"


def with_tables(page: str, tables: dict[str, str]) -> str:
    """A page with the text between `<!-- begin NAME -->` and `<!-- end NAME -->` replaced, for each name.

    Raises:
        ValueError: if the page lacks the markers of a name.
    """
    for name, text in tables.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if begin not in page or end not in page:
            raise ValueError(f"no markers {begin} and {end}")
        page = f"{page.split(begin)[0]}{begin}\n{text}\n{end}{page.split(end)[1]}"
    return page


def metrics_page(page: str) -> str:
    """docs/metrics.md with the tables of `rllib_metagrad.metrics`."""
    return with_tables(page, {section: metrics.table(section) for section in (*metrics.SECTIONS, "renamed")})


if __name__ == "__main__":
    for path in DOCS.glob("*.md"):
        path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
    path = DOCS / "metrics.md"
    path.write_text(metrics_page(path.read_text(encoding="utf-8")), encoding="utf-8")
