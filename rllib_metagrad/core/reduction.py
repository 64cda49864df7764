"""Sums over learners. Core computes shares of a total; what crosses learners goes through one object."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Reduction(Protocol):
    """How shares of a sum, one per learner, become the sum."""

    def sum(self, share: Tensor) -> Tensor:
        """The sum of all learners' shares (no gradient)."""
        ...

    def differentiable_sum(self, share: Tensor) -> Tensor:
        """The same, where the result enters a loss: its backward sums the learners' cotangents."""
        ...


class OneLearner:
    """A single learner: its share is the total."""

    def sum(self, share: Tensor) -> Tensor:
        """Returns the share itself."""
        return share

    def differentiable_sum(self, share: Tensor) -> Tensor:
        """Returns the share itself."""
        return share
