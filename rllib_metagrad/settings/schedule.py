"""Numbers that change over training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Self


class Schedule(float):
    """A number over environment steps, linear between its points; as a float it is its first value.

    Attributes:
        points: ``((0, value), (env_steps, value), ...)``, steps increasing.
    """

    points: tuple[tuple[float, float], ...]

    def __new__(cls, points: Sequence[Sequence[float]]) -> Self:
        """Raises a ValueError unless points are pairs with increasing steps from 0."""
        return cls.read(points, float)

    @classmethod
    def read(cls, points: Any, check: Callable[[Any], float]) -> Self:
        """A schedule of points whose values pass ``check``.

        Raises:
            ValueError: unless they are pairs with increasing steps from 0.
        """
        points = points.points if isinstance(points, Schedule) else points
        if not points or any(not isinstance(p, list | tuple) or len(p) != 2 for p in points):
            raise ValueError("a schedule is a list of pairs [env_steps, value]")
        steps = [p[0] for p in points]
        if any(isinstance(t, bool) or not isinstance(t, int | float) or not math.isfinite(t) for t in steps):
            raise ValueError("a schedule's steps are numbers")
        if steps[0] != 0 or any(a >= b for a, b in itertools.pairwise(steps)):
            raise ValueError("a schedule's steps increase from 0")
        values = [check(p[1]) for p in points]
        schedule = super().__new__(cls, values[0])
        schedule.points = tuple((float(t), float(v)) for t, v in zip(steps, values, strict=True))
        return schedule

    def at(self, env_steps: int) -> float:
        """Its value after so many environment steps; the last point's from there on."""
        for (t0, v0), (t1, v1) in itertools.pairwise(self.points):
            if env_steps < t1:
                return v0 + (v1 - v0) * max(0.0, env_steps - t0) / (t1 - t0)
        return self.points[-1][1]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.points,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and self.points == other.points

    def __hash__(self) -> int:
        return hash(self.points)

    def __repr__(self) -> str:
        return f"Schedule({[list(p) for p in self.points]})"


def least(value: float) -> float:
    """The least value of a number or schedule."""
    return min(v for _, v in value.points) if isinstance(value, Schedule) else float(value)
