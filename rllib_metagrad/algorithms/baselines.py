"""Baselines of Yang et al. 2022: dual-RL, fixed incentives, and one policy for all."""

from __future__ import annotations

from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.algorithms.keys import Keys
from rllib_metagrad.learners.base import IncentiveLearner
from rllib_metagrad.learners.designers import DualRLLearner
from rllib_metagrad.settings import (
    DesignerSettings,
    FixedIncentiveSettings,
    IncentiveSettings,
    StochasticDesignerSettings,
)
from rllib_metagrad.settings.methods import METHODS


class DualRLConfig(IncentiveDesignConfig):
    """Configures :class:`DualRL`.

    ``designer_levels: [0, 1.1]`` is dual-RL (d): each action type is assigned one of these incentives.
    ``designer_levels: null`` is dual-RL (c): a Gaussian incentive for each agent, squashed to (0, scale).
    """

    designer = Keys(StochasticDesignerSettings)
    incentives = Keys(IncentiveSettings)

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or DualRL)

    def get_default_learner_class(self) -> type:
        """The learner of a designer that is a policy."""
        return DualRLLearner


class DualRL(IncentiveDesign):
    """The designer is an RL agent on the same time scale as the others; the AI Economist on a tax mechanism."""

    config_class = DualRLConfig


class FixedIncentiveConfig(IncentiveDesignConfig):
    """Configures :class:`FixedIncentive`: ``fixed_incentives``, one value an output, or null for none at all."""

    designer = Keys(DesignerSettings)
    incentives = Keys(FixedIncentiveSettings)

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or FixedIncentive)

    def get_default_learner_class(self) -> type:
        """The learner of agents alone."""
        return IncentiveLearner


class FixedIncentive(IncentiveDesign):
    """Agents learn under incentives that nobody changes."""

    config_class = FixedIncentiveConfig


class CentralizedConfig(FixedIncentiveConfig):
    """Configures :class:`Centralized`."""

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or Centralized)
        self.set_defaults(METHODS["Centralized"])


class Centralized(IncentiveDesign):
    """One policy acts for all agents and maximizes R^ID: "Cen" in the paper, an empirical upper bound."""

    config_class = CentralizedConfig
