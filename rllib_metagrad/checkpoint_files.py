"""Checkpoints on disk that are whole or not there: written aside and renamed, with a list of what belongs to them.

The rename protects a folder that we write ourselves. Tune copies that folder to the storage path file by file, and a
disk that fills up, or a kill, may leave a part of it there; the list tells such a part from a checkpoint, and a file
that has changed since from what was written. It is no protection against people: they can change the list, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

#: RLlib's own mark, which it writes first of all.
MARKER = "rllib_checkpoint.json"
#: Ours, written last: size in bytes and SHA-256 of all files, by path; in version 0.1 the size alone.
CONTENTS = "contents.json"


class IncompleteCheckpointError(ValueError):
    """A folder holds only a part of a checkpoint."""


@contextlib.contextmanager
def written_aside(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside ``target`` to write to; it takes ``target``'s place when the block ends well.

    If the block fails, the folder is removed and an older ``target`` is as it was.
    """
    aside = target.with_name(f".{target.name}.unfinished")
    replaced = target.with_name(f".{target.name}.replaced")
    for left_over in (aside, replaced):
        shutil.rmtree(left_over, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        files = [file for file in aside.rglob("*") if file.is_file()]
        listed = {
            str(file.relative_to(aside)): {"bytes": file.stat().st_size, "sha256": _sha256(file)} for file in files
        }
        (aside / CONTENTS).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    if target.exists():
        target.rename(replaced)
    aside.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


def missing_from(folder: pathlib.Path) -> str | None:
    """What a checkpoint lacks, or None if it is whole; of algorithms that write no list only the mark is asked for.

    A list with checksums also tells a file that has changed since.
    """
    marks = _read(folder / MARKER)
    if marks is None:
        return MARKER
    if not marks.get(CONTENTS):
        return None
    listed = _read(folder / CONTENTS)
    if listed is None:
        return CONTENTS
    for name, entry in listed.items():
        size, checksum = (entry["bytes"], entry["sha256"]) if isinstance(entry, dict) else (entry, None)
        there = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if there < size:
            return f"{size - there} of {size} bytes of {name}"
        if there > size or (checksum is not None and _sha256(folder / name) != checksum):
            return f"{name} as it was written (the file has changed)"
    return None


def _sha256(file: pathlib.Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read(file: pathlib.Path) -> dict[str, Any] | None:
    """A JSON mapping, or None where there is none, or not all of it."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None


def check_whole(folder: pathlib.Path) -> None:
    """Before anything is read from a checkpoint.

    Raises:
        IncompleteCheckpointError: naming what is missing.
    """
    missing = missing_from(folder)
    if missing is not None:
        raise IncompleteCheckpointError(f"{folder} is no whole checkpoint: {missing} is missing; use an earlier one")


def policies_of_checkpoint(path: pathlib.Path, key: str = "agents_checkpoint") -> pathlib.Path:
    """The folder in which a checkpoint holds its policies and its designer, one folder each.

    Tune's trials run in folders of their own; a relative path is meant from where the command was given.

    Args:
        path: of the checkpoint.
        key: the setting that names it, for messages.

    Raises:
        ValueError: if ``path`` is no checkpoint of a run.
    """
    start = pathlib.Path(os.environ.get("TUNE_ORIG_WORKING_DIR", "."))
    folder = start / path.expanduser() / "learner_group" / "learner" / "rl_module"
    if not folder.is_dir():
        raise ValueError(f"{key}: {path} is no checkpoint of a run (there is no {folder})")
    return folder
