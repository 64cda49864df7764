"""Panels that figures share: metrics over training, and lines by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from rllib_metagrad.analysis import style
from rllib_metagrad.analysis.runs import Group, curve
from rllib_metagrad.analysis.sweep import best_first
from rllib_metagrad.metrics import ENV_STEPS, EVALUATION, TRAINING

STEPS_LABEL = "env steps"
MAX_COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """One panel of a figure that compares groups."""

    title: str
    unit: str
    metric: str
    x: str = ENV_STEPS
    x_label: str = STEPS_LABEL
    log: bool = False


def has(groups: Sequence[Group], metric: str) -> bool:
    """Whether some group has the metric."""
    return any(metric in group.metrics() for group in groups)


def over_training(groups: Sequence[Group], shown: Sequence[Panel], columns: int) -> Figure:
    """A panel for each metric, a line for each group: training pale and evaluation strong, where there are both.

    Args:
        groups: to compare.
        shown: metrics without the prefixes of training and evaluation.
        columns: of panels.
    """
    figure, axes = style.panels(-(-len(shown) // columns), columns, width=4.4 if columns == 2 else 3.8)
    both = False
    for panel, ax in zip(shown, axes.flat, strict=True):
        for index, group in enumerate(groups):
            look = style.run_style(index, group.title)
            training = curve(group, TRAINING + panel.metric, x=panel.x)
            evaluation = curve(group, EVALUATION + panel.metric, x=panel.x)
            if style.is_other(index):
                line = training if evaluation is None else evaluation
                if line is not None:
                    style.draw(ax, line, band=False, **look)
                continue
            if training is not None:
                pale = evaluation is not None
                both = both or pale
                emphasis = {"alpha": 0.4, "linewidth": 1.0, "label": None} if pale else {}
                style.draw(ax, training, **{**look, **emphasis})
            if evaluation is not None:
                style.draw(ax, evaluation, **look)
        ax.set_title(panel.title)
        ax.set_ylabel(panel.unit)
        style.finish_x(ax, panel.x_label)
    style.legend_below(figure)
    explain(figure, groups, "Strong: evaluation without exploration. Pale: training." if both else "")
    return figure


def explain(figure: Figure, groups: Sequence[Group], text: str, shapes: str = "Lines", marks: str = "Bands") -> None:
    """How to read a figure, and what its lines and bands (or other marks) are, where there are several seeds."""
    if any(len(group.trials) > 1 for group in groups):
        text = f"{text} {shapes}: interquartile mean of seeds. {marks}: its 95% interval by bootstrap.".strip()
    if text:
        style.note(figure, text)


def lines_by_name(
    groups: Sequence[Group], rows: Sequence[tuple[str, str, str]], at_most: int | None, note: str = ""
) -> Figure | None:
    """A column per group, a row per kind of metric, a line per name that follows the metric's prefix.

    One group alone has its kinds of metric beside each other.
    """
    rows = [row for row in rows if any(names_after(group, row[0]) for group in groups)]
    columns = [group for group in groups if any(names_after(group, prefix) for prefix, _, _ in rows)]
    if not rows or not columns:
        return None
    notes = [note] if note else []
    if len(columns) > MAX_COLUMNS:
        notes.append(f"The best {MAX_COLUMNS} of {len(columns)} runs.")
        best = best_first(columns)[:MAX_COLUMNS]
        columns = [group for group in columns if group in best]
    alone = len(columns) == 1
    across, height = (len(rows), 3.2) if alone else (len(columns), 2.7)
    figure, axes = style.panels(1 if alone else len(rows), across, width=4.3, height=height)
    axes = axes.T if alone else axes
    names = sorted({n for group in columns for prefix, _, _ in rows for n in names_after(group, prefix)}, key=natural)
    if at_most is not None and len(names) > at_most:
        notes.append(f"The {at_most} largest of {len(names)}.")
        names = _largest(columns, [prefix for prefix, _, _ in rows], names, at_most)
    colors = dict(zip(names, style.many_colors(len(names)), strict=True))
    direct = len(names) <= style.MAX_DIRECT_LABELS
    ends: dict[tuple[int, int], list] = {}
    for row, (prefix, title, unit) in enumerate(rows):
        for column, group in enumerate(columns):
            ax = axes[row, column]
            for name in names:
                line = curve(group, prefix + name)
                if line is None:
                    continue
                style.draw(ax, line, color=colors[name], label=name)
                ends.setdefault((row, column), []).append((line.x[-1], line.y.iqm[-1], name, colors[name]))
            text = f"{title}: {group.title}" if len(groups) > 1 else title
            style.set_title(ax, text, figure.get_figwidth() / across)
            ax.set_ylabel(unit)
            style.finish_x(ax, STEPS_LABEL)
    if len(columns) > 1:
        share_y(axes)
    if direct:
        figure.canvas.draw()  # the axes' height in points is known only after layout
        for (row, column), lines in ends.items():
            style.label_line_ends(axes[row, column], lines)
    else:
        style.legend_below(figure, columns=8)
    explain(figure, columns, " ".join(notes))
    return figure


def share_y(axes: np.ndarray) -> None:
    """Equal y limits along a row, so that groups can be compared by eye."""
    for row in axes:
        limits = [ax.get_ylim() for ax in row if ax.lines]
        if limits:
            low, high = min(low for low, _ in limits), max(high for _, high in limits)
            for ax in row:
                ax.set_ylim(low, high)


def names_after(group: Group, prefix: str) -> set[str]:
    return {metric.removeprefix(prefix) for metric in group.metrics() if metric.startswith(prefix)}


def natural(name: str) -> tuple[str, float]:
    """Sorts agent_2 before agent_10, and 9.7 before 39.475."""
    head = name.rstrip("0123456789.")
    try:
        return head, float(name[len(head) :] or 0)
    except ValueError:
        return name, 0.0


def _largest(groups: Sequence[Group], prefixes: Sequence[str], names: Sequence[str], number: int) -> list[str]:
    """The names with the largest mean absolute value, in the names' order."""

    def size(name: str) -> float:
        lines = [line for g in groups for p in prefixes if (line := curve(g, p + name)) is not None]
        return max((float(np.abs(line.y.iqm).mean()) for line in lines), default=0.0)

    chosen = set(sorted(names, key=size, reverse=True)[:number])
    return [name for name in names if name in chosen]
