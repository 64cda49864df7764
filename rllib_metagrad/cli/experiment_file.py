"""Experiment files: RLlib's tuned-example YAML schema, and Python files that define a `config`."""

from __future__ import annotations

import pathlib
from typing import Any

from rllib_metagrad.cli import yaml_loader
from rllib_metagrad.cli.errors import BadInputError, one_line
from rllib_metagrad.cli.experiment import Experiment, ExperimentSettings
from rllib_metagrad.cli.flags import with_flags
from rllib_metagrad.cli.options import TrainOptions
from rllib_metagrad.cli.python_file import import_file
from rllib_metagrad.cli.run_folder import problem_with_name
from rllib_metagrad.cli.source import Source

__all__ = ["load_experiments"]

_Entry = tuple[str, Any, Source]


def load_experiments(file: str, options: TrainOptions | None = None) -> list[Experiment]:
    """All experiments of a .yaml, .yml or .py file, in its order, with the flags that were given beside it.

    Raises:
        BadInputError: no such file, another suffix, a mistake in it, or flags that say something else.
    """
    return [with_flags(*entry, options or TrainOptions()) for entry in _entries(file)]


def _entries(file: str) -> list[_Entry]:
    path = pathlib.Path(file)
    if path.is_dir():
        raise BadInputError(f"{file}: is a folder; give one .yaml, .yml or .py file")
    if not path.exists():
        shipped = "" if path.suffix in {".yaml", ".yml", ".py"} else "; `rllib example list` shows what ships"
        raise BadInputError(f"{file}: no such file{shipped}")
    if path.suffix in {".yaml", ".yml"}:
        return _from_yaml(path, file)
    if path.suffix == ".py":
        return [_from_python(path, file)]
    raise BadInputError(f"{file}: unknown kind of file {path.suffix!r}; give a .yaml, .yml or .py file")


def _from_yaml(path: pathlib.Path, name: str) -> list[_Entry]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{name}: cannot be read: {one_line(error)}") from error
    document, source = yaml_loader.load(text, name)
    if not document:
        raise BadInputError(f"{name}: the file is empty; it needs NAME: {{run, env, stop, config}}")
    if not isinstance(document, dict):
        raise BadInputError(f"{name}: must be a mapping NAME: {{run, env, stop, config}}")
    if {"run", "env", "config", "stop"} & {*document} and not any(
        isinstance(value, dict) and "run" in value for value in document.values()
    ):
        first = next(key for key in document if key in ExperimentSettings.config_keys())
        raise source.error(first, "the experiment has no name; indent everything under NAME:")
    for key in document:
        if trouble := problem_with_name(key):
            raise source.error(str(key), f"an experiment's name {trouble}")
    return [(key, entry, source.under(key)) for key, entry in document.items()]


def _from_python(path: pathlib.Path, name: str) -> _Entry:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    variables = vars(import_file(name))
    config = variables.get("config")
    if not isinstance(config, AlgorithmConfig):
        raise BadInputError(
            f"{name}: must define `config`, an AlgorithmConfig such as MetaGradConfig(); "
            f"found {'nothing' if config is None else type(config).__name__}"
        )
    if config.algo_class is None:
        raise BadInputError(f"{name}: config: {type(config).__name__} belongs to no algorithm")
    entry = {"run": config.algo_class, "config": config.to_dict(), "stop": variables.get("stop")}
    return path.stem, entry, Source(name)
