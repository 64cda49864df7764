"""What learning designers share: their rewards' advantages, with or without a critic, and their optimiser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.algorithms.config_rules import value_at
from rllib_metagrad.core import losses
from rllib_metagrad.core.decisions import DesignerSteps
from rllib_metagrad.core.optimizers import OptimizerSettings
from rllib_metagrad.core.returns import advantages_and_targets
from rllib_metagrad.learners.base import IncentiveLearner, Parameter
from rllib_metagrad.modules.designer import DesignerCritic


class DesignerLearner(IncentiveLearner):
    """A designer with an objective R^ID: advantages by GAE with its critic V_phi, or returns without one.

    ``designer_baseline: mean`` centres the returns of each time step over the batch. Without any baseline every
    return of a solved game is positive, so each sampled step looks good, and incentives grow until they saturate.
    """

    def build_designer(self) -> None:
        """Adds the critic, if the config has one."""
        settings = self.config.designer_critic_settings()
        self.critic: DesignerCritic | None = None
        self.phi: Parameter | None = None
        self.phi_target: Tensor | None = None
        # What a unit of R^ID is in the last advantages.
        self.reward_scale = 1.0
        if settings is not None:
            self.critic = DesignerCritic(self.env_spec, settings)
            self.phi = self._parameter(self.critic.parameters.initialize(1, self.generator))
            self.phi_target = self.phi.value if self.config.designer_target_tau is not None else None

    def optimizer(self, lr: Any, clip: float | None = None, eps: float = 1e-8) -> OptimizerSettings:
        """Adam at a scheduled rate."""
        betas = self.config.designer_betas
        return OptimizerSettings(
            "adam",
            lr=value_at(lr, self._env_steps),
            betas=(betas[0], betas[1]),
            eps=eps,
            grad_clip=clip,
        )

    def designer_advantages(self, trajectory: DesignerSteps, rewards: Tensor) -> Tensor:
        """The designer's advantages ``[T, B]`` on a trajectory, or on its decisions; fits the critic on the way.

        A^ID of eq. (5): GAE on R^ID with V_phi. Episodes cut by a time limit bootstrap, if there is a critic.

        Args:
            rewards: ``[T, B]``, the designer's.
        """
        weights = losses.weights_of(trajectory.stepped, self.reduction, dim=(0, 1))
        values = fitted = None
        if self.critic is not None:
            assert self.phi is not None
            phi = self.phi.value.detach().requires_grad_()
            fitted = self._values(phi, trajectory.states)
            values = fitted.detach()
            if self.phi_target is not None:
                with torch.no_grad():
                    values = self._values(self.phi_target, trajectory.states)
        gamma = self.config.gamma if self.config.designer_gamma is None else self.config.designer_gamma
        advantages, targets = advantages_and_targets(
            self.config.designer_reward_scale * rewards,
            values,
            trajectory.over_terminated,
            trajectory.over & ~trajectory.over_terminated,
            gamma,
            self.config.designer_lambda,
        )
        unscaled = targets.detach() / self.config.designer_reward_scale
        self.log(("designer", "return"), self.reduction.sum((weights * unscaled).sum()))
        if fitted is not None:
            self._fit_critic(phi, fitted[:-1] - targets, weights)
        if self.config.designer_baseline == "mean":
            at_t = losses.weights_of(trajectory.stepped, self.reduction, dim=1)
            advantages = losses.centre(advantages, at_t, self.reduction, dim=1)
        self.reward_scale = self.config.designer_reward_scale
        if self.config.designer_normalize_advantages:
            raw = losses.centre(advantages, weights, self.reduction, dim=(0, 1))
            variance = self.reduction.sum((weights * raw * raw).sum())
            advantages = losses.normalize(advantages, weights, self.reduction, dim=(0, 1))
            self.reward_scale = self.reward_scale / (float(torch.sqrt(variance)) + 1e-8)
        return advantages.detach()

    def _values(self, phi: Tensor, states: Tensor) -> Tensor:
        assert self.critic is not None
        return self.critic.values(phi, states.flatten(0, 1)).reshape(states.shape[:2])

    def _fit_critic(self, phi: Tensor, error: Tensor, weights: Tensor) -> None:
        assert self.phi is not None
        loss = 0.5 * (weights * error * error).sum()
        (grad,) = torch.autograd.grad(loss, phi)
        grad = self.reduction.sum(grad)
        if not self._finite("the designer's critic", grad):
            return
        self.phi.step(grad, self.optimizer(self.config.designer_critic_lr))
        if self.phi_target is not None:
            self.phi_target = torch.lerp(self.phi_target, self.phi.value, self.config.designer_target_tau)
        self.log(("designer", "critic_loss"), self.reduction.sum(loss.detach()))

    def module_rows(self) -> list[tuple[Any, Any, Tensor]]:
        """The designer's module also holds its critic."""
        rows = super().module_rows()
        if self.critic is not None:
            assert self.phi is not None
            rows.append((rows[-1][0], self.critic.parameters, self.phi.value))
        return rows

    def take_rows(self, rows: list[Tensor]) -> None:
        """See the base class; the critic comes last."""
        super().take_rows(rows)
        if self.phi is not None:
            self.phi = replace(self.phi, value=rows[-1])

    def get_own_state(self) -> dict[str, Any]:
        """Adds the critic's."""
        state = super().get_own_state()
        if self.phi is not None:
            state["phi_optimizer"], state["phi_target"] = self.phi.optimizer, self.phi_target
        return state

    def set_own_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_own_state`."""
        super().set_own_state(state)
        if self.phi is not None:
            self.phi = replace(self.phi, optimizer=state["phi_optimizer"])
            self.phi_target = state["phi_target"]
