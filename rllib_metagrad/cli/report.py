"""`rllib report`: figures and a page of run folders."""

from __future__ import annotations

import pathlib

from rllib_metagrad.cli import ray_session
from rllib_metagrad.cli.errors import BadInputError, one_line

__all__ = ["report"]


def report(runs: list[str], out: str | None, labels: list[str]) -> None:
    """Write the report of `runs` and print where it is.

    Raises:
        BadInputError: no run in a folder, or not one label per run.
    """
    ray_session.quiet(0)
    if labels and len(labels) != len(runs):
        raise BadInputError(f"--label: {len(labels)} for {len(runs)} runs; give one per run, in order")
    for run in runs:
        if not pathlib.Path(run).expanduser().is_dir():
            raise BadInputError(f"{run}: no such run folder")
    from rllib_metagrad.analysis.report import write_report

    folders = [pathlib.Path(run).expanduser() for run in runs]
    target = pathlib.Path(out) if out else (folders[0] if len(folders) == 1 else pathlib.Path()) / "report"
    try:
        written = write_report(folders, target, labels=labels or None)
    except ValueError as error:
        raise BadInputError(one_line(error)) from error
    except OSError as error:
        raise BadInputError(f"--out {target}: {error.strerror or error}") from error
    for figure in written.figures:
        print(figure)
    print(written.page)
