"""Figures of economies: welfare over training, tax rates, and who earns and does what, as Figures 2-13 of the paper.

They need the metrics that Gather-Trade-Build gives for episodes (docs/metrics.md); for other runs there are none.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rllib_metagrad.analysis import style
from rllib_metagrad.analysis.panels import (
    MAX_COLUMNS,
    Panel,
    explain,
    has,
    lines_by_name,
    names_after,
    natural,
    over_training,
    share_y,
)
from rllib_metagrad.analysis.runs import Group, TrialRun
from rllib_metagrad.analysis.sweep import best_first
from rllib_metagrad.metrics import (
    ENV_STEPS,
    EQUALITY,
    EVALUATION,
    INCOME,
    INCOME_AFTER,
    INCOME_FROM_BUILDING,
    INCOME_FROM_TRADING,
    PRODUCTIVITY,
    STONE,
    TAX_PAID,
    TAX_RATE,
    TRAINING,
    WELFARE,
    WOOD,
)
from rllib_metagrad.statistics import Estimate, estimate

RATE = TAX_RATE.prefix
#: At the end, and for snapshots, numbers are means over this share of training.
WINDOW = 0.1
#: Of training, in snapshots.
MOMENTS = (0.05, 0.3, 1.0)
_RANKS = "rank of skill, 1 is the lowest"
_BRACKETS = "income bracket (coin)"
_END = "End of training: the last evaluation, else the last tenth of training."


@dataclass(frozen=True)
class Bars:
    """A panel of bars by rank of skill or by bracket; several metrics are added up."""

    title: str
    unit: str
    metrics: tuple[str, ...]


_RATES = Bars("Tax rates", "marginal rate", (RATE,))
_BEFORE = Bars("Income before redistribution", "coin per episode", (INCOME.prefix,))
_PAID = Bars("Tax paid", "coin per episode", (TAX_PAID.prefix,))
_AFTER = Bars("Income after redistribution", "coin per episode", (INCOME_AFTER.prefix,))
_RESOURCES = Bars("Resources collected", "units per episode", (WOOD.prefix, STONE.prefix))
_BUILDING = Bars("Income from building", "coin per episode", (INCOME_FROM_BUILDING.prefix,))
_TRADING = Bars("Income from trading", "coin per episode", (INCOME_FROM_TRADING.prefix,))


def welfare(groups: Sequence[Group]) -> Figure | None:
    """Welfare, equality and productivity over training (Figures 2 and 10)."""
    shown = [
        Panel("Social welfare", "productivity × equality, summed", WELFARE),
        Panel("Equality", "at the end of episodes", EQUALITY),
        Panel("Productivity", "all coin at the end of episodes", PRODUCTIVITY),
    ]
    if not has(groups, TRAINING + WELFARE):
        return None
    return over_training(groups, shown, 3)


def tax_rates(groups: Sequence[Group]) -> Figure | None:
    """Rates by bracket at the end, a panel a group and a bar a seed (Figures 3, 5, 9, 11 and 13)."""
    shown = [group for group in groups if _suffixes([group], RATE)]
    if not shown:
        return None
    shown, note = _best(shown, 2 * MAX_COLUMNS)
    # The names of seven brackets need the width that three columns leave.
    columns = 2 if len(shown) == 4 else min(3, len(shown))
    figure, axes = style.panels(-(-len(shown) // columns), columns, width=4.2, share_y=True)
    seeds = sorted({_seed(trial) for group in shown for trial in group.trials}, key=natural)
    colors = dict(zip(seeds, style.many_colors(len(seeds)), strict=True))
    for ax, group in zip(axes.flat, shown, strict=False):
        names = _suffixes([group], RATE)
        series = [
            (
                [_final(Group((trial,), ""), RATE + name) for name in names],
                {"color": colors[_seed(trial)], "label": _seed(trial)},
            )
            for trial in group.trials
        ]
        style.bars(ax, _brackets(names), series)
        style.set_title(ax, group.title, figure.get_figwidth() / columns)
        ax.set_ylim(0, 1)
        ax.set_ylabel(_RATES.unit)
        ax.set_xlabel(_BRACKETS)
        ax.tick_params("x", labelsize=7.5)
    for ax in list(axes.flat)[len(shown) :]:
        ax.set_axis_off()
    if len(seeds) > 1:
        style.legend_below(figure, columns=8)
    style.note(figure, f"{_END} {note}".strip())
    return figure


def tax_rates_over_training(groups: Sequence[Group]) -> Figure | None:
    """Rates by bracket, named by the lowest income in it."""
    return lines_by_name(groups, [(TRAINING + RATE, "Tax rate from an income on", "marginal rate")], None)


def incomes_by_skill(groups: Sequence[Group]) -> Figure | None:
    """Income and tax before and after redistribution (Figure 7)."""
    return _by_skill(groups, (_BEFORE, _PAID, _AFTER))


def activity_by_skill(groups: Sequence[Group]) -> Figure | None:
    """Resources collected, and income from building and from trading (Figures 4 and 12)."""
    return _by_skill(groups, (_RESOURCES, _BUILDING, _TRADING))


def _by_skill(groups: Sequence[Group], panels: Sequence[Bars]) -> Figure | None:
    names = _suffixes(groups, *panels[0].metrics)
    shown = [group for group in groups if _suffixes([group], *panels[0].metrics)]
    if not shown:
        return None
    shown, note = _best(shown, len(style.PALETTE))
    figure, axes = style.panels(1, len(panels), width=4.0)
    looks = [style.run_style(index, group.title) for index, group in enumerate(shown)]
    for panel, ax in zip(panels, axes.flat, strict=True):
        values = [[_final(group, *(metric + name for metric in panel.metrics)) for name in names] for group in shown]
        style.bars(ax, _ranks(names), list(zip(values, looks, strict=True)))
        _finish(ax, panel, _RANKS)
    style.legend_below(figure)
    explain(figure, shown, f"{_END} {note}".strip(), shapes="Bars", marks="Whiskers")
    return figure


def snapshots(groups: Sequence[Group]) -> Figure | None:
    """Rates, incomes and activity at moments of training, a row a group (Figure 8)."""
    shown = [group for group in groups if _suffixes([group], *_BEFORE.metrics)]
    if not shown:
        return None
    shown, note = _best(shown, MAX_COLUMNS)
    panels = (_RATES, _BEFORE, _AFTER, _RESOURCES)
    figure, axes = style.panels(len(shown), len(panels), width=3.4, height=2.6)
    colors = style.many_colors(len(style.PALETTE) + 1)[:: -(-len(style.PALETTE) // 2)]
    looks = [
        {"color": color, "label": f"after {share:.0%} of training"}
        for color, share in zip(colors, MOMENTS, strict=True)
    ]
    for row, group in zip(axes, shown, strict=True):
        for panel, ax in zip(panels, row, strict=True):
            names = _suffixes([group], *panel.metrics)
            values = [
                [_at(group, share, *(metric + name for metric in panel.metrics)) for name in names] for share in MOMENTS
            ]
            rates = panel is _RATES
            labels = [f"{float(name):.0f}" for name in names] if rates else _ranks(names)
            style.bars(ax, labels, list(zip(values, looks, strict=True)))
            title = panel if len(shown) == 1 else Bars(f"{panel.title}: {group.name}", panel.unit, panel.metrics)
            _finish(ax, title, "income from (coin)" if rates else _RANKS)
            style.set_title(ax, title.title, figure.get_figwidth() / len(panels))
            if rates:
                ax.set_ylim(0, 1)
    share_y(axes.T)
    style.legend_below(figure)
    explain(figure, shown, f"Training, a tenth of it each. {note}".strip(), shapes="Bars", marks="Whiskers")
    return figure


def _finish(ax: Axes, panel: Bars, x_label: str) -> None:
    ax.set_title(panel.title)
    ax.set_ylabel(panel.unit)
    ax.set_xlabel(x_label)


def _best(groups: list[Group], number: int) -> tuple[list[Group], str]:
    """At most so many groups, in their order, and a note if there are more."""
    if len(groups) <= number:
        return groups, ""
    best = best_first(groups)[:number]
    return [group for group in groups if group in best], f"The best {number} of {len(groups)} runs."


def _seed(trial: TrialRun) -> str:
    return "default seed" if trial.seed is None else f"seed {trial.seed}"


def _suffixes(groups: Sequence[Group], *metrics: str) -> list[str]:
    """What follows the metrics' names, brackets and ranks in order of their number."""
    found = {name for group in groups for metric in metrics for name in names_after(group, TRAINING + metric)}
    return sorted(found, key=lambda name: float(name.removeprefix("skill_")))


