"""A contract: a principal pays agents a bonus for work; with logit acceptance the best bonus is known."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, wrightomega

from env_wrappers.config import configured
from env_wrappers.one_shot.base import OneShotConfig, OneShotEnv, OneShotVectorEnv
from rllib_metagrad.settings import setting


class ContractConfig(OneShotConfig):
    """Keys of the contract, and what is known of it."""

    NAME = "contract"

    num_agents: int = setting(1, "N, each offered the same bonus", ge=1)
    value: float = setting(1.0, "V, what an agent's work is worth to the principal", ge=0)
    cost: float = setting(0.5, "c, of working, to the agent", ge=0)
    bonus: float = setting(0.0, "b in force unless a designer sets it", ge=0)
    temperature: float = setting(
        0.2, "alpha of the agents that `share_of_optimum` compares with: their `agent_entropy_coeff`", gt=0
    )

    @property
    def num_players(self) -> int:
        """N."""
        return self.num_agents

    @property
    def action_names(self) -> tuple[str, ...]:
        """To rest, and to work."""
        return ("rest", "work")

    @property
    def prices(self) -> tuple[str, ...]:
        """The bonus."""
        return ("bonus",)

    @property
    def cost_of_funds(self) -> float:
        """1: the principal pays out of its own pocket."""
        return 1.0

    @cached_property
    def units(self) -> np.ndarray:
        """``[2, 1]``: work is one unit."""
        return np.array([[0.0], [1.0]])

    @cached_property
    def design(self) -> np.ndarray:
        """``[1]``."""
        return np.array([self.bonus])

    def play(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``-c`` and ``V`` for each that works."""
        return -self.cost * actions, self.value * actions.sum(-1)

    def logit_equilibrium(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """Works with probability ``sigma((b - c) / alpha)``, whatever the others do."""
        works = expit((design[0] - self.cost) / alpha)
        return np.array([1 - works, works])

    def welfare(self, design: np.ndarray, alpha: float) -> float:
        """``N (V - b) sigma((b - c) / alpha)``."""
        return float(self.num_agents * (self.value - design[0]) * self.logit_equilibrium(design, alpha)[1])

    def slope(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """``N (-p + p (1 - p) (V - b) / alpha)``: what is paid to those who work, and who works."""
        rests, works = self.logit_equilibrium(design, alpha)
        return self.num_agents * (-works + works * rests * (self.value - design) / alpha)

    def optimum(self, alpha: float) -> np.ndarray:
        """``b* = V - alpha (1 + W(exp((V - c) / alpha - 1)))``, exact for alpha > 0; W is Lambert's."""
        # W(exp(z)) is Wright's omega of z, which does not overflow.
        best = self.value - alpha * (1 + wrightomega((self.value - self.cost) / alpha - 1))
        return np.array([max(0.0, best)])

    @property
    def highest(self) -> float:
        """Beyond V the principal loses."""
        return self.value


@configured(ContractConfig)
class VectorContract(OneShotVectorEnv):
    """B contracts; see :class:`~env_wrappers.one_shot.base.OneShotVectorEnv`."""


@configured(ContractConfig)
class Contract(OneShotEnv):
    """A contract as a PettingZoo ParallelEnv, see docs/contract.md."""

    VECTOR = VectorContract
    metadata: ClassVar[dict[str, Any]] = {"name": "contract_v0", "render_modes": [], "is_parallelizable": True}
