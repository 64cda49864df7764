"""Flags as the same mapping that a file holds, so that both are merged first and checked once."""

from __future__ import annotations

from typing import Any

from rllib_metagrad.cli.experiment import Experiment, one_form, parse_experiment
from rllib_metagrad.cli.options import EXPERIMENT_FLAGS, TrainOptions
from rllib_metagrad.cli.source import Source, merge
from rllib_metagrad.cli.yaml_loader import load_mapping

__all__ = ["experiment_from_flags", "with_flags"]


def experiment_from_flags(options: TrainOptions) -> Experiment:
    """The experiment of a bare `rllib train --algo ... --env ...`.

    Raises:
        BadInputError: something is missing or wrong.
    """
    entry, source = _read(options)
    env = entry.get("config", {}).get("env")
    name = options.experiment_name or f"{entry.get('run')}_{env if isinstance(env, str) else 'sweep'}"
    return parse_experiment(name.replace("/", "_"), entry, source)


def with_flags(name: str, entry: Any, source: Source, options: TrainOptions) -> Experiment:
    """The experiment of a file's entry and the flags beside it.

    Raises:
        BadInputError: something is wrong, or both say different things (with both values) without --override.
    """
    entry = one_form(entry, source)
    given, flags = _read(options)
    advice = "remove one, or add --override to use the flag"
    return parse_experiment(name, merge(entry, given, source, flags, force=options.override, advice=advice), source)


def _read(options: TrainOptions) -> tuple[dict[Any, Any], Source]:
    """What an experiment's file would hold to say the same, and the flags that said it."""
    entry: dict[str, Any] = {}
    source = Source("command line")

    def write(key: str, value: Any, flag: str) -> None:
        *parents, last = key.split(".")
        mapping = entry
        for parent in parents:
            mapping = mapping.setdefault(parent, {})
        mapping[last] = value
        source.places[key] = (flag, "")

    for flag in EXPERIMENT_FLAGS:
        value = options.given.get(flag.key)
        if value is None:
            continue
        if flag.key == "checkpoint_config.checkpoint_score_attribute":  # RLlib's command has no flag for the order
            if value.startswith("min-"):
                write("checkpoint_config.checkpoint_score_order", "min", flag.name)
            value = value.removeprefix("min-")
        write(flag.key, load_mapping(value, flag.name) if flag.kind is dict else value, flag.name)
    return one_form(entry, source), source
