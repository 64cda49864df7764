"""One experiment: its keys, each declared once, and the record that YAML, Python files and flags come down to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import field_validator

from rllib_metagrad.cli import metrics, search_space
from rllib_metagrad.cli.loggers import parse_loggers
from rllib_metagrad.cli.resources import Need
from rllib_metagrad.cli.schedulers import parse_scheduler
from rllib_metagrad.cli.search_algs import parse_search_alg
from rllib_metagrad.cli.source import Source, merge
from rllib_metagrad.settings import SettingError, Settings, nearest, setting
from rllib_metagrad.settings.base import Expected

__all__ = ["CheckpointSettings", "Experiment", "ExperimentSettings", "one_form", "parse_experiment"]

# Keys of older RLlib YAMLs, and of nearby places, with what to write instead.
_ELSEWHERE = {
    "algo": "run",
    "checkpoint_freq": "checkpoint_config: {checkpoint_frequency: N}",
    "checkpoint_at_end": "checkpoint_config: {checkpoint_at_end: true}",
    "keep_checkpoints_num": "checkpoint_config: {num_to_keep: N}",
    "checkpoint_score_attr": "checkpoint_config: {checkpoint_score_attribute: NAME}",
    "local_dir": "storage_path",
    "resources_per_trial": "config: {num_cpus_per_env_runner, num_gpus_per_learner, ...}",
}
# Keys with a home elsewhere, where they may stand as well.
_HOMES = {
    "env": "config.env",
    "seed": "config.seed",
    "scheduler_config": "scheduler",
    "search_alg_config": "search_alg",
}
_Mapping = dict[Any, Any]


class CheckpointSettings(Settings):
    """When checkpoints are written and which are kept (`checkpoint_config`)."""

    OWNER = "checkpoints"

    checkpoint_frequency: int = setting(0, "Iterations between checkpoints; 0 for none.", ge=0)
    checkpoint_at_end: bool = setting(True, "Checkpoint when a trial ends.")
    num_to_keep: int | None = setting(None, "How many are kept; all by default.", ge=1)
    checkpoint_score_attribute: Annotated[str | None, Expected("the name of a metric")] = setting(
        None, "Metric by which the best are kept."
    )
    checkpoint_score_order: Literal["max", "min"] = setting("max", "Whether the best have the highest or lowest.")

    @field_validator("checkpoint_score_attribute")
    @classmethod
    def _is_a_metric(cls, name: str | None) -> str | None:
        if trouble := metrics.problem_with(name) if name else None:
            raise SettingError("checkpoint_score_attribute", trouble)
        return name


class ExperimentSettings(Settings):
    """The keys of an experiment; from each follow its check, its default and its flag (see options.py)."""

    OWNER = "an experiment"

    run: Annotated[str | type, Expected("the name of an algorithm")] = setting(
        "", "Algorithm, such as MetaGrad or PPO."
    )
    env: str | _Mapping | None = setting(None, "Environment, such as escape_room or CartPole-v1 (config.env).")
    config: _Mapping = setting({}, "The algorithm's settings.")
    stop: Annotated[_Mapping, Expected("a mapping such as {training_iteration: 100}")] = setting(
        {}, 'When a trial ends, such as {"training_iteration": 100}.'
    )
    num_samples: int = setting(1, "Repetitions of the search space.", ge=1)
    storage_path: Annotated[str, Expected("a folder or URI")] = setting("./results", "Folder or URI of runs.")
    restore: Annotated[str | None, Expected("the path of a checkpoint")] = setting(
        None, "Start a new run from this checkpoint (or trial folder)."
    )
    scheduler: Annotated[str | _Mapping | None, Expected("a name or {type: asha, metric: .., mode: ..}")] = setting(
        None, "fifo, asha, hyperband, pbt, ..."
    )
    scheduler_config: _Mapping | None = setting(None, "The scheduler's settings.")
    search_alg: Annotated[str | _Mapping | None, Expected("a name or {type: optuna, metric: .., mode: ..}")] = setting(
        None, "What chooses values of the search space: random, optuna, ..."
    )
    search_alg_config: _Mapping | None = setting(None, "The search algorithm's settings.")
    loggers: Annotated[list[str] | None, Expected("a list of csv, json, tensorboard")] = setting(
        None, "What writes results: csv, json, tensorboard, by default all; by commas as a flag."
    )
    seed: int | _Mapping | None = setting(None, "Seed of the run (config.seed).")
    time_budget_s: float | None = setting(None, "Seconds after which the whole run stops.", gt=0)
    max_failures: int = setting(0, "How often a failed trial is started again; -1 for always.", ge=-1)
    max_concurrent_trials: int | None = setting(None, "How many trials run at a time. Default: as many as fit.", ge=1)
    checkpoint_config: CheckpointSettings = setting(CheckpointSettings(), "When checkpoints are written.")

    @field_validator("config")
    @classmethod
    def _search_spaces(cls, config: _Mapping) -> _Mapping:
        parsed: _Mapping = search_space.parse(config, "config")
        return parsed

    @field_validator("stop")
    @classmethod
    def _numbers_by_metric(cls, stop: _Mapping) -> _Mapping:
        for name, value in stop.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
                raise SettingError(f"stop.{name}", f"must be a number, got {value!r}")
            if trouble := metrics.problem_with(str(name)):
                raise SettingError(f"stop.{name}", trouble)
        return stop

    @field_validator("search_alg")
    @classmethod
    def _settings_of_search(cls, search_alg: Any) -> _Mapping | None:
        return parse_search_alg(search_alg)

    @field_validator("loggers")
    @classmethod
    def _known_loggers(cls, loggers: Any) -> list[str] | None:
        return parse_loggers(loggers)

    @field_validator("scheduler")
    @classmethod
    def _settings_of_scheduler(cls, scheduler: Any) -> _Mapping | None:
        return parse_scheduler(scheduler)


class Experiment(ExperimentSettings):
    """A checked experiment; `config` holds Tune's search-space objects, `env` and `seed` included."""

    name: str = setting("", "Of the run folder.")
    source: Source = setting(Source(""), "Where its parts were written.")
    needs: tuple[Need, ...] = setting((), "What a trial needs of Ray; known once it has been checked.")

    @property
    def run_name(self) -> str:
        """The algorithm's name, also when `run` is a class."""
        return self.run if isinstance(self.run, str) else self.run.__name__


