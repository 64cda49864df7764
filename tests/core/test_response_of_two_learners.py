"""Each response by two learners, on halves of the trajectories, is that of one learner: float64, no processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from problems import ACTIONS, OBS, N, Offer, make_problem
from torch import Tensor

from rllib_metagrad.core.agent_update import update
from rllib_metagrad.core.designer_gradient import EtaGradient, designer_gradient, predicted_kl
from rllib_metagrad.core.designer_objective import Objective
from rllib_metagrad.core.state import AgentsUpdate, AnswerMemory, Parameter, Setup, forward_passes
from rllib_metagrad.modules.designer import AnswerCritic
from rllib_metagrad.settings import AgentSettings, MetaGradSettings, MethodSettings, NetworkSettings
from rllib_metagrad.settings.designer import MetaGradDesignerSettings

B = 8


class Pair:
    """Sums over two threads, of which one runs at a time: torch has one forward mode for all of them."""

    def __init__(self) -> None:
        self.barrier, self.shares = threading.Barrier(2, timeout=20), [None, None]
        self.turn = threading.Lock()

    def of(self, index: int) -> Any:
        pair = self

        class Reduction:
            def sum(self, share: Tensor) -> Tensor:
                pair.shares[index] = share.detach()
                pair.turn.release()
                pair.barrier.wait()
                first, second = pair.shares
                pair.barrier.wait()
                pair.turn.acquire()
                return first + second  # type: ignore[operator]

            def differentiable_sum(self, share: Tensor) -> Tensor:
                return _Sum.apply(share, self)

        return Reduction()


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share: Tensor, reduction: Any) -> Tensor:
        ctx.reduction = reduction
        return reduction.sum(share)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.reduction.sum(grad), None


#: `neumann` sums inside of forward mode, so its test needs processes (tests/learners/test_many_learners.py).
RESPONSES: dict[str, dict[str, Any]] = {
    "fisher": {"response": "fisher"},
    "fisher with cross-effects": {"response": "fisher", "response_cross": 2},
    "critic": {"response": "critic"},
}


def gradients(
    settings: dict[str, Any], loss: str, reduction: Any, index: int, count: int
) -> tuple[EtaGradient, Tensor]:
    """The second of two gradients of a learner that holds the ``index``-th of ``count`` parts, and a step's KL."""
    agents = AgentSettings(loss=loss, lr=0.05, entropy_coeff=0.1, gamma=0.9, normalize_advantages=loss == "ppo")
    designer = MetaGradDesignerSettings(**settings)
    first, second = (make_problem(agents, num_envs=B, seed=seed) for seed in (0, 1))
    critic = AnswerCritic((OBS,), ACTIONS, NetworkSettings(hiddens=(4,)), None)
    critics = (critic,) if designer.response == "critic" else ()
    given: dict[str, Any] = {"answer_critics": critics, **({} if reduction is None else {"reduction": reduction})}
    setup = Setup((first.policy,), Offer(), None, MethodSettings(agents, designer, MetaGradSettings()), **given)
    psi = critic.initialize(N, torch.Generator().manual_seed(2)).double()
    memory = AnswerMemory(critics=(Parameter.start(psi),) if critics else None)
    eta = torch.randn(1, OBS * ACTIONS, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    parts = [problem.trajectory.shard(index, count) for problem in (first, second)]
    for tau, validation in (parts, parts[::-1]):
        made = AgentsUpdate(tau, (first.state,), eta, agents, ([None],))
        offered = Offer().outputs(eta, tau.states[:-1], tau.action_features)
        outcome = update(made.lessons(setup)[0], Offer.mechanism.rewards(offered, tau))
        past = AgentsUpdate(tau, (first.state,), eta, agents, ([None],), (outcome,))
        objective = Objective(validation.designer_rewards, 1.0)
        forward = forward_passes(setup, [first.state.theta], validation)
        found = designer_gradient(setup, past, eta, validation, objective, forward, True, past.states, memory)
        memory = found.memory
    return found, predicted_kl(setup, past, eta, eta + 0.1)


@pytest.mark.parametrize("loss", ["pg", "ppo"])
@pytest.mark.parametrize("name", RESPONSES)
def test_halves_add_up(name: str, loss: str) -> None:
    whole, kl = gradients(RESPONSES[name], loss, None, 0, 1)
    pair = Pair()

    def half(i: int) -> tuple[EtaGradient, Tensor]:
        with pair.turn:
            return gradients(RESPONSES[name], loss, pair.of(i), i, 2)

    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(half, range(2)))
    assert whole.meta.norm() > 1e-4
    for found, half_kl in halves:
        torch.testing.assert_close(found.meta, whole.meta, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(half_kl, kl, rtol=1e-9, atol=1e-12)
