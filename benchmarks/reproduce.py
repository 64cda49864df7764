"""The paper's results for one environment: every method, several seeds, tables and figures in docs/.

    python benchmarks/reproduce.py SUITE [--seeds N] [--methods ...] [--processes 2]

SUITE is escape_room, cleanup_7x7, cleanup_10x10 or gather_trade_build. Trains the shipped configs of a suite
(suites.py) to their stop criterion, evaluates during training (100 sampled episodes without exploration) and at the
end (100 sampled, 100 greedy), and writes

* docs/results/<suite>.json: every number,
* docs/results/<figure>.png: the suite's metric over environment steps, mean and standard error over seeds,
* the table between the suite's markers in docs/results.md,
* docs/results/<suite>/: what `rllib report` draws of the training runs, where the suite names methods for it.

Trained algorithms go to results/reproduce, a folder a run as `rllib train` makes them; methods with a curriculum begin
with the agents of one.

The last line is one JSON object: for every method the mean final value of the metric and its standard error.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import common
from suites import SUITES, Run, Suite

DOCS = Path(__file__).parent.parent / "docs"
RUNS = Path(__file__).parent.parent / "results" / "reproduce"
CHECKPOINT = "checkpoint_000000"
CURVES = ("designer_return", "incentives_paid", "designer_net_return")


def train(job: tuple[str, str, int]) -> Run:
    """Trains one method with one seed; the curve and the final evaluations."""
    suite_name, method, seed = job
    import ray

    from rllib_metagrad.evaluation import evaluate

    if not ray.is_initialized():
        common.start_ray()
    suite = SUITES[suite_name]
    begin = suite.start_from.get(method)
    agents = {} if begin is None else {"agents_checkpoint": str(_run_folder(begin, seed) / CHECKPOINT)}
    config, stop = common.load(method, seed, evaluation_interval=None, **agents)
    algorithm = common.build(config)
    folder = _run_folder(method, seed)
    log = common.RunLog(folder, config)
    run: Run = {"method": method, "seed": seed, "train_cpu_seconds": 0.0, "curve": [], "training": []}

    def until(stop: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not common.reached(stop, result):
            start = time.process_time()
            result = algorithm.train()
            run["train_cpu_seconds"] += time.process_time() - start
            log.write(result)
            steps = result["num_env_steps_sampled_lifetime"]
            run["training"].append((steps, result["env_runners"][f"{suite.metric}_mean"]))
            if result["training_iteration"] % suite.evaluate_every == 0:
                now = evaluate(algorithm, episodes=100, seed=1)
                point = {k: round(now[f"{k}_mean"], 4) for k in CURVES}
                cpu = round(run["train_cpu_seconds"], 2)
                run["curve"].append({"env_steps": steps, "cpu_seconds": cpu, **point})
        return result

    result = until(stop)
    run["env_steps"] = result["num_env_steps_sampled_lifetime"]
    run["replica_gap_max"] = result["learners"].get("designer", {}).get("replica_gap")
    run["sampled"] = evaluate(algorithm, episodes=100, seed=2)
    run["greedy"] = evaluate(algorithm, episodes=100, seed=2, greedy=True)
    run["training_tail"] = _tail(run["training"])
    if method in suite.stretch:
        until({key: suite.stretch[method] * bound for key, bound in stop.items()})
        run["later"] = evaluate(algorithm, episodes=100, seed=2)
        run["later_tail"] = _tail(run["training"])
    del run["training"]
    algorithm.save_to_path(str(folder / CHECKPOINT))
    algorithm.stop()
    return run


def _run_folder(method: str, seed: int) -> Path:
    """A run's folder, named as Tune names them, by algorithm and environment."""
    config, _ = common.load(method)
    return RUNS / method / f"{config.algo_class.__name__}_{config.env}_{seed}"


def _tail(points: list[tuple[int, float]]) -> float:
    """Mean of a training curve's last tenth of environment steps."""
    last = [value for steps, value in points if steps > 0.9 * points[-1][0]]
    return sum(last) / len(last)


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
    value = run["sampled"][f"{suite.metric}_mean"]
    return f"{run['method']} seed {run['seed']}: {suite.metric} {value:.2f} in {run['train_cpu_seconds']:.1f} CPU s"


if __name__ == "__main__":
    main()