def one_form(entry: Any, source: Source) -> _Mapping:
    """An entry of RLlib's tuned-example schema with one home for each thing, so that two can be merged.

    Args:
        entry: what was written under the experiment's name, or given by flags.
        source: where; learns the new homes of what is moved.

    Raises:
        BadInputError: no mapping, an unknown key, or two homes with different values.
    """
    with source.pointing():
        if not isinstance(entry, dict):
            raise SettingError("", "an experiment must be a mapping with the keys run, env, stop, config")
        entry = {key: value for key, value in entry.items() if value is not None}
        for key in entry:
            if key in _ELSEWHERE:
                raise SettingError(str(key), f"not a key of an experiment; write {_ELSEWHERE[key]}")
            if key not in ExperimentSettings.config_keys():
                hint = nearest(key, ExperimentSettings.config_keys(), list_at_most=99)
                raise SettingError(str(key), f"unknown key{hint}")
        for key in ("config", "scheduler_config", "search_alg_config"):
            if not isinstance(entry.get(key, {}), dict):
                raise SettingError(key, f"must be a mapping, got {entry[key]!r}")
    if isinstance(entry.get("stop"), dict):
        entry["stop"] = _flat(entry["stop"])
    for key in ("scheduler", "search_alg"):
        if isinstance(entry.get(key), str):
            entry[key] = {"type": entry[key]}
    if isinstance(entry.get("loggers"), str):
        entry["loggers"] = [name.strip() for name in entry["loggers"].split(",")]
    for key, home in _HOMES.items():
        if key in entry:
            value = entry.pop(key)
            for part in reversed(home.split(".")):
                value = {part: value}
            entry = merge(entry, value, source, source.moved(key, home), force=False, advice="keep one")
    return entry


def _flat(stop: _Mapping, prefix: str = "") -> _Mapping:
    """Nested metrics joined by `/`, as Tune wants them."""
    flat: _Mapping = {}
    for name, value in stop.items():
        flat |= _flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def parse_experiment(name: str, entry: _Mapping, source: Source) -> Experiment:
    """The checked experiment of an entry in :func:`one_form`.

    Raises:
        BadInputError: with file and line, or flag, and key.
    """
    with source.pointing():
        if "run" not in entry:
            raise SettingError("run", "is missing; name an algorithm: run: MetaGrad, or --algo MetaGrad")
        if "env" not in entry.get("config", {}):
            raise SettingError("env", "is missing; name an environment: env: escape_room, or --env escape_room")
        settings = ExperimentSettings.from_keys(entry)
    return Experiment.model_construct(**dict(settings), name=name, source=source)
