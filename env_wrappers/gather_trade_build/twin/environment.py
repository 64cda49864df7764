"""One economy of the twin, for people."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np

from env_wrappers.gather_trade_build.twin.config import BRACKETS
from env_wrappers.gather_trade_build.twin.maps import NAME
from env_wrappers.gather_trade_build.twin.vector import VectorGatherTradeBuild
from env_wrappers.one_copy import OneCopyEnv


class GatherTradeBuild(OneCopyEnv):
    """A PettingZoo ParallelEnv of one economy.

    Args:
        config: arguments of :class:`VectorGatherTradeBuild`, all but ``num_envs`` and ``autoreset``.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "gather_trade_build_v0",
        "render_modes": [],
        "is_parallelizable": True,
        "action_mask": True,
    }

    def __init__(self, **config: Any) -> None:
        self.economy = VectorGatherTradeBuild(1, **config)
        super().__init__(self.economy)

    def set_rates(self, rates: Any) -> None:
        """Sets the marginal tax rates ``[7]`` for the tax periods from the next one that begins.

        Raises:
            ValueError: unless they are 7 numbers from 0 to 1.
        """
        values = np.asarray(rates, np.float64)
        if values.shape != (BRACKETS,) or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{NAME}: tax rates must be {BRACKETS} numbers from 0 to 1, got {rates!r}")
        self.designer_output = values

    @property
    def bracket_cutoffs(self) -> np.ndarray:
        """``[7]`` lowest income of each tax bracket, in coin."""
        return self.economy.bracket_cutoffs


# One list of arguments for both classes: the registry checks keys of env_config against it.
GatherTradeBuild.__signature__ = inspect.Signature(
    [
        parameter
        for name, parameter in inspect.signature(VectorGatherTradeBuild).parameters.items()
        if name not in ("num_envs", "autoreset")
    ]
)
