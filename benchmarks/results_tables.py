"""From runs to the tables and figures of docs/results.md."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from suites import Run, Suite

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#000000")
_HEADS = {"designer_net_return": "net", "designer_return": "R^ID", "incentives_paid": "paid"}
_BEGIN, _END = "<!-- begin {} -->", "<!-- end {} -->"


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and standard error over seeds."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(np.mean(values)), error


def write(runs: dict[str, Run], name: str, suite: Suite, docs: Path) -> dict[str, Any]:
    """Writes the suite's table between its markers in docs/results.md and its figures; returns the summary."""
    by_method = {m: [run for run in runs.values() if run["method"] == m] for m in suite.methods}
    by_method = {m: sorted(found, key=lambda run: run["seed"]) for m, found in by_method.items() if found}
    rows = [_row(method, found, suite) for method, found in by_method.items()]
    heads = list(dict.fromkeys(head for row in rows for head in row))
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join(row.get(head, "") for head in heads) + " |" for row in rows]
    _replace(docs / "results.md", name, "\n".join(lines))
    for figure, members in suite.figures.items():
        _figure({m: by_method[m] for m in members if m in by_method}, suite, docs / "results" / f"{figure}.png")
    summary = {}
    for method, found in by_method.items():
        values = [run["sampled"][f"{suite.metric}_mean"] for run in found]
        mean, error = mean_and_error(values)
        summary[method] = {
            suite.metric: round(mean, 3),
            "se": round(error, 3),
            "worst": round(min(values), 3),
            "seeds": len(values),
        }
    return summary


def _row(method: str, found: list[Run], suite: Suite) -> dict[str, str]:
    """One line of the table, by heading."""

    def shown(values: list[float]) -> str:
        mean, error = mean_and_error(values)
        return f"{mean:.2f} ± {error:.2f}"

    def evaluated(key: str, kind: str = "sampled") -> str:
        return shown([run[kind][f"{key}_mean"] for run in found])

    final = [run["sampled"][f"{suite.metric}_mean"] for run in found]
    target = suite.methods[method]
    reached = "" if target is None else f"{sum(x >= target for x in final)} of {len(final)} (≥ {target:g})"
    row = {"config": f"`{method}`", "seeds": str(len(found)), _HEADS[suite.metric]: shown(final)}
    row |= {head: evaluated(key) for key, head in _HEADS.items() if key != suite.metric}
    row |= {"greedy": evaluated(suite.metric, "greedy"), "worst seed": f"{min(final):.2f}", "reached": reached}
    if all("training_tail" in run for run in found):
        row["last 10% of training"] = shown([run["training_tail"] for run in found])
    if method in suite.stretch and all("later" in run for run in found):
        later = [run["later"][f"{suite.metric}_mean"] for run in found]
        row[f"trained {suite.stretch[method]:g} times as long"] = f"{shown(later)} (worst {min(later):.2f})"
    for head, function in suite.extra.items():
        values = [value for run in found if (value := function(run)) is not None]
        row[head] = shown(values) if values else ""
    row["env steps"] = f"{np.mean([run['env_steps'] for run in found]) / 1e6:.2f} M"
    row["CPU s"] = f"{np.mean([run['train_cpu_seconds'] for run in found]):.1f}"
    return row


def _replace(path: Path, name: str, text: str) -> None:
    begin, end = _BEGIN.format(name), _END.format(name)
    content = path.read_text()
    if begin not in content or end not in content:
        raise ValueError(f"{path} has no markers {begin} and {end}")
    head, rest = content.split(begin)
    path.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def _figure(methods: dict[str, list[Run]], suite: Suite, path: Path) -> None:
    """The suite's metric over environment steps: mean and standard error over seeds, on a common grid."""
    if not methods:
        return
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    for colour, (method, found) in zip(_COLOURS, methods.items(), strict=False):
        first = max(run["curve"][0]["env_steps"] for run in found)
        last = min(run["curve"][-1]["env_steps"] for run in found)
        grid = np.linspace(first, last, 200)
        curves = np.array(
            [
                np.interp(
                    grid,
                    [point["env_steps"] for point in run["curve"]],
                    [point[suite.metric] for point in run["curve"]],
                )
                for run in found
            ]
        )
        mean = curves.mean(0)
        error = curves.std(0, ddof=1) / math.sqrt(len(found)) if len(found) > 1 else np.zeros_like(mean)
        axes.plot(grid, mean, color=colour, label=f"{method.split('/')[1]} ({len(found)} seeds)")
        axes.fill_between(grid, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("environment steps")
    axes.set_ylabel(suite.label)
    axes.set_xlim(left=0)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
