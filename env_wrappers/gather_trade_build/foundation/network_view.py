"""Observations for networks: the package's numbers in the layout and scale of the twin's ``observations: network``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from env_wrappers.gather_trade_build.foundation.observations import MASK

#: What of the flat numbers is scaled up, by the end of its name, and how much.
_SCALES = (
    ("inventory-Stone", 20.0),
    ("inventory-Wood", 20.0),
    ("price_history-Stone", 10.0),
    ("price_history-Wood", 10.0),
)
_MAP, _OWNERS_AND_AGENTS, _FLAT = "world-map", "world-idx_map", "flat"


class NetworkView:
    """Rescales observations.

    Args:
        unflattened: the package's observations of a reset before it flattens them, by whom.
    """

    def __init__(self, unflattened: Mapping[str, Any]) -> None:
        self._scales = {who: _scales(own) for who, own in unflattened.items()}
        planner = unflattened["p"]
        self._planners = {who: _scales(own) for who, own in planner.items() if isinstance(own, Mapping) and who != MASK}

    def of_agent(self, index: int, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """An agent's: planes of its own houses and of other agents, numbers scaled; time is among the flat ones.

        Args:
            index: of the agent.
            arrays: of :func:`.observations.as_arrays`.
        """
        seen: dict[str, np.ndarray] = {}
        if _MAP in arrays:
            owners, agents = arrays[_OWNERS_AND_AGENTS]
            # 0 nobody, 1 oneself, i + 2 agent i.
            planes = np.stack([owners == 1, agents > 1])
            seen = {_MAP: arrays[_MAP], _OWNERS_AND_AGENTS: planes.astype(np.int16)}
        return seen | {_FLAT: _scaled(arrays[_FLAT], self._scales[str(index)])}

    def of_planner(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The planner's, without its maps."""
        seen: dict[str, Any] = {_FLAT: _scaled(arrays[_FLAT], self._scales["p"])}
        return seen | {who: _scaled(arrays[who], scales) for who, scales in self._planners.items()}


def _scales(unflattened: Mapping[str, Any]) -> np.ndarray:
    """A factor for each flat number, in the package's order, by sorted names; maps and masks are not among them."""
    parts = [
        np.full(np.size(value), next((scale for end, scale in _SCALES if name.endswith(end)), 1.0))
        for name, value in sorted(unflattened.items())
        if not isinstance(value, Mapping) and name != MASK and np.ndim(value) < 2
    ]
    return np.concatenate(parts)


def _scaled(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return (values * scales).astype(np.float32)
