"""From runs to the tables and figures of docs/results.md."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#000000")
_BEGIN, _END = "<!-- begin {} -->", "<!-- end {} -->"


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and standard error over seeds."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(np.mean(values)), error


def write(
    runs: dict[str, Any], methods: dict[str, float | None], figures: dict[str, list[str]], docs: Path
) -> dict[str, Any]:
    """Writes the tables between the markers of docs/results.md and the figures; returns the summary."""
    by_method = {m: [run for run in runs.values() if run["method"] == m] for m in methods}
    by_method = {m: sorted(found, key=lambda run: run["seed"]) for m, found in by_method.items() if found}
    rows = ["| config | seeds | net, sampled | R^ID | paid | net, greedy | worst seed | reached | CPU s |"]
    rows.append("|---|---|---|---|---|---|---|---|---|")
    summary: dict[str, Any] = {}
    for method, found in by_method.items():
        net = [run["sampled"]["designer_net_return_mean"] for run in found]
        mean, error = mean_and_error(net)
        target = methods[method]
        hits = "" if target is None else f"{sum(x >= target for x in net)} of {len(net)} (>= {target:g})"

        def column(key: str, kind: str = "sampled", found: list[Any] = found) -> str:
            m, e = mean_and_error([run[kind][f"{key}_mean"] for run in found])
            return f"{m:.2f} ± {e:.2f}"

        cpu, _ = mean_and_error([run["train_cpu_seconds"] for run in found])
        rows.append(
            f"| `{method}` | {len(found)} | {column('designer_net_return')} | {column('designer_return')} | "
            f"{column('incentives_paid')} | {column('designer_net_return', 'greedy')} | {min(net):.2f} | {hits} | "
            f"{cpu:.1f} |"
        )
        summary[method] = {"net": round(mean, 3), "se": round(error, 3), "worst": round(min(net), 3), "seeds": len(net)}
    _replace(docs / "results.md", "escape_room", "\n".join(rows))
    for name, members in figures.items():
        _figure({m: by_method[m] for m in members if m in by_method}, docs / "results" / f"{name}.png")
    return summary


def _replace(path: Path, name: str, text: str) -> None:
    begin, end = _BEGIN.format(name), _END.format(name)
    content = path.read_text()
    if begin not in content or end not in content:
        raise ValueError(f"{path} has no markers {begin} and {end}")
    head, rest = content.split(begin)
    path.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def _figure(methods: dict[str, list[Any]], path: Path) -> None:
    """Net return over environment steps: mean and standard error over seeds, on a common grid."""
    if not methods:
        return
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for colour, (method, found) in zip(_COLOURS, methods.items(), strict=False):
        last = min(run["curve"][-1]["env_steps"] for run in found)
        grid = np.linspace(0, last, 200)
        curves = np.array(
            [
                np.interp(
                    grid,
                    [point["env_steps"] for point in run["curve"]],
                    [point["designer_net_return"] for point in run["curve"]],
                )
                for run in found
            ]
        )
        mean = curves.mean(0)
        error = curves.std(0, ddof=1) / math.sqrt(len(found)) if len(found) > 1 else np.zeros_like(mean)
        axes.plot(grid, mean, color=colour, label=f"{method.split('/')[1]} ({len(found)} seeds)")
        axes.fill_between(grid, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("environment steps")
    axes.set_ylabel("designer's return minus incentives paid")
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
