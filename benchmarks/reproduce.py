"""The paper's results for one environment: every method, several seeds, tables and figures in docs/.

    python benchmarks/reproduce.py SUITE [--seeds N] [--methods ...] [--processes 2]

SUITE is escape_room, cleanup_7x7, cleanup_10x10 or gather_trade_build. Trains the shipped configs of a suite
(suites.py) to their stop criterion by `rllib train`, evaluates the checkpoints that it writes on the way (100 sampled
episodes without exploration) and the last one (100 sampled, 100 greedy) as `rllib evaluate` does, and writes

* docs/results/<suite>.json: every number,
* docs/results/<figure>.png: the suite's metric over environment steps, interquartile mean and 95% interval over seeds,
* the table between the suite's markers in docs/results.md,
* docs/results/<suite>/: what `rllib report` draws of the training runs, where the suite names methods for it.

Run folders are results/reproduce/<method>/seed_<seed>; earlier ones of the same name are deleted. Methods with a
curriculum begin with the agents of another method's last checkpoint.

The last line is one JSON object: for every method the mean, interquartile mean and worst final value of the metric.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import common
import numpy as np
from suites import SUITES, Run, Suite

from rllib_metagrad import metrics
from rllib_metagrad.analysis.runs import TrialRun, load_runs
from rllib_metagrad.cli import ray_session
from rllib_metagrad.cli.checkpoints import checkpoints_of, find_checkpoint
from rllib_metagrad.evaluation import evaluate, load

DOCS = Path(__file__).parent.parent / "docs"
RUNS = Path(__file__).parent.parent / "results" / "reproduce"
RLLIB = (sys.executable, "-m", "rllib_metagrad.cli.main")
CURVES = (metrics.RETURN, metrics.PAID, metrics.NET)


def train(job: tuple[str, str, int]) -> Run:
    """Trains one method with one seed, and on to a multiple where the suite says so; what came out of it."""
    suite_name, method, seed = job
    suite = SUITES[suite_name]
    name = f"seed_{seed}"
    begin = suite.start_from.get(method)
    agents = {} if begin is None else {"agents_checkpoint": str(find_checkpoint(str(RUNS / begin / name)))}
    trials = [_train(suite, method, seed, name, agents)]
    if method in suite.stretch:
        stop = {key: suite.stretch[method] * bound for key, bound in common.load(method)[1].items()}
        last = {"stop": json.dumps(stop), "restore": str(checkpoints_of(trials[0].folder)[-1])}
        trials.append(_train(suite, method, seed, f"{name}_longer", agents, **last))
    with ray_session.session(num_cpus=1):
        return {"method": method, "seed": seed, **_measure(suite, trials)}


def _train(suite: Suite, method: str, seed: int, name: str, config: dict[str, Any], **flags: str) -> TrialRun:
    """`rllib train file` with a shipped config, and a checkpoint for each point of the curve.

    Raises:
        RuntimeError: with what the command printed, if it failed.
    """
    shutil.rmtree(RUNS / method / name, ignore_errors=True)
    flags |= {
        "seed": str(seed),
        "config": json.dumps({"evaluation_interval": None, **config}),
        "experiment-name": name,
        "storage-path": str(RUNS / method),
        "checkpoint-freq": str(suite.evaluate_every),
        "ray-num-cpus": "1",
    }
    command = [*RLLIB, "train", "file", str(common.CONFIGS / f"{method}.yaml"), "--override"]
    command += [part for flag, value in flags.items() for part in (f"--{flag}", value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed:\n{done.stderr}")
    (trial,) = load_runs([RUNS / method / name])
    return trial


def _measure(suite: Suite, trials: list[TrialRun]) -> Run:
    """Evaluations of the checkpoints of a training, and of what continued it, and what its results say."""
    first, last = trials[0], trials[-1]
    gap = first.last(metrics.REPLICA_GAP.path)
    run: Run = {
        "env_steps": first.last(metrics.ENV_STEPS),
        "train_cpu_seconds": last.last(metrics.CPU_SECONDS),
        "replica_gap_max": None if np.isnan(gap) else gap,
        "curve": [],
        "training_tail": _tail([first], suite.metric),
    }
    algorithm = load(checkpoints_of(first.folder)[-1])
    run["sampled"] = evaluate(algorithm, episodes=100, seed=2)
    run["greedy"] = evaluate(algorithm, episodes=100, seed=2, greedy=True)
    for trial in trials:
        results = trial.results.set_index(metrics.ITERATION)
        for checkpoint in checkpoints_of(trial.folder):
            algorithm.restore_from_path(str(checkpoint))
            if algorithm.iteration % suite.evaluate_every == 0:
                run["curve"].append(_point(algorithm, results.loc[algorithm.iteration]))
    if last is not first:
        run |= {"later": evaluate(algorithm, episodes=100, seed=2), "later_tail": _tail(trials, suite.metric)}
    algorithm.stop()
    return run


def _point(algorithm: Any, result: Any) -> dict[str, float]:
    """One of the curve: 100 episodes after an iteration, and that iteration's result."""
    found = evaluate(algorithm, episodes=100, seed=1)
    steps, seconds = float(result[metrics.ENV_STEPS]), round(float(result[metrics.CPU_SECONDS]), 2)
    return {"env_steps": steps, "cpu_seconds": seconds, **{metric.stem: round(found[metric], 4) for metric in CURVES}}


