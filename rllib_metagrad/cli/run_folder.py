"""Where a run goes, and the settings noted there, with which `--resume` compares those of today."""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import Any

from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.cli.search_space import Space
from rllib_metagrad.settings.base import plain

__all__ = [
    "SPEC_FILE",
    "check_same",
    "check_writable",
    "describe",
    "fresh_name",
    "has_run",
    "name_to_resume",
    "problem_with_name",
    "storage_root",
    "write_spec",
]

SPEC_FILE = "rllib_train.json"
_LONGEST_NAME = 200  # of the 255 that file systems take: Tune adds to it
_STATE = "experiment_state-*.json"


def problem_with_name(name: object) -> str | None:
    """Why a run cannot have this name, which is that of its folder; None where it can."""
    if not isinstance(name, str) or not name or "/" in name:
        return f"must be a word without '/', got {name!r}"
    if name in (".", "..") or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        return f"must be the name of a folder, at most {_LONGEST_NAME} bytes, got {name[:40]!r}"
    return None


def storage_root(storage_path: str) -> str:
    """An absolute path, or a URI as it is (Tune takes nothing relative)."""
    if "://" in storage_path:
        return storage_path
    return str(pathlib.Path(storage_path).expanduser().absolute())


def check_writable(root: str) -> None:
    """Whether runs can be written there; nothing is written yet. URIs are left to Tune.

    Raises:
        BadInputError: it cannot be, and why.
    """
    if "://" in root:
        return
    folder = pathlib.Path(root)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        raise BadInputError(f"storage_path: {root} cannot be written: {there} is a file; name a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise BadInputError(f"storage_path: {root} cannot be written: no permission in {there}; name another folder")


def has_run(folder: pathlib.Path) -> bool:
    """True where Tune has left an experiment's state."""
    return any(folder.glob(_STATE))


def _runs_named(root: pathlib.Path, name: str) -> list[tuple[int, str]]:
    """Run folders `name`, `name_2`, `name_3`, ... as (number, folder name), in order."""
    pattern = re.compile(rf"{re.escape(name)}(?:_(\d+))?")
    if not root.is_dir():
        return []
    found = ((pattern.fullmatch(folder.name), folder) for folder in root.iterdir())
    return sorted((int(match[1] or 1), folder.name) for match, folder in found if match and has_run(folder))


def fresh_name(root: str, name: str) -> str:
    """`name`, or `name_2`, ... where a run of that name is there already: runs are never mixed up."""
    if "://" in root:
        return name
    taken = _runs_named(pathlib.Path(root), name)
    return f"{name}_{taken[-1][0] + 1}" if taken else name


def name_to_resume(root: str, name: str) -> str:
    """The newest run folder of that name.

    Raises:
        BadInputError: there is none.
    """
    if "://" in root:
        return name
    runs = _runs_named(pathlib.Path(root), name)
    if not runs:
        others = sorted(f.name for f in pathlib.Path(root).glob("*") if f.is_dir() and has_run(f))
        there = f"; runs there: {', '.join(others[:5])}" if others else ""
        raise BadInputError(f"--resume: no run named {name!r} in {root}{there}")
    return runs[-1][1]


def describe(experiment: Experiment) -> dict[str, Any]:
    """What decides how a run goes on, as plain JSON; search spaces by their text."""
    return {
        "run": experiment.run_name,
        "stop": experiment.stop,
        "num_samples": experiment.num_samples,
        "config": _plain(experiment.config),
        "checkpoint_config": plain(experiment.checkpoint_config),
        "scheduler": _plain(experiment.scheduler),
        "search_alg": _plain(experiment.search_alg),
    }


def _plain(value: Any) -> Any:
    """JSON's types only; what has no JSON form by its name (never by its address, which changes)."""
    from ray.tune.search.sample import Domain

    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in sorted(value.items(), key=lambda kv: str(kv[0]))}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Space):
        value = value.domain()
    if isinstance(value, Domain):
        return f"{type(value).__name__} {value.domain_str}"
    return getattr(value, "__qualname__", None) or type(value).__name__


def write_spec(folder: pathlib.Path, experiment: Experiment) -> None:
    """Note the settings in the run folder.

    Raises:
        BadInputError: the disk is full, or will not take files for another reason.
    """
    text = json.dumps(describe(experiment), indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SPEC_FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError(
            f"storage_path: {folder} cannot be written: {error.strerror}; name another folder"
        ) from error


def check_same(folder: pathlib.Path, experiment: Experiment) -> None:
    """A resumed run keeps its settings, so different ones now would be ignored in silence.

    Raises:
        BadInputError: with the first setting that differs, both values.
    """
    file = folder / SPEC_FILE
    if not file.is_file():
        return
    before, now = json.loads(file.read_text(encoding="utf-8")), describe(experiment)
    for section in now:
        old, new = before.get(section), now[section]
        if old == new:
            continue
        name = section
        if isinstance(old, dict) and isinstance(new, dict):
            key = next(k for k in sorted({*old, *new}) if old.get(k) != new.get(k))
            name, old, new = f"{section}.{key}", old.get(key), new.get(key)
        raise BadInputError(
            f"--resume: {name} was {old!r} and is {new!r} now, but a resumed run keeps its settings; "
            "change it back, or start a new run with --restore CHECKPOINT"
        )
