"""A small random problem in float64: trajectories of made-up steps, and an incentive function on them."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor

from rllib_metagrad.core.agent_update import AgentState
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.settings import AgentSettings, NetworkSettings
from rllib_metagrad.settings.networks import PICTURE_AND_VECTOR

T, B, N, OBS, ACTIONS = 4, 6, 3, 5, 3


@dataclass
class Problem:
    """Everything an update needs; ``incentives(eta)`` are ``[T, B, 3]``, one for each action type."""

    policy: StackedPolicy
    state: AgentState
    trajectory: Trajectory
    eta: Tensor

    @property
    def stack(self) -> StackTrajectory:
        """The one stack."""
        return self.trajectory.stacks[0]

    def rewards(self, eta: Tensor) -> Tensor:
        """Environment rewards plus the incentive for each agent's action type, differentiable in eta."""
        offered = 2 * torch.sigmoid(torch.tanh(self.trajectory.states[:-1]) @ eta.reshape(OBS, ACTIONS))
        return self.trajectory.rewards + offered.gather(-1, self.trajectory.action_types)


def make_problem(
    settings: AgentSettings,
    shared: bool = False,
    share_trunk: bool = False,
    num_envs: int = B,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    pictures: bool = False,
    critic_lstm: int | None = None,
) -> Problem:
    """Builds the problem; episodes of different lengths, an agent that leaves early, exploration.

    With ``pictures`` the first four numbers of an observation are a picture of 1 x 2 and two channels.
    """
    g = torch.Generator().manual_seed(seed)
    p, k = (1, N) if shared else (N, 1)
    policy = StackedPolicy(
        (OBS,),
        gym.spaces.Discrete(ACTIONS),
        NetworkSettings(
            hiddens=(7, 6),
            activation="tanh",
            filters=((3, 3, 1),),
            encoder=PICTURE_AND_VECTOR if pictures else None,
            share_trunk=share_trunk,
            critic_lstm=critic_lstm,
        ),
        critic=settings.loss != "pg",
        picture_shape=(1, 2, 2),
    )
    theta = policy.initialize(p, g).to(dtype)
    observations = torch.randn(p, T + 1, num_envs, k, OBS, generator=g, dtype=dtype)
    actions = torch.randint(ACTIONS, (p, T, num_envs, k), generator=g)
    agents = torch.arange(N).reshape(p, k)
    types = torch.zeros(T, num_envs, N, dtype=torch.int64)
    types[..., agents.reshape(-1)] = actions.permute(1, 2, 0, 3).reshape(T, num_envs, N)
    lengths = torch.tensor([T, T - 1] * (num_envs // 2))
    stepped = torch.arange(T).unsqueeze(1) < lengths
    over = torch.arange(T).unsqueeze(1) == lengths - 1
    active = stepped.unsqueeze(-1).repeat(1, 1, N)
    active[2:, 0, 1] = False
    terminated = over.unsqueeze(-1).repeat(1, 1, N) & (torch.arange(N) != 2)
    terminated[1, 0, 1] = True
    trajectory = Trajectory(
        stacks=(
            StackTrajectory(
                agents, observations, actions, -torch.rand(p, T, num_envs, k, generator=g, dtype=dtype) - 0.7
            ),
        ),
        states=torch.randn(T + 1, num_envs, OBS, generator=g, dtype=dtype),
        action_features=torch.zeros(T, num_envs, N * ACTIONS, dtype=dtype),
        action_types=types,
        rewards=torch.randn(T, num_envs, N, generator=g, dtype=dtype),
        active=active,
        terminated=terminated,
        truncated=over.unsqueeze(-1) & ~terminated,
        designer_rewards=torch.randn(T, num_envs, generator=g, dtype=dtype),
        stepped=stepped,
        over=over,
        over_terminated=over,
        designer_output=torch.zeros(T, num_envs, ACTIONS, dtype=dtype),
        epsilon=0.1,
    )
    moments = OptimizerState()
    if settings.optimizer != "sgd":
        first = 0.1 * torch.randn(theta.shape, generator=g, dtype=dtype)
        second = 0.01 + 0.1 * torch.rand(theta.shape, generator=g, dtype=dtype)
        moments = OptimizerState(first, second, count=3)
    target = theta + 0.01 if settings.target_tau is not None else None
    eta = torch.randn(OBS * ACTIONS, generator=g, dtype=dtype)
    return Problem(policy, AgentState(theta, moments, target), trajectory, eta)


class Payments:
    """An additive incentive for the action type, and a welfare that the outputs change directly."""

    def incentives(self, output: Tensor, tau: Trajectory) -> Tensor:
        return output.gather(-1, tau.action_types) * tau.active

    def rewards(self, output: Tensor, tau: Trajectory) -> Tensor:
        return tau.rewards + self.incentives(output, tau)

    def designer_rewards(self, output: Tensor, tau: Trajectory) -> Tensor:
        return tau.designer_rewards - (output * output).sum(-1)


class Offer:
    """``mu_eta(s) = 2 sigmoid(tanh(s) eta)``."""

    mechanism = Payments()

    def initialize(self, generator: torch.Generator) -> Tensor:
        return torch.randn(1, OBS * ACTIONS, generator=generator)

    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        return 2 * torch.sigmoid(torch.tanh(states) @ eta.reshape(OBS, ACTIONS))
