"""`rllib evaluate`: run a checkpoint's policies without exploration."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from rllib_metagrad.cli import ray_session
from rllib_metagrad.cli.answered import check_flags, evaluate_answered
from rllib_metagrad.cli.checkpoints import find_checkpoint
from rllib_metagrad.cli.errors import BadInputError, RunFailedError, one_line
from rllib_metagrad.cli.python_file import import_file, kept_with
from rllib_metagrad.cli.yaml_loader import load_mapping

__all__ = ["evaluate"]

_MAX_ROWS = 60


def evaluate(
    checkpoint: str,
    episodes: int | None = None,
    *,
    steps: int | None = None,
    render: str | None = None,
    out: str | None = None,
    seed: int = 0,
    greedy: bool = False,
    env_config: str | None = None,
    file: str | None = None,
    answered: int | None = None,
    answered_options: Mapping[str, Any] | None = None,
    data_only: bool = False,
    verbose: int = 0,
) -> None:
    """Evaluate, print a table, and as the last line one JSON object.

    With `answered`, environment steps, agents answer the designer first, see `cli/answered.py`; its further options are
    those of `answered.plan` by name.

    Raises:
        BadInputError: both episodes and steps, no checkpoint there, an output path that cannot be written, or an
            `env_config` that is no JSON object.
        RunFailedError: the checkpoint could not be loaded or run, or (after all is printed) not be drawn.
    """
    if episodes is not None and steps is not None:
        raise BadInputError("--episodes and --steps: give one; --steps plays whole episodes until there are so many")
    ray_session.quiet(verbose)
    options = dict(answered_options or {})
    check_flags(answered, options, render)
    folder = find_checkpoint(checkpoint)
    _import_definitions(folder, file, data_only)
    changes = load_mapping(env_config, "--env-config") if env_config else {}
    for flag, path, suffixes in (("--render", render, (".gif",)), ("--out", out, (".json",))):
        if path is None:
            continue
        if pathlib.Path(path).suffix not in suffixes:
            raise BadInputError(f"{flag} {path}: must end with {' or '.join(suffixes)}")
        if not pathlib.Path(path).absolute().parent.is_dir():
            raise BadInputError(f"{flag} {path}: no such folder {pathlib.Path(path).absolute().parent}")
    if answered is not None:
        target = options.pop("folder", None)
        if steps is not None:
            raise BadInputError("--steps: populations that answer are evaluated by --episodes; leave it out")
        if data_only:
            raise BadInputError("--data-only: agents that learn need all of a checkpoint; leave it or --answered out")
        options |= {"seed": seed, "greedy": greedy, "env_config": changes}
        if episodes is not None:
            options["episodes"] = episodes
        _finish(evaluate_answered(folder, answered, target, verbose, **options), out)
        return
    with ray_session.session(verbose=verbose):
        result = _evaluate(folder, episodes, steps, render, seed, greedy, changes, data_only)
    result = {"checkpoint": str(folder), **({"env_config": changes} if changes else {}), **result}
    _print_table(result)
    if result.get("render"):
        print(f"wrote {render}")
    _finish(result, out)
    if "render_error" in result:
        raise RunFailedError(f"--render {render}: no picture, but all else is above: {result['render_error']}")


def _finish(result: dict[str, Any], out: str | None) -> None:
    """The result as a file, if one is wanted, and as the last line."""
    if out is not None:
        pathlib.Path(out).write_text(json.dumps(result, default=_plain, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {out}")
    print(json.dumps(result, default=_plain))


def _import_definitions(folder: pathlib.Path, file: str | None, data_only: bool) -> None:
    """What the run's Python file registers and defines: `--file`, or the copy in its folder unless `data_only`."""
    if file is not None and not pathlib.Path(file).is_file():
        raise BadInputError(f"--file {file}: no such file")
    if file is not None:
        import_file(file)
    elif not data_only and (kept := kept_with(folder)) is not None:
        import_file(kept, advice="; if it needs files beside it, name the original: --file FILE.py")


def _evaluate(
    folder: pathlib.Path,
    episodes: int | None,
    steps: int | None,
    render: str | None,
    seed: int,
    greedy: bool,
    changes: dict[str, Any],
    data_only: bool,
) -> dict[str, Any]:
    from rllib_metagrad.algorithms import IncentiveDesign
    from rllib_metagrad.evaluation import evaluate as run
    from rllib_metagrad.evaluation import load
    from rllib_metagrad.state_files import NotPlainError

    try:
        algorithm = load(folder, data_only)
    except NotPlainError as error:
        raise BadInputError(f"--data-only: {error}; leave the flag out only if you trust who made it") from error
    except Exception as error:  # anything can be wrong in a folder that someone hands us
        raise RunFailedError(f"{folder}: cannot be loaded: {type(error).__name__}: {one_line(error)}") from error
    try:
        if not isinstance(algorithm, IncentiveDesign):
            raise BadInputError(
                f"{folder}: a checkpoint of {type(algorithm).__name__}; only algorithms of rllib_metagrad "
                "can be evaluated (others have Algorithm.evaluate())"
            )
        return run(algorithm, episodes, seed, greedy, render, changes, steps=steps)
    except (ValueError, NotImplementedError) as error:
        raise RunFailedError(f"{folder}: {one_line(error)}") from error
    finally:
        algorithm.stop()


def _plain(value: Any) -> Any:
    """numpy's scalars and arrays as JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _rows(result: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in result.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{key}/")
        elif hasattr(value, "tolist") and getattr(value, "ndim", 0) == 0:
            rows += _rows({key: value.tolist()}, prefix)
        elif isinstance(value, float):
            rows.append((prefix + key, f"{value:.4g}"))
        elif isinstance(value, int | str):
            rows.append((prefix + key, str(value)))
    return rows


def _print_table(result: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right", overflow="fold")
    for name, value in _rows(result)[:_MAX_ROWS]:
        if name != "checkpoint":
            table.add_row(name, value)
    Console().print(table)
