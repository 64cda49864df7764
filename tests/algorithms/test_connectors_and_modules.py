"""Training with what RLlib's users bring for observations and networks: filters, connectors and RLModules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray import cloudpickle
from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.connectors.env_to_module.observation_preprocessor import SingleAgentObservationPreprocessor
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from rllib_metagrad import read_checkpoint
from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.environments import build_env
from rllib_metagrad.evaluation import evaluate, load
from rllib_metagrad.settings import SettingError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]
FILTER = {"observation_filter": "MeanStdFilter"}
FRAGMENTS = {"env": "cleanup", "env_config": {"max_steps": 8}, "batch_mode": "truncate_episodes"}


class Larger(SingleAgentObservationPreprocessor):
    """Ten times the observation, and one more number that is always 1."""

    def recompute_output_observation_space(self, input_observation_space: Any, input_action_space: Any) -> gym.Space:
        return gym.spaces.Box(-99, 99, (input_observation_space.shape[0] + 1,), np.float32)

    def preprocess(self, observation: Any, episode: Any) -> Any:
        return np.append(10 * observation, 1).astype(np.float32)


class Linear(TorchRLModule):
    def setup(self) -> None:
        self.actor = nn.Linear(self.observation_space.shape[0], self.action_space.n)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.actor(batch[Columns.OBS])}


def config(kind: str = "MetaGrad", **settings: Any) -> Any:
    base = {"env": "escape_room", "env_config": {"n": 2, "m": 1}, "num_envs_per_env_runner": 4, "log_level": "ERROR"}
    return get_config_class(kind)().update_from_dict({**base, "seed": 3, "rollout_fragment_length": "auto", **settings})


def theta_of(algorithm: Any) -> list[np.ndarray]:
    state = algorithm.learner_group.get_state(components="learner/rl_module", inference_only=True)["learner"][
        "rl_module"
    ]
    return [*state["agents"], state["designer"]]


def check_resume(made: Any, folder: Path) -> None:
    """Two more iterations are the same in an algorithm that was saved and loaded."""
    made.save_to_path(folder)
    again = type(made).from_checkpoint(folder)
    for algorithm in (made, again):
        for _ in range(2):
            algorithm.train()
    for one, other in zip(theta_of(made), theta_of(again), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(made.observed or (), again.observed or (), strict=True):
        np.testing.assert_array_equal(one.mean, other.mean)
    again.stop()


@pytest.mark.parametrize("settings", [{}, FRAGMENTS], ids=["episodes", "fragments"])
def test_agents_learn_from_standardized_observations(settings: dict[str, Any], tmp_path: Path) -> None:
    algorithm = config(**FILTER, **settings, evaluation_interval=2, evaluation_duration=4).build_algo()
    gap = [algorithm.train()["learners"]["designer"].get("replica_gap", 0.0) for _ in range(4)]
    assert gap == [0.0] * 4
    known = [moments.mean.copy() for moments in algorithm.observed]
    evaluate(algorithm, episodes=6)
    algorithm.evaluate()
    for moments, before in zip(algorithm.observed, known, strict=True):
        np.testing.assert_array_equal(moments.mean, before)
    check_resume(algorithm, tmp_path / "checkpoint")
    runner = algorithm.env_runner
    (played,) = runner.sample()
    (seen,) = runner.pop_observed()
    for stack in played.stacks:
        observed = stack.observations[:, :-1][stack.select(played.active)]
        assert observed.dtype == torch.float32
        assert float(observed.abs().max()) <= 10
        # Not those of this batch alone, so about 0 and 1 only.
        assert float(observed.mean().abs()) < 0.5
        assert 0.3 < float(observed.std()) < 2
    assert seen.number.sum() == played.active.sum()
    algorithm.stop()


def test_runners_share_what_they_have_observed(tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # runners cannot import this file
    algorithm = config("FixedIncentive", **FILTER, num_env_runners=2).build_algo()
    steps = sum(algorithm.train()["env_runners"]["num_agent_steps_sampled"]["__all_agents__"] for _ in range(2))
    assert sum(moments.number.sum() for moments in algorithm.observed) == steps
    algorithm.save_to_path(tmp_path / "checkpoint")
    again = type(algorithm).from_checkpoint(tmp_path / "checkpoint")
    for one in (algorithm, again):
        of_runners = one.env_runner_group.foreach_env_runner(
            lambda runner: [moments.mean for moments in runner.filter.moments], local_env_runner=False
        )
        assert len(of_runners) == 2
        for means in of_runners:
            for mean, moments in zip(means, algorithm.observed, strict=True):
                np.testing.assert_array_equal(mean, moments.mean)
    again.train()
    again.stop()
    algorithm.stop()
    assert read_checkpoint(tmp_path / "checkpoint").pickles == ()
    evaluated = load(tmp_path / "checkpoint", data_only=True)
    np.testing.assert_array_equal(evaluated.observed[0].mean, algorithm.observed[0].mean)
    evaluated.stop()
    begun = config("AMD", **FILTER, agents_checkpoint=str(tmp_path / "checkpoint")).build_algo()
    np.testing.assert_array_equal(begun.observed[0].mean, algorithm.observed[0].mean)
    begun.stop()
    with pytest.raises(ValueError, match="have learned with an observation_filter; set it as it was then"):
        config("AMD", agents_checkpoint=str(tmp_path / "checkpoint")).build_algo()


def test_connectors_shape_what_agents_see_and_not_what_the_designer_sees(tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    plain, made = config(), config()
    made.env_runners(env_to_module_connector=lambda env, spaces, device: [Larger(), MeanStdFilter(multi_agent=True)])
    algorithm = made.build_algo()
    spec = algorithm.env_runner.spec
    env = build_env(plain, 1)
    assert [group.observation_shape for group in spec.groups] == [(env.groups[0].observation_shape[0] + 1,)]
    assert spec.state_shape == env.state_shape
    results = [algorithm.train() for _ in range(3)]
    assert results[-1]["learners"]["designer"]["replica_gap"] == 0
    (played,) = algorithm.env_runner.sample()
    assert set(played.states.unique().tolist()) <= {0.0, 1.0}
    assert float(played.stacks[0].observations[..., -1].abs().max()) == 0  # what never changes becomes 0
    algorithm.env_runner.pop_observed()
    algorithm.stop()
    again = made.copy(copy_frozen=False)
    again.observation_filter = "MeanStdFilter"
    with pytest.raises(SettingError, match="observation_filter is there, and MeanStdFilter in env_to_module_connector"):
        again.build_algo()


def test_a_connector_by_its_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_connectors.py").write_text(
        "from ray.rllib.connectors.env_to_module import FlattenObservations\n"
        "def make(env, spaces, device):\n    return FlattenObservations(multi_agent=True)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    made = config("FixedIncentive", env="matrix_game", env_config={"game": "chicken"})
    made.update_from_dict({"env_to_module_connector": "my_connectors:make"}).validate()
    env = build_env(made, 2)
    env.reset(seed=0)
    assert env.one_by_one


def test_rlmodules_by_policy(tmp_path: Path) -> None:
    """One policy with a module of its own, the other with a network of ours."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    made = config(agent_loss="pg")
    made.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs={"agent_1": RLModuleSpec(module_class=Linear)}))
    algorithm = made.build_algo()
    before = theta_of(algorithm)
    assert [len(stack.policy_ids) for stack in algorithm.env_runner.stacks] == [1, 1]
    results = [algorithm.train() for _ in range(2)]
    assert results[-1]["learners"]["designer"]["replica_gap"] == 0
    assert all(not np.array_equal(old, new) for old, new in zip(before, theta_of(algorithm), strict=True))
    assert type(algorithm.get_module("agent_1").unwrapped()) is Linear
    algorithm.stop()
    wrong = config()
    wrong.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs={"agent_7": RLModuleSpec(module_class=Linear)}))
    with pytest.raises(SettingError, match=r"rl_module_spec\.agent_7 is no policy"):
        wrong.build_algo()


def test_what_does_not_go_with_an_rlmodule() -> None:
    for change, message in (
        ({"agent_network": {"hiddens": [4]}}, "agent_network has no effect, as rl_module_spec is the network of all"),
        (
            {"policies": {"agent_0": {"agent_network": {"hiddens": [4]}}, "agent_1": None}},
            "policies.agent_0 has an agen",
        ),
    ):
        made = config(**change)
        with pytest.raises(SettingError, match=message):
            made.rl_module(rl_module_spec=RLModuleSpec(module_class=Linear)).validate()
    for spec, message in (
        (
            RLModuleSpec(module_class=Linear, action_space=gym.spaces.Discrete(3)),
            "cannot have action_space: spaces are",
        ),
        (RLModuleSpec(module_class=Linear, load_state_path="x"), "cannot have load_state_path: set agents_checkpoint"),
        (MultiRLModuleSpec(rl_module_specs={"designer": RLModuleSpec(module_class=Linear)}), "is the designer"),
        (MultiRLModuleSpec(rl_module_specs={"agent_0": RLModuleSpec()}), "rl_module_spec.agent_0 must have a"),
    ):
        with pytest.raises(SettingError, match=message):
            config().rl_module(rl_module_spec=spec).validate()
