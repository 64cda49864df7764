"""Who may import whom (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# Package: what its files must not import.
FORBIDDEN = {
    "env_wrappers": ("torch", "ray", "rllib_metagrad"),  # but see ALLOWED
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
ALLOWED = {"rllib_metagrad/mechanisms": ("env_wrappers.facts",), "env_wrappers": ("rllib_metagrad.settings",)}


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
        for name in imports_of(file):
            for banned in FORBIDDEN[package]:
                allowed = any(f"{name}.".startswith(f"{module}.") for module in ALLOWED.get(package, ()))
                assert allowed or not f"{name}.".startswith(f"{banned}."), f"{file} imports {name}"


def test_environments_need_neither_torch_nor_ray() -> None:
    """Not even by what they import of the settings."""
    code = "import sys, env_wrappers; print(sorted({'torch', 'ray'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
