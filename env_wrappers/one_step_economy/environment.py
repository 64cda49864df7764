"""One economy, for people."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from env_wrappers.one_copy import OneCopyEnv
from env_wrappers.one_step_economy.config import check_rates, make_economy
from env_wrappers.one_step_economy.vector import VectorOneStepEconomy


class OneStepEconomy(OneCopyEnv):
    """A PettingZoo ParallelEnv of one economy.

    Args:
        config: the economy's constants, arguments of :func:`~.config.make_economy`.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "one_step_economy_v0",
        "render_modes": [],
        "is_parallelizable": True,
        "action_mask": True,
    }

    def __init__(self, **config: Any) -> None:
        vector = VectorOneStepEconomy(1, **config)
        super().__init__(vector)
        self.economy = vector.economy

    def set_rates(self, rates: Sequence[float] | np.ndarray) -> None:
        """Sets the marginal tax rates ``[K]`` from the next first step of an episode on.

        Raises:
            ValueError: unless they are K numbers from 0 to 1.
        """
        self.designer_output = check_rates(rates, len(self.economy.cutoffs))


# The registry checks keys of env_config against it.
OneStepEconomy.__signature__ = inspect.signature(make_economy)
