"""CPU seconds, on one thread, until MetaGrad first nets 25.5 in ER(5,2) and 39 in ER(10,5).

    python benchmarks/escape_room.py [--seeds 8] [--games 5_2 10_5]

Trains the shipped configs through MetaGrad.train() and evaluates after every iteration: 100 episodes, sampled,
without exploration. Imports and evaluations are timed apart. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import time

import common

import env_wrappers
from rllib_metagrad import metrics
from rllib_metagrad.evaluation import evaluate
from rllib_metagrad.statistics import estimate

TARGETS = {"2_1": 7.8, "5_2": 25.5, "10_5": 39.0}


def seconds_to_target(game: str, seed: int) -> tuple[float | None, float, int]:
    """CPU seconds of training until the target is reached (None if never), of evaluation, and env steps."""
    config, stop = common.load(f"escape_room/metagrad_{game}", seed, evaluation_interval=None)
    algorithm = common.build(config)
    training = evaluation = 0.0
    reached: float | None = None
    result = {}
    while reached is None and not common.reached(stop, result):
        start = time.process_time()
        result = algorithm.train()
        middle = time.process_time()
        net = evaluate(algorithm, episodes=100, seed=1)[metrics.NET]
        training += middle - start
        evaluation += time.process_time() - middle
        if net >= TARGETS[game]:
            reached = training
    algorithm.stop()
    return reached, evaluation, int(result[metrics.ENV_STEPS])


def main() -> None:
    """Runs all games and seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--games", nargs="+", default=["5_2", "10_5"], choices=list(TARGETS))
    arguments = parser.parse_args()
    common.start_ray()
    # Compiles the environment's kernels (from numba's cache, if it has them), which no training below pays for.
    start = time.process_time()
    env_wrappers.make_vec("escape_room", 2).reset(0)
    compilation = time.process_time() - start
    report: dict[str, object] = {
        "import_cpu_seconds": round(common.IMPORT_SECONDS, 2),
        "compilation_cpu_seconds": round(compilation, 2),
    }
    for game in arguments.games:
        times = []
        for seed in range(arguments.seeds):
            reached, evaluation, steps = seconds_to_target(game, seed)
            shown = "never" if reached is None else f"{reached:5.2f} s"
            print(
                f"ER({game.replace('_', ',')}) seed {seed}: {shown}, {steps} env steps (evaluation {evaluation:.2f} s)"
            )
            times.append(reached)
        done = [t for t in times if t is not None]
        report[f"er_{game}_cpu_seconds"] = round(estimate(done).mean, 3) if len(done) == len(times) else None
        report[f"er_{game}_cpu_seconds_by_seed"] = [None if t is None else round(t, 2) for t in times]
        report[f"er_{game}_target_net_return"] = TARGETS[game]
    common.finish(report)


if __name__ == "__main__":
    main()
