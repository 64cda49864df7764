"""Algorithm 1 through core alone: eq. (4) to (6) against float64 finite differences, and the order of its steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from problems import ACTIONS, OBS, B, N, Offer, Payments, make_problem
from torch import Tensor

from rllib_metagrad.core.agent_update import ForwardPass, flatten_steps, update
from rllib_metagrad.core.algorithm import agents_step, designer_step, metagrad_step
from rllib_metagrad.core.designer_gradient import through_update
from rllib_metagrad.core.designer_objective import designer_objective
from rllib_metagrad.core.state import AgentsUpdate, AlgorithmState, Parameter, Setup, forward_passes, initial_state
from rllib_metagrad.metrics import REPLICA_GAP
from rllib_metagrad.settings import AgentSettings, IncentiveFunctionSettings, MetaGradSettings, MethodSettings


class Case:
    """A training and a validation trajectory, and agents that learn from the first under some eta."""

    def __init__(self, agents: AgentSettings, designer: IncentiveFunctionSettings, method: MetaGradSettings) -> None:
        problem, other = make_problem(agents, seed=0), make_problem(agents, seed=1)
        self.tau, self.validation = problem.trajectory, other.trajectory
        settings = MethodSettings(agents, designer, method)
        self.setup = Setup((problem.policy,), Offer(), None, settings)
        self.eta = 0.5 * torch.randn(1, OBS * ACTIONS, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        self.past = AgentsUpdate(self.tau, (problem.state,), self.eta, agents, ([None] * agents.num_epochs,))

    def theta_hat(self, eta: Tensor) -> Tensor:
        """Eq. (3)."""
        offered = Offer().outputs(eta, self.tau.states[:-1], self.tau.action_features)
        return update(self.past.lessons(self.setup)[0], Payments().rewards(offered, self.tau)).state.theta

    def loss(self, eta: Tensor) -> float:
        """What eq. (4) is the gradient of, written out: the outer loss at theta_hat(eta), psi, the direct effect."""
        designer, tau, validation = self.setup.settings.designer, self.tau, self.validation
        (stack,) = validation.stacks
        observations, actions, masks, old = flatten_steps(stack)
        policy = self.setup.policies[0]
        log_probs = policy.log_probs(self.theta_hat(eta), observations, actions, masks, validation.epsilon)
        active = stack.select(validation.active)
        joint = (log_probs.reshape(active.shape) * active).sum((0, 3))
        old_joint = (old.reshape(active.shape) * active).sum((0, 3))
        advantages, stepped = self.objective().advantages, validation.stepped
        ratio = torch.exp(joint - old_joint)
        clipped = ratio.clamp(1 - designer.clip_param, 1 + designer.clip_param)
        ppo = torch.minimum(ratio * advantages, clipped * advantages)
        gained = ppo if designer.loss == "ppo" else joint * advantages
        outer = -(gained * stepped).sum() / stepped.sum()
        offered = Offer().outputs(eta, tau.states[:-1], tau.action_features)
        paid = Payments().incentives(offered, tau).sum(-1) if designer.cost == "realized" else offered.sum(-1)
        discount = self.setup.settings.agents.gamma ** torch.arange(len(paid), dtype=torch.float64).unsqueeze(1)
        psi = (discount * paid * tau.stepped).sum() / tau.stepped.sum()
        welfare = (Payments().designer_rewards(offered, tau) * tau.stepped).sum() / tau.stepped.sum()
        return float(outer + designer.cost_coeff * psi - designer.direct_coeff * designer.reward_scale * welfare)

    def state(self) -> AlgorithmState:
        moments = Parameter.start(self.eta).optimizer
        theta = self.theta_hat(self.eta).detach()
        updated = replace(self.past.states[0], theta=theta)
        return AlgorithmState((updated,), Parameter.start(self.eta), None, None, moments, last_update=self.past)

    def objective(self):  # type: ignore[no-untyped-def]
        return designer_objective(self.setup, self.state(), self.validation, self.validation.designer_rewards)[0]


@pytest.mark.parametrize("mode", ["mixed", "unrolled"])
@pytest.mark.parametrize(
    ("loss", "optimizer", "epochs", "outer", "cost", "direct"),
    [
        ("pg", "sgd", 1, "reinforce", "realized", 0.0),
        ("ppo", "sgd", 3, "ppo", "outputs", 0.3),
        ("actor_critic", "adam_full", 2, "ppo", "realized", 0.7),
    ],
)
def test_equation_4_is_the_finite_difference(
    mode: str, loss: str, optimizer: str, epochs: int, outer: str, cost: str, direct: float
) -> None:
    agents = AgentSettings(
        loss=loss,  # type: ignore[arg-type]
        optimizer=optimizer,  # type: ignore[arg-type]
        lr=0.05,
        num_epochs=epochs,
        gamma=0.9,
        entropy_coeff=0.02,
    )
    designer = IncentiveFunctionSettings(
        loss=outer,  # type: ignore[arg-type]
        cost=cost,  # type: ignore[arg-type]
        cost_coeff=0.4,
        direct_coeff=direct,
        reward_scale=0.5,
        clip_param=2.0,
    )
    case = Case(agents, designer, MetaGradSettings(meta_gradient=mode))  # type: ignore[arg-type]
    gradient = through_update(case.setup, case.past, case.eta, case.validation, case.objective(), None, True)
    assert gradient.cost is not None
    whole = gradient.meta + designer.cost_coeff * gradient.cost
    numeric, h = torch.zeros_like(case.eta), 1e-5
    for i in range(case.eta.shape[1]):
        step = torch.zeros_like(case.eta)
        step[0, i] = h
        numeric[0, i] = (case.loss(case.eta + step) - case.loss(case.eta - step)) / (2 * h)
    assert numeric.norm() > 1e-3
    assert gradient.meta.norm() > 1e-4
    assert (whole - numeric).norm() <= 1e-5 * numeric.norm()


def test_the_designer_steps_down_the_gradient_and_the_replica_is_the_update() -> None:
    agents = AgentSettings(loss="ppo", lr=0.05, num_epochs=2)
    case = Case(
        agents, IncentiveFunctionSettings(lr=0.1, betas=(0.0, 0.0), eps=1e-20, cost_coeff=0.0), MetaGradSettings()
    )
    state = case.state()
    gradient = through_update(case.setup, case.past, case.eta, case.validation, case.objective(), None, True)
    stepped, forward, metrics = designer_step(case.setup, state, case.validation)
    # Adam without a memory steps by the sign.
    torch.testing.assert_close(stepped.eta.value, case.eta - 0.1 * gradient.meta.sign(), rtol=1e-5, atol=1e-5)
    assert [one.value for one in metrics if one.metric == REPLICA_GAP] == [0.0]
    assert forward is not None
    assert isinstance(forward[0], ForwardPass)


def test_algorithm_1_is_its_steps_in_turn() -> None:
    """The designer's on tau as validation of the last update, then the agents', on the same forward pass."""
    agents = AgentSettings(loss="ppo", lr=0.05, optimizer="adam", num_epochs=2)
    case = Case(agents, IncentiveFunctionSettings(lr=0.1), MetaGradSettings())
    state, generator = case.state(), torch.Generator().manual_seed(0)
    whole, _ = metagrad_step(case.setup, state, case.validation, generator)
    after, forward, _ = designer_step(case.setup, state, case.validation)
    parts, _ = agents_step(case.setup, after, case.validation, state.eta.value, generator, forward)
    alone, _ = agents_step(case.setup, after, case.validation, state.eta.value, generator)
    assert torch.equal(whole.eta.value, parts.eta.value)
    assert torch.equal(whole.agents[0].theta, parts.agents[0].theta)
    torch.testing.assert_close(alone.agents[0].theta, parts.agents[0].theta, rtol=1e-12, atol=1e-12)
    assert whole.last_update is not None
    assert torch.equal(whole.last_update.eta, state.eta.value)
    assert not torch.equal(whole.eta.value, state.eta.value)
    assert torch.equal(state.eta.value, case.eta)  # nothing is changed in place


def test_the_interval_skips_updates_and_the_start_has_none() -> None:
    case = Case(AgentSettings(lr=0.05), IncentiveFunctionSettings(lr=0.1, interval=2), MetaGradSettings())
    state = replace(case.state(), last_update=None)
    first, forward, _ = designer_step(case.setup, state, case.validation)
    assert forward is None
    assert torch.equal(first.eta.value, case.eta)
    second, _, _ = designer_step(case.setup, case.state(), case.validation)
    third, _, _ = designer_step(case.setup, second, case.validation)
    assert torch.equal(second.eta.value, case.eta)
    assert not torch.equal(third.eta.value, case.eta)


def test_fresh_states_follow_from_the_seed() -> None:
    case = Case(
        AgentSettings(loss="ppo", target_tau=0.1), IncentiveFunctionSettings(), MetaGradSettings(agent_model="cloned")
    )
    one, two = (initial_state(case.setup, [N], torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one.agents[0].theta, two.agents[0].theta)
    assert one.agents[0].target is not None
    assert one.clones is not None
    assert not torch.equal(one.clones[0].theta, one.agents[0].theta)
    assert len(forward_passes(case.setup, [case.past.states[0].theta], case.tau)) == 1
    assert case.tau.num_envs == B
