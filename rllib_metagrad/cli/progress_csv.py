"""progress.csv with every column: Tune's own fixes them at the first result, before anything was evaluated."""

from __future__ import annotations

import csv
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ray.air.constants import EXPR_PROGRESS_FILE
from ray.tune.experiment import Trial
from ray.tune.logger import CSVLoggerCallback
from ray.tune.utils import flatten_dict

__all__ = ["ProgressCSV", "append_row"]


class ProgressCSV(CSVLoggerCallback):
    """Takes the place of Tune's (which it adds where there is none of its kind); the file grows by columns, too."""

    def log_trial_start(self, trial: Trial) -> None:
        """Nothing to open: each row is written at once."""

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Adds a row."""
        row = flatten_dict({key: value for key, value in result.items() if key != "config"}, delimiter="/")
        trial.init_local_path()
        append_row(pathlib.Path(trial.local_path, EXPR_PROGRESS_FILE), row)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Nothing to close."""


def append_row(file: pathlib.Path, row: Mapping[str, Any]) -> None:
    """Adds a row to a CSV file, and columns for keys that are new, which stay empty in the rows before."""
    columns: list[str] = []
    if file.exists():
        with file.open(newline="", encoding="utf-8") as old:
            columns = next(csv.reader(old), [])
    new = [key for key in row if key not in set(columns)]
    if new:
        _widen(file, [*columns, *new])
    with file.open("a", newline="", encoding="utf-8") as out:
        csv.DictWriter(out, [*columns, *new]).writerow(dict(row))


def _widen(file: pathlib.Path, columns: list[str]) -> None:
    """Rewrites a file, or begins it, with these columns; a reader sees the old one or the new one."""
    aside = file.with_name(f".{file.name}.wider")
    with aside.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns)
        writer.writeheader()
        if file.exists():
            with file.open(newline="", encoding="utf-8") as old:
                writer.writerows(csv.DictReader(old))
    os.replace(aside, file)
