"""What RLlib costs: MetaGrad.train() against the same iterations written as a bare loop, in one process.

    python benchmarks/overhead.py [--repeats 7] [--updates 100]

The bare loop is core's `metagrad_step` on a sampler's trajectories: no learner, no runner, no metrics reported. Both
sides do the same arithmetic from the same start; the script checks that they end at the same bits.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import common
import numpy as np
import torch

from rllib_metagrad.core.algorithm import metagrad_step
from rllib_metagrad.env_runner import build_env
from rllib_metagrad.sampling import Behavior, Sampler

CONFIG = "escape_room/metagrad_5_2"


class BareLoop:
    """Algorithm 1 with pipelining: core's step on trajectories of a sampler."""

    def __init__(self, algorithm: Any) -> None:
        learner, runner = algorithm.learner_group._learner, algorithm.env_runner
        self.setup, self.state, self.env_steps = learner.setup, learner.state, 0
        self.generator, draws = learner.generator, torch.Generator()
        draws.set_state(runner.generator.get_state())
        env = build_env(learner.config, learner.config.num_envs_per_env_runner)
        self.sampler = Sampler(env, runner.stacks, runner.policies, runner.designer, draws)

    def one_update(self) -> None:
        """One iteration: sample, designer, agents."""
        thetas = [agents.theta for agents in self.state.agents]
        tau = self.sampler.episodes(Behavior(thetas, self.state.eta.value, 0.0, False, 0))
        self.env_steps += tau.env_steps()
        now = self.setup.at(self.env_steps)
        self.state, _ = metagrad_step(now, self.state, tau, self.generator, measure=False)


def cpu(action: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> None:
    """Measures in interleaved blocks and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--updates", type=int, default=100)
    arguments = parser.parse_args()
    common.start_ray()
    config, _ = common.load(CONFIG, seed=0, evaluation_interval=None)
    algorithm = common.build(config)
    bare = BareLoop(algorithm)
    per_train = config.num_updates_per_iteration
    trains = max(1, arguments.updates // per_train)

    def rllib_block() -> None:
        for _ in range(trains):
            algorithm.train()

    def bare_block() -> None:
        for _ in range(trains * per_train):
            bare.one_update()

    rllib_block(), bare_block()
    pairs = [(cpu(rllib_block), cpu(bare_block)) for _ in range(arguments.repeats)]
    learner = algorithm.learner_group._learner
    same = torch.equal(learner.state.agents[0].theta, bare.state.agents[0].theta) and torch.equal(
        learner.state.eta.value, bare.state.eta.value
    )
    ratios = [ours / floor for ours, floor in pairs]
    count = trains * per_train
    for ours, floor in pairs:
        print(f"train() {1e3 * ours / count:.2f} ms, bare loop {1e3 * floor / count:.2f} ms per update")
    common.finish(
        {
            "cpu_ratio": round(statistics.median(ratios), 3),
            "cpu_ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
            "train_ms_per_update": round(1e3 * float(np.median([p[0] for p in pairs])) / count, 3),
            "bare_ms_per_update": round(1e3 * float(np.median([p[1] for p in pairs])) / count, 3),
            "same_bits": same,
        }
    )


if __name__ == "__main__":
    main()
