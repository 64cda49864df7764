"""What `rllib train` shows while trials run: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.utils import flatten_dict
from rich.console import Console
from rich.live import Live
from rich.table import Table

from rllib_metagrad import metrics

LINE_SECONDS = 10.0
REFRESH_SECONDS = 0.25
MAX_ROWS = 20

# Result key, heading, format. Columns without a value in any trial are left out.
COLUMNS = (
    (metrics.ITERATION, "iteration", "{:,.0f}"),
    (metrics.ENV_STEPS, "env steps", "{:,.0f}"),
    (metrics.CPU_SECONDS, "CPU s", "{:,.1f}"),
    (metrics.RETURN.path, "designer return", "{:.2f}"),
    (metrics.PAID.path, "incentives paid", "{:.2f}"),
    (metrics.NET.path, "net", "{:.2f}"),
    (metrics.EVALUATION + metrics.NET, "evaluation net", "{:.2f}"),
)
# Shown for algorithms that have no designer.
PLAIN_COLUMNS = (
    *COLUMNS[:3],
    (metrics.EPISODE_RETURN.path, "episode return", "{:.2f}"),
    (metrics.EVALUATION + metrics.EPISODE_RETURN, "evaluation return", "{:.2f}"),
)
_COUNTERS = ("lifetime", metrics.ITERATION, metrics.TIME, metrics.CPU_SECONDS, metrics.TIME_SINCE_RESTORE)


def fraction_done(result: Mapping[str, Any], stop: Mapping[str, float]) -> float | None:
    """How far a trial is towards the nearest stop criterion that only ever grows, in [0, 1].

    Thresholds on returns are no measure of time and are left out; None where nothing else is there.
    """
    shares = [
        float(result[key]) / limit
        for key, limit in stop.items()
        if key.endswith(_COUNTERS) and limit > 0 and limit != float("inf") and key in result
    ]
    return min(1.0, max(shares)) if shares else None


def seconds_left(result: Mapping[str, Any], stop: Mapping[str, float]) -> float | None:
    """Seconds until the trial stops, at the pace it had so far."""
    done, elapsed = fraction_done(result, stop), result.get(metrics.TIME)
    if not done or elapsed is None:
        return None
    return float(elapsed) * (1.0 - done) / done


def clock(seconds: float | None) -> str:
    """`1:02:03`, `2:03`, or a dash."""
    if seconds is None:
        return "-"
    minutes, second = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def columns_of(results: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The columns that at least one of the results has a value for."""
    designer = any(metrics.RETURN.path in result for result in results)
    chosen = COLUMNS if designer or not results else PLAIN_COLUMNS
    return [column for column in chosen if any(column[0] in result for result in results)]


def cell(result: Mapping[str, Any], key: str, form: str) -> str:
    """A formatted value, or a dash where there is none."""
    value = result.get(key)
    return form.format(value) if isinstance(value, int | float) else "-"


@dataclass
class _Row:
    status: str
    result: dict[str, Any]


class Progress(Callback):
    """A Tune callback that draws progress; use it as a context manager around the run.

    Args:
        console: where to draw.
        stop: the stop criteria, for the time that is left.
        line_seconds: seconds between plain lines where the console is no terminal.
    """

    def __init__(self, console: Console, stop: Mapping[str, float], line_seconds: float = LINE_SECONDS) -> None:
        self._console = console
        self._stop = dict(stop)
        self._line_seconds = line_seconds
        self._rows: dict[str, _Row] = {}
        self._last: dict[str, dict[str, Any]] = {}
        self._live: Live | None = None
        self._drawn = 0.0
        self._printed: dict[str, float] = {}

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def tell(self, line: str) -> None:
        """A line for the user, above the live table."""
        self._console.print(line, highlight=False, markup=False)

    # -- Tune's hooks ------------------------------------------------------------------------------------
    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep what the display needs of a new result."""
        fresh = flatten_dict({k: v for k, v in result.items() if k != "config"})
        # Evaluation is not in every result: its latest value stays on display.
        known = self._last.setdefault(trial.trial_id, {})
        known.update(fresh)
        if self._live is None:
            self._print_line(trial, known, bool(result.get("done")))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Redraw the table, a few times a second at most."""
        if self._live is None or time.monotonic() - self._drawn < REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        self._rows = {t.trial_id: _Row(t.status, self._last.get(t.trial_id, {})) for t in trials}
        self._live.update(self._table(), refresh=True)

    # -- drawing -----------------------------------------------------------------------------------------
    def _print_line(self, trial: Trial, result: dict[str, Any], done: bool) -> None:
        now = time.monotonic()
        last = self._printed.get(trial.trial_id)
        if last is not None and now - last < self._line_seconds and not done:
            return
        self._printed[trial.trial_id] = now
        parts = [f"{head} {cell(result, key, form)}" for key, head, form in columns_of([result])]
        left = "done" if done else f"time left {clock(seconds_left(result, self._stop))}"
        self._console.print(
            f"{trial.trial_id}: {', '.join(parts)}, {left}", highlight=False, markup=False, soft_wrap=True
        )

    def _table(self) -> Table:
        rows = sorted(self._rows.items(), key=lambda item: (item[1].status != Trial.RUNNING, item[0]))
        columns = columns_of([row.result for _, row in rows])
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("trial")
        for _, head, _ in columns:
            table.add_column(head, justify="right")
        table.add_column("done", justify="right")
        table.add_column("time left", justify="right")
        for trial_id, row in rows[:MAX_ROWS]:
            done = fraction_done(row.result, self._stop)
            if not row.result:
                left = "starting" if row.status == Trial.RUNNING or len(rows) == 1 else row.status.lower()
            elif row.status == Trial.RUNNING:
                left = clock(seconds_left(row.result, self._stop))
            else:
                left = row.status.lower()
            share = f"{done:.0%}" if done is not None else "-"
            cells = [cell(row.result, key, form) for key, _, form in columns]
            table.add_row(trial_id, *cells, share, left)
        if len(rows) > MAX_ROWS:
            table.add_row(f"and {len(rows) - MAX_ROWS} more trials")
        return table
