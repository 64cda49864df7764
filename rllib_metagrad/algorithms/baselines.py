"""Baselines of Yang et al. 2022: dual-RL, fixed incentives, and one policy for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rllib_metagrad.algorithms import config_rules as rules
from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.algorithms.config_rules import Rule
from rllib_metagrad.algorithms.designer_config import LearningDesignerConfig
from rllib_metagrad.learners.base import IncentiveLearner
from rllib_metagrad.learners.dual_rl import DualRLLearner
from rllib_metagrad.modules.designer import DesignerSettings


class DualRLConfig(LearningDesignerConfig):
    """Configures :class:`DualRL`.

    ``designer_levels: [0, 1.1]`` is dual-RL (d): each action type is assigned one of these incentives.
    ``designer_levels: null`` is dual-RL (c): a Gaussian incentive for each agent, squashed to (0, scale).
    """

    designer_kind = "stochastic"
    RULES: Mapping[str, Rule] = {
        **LearningDesignerConfig.RULES,
        "designer_levels": rules.NUMBERS,
        "designer_factorised": rules.BOOL,
        "designer_std": rules.number(0, above=True),
        "designer_entropy_coeff": rules.schedule(0),
    }

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or DualRL)
        self.designer_levels: Any = [0.0, 1.1]
        self.designer_factorised = False
        self.designer_std = 1.0
        self.designer_entropy_coeff: Any = 0.01
        self.designer_network = {"hiddens": [64, 32]}

    def designer_settings(self) -> DesignerSettings:
        """A stochastic designer."""
        levels = None if self.designer_levels is None else tuple(float(x) for x in self.designer_levels)
        settings = replace(
            super().designer_settings(),
            levels=levels,
            factorised=self.designer_factorised,
            std=self.designer_std,
        )
        if self.mechanism is None and levels is None:
            return replace(settings, mechanism="agent_incentives")
        return settings

    def get_default_learner_class(self) -> type:
        """The learner."""
        return DualRLLearner


class DualRL(IncentiveDesign):
    """The designer is an RL agent on the same time scale as the others; the AI Economist on a tax mechanism."""

    @classmethod
    def get_default_config(cls) -> DualRLConfig:
        """DualRLConfig."""
        return DualRLConfig()


class FixedIncentiveConfig(IncentiveDesignConfig):
    """Configures :class:`FixedIncentive`: ``fixed_incentives``, one value an output, or null for none at all."""

    RULES: Mapping[str, Rule] = {**IncentiveDesignConfig.RULES, "fixed_incentives": rules.NUMBERS}

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or FixedIncentive)
        self.fixed_incentives: Any = None

    def designer_settings(self) -> DesignerSettings:
        """A constant designer."""
        given = self.fixed_incentives
        constant = None if given is None else tuple(float(x) for x in given)
        return replace(super().designer_settings(), constant=constant)

    def get_default_learner_class(self) -> type:
        """The learner."""
        return IncentiveLearner


class FixedIncentive(IncentiveDesign):
    """Agents learn under incentives that nobody changes."""

    @classmethod
    def get_default_config(cls) -> FixedIncentiveConfig:
        """FixedIncentiveConfig."""
        return FixedIncentiveConfig()


class CentralizedConfig(FixedIncentiveConfig):
    """Configures :class:`Centralized`."""

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or Centralized)
        self.centralized = True


class Centralized(IncentiveDesign):
    """One policy acts for all agents and maximises R^ID: "Cen" in the paper, an empirical upper bound."""

    @classmethod
    def get_default_config(cls) -> CentralizedConfig:
        """CentralizedConfig."""
        return CentralizedConfig()
