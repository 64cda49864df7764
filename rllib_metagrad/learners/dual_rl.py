"""DualRLLearner: the designer as an ordinary RL agent beside the others (the AI Economist's way)."""

from __future__ import annotations

import torch

from rllib_metagrad.algorithms.config_rules import value_at
from rllib_metagrad.core import losses
from rllib_metagrad.core.decisions import decisions
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.designer_base import DesignerLearner


class DualRLLearner(DesignerLearner):
    """Maximises R^ID minus incentives paid, by policy gradient on its own actions (Yang et al. 2022, section 4.2)."""

    def designer_update(self, validation: Trajectory) -> None:
        """A policy-gradient (or PPO) update on the designer's own decisions in this trajectory."""
        config = self.config
        paid = self.designer.mechanism.incentives(validation.designer_output, validation).sum(-1)
        made = decisions(validation, validation.designer_rewards - paid)
        advantages = self.designer_advantages(made, made.rewards)
        weights = losses.weights_of(made.stepped, self.reduction, dim=(0, 1))
        states, features = made.states[:-1].flatten(0, 1), made.features.flatten(0, 1)
        actions, old = made.actions, made.log_probs
        for _ in range(config.designer_num_epochs):
            eta = self.eta.value.detach().requires_grad_()
            log_probs, entropy = self.designer.evaluate(eta, states, features, actions.flatten(0, 1))
            per_step = losses.designer_outer_loss(
                config.designer_loss,
                log_probs.reshape(old.shape),
                old,
                advantages,
                config.designer_clip_param,
            )
            bonus = value_at(config.designer_entropy_coeff, self._env_steps) * entropy.reshape(old.shape)
            loss = (weights * (per_step - bonus)).sum()
            (grad,) = torch.autograd.grad(loss, eta)
            grad = self.reduction.sum(grad)
            if not self._finite("the designer", grad):
                return
            self.eta.step(grad, self.optimizer(config.designer_lr, config.designer_grad_clip, config.designer_eps))
        self.log(("designer", "loss"), self.reduction.sum(loss.detach()))
        self.log(("designer", "entropy"), self.reduction.sum((weights * entropy.detach().reshape(old.shape)).sum()))
