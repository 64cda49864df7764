"""`rllib train`: check everything, start Ray, run each experiment with Tune, print what came of it."""

from __future__ import annotations

import copy
import importlib.util
import os
import pathlib
import re
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rllib_metagrad.cli import ray_session, resources, run_folder
from rllib_metagrad.cli.checkpoints import find_checkpoint, mend
from rllib_metagrad.cli.errors import BadInputError, CliError, InterruptedRunError, RunFailedError, one_line
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.cli.experiment_file import load_experiments
from rllib_metagrad.cli.flags import experiment_from_flags
from rllib_metagrad.cli.options import NAME_FLAGS, TrainOptions
from rllib_metagrad.cli.python_file import copy_into
from rllib_metagrad.settings import SettingError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["plan", "train"]


def train(options: TrainOptions, file: str | None = None) -> None:
    """Train what a file, or the flags alone, describe.

    Raises:
        BadInputError: before Ray is started.
        RunFailedError: a trial failed.
        InterruptedRunError: the run was stopped by a signal.
    """
    ray_session.quiet(options.verbose)
    # `ray job submit` sets RAY_ADDRESS: a job's command must join the cluster that runs it.
    address = options.ray_address or os.environ.get("RAY_ADDRESS") or None
    options = options.replace(ray_address=address)
    experiments = plan(options, file)
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200)
    with ray_session.session(
        address=options.ray_address,
        num_cpus=options.ray_num_cpus,
        num_gpus=options.ray_num_gpus,
        object_store_memory=options.ray_object_store_memory,
        verbose=options.verbose,
    ) as ray:
        failure: CliError | None = None
        for experiment, name in experiments:
            if options.ray_address is not None:
                _warn_of_missing_resources(experiment, ray.cluster_resources())
            try:
                _run(experiment, name, options, console, _resume_command(file, name))
            except RunFailedError as error:
                if failure is not None or len(experiments) > 1:
                    print(f"rllib: error: {error}", file=sys.stderr)
                failure = error
        if failure is not None:
            raise failure


def plan(options: TrainOptions, file: str | None) -> list[tuple[Experiment, str]]:
    """The checked experiments with the names of their run folders; nothing is started or written."""
    from rllib_metagrad.cli.validate import validate

    _check_flags(options)
    experiments = [experiment_from_flags(options)] if file is None else load_experiments(file, options)
    if options.experiment_name is not None and len(experiments) > 1:
        raise BadInputError(f"--experiment-name: {file} holds {len(experiments)} experiments; name them in the file")
    planned = []
    for experiment in experiments:
        _check_end(experiment)
        if experiment.restore is not None:
            experiment = experiment.model_copy(update={"restore": str(find_checkpoint(experiment.restore))})
        root = run_folder.storage_root(experiment.storage_path)
        run_folder.check_writable(root)
        wanted = options.experiment_name or experiment.name
        name = run_folder.name_to_resume(root, wanted) if options.resume else run_folder.fresh_name(root, wanted)
        config, plain = validate(experiment, _check_resources(options))
        needs = resources.needs_of(config, plain)
        if options.ray_address is None:
            with experiment.source.pointing():
                resources.check(needs, resources.local(needs, options.ray_num_cpus, options.ray_num_gpus))
        experiment = experiment.model_copy(update={"needs": tuple(needs)})
        if options.resume and "://" not in root:
            run_folder.check_same(pathlib.Path(root) / name, experiment)
        planned.append((experiment, name))
    return planned


def _check_resources(options: TrainOptions) -> Callable[[dict[str, Any]], None] | None:
    """Checks what a variant needs of this machine before Ray is imported; None on a cluster, which may grow."""
    if options.ray_address is not None:
        return None

    def check(plain: dict[str, Any]) -> None:
        needs = resources.needs_of_plain(plain)
        resources.check(needs, resources.local(needs, options.ray_num_cpus, options.ray_num_gpus))

    return check


def _check_flags(options: TrainOptions) -> None:
    if options.resume and "restore" in options.given:
        raise BadInputError("--resume and --restore: give one; --resume continues a run, --restore starts one")
    name = options.experiment_name
    if name is not None and (trouble := run_folder.problem_with_name(name)):
        raise BadInputError(f"--experiment-name: {trouble}")
    local = {
        "--ray-num-cpus": options.ray_num_cpus,
        "--ray-num-gpus": options.ray_num_gpus,
        "--ray-object-store-memory": options.ray_object_store_memory,
    }
    given = [flag for flag, value in local.items() if value is not None]
    if options.ray_address is not None and given:
        raise BadInputError(f"{given[0]}: has no effect on a running cluster; leave it out with --ray-address")
    if options.wandb_key is not None and options.wandb_project is None:
        raise BadInputError("--wandb-key: given without --wandb-project; add the project's name")
    if options.wandb_project is not None and importlib.util.find_spec("wandb") is None:
        raise BadInputError("--wandb-project: the package wandb is not installed; run: pip install wandb")


def _check_end(experiment: Experiment) -> None:
    settings = experiment.scheduler or {}
    if experiment.stop or experiment.time_budget_s is not None or "max_t" in settings:
        return
    raise experiment.source.error(
        "stop",
        "no stop criterion, so the run would never end; add stop: {training_iteration: 100} "
        "(or {training_iteration: .inf} to stop it by hand)",
    )


