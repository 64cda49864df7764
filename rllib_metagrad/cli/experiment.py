"""One experiment: what a YAML entry, a Python file or a bare `rllib train` comes down to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rllib_metagrad.cli import metrics, search_space
from rllib_metagrad.cli.errors import nearest
from rllib_metagrad.cli.schedulers import parse_scheduler
from rllib_metagrad.cli.yaml_loader import Path, Source

DEFAULT_STORAGE = "./results"

CHECKPOINT_KEYS: dict[str, tuple[type, ...]] = {
    "checkpoint_frequency": (int,),
    "checkpoint_at_end": (bool,),
    "num_to_keep": (int,),
    "checkpoint_score_attribute": (str,),
    "checkpoint_score_order": (str,),
}
KEYS = (
    "run",
    "env",
    "stop",
    "config",
    "num_samples",
    "checkpoint_config",
    "storage_path",
    "scheduler",
    "scheduler_config",
    "seed",
    "restore",
    "time_budget_s",
    "max_failures",
    "max_concurrent_trials",
)
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


@dataclass
class Experiment:
    """A checked experiment; `config` holds Tune's search-space objects, `env` and `seed` included."""

    name: str
    run: Any
    config: dict[str, Any]
    source: Source
    path: Path = ()
    stop: dict[str, float] = field(default_factory=dict)
    checkpoint_config: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] | None = None
    num_samples: int = 1
    storage_path: str = DEFAULT_STORAGE
    restore: str | None = None
    time_budget_s: float | None = None
    max_failures: int = 0
    max_concurrent_trials: int | None = None
    from_flags: set[str] = field(default_factory=set)
    """Keys of `config` that came from --config, for messages."""

    @property
    def run_name(self) -> str:
        """The algorithm's name, also when `run` is a class."""
        return self.run if isinstance(self.run, str) else self.run.__name__


def parse_experiment(name: str, entry: Any, source: Source, path: Path) -> Experiment:
    """Check one entry of RLlib's tuned-example schema and parse what is in it.

    Args:
        name: the experiment's name.
        entry: the mapping that stands under it.
        source: where it came from, for messages.
        path: its place in the source; the experiment's name is left out of messages.

    Raises:
        BadInputError: with file, line and key.
    """
    show = len(path)

    def fail(key: Path, message: str) -> Exception:
        return source.error((*path, *key), message, show=show)

    if not isinstance(entry, dict):
        raise fail((), f"experiment {name!r} must be a mapping with the keys run, env, stop, config")
    for key in entry:
        if key in _ELSEWHERE:
            raise fail((key,), f"not a key of an experiment; write {_ELSEWHERE[key]}")
        if key not in KEYS:
            raise fail((key,), f"unknown key{nearest(key, KEYS) or '; known: ' + ', '.join(KEYS)}")
    if "run" not in entry:
        raise fail((), f"experiment {name!r} has no run: name an algorithm, such as run: MetaGrad")
    run = entry["run"]
    if not isinstance(run, str):
        raise fail(("run",), f"must be the name of an algorithm, got {run!r}")

    config = entry.get("config") or {}
    if not isinstance(config, dict):
        raise fail(("config",), f"must be a mapping, got {config!r}")
    config = search_space.parse(config, source, (*path, "config"), show=show)
    for key in ("env", "seed"):
        if key not in entry:
            continue
        value = search_space.parse(entry[key], source, (*path, key), show=show)
        if key in config and config[key] != value:
            raise fail((key,), f"{value!r} here, but config.{key} is {config[key]!r}; keep one")
        config[key] = value
    if "env" not in config:
        raise fail((), f"experiment {name!r} has no env: name an environment, such as env: escape_room")

    storage_path = entry.get("storage_path", DEFAULT_STORAGE)
    if not isinstance(storage_path, str) or not storage_path:
        raise fail(("storage_path",), f"must be a folder or URI, got {storage_path!r}")
    restore = entry.get("restore")
    if restore is not None and not isinstance(restore, str):
        raise fail(("restore",), f"must be the path of a checkpoint, got {restore!r}")
    return Experiment(
        name=name,
        run=run,
        config=config,
        source=source,
        path=path,
        stop=parse_stop(entry.get("stop"), source, (*path, "stop"), show=show),
        checkpoint_config=_checkpoint_config(entry.get("checkpoint_config"), source, path),
        scheduler=parse_scheduler(entry.get("scheduler"), entry.get("scheduler_config"), source, path, show=show),
        num_samples=_number(entry, "num_samples", 1, source, path, least=1, integer=True),
        storage_path=storage_path,
        restore=restore,
        time_budget_s=_number(entry, "time_budget_s", None, source, path, least=1e-9),
        max_failures=_number(entry, "max_failures", 0, source, path, least=-1, integer=True),
        max_concurrent_trials=_number(entry, "max_concurrent_trials", None, source, path, least=1, integer=True),
    )


