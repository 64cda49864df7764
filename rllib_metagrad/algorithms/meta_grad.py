"""MetaGrad (Yang et al. 2022) and AMD (Baumann et al. 2020): designers that look through the agents' learning."""

from __future__ import annotations

from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.algorithms.keys import Keys
from rllib_metagrad.learners.designers import AMDLearner, MetaGradLearner
from rllib_metagrad.settings import (
    IncentiveFunctionSettings,
    LookingThroughSettings,
    MetaGradDesignerSettings,
    MetaGradSettings,
)
from rllib_metagrad.settings.methods import METHODS


class MetaGradConfig(IncentiveDesignConfig):
    """Configures :class:`MetaGrad`.

    Example::

        config = (
            MetaGradConfig()
            .environment("escape_room", env_config={"n": 5, "m": 2})
            .agents(loss="pg", lr=0.1)
            .designer(lr=1e-3)
        )
        algorithm = config.build_algo()
    """

    designer = Keys(MetaGradDesignerSettings)
    incentives = Keys(MetaGradSettings)

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or MetaGrad)

    def get_default_learner_class(self) -> type:
        """The learner of Algorithm 1."""
        return MetaGradLearner


class MetaGrad(IncentiveDesign):
    """Algorithm 1: agents and designer learn at the same time scale, the designer by meta-gradient."""

    config_class = MetaGradConfig

    def one_update(self, report: bool) -> None:
        """Pipelined as the base class does it, or with trajectories of their own for agents and designer."""
        if self.config.pipelined:
            super().one_update(report)
            return
        self.learn(self.sample(report=False), ("agents",), report=False)
        self.sync_weights()
        self.learn(self.sample(report), ("designer",), report)
        self.sync_weights()


class AMDConfig(IncentiveDesignConfig):
    """Configures :class:`AMD`."""

    designer = Keys(IncentiveFunctionSettings)
    incentives = Keys(LookingThroughSettings)

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or AMD)
        self.set_defaults(METHODS["AMD"])

    def get_default_learner_class(self) -> type:
        """The learner of adaptive mechanism design."""
        return AMDLearner


class AMD(IncentiveDesign):
    """Adaptive mechanism design: the planner anticipates the agents' next gradient step."""

    config_class = AMDConfig
