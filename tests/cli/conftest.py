"""Run the `rllib` command inside the test process."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def _undo_quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[None]:
    """The command silences logging and sets environment variables for its process; tests share theirs."""
    before, level = dict(os.environ), logging.root.manager.disable
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    yield
    logging.disable(level)
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`invoke("train", "file", path)` -> exit_code, stdout, stderr. Starting Ray is an error."""
    from rllib_metagrad.cli.main import app

    def no_ray(**_: object) -> None:
        raise AssertionError("the command started Ray")

    monkeypatch.setattr("rllib_metagrad.cli.ray_session.session", no_ray)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="rllib")

    return run
