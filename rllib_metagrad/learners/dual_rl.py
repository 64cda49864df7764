"""DualRLLearner: the designer as an ordinary RL agent beside the others (the AI Economist's way)."""

from __future__ import annotations

import torch

from rllib_metagrad.algorithms.config_rules import value_at
from rllib_metagrad.core import losses
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.designer_base import DesignerLearner


class DualRLLearner(DesignerLearner):
    """Maximises R^ID minus incentives paid, by policy gradient on its own actions (Yang et al. 2022, section 4.2)."""

    def designer_update(self, validation: Trajectory) -> None:
        """A policy-gradient (or PPO) update on the designer's own actions of this trajectory."""
        trajectory = validation
        config = self.config
        paid = self.designer.mechanism.incentives(trajectory.designer_output, trajectory).sum(-1)
        advantages = self.designer_advantages(trajectory, trajectory.designer_rewards - paid)
        weights = losses.weights_of(trajectory.stepped, self.reduction, dim=(0, 1))
        states = trajectory.states[:-1].flatten(0, 1)
        features = trajectory.action_features.flatten(0, 1)
        actions, old = trajectory.designer_actions, trajectory.designer_log_probs
        assert actions is not None
        assert old is not None
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
