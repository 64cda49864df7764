"""The figures of a report. Each function returns None where the runs have nothing to show in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from rllib_metagrad.analysis import style
from rllib_metagrad.analysis.runs import (
    CPU_SECONDS,
    ENV_STEPS,
    EPISODE_RETURN,
    EVALUATION,
    NET,
    PAID,
    RETURN,
    TRAINING,
    Curve,
    Group,
    curve,
)
from rllib_metagrad.analysis.sweep import best_first, sweep

STEPS_LABEL = "env steps"
MAX_COLUMNS = 4
MAX_ACTION_TYPES = 8


@dataclass(frozen=True)
class Panel:
    """One panel of a figure that compares groups."""

    title: str
    unit: str
    metric: str
    x: str = ENV_STEPS
    x_label: str = STEPS_LABEL
    log: bool = False


def _has(groups: Sequence[Group], metric: str) -> bool:
    return any(metric in group.metrics() for group in groups)


# -- returns -----------------------------------------------------------------------------------------------
def returns(groups: Sequence[Group]) -> Figure | None:
    """Designer return, incentives paid and net (or episode return), training pale and evaluation strong."""
    found = [
        Panel("Designer return", "return per episode", RETURN),
        Panel("Incentives paid", "paid per episode", PAID),
        Panel("Net: return − incentives", "net return per episode", NET),
    ]
    shown = [p for p in found if _has(groups, TRAINING + p.metric) or _has(groups, EVALUATION + p.metric)]
    if not shown:
        shown = [Panel("Episode return", "return per episode", EPISODE_RETURN)]
    elif any(CPU_SECONDS in trial.results for group in groups for trial in group.trials):
        shown.append(Panel("Net over computing time", "net return per episode", NET, CPU_SECONDS, "CPU seconds"))
    if not any(_has(groups, prefix + p.metric) for p in shown for prefix in (TRAINING, EVALUATION)):
        return None
    columns = 2 if len(shown) == 4 else len(shown)
    figure, axes = style.panels(-(-len(shown) // columns), columns, width=4.4 if columns == 2 else 3.8)
    both = False
    for panel, ax in zip(shown, axes.flat, strict=True):
        for index, group in enumerate(groups):
            look = style.run_style(index, group.title)
            training = curve(group, TRAINING + panel.metric, panel.x)
            evaluation = curve(group, EVALUATION + panel.metric, panel.x)
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
    _explain(figure, groups, "Strong: evaluation without exploration. Pale: training." if both else "")
    return figure


def _explain(figure: Figure, groups: Sequence[Group], text: str) -> None:
    if any(len(group.trials) > 1 for group in groups):
        text = f"{text} Bands: one standard error across seeds.".strip()
    if text:
        style.note(figure, text)


# -- incentives by action type (Figure 1d of the paper) ----------------------------------------------------
_BY_ACTION = (
    ("incentive_offered/", "Offered", "mean incentive offered"),
    ("incentive_paid/", "Paid", "paid per episode"),
    ("action_share/", "Chosen", "share of actions"),
)


def incentives_by_action(groups: Sequence[Group]) -> Figure | None:
    """Incentives offered, paid, and how often each action type is chosen, over training."""
    rows = [(TRAINING + key, title, unit) for key, title, unit in _BY_ACTION]
    return _lines_by_name(groups, rows, MAX_ACTION_TYPES)


# -- agents ------------------------------------------------------------------------------------------------
def agents(groups: Sequence[Group]) -> Figure | None:
    """Each agent's environment return and the incentives it received."""
    rows = [
        (TRAINING + "agent_returns_mean/", "Agents' return", "environment return per episode"),
        (TRAINING + "agent_incentives_mean/", "Agents' incentives", "received per episode"),
    ]
    return _lines_by_name(groups, rows, None)


def agent_actions(groups: Sequence[Group]) -> Figure | None:
    """What each agent does: the share of its steps spent in each action type, over training."""
    prefix = TRAINING + "agent_action_share/"
    found = sorted({name.split("/")[0] for group in groups for name in _names(group, prefix)}, key=_natural)
    rows = [(f"{prefix}{agent}/", agent, "share of its steps") for agent in found[:MAX_COLUMNS]]
    note = f"The first {MAX_COLUMNS} of {len(found)} agents." if len(found) > MAX_COLUMNS else ""
    return _lines_by_name(groups, rows, MAX_ACTION_TYPES, note)


