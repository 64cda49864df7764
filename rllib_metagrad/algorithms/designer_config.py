"""Settings of designers that learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rllib_metagrad.algorithms import config_rules as rules
from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.algorithms.config_rules import Rule
from rllib_metagrad.modules.networks import NetworkSettings


class LearningDesignerConfig(IncentiveDesignConfig):
    """Keys of every learning designer: its objective's advantages, its critic, its optimiser."""

    RULES: Mapping[str, Rule] = {
        **IncentiveDesignConfig.RULES,
        "designer_loss": rules.choice("reinforce", "ppo"),
        "designer_lr": rules.schedule(0),
        "designer_reward_scale": rules.number(0, above=True),
        "designer_betas": rules.BETAS,
        "designer_eps": rules.number(0, above=True),
        "designer_grad_clip": rules.number(0, above=True, none=True),
        "designer_num_epochs": rules.integer(1),
        "designer_clip_param": rules.number(0, above=True),
        "designer_gamma": rules.number(0, 1, none=True),
        "designer_lambda": rules.number(0, 1),
        "designer_normalize_advantages": rules.BOOL,
        "designer_baseline": rules.choice("none", "mean", "critic"),
        "designer_critic_lr": rules.schedule(0),
        "designer_target_tau": rules.number(0, 1, above=True, none=True),
    }

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class)
        self.designer_loss = "reinforce"
        self.designer_lr: Any = 1e-3
        self.designer_reward_scale = 1.0
        self.designer_betas = (0.9, 0.999)
        self.designer_eps = 1e-8
        self.designer_grad_clip: float | None = None
        self.designer_num_epochs = 1
        self.designer_clip_param = 0.2
        self.designer_gamma: float | None = None
        self.designer_lambda = 0.95
        self.designer_normalize_advantages = False
        self.designer_baseline = "mean"
        self.designer_critic_lr: Any = 1e-3
        self.designer_target_tau: float | None = None
        self.designer_critic_network: Any = None

    def designer_critic_settings(self) -> NetworkSettings | None:
        """The incentive function's shape, unless ``designer_critic_network`` says otherwise."""
        if self.designer_baseline != "critic":
            return None
        own = self.designer_critic_network is not None
        return self._network("designer_critic_network" if own else "designer_network")
