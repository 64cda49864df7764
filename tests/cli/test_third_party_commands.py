"""Other people's environments, as a user meets them: a YAML file and one command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rllib_metagrad import MetaGradConfig

pytestmark = pytest.mark.integration

SHIPPED = Path(__file__).parent.parent.parent / "tuned_configs" / "pettingzoo"
BROKEN = """
import gymnasium as gym, numpy as np
from pettingzoo import ParallelEnv

class Broken(ParallelEnv):
    metadata = {{"name": "broken_v0"}}
    possible_agents = ["left", "right"]
    def observation_space(self, agent): return gym.spaces.Box(-1, 1, (2,))
    def action_space(self, agent): return gym.spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        self.agents, self.t = list(self.possible_agents), 0
        return {{a: np.zeros(2, np.float32) for a in self.agents}}, {{a: {{}} for a in self.agents}}
    def step(self, actions):
        self.t += 1
        observations = {{a: np.zeros(2, np.float32) for a in self.agents}}
        rewards = {{a: 0.0 for a in self.agents}}
        if self.t == 3:
            {mistake}
        ended = {{a: self.t == 5 for a in self.agents}}
        return observations, rewards, ended, {{a: False for a in self.agents}}, {{a: {{}} for a in self.agents}}

def make():
    return Broken()
"""


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rllib_metagrad.cli.main", "train", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("name", ["metagrad_simple_spread", "metagrad_knights_archers_zombies"])
def test_shipped_files_train_by_one_command(tmp_path: Path, name: str) -> None:
    done = train(tmp_path, "file", str(SHIPPED / f"{name}.yaml"), "--stop", '{"training_iteration": 2}')
    assert done.returncode == 0, done.stderr
    assert "designer return" in done.stdout


MISTAKES = {
    "observations": 'observations["right"] = np.zeros(3, np.float32)',
    "rewards": 'rewards["right"] = float("nan")',
    "rewards of others": 'rewards["nobody"] = 1.0',
}


def broken(folder: Path, key: str) -> str:
    """Writes an environment with a mistake, and its id."""
    name = f"broken_{key.replace(' ', '_')}"
    (folder / f"{name}.py").write_text(BROKEN.format(mistake=MISTAKES[key]))
    return f"{name}:make"


def check(line: str, id: str, key: str) -> None:
    assert id in line
    assert "nobody" in line or "right" in line
    assert key.split()[0] in line


def test_a_broken_environment_is_named_with_agent_and_key(tmp_path: Path) -> None:
    id = broken(tmp_path, "rewards")
    (tmp_path / "x.yaml").write_text(
        "x:\n  run: MetaGrad\n  env: pettingzoo\n  stop: {training_iteration: 2}\n"
        f"  config: {{env_config: {{id: '{id}'}}, num_env_runners: 0, num_envs_per_env_runner: 2}}\n"
    )
    done = train(tmp_path, "file", "x.yaml")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("rllib: error:")]
    check(line, id, "rewards")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("key", MISTAKES)
def test_every_mistake_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Here without the command, which adds its first words."""
    monkeypatch.syspath_prepend(str(tmp_path))
    config = MetaGradConfig().environment("pettingzoo", env_config={"id": broken(tmp_path, key)})
    algorithm = config.env_runners(num_envs_per_env_runner=2).debugging(log_level="ERROR").build_algo()
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        algorithm.train()
    algorithm.stop()
    check(str(error.value), f"broken_{key.replace(' ', '_')}:make", key)
