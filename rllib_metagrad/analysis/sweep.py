"""Many configurations side by side: which is best, short codes for them, and final results over settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rllib_metagrad.analysis import style
from rllib_metagrad.analysis.runs import Group, short
from rllib_metagrad.metrics import EPISODE_RETURN, EVALUATION, NET, TRAINING

MAX_NAMED = len(style.PALETTE)
"""Groups that figures can name by their labels; more have codes."""
MAX_LABEL = 40
MIN_SWEEP = 4
MAX_COLUMNS = 4
MAX_CATEGORIES, MAX_CATEGORY = 8, 20
MAX_AXIS_NAME = 32
LOG_SPAN = 20.0


# -- which is best -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Outcome:
    """What runs are compared by: a metric's last value."""

    metric: str
    name: str


OUTCOMES = (
    Outcome(EVALUATION + NET, "final net return in evaluation"),
    Outcome(TRAINING + NET, "final net return in training"),
    Outcome(EVALUATION + EPISODE_RETURN, "final episode return in evaluation"),
    Outcome(TRAINING + EPISODE_RETURN, "final episode return in training"),
)


def outcome_of(groups: Sequence[Group]) -> Outcome:
    """The first outcome that any group has: one for all, so that equals are compared."""
    found = (outcome for outcome in OUTCOMES if any(group.final(outcome.metric).n for group in groups))
    return next(found, OUTCOMES[-1])


def best_first(groups: Sequence[Group]) -> list[Group]:
    """Ordered by the mean outcome across seeds, groups without one last."""
    metric = outcome_of(groups).metric

    def rank(group: Group) -> float:
        mean = group.final(metric).mean
        return math.inf if math.isnan(mean) else -mean

    return sorted(groups, key=rank)


# -- codes -------------------------------------------------------------------------------------------------
def code_of(index: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    before, letter = divmod(index, 26)
    return (code_of(before - 1) if before else "") + chr(ord("A") + letter)


def with_codes(groups: Sequence[Group]) -> list[Group]:
    """Best first with codes, where figures have no room for the labels; else the groups as they are."""
    crowded = len(groups) > MAX_NAMED or (len(groups) > 1 and max(len(group.label) for group in groups) > MAX_LABEL)
    if not crowded:
        return list(groups)
    return [replace(group, code=code_of(index)) for index, group in enumerate(best_first(groups))]


# -- the figure --------------------------------------------------------------------------------------------
def sweep(groups: Sequence[Group]) -> Figure | None:
    """The outcome over each varied setting: a dot per trial, and each group's mean where it has several.

    A few groups, or methods whose settings differ only between methods, are no sweep.
    """
    scales = [(name, scale) for name in _varied(groups) if (scale := _scale(groups, name)) is not None]
    outcome = outcome_of(groups)
    if len(groups) < MIN_SWEEP or not scales or not any(group.final(outcome.metric).n for group in groups):
        return None
    rows = -(-len(scales) // MAX_COLUMNS)
    figure, axes = style.panels(rows, -(-len(scales) // rows), share_y=True)
    for ax, (name, scale) in zip(axes.flat, scales, strict=False):
        _scatter(ax, groups, name, scale, outcome.metric)
        ax.set_xlabel(name if len(name) <= MAX_AXIS_NAME else f"…{name[-MAX_AXIS_NAME:]}")
    for ax in axes[:, 0]:
        ax.set_ylabel(outcome.name)
        ax.ticklabel_format(axis="y", useOffset=False)
    for ax in list(axes.flat)[len(scales) :]:
        ax.set_axis_off()
    style.legend_below(figure)
    several = any(len(group.trials) > 1 for group in groups)
    style.note(figure, "Dots: trials. Dashes: means across seeds." if several else "Dots: trials.")
    return figure


def _varied(groups: Sequence[Group]) -> list[str]:
    """Settings that differ between groups of one algorithm; then the algorithm, too, where it differs."""
    members: dict[str, list[Group]] = {}
    for group in groups:
        members.setdefault(group.trials[0].algorithm, []).append(group)
    names = [
        name
        for name in groups[0].differences
        if any(len({repr(group.differences[name]) for group in alike}) > 1 for alike in members.values())
    ]
    return ["algorithm", *names] if names and len(members) > 1 else names


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class _Scale:
    """Where a setting's values stand on the x axis."""

    categories: Mapping[str, int]
    """Places of the values' names; empty where values are numbers."""
    log: bool = False
    whole: bool = False

    def place(self, value: Any) -> float | None:
        """The x of a value; None for a number that is not set."""
        return self.categories[short(value)] if self.categories else value


def _scale(groups: Sequence[Group], name: str) -> _Scale | None:
    """A scale for the setting; None where its values are neither numbers nor a few short names."""
    values = [group.differences[name] for group in groups]
    numbers = [value for value in values if value is not None]
    if all(_is_number(value) for value in numbers) and len(set(numbers)) > 1:
        log = min(numbers) > 0 and max(numbers) / min(numbers) > LOG_SPAN
        return _Scale({}, log, all(isinstance(value, int) for value in numbers))
    names = sorted({short(value) for value in values})
    if len(names) > MAX_CATEGORIES or max(len(name) for name in names) > MAX_CATEGORY:
        return None
    return _Scale({name: place for place, name in enumerate(names)})


def _scatter(axes: Axes, groups: Sequence[Group], name: str, scale: _Scale, metric: str) -> None:
    """One panel; earlier groups lie above later ones, and all that have a color above the others."""
    for index, group in enumerate(groups):
        x = scale.place(group.differences[name])
        if x is None:
            continue
        look = style.run_style(index, group.title)
        finals = [trial.last(metric) for trial in group.trials]
        shared = {"color": look["color"], "zorder": 3.0 - index / len(groups)}
        size, alpha = (5.0, 0.9) if len(finals) == 1 else (4.0, 0.5)
        axes.plot([x] * len(finals), finals, "o", markersize=size, alpha=alpha, label=look["label"], **shared)
        if len(finals) > 1:
            axes.plot([x], [group.final(metric).mean], "_", markersize=14, markeredgewidth=2, **shared)
    if scale.categories:
        axes.set_xticks(list(scale.categories.values()), labels=list(scale.categories))
        axes.margins(x=0.2)
    elif scale.log:
        style.log_x(axes, *axes.dataLim.intervalx)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=scale.whole))
