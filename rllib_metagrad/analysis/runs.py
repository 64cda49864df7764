"""Read Tune's run folders: results over time, settings, and trials that differ by their seed only."""

from __future__ import annotations

import json
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from rllib_metagrad.metrics import CPU_SECONDS, ENV_STEPS, ITERATION
from rllib_metagrad.old_metrics import current
from rllib_metagrad.statistics import Estimate, estimate, estimate_curve

_RESULTS, _PROGRESS, _PARAMS = "result.json", "progress.csv", "params.json"
# Settings that say how a run is carried out and not what is learned.
_NOT_A_DIFFERENCE = ("seed", "num_cpus_for_main_process", "callbacks_on_algorithm_init")


@dataclass(frozen=True)
class TrialRun:
    """One trial: its settings (flat, keys joined by `/`) and its results, one row per iteration."""

    folder: pathlib.Path
    algorithm: str
    experiment: str
    config: Mapping[str, Any]
    results: pd.DataFrame
    source: int = 0
    """Index of the RUN argument that this trial came from."""

    @property
    def seed(self) -> Any:
        """The trial's seed, or None."""
        return self.config.get("seed")

    def last(self, metric: str) -> float:
        """The last reported value of a metric; NaN where there is none."""
        if metric not in self.results:
            return math.nan
        values = self.results[metric].dropna()
        return float(values.iloc[-1]) if len(values) else math.nan


@dataclass(frozen=True, eq=False)
class Group:
    """Trials with equal settings apart from the seed."""

    trials: tuple[TrialRun, ...]
    label: str
    differences: Mapping[str, Any] = field(default_factory=dict)
    """Settings in which this group differs from another one of the report."""
    base: str = ""
    """The label without settings: that of the RUN, or the algorithm."""
    code: str = ""
    """What stands for the label in figures where labels would be too many or too long, else empty."""

    @property
    def name(self) -> str:
        """The code, or the label where there is none."""
        return self.code or self.label

    @property
    def title(self) -> str:
        """The name, and how many seeds are behind it."""
        seeds = len(self.trials)
        return f"{self.name} ({seeds}\N{NO-BREAK SPACE}seed{'s' if seeds > 1 else ''})"

    def metrics(self) -> set[str]:
        """Metrics that at least one trial has a number for."""
        return {name for trial in self.trials for name in trial.results.columns}

    def final(self, metric: str) -> Estimate[float]:
        """What the trials' last values come to."""
        return estimate([trial.last(metric) for trial in self.trials])


@dataclass(frozen=True)
class Curve:
    """A metric over env steps (or another x), ``[T]``, estimated across a group's trials."""

    x: np.ndarray
    y: Estimate[np.ndarray]


# -- reading -----------------------------------------------------------------------------------------------
def load_runs(folders: Sequence[pathlib.Path]) -> list[TrialRun]:
    """All trials with results in or below the given folders (trial, experiment or results folders).

    Raises:
        ValueError: a folder without any trial's results.
    """
    trials: list[TrialRun] = []
    seen: set[pathlib.Path] = set()
    for index, folder in enumerate(folders):
        found = [path for path in _trial_folders(folder) if path.resolve() not in seen]
        loaded = [trial for path in found if (trial := _load_trial(path, index)) is not None]
        if not loaded:
            raise ValueError(f"{folder}: no results there ({_RESULTS} or {_PROGRESS} of a trial)")
        seen.update(path.resolve() for path in found)
        trials += loaded
    return trials


def _trial_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    if (folder / _PARAMS).is_file():
        return [folder]
    return sorted({path.parent for path in folder.rglob(_PARAMS)})


