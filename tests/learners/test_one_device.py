"""Whole updates on a pretended device: what would fail on a GPU fails here, and numbers are the CPU's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pretend_device import DEVICE, OnDevice, PretendDevice
from torch import Tensor

import env_wrappers
from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.core.algorithm import agents_step, designer_step
from rllib_metagrad.core.baselines import amd_designer_step, dual_rl_designer_step
from rllib_metagrad.core.state import AlgorithmState, Setup, initial_state
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.devices import to_device
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.sampling import Behavior, Sampler

STEPS: dict[str, Callable[..., Any] | None] = {
    "MetaGrad": designer_step,
    "AMD": amd_designer_step,
    "DualRL": dual_rl_designer_step,
    "FixedIncentive": None,
}
PPO = {"loss": "ppo", "optimizer": "adam", "lr": 1e-3, "num_epochs": 2, "minibatch_size": 4, "target_tau": 0.1}
GTB = {"max_steps": 9, "observations": "network"}
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "plain": ("MetaGrad", "escape_room", {"n": 3, "m": 1}, {"loss": "pg"}, {}, {}),
    "minibatches": ("MetaGrad", "escape_room", {"n": 3, "m": 1}, PPO, {"baseline": "critic", "target_tau": 0.1}, {}),
    "lstm": (
        "MetaGrad",
        "escape_room",
        {"n": 3, "m": 1},
        {**PPO, "minibatch_size": 12, "network": {"hiddens": [8], "critic_lstm": 4}, "critic_lr": 0.01},
        {"cost_lr": 0.01, "loss": "ppo", "num_epochs": 2, "normalize_advantages": True},
        {"parameter_sharing": True},
    ),
    "fisher": (
        "MetaGrad",
        "gather_trade_build",
        GTB,
        {**PPO, "minibatch_size": 12, "entropy_coeff": 0.05},
        {"response": "fisher", "response_cross": 2, "response_kl": 0.001, "baseline": "critic"},
        {"parameter_sharing": True, "mechanism": "bracketed_tax"},
    ),
    "critic of answers": (
        "MetaGrad",
        "gather_trade_build",
        GTB,
        {**PPO, "minibatch_size": 12, "entropy_coeff": 0.05},
        {"response": "critic"},
        {"parameter_sharing": True, "mechanism": "bracketed_tax"},
    ),
    "neumann": ("MetaGrad", "escape_room", {"n": 2, "m": 1}, PPO, {"response": "neumann", "response_updates": 3}, {}),
    "unrolled": ("MetaGrad", "escape_room", {"n": 2, "m": 1}, PPO, {}, {"meta_gradient": "unrolled"}),
    "cloned": ("MetaGrad", "escape_room", {"n": 2, "m": 1}, {"epsilon": 0.1}, {}, {"agent_model": "cloned"}),
    "pictures": ("MetaGrad", "cleanup", {"max_steps": 6}, {**PPO, "critic_lr": 0.01}, {}, {}),
    "masks and taxes": (
        "MetaGrad",
        "gather_trade_build",
        GTB,
        {**PPO, "minibatch_size": 12},
        {"baseline": "critic", "direct_coeff": 0.2},
        {"parameter_sharing": True, "mechanism": "bracketed_tax"},
    ),
    "lstm of masks": (
        "MetaGrad",
        "gather_trade_build",
        GTB,
        {**PPO, "minibatch_size": 9, "network": {"hiddens": [8], "critic_lstm": 4}},
        {},
        {"parameter_sharing": True, "mechanism": "linear_tax"},
    ),
    "amd": ("AMD", "escape_room", {"n": 2, "m": 1}, {"normalize_advantages": True}, {}, {}),
    "dual-rl": ("DualRL", "escape_room", {"n": 2, "m": 1}, PPO, {"baseline": "critic"}, {}),
    "dual-rl taxes": (
        "DualRL",
        "gather_trade_build",
        GTB,
        {**PPO, "minibatch_size": 12},
        {"levels": [0.0, 0.5], "factorized": True},
        {"parameter_sharing": True, "mechanism": "bracketed_tax"},
    ),
    "dual-rl continuous": (
        "DualRL",
        "escape_room",
        {"n": 2, "m": 1},
        {},
        {"levels": None},
        {"mechanism": "agent_incentives"},
    ),
    "fixed taxes": (
        "FixedIncentive",
        "gather_trade_build",
        GTB,
        {**PPO, "minibatch_size": 12},
        {},
        {"parameter_sharing": True, "mechanism": "bracketed_tax", "fixed_incentives": [0.5] * 7},
    ),
}


class Problem:
    """What a learner has, without RLlib around it."""

    def __init__(self, case: str, device: torch.device | None) -> None:
        self.kind, env, env_config, agents, designer, incentives = CASES[case]
        config = get_config_class(self.kind)().environment(env, env_config=env_config)
        config.agents(**agents)
        config.designer(**designer)
        config.incentives(**{k: v for k, v in incentives.items() if k != "fixed_incentives"})
        if "fixed_incentives" in incentives:
            config.fixed_incentives = incentives["fixed_incentives"]
        self.envs = env_wrappers.make_vec(env, 2, **env_config)
        spec = EnvSpec.of(self.envs)
        self.stacks = config.make_stacks(spec)
        self.setup: Setup[Any, Any, Any] = config.make_setup(spec, self.stacks, None, device)
        self.generator = torch.Generator().manual_seed(1)
        sizes = [len(stack.policy_ids) for stack in self.stacks]
        self.state: AlgorithmState = initial_state(self.setup, sizes, self.generator, device)

    def sample(self) -> Trajectory:
        """With the CPU's parameters."""
        sampler = Sampler(self.envs, self.stacks, self.setup.policies, self.setup.designer, self.generator)
        thetas = [agents.theta for agents in self.state.agents]
        return sampler.episodes(Behavior(thetas, self.state.eta.value, 0.0, False, 0))

    def learn(self, trajectories: list[Trajectory], to: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Both steps of a learner on each trajectory; all parameters."""
        now = self.setup.at(0)
        for trajectory in trajectories:
            eta, forward, step = self.state.eta.value, None, STEPS[self.kind]
            moved = trajectory.map(to)
            if step is not None:
                self.state, forward, _ = step(now, self.state, moved)
            self.state, _ = agents_step(now, self.state, moved, eta, self.generator, forward)
        return [*(agents.theta for agents in self.state.agents), self.state.eta.value]


@pytest.mark.parametrize("case", CASES)
def test_a_whole_update_stays_on_its_device(case: str) -> None:
    here = Problem(case, None)
    trajectories = [here.sample() for _ in range(2)]
    here.generator.manual_seed(2)
    expected = here.learn(trajectories, lambda tensor: tensor)
    with PretendDevice():
        there = Problem(case, DEVICE)
        there.generator.manual_seed(2)
        found = there.learn(trajectories, lambda tensor: tensor.to(DEVICE))
        assert all(isinstance(tensor.detach(), OnDevice) for tensor in found)
        fetched = to_device([tensor.detach() for tensor in found], torch.device("cpu"))
    for one, two in zip(expected, fetched, strict=True):
        torch.testing.assert_close(two, one.detach(), rtol=1e-5, atol=1e-6)


def test_the_pretended_device_is_as_strict_as_a_gpu() -> None:
    with PretendDevice():
        away, here = torch.arange(6.0, device=DEVICE).reshape(2, 3), torch.arange(6.0).reshape(2, 3)
        index = torch.tensor([1, 0])
        assert isinstance(away * 2 + torch.tensor(1.0), OnDevice)
        assert (away[index].cpu() == here[index]).all()
        assert float((away @ away.T).sum()) == float((here @ here.T).sum())
        for wrong in (
            lambda: away + here,
            lambda: away.index_select(0, index),
            lambda: away.gather(0, index.expand(1, 2)),
            lambda: torch.where(here > 0, away, 0.0),
            lambda: torch.cat([away, here]),
        ):
            with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
                wrong()
        with pytest.raises((RuntimeError, TypeError)):
            away.numpy()