def _tail(trials: list[TrialRun], metric: metrics.Metric) -> float:
    """Mean of a training's results in its last tenth of environment steps."""
    steps, values = (
        np.concatenate([trial.results[key] for trial in trials]) for key in (metrics.ENV_STEPS, metric.path)
    )
    return float(values[steps > 0.9 * steps[-1]].mean())


def main() -> None:
    """Trains, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--seeds", type=int, help="default: as in docs/results.md")
    parser.add_argument("--methods", nargs="+", help="default: all of the suite")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    suite = SUITES[arguments.suite]
    methods = arguments.methods or list(suite.methods)
    if unknown := sorted(set(methods) - set(suite.methods)):
        parser.error(f"suite {arguments.suite} has no {', '.join(unknown)}; it has {', '.join(suite.methods)}")
    seeds = range(suite.first_seed, suite.first_seed + (arguments.seeds or suite.seeds))
    # Those that begin with another method's agents come when it is done.
    rounds = [[m for m in methods if (m in suite.start_from) == later] for later in (False, True)]
    jobs = [[(arguments.suite, method, seed) for method in chosen for seed in seeds] for chosen in rounds]
    path = DOCS / "results" / f"{arguments.suite}.json"
    runs: dict[str, Run] = json.loads(path.read_text()) if path.exists() else {}
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for run in (run for part in jobs for run in pool.map(train, part)):
            runs[f"{run['method']}/{run['seed']}"] = run
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(runs, separators=(",", ":")))
            print(_line(run, suite), flush=True)
    import results_tables

    summary = results_tables.write(runs, arguments.suite, suite, DOCS)
    if drawn := [method for method in suite.report if (RUNS / method).is_dir()]:
        _draw(arguments.suite, drawn, suite.report_figures)
    print(json.dumps(summary))


def _draw(suite_name: str, methods: list[str], kept: tuple[str, ...]) -> None:
    """`rllib report` of the methods' runs; figures that are kept go to docs/results/<suite>."""
    from rllib_metagrad.analysis.report import write_report

    labels = [method.split("/")[1] for method in methods]
    report = write_report([RUNS / method for method in methods], RUNS / suite_name / "report", labels)
    target = DOCS / "results" / suite_name
    target.mkdir(exist_ok=True)
    for figure in report.figures:
        if figure.stem in kept:
            shutil.copy(figure, target)


def _line(run: Run, suite: Suite) -> str:
    value = run["sampled"][suite.metric]
    return (
        f"{run['method']} seed {run['seed']}: {suite.metric.stem} {value:.2f} in {run['train_cpu_seconds']:.1f} CPU s"
    )


if __name__ == "__main__":
    main()
