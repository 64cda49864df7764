"""A group's policies: networks and action distribution behind the functions that core asks for."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from rllib_metagrad.core.losses import Evaluation
from rllib_metagrad.modules.distributions import (
    ActionDistribution,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
)
from rllib_metagrad.modules.networks import Leaf, Network, Parameters
from rllib_metagrad.modules.own_networks import ModuleNetwork, make_network
from rllib_metagrad.modules.recurrent import RecurrentNetwork
from rllib_metagrad.settings import NetworkSettings


def make_distribution(space: gym.Space) -> ActionDistribution:
    """The distribution for an action space.

    Raises:
        ValueError: if the space is neither Discrete, MultiDiscrete nor a one-dimensional Box.
    """
    if isinstance(space, gym.spaces.Discrete):
        return Categorical(int(space.n))
    if isinstance(space, gym.spaces.MultiDiscrete):
        return MultiCategorical([int(n) for n in np.asarray(space.nvec).reshape(-1)])
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1:
        return DiagonalGaussian(space.shape[0])
    raise ValueError(
        f"action space {space} is not supported: it must be Discrete, MultiDiscrete or a Box of one dimension"
    )


class StackedPolicy:
    """``P`` policies of one shape, as pure functions of ``theta [P, D]``.

    Args:
        observation_shape: of one agent.
        action_space: of one agent.
        settings: of the networks.
        critic: whether there is a value function.
        initial_log_std: start of a Gaussian's log standard deviations.
        picture_shape: see :class:`Network`.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        action_space: gym.Space,
        settings: NetworkSettings,
        critic: bool,
        initial_log_std: float = 0.0,
        picture_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.distribution = make_distribution(action_space)
        self.has_critic = critic
        self.initial_log_std = initial_log_std
        self.trainable: Tensor | None = None
        self.own_lr: Tensor | None = None
        outputs = self.distribution.num_outputs
        self.shares_trunk = critic and settings.share_trunk
        self.recurrent = critic and settings.critic_lstm is not None
        make_critic = RecurrentNetwork if self.recurrent else Network
        self._actor: Network | ModuleNetwork
        self._critic: Network | ModuleNetwork | RecurrentNetwork
        if self.shares_trunk:
            self._trunk = Network(observation_shape, None, settings, "trunk_", picture_shape=picture_shape)
            heads = NetworkSettings(hiddens=(), output_scale=settings.output_scale, critic_lstm=settings.critic_lstm)
            self._actor = Network((self._trunk.output_size,), outputs, heads, "actor_")
            self._critic = make_critic((self._trunk.output_size,), 1, heads, "critic_")
            actor_leaves = self._trunk.leaves + self._actor.leaves
        else:
            shape = observation_shape
            self._actor = make_network("agent_network", shape, outputs, settings, "actor_", None, picture_shape)
            if self.recurrent:
                self._critic = RecurrentNetwork(shape, 1, settings, "critic_", picture_shape)
            else:
                self._critic = make_network("agent_network", shape, 1, settings, "critic_", None, picture_shape)
            actor_leaves = self._actor.leaves
        log_std = [Leaf("actor_log_std", (self.distribution.num_log_std,), 0.0)] * bool(self.distribution.num_log_std)
        critic_leaves = self._critic.leaves if critic else []
        self.parameters = Parameters([*actor_leaves, *log_std, *critic_leaves])
        self._num_trunk = len(self._trunk.leaves) if self.shares_trunk else 0
        self._num_actor = len(actor_leaves)
        self._num_log_std = len(log_std)
        critic_size = sum(leaf.size for leaf in critic_leaves)
        self.critic_only = torch.arange(self.parameters.size) >= self.parameters.size - critic_size

    def initialize(self, stack: int, generator: torch.Generator) -> Tensor:
        """Initial ``theta [P, D]``."""
        theta = self.parameters.initialize(stack, generator)
        if self._num_log_std:
            log_std = self.parameters.split(theta)[self._num_actor]
            log_std.fill_(self.initial_log_std)
        return theta

    def _log_std(self, leaves: list[Tensor]) -> Tensor | None:
        return leaves[self._num_actor].unsqueeze(1) if self._num_log_std else None

    def _actor_outputs(self, leaves: list[Tensor], observations: Tensor) -> tuple[Tensor, Tensor | None]:
        """Action-distribution parameters, and the trunk's output where there is one."""
        if not self.shares_trunk:
            return self._actor.apply(leaves, observations), None
        hidden = self._trunk.apply(leaves, observations)
        return self._actor.apply(leaves[self._num_trunk :], hidden), hidden

    def _critic_values(
        self, leaves: list[Tensor], observations: Tensor, hidden: Tensor | None, num_rows: int
    ) -> Tensor:
        own = leaves[self._num_actor + self._num_log_std :]
        inputs = observations if hidden is None else hidden
        if isinstance(self._critic, RecurrentNetwork):
            return self._critic.apply(own, inputs, num_rows).squeeze(-1)
        return self._critic.apply(own, inputs).squeeze(-1)

    def evaluate(
        self, theta: Tensor, observations: Tensor, actions: Tensor, masks: Tensor | None, epsilon: float, num_rows: int
    ) -> Evaluation:
        """See :class:`rllib_metagrad.core.agent_update.Policy`."""
        leaves = self.parameters.split(theta)
        outputs, hidden = self._actor_outputs(leaves, observations)
        log_std = self._log_std(leaves)
        return Evaluation(
            self.distribution.log_prob(outputs, log_std, actions, masks, epsilon),
            self.distribution.entropy(outputs, log_std, masks),
            self._critic_values(leaves, observations, hidden, num_rows) if self.has_critic else None,
        )

    def log_probs(
        self, theta: Tensor, observations: Tensor, actions: Tensor, masks: Tensor | None, epsilon: float
    ) -> Tensor:
        """See :class:`rllib_metagrad.core.agent_update.Policy`."""
        outputs, log_std = self.outputs(theta, observations)
        return self.distribution.log_prob(outputs, log_std, actions, masks, epsilon)

    def values(self, theta: Tensor, observations: Tensor, num_rows: int) -> Tensor:
        """See :class:`rllib_metagrad.core.agent_update.Policy`."""
        leaves = self.parameters.split(theta)
        hidden = self._trunk.apply(leaves, observations) if self.shares_trunk else None
        return self._critic_values(leaves, observations, hidden, num_rows)

    def outputs(self, theta: Tensor, observations: Tensor) -> tuple[Tensor, Tensor | None]:
        """Parameters of the action distribution: outputs ``[P, n, O]``, log standard deviations ``[P, 1, D]``."""
        return self.outputs_of(self.parameters.split(theta), observations)

    def outputs_of(self, leaves: list[Tensor], observations: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same of parameters as :attr:`parameters` cuts them."""
        return self._actor_outputs(leaves, observations)[0], self._log_std(leaves)

    def fisher_product(
        self, theta: Tensor, observations: Tensor, masks: Tensor | None, weights: Tensor, x: Tensor
    ) -> Tensor:
        """See :class:`rllib_metagrad.core.agent_update.Policy`: ``J^T M J x``, J of outputs, M the distribution's."""
        leaf = theta.detach().requires_grad_()
        with forward_ad.dual_level():
            outputs, along = forward_ad.unpack_dual(self.outputs(forward_ad.make_dual(leaf, x), observations)[0])
            along = torch.zeros_like(outputs) if along is None else along.detach()
        weighted = weights.unsqueeze(-1) * self.distribution.fisher_metric(outputs.detach(), masks, along)
        (product,) = torch.autograd.grad(outputs, leaf, weighted)
        return product

    def centered(
        self, theta: Tensor, observations: Tensor, masks: Tensor | None, scores: Tensor, actions: Tensor
    ) -> Tensor:
        """See :class:`rllib_metagrad.core.agent_update.Policy`."""
        return self.distribution.centered(self.outputs(theta, observations)[0], masks, scores, actions)

    def act(
        self,
        leaves: list[Tensor],
        observations: Tensor,
        masks: Tensor | None,
        epsilon: float,
        generator: torch.Generator,
        greedy: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Actions ``[P, n, *action]`` for observations ``[P, n, *obs]``, and their log-probabilities ``[P, n]``.

        Takes theta as :attr:`parameters` cuts it, since a rollout acts many times by the same parameters.
        """
        outputs, log_std = self.outputs_of(leaves, observations)
        if greedy:
            actions = self.distribution.mode(outputs, log_std, masks)
            return actions, self.distribution.log_prob(outputs, log_std, actions, masks, 0.0)
        return self.distribution.sample(outputs, log_std, masks, epsilon, generator)
