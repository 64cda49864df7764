"""Taxes from the rollout to the meta-gradient: who is asked when, and finite differences of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from env_wrappers.gather_trade_build.twin import VectorGatherTradeBuild
from rllib_metagrad.core.agent_update import AgentState, Lesson, Update, update
from rllib_metagrad.core.decisions import hold
from rllib_metagrad.core.meta_gradient import replicate
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.core.reduction import OneLearner
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.modules.designer import IncentiveFunction, make_designer
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.modules.population import make_policy, make_stacks
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.sampling import Behavior, Sampler
from rllib_metagrad.settings import (
    AgentSettings,
    DesignerSettings,
    IncentiveFunctionSettings,
    IncentiveSettings,
    NetworkSettings,
    StochasticDesignerSettings,
)
from rllib_metagrad.settings.method import MethodSettings

ONE = OneLearner()
# Two agents in a small world with a short tax period and brackets that small incomes reach.
CONFIG: dict[str, Any] = {
    "map": ["W  S", "    ", "S  W"],
    "num_agents": 2,
    "max_steps": 9,
    "observations": "network",
    "components": [
        ["Build", {"skill_dist": "pareto"}],
        "ContinuousDoubleAuction",
        "Gather",
        {"PeriodicBracketTax": {"period": 3, "usd_scaling": 10000.0}},
    ],
    "scenario_config": {"fixed_four_skill_and_loc": False, "resource_regen_prob": 0.3},
}
TAX = IncentiveSettings(mechanism="bracketed_tax")
DESIGNER = IncentiveFunctionSettings(network=NetworkSettings(hiddens=(5,), activation="tanh"))


class Population:
    """A sampler with everything that it samples."""

    def __init__(self, designer: DesignerSettings = DESIGNER, num_envs: int = 6, **config: Any) -> None:
        self.env = VectorGatherTradeBuild(num_envs, **{**CONFIG, **config})
        self.spec = EnvSpec.of(self.env)
        self.designer = make_designer(TAX, designer, self.spec)
        (self.stack,) = make_stacks(self.spec, lambda _: "shared")
        network = NetworkSettings(hiddens=(6,), activation="tanh", share_trunk=True)
        agents = AgentSettings(loss="ppo", network=network)
        self.policy: StackedPolicy = make_policy(MethodSettings(agents, designer, TAX), self.stack)
        generator = torch.Generator().manual_seed(0)
        self.theta = self.policy.initialize(1, generator)
        self.eta = self.designer.initialize(generator)
        self.sampler = Sampler(self.env, [self.stack], [self.policy], self.designer, generator)

    def behavior(self) -> Behavior:
        return Behavior([self.theta], self.eta, epsilon=0.0, greedy=False, weights_seq_no=0)


def test_the_designer_is_asked_when_due_and_held_in_between() -> None:
    people = Population()
    played = people.sampler.episodes(people.behavior())
    due, output = played.designer_due, played.designer_output
    assert due is not None
    assert due.nonzero()[:, 0].unique().tolist() == [0, 3, 6]
    assert due[[0, 3, 6]].all()
    torch.testing.assert_close(output, played.context["rates"])
    assert isinstance(people.designer, IncentiveFunction)
    for t in range(9):
        start = 3 * (t // 3)
        expected = people.designer.outputs(people.eta, played.states[start], torch.zeros(6, 0))
        torch.testing.assert_close(output[t], expected)
    rewards = people.designer.mechanism.rewards(output, played)
    torch.testing.assert_close(rewards, played.rewards, atol=1e-4, rtol=0)


def test_fragments_go_on_with_the_rates_in_force() -> None:
    people = Population()
    first = people.sampler.fragment(people.behavior(), 4, reset=True)
    second = people.sampler.fragment(people.behavior(), 8, reset=False)
    assert first.designer_due is not None
    assert second.designer_due is not None
    assert first.designer_due.nonzero()[:, 0].unique().tolist() == [0, 3]
    # Row 0 is in the period that began before; the episode ends in row 4, row 5 resets, row 6 decides again.
    assert second.designer_due.nonzero()[:, 0].unique().tolist() == [2, 6]
    assert torch.equal(second.designer_output[0], first.designer_output[-1])
    stepped = second.stepped
    torch.testing.assert_close(second.designer_output[stepped], second.context["rates"][stepped])


def test_a_stochastic_designer_decides_once_a_period() -> None:
    levels = tuple(np.linspace(0, 1, 21))
    people = Population(StochasticDesignerSettings(network=DESIGNER.network, levels=levels, factorized=True))
    played = people.sampler.episodes(people.behavior())
    assert played.designer_actions is not None
    assert played.designer_log_probs is not None
    assert played.designer_actions.shape == (9, 6, 7)
    assert (played.designer_log_probs[[0, 3, 6]] < 0).all()
    assert not played.designer_log_probs[[1, 2, 4, 5, 7, 8]].any()
    torch.testing.assert_close(played.designer_output[0], 0.05 * played.designer_actions[0].float())
    assert torch.equal(played.designer_output[0], played.designer_output[2])


def test_a_fixed_law_leaves_nothing_to_decide() -> None:
    with pytest.raises(ValueError, match=r"'bracketed_tax' has nothing to decide in gather_trade_build.*tax: external"):
        Population(tax="us_federal")


@pytest.mark.parametrize(("optimizer", "minibatches"), [("sgd", 1), ("adam", 3)])
def test_meta_gradient_is_the_finite_difference(optimizer: str, minibatches: int) -> None:
    """Of <theta_hat(eta), v>, in float64, from the incentive network to the agents' last minibatch."""
    people = Population()
    assert isinstance(people.designer, IncentiveFunction)
    designer, mechanism = people.designer, people.designer.mechanism
    played = people.sampler.episodes(people.behavior())
    played = replace(played, action_features=played.action_features.double()).map(_double)
    due = played.designer_due
    assert due is not None
    settings = AgentSettings(
        loss="ppo",
        optimizer=optimizer,  # type: ignore[arg-type]
        lr=0.01,
        num_epochs=minibatches,
        entropy_coeff=0.05,
        normalize_advantages=True,
    )
    generator = torch.Generator().manual_seed(1)
    steps = played.num_steps * played.num_envs * 2
    plan: list[Tensor | None] = [torch.randperm(steps, generator=generator)[:60] for _ in range(minibatches)]
    moments = OptimizerState()
    if optimizer == "adam":
        theta = people.theta.double()
        moments = OptimizerState(torch.zeros_like(theta), 0.01 + torch.rand(theta.shape).double(), count=5)
    state = AgentState(people.theta.double(), moments)

    def rewards(eta: Tensor, trajectory: Trajectory) -> Tensor:
        states = trajectory.states[:-1][due]
        outputs = hold(designer.outputs(eta, states, states.new_zeros(len(states), 0)), due, trajectory.designer_output)
        return mechanism.rewards(outputs, trajectory)

    lesson = Lesson(people.policy, state, played, played.stacks[0], settings, plan, ONE)

    def learn(eta: Tensor, second: list[Tensor | None] | None = None) -> Update:
        return update(lesson, rewards(eta, played), second_moments=second)

    eta = people.eta.double().requires_grad_()
    replica = replicate("mixed", lesson, rewards(eta, played))
    torch.testing.assert_close(replica.theta_hat, learn(eta.detach()).state.theta, rtol=0, atol=1e-14)
    v = torch.randn(people.theta.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(replica.pull_back(v), eta)
    second = [step.second_moment for step in learn(eta.detach()).path] if optimizer == "adam" else None
    h = 1e-5
    numeric = torch.zeros_like(gradient)
    for i in range(eta.shape[1]):
        step = torch.zeros_like(gradient)
        step[0, i] = h
        ahead, back = learn(eta.detach() + step, second), learn(eta.detach() - step, second)
        numeric[0, i] = ((ahead.state.theta - back.state.theta) * v).sum() / (2 * h)
    assert gradient.norm() > 1e-6
    assert (gradient - numeric).norm() <= 1e-5 * numeric.norm()


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x
