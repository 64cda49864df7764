"""progress.csv: a column for every key, whenever it first appears."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rllib_metagrad.cli.progress_csv import ProgressCSV, append_row

ROWS = [{"a": 1, "b": "x, y"}, {"a": 2, "evaluation/c": 0.5, "b": None}, {"evaluation/d": 4}, {"b": 5, "a": 6}]


@pytest.mark.parametrize("start", ["", "old,a\n9,8\n"])
def test_columns_grow(tmp_path: Path, start: str) -> None:
    """Also in a file that is continued."""
    file = tmp_path / "progress.csv"
    if start:
        file.write_text(start)
    for row in ROWS:
        append_row(file, row)
    with file.open(newline="") as read:
        rows = list(csv.DictReader(read))
    expected = [{key: "" if value is None else str(value) for key, value in row.items()} for row in ROWS]
    expected = [{"old": "9", "a": "8"}, *expected] if start else expected
    assert [{key: value for key, value in row.items() if value} for row in rows] == [
        {key: value for key, value in row.items() if value} for row in expected
    ]
    assert set(rows[0]) == {"a", "b", "evaluation/c", "evaluation/d"} | ({"old"} if start else set())
    assert [path.name for path in tmp_path.iterdir()] == ["progress.csv"]


def test_nested_results_without_the_config(tmp_path: Path) -> None:
    class Trial:
        local_path = str(tmp_path)

        def init_local_path(self) -> None:
            """It is there."""

    logger = ProgressCSV()
    logger.log_trial_result(1, Trial(), {"n": {"x": 1}, "config": {"big": 1}})  # type: ignore[arg-type]
    logger.log_trial_result(2, Trial(), {"n": {"x": 2}, "evaluation": {"m": 3}})  # type: ignore[arg-type]
    assert (tmp_path / "progress.csv").read_text().split() == ["n/x,evaluation/m", "1,", "2,3"]
