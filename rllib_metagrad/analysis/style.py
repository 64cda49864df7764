"""How the figures look: colors, axes, and labels at the ends of lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from rllib_metagrad.analysis.runs import Curve
from rllib_metagrad.statistics import Estimate

# Okabe and Ito's colors, told apart with any common color blindness (yellow is too pale on white: wine).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#882255")
OTHERS_COLOR, OTHERS_NAME = "#cccccc", "other runs"
MAX_DIRECT_LABELS = 6
MAX_WIDTH = 12.5
"""Of a figure, in inches."""

# mpl wants a dict with its own list of literal keys, which no annotation of ours can give.
RC: Any = {
    "figure.dpi": 130,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def is_other(index: int) -> bool:
    """Whether the index-th of the compared runs has no color of its own."""
    return index >= len(PALETTE)


def run_style(index: int, name: str) -> dict[str, Any]:
    """Look of the index-th of the compared runs: a color and its name, or grey, thin and behind the others."""
    if is_other(index):
        return {"color": OTHERS_COLOR, "linewidth": 0.8, "zorder": 1.5, "label": OTHERS_NAME}
    return {"color": PALETTE[index], "label": name}


def many_colors(number: int) -> list[Any]:
    """Colors of `number` lines of one kind: the palette, or a perceptual map where it is too short."""
    if number <= len(PALETTE):
        return list(PALETTE[:number])
    return [plt.get_cmap("viridis")(t) for t in np.linspace(0.0, 0.92, number)]


def panels(
    rows: int, columns: int, *, width: float = 3.7, height: float = 2.9, share_y: bool = False
) -> tuple[Figure, Any]:
    """A figure with a grid of axes (always a 2-d array) and automatic layout, at most `MAX_WIDTH` wide."""
    return plt.subplots(
        rows,
        columns,
        figsize=(min(width * columns + 0.4, MAX_WIDTH), height * rows + 0.5),
        squeeze=False,
        sharey=share_y,
        layout="constrained",
    )


def set_title(axes: Axes, text: str, width: float) -> None:
    """A title in as many lines as it needs not to reach beyond its panel of `width` inches."""
    axes.set_title(textwrap.fill(text, int(10 * width), break_on_hyphens=False))


def note(figure: Figure, text: str) -> None:
    """How to read the figure, in small print above it."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=8.5, color="#555555")


def draw(axes: Axes, curve: Curve, *, band: bool = True, **style: Any) -> None:
    """The interquartile mean as a line, its interval as a band."""
    few = {"marker": "o", "markersize": 3.5} if len(curve.x) <= 15 and band else {}
    axes.plot(curve.x, curve.y.iqm, **{**few, **style})
    if curve.y.n > 1 and band:
        axes.fill_between(curve.x, curve.y.low, curve.y.high, color=style.get("color"), alpha=0.18, linewidth=0)


def bars(axes: Axes, names: Sequence[str], series: Sequence[tuple[Sequence[Estimate[float]], dict[str, Any]]]) -> None:
    """Bars in groups, one for each name: interquartile means with their intervals.

    Args:
        axes: to draw in.
        names: of the groups, along x.
        series: an estimate for each name, and how its bars look.
    """
    width = 0.8 / max(1, len(series))
    for index, (values, look) in enumerate(series):
        x = np.arange(len(names)) + (index - (len(series) - 1) / 2) * width
        heights = np.array([value.iqm for value in values])
        # A single seed has no interval.
        errors = np.nan_to_num([[value.iqm - value.low, value.high - value.iqm] for value in values]).T.clip(0)
        axes.bar(x, heights, 0.92 * width, **look)
        # Seeds with equal numbers differ by rounding.
        if errors.max(initial=0.0) > 1e-6 * np.abs(heights).max(initial=0.0):
            axes.errorbar(x, heights, errors, fmt="none", ecolor="#333333", elinewidth=0.9, capsize=1.8)
    axes.axhline(0, color="#999999", linewidth=0.7)
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="x", visible=False)
    axes.set_axisbelow(True)


def finish_x(axes: Axes, label: str) -> None:
    """The x axis with 10k, 1M, ... and few ticks."""
    axes.set_xlabel(label)
    if axes.get_xlim()[1] >= 1000:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.02)


def log_x(axes: Axes, low: float, high: float) -> None:
    """A log x axis for values from `low` to `high`, with plain numbers at the decades and, if few, between them."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high < 200 * low else (1.0,), numticks=6))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places at least `gap` apart, in the order of the (sorted) wanted ones and as near to them as can be.

    Names that would overlap form a block around their mean; blocks that meet are joined.
    """
    blocks: list[list[float]] = []

    def ends(block: list[float]) -> tuple[float, float]:
        center, half = sum(block) / len(block), gap * (len(block) - 1) / 2
        return center - half, center + half

    for place in wanted:
        blocks.append([place])
        while len(blocks) > 1 and ends(blocks[-1])[0] - ends(blocks[-2])[1] < gap:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return [ends(block)[0] + gap * i for block in blocks for i in range(len(block))]


def within(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places that are `gap` apart, moved in from the ends of an axis, beyond which names meet ticks or are clipped."""
    up = [max(place, low + gap * (i + 0.5)) for i, place in enumerate(places)]
    return [min(place, high - gap * (len(up) - i - 0.5)) for i, place in enumerate(up)]


def label_line_ends(axes: Axes, ends: Sequence[tuple[float, float, str, Any]]) -> None:
    """Names beside the right ends of lines, `(x, y, name, color)`, moved apart where they would overlap."""
    ends = [end for end in ends if math.isfinite(end[1])]
    if not ends:
        return
    low, high = axes.get_ylim()
    # A name is about 9 points high; the axes are `height` points.
    height = axes.get_window_extent().height * 72.0 / axes.figure.dpi
    gap = (high - low) * 11.0 / max(height, 1.0)
    ordered = sorted(ends, key=lambda end: end[1])
    places = within(spread([end[1] for end in ordered], gap), gap, low, high)
    for (x, _, name, color), y in zip(ordered, places, strict=True):
        axes.annotate(name, (x, y), xytext=(5, 0), textcoords="offset points", color=color, va="center", fontsize=8.5)


def legend_below(figure: Figure, columns: int = 4) -> None:
    """One legend for all panels of a figure, under them: at most `columns`, and no wider than the figure."""
    unique: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        unique |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in unique}
    if unique:
        entry = 0.6 + 0.075 * max(len(label) for label in unique)  # inches: the line, and letters
        columns = max(1, min(columns, int(figure.get_figwidth() / entry)))
        rows = -(-len(unique) // columns)
        figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=-(-len(unique) // rows))