def _load_trial(folder: pathlib.Path, source: int) -> TrialRun | None:
    rows = _read_json_lines(folder / _RESULTS)
    if rows:
        results = pd.DataFrame([flatten({k: v for k, v in row.items() if k != "config"}) for row in rows])
    elif (folder / _PROGRESS).is_file() and (folder / _PROGRESS).stat().st_size:
        results = pd.read_csv(folder / _PROGRESS)
        results = results[[name for name in results.columns if not name.startswith("config/")]]
    else:
        return None
    results = _by_names_of_today(results.select_dtypes(include=["number", "bool"]).astype(float))
    if ITERATION in results:
        # After a resume, iterations since the last checkpoint stand twice: the later ones hold.
        results = results.drop_duplicates(ITERATION, keep="last").sort_values(ITERATION)
    results = _without_what_was_left(results)
    try:
        config = flatten(json.loads((folder / _PARAMS).read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder / _PARAMS}: not JSON: {error.msg}") from error
    return TrialRun(
        folder=folder,
        algorithm=_algorithm_of(folder, config),
        experiment=folder.parent.name,
        config=config,
        results=results.reset_index(drop=True),
        source=source,
    )


def _by_names_of_today(results: pd.DataFrame) -> pd.DataFrame:
    """Runs of version 0.1 have only old names of metrics, later ones both, of which the old ones are left out."""
    names = {name: now for name in results.columns if (now := current(name)) != name}
    results = results.drop(columns=[old for old, now in names.items() if now in results])
    return results.rename(columns=names)


def _without_what_was_left(results: pd.DataFrame) -> pd.DataFrame:
    """The results that led to the last one: where steps or seconds go back, the later ones hold.

    Population-based training sends a trial to another one's checkpoint, which may have fewer than it had itself.
    """
    for axis in (ENV_STEPS, CPU_SECONDS):
        if axis not in results:
            continue
        values = results[axis].to_numpy()
        least_later = np.fmin.accumulate(values[::-1])[::-1][1:]
        results = results[np.append(~(values[:-1] >= least_later), True)]
    return results


def _read_json_lines(file: pathlib.Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):  # a running trial may be writing it
                break
            raise ValueError(f"{file}:{number}: not JSON: {error.msg}") from error
    return rows


def _algorithm_of(folder: pathlib.Path, config: Mapping[str, Any]) -> str:
    """Tune names a trial's folder `<algorithm>_<env>_<id>_...`; rllib_train.json says it outright."""
    spec = folder.parent / "rllib_train.json"
    if spec.is_file():
        try:
            return str(json.loads(spec.read_text(encoding="utf-8"))["run"])
        except (json.JSONDecodeError, KeyError):
            pass
    env = str(config.get("env", "")).replace("/", "_")
    name, found, _ = folder.name.partition(f"_{env}_")
    if env and found:
        return name
    return re.split(r"_[0-9a-f]{5}_\d{5}", folder.name)[0]


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by `/`."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            flat |= flatten(item, f"{prefix}{key}/") if item else {f"{prefix}{key}": {}}
        else:
            flat[f"{prefix}{key}"] = item
    return flat


# -- grouping ----------------------------------------------------------------------------------------------
def _settings(trial: TrialRun) -> dict[str, str]:
    settings = {
        key: json.dumps(value, sort_keys=True, default=str)
        for key, value in trial.config.items()
        if key not in _NOT_A_DIFFERENCE
    }
    return {"algorithm": json.dumps(trial.algorithm), **settings}


def group_trials(trials: Sequence[TrialRun], labels: Sequence[str] | None = None) -> list[Group]:
    """Put trials together that differ by their seed only.

    Args:
        trials: from `load_runs`.
        labels: one name per RUN argument; trials of different arguments then stay apart.

    Returns:
        Groups in the order of their first trial, each with a label that no other one has.
    """
    members: dict[tuple[Any, ...], list[TrialRun]] = {}
    for trial in trials:
        key = tuple(sorted(_settings(trial).items()))
        members.setdefault((trial.source if labels else None, key), []).append(trial)
    settings = {key: _settings(group[0]) for key, group in members.items()}
    names = sorted({name for values in settings.values() for name in values})
    differing = [name for name in names if len({v.get(name) for v in settings.values()}) > 1]

    groups = []
    for key, group in members.items():
        differences = {name: json.loads(settings[key][name]) if name in settings[key] else None for name in differing}
        base = labels[group[0].source] if labels else group[0].algorithm
        shown = {k: v for k, v in differences.items() if k != "algorithm"}
        groups.append((base, group, differences, shown))
    result = []
    for base, group, differences, shown in groups:
        rivals = [other for other in groups if other[0] == base and other[1] is not group]
        label = base
        if rivals:
            telling = [k for k, v in shown.items() if any(other[3].get(k) != v for other in rivals)]
            parts = [f"{name.rsplit('/', 1)[-1]}={short(shown[name])}" for name in telling]
            label = f"{base}, {', '.join(parts)}" if parts else f"{base}, {group[0].experiment}"
        result.append(Group(tuple(group), label, differences, base))
    return result


def short(value: Any) -> str:
    """A setting's value as in labels: three digits; `default` where it is not set."""
    if value is None:
        return "default"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


# -- curves ------------------------------------------------------------------------------------------------
def curve(group: Group, *metrics: str, x: str = ENV_STEPS, points: int = 200) -> Curve | None:
    """A metric over `x`, estimated across the group's trials; None where no trial has it.

    Trials that report at the same x are taken there (down to `points` bins); others are interpolated to
    a common grid over the range that all of them cover.

    Args:
        group: the trials.
        metrics: the metric; of several, such as those of all policies, each trial's mean.
        x: metric on the x axis; iterations for trials without it.
        points: about how many there are at most.
    """
    series = [s for trial in group.trials if (s := _series(trial, metrics, x)) is not None]
    if not series:
        return None
    first = series[0][0]
    if all(len(xs) == len(first) and np.allclose(xs, first) for xs, _ in series):
        grid, values = first, np.stack([ys for _, ys in series])
    else:
        low, high = max(xs[0] for xs, _ in series), min(xs[-1] for xs, _ in series)
        if high <= low:  # no common range: show the longest trial alone
            longest = max(series, key=lambda s: s[0][-1])
            grid, values = longest[0], longest[1][None]
        else:
            grid = np.linspace(low, high, min(points, max(len(xs) for xs, _ in series)))
            values = np.stack([np.interp(grid, xs, ys) for xs, ys in series])
    if len(grid) > 2 * points:
        bins = np.array_split(np.arange(len(grid)), points)
        grid = np.array([grid[b].mean() for b in bins])
        values = np.stack([values[:, b].mean(axis=1) for b in bins], axis=1)
    return Curve(grid, estimate_curve(values))


def _series(trial: TrialRun, metrics: Sequence[str], x: str) -> tuple[np.ndarray, np.ndarray] | None:
    axis = x if x in trial.results else ITERATION
    there = [metric for metric in metrics if metric in trial.results]
    if not there or axis not in trial.results:
        return None
    pair = pd.DataFrame({"x": trial.results[axis], "y": trial.results[there].mean(axis=1)})
    pair = pair.replace([np.inf, -np.inf], np.nan).dropna()
    if pair.empty:
        return None
    return pair["x"].to_numpy(), pair["y"].to_numpy()
