"""Tune's trial schedulers by name, with their settings checked (Tune drops unknown ones in silence)."""

from __future__ import annotations

import inspect
from typing import Any

from rllib_metagrad.cli import metrics, search_space
from rllib_metagrad.cli.errors import nearest, one_line
from rllib_metagrad.cli.yaml_loader import Path, Source

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


def parse_scheduler(
    scheduler: Any, settings: Any, source: Source, path: Path, *, show: int = 0
) -> dict[str, Any] | None:
    """`{type: asha, metric: .., mode: ..}` from either form, `scheduler` as a mapping or as a name.

    Raises:
        BadInputError: unknown scheduler or setting, no metric or mode, a value that the scheduler refuses.
    """

    def fail(key: str, message: str) -> Exception:
        return source.error((*path, *key.split(".")), message, show=show)

    if scheduler is None:
        if settings is not None:
            raise fail("scheduler_config", "given without a scheduler; add scheduler: asha")
        return None
    if isinstance(scheduler, str):
        scheduler = {"type": scheduler}
    if not isinstance(scheduler, dict) or not isinstance(scheduler.get("type"), str):
        raise fail("scheduler", f"must be a name or {{type: asha, metric: .., mode: ..}}, got {scheduler!r}")
    if settings is not None and not isinstance(settings, dict):
        raise fail("scheduler_config", f"must be a mapping, got {settings!r}")
    for key, value in (settings or {}).items():
        if key in scheduler and scheduler[key] != value:
            raise fail(f"scheduler_config.{key}", f"{value!r} here, but {scheduler[key]!r} in scheduler; keep one")
    parsed = {**scheduler, **(settings or {})}
    parsed["type"] = parsed["type"].lower()
    _check(parsed, fail)
    if "hyperparam_mutations" in parsed:
        parsed["hyperparam_mutations"] = search_space.parse(
            parsed["hyperparam_mutations"], source, (*path, "scheduler", "hyperparam_mutations"), show=show
        )
    return parsed


def _check(parsed: dict[str, Any], fail: Any) -> None:
    from ray.tune.schedulers import SCHEDULER_IMPORT

    kind = parsed["type"]
    if kind not in SCHEDULERS:
        raise fail("scheduler", f"unknown scheduler {kind!r}{nearest(kind, SCHEDULERS)}")
    known = set(inspect.signature(SCHEDULER_IMPORT[SCHEDULERS[kind]]).parameters)
    for key in parsed:
        if key != "type" and key not in known:
            hint = nearest(key, known) or f"; known: {', '.join(sorted(known)) or 'none'}"
            raise fail(f"scheduler.{key}", f"not a setting of {kind}{hint}")
    if kind == "fifo":
        return
    for key in ("metric", "mode"):
        if key not in parsed:
            example = "env_runners/designer_net_return_mean" if key == "metric" else "max"
            raise fail("scheduler", f"{kind} needs a {key}, such as {key}: {example}")
    if parsed["mode"] not in ("max", "min"):
        raise fail("scheduler.mode", f"must be max or min, got {parsed['mode']!r}")
    for key in ("metric", "time_attr"):
        trouble = metrics.problem_with(str(parsed[key])) if key in parsed else None
        if trouble:
            raise fail(f"scheduler.{key}", trouble)
    if kind == "pbt" and not isinstance(parsed.get("hyperparam_mutations"), dict):
        raise fail("scheduler", "pbt needs hyperparam_mutations: {KEY: {tune: loguniform, args: [..]}}")
    if kind != "pbt":  # its search spaces are not parsed yet; Tune's own check comes with `create`
        try:
            create(parsed)
        except (AssertionError, TypeError, ValueError) as error:
            raise fail("scheduler", f"{kind}: {one_line(error)}") from error


def create(parsed: dict[str, Any] | None) -> Any:
    """Tune's scheduler object for a parsed setting; None is first-in-first-out."""
    if parsed is None:
        return None
    from ray.tune.schedulers import create_scheduler

    settings = {key: value for key, value in parsed.items() if key != "type"}
    return create_scheduler(SCHEDULERS[parsed["type"]], **settings)