def parse_stop(value: Any, source: Source, path: Path, *, show: int = 0) -> dict[str, float]:
    """Stop criteria as `{metric: value}`, metric names flattened with `/` as Tune wants them."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise source.error(path, f"must be a mapping such as {{training_iteration: 100}}, got {value!r}", show=show)
    stop: dict[str, float] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            nested = parse_stop({f"{key}/{inner}": number for inner, number in item.items()}, source, path, show=show)
            stop.update(nested)
            continue
        if isinstance(item, bool) or not isinstance(item, int | float) or item != item:
            raise source.error((*path, key), f"must be a number, got {item!r}", show=show)
        trouble = metrics.problem_with(str(key))
        if trouble:
            raise source.error((*path, key), trouble, show=show)
        stop[str(key)] = item
    return stop


def _checkpoint_config(value: Any, source: Source, path: Path) -> dict[str, Any]:
    show, path = len(path), (*path, "checkpoint_config")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise source.error(path, f"must be a mapping, got {value!r}", show=show)
    for key, item in value.items():
        if key not in CHECKPOINT_KEYS:
            raise source.error((*path, key), f"unknown key{nearest(key, CHECKPOINT_KEYS)}", show=show)
        kinds = CHECKPOINT_KEYS[key]
        if not isinstance(item, kinds) or (isinstance(item, bool) and bool not in kinds):
            kind = {int: "a whole number", bool: "true or false", str: "a string"}[kinds[0]]
            raise source.error((*path, key), f"must be {kind}, got {item!r}", show=show)
    check_checkpoint_config(value, source, path, show=show)
    return dict(value)


def check_checkpoint_config(value: dict[str, Any], source: Source, path: Path, *, show: int = 0) -> None:
    """Ranges of the checkpoint settings, from YAML or from flags."""
    if value.get("checkpoint_frequency", 0) < 0:
        raise source.error((*path, "checkpoint_frequency"), "must be 0 (never) or more", show=show)
    if value.get("num_to_keep", 1) < 1:
        raise source.error((*path, "num_to_keep"), "must be 1 or more", show=show)
    if value.get("checkpoint_score_order", "max") not in ("max", "min"):
        raise source.error((*path, "checkpoint_score_order"), "must be max or min", show=show)
    attribute = value.get("checkpoint_score_attribute")
    trouble = metrics.problem_with(attribute) if attribute else None
    if trouble:
        raise source.error((*path, "checkpoint_score_attribute"), trouble, show=show)


def _number(
    entry: dict[str, Any],
    key: str,
    default: Any,
    source: Source,
    path: Path,
    *,
    least: float,
    integer: bool = False,
) -> Any:
    value = entry.get(key, default)
    if value is None or key not in entry:
        return default
    kind = "a whole number" if integer else "a number"
    right = isinstance(value, int) or (isinstance(value, float) and not integer)
    if isinstance(value, bool) or not right:
        raise source.error((*path, key), f"must be {kind}, got {value!r}", show=len(path))
    if value < least:
        bound = "above 0" if 0 < least < 1 else f"{least:g} or more"
        raise source.error((*path, key), f"must be {bound}, got {value!r}", show=len(path))
    return value
