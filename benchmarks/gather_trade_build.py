"""Gather-Trade-Build on one thread: environment steps per CPU second of the original, of the batched twin, and of
training.

    python benchmarks/gather_trade_build.py [--repeats 3] [--seconds 2] [--config gather_trade_build/metagrad]

Original (``ai-economist`` 1.7.1, where it is installed) and twin take turns in one process on the paper's economy, with
all observations and masks, random actions and random tax rates, resets included. Of the original only its own ``step``
and ``reset`` are timed, of the twin everything. train_env_steps_per_cpu_second is of MetaGrad.train() with a shipped
config: sampling, agents, designer.

The last line is one JSON object. Ratios are null where the original is not installed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from importlib import util
from pathlib import Path

import common
import numpy as np

from env_wrappers.gather_trade_build.twin import VectorGatherTradeBuild

NUM_ENVS = 256


class Twin:
    """B economies in lockstep, with actions that are drawn beforehand."""

    def __init__(self, rng: str) -> None:
        self.env = VectorGatherTradeBuild(NUM_ENVS, rng=rng, autoreset=True)
        draws = np.random.default_rng(0)
        self.env.reset(0)
        self.rates = draws.random((NUM_ENVS, 7))
        self.actions = draws.integers(0, self.env.config.num_actions, (128, NUM_ENVS, 4))
        self.env.step([self.actions[0]], self.rates)

    def rate(self, seconds: float) -> float:
        """Environment steps per CPU second; the step that resets is not counted."""
        steps, start, env = 0, time.process_time(), self.env
        while time.process_time() - start < seconds:
            for actions in self.actions:
                env.step([actions], self.rates)
                steps += NUM_ENVS - int(env.was_reset.sum())
        return steps / (time.process_time() - start)


class Original:
    """The package, driven as in the parity test."""

    def __init__(self) -> None:
        sys.path.append(str(Path(__file__).parent.parent / "tests" / "env_wrappers"))
        from original_economy import OriginalEconomy

        self.economy = OriginalEconomy(VectorGatherTradeBuild(1).config)
        self.draws = np.random.default_rng(0)

    def rate(self, seconds: float) -> float:
        """Environment steps per CPU second of reset and step."""
        steps, spent, over, env = 0, 0.0, True, self.economy.env
        while spent < seconds:
            if over:
                start = time.process_time()
                env.reset()
                spent += time.process_time() - start
            actions = {str(i): int(self.draws.integers(0, 50)) for i in range(4)}
            if self.economy.tax.tax_cycle_pos == 1:
                self.economy.tax.wanted = self.draws.random(7)
            start = time.process_time()
            done = env.step(actions)[2]
            spent += time.process_time() - start
            env.replay_log["step"].clear()
            steps, over = steps + 1, done["__all__"]
        return steps / spent


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--config", default="gather_trade_build/metagrad", help="what trains, in tuned_configs")
    arguments = parser.parse_args()
    start = time.process_time()
    players: dict[str, Twin | Original] = {"twin": Twin("exact"), "plain": Twin("fast")}
    compilation = time.process_time() - start
    if util.find_spec("ai_economist") is not None:
        players["original"] = Original()
    rates: dict[str, list[float]] = {name: [] for name in players}
    for _ in range(arguments.repeats):
        for name, player in players.items():
            rates[name].append(player.rate(arguments.seconds))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name}: {', '.join(f'{value:,.0f}' for value in values)} steps per CPU second")
    common.start_ray()
    train = common.training_rate(arguments.config, arguments.repeats, iterations=1)
    print(f"training: {', '.join(f'{rate:,.0f}' for rate in train)} steps per CPU second")
    original = middle.get("original")
    result = {
        "twin_env_steps_per_cpu_second": round(middle["twin"]),
        "plain_rng_env_steps_per_cpu_second": round(middle["plain"]),
        "original_env_steps_per_cpu_second": original and round(original),
        "ratio": original and round(middle["twin"] / original, 1),
        "plain_rng_ratio": original and round(middle["plain"] / original, 1),
        "train_env_steps_per_cpu_second": round(statistics.median(train)),
        "num_envs": NUM_ENVS,
        "compilation_cpu_seconds": round(compilation, 1),
    }
    common.finish(result)


if __name__ == "__main__":
    main()
