"""RLlib's MeanStdFilter over batches: running means and standard deviations of what each agent observes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from env_wrappers.vector import AgentGroup

__all__ = ["FilterOptions", "Moments", "ObservationFilter"]

#: RLlib's, so that a number that never changes becomes 0.
_SMALL = 1e-6


@dataclass(frozen=True)
class FilterOptions:
    """Arguments of RLlib's MeanStdFilter.

    Attributes:
        demean: subtract the mean.
        destd: divide by the standard deviation.
        clip: bound of what comes out, or None.
        update: learn from what is seen.
    """

    demean: bool = True
    destd: bool = True
    clip: float | None = 10.0
    update: bool = True


class Moments(NamedTuple):
    """Of each agent of a group: how many observations ``[N_g]``, their mean and sum of squared deviations, both
    ``[N_g, *shape]``; all float64."""

    number: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def none(cls, group: AgentGroup) -> Moments:
        """Of no observations."""
        n = len(group.agents)
        shape = (n, *group.observation_shape)
        return cls(np.zeros(n), np.zeros(shape), np.zeros(shape))

    @classmethod
    def of(cls, values: np.ndarray, which: np.ndarray) -> Moments:
        """Of observations ``[B, N_g, *shape]``, those at ``which`` ``[B, N_g]``."""
        weights = _spread(which.astype(np.float64), values.ndim)
        count = which.sum(0).astype(np.float64)
        mean = (weights * values).sum(0) / np.maximum(_spread(count, values.ndim - 1), 1)
        return cls(count, mean, (weights * (values - mean) ** 2).sum(0))

    def with_others(self, other: Moments) -> Moments:
        """Of these and further observations (Chan et al. 1979)."""
        count = self.number + other.number
        share = _spread(other.number / np.maximum(count, 1), self.mean.ndim)
        delta = other.mean - self.mean
        both = _spread(self.number, self.mean.ndim) * share
        return Moments(count, self.mean + delta * share, self.squares + other.squares + delta * delta * both)

    def std(self) -> np.ndarray:
        """``[N_g, *shape]``, 1 where there are fewer than two observations."""
        several = _spread(self.number, self.mean.ndim) > 1
        variance = self.squares / np.maximum(_spread(self.number, self.mean.ndim) - 1, 1)
        return np.asarray(np.where(several, np.sqrt(variance), 1.0))


def _spread(values: np.ndarray, ndim: int) -> np.ndarray:
    """With axes of length 1 at the end, up to ``ndim`` of them."""
    return values.reshape(values.shape + (1,) * (ndim - values.ndim))


class ObservationFilter:
    """Standardizes the observations of a batch of environments, each agent's number by number.

    Args:
        groups: of the environment.
        options: what to do.
        frozen: never learn, as in evaluation.

    Attributes:
        moments: one a group, of all observations so far; by these observations are standardized.
    """

    def __init__(self, groups: Sequence[AgentGroup], options: FilterOptions, frozen: bool = False) -> None:
        self._groups, self._options = tuple(groups), options
        self._learns = options.update and not frozen
        self.moments = [Moments.none(group) for group in self._groups]
        self._new = list(self.moments)

    def __call__(self, observations: Sequence[np.ndarray], acting: np.ndarray | None) -> list[np.ndarray]:
        """Standardized observations, after having learned from them.

        Args:
            observations: for every group ``[B, N_g, *shape]``.
            acting: ``[B, N]`` bool, whose observations are new; None if none is.

        Returns:
            The same shapes, float32.
        """
        if acting is not None and self._learns:
            for g, (group, values) in enumerate(zip(self._groups, observations, strict=True)):
                seen = Moments.of(values, acting[:, group.agents])
                self.moments[g] = self.moments[g].with_others(seen)
                self._new[g] = self._new[g].with_others(seen)
        return [self._standardized(m, values) for m, values in zip(self.moments, observations, strict=True)]

    def _standardized(self, moments: Moments, values: np.ndarray) -> np.ndarray:
        options = self._options
        result = values - moments.mean if options.demean else values.astype(np.float64)
        if options.destd:
            result = result / (moments.std() + _SMALL)
        if options.clip is not None:
            result = np.clip(result, -options.clip, options.clip)
        return result.astype(np.float32)

    def pop(self) -> list[Moments]:
        """Moments of what was seen since the last call, or since :meth:`set`."""
        new, self._new = self._new, [Moments.none(group) for group in self._groups]
        return new

    def set(self, moments: Sequence[Sequence[np.ndarray]]) -> None:
        """Goes on from these, which other runners share.

        Raises:
            ValueError: if they are of other observations.
        """
        given = [Moments(*one) for one in moments]
        shapes = [one.mean.shape for one in given], [one.mean.shape for one in self.moments]
        if shapes[0] != shapes[1]:
            raise ValueError(f"observation_filter: moments are of observations {shapes[0]}, not {shapes[1]}")
        self.moments, self._new = given, [Moments.none(group) for group in self._groups]
