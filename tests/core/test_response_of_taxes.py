"""The designer's gradient of all tax rates of a small economy, against finite differences of its exact soft answer."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

import env_wrappers
from env_wrappers.one_step_economy import optimum, rules
from env_wrappers.one_step_economy.config import OneStepEconomyConfig
from rllib_metagrad.core.agent_update import AgentState
from rllib_metagrad.core.designer_gradient import designer_gradient
from rllib_metagrad.core.designer_objective import Objective
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.core.state import AgentsUpdate, Setup, forward_passes
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.mechanisms import Mechanism, make_mechanism
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.settings import AgentSettings, MetaGradSettings, MethodSettings, NetworkSettings
from rllib_metagrad.settings.designer import MetaGradDesignerSettings

ALPHA, ROWS, HOURS, N = 30.0, 100_000, 20, 3
ECONOMY = {"num_agents": N, "skills": [6.0, 20.0, 40.0], "num_labor_hours": HOURS, "labor_cost": 0.012}
RATES = [0.15, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5]


class Rates:
    """A designer whose outputs are its parameters."""

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism

    def initialize(self, generator: torch.Generator) -> Tensor:
        return torch.zeros(1, 7)

    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        return eta.expand(len(states), 7)


def soft_answer(economy: OneStepEconomyConfig, rates: np.ndarray) -> np.ndarray:
    """Logits ``[N, hours + 1]``; what others pay comes back whatever an agent does."""
    hours = np.arange(HOURS + 1.0)
    income = hours * economy.pay[:, None]
    kept = income - rules.tax_due(economy, income, rates) * (1 - 1 / N)
    logits = rules.utility(economy, kept, np.broadcast_to(hours, kept.shape)) / ALPHA
    return np.asarray(logits - logsumexp(logits, -1, keepdims=True))


def chances(logits: np.ndarray, joint: np.ndarray) -> np.ndarray:
    return np.exp(sum(logits[i][joint[:, i]] for i in range(N)))


def play(joint: np.ndarray, counts: np.ndarray, logits: np.ndarray) -> tuple[Trajectory, Mechanism, Tensor]:
    """The economy itself, with every joint choice of hours as often as is probable."""
    hours = np.repeat(joint, counts, axis=0)
    env = env_wrappers.make_vec("one_step_economy", len(hours), **ECONOMY)
    env.reset(seed=0)
    b = len(hours)
    output = np.broadcast_to(np.float32(RATES), (b, 7))
    rows = []
    for choice in (np.zeros_like(hours), hours):
        env.step([choice], output)
        rows.append(
            {**{key: value.copy() for key, value in env.context.items()}, "r": env.rewards.copy()}
            | {"d": env.designer_reward.copy()}
        )
    columns = {key: torch.from_numpy(np.stack([row[key] for row in rows])).double() for key in rows[0]}
    policy_logits = torch.tensor(logits)
    actions = torch.from_numpy(np.stack([np.zeros_like(hours), hours])).permute(2, 0, 1).unsqueeze(-1)
    masks = torch.ones(N, 3, b, 1, HOURS + 1, dtype=torch.bool)
    masks[:, 0, ..., 1:] = False
    log_probs = torch.zeros(N, 2, b, 1, dtype=torch.float64)
    log_probs[:, 1, :, 0] = policy_logits.gather(1, actions[:, 1, :, 0])
    over = torch.tensor([[False], [True]]).expand(2, b)
    alive = torch.ones(2, b, N, dtype=torch.bool)
    tau = Trajectory(
        stacks=(
            StackTrajectory(
                torch.arange(N).unsqueeze(1), torch.ones(N, 3, b, 1, 1, dtype=torch.float64), actions, log_probs, masks
            ),
        ),
        states=torch.zeros(3, b, 1, dtype=torch.float64),
        action_features=torch.zeros(2, b, 0, dtype=torch.float64),
        action_types=torch.zeros(2, b, N, dtype=torch.int64),
        rewards=columns["r"],
        active=alive,
        terminated=over.unsqueeze(-1).expand(2, b, N),
        truncated=~alive,
        designer_rewards=columns["d"],
        stepped=alive[..., 0],
        over=over,
        over_terminated=over,
        designer_output=torch.tensor(RATES, dtype=torch.float64).expand(2, b, 7),
        designer_due=torch.tensor([[True], [False]]).expand(2, b),
        context={key: columns[key] for key in env.context},
    )
    mechanism = make_mechanism("bracketed_tax", N, 2, {}, env.mechanism_facts)
    returns = columns["d"].flip(0).cumsum(0).flip(0)
    return tau, mechanism, returns


def test_the_gradient_of_all_rates_is_that_of_the_exact_soft_answer() -> None:
    economy = OneStepEconomyConfig(**ECONOMY)  # type: ignore[arg-type]
    joint = np.array(list(itertools.product(range(HOURS + 1), repeat=N)))
    rates, h = np.array(RATES), 1e-4

    def welfare(at: np.ndarray, answered: np.ndarray) -> float:
        chance = chances(soft_answer(economy, answered), joint)
        return float(
            chance @ optimum.outcome(economy, joint.astype(float), np.broadcast_to(at, (len(joint), 7))).welfare
        )

    steps = h * np.eye(7)
    whole = np.array([(welfare(rates + s, rates + s) - welfare(rates - s, rates - s)) / (2 * h) for s in steps])
    direct = np.array([(welfare(rates + s, rates) - welfare(rates - s, rates)) / (2 * h) for s in steps])
    logits = soft_answer(economy, rates)
    exact = chances(logits, joint) * ROWS
    counts = np.floor(exact).astype(int)
    # Largest remainders, so that rounding is as small as it can be.
    counts[np.argsort(counts - exact)[: ROWS - counts.sum()]] += 1
    tau, mechanism, returns = play(joint, counts, logits)
    policy = StackedPolicy((1,), gym.spaces.Discrete(HOURS + 1), NetworkSettings(hiddens=()), critic=False)
    theta = policy.initialize(N, torch.Generator().manual_seed(0)).double() * 0
    theta[:, : HOURS + 1] = torch.tensor(logits)
    torch.testing.assert_close(policy.outputs(theta, torch.ones(N, 1, 1).double())[0][:, 0], torch.tensor(logits))
    agents = AgentSettings(lr=0.1, entropy_coeff=ALPHA, gamma=1.0)
    designer = MetaGradDesignerSettings(
        response="fisher", response_damping=0.0, response_iterations=40, response_average=0.0
    )
    setup = Setup((policy,), Rates(mechanism), None, MethodSettings(agents, designer, MetaGradSettings()))
    eta = torch.tensor([RATES], dtype=torch.float64)
    past = AgentsUpdate(tau, (AgentState(theta, OptimizerState()),), eta, agents, ([None],))
    objective = Objective(returns - returns.mean(1, keepdim=True), 1.0)
    found = designer_gradient(setup, past, eta, tau, objective, forward_passes(setup, [theta], tau), True, past.states)
    # A mean over two steps of minus the welfare.
    gradient = -2 * found.meta[0].numpy()
    assert (np.abs(whole - direct) > 0.02 * np.abs(direct)).all()  # agents answer in every bracket
    assert gradient == pytest.approx(whole, rel=0.01, abs=0.01 * np.abs(whole).max())
