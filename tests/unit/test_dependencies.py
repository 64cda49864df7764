"""Who may import whom (docs/architecture.md): every arrow of the house, and no other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
_ROLLOUTS = {"core", "modules", "env_wrappers", "settings"}
#: Part of the package (or env_wrappers): parts that its files may import, from the ground floor up.
ARROWS: dict[str, set[str]] = {
    "settings": set(),
    "metrics": set(),
    "old_metrics": {"metrics"},
    "statistics": set(),
    "process": set(),
    "weighted_mean": set(),
    "checkpoint_files": set(),
    "state_files": {"checkpoint_files"},
    "ray_compat": {"weighted_mean", "state_files"},
    "env_wrappers": {"settings"},
    "core": {"settings", "metrics", "state_files"},
    "mechanisms": {"core", "settings", "env_wrappers.facts"},
    "modules": {"core", "mechanisms", "settings", "env_wrappers", "ray_compat"},
    "late_rewards": {"core", "env_wrappers"},
    "in_force": _ROLLOUTS,
    "observation_filter": {"env_wrappers"},
    "connectors": {"env_wrappers", "settings", "observation_filter"},
    "sampling": _ROLLOUTS | {"in_force", "late_rewards", "observation_filter"},
    "episode_statistics": {"core", "metrics"},
    "environments": {"env_wrappers", "settings", "observation_filter", "connectors"},
    "learners": {"core", "modules", "settings", "metrics", "old_metrics", "process", "ray_compat"},
    "env_runner": _ROLLOUTS
    | {"environments", "episode_statistics", "sampling", "metrics", "old_metrics", "process", "ray_compat"}
    | {"observation_filter"}
    | {"weighted_mean"},
    "lending": {"env_runner", "env_wrappers"},
    "registration": {"algorithms", "env_wrappers"},  # inside functions, when Ray is there
    "algorithms": _ROLLOUTS
    | {"mechanisms", "learners", "env_runner", "environments", "metrics", "checkpoint_files", "ray_compat"}
    | {"registration", "weighted_mean", "lending", "old_metrics", "state_files", "observation_filter"},
    "evaluation": {"algorithms", "env_runner", "episode_statistics", "lending", "modules", "core", "env_wrappers"}
    | {"metrics", "old_metrics", "statistics", "checkpoint_files", "state_files"},
    "answered": {"algorithms", "env_wrappers", "environments", "evaluation", "modules", "ray_compat", "settings"}
    | {"metrics", "statistics", "checkpoint_files"},
    "analysis": {"metrics", "old_metrics", "statistics", "settings", "env_wrappers"},
}
#: Parts that may import neither Ray nor torch, or not Ray.
WITHOUT = {
    **{
        key: {"ray", "torch"}
        for key in (
            "settings",
            "metrics",
            "old_metrics",
            "env_wrappers",
            "checkpoint_files",
            "state_files",
            "statistics",
        )
    },
    **{key: {"ray"} for key in ("core", "mechanisms", "late_rewards", "in_force", "sampling", "episode_statistics")},
    "observation_filter": {"ray", "torch"},
}


def files_of(part: str) -> list[Path]:
    folder = ROOT / part if part == "env_wrappers" else ROOT / "rllib_metagrad" / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imports_of(file: Path) -> set[str]:
    """Modules, also of imports inside functions; ``from package import module`` counts as the module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module in ("rllib_metagrad", "env_wrappers")
            names |= {f"{node.module}.{alias.name}" for alias in node.names} if whole else {node.module}
    return names


@pytest.mark.parametrize("part", ARROWS)
def test_no_arrow_points_upward(part: str) -> None:
    for file in files_of(part):
        for name in imports_of(file):
            top, _, rest = name.partition(".")
            if top in WITHOUT.get(part, set()):
                pytest.fail(f"{file} imports {name}")
            if top not in ("rllib_metagrad", "env_wrappers"):
                continue
            target = rest.split(".")[0] if top == "rllib_metagrad" else "env_wrappers"
            allowed = target == part or target in ARROWS[part] or name in ARROWS[part]
            assert allowed, f"{file} imports {name}"


def test_the_order_of_the_arrows_has_no_circle() -> None:
    """Each part only knows parts above it in the list; what is left over (cli) sits on top of all."""
    known: set[str] = set()
    for part, targets in ARROWS.items():
        late = {"algorithms"} if part == "registration" else set()
        assert {target.split(".")[0] for target in targets} - late <= known, part
        known.add(part)
    parts = {path.stem for path in (ROOT / "rllib_metagrad").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - known - {"__init__", "__pycache__", "py"} == {"cli"}


@pytest.mark.parametrize("module", ["env_wrappers", "rllib_metagrad.mechanisms", "rllib_metagrad.modules.fit"])
def test_what_is_checked_first_needs_neither_torch_nor_ray(module: str) -> None:
    """Not even by what it imports of others."""
    code = f"import sys, {module}; print(sorted({{'torch', 'ray'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