def _lines_by_name(
    groups: Sequence[Group], rows: Sequence[tuple[str, str, str]], at_most: int | None, note: str = ""
) -> Figure | None:
    """A column per group, a row per kind of metric, a line per name that follows the metric's prefix.

    One group alone has its kinds of metric beside each other.
    """
    rows = [row for row in rows if any(_names(group, row[0]) for group in groups)]
    columns = [group for group in groups if any(_names(group, prefix) for prefix, _, _ in rows)]
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
    names = sorted({n for group in columns for prefix, _, _ in rows for n in _names(group, prefix)}, key=_natural)
    if at_most is not None and len(names) > at_most:
        notes.append(f"The {at_most} largest of {len(names)}.")
        names = _largest(columns, [prefix for prefix, _, _ in rows], names, at_most)
    colours = dict(zip(names, style.many_colours(len(names)), strict=True))
    direct = len(names) <= style.MAX_DIRECT_LABELS
    ends: dict[tuple[int, int], list] = {}
    for row, (prefix, title, unit) in enumerate(rows):
        for column, group in enumerate(columns):
            ax = axes[row, column]
            for name in names:
                line = curve(group, prefix + name)
                if line is None:
                    continue
                style.draw(ax, line, color=colours[name], label=name)
                ends.setdefault((row, column), []).append((line.x[-1], line.mean[-1], name, colours[name]))
            text = f"{title}: {group.title}" if len(groups) > 1 else title
            style.set_title(ax, text, figure.get_figwidth() / across)
            ax.set_ylabel(unit)
            style.finish_x(ax, STEPS_LABEL)
    if len(columns) > 1:
        _share_y(axes)
    if direct:
        figure.canvas.draw()  # the axes' height in points is known only after layout
        for (row, column), lines in ends.items():
            style.label_line_ends(axes[row, column], lines)
    else:
        style.legend_below(figure, columns=8)
    _explain(figure, columns, " ".join(notes))
    return figure


def _share_y(axes: np.ndarray) -> None:
    """Equal y limits along a row, so that groups can be compared by eye."""
    for row in axes:
        limits = [ax.get_ylim() for ax in row if ax.lines]
        if limits:
            low, high = min(low for low, _ in limits), max(high for _, high in limits)
            for ax in row:
                ax.set_ylim(low, high)


def _names(group: Group, prefix: str) -> set[str]:
    return {metric.removeprefix(prefix) for metric in group.metrics() if metric.startswith(prefix)}


def _natural(name: str) -> tuple:
    """agent_2 before agent_10."""
    head = name.rstrip("0123456789")
    return (head, int(name[len(head) :] or 0))


def _largest(groups: Sequence[Group], prefixes: Sequence[str], names: Sequence[str], number: int) -> list[str]:
    """The names with the largest mean absolute value, in the names' order."""

    def size(name: str) -> float:
        lines = [line for g in groups for p in prefixes if (line := curve(g, p + name)) is not None]
        return max((float(np.abs(line.mean).mean()) for line in lines), default=0.0)

    chosen = set(sorted(names, key=size, reverse=True)[:number])
    return [name for name in names if name in chosen]


# -- learner -----------------------------------------------------------------------------------------------
_DESIGNER = "learners/designer/"
_LEARNER = (
    Panel("Meta-gradient norm", "norm", _DESIGNER + "meta_gradient_norm", log=True),
    Panel("Replica gap", "largest difference", _DESIGNER + "replica_gap", log=True),
    Panel("Designer loss", "loss", _DESIGNER + "loss"),
    Panel("Designer cost", "cost", _DESIGNER + "cost"),
    Panel("Agents' entropy", "nats, mean of policies", "entropy"),
    Panel("Agents' KL", "nats, mean of policies", "kl", log=True),
)


def learner(groups: Sequence[Group]) -> Figure | None:
    """Replica gap, meta-gradient norm, losses, entropies and KL."""
    drawn: list[tuple[Panel, list[tuple[int, Curve]]]] = []
    for panel in _LEARNER:
        find = curve if "/" in panel.metric else _over_policies
        lines = [(i, line) for i, group in enumerate(groups) if (line := find(group, panel.metric)) is not None]
        if lines:
            drawn.append((panel, lines))
    if not drawn:
        return None
    columns = min(3, len(drawn))
    figure, axes = style.panels(-(-len(drawn) // columns), columns)
    for (panel, lines), ax in zip(drawn, axes.flat, strict=False):
        for index, line in lines:
            style.draw(ax, line, band=not style.is_other(index), **style.run_style(index, groups[index].title))
        if panel.log and all((line.mean > 0).any() for _, line in lines):
            ax.set_yscale("log", nonpositive="mask")
        ax.set_title(panel.title)
        ax.set_ylabel(panel.unit)
        style.finish_x(ax, STEPS_LABEL)
    for ax in list(axes.flat)[len(drawn) :]:
        ax.set_axis_off()
    style.legend_below(figure)
    _explain(figure, groups, "")
    return figure


def _over_policies(group: Group, metric: str) -> Curve | None:
    """`learners/**/<metric>` averaged over policies (ours below agents/, RLlib's directly)."""
    names = sorted(
        name
        for name in group.metrics()
        if name.startswith("learners/") and name.endswith("/" + metric) and not name.startswith(_DESIGNER)
    )
    lines = [line for name in names if (line := curve(group, name)) is not None]
    lines = [line for line in lines if len(line.x) == len(lines[0].x)] if lines else []
    if not lines:
        return None
    mean = np.mean([line.mean for line in lines], axis=0)
    error = np.mean([line.standard_error for line in lines], axis=0)
    return Curve(lines[0].x, mean, error, lines[0].n)


FIGURES: dict[str, tuple[str, Callable[[Sequence[Group]], Figure | None]]] = {
    "returns": ("Returns", returns),
    "sweep": ("Sweep", sweep),
    "incentives_by_action": ("Incentives by action type", incentives_by_action),
    "agents": ("Agents", agents),
    "agent_actions": ("What each agent does", agent_actions),
    "learner": ("Learner", learner),
}
