"""Prices that designers learn in games whose best ones are known: contract, Pigou's road, Braess' bridge, public good.

    python benchmarks/known_optimum.py [--seeds 8] [--first-seed 500] [--games ...] [--methods ...] [--write]

Methods are designers that see

* fisher: the whole answer of the agents (`metagrad_fisher`, the same settings in all games),
* critic: the same, learned (`metagrad_fisher` with the changes of CRITIC),
* update: one of their updates (`metagrad`, as in the paper),
* dual_rl: nothing of it.

Of each training this prints the learned prices and the best ones at the agents' temperature (searched), the welfare of
both when agents answer at the logit equilibrium, computed exactly, and by how many percent the learned prices fall
short of the best welfare; and R^ID as learned, mean of 1,000 sampled episodes. Prices of a designer that is itself
random are its mean ones. --write puts the runs into docs/results/known_optimum.json, in place of those of the same
game, method and seed, and the table of all that are there into docs/results.md. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import common
import numpy as np

from env_wrappers import make_vec
from env_wrappers.one_shot.base import OneShotConfig, OneShotVectorEnv
from rllib_metagrad import metrics
from rllib_metagrad.evaluation import evaluate
from rllib_metagrad.settings.designer import MetaGradDesignerSettings
from rllib_metagrad.statistics import estimate, interval

sys.path.append(str(Path(__file__).parent.parent / "scripts"))
from write_docs import with_tables

DOCS = Path(__file__).parent.parent / "docs"
RUNS = DOCS / "results" / "known_optimum.json"
CRITIC = {
    "designer_response": "critic",
    "designer_response_critic_lr": 0.01,
    "designer_response_average": MetaGradDesignerSettings().response_average,  # the default: `critic` has no such mean
}
#: Shipped config of each method, and what is changed in it.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "fisher": ("metagrad_fisher", {}),
    "critic": ("metagrad_fisher", CRITIC),
    "update": ("metagrad", {}),
    "dual_rl": ("dual_rl", {}),
}
#: Where the shipped configs of each game are, by the name of the method.
GAMES = {
    "contract": "contract/{}",
    "pigou": "routing/{}",
    "braess": "routing/{}_braess",
    "public_goods": "public_goods/{}",
}
NEAR = 0.05  # of the best price
GOOD = 1.0  # percent of the best welfare

Run = dict[str, Any]


def trained(game: str, method: str, seed: int) -> Run:
    """One training to its stop criterion, and what its prices are worth."""
    name, changes = METHODS[method]
    config, stop = common.load(GAMES[game].format(name), seed, evaluation_interval=None, **changes)
    env = make_vec(config.env, 1, **config.env_config)
    assert isinstance(env, OneShotVectorEnv)
    algorithm = common.build(config)
    start, result = time.process_time(), {}
    while not common.reached(stop, result):
        result = algorithm.train()
    seconds = time.process_time() - start
    found = evaluate(algorithm, episodes=1000, seed=1)
    algorithm.stop()
    offered = found[metrics.OFFERED.key[0]]
    prices = np.array([offered[price] for price in env.config.prices])
    judged = judge(env.config, prices)
    return {"game": game, "method": method, "seed": seed, **judged, "learned": round(found[metrics.RETURN], 4)} | {
        "cpu_seconds": round(seconds, 1)
    }


def judge(game: OneShotConfig, prices: np.ndarray) -> Run:
    """Prices ``[U]`` against the best ones, at the game's temperature; U is 1 in all of these games."""
    alpha = game.temperature
    best = game.search_optimum(alpha)
    answered, most = game.welfare(prices, alpha), game.welfare(best, alpha)
    return {
        "price": round(float(prices[0]), 4),
        "best_price": round(float(best[0]), 4),
        "off": round(float(np.abs(prices - best)[0] / best[0]), 4),
        "answered": round(answered, 4),
        "best_answered": round(most, 4),
        "short_percent": round(100 * (most - answered) / abs(most), 4),
    }


def line(run: Run) -> str:
    """What is printed of a run."""
    return (
        f"{run['game']} {run['method']} seed {run['seed']}: price {run['price']:.4f}, best {run['best_price']:.4f}; "
        f"answered {run['answered']:.4f}, best {run['best_answered']:.4f}, {run['short_percent']:.3f}% short; "
        f"learned {run['learned']:.4f}; {run['cpu_seconds']} CPU s"
    )


def groups(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Runs by game and method, in the order of GAMES and METHODS."""
    found: dict[tuple[str, str], list[Run]] = {(game, method): [] for game in GAMES for method in METHODS}
    for run in runs:
        found[run["game"], run["method"]].append(run)
    return {key: some for key, some in found.items() if some}


def summary(runs: list[Run]) -> dict[str, Any]:
    """Of one game and method, over seeds."""
    price, short = estimate(run["price"] for run in runs), estimate(run["short_percent"] for run in runs)
    return {
        "seeds": len(runs),
        "price_iqm": [round(x, 4) for x in (price.iqm, price.low, price.high)],
        "best_price": runs[0]["best_price"],
        "price_within_5_percent": sum(run["off"] <= NEAR for run in runs),
        "short_percent_iqm": [round(x, 4) for x in (short.iqm, short.low, short.high)],
        "welfare_within_1_percent": sum(run["short_percent"] <= GOOD for run in runs),
    }


def table(runs: Iterable[Run]) -> str:
    """For docs/results.md."""
    heads = ("game", "method", "price, IQM [95%]", "best", "farthest seed", "within 5%")
    heads += ("welfare short, %, IQM [95%]", "worst seed", "within 1%", "CPU s")
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for (game, method), some in groups(runs).items():
        of, n = summary(some), len(some)
        price, short = (estimate(run[key] for run in some) for key in ("price", "short_percent"))
        cells = (
            game,
            f"`{method}`",
            interval(price, 3),
            f"{of['best_price']:.3f}",
            f"{max(some, key=lambda run: run['off'])['price']:.3f}",
            f"{of['price_within_5_percent']} of {n}",
            interval(short, 3),
            f"{max(run['short_percent'] for run in some):.3f}",
            f"{of['welfare_within_1_percent']} of {n}",
            f"{estimate(run['cpu_seconds'] for run in some).mean:.0f}",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def write(runs: Iterable[Run]) -> None:
    """Into the file of all runs and the table of docs/results.md."""
    known = json.loads(RUNS.read_text()) if RUNS.exists() else {}
    known |= {f"{run['game']}/{run['method']}/{run['seed']}": run for run in runs}
    RUNS.write_text(json.dumps(known, separators=(",", ":")))
    page = DOCS / "results.md"
    page.write_text(with_tables(page.read_text(), {"known_optimum": table(known.values())}))


def main() -> None:
    """Trains, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=500, help="settings were chosen on 900 to 903")
    parser.add_argument("--games", nargs="+", choices=list(GAMES), default=list(GAMES))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--write", action="store_true", help="into docs/")
    arguments = parser.parse_args()
    common.start_ray()
    runs = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for method in arguments.methods:
            for game in arguments.games:
                runs.append(trained(game, method, seed))
                print(line(runs[-1]), flush=True)
                if arguments.write:
                    write(runs[-1:])
    common.finish({f"{game}/{method}": summary(some) for (game, method), some in groups(runs).items()})


if __name__ == "__main__":
    main()
