"""Documentation names what there is: every config key and every metric."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from env_wrappers.cleanup import Cleanup
from env_wrappers.gather_trade_build.foundation import FoundationEnv
from env_wrappers.gather_trade_build.foundation.package import INSTALL
from env_wrappers.gather_trade_build.twin import GatherTradeBuild
from env_wrappers.one_step_economy import OneStepEconomy

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize(
    ("page", "backends"),
    [
        ("cleanup", [Cleanup]),
        ("gather_trade_build", [FoundationEnv, GatherTradeBuild]),
        ("one_step_economy", [OneStepEconomy]),
    ],
)
def test_environment_pages_have_a_row_for_every_key(page: str, backends: list[type[Any]]) -> None:
    """And none for a key that there is not, in the table of the section Configuration."""
    section = (DOCS / f"{page}.md").read_text().split("\n## Configuration\n")[1].split("\n#")[0]
    rows = [line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")]
    keys = {key for environment in backends for key in inspect.signature(environment).parameters}
    assert sorted(set(rows) - {"backend"}) == sorted(keys)
    assert len(rows) == len(set(rows))


def test_ai_economist_is_installed_alike_everywhere() -> None:
    """A plain install leaves it out; the line that adds it is in make install, in the README and in the error."""
    assert INSTALL in (DOCS.parent / "README.md").read_text()
    assert INSTALL in (DOCS / "gather_trade_build.md").read_text()
    assert INSTALL.replace("install", "install --quiet", 1) in (DOCS.parent / "Makefile").read_text()
