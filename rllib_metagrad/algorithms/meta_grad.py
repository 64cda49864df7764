"""MetaGrad (Yang et al. 2022) and AMD (Baumann et al. 2020): designers that look through the agents' learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rllib_metagrad.algorithms import config_rules as rules
from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.algorithms.config_rules import Rule
from rllib_metagrad.algorithms.designer_config import LearningDesignerConfig
from rllib_metagrad.learners.meta_grad import AMDLearner, MetaGradLearner
from rllib_metagrad.modules.designer import DesignerSettings


class MetaGradConfig(LearningDesignerConfig):
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

    designer_kind = "incentive_function"
    RULES: Mapping[str, Rule] = {
        **LearningDesignerConfig.RULES,
        "pipelined": rules.BOOL,
        "designer_interval": rules.integer(1),
        "designer_direct_coeff": rules.schedule(0),
        "meta_gradient": rules.choice("mixed", "unrolled"),
        "agent_model": rules.choice("oracle", "cloned"),
        "cloning_lr": rules.number(0, above=True),
        "cloning_steps": rules.integer(1),
        "cloning_grad_clip": rules.number(0, above=True, none=True),
        "designer_cost": rules.choice("realised", "outputs"),
        "designer_cost_coeff": rules.schedule(0),
        "designer_cost_lr": rules.schedule(0, none=True),
        "designer_output_bias": rules.number(-1e6),
    }

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or MetaGrad)
        self.pipelined = True
        self.designer_interval = 1
        self.designer_direct_coeff: Any = 0.0
        self.meta_gradient = "mixed"
        self.agent_model = "oracle"
        self.cloning_lr = 1e-2
        self.cloning_steps = 10
        self.cloning_grad_clip: float | None = 1.0
        self.designer_cost = "realised"
        self.designer_cost_coeff: Any = 1.0
        self.designer_cost_lr: Any = None
        self.designer_output_bias = 0.0

    def designer_settings(self) -> DesignerSettings:
        """An incentive function."""
        return replace(super().designer_settings(), output_bias=self.designer_output_bias)

    def get_default_learner_class(self) -> type:
        """The learner."""
        return MetaGradLearner


class MetaGrad(IncentiveDesign):
    """Algorithm 1: agents and designer learn at the same time scale, the designer by meta-gradient."""

    @classmethod
    def get_default_config(cls) -> MetaGradConfig:
        """MetaGradConfig."""
        return MetaGradConfig()

    def one_update(self, report: bool) -> None:
        """Pipelined as the base class does it, or with trajectories of their own for agents and designer."""
        if self.config.pipelined:
            super().one_update(report)
            return
        self.learn(self.sample(report=False), ("agents",), report=False)
        self.sync_weights()
        self.learn(self.sample(report), ("designer",), report)
        self.sync_weights()


class AMDConfig(MetaGradConfig):
    """Configures :class:`AMD`."""

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or AMD)
        self.designer_cost_coeff = 4.24e-4

    def get_default_learner_class(self) -> type:
        """The learner."""
        return AMDLearner


class AMD(IncentiveDesign):
    """Adaptive mechanism design: the planner anticipates the agents' next gradient step."""

    @classmethod
    def get_default_config(cls) -> AMDConfig:
        """AMDConfig."""
        return AMDConfig()
