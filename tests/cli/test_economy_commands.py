"""`rllib train`, `evaluate --render` and `report` on an economy, as whole commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

YAML = """
economy:
  run: FixedIncentive
  env: gather_trade_build
  stop: {training_iteration: 2}
  config:
    env_config: {max_steps: 20, tax: us_federal, scenario_config: {starting_agent_coin: 50}}
    num_env_runners: 0
    num_envs_per_env_runner: 2
    parameter_sharing: true
    evaluation_interval: 2
    evaluation_duration: 2
    seed: 1
"""
RATES = {"0": 0.1, "9.7": 0.12, "39.475": 0.22, "84.2": 0.24, "160.725": 0.32, "204.1": 0.35, "510.3": 0.37}


def rllib(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rllib_error(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.mark.integration
def test_train_evaluate_report(tmp_path: Path) -> None:
    (tmp_path / "economy.yaml").write_text(YAML)
    rllib(tmp_path, "train", "file", "economy.yaml")
    (trial,) = (tmp_path / "results" / "economy").glob("FixedIncentive_*")
    row = json.loads((trial / "result.json").read_text().splitlines()[-1])
    for runners in (row["env_runners"], row["evaluation"]["env_runners"]):
        episode = runners["episode"]
        np.testing.assert_allclose(list(episode["tax_rate"].values()), [RATES[key] for key in episode["tax_rate"]])
        assert set(episode["income"]) == {"skill_1", "skill_2", "skill_3", "skill_4"}
        # R^ID is the welfare of a step.
        assert episode["welfare"] == pytest.approx(runners["designer_return_mean"], rel=1e-4)
        assert episode["productivity"] >= 200 - 1e-6

    checkpoint = str(next(iter(trial.glob("checkpoint_*"))))
    out = rllib(tmp_path, "evaluate", checkpoint, "--episodes", "3", "--render", "out.gif")
    result = json.loads(out.splitlines()[-1])
    assert set(result["episode"]) == set(result["episode_se"])
    assert result["episode"]["welfare"] == pytest.approx(result["designer_return_mean"], rel=1e-4)
    assert result["episode"]["tax_rate/9.7"] == pytest.approx(0.12)
    out = rllib(tmp_path, "evaluate", checkpoint, "--episodes", "2", "--env-config", '{"tax": "free_market"}')
    result = json.loads(out.splitlines()[-1])
    assert result["env_config"] == {"tax": "free_market"}
    assert result["episode"]["tax_rate/9.7"] == 0
    message = rllib_error(tmp_path, "evaluate", checkpoint, "--env-config", '{"num_agents": 3}')
    assert "env_config makes an environment that policies and designer do not fit: its possible_agents" in message
    with Image.open(tmp_path / "out.gif") as gif:
        # The start and 20 steps.
        assert gif.n_frames == 21
        # Under the picture: what is offered, and what each agent got.
        assert gif.size == (480 + 448, 480 + 128)

    figures = [Path(line).stem for line in rllib(tmp_path, "report", "results/economy").splitlines()[:-1]]
    assert {"welfare", "tax_rates", "incomes_by_skill", "activity_by_skill", "snapshots"} <= set(figures)


@pytest.mark.integration
def test_what_a_cluster_trained_is_evaluated_in_one_process(tmp_path: Path) -> None:
    """It would wait for CPUs for ever where there are fewer than the run had."""
    (tmp_path / "economy.yaml").write_text(YAML)
    actors = {"num_env_runners": 2, "evaluation_num_env_runners": 2, "num_learners": 2}
    changes = ["--override", "--config", json.dumps(actors), "--stop", '{"training_iteration": 1}']
    rllib(tmp_path, "train", "file", "economy.yaml", *changes, "--ray-num-cpus", "8")
    out = rllib(tmp_path, "evaluate", "results/economy", "--episodes", "2")
    assert json.loads(out.splitlines()[-1])["episode"]["tax_rate/9.7"] == pytest.approx(0.12)
