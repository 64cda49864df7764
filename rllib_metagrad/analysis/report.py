"""A report of runs: PNG figures and one HTML page that needs no other file."""

from __future__ import annotations

import base64
import math
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import matplotlib.pyplot as plt

from rllib_metagrad.analysis import figures, style
from rllib_metagrad.analysis.runs import Group, TrialRun, group_trials, load_runs, short
from rllib_metagrad.analysis.sweep import OUTCOMES, outcome_of, with_codes
from rllib_metagrad.metrics import (
    CPU_SECONDS,
    ENV_STEPS,
    EPISODE_RETURN,
    EQUALITY,
    EVALUATION,
    ITERATION,
    NET,
    PAID,
    PRODUCTIVITY,
    RETURN,
    TRAINING,
    WELFARE,
)
from rllib_metagrad.statistics import Estimate, plus_minus

PAGE = "index.html"
_OUTCOMES = (
    (RETURN, "designer return"),
    (PAID, "incentives paid"),
    (NET, "net"),
)


@dataclass(frozen=True)
class Report:
    """The files that were written."""

    page: pathlib.Path
    figures: list[pathlib.Path]


def write_report(folders: Sequence[pathlib.Path], target: pathlib.Path, labels: Sequence[str] | None = None) -> Report:
    """Read runs and write their figures and page.

    Args:
        folders: trial, experiment or results folders.
        target: folder of the report, made if needed.
        labels: a name per folder; trials of different folders then stay apart.

    Raises:
        ValueError: a folder has no results.
        OSError: `target` cannot be written.
    """
    groups = with_codes(group_trials(load_runs(folders), labels))
    target.mkdir(parents=True, exist_ok=True)
    drawn: list[tuple[str, pathlib.Path]] = []
    with plt.rc_context(style.RC):
        for name, (title, function) in figures.FIGURES.items():
            figure = function(groups)
            if figure is None:
                continue
            path = target / f"{name}.png"
            figure.savefig(path, bbox_inches="tight")
            plt.close(figure)
            drawn.append((title, path))
    page = target / PAGE
    page.write_text(_page(groups, drawn), encoding="utf-8")
    return Report(page, [path for _, path in drawn])


def result_table(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Headings and one row per group: final results, mean ± standard error across seeds.

    Groups with codes have their settings in the table, too: it is where a code's meaning is found.
    """
    columns: list[tuple[str, str]] = []
    designer = any(g.final(TRAINING + RETURN).n for g in groups) or any(g.final(EVALUATION + RETURN).n for g in groups)
    outcomes = _OUTCOMES if designer else ((EPISODE_RETURN, "episode return"),)
    for prefix, kind in ((EVALUATION, "evaluation "), (TRAINING, "training ")):
        for metric, name in outcomes:
            if any(group.final(prefix + metric).n for group in groups):
                columns.append((prefix + metric, kind + name))
    # Of an economy; of training only where nothing is evaluated.
    economy = [
        (prefix + metric, kind + metric.key[-1])
        for prefix, kind in ((EVALUATION, "evaluation "), (TRAINING, "training "))
        for metric in (PRODUCTIVITY, EQUALITY, WELFARE)
        if any(group.final(prefix + metric).n for group in groups)
    ]
    columns += economy[:3]
    counts = [
        (key, name)
        for key, name in ((ITERATION, "iterations"), (ENV_STEPS, "env steps"), (CPU_SECONDS, "CPU s"))
        if any(group.final(key).n for group in groups)
    ]
    settings = _settings(groups) if groups[0].code else {}
    heads = ["run", *settings, "seeds", *(name for _, name in counts), *(name for _, name in columns)]
    rows = [
        [
            group.name,
            *(values[index] for values in settings.values()),
            str(len(group.trials)),
            *(_count(group.final(key)) for key, _ in counts),
            *(plus_minus(group.final(metric)) for metric, _ in columns),
        ]
        for index, group in enumerate(groups)
    ]
    return heads, rows


def _settings(groups: Sequence[Group]) -> dict[str, list[str]]:
    """Columns of what tells groups apart: the RUNs' labels where they are the user's, and settings."""
    columns = {name: [short(group.differences[name]) for group in groups] for name in groups[0].differences}
    if any(group.base != group.trials[0].algorithm for group in groups):
        columns = {"label": [group.base for group in groups]} | columns
    return columns


def _count(value: Estimate[float]) -> str:
    return "–" if value.n == 0 else f"{value.mean:,.0f}" if value.mean >= 100 else f"{value.mean:.3g}"


def _trial_rows(groups: Sequence[Group]) -> list[list[str]]:
    rows = []
    for group in groups:
        for trial in group.trials:
            rows.append([group.name, _text(trial.seed), *_last(trial), str(trial.folder)])
    return rows


def _last(trial: TrialRun) -> list[str]:
    """The trial's final net return, in evaluation where there is one."""
    values = (trial.last(outcome.metric) for outcome in OUTCOMES)
    return [next((f"{value:.2f}" for value in values if math.isfinite(value)), "–")]


def _text(value: Any) -> str:
    return "default" if value is None else str(value)


def _title(groups: Sequence[Group]) -> str:
    coded = bool(groups[0].code)
    names = ", ".join(dict.fromkeys(group.base if coded else group.label for group in groups))[:120]
    return f"{names}: {len(groups)} configurations" if coded else names


def _page(groups: Sequence[Group], drawn: Sequence[tuple[str, pathlib.Path]]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rllib_metagrad.analysis"), autoescape=True, trim_blocks=True
    )
    heads, rows = result_table(groups)
    names = sorted({name for group in groups for name in group.differences})
    images = [(title, path.name, base64.b64encode(path.read_bytes()).decode("ascii")) for title, path in drawn]
    first = groups[0].trials[0].config
    return environment.get_template("report.html").render(
        title=_title(groups),
        order=outcome_of(groups).name if groups[0].code else "",
        heads=heads,
        rows=rows,
        difference_names=names,
        differences=[(group.name, [_text(group.differences.get(name)) for name in names]) for group in groups],
        common=sorted((k, _text(v)) for k, v in first.items() if k not in names and k != "seed"),
        trials=_trial_rows(groups),
        images=images,
    )