def _warn_of_missing_resources(experiment: Experiment, there: dict[str, float]) -> None:
    """A cluster may grow, so a trial that does not fit into it today is no error."""
    try:
        resources.check(list(experiment.needs), there, cluster=True)
    except SettingError as error:
        place = experiment.source.at(error.key)
        print(f"rllib: warning: {place}: {error.message}; until then the run waits", file=sys.stderr)


def _resume_command(file: str | None, name: str) -> str:
    """The command that was given, so that it can be pasted with --resume."""
    arguments = [a for a in sys.argv[1:] if a != "--resume"]
    if arguments[:1] != ["train"]:  # called from Python, or by `rllib example run`
        arguments = ["train", "file", file] if file else ["train"]
    if not any(argument.split("=")[0] in NAME_FLAGS for argument in arguments):
        arguments += ["--experiment-name", name]
    return shlex.join(["rllib", *arguments, "--resume"])


def _run(experiment: Experiment, name: str, options: TrainOptions, console: Console, resume: str) -> None:
    from ray import tune
    from ray.tune.experiment import Trial
    from ray.tune.tune_config import ResumeConfig

    from rllib_metagrad.cli import loggers, schedulers, search_algs, search_space
    from rllib_metagrad.cli.interrupt import GracefulStop
    from rllib_metagrad.cli.progress import Progress
    from rllib_metagrad.cli.summary import print_summary

    root = run_folder.storage_root(experiment.storage_path)
    folder: pathlib.Path | str = f"{root}/{name}"
    if "://" not in root:
        folder = pathlib.Path(root) / name
        run_folder.write_spec(folder, experiment)
        copy_into(folder, experiment.source.name)
    progress = Progress(console, experiment.stop)
    stopper = GracefulStop(progress.tell)
    resumed = " (resumed)" if options.resume else ""
    progress.tell(f"{experiment.name}: training {experiment.run_name}{resumed}, run folder {folder}")
    if options.resume and isinstance(folder, pathlib.Path):
        for line in mend(folder):
            progress.tell(f"{experiment.name}: {line}")
    try:
        with stopper, progress, loggers.only():
            analysis = tune.run(
                experiment.run,
                name=name,
                config=search_space.resolve(copy.deepcopy(experiment.config), "config"),
                stop=experiment.stop,
                time_budget_s=experiment.time_budget_s,
                num_samples=experiment.num_samples,
                storage_path=root,
                search_alg=search_algs.create(experiment),
                scheduler=schedulers.create(experiment.scheduler),
                checkpoint_config=tune.CheckpointConfig(**dict(experiment.checkpoint_config)),
                max_failures=experiment.max_failures,
                restore=experiment.restore,
                resume_config=_resume_config(ResumeConfig) if options.resume else None,
                callbacks=[stopper, progress, *loggers.create(experiment.loggers), *_wandb(options, name)],
                raise_on_failed_trial=False,
                verbose=0,
            )
    except KeyboardInterrupt:
        number = stopper.signal_number or 2
        raise InterruptedRunError(f"stopped without a checkpoint; resume with: {resume}", number) from None
    except (tune.TuneError, ValueError, OSError) as error:
        raise RunFailedError(f"{experiment.name}: {one_line(error)}") from error

    trials: list[Trial] = analysis.trials
    failed = [trial for trial in trials if trial.status == Trial.ERROR]
    finished = [trial for trial in trials if trial.last_result]
    if finished:
        print_summary(console, experiment, finished, folder)
    if stopper.interrupted:
        raise InterruptedRunError(f"stopped by a signal; resume with: {resume}", stopper.signal_number or 2)
    if failed:
        raise RunFailedError(_failure(experiment, failed, len(trials)))


def _resume_config(resume_config_class: Any) -> Any:
    kind = resume_config_class.ResumeType
    return resume_config_class(finished=kind.SKIP, unfinished=kind.RESUME, errored=kind.RESUME)


def _wandb(options: TrainOptions, name: str) -> list[Any]:
    if options.wandb_project is None:
        return []
    from ray.air.integrations.wandb import WandbLoggerCallback

    return [WandbLoggerCallback(project=options.wandb_project, api_key=options.wandb_key, group=name)]


def _failure(experiment: Experiment, failed: list[Any], total: int) -> str:
    """One line: how many failed, the reason of the first, and where the whole traceback is."""
    trial = failed[0]
    reason, where = "no message", ""
    if trial.error_file and os.path.exists(trial.error_file):
        reason = _reason(pathlib.Path(trial.error_file).read_text(encoding="utf-8"))
        # Tune writes into a staging folder and copies from there.
        copied = os.path.join(trial.path or "", os.path.basename(trial.error_file))
        where = f"; traceback in {copied if os.path.exists(copied) else trial.error_file}"
    share = f"{len(failed)} of {total} trials" if total > 1 else f"trial {trial.trial_id}"
    return f"{experiment.name}: {share} failed: {one_line(reason)}{where}"


def _reason(text: str) -> str:
    """The last exception of a traceback that has a message; RLlib and Ray re-raise without one."""
    lines = [line for line in text.splitlines() if line and not line.startswith(" ")]
    with_message = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt|Warning)?: \S", line)]
    return (with_message or lines or ["no message"])[-1]
