"""One economy of the twin, for people."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import gymnasium as gym
import numpy as np

from env_wrappers.config import RenderMode, configured
from env_wrappers.gather_trade_build.config import NAME
from env_wrappers.gather_trade_build.pictures import as_text
from env_wrappers.gather_trade_build.rates import check_rates
from env_wrappers.gather_trade_build.twin.config import TwinConfig
from env_wrappers.gather_trade_build.twin.vector import VectorGatherTradeBuild
from env_wrappers.one_copy import OneCopyEnv


@configured(TwinConfig)
class GatherTradeBuild(OneCopyEnv):
    """A PettingZoo ParallelEnv of one economy.

    Args:
        config: None for the defaults.
        keys: fields of :class:`TwinConfig`, to set or change some; docs/gather_trade_build.md has their meaning.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "gather_trade_build_v0",
        "render_modes": list(get_args(RenderMode)),
        "render_fps": 5,
        "is_parallelizable": True,
        "action_mask": True,
    }

    def __init__(self, config: TwinConfig | None = None, **keys: Any) -> None:
        self.economy = VectorGatherTradeBuild(1, config, **keys)
        super().__init__(self.economy)
        self.config = self.economy.config
        self.render_mode = self.config.render_mode

    def set_rates(self, rates: Any) -> None:
        """Sets the marginal tax rates ``[K]`` for the tax periods from the next one that begins.

        Raises:
            ValueError: unless they are K numbers from 0 to 1, and ``tax`` is external.
        """
        if self.config.tax != "external":
            raise ValueError(f"{NAME}: set_rates needs tax: external, got tax: {self.config.tax}")
        self.designer_output = check_rates(rates, len(self.bracket_cutoffs))

    @property
    def planner_action_space(self) -> gym.spaces.MultiDiscrete:
        """Of :meth:`set_planner_action`: a choice for each bracket."""
        return gym.spaces.MultiDiscrete([1 + len(self.config.discrete_rates)] * len(self.bracket_cutoffs))

    def set_planner_action(self, action: Any) -> None:
        """The planner's action in the next step, with ``tax: planner``; it counts only where a tax period begins.

        Args:
            action: ``[K]``: 0 leaves a rate as it is, i sets the (i - 1)-th of the rates. What :meth:`planner_mask`
                forbids by the annealed cap is taken all the same, as in the original.

        Raises:
            ValueError: for an action that is not in the space, and unless ``tax`` is planner.
        """
        if self.config.tax != "planner":
            raise ValueError(f"{NAME}: set_planner_action needs tax: planner, got tax: {self.config.tax}")
        values = np.asarray(action, np.int64 if np.size(action) else None)
        if not self.planner_action_space.contains(values):
            raise ValueError(f"{NAME}: the planner's action {action!r} is not in {self.planner_action_space}")
        self.designer_output = values

    def planner_mask(self) -> np.ndarray:
        """``[K * 22]`` bool, what the planner may choose, bracket after bracket."""
        return self.economy.planner_masks()[0]

    @property
    def period_begins(self) -> bool:
        """Whether a tax period begins with the next step."""
        return bool(self.economy._game.day[0] == 1)

    def tax_rates(self) -> np.ndarray:
        """``[K]`` rates in force, caps applied."""
        return self.economy._game.rates[0].copy()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """A new episode, which starts with the rates of the configuration."""
        self.designer_output = None
        return super().reset(seed, options)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        result = super().step(actions)
        if self.config.tax == "planner":
            self.designer_output = None
        if self.render_mode == "human":
            self.render()
        return result

    def render(self) -> np.ndarray | None:
        """A picture, or text on stdout."""
        if self.render_mode == "human":
            print(as_text(self.economy.scene()))
        return self.economy.render() if self.render_mode == "rgb_array" else None

    @property
    def bracket_cutoffs(self) -> np.ndarray:
        """``[K]`` lowest income of each tax bracket, in coin."""
        return self.economy.bracket_cutoffs
