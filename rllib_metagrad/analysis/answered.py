"""The figure of `rllib evaluate --answered`: every population's training under the frozen designer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from rllib_metagrad.analysis import style
from rllib_metagrad.analysis.panels import Panel
from rllib_metagrad.analysis.runs import Group, curve
from rllib_metagrad.metrics import NET, PAID, RETURN, TRAINING

_PANELS = (
    Panel("Net: return − incentives", "net return per episode", NET),
    Panel("Designer return", "return per episode", RETURN),
    Panel("Incentives paid", "paid per episode", PAID),
)
#: By what the runs' settings say of their agents.
_LOOKS: dict[str, dict[str, Any]] = {
    "going_on": {"color": style.PALETTE[0], "label": "the trained agents, going on", "linewidth": 2.2, "zorder": 3.0},
    "fresh": {"color": style.PALETTE[1], "label": "fresh agents, a line each", "linewidth": 1.1},
}
_AGENTS, _BEFORE = "answered/agents", "answered/as_trained/"
_NOTE = (
    "If fresh agents stay below the trained ones, the result as trained rested on what those had learned from earlier "
    "incentives,\nnot on the frozen ones."
)


def answered(groups: Sequence[Group]) -> Figure | None:
    """Net, return and payments over environment steps since the incentives were frozen; None for other runs."""
    trials = [trial for group in groups for trial in group.trials if trial.config.get(_AGENTS) in _LOOKS]
    if not trials:
        return None
    figure, axes = style.panels(1, len(_PANELS), width=3.9)
    for panel, ax in zip(_PANELS, axes.flat, strict=True):
        for trial in trials:
            line = curve(Group((trial,), ""), TRAINING + panel.metric)
            if line is not None:
                style.draw(ax, line, **_LOOKS[trial.config[_AGENTS]])
        for level in {
            trial.config[_BEFORE + panel.metric] for trial in trials if _BEFORE + panel.metric in trial.config
        }:
            ax.axhline(level, color="#666666", linestyle="--", linewidth=1.0, label="as trained, evaluated")
        ax.set_title(panel.title)
        ax.set_ylabel(panel.unit)
        style.finish_x(ax, "env steps since the incentives were frozen")
    style.legend_below(figure)
    style.note(figure, _NOTE)
    return figure
