"""The flags of `rllib train` and `rllib train file`: declared once, as a dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

T = TypeVar("T")
_EXPERIMENT, _CHECKPOINT, _RAY, _LOG = "Experiment", "Checkpoints", "Ray", "Logging"


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False, **more)


@dataclass(frozen=True)
class TrainOptions:
    """None (or an empty value) means that the flag was not given."""

    algo: Annotated[
        str | None, _option("--algo", "--run", panel=_EXPERIMENT, help="Algorithm, such as MetaGrad or PPO.")
    ] = None
    env: Annotated[
        str | None,
        _option("--env", panel=_EXPERIMENT, help="Environment, such as escape_room or CartPole-v1."),
    ] = None
    config: Annotated[
        str | None, _option("--config", panel=_EXPERIMENT, help="JSON object of the algorithm's settings.")
    ] = None
    stop: Annotated[
        str | None,
        _option("--stop", panel=_EXPERIMENT, help="JSON object, such as '{\"training_iteration\": 100}'."),
    ] = None
    experiment_name: Annotated[
        str | None,
        _option("--experiment-name", panel=_EXPERIMENT, help="Name of the run folder in --storage-path."),
    ] = None
    num_samples: Annotated[
        int | None,
        _option("--num-samples", panel=_EXPERIMENT, min=1, help="Repetitions of the search space. Default: 1."),
    ] = None
    storage_path: Annotated[
        str | None, _option("--storage-path", panel=_EXPERIMENT, help="Folder or URI of runs. Default: ./results.")
    ] = None
    restore: Annotated[
        str | None,
        _option("--restore", panel=_EXPERIMENT, help="Start a new run from this checkpoint (or trial folder)."),
    ] = None
    resume: Annotated[
        bool,
        _option("--resume", panel=_EXPERIMENT, help="Continue an interrupted run from its last checkpoints."),
    ] = False
    scheduler: Annotated[
        str | None, _option("--scheduler", panel=_EXPERIMENT, help="fifo, asha, hyperband, pbt, ...")
    ] = None
    scheduler_config: Annotated[
        str | None,
        _option("--scheduler-config", panel=_EXPERIMENT, help="JSON object of the scheduler's settings."),
    ] = None
    seed: Annotated[int | None, _option("--seed", panel=_EXPERIMENT, help="Seed of the run (config.seed).")] = None
    override: Annotated[
        bool,
        _option("--override", panel=_EXPERIMENT, help="Let flags win where they differ from the file."),
    ] = False
    checkpoint_freq: Annotated[
        int | None,
        _option(
            "--checkpoint-freq", panel=_CHECKPOINT, min=0, help="Iterations between checkpoints. Default: 0, none."
        ),
    ] = None
    checkpoint_at_end: Annotated[
        bool | None,
        _option(
            "--checkpoint-at-end/--no-checkpoint-at-end",
            panel=_CHECKPOINT,
            help="Checkpoint when a trial ends. Default: yes.",
        ),
    ] = None
    keep_checkpoints_num: Annotated[
        int | None,
        _option("--keep-checkpoints-num", panel=_CHECKPOINT, min=1, help="How many are kept. Default: all."),
    ] = None
    checkpoint_score_attr: Annotated[
        str | None,
        _option(
            "--checkpoint-score-attr",
            panel=_CHECKPOINT,
            help="Metric by which the best are kept; with min- before it, the lowest.",
        ),
    ] = None
    ray_address: Annotated[
        str | None, _option("--ray-address", panel=_RAY, help="Join this Ray cluster. Default: a local Ray.")
    ] = None
    ray_num_cpus: Annotated[
        int | None, _option("--ray-num-cpus", panel=_RAY, min=1, help="CPUs of the local Ray. Default: all.")
    ] = None
    ray_num_gpus: Annotated[
        int | None, _option("--ray-num-gpus", panel=_RAY, min=0, help="GPUs of the local Ray. Default: all.")
    ] = None
    ray_object_store_memory: Annotated[
        int | None,
        _option("--ray-object-store-memory", panel=_RAY, min=80_000_000, help="Bytes, of the local Ray."),
    ] = None
    verbose: Annotated[
        int,
        _option("-v", panel=_LOG, count=True, help="-v: tracebacks and Ray's messages; -vv: also its workers'."),
    ] = 0
    wandb_key: Annotated[str | None, _option("--wandb-key", panel=_LOG, help="API key of Weights & Biases.")] = None
    wandb_project: Annotated[
        str | None, _option("--wandb-project", panel=_LOG, help="Log to this Weights & Biases project.")
    ] = None


def with_options(options_class: type[T]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turn the parameter `options` of a command into one flag per field of `options_class`.

    typer reads a function's signature, so the signature is written from the dataclass; the flags of the two
    forms of `rllib train` can then never drift apart.
    """
    hints = get_type_hints(options_class, include_extras=True)

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]

        def wrapper(**arguments: Any) -> Any:
            values = {field.name: arguments.pop(field.name) for field in fields(options_class)}  # type: ignore[arg-type]
            return command(**arguments, options=options_class(**values))

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        for field in fields(options_class):  # type: ignore[arg-type]
            assert field.default is not MISSING
            parameters.append(
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=hints[field.name],
                )
            )
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        return wrapper

    return decorate
