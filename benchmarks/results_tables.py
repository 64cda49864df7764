"""From runs to the tables and figures of docs/results.md: `python benchmarks/results_tables.py` makes all of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from suites import SUITES, Run, Suite

from rllib_metagrad import metrics
from rllib_metagrad.statistics import estimate, estimate_curve, interval, plus_minus

sys.path.append(str(Path(__file__).parent.parent / "scripts"))
from write_docs import with_tables

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#000000")
_HEADS = {metrics.NET: "net", metrics.RETURN: "R^ID", metrics.PAID: "paid"}


def write(runs: dict[str, Run], name: str, suite: Suite, docs: Path) -> dict[str, Any]:
    """Writes the suite's table between its markers in docs/results.md and its figures; returns the summary."""
    by_method = {m: [run for run in runs.values() if run["method"] == m] for m in suite.methods}
    by_method = {m: sorted(found, key=lambda run: run["seed"]) for m, found in by_method.items() if found}
    rows = [_row(method, found, suite) for method, found in by_method.items()]
    heads = list(dict.fromkeys(head for row in rows for head in row))
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join(row.get(head, "") for head in heads) + " |" for row in rows]
    page = docs / "results.md"
    page.write_text(with_tables(page.read_text(), {name: "\n".join(lines)}))
    for figure, members in suite.figures.items():
        _figure({m: by_method[m] for m in members if m in by_method}, suite, docs / "results" / f"{figure}.png")
    return {method: _summary(found, suite) for method, found in by_method.items()}


def _summary(found: list[Run], suite: Suite) -> dict[str, float]:
    value = estimate(run["sampled"][suite.metric] for run in found)
    numbers = {suite.metric.stem: value.mean, "se": value.standard_error, "iqm": value.iqm, "worst": value.worst}
    return {**{name: round(number, 3) for name, number in numbers.items()}, "seeds": value.n}


def _row(method: str, found: list[Run], suite: Suite) -> dict[str, str]:
    """One line of the table, by heading."""

    def shown(metric: str, kind: str = "sampled") -> str:
        return plus_minus(estimate(run[kind][metric] for run in found))

    final = [run["sampled"][suite.metric] for run in found]
    whole = estimate(final)
    target = suite.methods[method]
    reached = "" if target is None else f"{sum(x >= target for x in final)} of {len(final)} (≥ {target:g})"
    row = {"config": f"`{method}`", "seeds": str(len(found)), _HEADS[suite.metric]: plus_minus(whole)}
    row["IQM [95%]"] = interval(whole)
    row |= {head: shown(metric) for metric, head in _HEADS.items() if metric != suite.metric}
    row |= {"greedy": shown(suite.metric, "greedy"), "worst seed": f"{whole.worst:.2f}", "reached": reached}
    if all("training_tail" in run for run in found):
        row["last 10% of training"] = plus_minus(estimate(run["training_tail"] for run in found))
    if method in suite.stretch and all("later" in run for run in found):
        later = estimate(run["later"][suite.metric] for run in found)
        row[f"trained {suite.stretch[method]:g} times as long"] = f"{plus_minus(later)} (worst {later.worst:.2f})"
    for head, function in suite.extra.items():
        values = [value for run in found if (value := function(run)) is not None]
        row[head] = plus_minus(estimate(values)) if values else ""
    row["env steps"] = f"{np.mean([run['env_steps'] for run in found]) / 1e6:.2f} M"
    row["CPU s"] = f"{np.mean([run['train_cpu_seconds'] for run in found]):.1f}"
    return row


def _figure(methods: dict[str, list[Run]], suite: Suite, path: Path) -> None:
    """The suite's metric over environment steps: interquartile mean and its interval over seeds, on a common grid."""
    if not methods:
        return
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    for color, (method, found) in zip(_COLORS, methods.items(), strict=False):
        first = max(run["curve"][0]["env_steps"] for run in found)
        last = min(run["curve"][-1]["env_steps"] for run in found)
        grid = np.linspace(first, last, 200)
        curves = np.array(
            [
                np.interp(
                    grid,
                    [point["env_steps"] for point in run["curve"]],
                    [point[suite.metric.stem] for point in run["curve"]],
                )
                for run in found
            ]
        )
        line = estimate_curve(curves)
        axes.plot(grid, line.iqm, color=color, label=f"{method.split('/')[1]} ({len(found)} seeds)")
        if line.n > 1:
            axes.fill_between(grid, line.low, line.high, color=color, alpha=0.2, linewidth=0)
    axes.set_xlabel("environment steps")
    axes.set_ylabel(suite.label)
    axes.set_xlim(left=0)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":  # once more from the stored numbers, without training
    import json

    DOCS = Path(__file__).parent.parent / "docs"
    for name, suite in SUITES.items():
        print(json.dumps(write(json.loads((DOCS / "results" / f"{name}.json").read_text()), name, suite, DOCS)))
