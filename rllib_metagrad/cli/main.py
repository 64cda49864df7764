"""Entry point of the `rllib` command."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rllib_metagrad.cli.errors import BAD_INPUT, BadInputError, CliError, one_line
from rllib_metagrad.cli.options import GONE, TrainOptions, with_options

__all__ = ["app", "main"]

# The base of all of typer's own complaints about a command line.
_CommandLineError: Any = typer.BadParameter.__mro__[2]


class _OneLineErrors(TyperGroup):
    """A group of commands that prints every error as one line on stderr, and a traceback only with -v."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        arguments = list(args) if args is not None else sys.argv[1:]
        if os.getcwd() not in sys.path:  # a script's path lacks it; modules of the user's are there, for workers too
            sys.path.append(os.getcwd())
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except CliError as error:
            code = _print_error(str(error), error, arguments, error.exit_code)
        except _CommandLineError as error:
            code = _print_error(_of_command_line(error), error, arguments, BAD_INPUT)
        except (KeyboardInterrupt, typer.Abort) as error:
            code = _print_error("stopped", error, arguments, 128 + signal.SIGINT)
        except BrokenPipeError:  # `rllib example get NAME | head`
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (lives until the process ends)
            code = 0
        except Exception as error:
            message = f"{type(error).__name__}: {one_line(error)} (a traceback is shown with -v)"
            code = _print_error(message, error, arguments, 1)
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def _of_command_line(error: Any) -> str:
    """One line, which says what to write instead where that is known."""
    gone = GONE.get(getattr(error, "option_name", ""))
    message = one_line(error.format_message())
    if gone is not None:
        return f"No such option: {error.option_name}; {gone}"
    return message.rstrip(".") + ("" if "Did you mean" in message else "; see rllib --help")


def _print_error(message: str, error: BaseException, arguments: Sequence[str], code: int) -> int:
    if any(argument in ("-v", "-vv", "-vvv") for argument in arguments):
        traceback.print_exception(error)
    print(f"rllib: error: {message}", file=sys.stderr)
    return code


_HELP: dict[str, Any] = {"context_settings": {"help_option_names": ["-h", "--help"]}}
app = typer.Typer(
    cls=_OneLineErrors,
    name="rllib",
    help="Train, evaluate and report adaptive incentive design on RLlib.",
    no_args_is_help=True,
    add_completion=False,
    **_HELP,
)
train_app = typer.Typer(
    help="Train from a YAML or Python file (rllib train file F), or from flags (rllib train --algo A ...).",
    **_HELP,
)
example_app = typer.Typer(help="The experiments that ship with the package.", no_args_is_help=True, **_HELP)
app.add_typer(train_app, name="train")
app.add_typer(example_app, name="example")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from rllib_metagrad import __version__

        print(f"rllib-metagrad {__version__}, ray {version('ray')}")
        raise typer.Exit


@app.callback()
def _command(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Versions of this package and of Ray."),
    ] = False,
) -> None:
    """Train, evaluate and report adaptive incentive design on RLlib."""


@train_app.callback(invoke_without_command=True)
@with_options
def train_flags(ctx: typer.Context, options: TrainOptions) -> None:
    """Train from flags alone, or from a file with `rllib train file FILE`."""
    if ctx.invoked_subcommand is not None:
        if options != TrainOptions():
            raise BadInputError(f"train: flags go after the file: rllib train {ctx.invoked_subcommand} FILE ...")
        return
    from rllib_metagrad.cli.train import train

    train(options)


