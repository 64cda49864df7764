"""Examples run as they are shipped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"


def run(name: str, folder: Path) -> str:
    """What an example prints, run from any folder with what is shipped."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def returns_of(printed: str) -> np.ndarray:
    """The designer's returns in what an example prints."""
    return np.array([float(number) for number in re.findall(r"designer's return (-?[\d.]+)", printed)])


def test_every_example_is_tested_and_walked_through() -> None:
    tests, page = Path(__file__).read_text(), (ROOT / "docs" / "extending.md").read_text()
    for file in EXAMPLES.glob("*.py"):
        assert f'"{file.name}"' in tests, file.name
        assert f"](../examples/{file.name})" in page or file.name == "metagrad_without_rllib.py", file.name


@pytest.mark.integration
@pytest.mark.parametrize("name", ["own_designer.py", "own_loss.py", "own_mechanism.py", "own_network.py"])
def test_what_is_ones_own_trains_with_a_remote_runner(name: str, tmp_path: Path) -> None:
    returns = returns_of(run(name, tmp_path))
    assert len(returns) >= 5
    assert np.isfinite(returns).all()
    assert (returns <= 20).all()


def test_the_method_without_rllib() -> None:
    """At most a hundred lines, no Ray, and ER(2,1) solved: the paper's optimum is a net of 8."""
    file = EXAMPLES / "metagrad_without_rllib.py"
    assert len(file.read_text().splitlines()) <= 100
    code = (
        "import runpy, sys; sys.modules['ray'] = None; "
        f"net = runpy.run_path({str(file)!r})['main'](seed=0, updates=400); print(net)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1]) > 8


@pytest.mark.integration
def test_own_rl_module(tmp_path: Path) -> None:
    """ER(2,1) is solved: R^ID of 9 at most."""
    printed = run("own_rl_module.py", tmp_path)
    assert returns_of(printed)[-1] > 8
    assert printed.splitlines()[-1].endswith("in a OneTrunk")


@pytest.mark.integration
def test_own_game(tmp_path: Path) -> None:
    """Nobody gives at first; with incentives nearly everybody does: R^ID 8.6 of 9.6, docs/pettingzoo.md."""
    returns = returns_of(run("own_game.py", tmp_path))
    assert returns[-1] > 8


@pytest.mark.integration
def test_own_callback(tmp_path: Path) -> None:
    printed = run("own_callback.py", tmp_path)
    levers = [int(share) for share in re.findall(r"at the lever (\d+)%", printed)]
    assert all(0 <= share <= 100 for share in levers)
    assert printed.splitlines()[-1] == "solved"


@pytest.mark.integration
def test_the_way_from_training_to_figures(tmp_path: Path) -> None:
    """The script "train_evaluate_plot.py" in a folder of its own; what it evaluates is what training had reached."""
    printed = run("train_evaluate_plot.py", tmp_path)
    match = re.search(r"net return (-?[\d.]+) \+- ([\d.]+)", printed)
    assert match is not None
    assert float(match[1]) > 6
    made = {file.name for file in (tmp_path / "escape_room").iterdir()}
    assert made == {"checkpoint", "episode.gif", "returns.png", "incentives_by_action.png", "learner.png"}
