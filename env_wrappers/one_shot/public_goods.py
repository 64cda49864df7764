"""A public good: everybody gains by what anyone gives; public money pays a subsidy and costs more than it pays."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import model_validator

from env_wrappers.config import Derived, configured
from env_wrappers.one_shot.base import OneShotConfig, OneShotEnv, OneShotVectorEnv, softmax
from rllib_metagrad.settings import setting


class PublicGoodsConfig(OneShotConfig):
    """Keys of the public good, and what is known of it."""

    NAME = "public_goods"

    num_agents: int = setting(5, "n", ge=1)
    benefit: float = setting(1.0, "b, what each agent gains by a unit that anyone gives", gt=0)
    cost: float = setting(1.0, "c: giving g costs c g^2 / 2", gt=0)
    deadweight: float = setting(0.3, "lambda, what society loses for a unit of public money that is paid", ge=0)
    num_levels: int = setting(21, "contributions to choose from, evenly from 0 to `max_level`", ge=2)
    max_level: Derived[float] = setting(None, "the largest; null: n b / c, the best one if money cost nothing", gt=0)
    subsidy: float = setting(0.0, "s in force unless a designer sets it, for each unit given", ge=0)

    temperature: float = setting(
        0.5, "alpha of the agents that `share_of_optimum` compares with: their `agent_entropy_coeff`", gt=0
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.max_level is None:
            self._derive(max_level=self.num_agents * self.benefit / self.cost)
        return self

    @property
    def num_players(self) -> int:
        """n."""
        return self.num_agents

    @property
    def prices(self) -> tuple[str, ...]:
        """The subsidy."""
        return ("subsidy",)

    @cached_property
    def levels(self) -> np.ndarray:
        """``[A]`` contributions, from 0."""
        return np.linspace(0, self.max_level, self.num_levels)

    @property
    def action_names(self) -> tuple[str, ...]:
        """``give_0`` to ``give_<A - 1>``, by number."""
        return tuple(f"give_{i}" for i in range(self.num_levels))

    @property
    def cost_of_funds(self) -> float:
        """lambda."""
        return self.deadweight

    @cached_property
    def units(self) -> np.ndarray:
        """``[A, 1]``: contributions."""
        return self.levels[:, None]

    @cached_property
    def design(self) -> np.ndarray:
        """``[1]``."""
        return np.array([self.subsidy])

    def play(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``b sum g - c g_i^2 / 2``, and its sum over agents."""
        given = self.levels[actions]
        rewards = self.benefit * given.sum(-1, keepdims=True) - self.cost * given**2 / 2
        return rewards, rewards.sum(-1)

    def logit_equilibrium(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """``softmax(((b + s) g - c g^2 / 2) / alpha)``, whatever the others do."""
        return softmax(((self.benefit + design[0]) * self.levels - self.cost * self.levels**2 / 2) / alpha)

    def welfare(self, design: np.ndarray, alpha: float) -> float:
        """``n E[(n b - lambda s) g - c g^2 / 2]``."""
        return float(self.num_agents * self.logit_equilibrium(design, alpha) @ self._worth(design))

    def slope(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """``n (-lambda E[g] + Cov(g, worth) / alpha)``: what is paid for what is given, and what is given."""
        p, g, worth = self.logit_equilibrium(design, alpha), self.levels, self._worth(design)
        return np.array([self.num_agents * (-self.deadweight * (p @ g) + p @ ((g - p @ g) * worth) / alpha)])

    def _worth(self, design: np.ndarray) -> np.ndarray:
        """``[A]`` what society gains by each contribution of one agent."""
        worth = self.num_agents * self.benefit - self.deadweight * design[0]
        return np.asarray(worth * self.levels - self.cost * self.levels**2 / 2)

    def optimum(self, alpha: float) -> np.ndarray:
        """``s* = (n - 1 - lambda) b / (1 + 2 lambda)``, if any real number can be given.

        Then it is exact at every temperature: contributions are normal around (b + s) / c with variance alpha / c.
        """
        best = (self.num_agents - 1 - self.deadweight) * self.benefit / (1 + 2 * self.deadweight)
        return np.array([max(0.0, best)])

    @property
    def highest(self) -> float:
        """Above n b agents would count more than everybody's gain."""
        return self.num_agents * self.benefit


@configured(PublicGoodsConfig)
class VectorPublicGoods(OneShotVectorEnv):
    """B public goods; see :class:`~env_wrappers.one_shot.base.OneShotVectorEnv`."""


@configured(PublicGoodsConfig)
class PublicGoods(OneShotEnv):
    """A public good as a PettingZoo ParallelEnv, see docs/public_goods.md."""

    VECTOR = VectorPublicGoods
    metadata: ClassVar[dict[str, Any]] = {"name": "public_goods_v0", "render_modes": [], "is_parallelizable": True}
