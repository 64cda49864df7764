"""Who may import whom (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# Package: what its files must not import.
FORBIDDEN = {
    "env_wrappers": ("torch", "ray", "rllib_metagrad"),
    "rllib_metagrad/core": (
        "ray",
        "env_wrappers",
        "rllib_metagrad.algorithms",
        "rllib_metagrad.learners",
        "rllib_metagrad.modules",
        "rllib_metagrad.mechanisms",
    ),
    "rllib_metagrad/mechanisms": ("ray", "env_wrappers", "rllib_metagrad.learners", "rllib_metagrad.algorithms"),
    "rllib_metagrad/modules": ("rllib_metagrad.learners", "rllib_metagrad.algorithms", "rllib_metagrad.cli"),
    "rllib_metagrad/learners": ("rllib_metagrad.cli", "rllib_metagrad.analysis", "rllib_metagrad.env_runner"),
    "rllib_metagrad/algorithms": ("rllib_metagrad.cli", "rllib_metagrad.analysis"),
}
# Modules that they may import all the same: records without behavior, shared by both sides of a wall.
ALLOWED = {"rllib_metagrad/mechanisms": {"env_wrappers.facts"}}


def imports_of(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_respect_the_house(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        for name in imports_of(file) - ALLOWED.get(package, set()):
            for banned in FORBIDDEN[package]:
                assert not f"{name}.".startswith(f"{banned}."), f"{file} imports {name}"
