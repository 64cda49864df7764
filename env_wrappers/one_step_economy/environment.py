"""One economy, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from env_wrappers.config import configured
from env_wrappers.gather_trade_build.rates import check_rates
from env_wrappers.one_copy import OneCopyEnv
from env_wrappers.one_step_economy.config import NAME, OneStepEconomyConfig
from env_wrappers.one_step_economy.vector import VectorOneStepEconomy


@configured(OneStepEconomyConfig)
class OneStepEconomy(OneCopyEnv):
    """A PettingZoo ParallelEnv of one economy.

    Args:
        config: None for the defaults.
        keys: fields of :class:`OneStepEconomyConfig`, to set or change some, see docs/one_step_economy.md.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "one_step_economy_v0",
        "render_modes": [],
        "is_parallelizable": True,
        "action_mask": True,
    }

    def __init__(self, config: OneStepEconomyConfig | None = None, **keys: Any) -> None:
        vector = VectorOneStepEconomy(1, config, **keys)
        super().__init__(vector)
        self.config = vector.config

    def set_rates(self, rates: Sequence[float] | np.ndarray) -> None:
        """Sets the marginal tax rates ``[K]`` from the next first step of an episode on.

        Raises:
            ValueError: unless they are K numbers from 0 to 1.
        """
        self.designer_output = check_rates(rates, len(self.config.cutoffs), NAME)
