"""`rllib train` on the original, as a whole command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foundation_play import needs_package

YAML = """
economy:
  run: FixedIncentive
  env: gather_trade_build
  stop: {training_iteration: 2}
  config:
    env_config: {backend: foundation, max_steps: 20, tax: us_federal}
    num_env_runners: 0
    num_envs_per_env_runner: 2
    parameter_sharing: true
    agent_network: NETWORK
    seed: 1
"""


@pytest.mark.integration
@needs_package
@pytest.mark.parametrize(
    "network", ["{hiddens: [8]}", "{encoder: picture_and_vector, filters: [[2, 5, 3]], hiddens: [8]}"]
)
def test_train(network: str, tmp_path: Path) -> None:
    (tmp_path / "economy.yaml").write_text(YAML.replace("NETWORK", network))
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", "train", "file", "economy.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert "GPU" not in done.stdout + done.stderr
    (trial,) = (tmp_path / "results" / "economy").glob("FixedIncentive_*")
    rows = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
    assert len(rows) == 2
    # Welfare of four agents who own 40 coin at first, summed over 20 steps.
    assert 0 < rows[-1]["env_runners"]["designer_return_mean"] < 20 * 1000
    assert np.isfinite(rows[-1]["env_runners"]["designer_return_mean"])
