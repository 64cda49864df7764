"""Python files that define functions and classes of their own: trained, and evaluated afterwards."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

GAME = """
import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv


class Game(ParallelEnv):
    metadata = {"name": "game"}

    def __init__(self, reward=1.0):
        self.reward, self.possible_agents, self.agents = reward, ["a", "b"], []

    def observation_space(self, agent):
        return gym.spaces.Box(-1, 1, (2,), np.float32)

    def action_space(self, agent):
        return gym.spaces.Discrete(2)

    def observed(self):
        return {agent: np.zeros(2, np.float32) for agent in self.possible_agents}

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return self.observed(), {agent: {} for agent in self.agents}

    def step(self, actions):
        acted, self.agents = self.agents, []
        every = lambda value: dict.fromkeys(acted, value)
        return self.observed(), every(self.reward), every(True), every(False), {agent: {} for agent in acted}
"""
START = """
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.tune.registry import register_env
from rllib_metagrad import FixedIncentiveConfig

stop = {"training_iteration": 1}


class Mine(RLlibCallback):
    def on_train_result(self, **kwargs):
        open("called", "w").close()


def make(config):
    return Game(config.get("reward", 2.0))
"""
CONFIG = """
    .env_runners(num_env_runners=0, num_envs_per_env_runner=2)
    .callbacks(Mine)
    .debugging(seed=0)
)
"""
FILES = {
    "a function": ('register_env("game", make)\nconfig = (FixedIncentiveConfig().environment("game")', 4.0),
    "a lambda": (
        'register_env("game", lambda config: make(config))\n'
        'config = (FixedIncentiveConfig().environment("game", env_config={"reward": 3.0})',
        6.0,
    ),
}


def rllib(folder, *arguments):
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", FILES)
def test_trained_and_evaluated(tmp_path, name):
    config, value = FILES[name]
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_game.py").write_text(GAME + START + config + CONFIG)
    rllib(tmp_path, "train", "file", "code/my_game.py")
    assert (tmp_path / "results" / "my_game" / "my_game.py").is_file()
    (tmp_path / "code" / "my_game.py").rename(tmp_path / "code" / "moved.py")
    for more in ([], ["--file", "code/moved.py"]):
        last = rllib(tmp_path, "evaluate", "results/my_game", "--episodes", "2", *more).splitlines()[-1]
        assert json.loads(last)["designer_return_mean"] == value
