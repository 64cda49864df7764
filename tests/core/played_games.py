"""One-shot games of two actions, played at exact probabilities: what the designer's gradient is at a point."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import gymnasium as gym
import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from rllib_metagrad.core.agent_update import AgentState
from rllib_metagrad.core.designer_gradient import designer_gradient
from rllib_metagrad.core.designer_objective import Objective
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.core.state import AgentsUpdate, AnswerMemory, Measured, Setup, forward_passes
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.metrics import Metric
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.settings import AgentSettings, MetaGradSettings, MethodSettings, NetworkSettings
from rllib_metagrad.settings.designer import MetaGradDesignerSettings

#: The whole answer, solved to the end.
FISHER = MetaGradDesignerSettings(response="fisher", response_damping=0.0, response_iterations=10, response_average=0.0)


class Game:
    """A one-shot game with two actions for each of N agents, whose payoffs depend on one number, the design.

    ``payoffs[i]`` and ``worth`` are functions of (joint action of ints, design) that torch can differentiate.
    """

    def __init__(self, payoffs, worth) -> None:  # type: ignore[no-untyped-def]
        self.payoffs, self.worth = payoffs, worth
        self.num_agents = len(payoffs)
        self.joint = list(itertools.product((0, 1), repeat=self.num_agents))

    def by_action(self, function, design: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        return torch.stack([torch.as_tensor(function(a, design), dtype=torch.float64) + 0 * design for a in self.joint])

    # -- as a mechanism, with the joint action's index as context
    def incentives(self, output: Tensor, tau: Trajectory) -> Tensor:
        return torch.zeros_like(tau.rewards) * output.sum(-1, keepdim=True)

    def rewards(self, output: Tensor, tau: Trajectory) -> Tensor:
        design = output.reshape(-1)[0]
        tables = torch.stack([self.by_action(function, design) for function in self.payoffs], -1)
        return tables[tau.context["joint"]]

    def designer_rewards(self, output: Tensor, tau: Trajectory) -> Tensor:
        return self.by_action(self.worth, output.reshape(-1)[0])[tau.context["joint"]]

    # -- exact expectations
    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Of joint actions, of agents that take action 1 with ``sigmoid(logit)``."""
        p = expit(logits)
        return np.array([np.prod([p[i] if a[i] else 1 - p[i] for i in range(self.num_agents)]) for a in self.joint])

    def advantage(self, i: int, logits: np.ndarray, design: float) -> float:
        """What agent i earns more by action 1 than by action 0."""
        values = self.by_action(self.payoffs[i], torch.tensor(design, dtype=torch.float64)).numpy()
        total = 0.0
        for a, chance, value in zip(self.joint, self.probabilities(logits), values, strict=True):
            p = expit(logits[i])
            total += (1 if a[i] else -1) * chance / (p if a[i] else 1 - p) * value
        return total

    def equilibrium(self, design: float, alpha: float, start: np.ndarray | None = None) -> np.ndarray:
        """Logits of the quantal response equilibrium."""
        logits = np.zeros(self.num_agents) if start is None else start.copy()
        for _ in range(5000):
            wanted = np.array([self.advantage(i, logits, design) for i in range(self.num_agents)]) / alpha
            if np.abs(wanted - logits).max() < 1e-13:
                return logits
            logits = logits + 0.5 * (wanted - logits)
        raise AssertionError("no equilibrium found")

    def welfare(self, logits: np.ndarray, design: float) -> float:
        values = self.by_action(self.worth, torch.tensor(design, dtype=torch.float64)).numpy()
        return float(self.probabilities(logits) @ values)


class Number:
    """A designer whose output is its parameter."""

    def __init__(self, mechanism: Game) -> None:
        self.mechanism = mechanism

    def initialize(self, generator: torch.Generator) -> Tensor:
        return torch.zeros(1, 1)

    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        return eta.expand(len(states), 1)


@dataclass
class Played:
    """A game at some logits and design, each joint action as often as is probable."""

    setup: Setup
    past: AgentsUpdate
    validation: Trajectory
    objective: Objective

    def gradient(self, measure: bool = True, memory: AnswerMemory | None = None):  # type: ignore[no-untyped-def]
        agents = self.past.states
        forward = forward_passes(self.setup, [agent.theta for agent in agents], self.validation)
        return designer_gradient(
            self.setup, self.past, self.past.eta, self.validation, self.objective, forward, measure, agents, memory
        )


def play(
    game: Game, logits: np.ndarray, design: float, alpha: float, designer: MetaGradDesignerSettings, rows: int = 40_000
) -> Played:
    counts = np.round(game.probabilities(logits) * rows).astype(int)
    joint = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).unsqueeze(0)
    n, b = game.num_agents, joint.shape[1]
    actions = torch.tensor(game.joint)[joint]  # [1, B, N]
    policy = StackedPolicy((1,), gym.spaces.Discrete(2), NetworkSettings(hiddens=()), critic=False)
    theta = policy.initialize(n, torch.Generator().manual_seed(0)).double() * 0
    shape = [leaf.shape for leaf in policy.parameters.split(theta)]
    assert [tuple(s) for s in shape] == [(n, 1, 2), (n, 1, 2)] or len(shape) == 2
    wanted = torch.stack([torch.zeros(n), torch.tensor(logits)], -1)
    theta[:, :2] = wanted / 2
    theta[:, 2:] = wanted / 2
    observations = torch.ones(n, 2, b, 1, 1, dtype=torch.float64)
    chosen = actions.permute(2, 0, 1).unsqueeze(-1)
    log_probs = policy.log_probs(theta, observations[:, :1].reshape(n, -1, 1), chosen.reshape(n, -1), None, 0.0)
    eta = torch.tensor([[design]], dtype=torch.float64)
    ones = torch.ones(1, b, dtype=torch.bool)
    tau = Trajectory(
        stacks=(StackTrajectory(torch.arange(n).unsqueeze(1), observations, chosen, log_probs.reshape(n, 1, b, 1)),),
        states=torch.zeros(2, b, 1, dtype=torch.float64),
        action_features=torch.zeros(1, b, 0, dtype=torch.float64),
        action_types=actions,
        rewards=torch.zeros(1, b, n, dtype=torch.float64),
        active=ones.unsqueeze(-1).expand(1, b, n),
        terminated=ones.unsqueeze(-1).expand(1, b, n),
        truncated=~ones.unsqueeze(-1).expand(1, b, n),
        designer_rewards=torch.zeros(1, b, dtype=torch.float64),
        stepped=ones,
        over=ones,
        over_terminated=ones,
        designer_output=eta.expand(1, b, 1),
        context={"joint": joint},
    )
    worth = game.designer_rewards(tau.designer_output, tau)
    tau = replace(tau, rewards=game.rewards(tau.designer_output, tau), designer_rewards=worth)
    agents = AgentSettings(lr=0.1, entropy_coeff=alpha, gamma=1.0)
    settings = MethodSettings(agents, designer, MetaGradSettings())
    setup = Setup((policy,), Number(game), None, settings)
    past = AgentsUpdate(tau, (AgentState(theta, OptimizerState()),), eta, agents, ([None],))
    return Played(setup, past, tau, Objective(worth - worth.mean(), 1.0))


def value_of(metrics: list[Measured], metric: Metric) -> float:
    (found,) = (float(torch.as_tensor(one.value).max()) for one in metrics if one.metric == metric)
    return found