@train_app.command("file")
@with_options
def train_file(
    file: Annotated[str, typer.Argument(help="A .yaml, .yml or .py experiment file.", show_default=False)],
    options: TrainOptions,
) -> None:
    """Train the experiments of a file, one after another. Flags add to the file; see --override."""
    from rllib_metagrad.cli.train import train

    train(options, file)


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint, or the folder of its trial or run.")],
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", min=1, help="How many episodes to run. Default: 100.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            help="Instead: whole episodes until there are so many environment steps.",
            show_default=False,
        ),
    ] = None,
    render: Annotated[str | None, typer.Option("--render", help="Write one more episode as a GIF.")] = None,
    out: Annotated[str | None, typer.Option("--out", help="Also write the JSON result to this file.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of environments and actions.")] = 0,
    greedy: Annotated[bool, typer.Option("--greedy", help="Most likely actions, not sampled ones.")] = False,
    env_config: Annotated[
        str | None,
        typer.Option("--env-config", help="JSON object: what differs from the environment of training."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", help="The .py file of training. Default: the copy in the run folder, if any."),
    ] = None,
    answered: Annotated[
        int | None,
        typer.Option(
            "--answered",
            min=1,
            metavar="STEPS",
            help="Freeze the designer, let the agents go on learning for STEPS environment steps, then evaluate.",
        ),
    ] = None,
    fresh_agents: Annotated[
        int | None,
        typer.Option(
            "--fresh-agents", min=1, help="With --answered: so many populations that learn from scratch, too."
        ),
    ] = None,
    fresh_steps: Annotated[
        int | None,
        typer.Option("--fresh-steps", min=1, help="Their environment steps. Default: as many as training took."),
    ] = None,
    fresh_schedules: Annotated[
        bool,
        typer.Option(
            "--fresh-schedules",
            help="They meet the environment's schedules (a rising cap on rates) as training did, not their end.",
        ),
    ] = False,
    answered_folder: Annotated[
        str | None,
        typer.Option("--answered-folder", help="New folder for curves and checkpoints. Default: results/RUN_answered."),
    ] = None,
    data_only: Annotated[
        bool,
        typer.Option("--data-only", help="Read no pickle and run no copy of a .py file: for a stranger's checkpoint."),
    ] = False,
    verbose: Annotated[int, typer.Option("-v", count=True, help="Tracebacks and Ray's messages.")] = 0,
) -> None:
    """Run a trained algorithm without exploration; the last line printed is one JSON object."""
    from rllib_metagrad.cli.evaluate import evaluate as run

    run(
        checkpoint,
        episodes,
        steps=steps,
        render=render,
        out=out,
        seed=seed,
        greedy=greedy,
        env_config=env_config,
        file=file,
        answered=answered,
        answered_options={
            "fresh_agents": fresh_agents or 0,
            "fresh_steps": fresh_steps,
            "fresh_schedules": fresh_schedules,
            "folder": answered_folder,
        },
        data_only=data_only,
        verbose=verbose,
    )


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="Run, trial or results folders.", metavar="RUN...")],
    out: Annotated[str | None, typer.Option("--out", help="Folder of the report. Default: RUN/report.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Name of a RUN in the figures; once per RUN, in order."),
    ] = None,
    verbose: Annotated[int, typer.Option("-v", count=True, help="Tracebacks.")] = 0,
) -> None:
    """Figures (PNG) and one HTML page of finished or running trials."""
    from rllib_metagrad.cli.report import report as run

    run(runs, out, label or [])


@example_app.command("list")
def example_list(
    contains: Annotated[str, typer.Argument(help="Show only names with this in them.")] = "",
) -> None:
    """List the shipped experiments."""
    from rllib_metagrad.cli.examples import list_examples

    list_examples(contains)


@example_app.command("get")
def example_get(
    name: Annotated[str, typer.Argument(help="Name, such as escape_room/metagrad_5_2.")],
    out: Annotated[str | None, typer.Option("--out", help="Copy to this file; prints it otherwise.")] = None,
) -> None:
    """Print or copy a shipped experiment."""
    from rllib_metagrad.cli.examples import get_example

    get_example(name, out)


@example_app.command("run")
@with_options
def example_run(
    name: Annotated[str, typer.Argument(help="Name, such as escape_room/metagrad_5_2.")],
    options: TrainOptions,
) -> None:
    """Train a shipped experiment; takes the flags of `rllib train file`."""
    from rllib_metagrad.cli.examples import run_example

    run_example(name, options)


def main() -> None:
    """The console script."""
    app(prog_name="rllib")


if __name__ == "__main__":
    main()
