"""The flags of `rllib train`, made of records of settings: the keys of an experiment, and what is the command's own."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.cli.experiment import ExperimentSettings
from rllib_metagrad.settings import SettingError, Settings, setting
from rllib_metagrad.settings.base import Expected

__all__ = ["EXPERIMENT_FLAGS", "GONE", "NAME_FLAGS", "Flag", "TrainOptions", "with_options"]

NAME_FLAGS = ("--experiment-name", "--name", "-n")
# Flags are called like their keys, but for those that RLlib's command has given other names.
_OTHER_NAMES = {
    "run": ("--algo", "--run", "-a", "-r"),
    "env": ("--env", "-e"),
    "stop": ("--stop", "-s"),
    "config": ("--config", "-c"),
    "experiment_name": NAME_FLAGS,
    "storage_path": ("--storage-path", "--local-dir"),
    "checkpoint_frequency": ("--checkpoint-freq",),
    "num_to_keep": ("--keep-checkpoints-num",),
    "checkpoint_score_attribute": ("--checkpoint-score-attr",),
    "verbose": ("-v",),
}
#: Flags of RLlib's command whose place is elsewhere, or that Ray has no use for any more.
GONE = {
    "--eager": "the only framework is torch",
    "--local-mode": "Ray has none any more; a debugger sees all with --config '{\"num_env_runners\": 0}'",
    "--log-debug": "write -vv",
    "--log-info": "write -v",
    "--ray-num-nodes": "scripts/local_cluster.sh starts two nodes on one machine; join them with --ray-address",
    "--ray-ui": "start a cluster with `ray start --head` and join it with --ray-address",
    "--resources-per-trial": 'write --config \'{"num_env_runners": .., "num_gpus_per_learner": ..}\'',
    "--save-info": "write --out FILE.json",
    "--torch": "write --framework torch, or leave it out",
    "--trace": "the only framework is torch",
    "--track-progress": "write --out FILE.json",
    "--type": "the kind of a file is seen by its ending: .yaml, .yml or .py",
    "--upload-dir": "write --storage-path URI",
    "--use-shelve": "write --out FILE.json",
    "--version": "write rllib --version",
    "--video-dir": "write --render FILE.gif",
}
_PANELS = {"checkpoint_config.": "Checkpoints", "ray_": "Ray", "wandb_": "Logging", "verbose": "Logging"}
_UNIONS = (Union, types.UnionType)


class TrainOptions(Settings):
    """What was given on the command line of `rllib train`."""

    given: dict[str, Any] = setting({}, "Values of EXPERIMENT_FLAGS by key.")
    experiment_name: str | None = setting(None, "Name of the run folder in --storage-path.")
    resume: bool = setting(False, "Continue an interrupted run from its last checkpoints.")
    override: bool = setting(False, "Let flags win where they differ from the file.")
    framework: Annotated[Literal["torch"] | None, Expected("torch, the only one; leave it out")] = setting(
        None, "torch, which is the only one; kept from RLlib's command."
    )
    ray_address: str | None = setting(None, "Join this Ray cluster. Default: a local Ray.")
    ray_num_cpus: int | None = setting(None, "CPUs of the local Ray. Default: all.", ge=1)
    ray_num_gpus: int | None = setting(None, "GPUs of the local Ray. Default: all.", ge=0)
    ray_object_store_memory: int | None = setting(None, "Bytes, of the local Ray.", ge=80_000_000)
    verbose: int = setting(0, "-v: tracebacks and Ray's messages; -vv: also its workers'.")
    wandb_key: str | None = setting(None, "API key of Weights & Biases.")
    wandb_project: str | None = setting(None, "Log to this Weights & Biases project.")


@dataclass(frozen=True)
class Flag:
    """A flag for a key.

    Attributes:
        key: dotted, such as `checkpoint_config.num_to_keep`.
        name: such as `--keep-checkpoints-num`.
        kind: type of its value; a dict is given as JSON.
        option: what typer needs to know.
    """

    key: str
    name: str
    kind: Any
    option: Any

    @property
    def parameter(self) -> inspect.Parameter:
        """The parameter of the command that typer makes the flag of; None where it was not given."""
        annotation: Any = Annotated[(str if self.kind is dict else self.kind) | None, self.option]
        name = self.key.rpartition(".")[2]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flags(record: type[Settings], prefix: str = "") -> Iterator[Flag]:
    for key, field in record.model_fields.items():
        kind = get_args(field.annotation)[0] if get_origin(field.annotation) in _UNIONS else field.annotation
        kind = get_origin(kind) or kind
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield from _flags(kind, f"{prefix}{key}.")
        elif key != "given":
            names = _OTHER_NAMES.get(key, ("--" + key.replace("_", "-"),))
            declared = (f"{names[0]}/--no-{key.replace('_', '-')}",) if field.default is True else names
            help = ("JSON object. " if kind is dict else "") + str(field.description)
            if not isinstance(field.default, dict) and field.default:
                help += f" Default: {str(field.default).lower()}."
            panel = next((panel for start, panel in _PANELS.items() if (prefix + key).startswith(start)), "Experiment")
            option = typer.Option(
                *declared, help=help, rich_help_panel=panel, show_default=False, count=key == "verbose"
            )
            yield Flag(prefix + key, names[0], kind if kind in (bool, int, float, dict) else str, option)


EXPERIMENT_FLAGS = tuple(_flags(ExperimentSettings))
_COMMAND_FLAGS = tuple(_flags(TrainOptions))


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the parameter `options` of a command into all flags of `rllib train`.

    typer reads a function's signature, so the signature is written from the records; the flags of the forms of
    `rllib train` can then never drift apart.
    """
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]
    parameters = {flag: flag.parameter for flag in (*EXPERIMENT_FLAGS, *_COMMAND_FLAGS)}

    def wrapper(**arguments: Any) -> Any:
        values = {flag: arguments.pop(p.name) for flag, p in parameters.items()}
        given = {flag.key: value for flag, value in values.items() if value is not None}
        names = {flag.key: flag.name for flag in _COMMAND_FLAGS}
        try:
            options = TrainOptions(
                given={key: value for key, value in given.items() if key not in names},
                **{key: value for key, value in given.items() if key in names},
            )
        except SettingError as error:
            message = error.message.replace(" or null, got", ", got")  # no flag can be null
            raise BadInputError(f"{names[error.key]}: {message}") from error
        return command(**arguments, options=options)

    signature = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *parameters.values()]
    wrapper.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in signature}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper
