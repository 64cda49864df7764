"""What the designer sees of the agents' whole answer, against closed forms and finite differences of equilibria."""

from __future__ import annotations

import itertools
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from played_games import FISHER, Game, Number, play, value_of
from problems import ACTIONS, OBS, Offer, make_problem
from scipy.optimize import brentq
from scipy.special import expit, lambertw
from torch import Tensor

from rllib_metagrad.core.agent_update import AgentState
from rllib_metagrad.core.designer_gradient import designer_gradient
from rllib_metagrad.core.designer_objective import Objective
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.core.returns import discounted_sum
from rllib_metagrad.core.state import AgentsUpdate, AnswerMemory, Parameter, Setup, forward_passes
from rllib_metagrad.core.trajectory import StackTrajectory, Trajectory
from rllib_metagrad.metrics import RESPONSE_NORM, RESPONSE_RESIDUAL
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.settings import AgentSettings, MetaGradSettings, MethodSettings, NetworkSettings
from rllib_metagrad.settings.designer import MetaGradDesignerSettings


def contract(value: float, cost: float) -> Game:
    """Action 1 is work: it costs the agent, is worth something to the principal, who pays the design as a bonus."""
    return Game([lambda a, b: a[0] * (b - cost)], lambda a, b: a[0] * (value - b))


@pytest.mark.parametrize("alpha", [0.2, 0.5, 2.0])
def test_the_best_contract_is_lamberts(alpha: float) -> None:
    value, cost = 3.0, 1.0
    game = contract(value, cost)
    best = value - alpha * (1 + lambertw(np.exp((value - cost) / alpha - 1)).real)

    def gradient(bonus: float) -> float:
        return float(play(game, np.array([(bonus - cost) / alpha]), bonus, alpha, FISHER).gradient().meta)

    assert abs(gradient(best)) < 3e-4
    assert gradient(best - 0.05) < -1e-3 < 1e-3 < gradient(best + 0.05)
    assert brentq(gradient, best - 0.3, best + 0.3, xtol=1e-5) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize(("bonus", "alpha"), [(1.2, 0.4), (0.7, 1.0), (2.0, 0.8)])
def test_response_and_direct_effect_of_a_contract(bonus: float, alpha: float) -> None:
    value, cost = 3.0, 1.0
    p = expit((bonus - cost) / alpha)
    found = play(contract(value, cost), np.array([(bonus - cost) / alpha]), bonus, alpha, FISHER).gradient()
    assert float(-found.meta) == pytest.approx(p * (1 - p) * (value - bonus) / alpha - p, abs=1e-4)
    assert value_of(found.metrics, RESPONSE_RESIDUAL) < 1e-9


def coordination() -> Game:
    """Each is paid for what both do, by the design for joint work, and dislikes work; the designer likes it."""
    return Game(
        [
            lambda a, x: a[0] * (x * a[1] - 0.6) + 0.5 * a[1],
            lambda a, x: a[1] * (0.8 * x * a[0] - 0.3 + 0.4 * x),
        ],
        lambda a, x: 1.5 * a[0] * a[1] + 0.3 * a[0] - 0.2 * x * a[1],
    )


@pytest.mark.parametrize(("design", "alpha"), [(1.0, 0.7), (0.4, 0.5), (1.6, 1.2)])
def test_logit_equilibrium_with_and_without_cross_effects(design: float, alpha: float) -> None:
    game, h = coordination(), 1e-5
    logits = game.equilibrium(design, alpha)
    whole = (
        game.welfare(game.equilibrium(design + h, alpha, logits), design + h)
        - game.welfare(game.equilibrium(design - h, alpha, logits), design - h)
    ) / (2 * h)
    own = [(game.advantage(i, logits, design + h) - game.advantage(i, logits, design - h)) / (2 * h) for i in (0, 1)]
    moved = np.array(own) / alpha
    apart = (game.welfare(logits + h * moved, design + h) - game.welfare(logits - h * moved, design - h)) / (2 * h)
    assert abs(whole - apart) > 0.02  # the game is one where it matters
    without = play(game, logits, design, alpha, FISHER).gradient()
    assert float(-without.meta) == pytest.approx(apart, abs=3e-4)
    found = play(game, logits, design, alpha, FISHER.replace(response_cross=4)).gradient()
    assert float(-found.meta) == pytest.approx(whole, abs=3e-4)


# -- neumann -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["pg", "ppo"])
def test_one_update_by_neumann_is_the_papers(loss: str) -> None:
    """Bit for bit for SGD: the same v, the same w, the same batch."""
    agents = AgentSettings(loss=loss, lr=0.05, gamma=1.0, entropy_coeff=0.02)  # type: ignore[arg-type]
    problem, other = make_problem(agents, seed=0), make_problem(agents, seed=1)
    found = []
    for designer in (
        MetaGradDesignerSettings(direct_coeff=1, gamma=1.0),
        MetaGradDesignerSettings(response="neumann", response_updates=1, gamma=1.0),
    ):
        setup = Setup((problem.policy,), Offer(), None, MethodSettings(agents, designer, MetaGradSettings()))
        eta = torch.randn(1, OBS * ACTIONS, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        past = AgentsUpdate(problem.trajectory, (problem.state,), eta, agents, ([None],))
        objective = Objective(other.trajectory.designer_rewards, 1.0)
        found.append(designer_gradient(setup, past, eta, other.trajectory, objective, None, True).meta)
    assert torch.equal(*found)
    assert found[0].norm() > 1e-3


@pytest.mark.parametrize(("bonus", "alpha"), [(1.2, 0.4), (2.0, 0.8)])
def test_many_updates_come_to_the_whole_answer(bonus: float, alpha: float) -> None:
    game, logits = contract(3.0, 1.0), np.array([(bonus - 1.0) / alpha])
    whole = play(game, logits, bonus, alpha, FISHER, rows=4000).gradient().meta
    errors = []
    for count in (10, 100, 500):
        looked = MetaGradDesignerSettings(response="neumann", response_updates=count)
        errors.append(abs(float(play(game, logits, bonus, alpha, looked, rows=4000).gradient().meta - whole)))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2e-4


# -- critic --------------------------------------------------------------------------------------------------


class Table:
    """A score for each action, whatever is observed."""

    def initialize(self, stack: int, generator: torch.Generator) -> Tensor:
        return torch.zeros(stack, 2)

    def scores(self, psi: Tensor, observations: Tensor) -> Tensor:
        return psi.unsqueeze(1).expand(*observations.shape[:2], 2)


@pytest.mark.parametrize(("design", "alpha"), [(1.0, 0.7), (1.6, 1.2)])
def test_a_learned_critic_gives_the_same_answer_as_the_solve(design: float, alpha: float) -> None:
    game = coordination()
    logits = game.equilibrium(design, alpha)
    solved = play(game, logits, design, alpha, FISHER, rows=4000).gradient()
    learned = MetaGradDesignerSettings(response="critic", response_critic_lr=0.05)
    played = play(game, logits, design, alpha, learned, rows=4000)
    played.setup = replace(played.setup, answer_critics=(Table(),))
    memory = AnswerMemory(critics=(Parameter.start(torch.zeros(2, 2, dtype=torch.float64)),))
    first = played.gradient(memory=memory)
    assert value_of(first.metrics, RESPONSE_NORM) == 0  # taken before it has learned from this batch
    for _ in range(400):
        memory = played.gradient(memory=memory, measure=False).memory
    found = played.gradient(memory=memory)
    assert float(found.meta) == pytest.approx(float(solved.meta), abs=2e-3)


# -- several steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [1.0, 0.8])
def test_three_states_against_soft_value_iteration(gamma: float) -> None:
    """An agent walks over three states; the designer pays for one action in one state and likes another state.

    The agent's rewards hold the entropy of its later actions, so that its answer is that of soft value iteration.
    """
    alpha, horizon, h = 0.6, 3, 1e-5
    step = np.array([[1, 2], [2, 0], [0, 1]])  # next state
    reward = np.array([[0.3, -0.2], [0.1, 0.6], [-0.4, 0.2]])
    paid = np.array([[0.0, 1.0], [0.5, 0.0], [0.0, 0.0]])
    liked = np.array([[0.0, 0.4], [1.0, -0.3], [0.2, 2.0]])

    def answer(design: float) -> np.ndarray:
        """Soft-optimal probabilities ``[T, state, action]``."""
        value, policies = np.zeros(3), []
        for _ in range(horizon):
            q = reward + design * paid + gamma * value[step]
            value = alpha * np.log(np.exp(q / alpha).sum(-1))
            policies.append(np.exp((q - value[:, None]) / alpha))
        return np.array(policies[::-1])

    def paths(policy: np.ndarray) -> list[tuple[float, list[tuple[int, int]]]]:
        found = []
        for actions in itertools.product((0, 1), repeat=horizon):
            state, chance, path = 0, 1.0, []
            for t, action in enumerate(actions):
                chance *= policy[t, state, action]
                path.append((state, action))
                state = step[state, action]
            found.append((chance, path))
        return found

    def worth(design: float) -> float:
        """Discounted, a mean over steps."""
        return sum(
            c * gamma**t * (liked[s, a] - design * paid[s, a]) / horizon
            for c, path in paths(answer(design))
            for t, (s, a) in enumerate(path)
        )

    design = 0.7
    policy, rows = answer(design), 20_000
    counts = [round(c * rows) for c, _ in paths(policy)]
    walks = np.repeat(np.array([p for _, p in paths(policy)]), counts, axis=0)  # [B, T, 2]
    tau = walk(walks, policy, torch.tensor(reward), torch.tensor(paid), torch.tensor(liked), design, alpha)
    network = StackedPolicy((9,), gym.spaces.Discrete(2), NetworkSettings(hiddens=()), critic=False)
    theta = network.initialize(1, torch.Generator().manual_seed(0)).double() * 0
    theta[0, :18] = torch.tensor(np.log(policy)).reshape(-1)
    agents = AgentSettings(lr=0.1, entropy_coeff=alpha, gamma=gamma)
    settings = MethodSettings(agents, FISHER.replace(response_iterations=30), MetaGradSettings())
    setup = Setup((network,), Number(Payer()), None, settings)  # type: ignore[arg-type]
    eta = torch.tensor([[design]], dtype=torch.float64)
    past = AgentsUpdate(tau, (AgentState(theta, OptimizerState()),), eta, agents, ([None],))
    returns = discounted_sum(tau.designer_rewards, torch.full_like(tau.designer_rewards, gamma))
    objective = Objective(returns - returns.mean(1, keepdim=True), 1.0)
    forward = forward_passes(setup, [theta], tau)
    found = designer_gradient(setup, past, eta, tau, objective, forward, True, past.states)
    assert value_of(found.metrics, RESPONSE_RESIDUAL) < 1e-6
    assert float(-found.meta) == pytest.approx((worth(design + h) - worth(design - h)) / (2 * h), abs=5e-4)


class Payer:
    """Pays the design for what ``context`` says is paid."""

    def incentives(self, output: Tensor, tau: Trajectory) -> Tensor:
        return output * tau.context["paid"].unsqueeze(-1)

    def rewards(self, output: Tensor, tau: Trajectory) -> Tensor:
        return tau.rewards + self.incentives(output, tau)

    def designer_rewards(self, output: Tensor, tau: Trajectory) -> Tensor:
        before = tau.designer_output.squeeze(-1) * tau.context["paid"]
        return tau.designer_rewards + before - output.squeeze(-1) * tau.context["paid"]


def walk(
    walks: np.ndarray, policy: np.ndarray, reward: Tensor, paid: Tensor, liked: Tensor, design: float, alpha: float
) -> Trajectory:
    """Walks ``[B, T, (state, action)]`` as a trajectory; observations are one-hot in time and state."""
    b, t = walks.shape[:2]
    state, action = torch.tensor(walks[..., 0].T), torch.tensor(walks[..., 1].T)
    log_probs = torch.tensor(np.log(policy))[torch.arange(t).unsqueeze(1), state, action]
    observations = torch.zeros(1, t + 1, b, 1, 9, dtype=torch.float64)
    observations[0, :t, :, 0] = torch.nn.functional.one_hot(3 * torch.arange(t).unsqueeze(1) + state, 9).double()
    stepped = torch.ones(t, b, dtype=torch.bool)
    over = torch.arange(t).unsqueeze(1).expand(t, b) == t - 1
    pay = paid[state, action]
    return Trajectory(
        stacks=(
            StackTrajectory(
                torch.zeros(1, 1, dtype=torch.int64), observations, action[None, ..., None], log_probs[None, ..., None]
            ),
        ),
        states=torch.zeros(t + 1, b, 1, dtype=torch.float64),
        action_features=torch.zeros(t, b, 0, dtype=torch.float64),
        action_types=action.unsqueeze(-1),
        rewards=(reward[state, action] - alpha * log_probs).unsqueeze(-1),
        active=stepped.unsqueeze(-1),
        terminated=over.unsqueeze(-1),
        truncated=torch.zeros(t, b, 1, dtype=torch.bool),
        designer_rewards=liked[state, action] - design * pay,
        stepped=stepped,
        over=over,
        over_terminated=over,
        designer_output=torch.full((t, b, 1), design, dtype=torch.float64),
        context={"paid": pay},
    )
