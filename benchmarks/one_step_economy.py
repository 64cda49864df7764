"""Tax rates that MetaGrad learns in the one-step economy, against Saez' formula and the best rates there are.

    python benchmarks/one_step_economy.py [--seeds 4] [--first-seed 100] [--direct-coeff 0.003] [--skip-baselines]
    python benchmarks/one_step_economy.py --config metagrad_critic [--start 0.05] [--agents 20] --skip-baselines
    python benchmarks/one_step_economy.py --analysis

Social welfare is the designer's R^ID, the package's inverse-income-weighted mean utility, in two ways:

* answered: of rates when every agent makes its best choice, computed exactly; it judges the rates alone.
* learned: of agents and rates as trained, mean of 100 sampled episodes.

Saez' rates and the searched optimum are from env_wrappers/one_step_economy/; with ``--analysis`` they are compared for
several numbers of agents, and nothing is trained. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import common
import numpy as np

from env_wrappers.one_step_economy import optimum, saez
from env_wrappers.one_step_economy.config import OneStepEconomyConfig
from rllib_metagrad import metrics
from rllib_metagrad.evaluation import evaluate
from rllib_metagrad.statistics import estimate

BASELINES = ("saez", "us_federal", "free_market")
SIZES = (4, 10, 20, 40)


def known(economy: OneStepEconomyConfig) -> tuple[float, float]:
    """Answered welfare of the searched optimum and of Saez' rates."""
    both = optimum.search_optimum(economy), saez.saez_optimum(economy)
    best, of_saez = (float(optimum.response(economy, rates).welfare) for rates in both)
    print(f"{economy.num_agents} agents, answered: searched optimum {best:.2f}, Saez {of_saez:.2f}", flush=True)
    return best, of_saez


def trained(name: str, seed: int, **overrides: Any) -> tuple[np.ndarray, float, float]:
    """Rates ``[K]``, learned welfare, and CPU seconds of training."""
    config, stop = common.load(f"one_step_economy/{name}", seed, evaluation_interval=None, **overrides)
    algorithm = common.build(config)
    start, result = time.process_time(), {}
    while not common.reached(stop, result):
        result = algorithm.train()
    seconds = time.process_time() - start
    found = evaluate(algorithm, episodes=100, seed=1)
    algorithm.stop()
    return np.array(list(found[metrics.OFFERED.key[0]].values())), found[metrics.RETURN], seconds


def runs(economy: OneStepEconomyConfig, name: str, seeds: range, **overrides: Any) -> dict[str, Any]:
    """All seeds of a shipped config: welfare in both ways, rates, CPU seconds."""
    rates, answered, learned, seconds = [], [], [], []
    for seed in seeds:
        found, welfare, spent = trained(name, seed, **overrides)
        rates.append(found.round(3).tolist())
        answered.append(round(float(optimum.response(economy, np.clip(found, 0, 1)).welfare), 2))
        learned.append(round(welfare, 2))
        seconds.append(round(spent, 1))
        print(
            f"{name} seed {seed}: answered {answered[-1]}, learned {learned[-1]}, {seconds[-1]} CPU s, {rates[-1]}",
            flush=True,
        )
    return {"answered": answered, "learned": learned, "cpu_seconds": seconds, "rates": rates}


def main() -> None:
    """Computes, trains, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=100, help="apart from 0 to 3, which settings were tuned on")
    parser.add_argument("--direct-coeff", type=float, help="designer_direct_coeff; default: the shipped config's")
    parser.add_argument("--skip-baselines", action="store_true", help="train MetaGrad only")
    parser.add_argument("--analysis", action="store_true", help="train nothing")
    parser.add_argument("--config", default="metagrad", help="of tuned_configs/one_step_economy/ that learns rates")
    parser.add_argument("--start", type=float, help="initial rate of all brackets (configs with squash: sigmoid)")
    parser.add_argument("--agents", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.analysis:
        welfare = {n: known(OneStepEconomyConfig(num_agents=n)) for n in SIZES}
        common.finish({f"saez_to_optimum_{n}_agents": round(b / a, 4) for n, (a, b) in welfare.items()})
        return
    common.start_ray()
    economy = OneStepEconomyConfig(num_agents=arguments.agents)
    best, of_saez = known(economy)
    report: dict[str, Any] = {"optimum_welfare": round(best, 2), "saez_welfare": round(of_saez, 2)}
    overrides: dict[str, Any] = {"env_config": {"num_agents": arguments.agents}}
    if arguments.direct_coeff is not None:
        overrides["designer_direct_coeff"] = arguments.direct_coeff
    if arguments.start is not None:
        overrides["designer_output_bias"] = math.log(arguments.start / (1 - arguments.start))
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    report["metagrad"] = found = runs(economy, arguments.config, seeds, **overrides)
    answered = estimate(found["answered"])
    least, mean = answered.worst, answered.mean
    report |= {
        "metagrad_welfare": round(mean, 2),
        "metagrad_welfare_se": round(answered.standard_error, 2),
        "metagrad_welfare_iqm": [round(x, 2) for x in (answered.iqm, answered.low, answered.high)],
        "ratio_to_saez": round(mean / of_saez, 4),
        "ratio_to_saez_worst_seed": round(least / of_saez, 4),
        "ratio_to_optimum": round(mean / best, 4),
        "ratio_to_optimum_worst_seed": round(least / best, 4),
    }
    if not arguments.skip_baselines:
        for name in BASELINES:
            report[name] = runs(economy, name, seeds)
        learned = [estimate(report[name]["learned"]).mean for name in ("metagrad", "saez")]
        report["ratio_to_saez_learned"] = round(learned[0] / learned[1], 4)
    common.finish(report)


if __name__ == "__main__":
    main()
