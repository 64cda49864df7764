"""An environment that may exist once at a time: training, evaluation and remote runners make no second copy unasked."""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import ParallelEnv
from ray import cloudpickle
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.env_context import EnvContext
from ray.tune.registry import register_env

from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.evaluation import evaluate

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]


class Simulator(ParallelEnv):
    """Holds a lock from its construction to its ``close()``; three steps that pay each agent its action."""

    metadata: ClassVar[dict[str, Any]] = {"name": "simulator"}

    def __init__(self, folder: str) -> None:
        self.possible_agents, self.agents, self.t = ["a", "b"], [], 0
        with (Path(folder) / "constructions").open("a") as log:
            log.write("x")
        self.lock = (Path(folder) / "lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError("port in use") from None

    def observation_space(self, agent: str) -> gym.Space:
        return gym.spaces.Box(-1, 1, (2,), np.float32)

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def _seen(self, agents: Any) -> dict[str, Any]:
        return {agent: np.zeros(2, np.float32) for agent in agents}

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.t = list(self.possible_agents), 0
        return self._seen(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.t += 1
        over, paid = self.t == 3, {agent: float(action) for agent, action in actions.items()}
        self.agents = [] if over else self.agents
        flags = dict.fromkeys(actions, over)
        return self._seen(actions), paid, flags, dict.fromkeys(actions, False), {agent: {} for agent in actions}

    def close(self) -> None:
        self.lock.close()


class Watch(RLlibCallback):
    """Notes what the callback gets."""

    contexts: ClassVar[list[Any]] = []

    def on_environment_created(self, *, env_context: Any, **kwargs: Any) -> None:
        """Once for each runner that makes environments."""
        self.contexts.append(env_context)


def build(folder: Path, *, mode: str = "complete_episodes", runners: int = 0, **evaluation: Any) -> Any:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # runners cannot import this file
    register_env("simulator", lambda context: Simulator(context["folder"]))
    config = get_config_class("MetaGrad")().environment("simulator", env_config={"folder": str(folder)})
    config.env_runners(num_env_runners=runners, num_envs_per_env_runner=1, batch_mode=mode)
    if mode == "truncate_episodes":
        config.env_runners(rollout_fragment_length=5)
    config.debugging(seed=0, log_level="ERROR").callbacks(Watch).evaluation(**evaluation)
    return config.build_algo()


def constructions(folder: Path) -> int:
    return len((folder / "constructions").read_text())


@pytest.mark.parametrize("mode", ["complete_episodes", "truncate_episodes"])
def test_evaluation_borrows(tmp_path: Path, mode: str) -> None:
    Watch.contexts.clear()
    algorithm = build(tmp_path, mode=mode, evaluation_interval=1, evaluation_duration=7)
    made = constructions(tmp_path)
    assert made == 2  # the first copy, closed before the second was made
    for _ in range(2):
        result = algorithm.train()
        assert result["evaluation"]["env_runners"]["num_episodes"] == 7
        assert result["evaluation"]["env_runners"]["episode_len_mean"] == 3
        assert result["env_runners"]["num_env_steps_sampled"] >= 3
    assert evaluate(algorithm, 9)["episodes"] == 9
    assert algorithm.train()["env_runners"]["episode_len_mean"] == 3
    assert constructions(tmp_path) == made
    algorithm.stop()
    (context,) = Watch.contexts
    assert isinstance(context, EnvContext)
    assert (context["folder"], context.worker_index, context.num_workers) == (str(tmp_path), 0, 0)
    Simulator(str(tmp_path)).close()  # nobody holds it


def test_a_remote_runner_is_the_only_one(tmp_path: Path) -> None:
    algorithm = build(tmp_path, runners=1)
    assert constructions(tmp_path) == 2
    assert algorithm.train()["env_runners"]["num_episodes"] == 1
    assert algorithm.env_runner.env is None
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    algorithm.restore_from_path(path)
    assert algorithm.train()["env_runners"]["num_episodes"] == 1
    assert constructions(tmp_path) == 2
    algorithm.stop()


def test_borrowing_in_complete_episodes_changes_nothing_in_training(tmp_path: Path) -> None:
    def thetas(folder: Path, **evaluation: Any) -> list[float]:
        folder.mkdir()
        algorithm = build(folder, **evaluation)
        for _ in range(3):
            algorithm.train()
        theta = algorithm.learner_group._learner.state.agents[0].theta
        algorithm.stop()
        return theta.flatten().tolist()  # type: ignore[no-any-return]

    assert thetas(tmp_path / "one") == thetas(tmp_path / "two", evaluation_interval=1, evaluation_duration=2)
