"""Names that metrics had in version 0.1; results hold them beside today's until ``metrics.OLD_NAMES_END``.

Then this file goes, and with it ``Metric.was``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rllib_metagrad.metrics import ALL, EVALUATION, LEARNERS, TRAINING, Metric, fits

__all__ = ["current", "with_old_names", "without_old_names"]

_RENAMED = tuple(metric for metric in ALL if metric.was)


def _old(metric: Metric) -> list[str]:
    return (metric.under + metric.was).split("/")


def _others(metric: Metric) -> list[list[str]]:
    """Patterns of metrics that say more where this one fits, too: the designer has an entropy of its own."""
    fewer = [other.path.split("/") for other in ALL if other.count("<") < metric.count("<")]
    return [pattern for pattern in fewer if fits(metric.path.split("/"), pattern)]


#: Of each renamed metric: today's name and the old one, by levels, and what it gives way to.
_PATTERNS = [(metric.path.split("/"), _old(metric), _others(metric)) for metric in _RENAMED]


def current(path: str) -> str:
    """Today's name of a key of results, of training or evaluation; one that is no old name stays as it is."""
    before = "evaluation/" if path.startswith(EVALUATION) else ""
    parts = path.removeprefix(before).split("/")
    for metric in _RENAMED:
        if fits(_old(metric), parts):
            names = [part for known, part in zip(_old(metric), parts, strict=True) if known.startswith("<")]
            return before + "/".join(_filled(metric.path.split("/"), names))
    return path


def with_old_names(results: Mapping[str, Any]) -> dict[str, Any]:
    """Results with every value of a renamed metric under its old name, too.

    Args:
        results: nested by level, as RLlib returns them; left as they are.
    """
    found: dict[str, Any] = dict(results)
    for before in ((), ("evaluation",)):
        for now, old, others in _PATTERNS:
            for names, value in _values(results, (*before, *now)):
                if not any(fits(other, _filled(now, names)) for other in others):
                    _put(found, (*before, *_filled(old, names)), value)
    return found


def _values(node: Any, pattern: Sequence[str], names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What nested results hold at the places of a pattern, each with the names that stand for its ``<...>``."""
    if not pattern:
        yield names, node
    elif isinstance(node, Mapping):
        first, *rest = pattern
        for key, below in node.items():
            if first.startswith("<"):
                yield from _values(below, rest, (*names, key))
            elif key == first:
                yield from _values(below, rest, names)


def _filled(pattern: Sequence[str], names: Sequence[str]) -> list[str]:
    left = iter(names)
    return [next(left) if part.startswith("<") else part for part in pattern]


def _put(results: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    """Sets what is not there yet, copying the mappings on the way."""
    *parents, last = parts
    for part in parents:
        results[part] = dict(results.get(part, {}))
        results = results[part]
    results.setdefault(last, value)


def without_old_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """State of a MetricsLogger without what version 0.1 noted under old names: nothing adds to it any more.

    Args:
        state: of an algorithm, or of a learner or runner, whose names lack ``learners/`` and ``env_runners/``.
    """
    patterns = [_old(metric) for metric in _RENAMED]
    patterns += [pattern[1:] for pattern in patterns if f"{pattern[0]}/" in (LEARNERS, TRAINING)]
    patterns += [["evaluation", *pattern] for pattern in patterns]
    kept = {
        name: value  # RLlib joins levels by --
        for name, value in state["stats"].items()
        if not any(fits(pattern, name.split("--")) for pattern in patterns)
    }
    return {**state, "stats": kept}
