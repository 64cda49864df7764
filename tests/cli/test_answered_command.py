"""`rllib evaluate --answered`, `rllib report` of it, and `designer_checkpoint` in a YAML, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

TRAINED = """
designed:
  run: {run}
  env: escape_room
  stop: {{training_iteration: 2}}
  config: {{env_config: {{n: 2, m: 1}}, num_env_runners: 0, num_envs_per_env_runner: 4, seed: 1}}
"""
FROZEN = """
frozen:
  run: FixedIncentive
  env: escape_room
  stop: {{training_iteration: 2}}
  config:
    env_config: {{n: 2, m: {m}}}
    num_env_runners: 0
    num_envs_per_env_runner: 4
    designer_checkpoint: {path}
"""


def rllib(folder: Path, *arguments: str, code: int = 0) -> str:
    """What the command prints; of a failure the one line."""
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `rllib train` has trained dual-RL in results/designed."""
    folder = tmp_path_factory.mktemp("answered")
    (folder / "designed.yaml").write_text(TRAINED.format(run="DualRL"))
    rllib(folder, "train", "file", "designed.yaml")
    return folder


def test_answered_report_and_a_frozen_designer_in_a_yaml(runs: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (runs / "results" / "designed").rglob("*")}
    asked = ["evaluate", "results/designed", "--answered", "20", "--fresh-agents", "2", "--fresh-steps", "20"]
    printed = rllib(runs, *asked, "--episodes", "3", "--out", "a.json")
    for part in ("as trained", "the same, going on", "fresh 1", "fresh 2", "fresh: mean", "designer return", "paid"):
        assert part in printed
    result = json.loads(printed.splitlines()[-1])
    assert result == json.loads((runs / "a.json").read_text())
    assert result["folder"] == "results/designed_answered"
    assert len(result["fresh"]) == 2
    stored = json.loads((runs / "results" / "designed_answered" / "answered.json").read_text())
    assert stored["going_on"]["curve"][-1]["num_env_steps_sampled_lifetime"] >= 20
    figures = rllib(runs, "report", "results/designed_answered").splitlines()
    assert any(line.endswith("answered.png") for line in figures)
    again = rllib(runs, "evaluate", "results/designed", "--answered", "1", "--episodes", "1")
    assert json.loads(again.splitlines()[-1])["folder"] == "results/designed_answered_2"
    assert {file: file.stat().st_mtime_ns for file in (runs / "results" / "designed").rglob("*")} == before

    (trial,) = (runs / "results" / "designed").glob("DualRL_*")
    checkpoint = (trial / "checkpoint_000000").relative_to(runs)
    (runs / "frozen.yaml").write_text(FROZEN.format(m=1, path=checkpoint))
    assert "last checkpoint" in rllib(runs, "train", "file", "frozen.yaml")
    assert "designer_return_mean" in rllib(runs, "evaluate", "results/frozen", "--episodes", "2")
    (runs / "other.yaml").write_text(FROZEN.format(m=1, path=checkpoint).replace("n: 2", "n: 3"))
    message = rllib(runs, "train", "file", "other.yaml", code=2)
    assert "other.yaml:10: config.designer_checkpoint: its designer does not fit escape_room" in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--answered", "0"], "Invalid value for '--answered'"),
        (["--answered", "many"], "Invalid value for '--answered'"),
        (["--answered", "10", "--fresh-agents", "0"], "Invalid value for '--fresh-agents'"),
        (["--fresh-agents", "2"], "--fresh-agents: does nothing without --answered STEPS"),
        (["--answered-folder", "x"], "--answered-folder: does nothing without --answered STEPS"),
        (["--answered", "10", "--fresh-steps", "5"], "--fresh-steps: does nothing without --fresh-agents N"),
        (["--answered", "10", "--fresh-schedules"], "--fresh-schedules: does nothing without --fresh-agents N"),
        (["--answered", "10", "--render", "a.gif"], "--render a.gif: with --answered there are several populations"),
        (["--answered", "10", "--steps", "100"], "--steps: populations that answer are evaluated by --episodes"),
        (["--answered", "10", "--data-only"], "--data-only: agents that learn need all of a checkpoint"),
        (["--answered", "10", "--answered-folder", "results"], "results is there already; name a new one"),
        (["--answered", "10", "--answered-folder", "/dev/null/x"], "/dev/null is a file"),
        (["--answered", "10", "--seed", "-1"], "--seed: must be a whole number >= 0, got -1"),
        (["--answered", "10", "--env-config", '{"n": 3}'], "--env-config: "),
        (["--answered", "10", "--env-config", '{"nn": 3}'], "--env-config: "),
    ],
)
def test_what_is_wrong_is_one_line_before_ray_starts(invoke, monkeypatch, runs, flags, message) -> None:
    monkeypatch.chdir(runs)
    result = invoke("evaluate", "results/designed", *flags)
    assert result.exit_code == 2, (result.output, result.exception)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
