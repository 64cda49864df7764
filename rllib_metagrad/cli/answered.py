"""`rllib evaluate --answered`: what a checkpoint's incentives are worth once agents have answered them."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from rllib_metagrad.cli import ray_session, run_folder
from rllib_metagrad.cli.errors import BadInputError, RunFailedError, one_line
from rllib_metagrad.settings import SettingError

__all__ = ["check_flags", "evaluate_answered", "fresh_folder"]

#: Flags by what `answered.plan` calls it, for its messages.
_FLAGS = {
    "steps": "--answered",
    "fresh_agents": "--fresh-agents",
    "fresh_steps": "--fresh-steps",
    "fresh_schedules": "--fresh-schedules",
    "folder": "--answered-folder",
    "env_config": "--env-config",
    "seed": "--seed",
    "episodes": "--episodes",
}


def check_flags(steps: int | None, options: Mapping[str, Any], render: str | None) -> None:
    """Flags that need others, or cannot go with them.

    Args:
        steps: of --answered, or None.
        options: of `answered.plan` by name, falsy where they were not given.
        render: of --render.

    Raises:
        BadInputError: on one line.
    """
    if steps is None:
        for name, value in options.items():
            if value:
                raise BadInputError(f"{_FLAGS[name]}: does nothing without --answered STEPS; add that, or leave it out")
        return
    for name in ("fresh_steps", "fresh_schedules"):
        if options[name] and not options["fresh_agents"]:
            raise BadInputError(f"{_FLAGS[name]}: does nothing without --fresh-agents N; add that, or leave it out")
    if render is not None:
        raise BadInputError(
            f"--render {render}: with --answered there are several populations; render one from the folder that "
            "--answered writes: rllib evaluate FOLDER/going_on --render FILE.gif"
        )


def fresh_folder(checkpoint: pathlib.Path) -> pathlib.Path:
    """`results/<run>_answered`, or with _2, _3, ... where that is there already."""
    in_trial = (checkpoint.parent / "params.json").is_file()
    name = f"{checkpoint.parent.parent.name if in_trial else checkpoint.name}_answered"
    folder, number = pathlib.Path("results") / name, 2
    while folder.exists():
        folder, number = folder.with_name(f"{name}_{number}"), number + 1
    return folder


def evaluate_answered(
    checkpoint: pathlib.Path, steps: int, folder: str | None, verbose: int, **options: Any
) -> dict[str, Any]:
    """Checks, then starts Ray, trains and evaluates every population, and prints a table.

    Args:
        checkpoint: its folder.
        steps: for which its agents go on.
        folder: for curves and checkpoints; None for a new one in results/.
        verbose: of Ray.
        options: further ones of `answered.plan`.

    Returns:
        The result without the curves, which the folder has.

    Raises:
        BadInputError: what is wrong, before Ray starts.
        RunFailedError: training failed.
    """
    from rllib_metagrad.answered import FRESH, GOING_ON, plan, run

    target = pathlib.Path(folder) if folder else fresh_folder(checkpoint)
    run_folder.check_writable(str(target.absolute()))
    try:
        question = plan(checkpoint, steps, folder=target, **options)
    except SettingError as error:
        if error.key == "designer_checkpoint":
            raise BadInputError(f"{checkpoint}: {one_line(error.message)}") from error
        raise BadInputError(f"{_FLAGS.get(error.key, error.key)}: {one_line(error.message)}") from error
    except (ValueError, TypeError, AttributeError, KeyError, ImportError) as error:  # of a folder that someone hands us
        raise BadInputError(f"{checkpoint}: {one_line(error)}") from error
    with ray_session.session(verbose=verbose):
        try:
            result = run(question)
        except (ValueError, RuntimeError, FloatingPointError, OSError) as error:
            raise RunFailedError(f"{checkpoint}: {one_line(error)}") from error
    _print_table(result)
    print(f"figures      rllib report {target}\ncheckpoints  {target}")
    for population in (result[GOING_ON], *result[FRESH]):
        del population["curve"]
    return {**result, "folder": str(target)}


def _print_table(result: Mapping[str, Any]) -> None:
    """A row for each population, and one for the fresh ones together."""
    from rllib_metagrad import metrics
    from rllib_metagrad.answered import AS_TRAINED, FRESH, GOING_ON

    shown = ((metrics.RETURN, "designer return"), (metrics.PAID, "paid"), (metrics.NET, "net"))
    table = Table(box=None, pad_edge=False)
    table.add_column("agents")
    for head in ("env steps", *(head for _, head in shown)):
        table.add_column(head, justify="right")
    rows = [("as trained", result["trained_steps"], result[AS_TRAINED])]
    rows += [("the same, going on", result[GOING_ON]["env_steps"], result[GOING_ON])]
    rows += [(f"fresh {number}", found["env_steps"], found) for number, found in enumerate(result[FRESH], 1)]
    for name, env_steps, found in rows:
        cells = [f"{found[f'{m.stem}_mean']:.2f} ± {found[f'{m.stem}_se']:.2f}" for m, _ in shown]
        table.add_row(name, f"{env_steps:,}", *cells)
    if len(result[FRESH]) > 1:
        over = result["fresh_estimate"]
        spreads = [f"{over[m.stem]['mean']:.2f} (sd {over[m.stem]['standard_deviation']:.2f})" for m, _ in shown]
        table.add_row("fresh: mean", "", *spreads)
        table.add_row("fresh: IQM [95%]", "", *(_interval(over[m.stem]) for m, _ in shown))
    Console().print(table)


def _interval(over: Mapping[str, Any]) -> str:
    low, high = (math.nan if over[key] is None else over[key] for key in ("low", "high"))
    return f"{over['iqm']:.2f} [{low:.2f}, {high:.2f}]"
