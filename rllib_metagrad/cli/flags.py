"""Flags on top of an experiment: where both say something different, that is an error, unless --override."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rllib_metagrad.cli import experiment as experiments
from rllib_metagrad.cli import search_space
from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.cli.experiment import Experiment, parse_experiment, parse_stop
from rllib_metagrad.cli.options import TrainOptions
from rllib_metagrad.cli.schedulers import parse_scheduler
from rllib_metagrad.cli.yaml_loader import Source, load_mapping


def experiment_from_flags(options: TrainOptions) -> Experiment:
    """The experiment of a bare `rllib train --algo ... --env ...`."""
    if options.algo is None:
        raise BadInputError("train: no algorithm; give --algo NAME, or a file: rllib train file FILE.yaml")
    config = load_mapping(options.config, "--config") if options.config else {}
    if options.env is None and "env" not in config:
        raise BadInputError("train: no environment; give --env NAME")
    entry = {"run": options.algo, "config": {"env": options.env, **config}}
    env = options.env or (config["env"] if isinstance(config["env"], str) else "sweep")
    name = options.experiment_name or f"{options.algo}_{env}".replace("/", "_")
    parsed = parse_experiment(name, entry, Source("command line"), ())
    parsed.from_flags |= set(config)
    # Everything else goes through the same code as flags beside a file.
    rest = {"algo": None, "config": None, "experiment_name": None}
    apply_flags(parsed, TrainOptions(**{**vars(options), **rest}))
    return parsed


def apply_flags(experiment: Experiment, options: TrainOptions) -> None:
    """Write the given flags into the experiment.

    Raises:
        BadInputError: a flag and the file say different things (both values are told), or a bad flag.
    """

    def settle(flag: str, given: Any, present: Any, key: tuple[str, ...]) -> Any:
        """`given`, unless the file has another value."""
        if present is not None and present != given and not options.override:
            where = experiment.source.at((*experiment.path, *key), show=len(experiment.path))
            raise BadInputError(
                f"{flag} is {given!r}, but {where} is {present!r}; remove one, or add --override to use the flag"
            )
        return given

    if options.algo is not None and options.algo != experiment.run_name:
        experiment.run = settle("--algo", options.algo, experiment.run_name, ("run",))
    if options.config is not None:
        parsed = search_space.parse(load_mapping(options.config, "--config"), Source("--config"))
        _merge(experiment.config, parsed, ("config",), settle)
        experiment.from_flags |= set(parsed)
    for flag, key, value in (("--env", "env", options.env), ("--seed", "seed", options.seed)):
        if value is not None:
            own_key = (*experiment.path, key) in experiment.source.lines
            place = (key,) if own_key else ("config", key)
            experiment.config[key] = settle(flag, value, experiment.config.get(key), place)
    if options.stop is not None:
        stop = parse_stop(load_mapping(options.stop, "--stop"), Source("--stop"), ())
        for metric, limit in stop.items():
            present = experiment.stop.get(metric)
            experiment.stop[metric] = settle(f"--stop {metric}", limit, present, ("stop", metric))
    if options.num_samples is not None:
        present = _in_file(experiment, "num_samples", experiment.num_samples)
        experiment.num_samples = settle("--num-samples", options.num_samples, present, ("num_samples",))
    if options.storage_path is not None:
        present = _in_file(experiment, "storage_path", experiment.storage_path)
        experiment.storage_path = settle("--storage-path", options.storage_path, present, ("storage_path",))
    if options.restore is not None:
        experiment.restore = settle("--restore", options.restore, experiment.restore, ("restore",))
    _apply_scheduler(experiment, options, settle)
    _apply_checkpoint_flags(experiment, options, settle)


def _in_file(experiment: Experiment, key: str, value: Any) -> Any:
    """The value if it stands in the file; None where it is only our default."""
    return value if (*experiment.path, key) in experiment.source.lines else None


def _merge(config: dict[str, Any], given: dict[str, Any], place: tuple[str, ...], settle: Callable[..., Any]) -> None:
    for key, value in given.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        if both and "grid_search" not in value and "grid_search" not in config[key]:
            _merge(config[key], value, (*place, key), settle)
        else:
            flag = "--config " + ".".join((*place[1:], key))
            config[key] = settle(flag, value, config.get(key), (*place, key))


def _apply_scheduler(experiment: Experiment, options: TrainOptions, settle: Callable[..., Any]) -> None:
    if options.scheduler_config is not None and options.scheduler is None:
        raise BadInputError("--scheduler-config: given without --scheduler; add --scheduler asha")
    if options.scheduler is None:
        return
    settings = load_mapping(options.scheduler_config, "--scheduler-config") if options.scheduler_config else None
    parsed = parse_scheduler(options.scheduler, settings, Source("--scheduler"), ())
    experiment.scheduler = settle("--scheduler", parsed, experiment.scheduler, ("scheduler",))


def _apply_checkpoint_flags(experiment: Experiment, options: TrainOptions, settle: Callable[..., Any]) -> None:
    attribute, order = options.checkpoint_score_attr, None
    if attribute is not None:
        order = "min" if attribute.startswith("min-") else "max"
        attribute = attribute.removeprefix("min-")
    given = {
        "checkpoint_frequency": ("--checkpoint-freq", options.checkpoint_freq),
        "checkpoint_at_end": ("--checkpoint-at-end", options.checkpoint_at_end),
        "num_to_keep": ("--keep-checkpoints-num", options.keep_checkpoints_num),
        "checkpoint_score_attribute": ("--checkpoint-score-attr", attribute),
        "checkpoint_score_order": ("--checkpoint-score-attr", order),
    }
    config = experiment.checkpoint_config
    for key, (flag, value) in given.items():
        if value is not None:
            config[key] = settle(flag, value, config.get(key), ("checkpoint_config", key))
    experiments.check_checkpoint_config(config, Source("command line"), ())
