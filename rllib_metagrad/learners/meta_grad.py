"""The designers that look through the agents' learning: MetaGrad, and AMD as its one-step ancestor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rllib_metagrad.algorithms.config_rules import value_at
from rllib_metagrad.core import losses, optimizers
from rllib_metagrad.core.agent_update import AgentState, Look, Update, flatten_steps, look
from rllib_metagrad.core.decisions import hold
from rllib_metagrad.core.meta_gradient import Replica, replicate
from rllib_metagrad.core.optimizers import OptimizerSettings
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.base import AgentsUpdate, Parameter
from rllib_metagrad.learners.designer_base import DesignerLearner


@dataclass(frozen=True)
class EtaGradient:
    """Gradients with respect to eta ``[1, D]``, summed over learners, and the replicas they came through.

    Attributes:
        meta: first term of eq. (4), with the direct effect of ``designer_direct_coeff``.
        cost: gradient of psi; None if nobody asked.
        cost_value: psi.
        replicas: of the agents' update, one a stack.
    """

    meta: Tensor
    cost: Tensor | None
    cost_value: Tensor
    replicas: tuple[Replica, ...]


class MetaGradLearner(DesignerLearner):
    """Algorithm 1 of Yang et al. 2022: the designer ascends eq. (4) or (5) through a replica of the agents' update."""

    def build_designer(self) -> None:
        """Adds the cost's own optimiser state and, with ``agent_model: cloned``, the surrogate policies."""
        super().build_designer()
        self.cost_optimizer = self._parameter(torch.zeros_like(self.eta.value)).optimizer
        self.looked_at, self._replica_due = 0, True
        self.clones: list[AgentState] | None = None
        if self.config.agent_model == "cloned":
            settings = self.config.agent_settings(0)
            # A designer that cannot see the agents does not know their start either.
            self.clones = [
                self._fresh(policy.initialize(len(stack.policy_ids), self.generator), settings)
                for stack, policy in zip(self.stacks, self.policies, strict=True)
            ]

    # -- one step of the designer -----------------------------------------------------------------------

    def designer_update(self, validation: Trajectory) -> None:
        """One designer step on the validation trajectory of the last agents' update (Algorithm 1, line 7)."""
        advantages = self.designer_advantages(validation, validation.designer_rewards)
        if self.last_update is None or not self._is_due():
            return
        past = self.last_update
        if self.clones is not None:
            past = self._of_clones(past)
        start = self.eta.value
        for epoch in range(self.config.designer_num_epochs):
            # The gradient belongs to the eta that was in force; with several epochs its base point moves along.
            eta = past.eta + (self.eta.value - start)
            outcomes = past.outcomes if epoch == 0 else None
            gradient = self.eta_gradient(past, eta, validation, advantages, outcomes)
            if epoch == 0 and self._replica_due and self.clones is None:
                self._log_replica(past)
                self._replica_due = False
            if not self._descend(gradient):
                return
        if self.clones is not None:
            self.clones = [
                AgentState(r.theta_hat, r.outcome.state.optimizer, r.outcome.state.target) for r in gradient.replicas
            ]

    def _is_due(self) -> bool:
        """Whether the designer looks through this one of the agents' updates, see ``designer_interval``."""
        self.looked_at = (self.looked_at + 1) % self.config.designer_interval
        return self.looked_at == 0

    def eta_gradient(
        self,
        past: AgentsUpdate,
        eta: Tensor,
        validation: Trajectory,
        advantages: Tensor,
        outcomes: tuple[Update, ...] | None,
    ) -> EtaGradient:
        """Equation (4), its two terms apart: through the agents' update, and of the cost psi.

        Args:
            past: the agents' update to look through.
            eta: ``[1, D]``, where the gradient is taken.
            validation: tau_hat.
            advantages: ``[T, B]``, the designer's, on tau_hat.
            outcomes: of ``past`` under ``eta``, if they are known.
        """
        tau = past.trajectory
        eta = eta.detach().requires_grad_()
        outputs = self.incentive_outputs(eta, tau)
        rewards = self.designer.mechanism.rewards(outputs, tau)
        replicas = self._replicate(past, rewards, outcomes)
        outer = self.outer_gradient(self.outer_looks(replicas, outcomes, validation), validation, advantages)
        through_agents = torch.stack([replica.pull_back(v) for replica, v in zip(replicas, outer, strict=True)]).sum()

        realised = self.config.designer_cost == "realised"
        per_step = (self.designer.mechanism.incentives(outputs, tau) if realised else outputs).sum(-1)
        cost = losses.incentive_cost(per_step, tau.stepped, tau.over, self.config.gamma, self.reduction)
        (meta,) = torch.autograd.grad(through_agents, eta, retain_graph=True)
        meta = meta + self._direct_gradient(outputs, tau, eta)
        of_cost = None
        if self._cost_matters():
            of_cost = self.reduction.sum(torch.autograd.grad(cost, eta)[0])
        return EtaGradient(self.reduction.sum(meta), of_cost, self.reduction.sum(cost.detach()), replicas)

    def _direct_gradient(self, outputs: Tensor, tau: Trajectory, eta: Tensor) -> Tensor:
        """This learner's share of the gradient of minus the mean R^ID at fixed actions, weighted.

        Where outputs move what R^ID is made of (taxes that are redistributed), its derivative has a term that eq. (4)
        leaves out: their effect before anybody has learned. It is in the units of the advantages.
        """
        weight = value_at(self.config.designer_direct_coeff, self._env_steps)
        if weight == 0:
            return torch.zeros_like(eta)
        rewards = self.designer.mechanism.designer_rewards(outputs, tau)
        weights = losses.weights_of(tau.stepped, self.reduction, dim=(0, 1))
        loss = -weight * self.reward_scale * (weights * rewards).sum()
        if not loss.requires_grad:
            return torch.zeros_like(eta)
        (gradient,) = torch.autograd.grad(loss, eta, retain_graph=True)
        self.log(("designer", "direct_gradient_norm"), self.reduction.sum(gradient).norm())
        return gradient

    def _cost_matters(self) -> bool:
        """Whether psi's gradient is used or reported; else a pass through the incentive function is saved."""
        weight = value_at(self.config.designer_cost_coeff, self._env_steps)
        return weight > 0 or self.config.designer_cost_lr is not None or self._reporting

    def incentive_outputs(self, eta: Tensor, trajectory: Trajectory) -> Tensor:
        """``mu_eta`` on a trajectory, ``[T, B, U]``, differentiable in eta."""
        due = trajectory.designer_due
        if due is not None:
            states = trajectory.states[:-1][due]
            decided = self.designer.outputs(eta, states, states.new_zeros(len(states), 0))
            return hold(decided, due, trajectory.designer_output)
        t, b = trajectory.stepped.shape
        outputs: Tensor = self.designer.outputs(
            eta, trajectory.states[:-1].flatten(0, 1), trajectory.action_features.flatten(0, 1)
        )
        return outputs.reshape(t, b, -1)

    def _replicate(
        self, past: AgentsUpdate, rewards: Tensor, outcomes: tuple[Update, ...] | None
    ) -> tuple[Replica, ...]:
        return tuple(
            replicate(
                self.config.meta_gradient,
                policy,
                past.states[i],
                past.trajectory,
                past.trajectory.groups[i],
                rewards,
                past.settings,
                past.minibatches[i],
                self.reduction,
                None if outcomes is None else outcomes[i],
            )
            for i, policy in enumerate(self.policies)
        )

    def outer_looks(
        self, replicas: tuple[Replica, ...], outcomes: tuple[Update, ...] | None, validation: Trajectory
    ) -> list[Look]:
        """The validation trajectory seen from where the designer's objective is differentiated: by updated policies."""
        if outcomes is not None:
            # They are the agents' own, which learn from this trajectory next.
            return self.looks(validation)
        return [
            look(policy, replica.theta_hat, validation, group)
            for policy, replica, group in zip(self.policies, replicas, validation.groups, strict=True)
        ]

    def outer_gradient(self, looks: list[Look], validation: Trajectory, advantages: Tensor) -> list[Tensor]:
        """``v = d L_ID / d theta_hat`` of every stack, ``[P, D]`` each, summed over learners."""
        joint = torch.zeros_like(advantages)
        old_joint = torch.zeros_like(advantages)
        for seen, group in zip(looks, validation.groups, strict=True):
            active = group.select(validation.active)
            joint = joint + (seen.evaluation.log_probs.reshape(active.shape) * active).sum((0, 3))
            old_joint = old_joint + (flatten_steps(group)[3].reshape(active.shape) * active).sum((0, 3))
        weights = losses.weights_of(validation.stepped, self.reduction, dim=(0, 1))
        per_step = losses.designer_outer_loss(
            self.config.designer_loss, joint, old_joint, advantages, self.config.designer_clip_param
        )
        loss = (weights * per_step).sum()
        self.log(("designer", "loss"), self.reduction.sum(loss.detach()))
        # The agents' update goes back through the same graphs.
        leaves = [seen.theta for seen in looks]
        return [self.reduction.sum(grad) for grad in torch.autograd.grad(loss, leaves, retain_graph=True)]

    def _descend(self, gradient: EtaGradient) -> bool:
        config = self.config
        coeff = value_at(config.designer_cost_coeff, self._env_steps)
        of_cost = torch.zeros_like(gradient.meta) if gradient.cost is None else coeff * gradient.cost
        if not self._finite("the designer", gradient.meta, of_cost):
            return False
        clip = config.designer_grad_clip
        if config.designer_cost_lr is None:
            self.eta.step(gradient.meta + of_cost, self.optimizer(config.designer_lr, clip, config.designer_eps))
        else:
            self.eta.step(gradient.meta, self.optimizer(config.designer_lr, clip, config.designer_eps))
            cost = Parameter(self.eta.value, self.cost_optimizer)
            cost.step(of_cost, self.optimizer(config.designer_cost_lr, clip))
            self.eta, self.cost_optimizer = replace(self.eta, value=cost.value), cost.optimizer
        self.log(("designer", "meta_gradient_norm"), gradient.meta.norm())
        if gradient.cost is not None:
            self.log(("designer", "cost_gradient_norm"), gradient.cost.norm())
        self.log(("designer", "cost"), gradient.cost_value)
        return True

    def report(self) -> Any:
        """See the base class; the next iteration's first replica is compared again."""
        self._replica_due = True
        return super().report()

    def _log_replica(self, past: AgentsUpdate) -> None:
        """The invariant: the replica IS the update that the agents made. Its gap is rounding.

        Measured on a whole replica, once an iteration: incentives, advantages and all M steps anew.
        """
        with torch.no_grad():
            outputs = self.incentive_outputs(past.eta, past.trajectory)
        replicas = self._replicate(past, self.designer.mechanism.rewards(outputs, past.trajectory), None)
        gap = max(float((r.theta_hat - now.theta).abs().max()) for r, now in zip(replicas, self.agents, strict=True))
        self.log(("designer", "replica_gap"), gap, reduce="max")

    # -- agents that cannot be opened (section 4.2) -----------------------------------------------------

    def _of_clones(self, past: AgentsUpdate) -> AgentsUpdate:
        """The same update, made by the surrogates.

        Its gradient is clipped: for a surrogate the data is off-policy, and an action that it deems all but
        impossible, once seen with a negative advantage, drives its logits to infinity within a few updates.
        """
        limits = [x for x in (past.settings.optimizer.grad_clip, self.config.cloning_grad_clip) if x is not None]
        optimizer = replace(past.settings.optimizer, grad_clip=min(limits, default=None))
        settings = replace(past.settings, optimizer=optimizer)
        return replace(past, states=self._clone(past.trajectory), settings=settings, outcomes=None)

    def _clone(self, trajectory: Trajectory) -> tuple[AgentState, ...]:
        """Behavioural cloning: fits the surrogates to what agents were seen to do, and returns their states."""
        assert self.clones is not None
        fitted = []
        for policy, clone, group in zip(self.policies, self.clones, trajectory.groups, strict=True):
            observations, actions, masks, recorded = flatten_steps(group)
            p = group.agents.shape[0]
            weights = losses.weights_of(group.select(trajectory.active).reshape(p, -1), self.reduction)
            theta = clone.theta
            optimizer = OptimizerSettings("adam", lr=self.config.cloning_lr)
            moments = optimizers.initial_state(optimizer, theta)
            for _ in range(self.config.cloning_steps):
                leaf = theta.detach().requires_grad_()
                log_probs = policy.log_probs(leaf, observations, actions, masks, trajectory.epsilon)
                loss = -(weights * log_probs).sum()
                (grad,) = torch.autograd.grad(loss, leaf)
                theta, moments = optimizers.step(optimizer, theta, self.reduction.sum(grad), moments)
            with torch.no_grad():
                fitted_log_probs = policy.log_probs(theta, observations, actions, masks, trajectory.epsilon)
            gap = (weights * (recorded - fitted_log_probs)).sum() / p
            self.log(("designer", "cloning_kl"), self.reduction.sum(gap))
            fitted.append(replace(clone, theta=theta))
        return tuple(fitted)

    # -- state ------------------------------------------------------------------------------------------

    def get_own_state(self) -> dict[str, Any]:
        """Adds the cost's optimiser and the clones."""
        return {
            **super().get_own_state(),
            "cost_optimizer": self.cost_optimizer,
            "clones": self.clones,
            "looked_at": self.looked_at,
        }

    def set_own_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_own_state`."""
        super().set_own_state(state)
        self.cost_optimizer, self.clones = state["cost_optimizer"], state["clones"]
        self.looked_at = state["looked_at"]


class AMDLearner(MetaGradLearner):
    """Adaptive mechanism design, Baumann et al. 2020 (arXiv:1806.04067).

    The planner ascends welfare by anticipating the agents' next step from the data at hand,
    ``<grad_theta V(theta), delta theta(eta)>`` with plain gradient steps ``delta theta``: no updated policy is
    sampled, so there is no validation trajectory and no replica of the optimiser that agents really use.
    """

    def designer_update(self, validation: Trajectory) -> None:
        """One planner step on the trajectory that agents are about to learn from."""
        advantages = self.designer_advantages(validation, validation.designer_rewards)
        if not self._is_due():
            return
        settings = self.config.agent_settings(self._env_steps)
        plain = replace(settings, optimizer=OptimizerSettings("sgd", lr=settings.optimizer.lr), num_epochs=1)
        anticipated = AgentsUpdate(validation, tuple(self.agents), self.eta.value, plain, ([None],) * len(self.stacks))
        self._descend(self.eta_gradient(anticipated, self.eta.value, validation, advantages, None))

    def outer_looks(
        self, replicas: tuple[Replica, ...], outcomes: tuple[Update, ...] | None, validation: Trajectory
    ) -> list[Look]:
        """By the current policies: first order in the agents' step."""
        return self.looks(validation)
