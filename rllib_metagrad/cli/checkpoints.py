"""Find a checkpoint from what a user has at hand: its folder, a trial's folder, or an experiment's."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

from rllib_metagrad.checkpoint_files import MARKER, missing_from
from rllib_metagrad.cli.errors import BadInputError

__all__ = ["checkpoints_of", "find_checkpoint", "is_checkpoint", "mend"]


def is_checkpoint(folder: pathlib.Path) -> bool:
    """True for a folder that `Algorithm.save_to_path` or Tune wrote, all of it."""
    return missing_from(folder) is None


def checkpoints_of(trial: pathlib.Path) -> list[pathlib.Path]:
    """A trial's checkpoints, oldest first."""
    return sorted(folder for folder in trial.glob("checkpoint_*") if is_checkpoint(folder))


def find_checkpoint(given: str) -> pathlib.Path:
    """The checkpoint that `given` means; of a trial, the last one.

    Raises:
        BadInputError: no such folder, no checkpoint in it, or more than one trial to choose from.
    """
    folder = pathlib.Path(given).expanduser().absolute()
    if not folder.is_dir():
        raise BadInputError(f"{given}: no such checkpoint folder")
    if is_checkpoint(folder):
        return folder
    if (folder / MARKER).exists():
        raise BadInputError(f"{given}: no whole checkpoint ({missing_from(folder)} is missing); give an earlier one")
    own = checkpoints_of(folder)
    if own:
        return own[-1]
    written = {found.parent for found in folder.glob(f"*/checkpoint_*/{MARKER}") if is_checkpoint(found.parent)}
    trials = sorted({checkpoint.parent for checkpoint in written})
    if len(trials) > 1:
        names = ", ".join(trial.name for trial in trials[:3])
        raise BadInputError(
            f"{given}: holds {len(trials)} trials with checkpoints; give one of them: {names}"
            + (", ..." if len(trials) > 3 else "")
        )
    if not trials:
        raise BadInputError(
            f"{given}: no checkpoint there; give a checkpoint or trial folder "
            "(runs write one at their end unless checkpoint_at_end is false)"
        )
    return checkpoints_of(trials[0])[-1]


def mend(run: pathlib.Path) -> Iterator[str]:
    """Puts the last whole checkpoint in the place of a newer one that is not, in every trial of a run to be resumed.

    Tune resumes a trial from the newest checkpoint that it has noted, by its name. What is not whole stays beside it.

    Yields:
        One line for each trial that goes on from an earlier checkpoint.

    Raises:
        BadInputError: a trial has checkpoints, and none of them is whole.
    """
    for trial in sorted({folder.parent for folder in run.glob("*/checkpoint_*")}):
        whole = checkpoints_of(trial)
        newer = [folder for folder in sorted(trial.glob("checkpoint_*[0-9]")) if not whole or folder > whole[-1]]
        if not newer:
            continue
        why = f"{newer[-1].name} is not whole ({missing_from(newer[-1])} is missing)"
        if not whole:
            raise BadInputError(f"--resume: {trial}: {why}, nor is one before it; start a new run without --resume")
        for folder in newer:
            folder.rename(folder.with_name(f"not_whole_{folder.name}"))
            shutil.copytree(whole[-1], folder)
        yield f"{trial.name}: {why}; the run goes on from {whole[-1].name}"
