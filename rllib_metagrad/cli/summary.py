"""What `rllib train` prints when a run has ended."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.utils import flatten_dict
from rich.console import Console
from rich.table import Table

from rllib_metagrad import metrics
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.cli.loggers import LOGGERS
from rllib_metagrad.cli.progress import cell

Column = tuple[metrics.Metric, str, str]
"""Metric, heading, format."""

_TRAINING: tuple[Column, ...] = (
    (metrics.ITERATION, "iteration", "{:,.0f}"),
    (metrics.ENV_STEPS, "env steps", "{:,.0f}"),
    (metrics.CPU_SECONDS, "CPU s", "{:,.1f}"),
)
_DESIGNER: tuple[Column, ...] = (
    (metrics.RETURN, "designer return", "{:.2f}"),
    (metrics.PAID, "incentives paid", "{:.2f}"),
    (metrics.NET, "net", "{:.2f}"),
)
_PLAIN: tuple[Column, ...] = ((metrics.EPISODE_RETURN, "episode return", "{:.2f}"),)
MAX_TRIALS = 30


def print_summary(console: Console, experiment: Experiment, trials: list[Trial], folder: pathlib.Path | str) -> None:
    """A table of the trials' last results, the run folder, checkpoints, and what to do with them."""
    results = [_flat(trial) for trial in trials]
    designer = any(metrics.RETURN.path in result for result in results)
    outcome = _DESIGNER if designer else _PLAIN
    evaluated = any(metrics.EVALUATION + outcome[0][0] in result for result in results)
    draw = _one_trial if len(trials) == 1 else _many_trials
    table = draw(trials, results, outcome, evaluated)
    table.title, table.title_justify = f"{experiment.name}: {experiment.run_name}", "left"
    console.print()
    console.print(table, soft_wrap=not console.is_terminal)
    _print_paths(console, experiment, trials, _short(folder))


def _one_trial(
    trials: list[Trial], results: list[dict[str, Any]], outcome: tuple[Column, ...], evaluated: bool
) -> Table:
    """Results below each other, training beside evaluation."""
    (result,) = results
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("training", justify="right")
    if evaluated:
        table.add_column("evaluation", justify="right")
    for key, head, form in (*outcome, *_TRAINING):
        cells = [cell(result, key.path, form)]
        if evaluated and (key, head, form) in outcome:
            cells.append(cell(result, metrics.EVALUATION + key, form))
        if cells[0] != "-" or len(cells) > 1:
            table.add_row(head, *cells)
    return table


def _many_trials(
    trials: list[Trial], results: list[dict[str, Any]], outcome: tuple[Column, ...], evaluated: bool
) -> Table:
    """A row per trial, with the settings in which the trials differ."""
    table = Table(box=None, pad_edge=False)
    table.add_column("trial")
    varied = sorted({key for trial in trials for key in trial.evaluated_params or {}})
    for key in varied:
        table.add_column(key.removeprefix("config/"))
    for _, head, _ in _TRAINING:
        table.add_column(head, justify="right")
    for prefix in ("", "evaluation ") if evaluated else ("",):
        for _, head, _ in outcome:
            table.add_column(prefix + head, justify="right")
    for trial, result in list(zip(trials, results, strict=True))[:MAX_TRIALS]:
        cells = [_value(_setting(trial, key)) for key in varied]
        cells += [cell(result, key.path, form) for key, _, form in (*_TRAINING, *outcome)]
        if evaluated:
            cells += [cell(result, metrics.EVALUATION + key, form) for key, _, form in outcome]
        table.add_row(trial.trial_id, *cells)
    if len(trials) > MAX_TRIALS:
        table.add_row(f"and {len(trials) - MAX_TRIALS} more trials")
    return table


def _setting(trial: Trial, key: str) -> Any:
    """A setting as the trial ended with it, not as it was drawn: a population's change on the way."""
    value: Any = trial.config
    for part in key.removeprefix("config/").split("/"):
        if not isinstance(value, dict) or part not in value:
            return (trial.evaluated_params or {}).get(key)
        value = value[part]
    return value


def _flat(trial: Trial) -> dict[str, Any]:
    """The trial's last result; evaluation's values from the last result that had them."""
    result = {k: v for k, v in (trial.last_result or {}).items() if k != "config"}
    flat: dict[str, Any] = flatten_dict(result)
    for key, stats in trial.run_metadata.metric_analysis.items():
        if key.startswith(metrics.EVALUATION):
            flat.setdefault(key, stats["last"])
    return flat


def _print_paths(console: Console, experiment: Experiment, trials: list[Trial], folder: str) -> None:
    lines = [("run folder", folder)]
    attribute = experiment.checkpoint_config.checkpoint_score_attribute
    last = best = None
    if len(trials) == 1:
        last = trials[0].checkpoint
        if attribute:
            best = trials[0].run_metadata.checkpoint_manager.best_checkpoint_result
        if last is not None:
            lines.append(("last checkpoint", _short(last.path)))
        if best is not None:
            lines.append((f"best by {attribute}", _short(best.checkpoint.path)))
    shown = best.checkpoint if best is not None else last
    written = LOGGERS if experiment.loggers is None else experiment.loggers
    if "json" in written:
        lines.append(("figures", f"rllib report {folder}"))
    if "tensorboard" in written:
        lines.append(("curves", f"tensorboard --logdir {folder}"))
    if shown is not None:
        lines.append(("evaluate", f"rllib evaluate {_short(shown.path)} --episodes 100"))
    width = max(len(name) for name, _ in lines)
    console.print()
    for name, text in lines:
        console.print(f"{name:<{width}}  {text}", highlight=False, markup=False, soft_wrap=True)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(path: pathlib.Path | str) -> str:
    """Relative to the working folder where that is shorter, for commands that can be pasted."""
    text = str(path)
    if "://" in text:
        return text
    relative = os.path.relpath(text)
    return relative if len(relative) < len(text) else text
