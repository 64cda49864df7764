"""Tune's trial schedulers by name, with their settings checked (Tune drops unknown ones in silence)."""

from __future__ import annotations

from typing import Any

from rllib_metagrad.cli import metrics, search_space
from rllib_metagrad.cli.errors import one_line
from rllib_metagrad.cli.rllib_keys import SCHEDULER_SETTINGS
from rllib_metagrad.settings import SettingError, nearest

__all__ = ["SCHEDULERS", "check_values", "create", "parse_scheduler"]

# Our name -> the one of ray.tune.schedulers.create_scheduler. Left out: those that need a search algorithm,
# a Python object as an argument, or further packages.
SCHEDULERS = {
    "fifo": "fifo",
    "asha": "async_hyperband",
    "async_hyperband": "async_hyperband",
    "hyperband": "hyperband",
    "median_stopping": "median_stopping_rule",
    "median_stopping_rule": "median_stopping_rule",
    "pbt": "pbt",
}


def parse_scheduler(scheduler: Any) -> dict[Any, Any] | None:
    """`{type: asha, metric: .., mode: ..}`, checked, with the search spaces in it as Tune's objects.

    Raises:
        SettingError: unknown scheduler or setting, no metric or mode, a value that the scheduler refuses.
    """
    if scheduler is None:
        return None
    if not isinstance(scheduler, dict) or not isinstance(scheduler.get("type"), str):
        raise SettingError("scheduler", f"needs a type, such as scheduler: asha or --scheduler asha, got {scheduler!r}")
    parsed = {**scheduler, "type": scheduler["type"].lower()}
    if isinstance(parsed.get("hyperparam_mutations"), dict):
        key = "scheduler.hyperparam_mutations"
        parsed["hyperparam_mutations"] = search_space.parse(parsed["hyperparam_mutations"], key)
    _check(parsed)
    return parsed


def _check(parsed: dict[Any, Any]) -> None:
    kind = parsed["type"]
    if kind not in SCHEDULERS:
        raise SettingError("scheduler", f"unknown scheduler {kind!r}{nearest(kind, SCHEDULERS)}")
    known = {"type", *SCHEDULER_SETTINGS[SCHEDULERS[kind]]}
    for key in parsed:
        if key not in known:
            hint = nearest(key, known - {"type"}, list_at_most=99)
            raise SettingError(f"scheduler.{key}", f"not a setting of {kind}{hint or '; it has none'}")
    if kind == "fifo":
        return
    for key, example in (("metric", "env_runners/designer_net_return_mean"), ("mode", "max")):
        if key not in parsed:
            raise SettingError("scheduler", f"{kind} needs a {key}, such as {key}: {example}")
    if parsed["mode"] not in ("max", "min"):
        raise SettingError("scheduler.mode", f"must be max or min, got {parsed['mode']!r}")
    for key in ("metric", "time_attr"):
        if trouble := metrics.problem_with(str(parsed[key])) if key in parsed else None:
            raise SettingError(f"scheduler.{key}", trouble)
    if kind == "pbt" and not isinstance(parsed.get("hyperparam_mutations"), dict):
        raise SettingError("scheduler", "pbt needs hyperparam_mutations: {KEY: {tune: loguniform, args: [..]}}")


def check_values(parsed: Any) -> None:
    """Builds the scheduler, which needs Ray, to see whether it takes all values.

    Raises:
        SettingError: it does not.
    """
    if parsed is None:
        return
    try:
        create(parsed)
    except (AssertionError, TypeError, ValueError) as error:
        raise SettingError("scheduler", f"{parsed['type']}: {one_line(error)}") from error


def create(parsed: Any) -> Any:
    """Tune's scheduler object for a parsed setting; None is first-in-first-out."""
    if parsed is None:
        return None
    from ray.tune.schedulers import create_scheduler

    settings = search_space.resolve({key: value for key, value in parsed.items() if key != "type"}, "scheduler")
    return create_scheduler(SCHEDULERS[parsed["type"]], **settings)
