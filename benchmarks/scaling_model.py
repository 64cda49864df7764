"""Throughput over the number of env runners: a model on paper, with constants that benchmarks/scaling.py measures.

One update with R runners of S environment steps each, on machines where every runner has a core of its own, takes

    t(R) = sample + fixed + R * (per_runner + trajectory_bytes / bandwidth) + per_step * R * S / learners

seconds, and R * S / t(R) environment steps pass in a second. The first two terms do not grow with R; the third is what
the algorithm's process does for one runner after another (requests, reading, joining) and what its network card lets
in; the last is the learners'. Throughput grows with R until the growing terms outweigh the others, and never above its
limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Constants:
    """Measured; seconds and bytes of one update.

    Attributes:
        steps: S, environment steps that one runner delivers.
        sample: of a runner, for them.
        fixed: whatever R is: the learner's part that does not grow with the batch, and bookkeeping.
        per_runner: of the algorithm's process, for each runner.
        per_step: of one learner, for each environment step.
        trajectory_bytes: of one runner's trajectory.
    """

    steps: int
    sample: float
    fixed: float
    per_runner: float
    per_step: float
    trajectory_bytes: int


def constants_from(
    runners: Sequence[int],
    *,
    steps: int,
    sample: float,
    cpu: float,
    messages: Sequence[float],
    learning: Sequence[float],
    trajectory_bytes: int,
) -> Constants:
    """Constants from measurements with several numbers of runners.

    Args:
        runners: R of each measurement, at least two different ones.
        steps: S.
        sample: CPU seconds of one runner's sampling.
        cpu: CPU seconds of all processes for an update with the first R; what no other term explains of them is
            ``fixed``, at least 0 (where larger batches cost more for each step, the slopes explain more than there is).
        messages: CPU seconds that the algorithm's process spends on its runners, for each R.
        learning: CPU seconds of the learner's update, for each R.
        trajectory_bytes: of one runner's trajectory.
    """
    _, per_runner = line(runners, messages)
    _, per_batch = line(runners, learning)
    fixed = max(0.0, cpu - runners[0] * (sample + per_runner + per_batch))
    return Constants(steps, sample, fixed, per_runner, per_batch / steps, trajectory_bytes)


def _growing(constants: Constants, learners: int, bandwidth: float) -> float:
    """Seconds that each further runner adds to an update."""
    learning = constants.per_step * constants.steps / learners
    return constants.per_runner + constants.trajectory_bytes / bandwidth + learning


def seconds_per_update(
    constants: Constants, runners: int, *, learners: int = 1, bandwidth: float = math.inf, cores: float = math.inf
) -> float:
    """t(R); with fewer ``cores`` than runners, these take turns.

    Args:
        constants: measured.
        runners: R, at least 1.
        learners: that share the batch.
        bandwidth: into the algorithm's machine, bytes a second.
        cores: that all runners share.
    """
    sample = constants.sample * max(1.0, runners / cores)
    return sample + constants.fixed + runners * _growing(constants, learners, bandwidth)


def throughput(constants: Constants, runners: int, **settings: float) -> float:
    """Environment steps a second; ``settings`` as in :func:`seconds_per_update`."""
    return runners * constants.steps / seconds_per_update(constants, runners, **settings)  # type: ignore[arg-type]


def limit(constants: Constants, *, learners: int = 1, bandwidth: float = math.inf) -> float:
    """What throughput tends to with ever more runners."""
    return constants.steps / _growing(constants, learners, bandwidth)


def half_way(constants: Constants, *, learners: int = 1, bandwidth: float = math.inf) -> float:
    """The number of runners with half of :func:`limit`: from there on the growing terms outweigh the others."""
    return (constants.sample + constants.fixed) / _growing(constants, learners, bandwidth)


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope of the least-squares line.

    Raises:
        ValueError: fewer than two different x.
    """
    if len(set(x)) < 2:
        raise ValueError(f"a line needs two different x, got {list(x)}")
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    return mean_y - slope * mean_x, slope