def _ranks(names: Sequence[str]) -> list[str]:
    return [name.removeprefix("skill_") for name in names]


def _brackets(names: Sequence[str]) -> list[str]:
    """0-10, 10-39, ..., 510+."""
    cutoffs = [f"{float(name):.0f}" for name in names]
    return [f"{low}–{high}" for low, high in itertools.pairwise(cutoffs)] + [f"{c}+" for c in cutoffs[-1:]]


# -- numbers ------------------------------------------------------------------------------------------------
def _final(group: Group, *metrics: str) -> Estimate[float]:
    """The sum of metrics at the end: each trial's last evaluation, or the last tenth of its training."""
    if has([group], EVALUATION + metrics[0]):
        return estimate([sum(trial.last(EVALUATION + metric) for metric in metrics) for trial in group.trials])
    return _at(group, 1.0, *metrics)


def _at(group: Group, share: float, *metrics: str) -> Estimate[float]:
    """The sum of metrics around a moment of training, a mean over a tenth of it."""
    return estimate([sum(_around(trial, share, TRAINING + metric) for metric in metrics) for trial in group.trials])


def _around(trial: TrialRun, share: float, metric: str) -> float:
    """Mean of the trial's results within half a window of the moment, or of a whole one at the ends."""
    if metric not in trial.results:
        return math.nan
    rows: pd.DataFrame = trial.results.dropna(subset=[metric])
    steps = rows[ENV_STEPS].to_numpy() if ENV_STEPS in rows else np.arange(1.0, 1 + len(rows))
    if not len(steps):
        return math.nan
    low = min(max(share - WINDOW / 2, 0.0), 1 - WINDOW)
    chosen = (steps > low * steps[-1]) & (steps <= (low + WINDOW) * steps[-1])
    nearest = np.arange(len(steps)) == np.abs(steps - share * steps[-1]).argmin()
    return float(rows[metric][chosen if chosen.any() else nearest].mean())


FIGURES: dict[str, tuple[str, Callable[[Sequence[Group]], Figure | None]]] = {
    "welfare": ("Welfare, equality, productivity", welfare),
    "tax_rates": ("Tax rates", tax_rates),
    "tax_rates_over_training": ("Tax rates over training", tax_rates_over_training),
    "incomes_by_skill": ("Income and tax by skill", incomes_by_skill),
    "activity_by_skill": ("Economic activity by skill", activity_by_skill),
    "snapshots": ("Snapshots of training", snapshots),
}
