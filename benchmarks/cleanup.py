"""Cleanup on one thread: environment steps and training steps per CPU second, and CPU minutes to the target.

    python benchmarks/cleanup.py [--repeats 5] [--seeds 2]

* env_steps_per_cpu_second: the batched twin on the 7x7 map, 64 copies, RGB observations of both agents and the
  designer, random actions. The floor beside it copies the same bytes of observations and nothing else.
* train_env_steps_per_cpu_second: MetaGrad.train() with the shipped config: sampling, agents, designer.
* cpu_minutes_to_target: of training until 100 evaluation episodes first reach a return of 30.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import common
import numpy as np

import env_wrappers
from rllib_metagrad import metrics
from rllib_metagrad.evaluation import evaluate
from rllib_metagrad.statistics import estimate

CONFIG = "cleanup/metagrad_7x7"
NUM_ENVS, TARGET = 64, 30.0


def rate(play: Callable[[], int], seconds: float = 0.5) -> float:
    """Environment steps per CPU second."""
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        steps += play()
    return steps / (time.process_time() - start)


def environment() -> tuple[Callable[[], int], Callable[[], int]]:
    """Functions that play one episode in each copy, and that copy as many observations; both return steps."""
    env = env_wrappers.make_vec("cleanup", NUM_ENVS, map="7x7")
    actions = np.random.default_rng(0).integers(0, 6, (256, NUM_ENVS, 2))
    targets = [np.empty_like(env.observations[0]), np.empty_like(env.state)]

    def play() -> int:
        env.reset(None)
        for t in range(env.max_episode_steps):
            env.step([actions[t]])
        return NUM_ENVS * env.max_episode_steps

    def copy() -> int:
        for _ in range(env.max_episode_steps):
            np.copyto(targets[0], env.observations[0])
            np.copyto(targets[1], env.state)
        return NUM_ENVS * env.max_episode_steps

    env.reset(0)
    play()
    return play, copy


def minutes_to_target(seed: int) -> float | None:
    """CPU minutes of training until the evaluation return first reaches the target; None if it never does."""
    config, stop = common.load(CONFIG, seed, evaluation_interval=None)
    algorithm = common.build(config)
    training, result = 0.0, {}
    try:
        while not common.reached(stop, result):
            start = time.process_time()
            result = algorithm.train()
            training += time.process_time() - start
            if evaluate(algorithm, episodes=100, seed=1)[metrics.RETURN] >= TARGET:
                return training / 60
    finally:
        algorithm.stop()
    return None


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    common.start_ray()
    start = time.process_time()
    play, copy = environment()
    compilation = time.process_time() - start
    pairs = [(rate(play), rate(copy)) for _ in range(arguments.repeats)]
    train = common.training_rate(CONFIG, arguments.repeats)
    print(f"environment: {', '.join(f'{p[0]:,.0f}' for p in pairs)} steps per CPU second")
    print(f"training: {', '.join(f'{r:,.0f}' for r in train)} steps per CPU second")
    minutes = [minutes_to_target(seed) for seed in range(arguments.seeds)]
    done = [m for m in minutes if m is not None]
    common.finish(
        {
            "env_steps_per_cpu_second": round(statistics.median(p[0] for p in pairs)),
            "floor_env_steps_per_cpu_second": round(statistics.median(p[1] for p in pairs)),
            "train_env_steps_per_cpu_second": round(statistics.median(train)),
            "target_return": TARGET,
            "cpu_minutes_to_target": round(estimate(done).mean, 2) if done and len(done) == len(minutes) else None,
            "cpu_minutes_to_target_by_seed": [None if m is None else round(m, 2) for m in minutes],
            "compilation_cpu_seconds": round(compilation, 2),
        }
    )


if __name__ == "__main__":
    main()
