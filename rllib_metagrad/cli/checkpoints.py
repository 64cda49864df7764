"""Find a checkpoint from what a user has at hand: its folder, a trial's folder, or an experiment's."""

from __future__ import annotations

import pathlib

from rllib_metagrad.checkpoint_files import MARKER, missing_from
from rllib_metagrad.cli.errors import BadInputError

__all__ = ["checkpoints_of", "find_checkpoint", "is_checkpoint"]


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
