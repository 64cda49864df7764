"""GPU learners: where there is a GPU the same updates as on the CPU; everywhere, states that move between devices."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rllib_metagrad import DualRLConfig, MetaGradConfig
from rllib_metagrad.algorithms import IncentiveDesign, IncentiveDesignConfig
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.devices import to_device

META = torch.device("meta")
PPO = {"loss": "ppo", "optimizer": "adam", "lr": 1e-3, "num_epochs": 2, "minibatch_size": 16, "target_tau": 0.1}


def build(kind: type[IncentiveDesignConfig], agents: dict[str, Any], gpus: int = 0) -> IncentiveDesign:
    config = (
        kind()
        .environment("escape_room", env_config={"n": 3, "m": 1})
        .env_runners(num_envs_per_env_runner=16)
        .learners(num_gpus_per_learner=gpus)
        .debugging(seed=3, log_level="ERROR")
        .agents(**{"lr": 0.05, **agents})
        .designer(baseline="critic", target_tau=0.1)
    )
    return config.build_algo()  # type: ignore[no-any-return]


def learn(algorithm: IncentiveDesign, trajectories: list[Trajectory]) -> list[np.ndarray]:
    """Parameters of agents and designer after learning from trajectories, whatever their weights were."""
    learner = algorithm.learner_group._learner
    for trajectory in trajectories:
        current = replace(trajectory, weights_seq_no=learner._weights_seq_no)
        algorithm.learner_group.update(batches=[current])
    weights = learner.get_state(inference_only=True)["rl_module"]
    return [*weights["agents"], weights["designer"]]


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return tensors(list(value.values()))
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors(item)]
    if is_dataclass(value):
        return [tensor for f in fields(value) for tensor in tensors(getattr(value, f.name))]
    return []


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
def test_a_learner_state_moves_as_a_whole() -> None:
    """To torch's meta device, which is everywhere and on which nothing can be mixed with the CPU's tensors."""
    algorithm = build(MetaGradConfig, PPO)
    learn(algorithm, algorithm.env_runner.sample())
    learner = algorithm.learner_group._learner
    state = learner.get_own_state()
    assert state["last_update"] is not None
    held = tensors(state)
    moved = to_device(state, META)
    assert [t.device for t in tensors(moved)] == [META] * len(held)
    assert [t.shape for t in tensors(moved)] == [t.shape for t in held]
    assert moved["last_update"].settings == state["last_update"].settings
    assert all(old is new for old, new in zip(held, tensors(to_device(state, torch.device("cpu"))), strict=True))
    algorithm.stop()


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="num_gpus_per_learner needs a GPU, and torch finds none here")
@pytest.mark.parametrize(("kind", "agents"), [(MetaGradConfig, {}), (MetaGradConfig, PPO), (DualRLConfig, {})])
def test_a_gpu_learner_learns_what_a_cpu_learner_learns(
    kind: type[IncentiveDesignConfig], agents: dict[str, Any]
) -> None:
    cpu, gpu = build(kind, agents), build(kind, agents, gpus=1)
    learner = gpu.learner_group._learner
    assert {learner._device.type, learner.state.agents[0].theta.device.type, learner.state.eta.value.device.type} == {
        "cuda"
    }
    trajectories = [cpu.env_runner.sample()[0] for _ in range(10)]
    for one, two in zip(learn(cpu, trajectories), learn(gpu, trajectories), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)
    # What it saves needs no GPU, and a CPU learner goes on from it.
    state = learner.get_state()
    assert {tensor.device.type for tensor in tensors(state["incentive_learner"])} == {"cpu"}
    cpu.learner_group._learner.set_state(state)
    for one, two in zip(learn(cpu, trajectories[:1]), learn(gpu, trajectories[:1]), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)
    # And the other way round.
    learner.set_state(cpu.learner_group._learner.get_state())
    learn(gpu, trajectories[:1])
    cpu.stop(), gpu.stop()
