"""The paper's Escape Room results: every method, 8 seeds, tables and figures in docs/.

    python benchmarks/reproduce_escape_room.py [--seeds 8] [--methods metagrad_5_2 ...] [--processes 2]

Trains each shipped config of tuned_configs/escape_room and tuned_configs/matrix_game to its stop criterion, evaluates
during training (100 sampled episodes without exploration) and at the end (100 sampled, 100 greedy), and writes

* docs/results/<environment>.json: every number,
* docs/results/<figure>.png: net designer return over environment steps, mean and standard error over seeds,
* the tables between the markers of docs/results.md.

The last line is one JSON object: for every method the mean final net return and its standard error.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import common

DOCS = Path(__file__).parent.parent / "docs"
# Methods, by shipped config, and the net return that issue and paper ask for (None: there is none).
METHODS: dict[str, float | None] = {
    "escape_room/metagrad_2_1": 7.8,
    "escape_room/metagrad_5_2": 25.5,
    "escape_room/metagrad_10_5": 39.0,
    "escape_room/metagrad_5_2_cloned": None,
    "escape_room/fixed_incentive_5_2": None,
    "escape_room/dual_rl_5_2_2levels": None,
    "escape_room/dual_rl_5_2_3levels": None,
    "escape_room/dual_rl_5_2_5levels": None,
    "escape_room/dual_rl_5_2_continuous": None,
    "escape_room/centralized_5_2": None,
    "escape_room/amd_2_1": None,
    "matrix_game/amd_prisoners_dilemma": None,
    "matrix_game/amd_chicken": None,
    "matrix_game/amd_stag_hunt": None,
}
FIGURES = {
    "escape_room_5_2": [m for m in METHODS if "5_2" in m],
    "escape_room_2_1": ["escape_room/metagrad_2_1", "escape_room/amd_2_1"],
    "escape_room_10_5": ["escape_room/metagrad_10_5"],
    "matrix_games_amd": [m for m in METHODS if m.startswith("matrix_game")],
}


def train(job: tuple[str, int]) -> dict[str, Any]:
    """Trains one method with one seed; the curve and the final evaluations."""
    method, seed = job
    import ray

    from rllib_metagrad.evaluation import evaluate

    if not ray.is_initialized():
        common.start_ray()
    config, stop = common.load(method, seed, evaluation_interval=None)
    algorithm = common.build(config)
    curve: list[dict[str, float]] = []
    result: dict[str, Any] = {}
    cpu = 0.0
    while not common.reached(stop, result):
        start = time.process_time()
        result = algorithm.train()
        cpu += time.process_time() - start
        if result["training_iteration"] % 2 == 0:
            now = evaluate(algorithm, episodes=100, seed=1)
            curve.append(
                {
                    "env_steps": result["num_env_steps_sampled_lifetime"],
                    "cpu_seconds": cpu,
                    **{k: now[f"{k}_mean"] for k in ("designer_return", "incentives_paid", "designer_net_return")},
                }
            )
    sampled = evaluate(algorithm, episodes=100, seed=2)
    greedy = evaluate(algorithm, episodes=100, seed=2, greedy=True)
    algorithm.stop()
    return {
        "method": method,
        "seed": seed,
        "env_steps": result["num_env_steps_sampled_lifetime"],
        "train_cpu_seconds": cpu,
        "replica_gap_max": result["learners"].get("designer", {}).get("replica_gap"),
        "sampled": sampled,
        "greedy": greedy,
        "curve": curve,
    }


def main() -> None:
    """Trains, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    jobs = [(method, seed) for method in arguments.methods for seed in range(arguments.seeds)]
    runs = _read()
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for run in pool.map(train, jobs):
            runs[f"{run['method']}/{run['seed']}"] = run
            _write(runs)
            net = run["sampled"]["designer_net_return_mean"]
            print(
                f"{run['method']} seed {run['seed']}: net {net:.2f} in {run['train_cpu_seconds']:.1f} CPU s", flush=True
            )
    import results_tables

    print(json.dumps(results_tables.write(runs, METHODS, FIGURES, DOCS)))


def _read() -> dict[str, Any]:
    path = DOCS / "results" / "runs.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _write(runs: dict[str, Any]) -> None:
    path = DOCS / "results" / "runs.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(runs, indent=None, separators=(",", ":")))


if __name__ == "__main__":
    main()
