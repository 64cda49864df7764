"""A mean that stays exact when RLlib merges it over runners: each value carries how much it counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.rllib.utils.metrics.stats import StatsBase

NAME = "weighted_mean"

__all__ = ["NAME", "WeightedMeanStats", "without_plain_means"]


class WeightedMeanStats(StatsBase):
    """RLlib's ``mean`` is a mean of means: runners with 1 and with 7 episodes count alike. Here episodes do.

    :meth:`push` takes pairs ``(mean, weight)``, the weight being a number of episodes or steps, >= 0.
    """

    stats_cls_identifier = NAME

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.values: list[tuple[float, float]] = []

    def __len__(self) -> int:
        return len(self.values)

    def push(self, value: tuple[float, float]) -> None:
        """Notes a mean and its weight."""
        mean, weight = value
        self.values.append((float(mean), float(weight)))

    def merge(self, incoming_stats: list[StatsBase]) -> None:
        """Takes in what other components have noted."""
        self.latest_merged = [pair for stats in incoming_stats for pair in stats.values]
        self.values = [*self.values, *self.latest_merged]

    def peek(self, compile: bool = True, latest_merged_only: bool = False) -> Any:
        """The mean so far, NaN without any value; in a list if it is not to be compiled."""
        mean = _mean((self.latest_merged or []) if latest_merged_only else self.values)
        return mean if compile else [mean]

    def reduce(self, compile: bool = True) -> Any:
        """The mean, or an object that holds it with its weight; starts anew."""
        noted, self.values = self.values, []
        if compile:
            return _mean(noted)
        reduced = self.clone()
        reduced.values = [(_mean(noted), sum(weight for _, weight in noted))] if noted else []
        return reduced

    def get_state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {**super().get_state(), "values": list(self.values)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state`."""
        super().set_state(state)
        self.values = [(mean, weight) for mean, weight in state["values"]]

    def __repr__(self) -> str:
        return f"WeightedMeanStats({self.peek()}; len={len(self)})"


def _mean(pairs: Sequence[tuple[float, float]]) -> float:
    """A single value keeps its bits; where nothing has any weight all count alike."""
    if len(pairs) == 1:
        return pairs[0][0]
    if not pairs:
        return float("nan")
    means, weights = np.array(pairs).T
    return float(np.average(means, weights=weights if weights.any() else None))


def without_plain_means(state: dict[str, Any]) -> dict[str, Any]:
    """State of a MetricsLogger without the means that an earlier version noted; between iterations they are empty."""
    kept = {key: stats for key, stats in state["stats"].items() if not _is_mean_of_runners(key, stats)}
    return {**state, "stats": kept}


def _is_mean_of_runners(key: str, stats: dict[str, Any]) -> bool:
    plain = stats.get("stats_cls_identifier", stats.get("reduce")) == "mean" and stats.get("window") is None
    return plain and not key.startswith("learners--")
