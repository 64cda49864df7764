"""Environments of the wrong kind are refused in one line before Ray starts, by whatever name they come."""

import sys

import pytest

ENVS = """
import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

class Good(ParallelEnv):
    metadata = {"name": "good", "is_parallelizable": True}
    def __init__(self, agents=("a", "b"), **_):
        self.possible_agents, self.agents = list(agents), []
    def observation_space(self, agent):
        return gym.spaces.Box(-1, 1, (2,), np.float32)
    def action_space(self, agent):
        return gym.spaces.Discrete(2)
    def observed(self):
        return {a: np.zeros(2, np.float32) for a in self.possible_agents}
    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return self.observed(), {a: {} for a in self.agents}
    def step(self, actions):
        acted, self.agents = self.agents, []
        all = lambda value: dict.fromkeys(acted, value)
        return self.observed(), all(0.0), all(True), all(False), {a: {} for a in acted}

class Integers(Good):
    def __init__(self, **_):
        super().__init__((0, 1))

class Late(Good):
    def __init__(self, **_):
        super().__init__(); del self.possible_agents
    def reset(self, seed=None, options=None):
        self.possible_agents = ["a", "b"]
        return super().reset()

class NoSeed(Good):
    def reset(self):
        return super().reset()

class Breaks(Good):
    def reset(self, seed=None, options=None):
        raise RuntimeError("no licence")

class BreaksLater(Good):
    def step(self, actions):
        raise KeyError("lever")

class Sequences(Good):
    def observation_space(self, agent):
        return gym.spaces.Sequence(gym.spaces.Discrete(2))

def cart_pole(**_):
    return gym.make("CartPole-v1")

def multi_agent(**_):
    from ray.rllib.env.multi_agent_env import MultiAgentEnv
    return MultiAgentEnv()

def of_rllib(**_):
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
    return ParallelPettingZooEnv(Good())
"""
WRONG = {
    "Integers": "possible_agents holds 0 (int), expected names (strings), such as 'agent_0'",
    "Late": "possible_agents is missing; set it in the constructor",
    "NoSeed": "reset() takes no seed, expected reset(self, seed=None, options=None)",
    "Breaks": "no licence",
    "BreaksLater": "lever",
    "Sequences": "Sequence",
    "cart_pole": "not a PettingZoo environment; a Gymnasium environment has one agent",
    "multi_agent": "write RLlib's MultiAgentEnv as a pettingzoo.ParallelEnv",
}
YAML = """
er:
  run: MetaGrad
  env: pettingzoo
  stop: {training_iteration: 1}
  config:
    env_config: {id: "my_envs:NAME"}
"""
PYTHON = """
from ray.tune.registry import register_env
from rllib_metagrad import MetaGradConfig
import my_envs

register_env("mine", lambda config: my_envs.NAME())
stop = {"training_iteration": 1}
config = MetaGradConfig().environment("mine")
"""


@pytest.fixture(autouse=True)
def my_envs(tmp_path, monkeypatch):
    (tmp_path / "my_envs.py").write_text(ENVS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_envs", None)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(("file", "text"), [("er.yaml", YAML), ("er.py", PYTHON)])
def test_refused_in_one_line(invoke, tmp_path, name, file, text):
    (tmp_path / file).write_text(text.replace("NAME", name))
    result = invoke("train", "file", file)
    assert result.exit_code == 2, (result.output, result.exception)
    assert len(result.stderr.splitlines()) == 1
    place = "er.yaml:7: config.env_config" if file == "er.yaml" else "er.py: config.env_config"
    assert result.stderr.startswith(f"rllib: error: {place}")
    assert WRONG[name] in result.stderr


@pytest.mark.parametrize("name", ["Good", "of_rllib"])
@pytest.mark.parametrize(("file", "text"), [("er.yaml", YAML), ("er.py", PYTHON)])
def test_the_right_ones_are_planned(tmp_path, name, file, text):
    from rllib_metagrad.cli.options import TrainOptions
    from rllib_metagrad.cli.train import plan

    (tmp_path / file).write_text(text.replace("NAME", name))
    ((experiment, folder),) = plan(TrainOptions(), str(tmp_path / file))
    assert (experiment.run_name, folder) == ("MetaGrad", "er")


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ("{env_runners/agent_episode_returns_mean/c: 1}", "never appears: my_envs:Good has no agent 'c'"),
        ("{env_runners/episode/score: 1}", "never appears: my_envs:Good measures nothing of its episodes"),
    ],
)
def test_metrics_of_an_environment_of_ones_own(invoke, tmp_path, stop, message):
    (tmp_path / "er.yaml").write_text(YAML.replace("NAME", "Good").replace("{training_iteration: 1}", stop))
    result = invoke("train", "file", "er.yaml")
    assert result.exit_code == 2
    assert message in result.stderr
