"""A user's own R^ID is asked about real steps before Ray starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

OBJECTIVES = """
import torch

def per_agent(trajectory): return trajectory.rewards
def a_number(trajectory): return 1.0
def undefined(trajectory): return trajectory.rewards.sum(-1) * float("nan")
def misspelt(trajectory): return trajectory.reward.sum(-1)
def of_the_context(trajectory): return trajectory.context["coin"].sum(-1)
def worst_off(trajectory): return trajectory.rewards.min(-1).values
"""
WRONG = {
    "per_agent": "must return a tensor [T, B], (3, 1), got (3, 1, 3)",
    "a_number": "must return a tensor [T, B], (3, 1), got float",
    "undefined": "gives NaN or infinity",
    "misspelt": "fails: AttributeError: 'Trajectory' object has no attribute 'reward'",
    "of_the_context": "fails: KeyError: 'coin'",
}


def write(folder: Path, name: str, env: str) -> None:
    (folder / "wishes.py").write_text(OBJECTIVES)
    (folder / "er.yaml").write_text(
        f"er:\n  run: MetaGrad\n  env: {env}\n  stop: {{training_iteration: 1}}\n"
        f'  config: {{designer_objective: "wishes:{name}"}}\n'
    )


@pytest.fixture(autouse=True)
def _forget_the_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("wishes", None)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_ones_are_refused_in_one_line(invoke: Any, tmp_path: Path, name: str) -> None:
    write(tmp_path, name, "escape_room")
    text = (tmp_path / "er.yaml").read_text().replace("config: {", "config: {env_config: {n: 3, m: 1}, ")
    (tmp_path / "er.yaml").write_text(text)
    result = invoke("train", "file", "er.yaml")
    assert result.exit_code == 2, result.output
    assert f"er.yaml:5: config.designer_objective: wishes:{name} {WRONG[name]}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("name", "env"), [("worst_off", "escape_room"), ("of_the_context", "gather_trade_build")])
def test_right_ones_pass(invoke: Any, tmp_path: Path, name: str, env: str) -> None:
    """The environment's own context is there."""
    write(tmp_path, name, env)
    result = invoke("train", "file", "er.yaml")
    assert "the command started Ray" in result.stderr  # which the fixture forbids
