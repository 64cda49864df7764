"""Which shipped configs make up the results of each environment, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rllib_metagrad import metrics
from rllib_metagrad.metrics import Metric

Run = dict[str, Any]


@dataclass(frozen=True)
class Suite:
    """The experiments behind one table of docs/results.md.

    Attributes:
        methods: shipped configs, and the value of ``metric`` asked of each (None: none is).
        metric: what counts, of ``rllib_metagrad.metrics``.
        label: of the metric, in tables and on axes.
        figures: pictures by name, and the configs in each.
        seeds: by default.
        first_seed: apart from the seeds that settings were tuned on.
        evaluate_every: training iterations between the curve's points.
        stretch: training goes on to so many times the config's length, and is evaluated there again.
        extra: further columns of the table; None leaves a field empty.
        report: methods whose runs `rllib report` draws.
        report_figures: those of its figures that are kept in docs.
        start_from: methods whose agents start with those that another method of the suite has trained on the same seed.
    """

    methods: dict[str, float | None]
    metric: Metric
    label: str
    figures: dict[str, list[str]]
    seeds: int = 8
    first_seed: int = 0
    evaluate_every: int = 2
    stretch: dict[str, float] = field(default_factory=dict)
    extra: dict[str, Callable[[Run], float | None]] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)
    report_figures: tuple[str, ...] = ()
    start_from: dict[str, str] = field(default_factory=dict)


_ESCAPE_ROOM: dict[str, float | None] = {
    "escape_room/metagrad_2_1": 7.8,
    "escape_room/metagrad_5_2": 25.5,
    "escape_room/metagrad_10_5": 39.0,
    "escape_room/metagrad_5_2_cloned": None,
    "escape_room/fixed_incentive_5_2": None,
    "escape_room/dual_rl_5_2_2levels": None,
    "escape_room/dual_rl_5_2_3levels": None,
    "escape_room/dual_rl_5_2_5levels": None,
    "escape_room/dual_rl_5_2_continuous": None,
    "escape_room/centralized_5_2": None,
    "escape_room/amd_2_1": None,
    "matrix_game/amd_prisoners_dilemma": None,
    "matrix_game/amd_chicken": None,
    "matrix_game/amd_stag_hunt": None,
}
_CLEANUP_7X7: dict[str, float | None] = {
    "cleanup/metagrad_7x7": 30.0,
    "cleanup/fixed_incentive_7x7": None,
    "cleanup/dual_rl_7x7": None,
    "cleanup/centralized_7x7": None,
}
_CLEANUP_10X10: dict[str, float | None] = {
    "cleanup/metagrad_10x10": None,
    "cleanup/fixed_incentive_10x10": None,
    "cleanup/dual_rl_10x10": None,
}
_FREE_MARKET = "gather_trade_build/free_market"
_ECONOMY: dict[str, float | None] = {
    "gather_trade_build/metagrad": None,
    "gather_trade_build/us_federal": None,
    "gather_trade_build/saez": None,
    "gather_trade_build/dual_rl": None,
    _FREE_MARKET: None,
    "gather_trade_build/metagrad_curriculum": None,
    "gather_trade_build/us_federal_curriculum": None,
    "gather_trade_build/dual_rl_curriculum": None,
}


def _cleaning(run: Run) -> float | None:
    """Largest share of its steps that one agent spent cleaning, in the final evaluation; None if one policy acts."""
    shares = [
        share["clean"] for share in run["sampled"][metrics.AGENT_ACTION_SHARE.key[0]].values() if "clean" in share
    ]
    return max(shares, default=None)


def _eaten(run: Run) -> float | None:
    """Most apples that one agent ate in an episode."""
    returns = run["sampled"][metrics.AGENT_RETURN.key[0]]
    return max(returns.values()) if len(returns) > 1 else None


def _measured(metric: Metric) -> Callable[[Run], float | None]:
    """What the environment measured of its episodes, mean of the final evaluation."""
    group, name = metric.key
    return lambda run: run["sampled"][group][name]


_ROLES: dict[str, Callable[[Run], float | None]] = {"cleaner cleans": _cleaning, "eater eats": _eaten}

SUITES: dict[str, Suite] = {
    "escape_room": Suite(
        _ESCAPE_ROOM,
        metric=metrics.NET,
        label="designer's return minus incentives paid",
        figures={
            "escape_room_5_2": [m for m in _ESCAPE_ROOM if "5_2" in m],
            "escape_room_2_1": ["escape_room/metagrad_2_1", "escape_room/amd_2_1"],
            "escape_room_10_5": ["escape_room/metagrad_10_5"],
            "matrix_games_amd": [m for m in _ESCAPE_ROOM if m.startswith("matrix_game")],
        },
    ),
    "cleanup_7x7": Suite(
        _CLEANUP_7X7,
        metric=metrics.RETURN,
        label="sum of the agents' rewards",
        figures={"cleanup_7x7": list(_CLEANUP_7X7)},
        seeds=10,
        first_seed=200,
        evaluate_every=5,
        stretch={"cleanup/metagrad_7x7": 2.0},
        extra=_ROLES,
    ),
    "cleanup_10x10": Suite(
        _CLEANUP_10X10,
        metric=metrics.RETURN,
        label="sum of the agents' rewards",
        figures={"cleanup_10x10": list(_CLEANUP_10X10)},
        seeds=4,
        first_seed=200,
        evaluate_every=5,
        extra=_ROLES,
    ),
    "gather_trade_build": Suite(
        _ECONOMY,
        metric=metrics.RETURN,
        label="welfare",
        figures={
            "gather_trade_build": [m for m in _ECONOMY if "curriculum" not in m],
            "gather_trade_build_curriculum": [m for m in _ECONOMY if "curriculum" in m],
        },
        seeds=4,
        first_seed=300,
        evaluate_every=5,
        extra={
            "productivity at the end": _measured(metrics.PRODUCTIVITY),
            "equality at the end": _measured(metrics.EQUALITY),
        },
        report=[m for m in _ECONOMY if "curriculum" not in m],
        report_figures=("welfare", "tax_rates", "incomes_by_skill", "activity_by_skill", "snapshots"),
        start_from={m: _FREE_MARKET for m in _ECONOMY if "curriculum" in m},
    ),
}
