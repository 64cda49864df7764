"""A whole sweep in which one trial's numbers overflow: its batch lies in its folder, the others are not disturbed."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.integration

GAMES = """
import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

class Payer(ParallelEnv):
    metadata = {"name": "payer"}
    def __init__(self, pay=1.0):
        self.pay, self.possible_agents, self.agents, self.t = pay, ["a", "b"], [], 0
    def observation_space(self, agent):
        return gym.spaces.Box(-1, 1, (2,), np.float32)
    def action_space(self, agent):
        return gym.spaces.Discrete(2)
    def observed(self):
        return {a: np.zeros(2, np.float32) for a in self.possible_agents}
    def reset(self, seed=None, options=None):
        self.agents, self.t = list(self.possible_agents), 0
        return self.observed(), {a: {} for a in self.agents}
    def step(self, actions):
        acted, self.t = self.agents, self.t + 1
        self.agents = acted if self.t < 3 else []
        all = lambda value: dict.fromkeys(acted, value)
        return self.observed(), all(self.pay), all(self.t == 3), all(False), {a: {} for a in acted}
"""
YAML = """
er:
  run: MetaGrad
  env: pettingzoo
  stop: {training_iteration: 2}
  config:
    env_config: {id: "payers:Payer", pay: {grid_search: [1.0, 3.0e+38]}}
    num_envs_per_env_runner: 4
    seed: 1
"""


def test_the_batch_of_a_nan_is_saved_and_other_trials_finish(tmp_path: Path) -> None:
    (tmp_path / "payers.py").write_text(GAMES)
    (tmp_path / "er.yaml").write_text(YAML)
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", "train", "file", "er.yaml", "--ray-num-cpus", "1"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    assert "1 of 2 trials failed" in ran.stderr
    (batch,) = tmp_path.glob("results/er/*/non_finite_batch_1.pt")
    assert str(batch) in ran.stderr
    saved = torch.load(batch, weights_only=True)
    assert saved["rewards"].shape == (3, 4, 2)
    assert (saved["rewards"] > 1e38).all()
    (good,) = tmp_path.glob("results/er/*pay=1.0*/progress.csv")
    assert len(list(csv.DictReader(good.open()))) == 2
    assert not list(good.parent.glob("non_finite*"))
