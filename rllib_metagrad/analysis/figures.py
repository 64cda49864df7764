"""The figures of a report. Each function returns None where the runs have nothing to show in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from rllib_metagrad.analysis import economy, style
from rllib_metagrad.analysis.answered import answered
from rllib_metagrad.analysis.panels import (
    MAX_COLUMNS,
    STEPS_LABEL,
    Panel,
    explain,
    has,
    lines_by_name,
    names_after,
    natural,
    over_training,
)
from rllib_metagrad.analysis.runs import Curve, Group, curve
from rllib_metagrad.analysis.sweep import sweep
from rllib_metagrad.metrics import (
    ACTION_SHARE,
    AGENT_ACTION_SHARE,
    AGENT_INCENTIVES,
    AGENT_RETURN,
    CPU_SECONDS,
    DESIGNER_COST,
    DESIGNER_LOSS,
    ENTROPY,
    EPISODE_RETURN,
    EVALUATION,
    KL,
    LEARNERS,
    META_GRADIENT_NORM,
    NET,
    OFFERED,
    PAID,
    PAID_BY_TYPE,
    REPLICA_GAP,
    RETURN,
    TRAINING,
)

MAX_ACTION_TYPES = 8


# -- returns -----------------------------------------------------------------------------------------------
def returns(groups: Sequence[Group]) -> Figure | None:
    """Designer return, incentives paid and net (or episode return), training pale and evaluation strong."""
    net = NET
    found = [
        Panel("Designer return", "return per episode", RETURN),
        Panel("Incentives paid", "paid per episode", PAID),
        Panel("Net: return − incentives", "net return per episode", NET),
    ]
    shown = [p for p in found if has(groups, TRAINING + p.metric) or has(groups, EVALUATION + p.metric)]
    if shown and not _pays(groups):
        shown, net = shown[:1], RETURN
    if not shown:
        shown = [Panel("Episode return", "return per episode", EPISODE_RETURN)]
    elif any(CPU_SECONDS in trial.results for group in groups for trial in group.trials):
        title, unit = ("Net", "net return") if net == NET else ("Return", "return")
        shown.append(Panel(f"{title} over computing time", f"{unit} per episode", net, CPU_SECONDS, "CPU seconds"))
    if not any(has(groups, prefix + p.metric) for p in shown for prefix in (TRAINING, EVALUATION)):
        return None
    columns = 2 if len(shown) == 4 else len(shown)
    return over_training(groups, shown, columns)


def _pays(groups: Sequence[Group]) -> bool:
    """Whether somebody is paid; what taxes take and hand back adds up to zero, but for rounding."""
    columns = [
        (trial.results[prefix + PAID].abs().max(), trial.results[prefix + RETURN].abs().max())
        for group in groups
        for trial in group.trials
        for prefix in (TRAINING, EVALUATION)
        if prefix + PAID in trial.results and prefix + RETURN in trial.results
    ]
    return any(paid > 1e-6 * returned for paid, returned in columns)


# -- incentives by action type (Figure 1d of the paper) ----------------------------------------------------
_BY_ACTION = (
    (OFFERED, "Offered", "mean incentive offered"),
    (PAID_BY_TYPE, "Paid", "paid per episode"),
    (ACTION_SHARE, "Chosen", "share of actions"),
)


def incentives_by_action(groups: Sequence[Group]) -> Figure | None:
    """Incentives offered, paid, and how often each action type is chosen, over training."""
    rows = [(TRAINING + metric.prefix, title, unit) for metric, title, unit in _BY_ACTION]
    return lines_by_name(groups, rows, MAX_ACTION_TYPES)


# -- agents ------------------------------------------------------------------------------------------------
def agents(groups: Sequence[Group]) -> Figure | None:
    """Each agent's environment return and the incentives it received."""
    rows = [
        (TRAINING + AGENT_RETURN.prefix, "Agents' return", "environment return per episode"),
        (TRAINING + AGENT_INCENTIVES.prefix, "Agents' incentives", "received per episode"),
    ]
    return lines_by_name(groups, rows, None)


def agent_actions(groups: Sequence[Group]) -> Figure | None:
    """What each agent does: the share of its steps spent in each action type, over training."""
    prefix = TRAINING + AGENT_ACTION_SHARE.prefix
    found = sorted({name.split("/")[0] for group in groups for name in names_after(group, prefix)}, key=natural)
    rows = [(f"{prefix}{agent}/", agent, "share of its steps") for agent in found[:MAX_COLUMNS]]
    note = f"The first {MAX_COLUMNS} of {len(found)} agents." if len(found) > MAX_COLUMNS else ""
    return lines_by_name(groups, rows, MAX_ACTION_TYPES, note)


# -- learner -----------------------------------------------------------------------------------------------
_LEARNER = (
    Panel("Meta-gradient norm", "norm", META_GRADIENT_NORM.path, log=True),
    Panel("Replica gap", "largest difference", REPLICA_GAP.path, log=True),
    Panel("Designer loss", "loss", DESIGNER_LOSS.path),
    Panel("Designer cost", "cost", DESIGNER_COST.path),
    Panel("Agents' entropy", "nats, mean of policies", ENTROPY.key[-1]),
    Panel("Agents' KL", "nats, mean of policies", KL.key[-1], log=True),
)
_DESIGNER = LEARNERS + DESIGNER_LOSS.key[0] + "/"


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
        if panel.log and all((line.y.iqm > 0).any() for _, line in lines):
            ax.set_yscale("log", nonpositive="mask")
        ax.set_title(panel.title)
        ax.set_ylabel(panel.unit)
        style.finish_x(ax, STEPS_LABEL)
    for ax in list(axes.flat)[len(drawn) :]:
        ax.set_axis_off()
    style.legend_below(figure)
    explain(figure, groups, "")
    return figure


def _over_policies(group: Group, metric: str) -> Curve | None:
    """`learners/<policy>/<metric>` averaged over policies."""
    names = sorted(
        name
        for name in group.metrics()
        if name.startswith(LEARNERS) and name.endswith("/" + metric) and not name.startswith(_DESIGNER)
    )
    return curve(group, *names)


FIGURES: dict[str, tuple[str, Callable[[Sequence[Group]], Figure | None]]] = {
    "answered": ("Answered", answered),
    "returns": ("Returns", returns),
    **economy.FIGURES,
    "sweep": ("Sweep", sweep),
    "incentives_by_action": ("Incentives by action type", incentives_by_action),
    "agents": ("Agents", agents),
    "agent_actions": ("What each agent does", agent_actions),
    "learner": ("Learner", learner),
}
