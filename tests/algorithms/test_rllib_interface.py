"""RLlib's ways in and out of an algorithm: each works, or says in one line what to do instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from pettingzoo import ParallelEnv
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core.rl_module.rl_module import RLModule, RLModuleSpec
from ray.tune.registry import register_env

from rllib_metagrad.algorithms import MetaGrad, get_config_class
from rllib_metagrad.evaluation import evaluate

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]


def make(env: str = "escape_room", **settings: Any) -> Any:
    env_config = settings.pop("env_config", {"n": 3, "m": 1})
    base = {"env": env, "env_config": env_config, "num_envs_per_env_runner": 4, "seed": 0, "log_level": "ERROR"}
    return get_config_class("MetaGrad")().update_from_dict({**base, **settings}).build_algo()


def test_weights_go_from_one_to_another() -> None:
    trained, other = make(), make(seed=1)
    trained.train(), other.train()
    weights = trained.get_weights()
    assert set(weights) == {"agent_0", "agent_1", "agent_2", "designer"}
    other.set_weights({"agent_1": weights["agent_1"], "designer": weights["designer"]})
    one, two = trained.learner_group._learner.state, other.learner_group._learner.state
    same = (one.agents[0].theta == two.agents[0].theta).all(1).tolist()
    assert same == [False, True, False]
    assert torch.equal(one.eta.value, two.eta.value)
    # Runners act by them, and the designer does not look through an update that did not lead to them.
    np.testing.assert_array_equal(other.env_runner._weights["agents"][0], two.agents[0].theta.numpy())
    assert "replica_gap" not in other.train()["learners"]["designer"]
    assert other.train()["learners"]["designer"]["replica_gap"] <= 1e-6
    with pytest.raises(ValueError, match=r"^set_weights: there is no module agent_9, but agent_0, .*, designer$"):
        other.set_weights({"agent_9": {}})
    with pytest.raises(ValueError, match=r"^add_module\('new'\): MetaGrad has .* agents_checkpoint$"):
        other.add_module("new", RLModuleSpec())
    with pytest.raises(ValueError, match=r"^remove_module\('agent_0'\): MetaGrad has .* policies_to_train"):
        other.remove_module("agent_0")
    trained.stop(), other.stop()


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    algorithm = make()
    algorithm.train()
    theta = algorithm.learner_group._learner.state.agents[0].theta
    algorithm.save_to_path("some/checkpoint")
    algorithm.train()
    algorithm.restore_from_path("some/checkpoint")
    assert torch.equal(algorithm.learner_group._learner.state.agents[0].theta, theta)
    uri = f"file://{tmp_path}/some/checkpoint"
    for path in ("some/checkpoint", Path("some/checkpoint"), tmp_path / "some/checkpoint", uri):
        for reader in (MetaGrad, Algorithm):  # RLlib's own class, too
            restored = reader.from_checkpoint(path)
            assert type(restored) is MetaGrad
            assert torch.equal(restored.learner_group._learner.state.agents[0].theta, theta)
            restored.stop()
    saved = RLModule.from_checkpoint("some/checkpoint/learner_group/learner/rl_module/agent_0")
    module = algorithm.get_module("agent_0")
    for name, value in saved.get_state().items():
        np.testing.assert_array_equal(value, module.get_state()[name])
    with pytest.raises(ValueError, match=f"{tmp_path}/nowhere"):
        Algorithm.from_checkpoint("nowhere")
    algorithm.stop()


class Paid(ParallelEnv):
    """One step that pays what the config says, whatever is done."""

    metadata: ClassVar[dict[str, Any]] = {"name": "paid"}

    def __init__(self, config: Any) -> None:
        self.possible_agents, self.agents = ["a"], []
        self.pay = sum(config["pay"].values())
        self.drawing = config.get("drawing")

    def observation_space(self, agent: str) -> gym.Space:
        return gym.spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents = ["a"]
        return {"a": np.zeros(1, np.float32)}, {"a": {}}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.agents = []
        return {"a": np.zeros(1, np.float32)}, {"a": self.pay}, {"a": True}, {"a": False}, {"a": {}}

    def render(self) -> Any:
        if self.drawing == "raises":
            raise OSError("no\ndisplay")
        return None if self.drawing is None else np.zeros((4, 4, 3), np.uint8)


def test_one_rule_for_changes_of_env_config() -> None:
    """Merged key by key, in nested mappings, too."""
    register_env("paid", Paid)
    changes = {"pay": {"bonus": 20.0}}
    algorithm = make("paid", env_config={"pay": {"base": 1.0, "bonus": 2.0}}, evaluation_interval=1)
    assert evaluate(algorithm, 2)["episode_return_mean"] == 3
    assert evaluate(algorithm, 2, env_config=changes)["episode_return_mean"] == 21
    assert evaluate(algorithm, 2)["episode_return_mean"] == 3  # and for this evaluation only
    assert algorithm.train()["evaluation"]["env_runners"]["episode_return_mean"] == 3
    algorithm.stop()
    changed = make(
        "paid",
        env_config={"pay": {"base": 1.0, "bonus": 2.0}},
        evaluation_interval=1,
        evaluation_config={"env_config": changes},
    )
    result = changed.train()
    assert result["evaluation"]["env_runners"]["episode_return_mean"] == 21
    assert result["env_runners"]["episode_return_mean"] == 3
    changed.stop()


@pytest.mark.parametrize(
    ("drawing", "error"),
    [
        (None, "env 'paid' has no picture; give it render_mode: rgb_array"),
        ("raises", "OSError: no display"),
        ("ok", ""),
    ],
)
def test_the_evaluation_is_there_whatever_render_does(tmp_path: Path, drawing: str | None, error: str) -> None:
    register_env("paid", Paid)
    algorithm = make("paid", env_config={"pay": {"base": 4.0}, "drawing": drawing})
    file = tmp_path / "episode.gif"
    result = evaluate(algorithm, 3, render=file)
    algorithm.stop()
    assert result["episode_return_mean"] == 4
    assert file.exists() is (drawing == "ok")
    assert result["render"] == (str(file) if drawing == "ok" else None)
    assert result.get("render_error", "") == error


def test_evaluation_as_long_as_training_takes() -> None:
    algorithm = make(
        evaluation_duration="auto",
        evaluation_interval=1,
        evaluation_parallel_to_training=True,
        evaluation_num_env_runners=2,
    )
    for _ in range(2):
        evaluated = algorithm.train()["evaluation"]["env_runners"]
        # Whole batches of four of each of two runners.
        assert evaluated["num_episodes"] >= 8
        assert evaluated["num_episodes"] % 8 == 0
        assert 1 <= evaluated["episode_len_mean"] <= 5
    algorithm.stop()
