"""What trained incentives are worth once agents have answered them, beside what training ended with.

    python benchmarks/answered.py CONFIG --seeds 400 401 ... [--fresh-agents 1] [--steps STEPS] [--stop STEPS]

CONFIG is a shipped config, such as escape_room/metagrad_5_2. Trains each seed to the config's end, or to --stop, unless
results/answered/CONFIG/seed_SEED holds a checkpoint already; freezes the designer; lets the same agents go on for
STEPS environment steps (default: as many as training took) and fresh populations learn for as many as training took.
Evaluates each by 100 sampled episodes, as `rllib evaluate --answered` does, and writes

* docs/results/answered.json: every number but the curves,
* the table between its markers in docs/results.md.

All in one process, one training after another. The last line is one JSON object: means over seeds of the net return.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import common

from rllib_metagrad import metrics
from rllib_metagrad.answered import AS_TRAINED, FRESH, GOING_ON, answered
from rllib_metagrad.cli.checkpoints import find_checkpoint
from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.statistics import estimate, plus_minus

sys.path.append(str(Path(__file__).parent.parent / "scripts"))
from write_docs import with_tables

ROOT = Path(__file__).parent.parent
RUNS, PAGE, NUMBERS = ROOT / "results" / "answered", ROOT / "docs" / "results.md", ROOT / "docs/results/answered.json"
_SHOWN = ((metrics.NET, "net"), (metrics.RETURN, "R^ID"), (metrics.PAID, "paid"))
_WHO = {AS_TRAINED: "as trained", GOING_ON: "the same agents going on", FRESH: "fresh agents"}


def trained(name: str, seed: int, stop: int | None) -> Path:
    """The checkpoint of a shipped config's training with a seed, to its end or to so many steps; of an earlier call if
    there is one."""
    folder = RUNS / name / (f"seed_{seed}" if stop is None else f"seed_{seed}_to_{stop}")
    try:
        return find_checkpoint(str(folder))
    except BadInputError:
        config, end = common.load(name, seed, evaluation_interval=None)
        end = end if stop is None else {metrics.ENV_STEPS: stop}
        algorithm = common.build(config)
        while not common.reached(end, algorithm.train()):
            pass
        algorithm.save_to_path(folder)
        algorithm.stop()
        return folder


def measure(name: str, seed: int, fresh_agents: int, steps: int | None, stop: int | None) -> dict[str, Any]:
    """The outcomes of one seed, curves left out."""
    checkpoint = trained(name, seed, stop)
    trained_steps = int(common.load(name)[1][metrics.ENV_STEPS])
    result = answered(
        checkpoint, steps or trained_steps, fresh_agents=fresh_agents, fresh_steps=trained_steps, seed=seed
    )
    result["checkpoint"] = f"{name}, seed {seed}"
    for population in (result[GOING_ON], *result[FRESH]):
        del population["curve"]
    return result


def _outcomes(result: Mapping[str, Any], who: str, metric: metrics.Metric) -> list[float]:
    """Of one seed: one value, or one a fresh population."""
    found = result[who] if who == FRESH else [result[who]]
    return [population[f"{metric.stem}_mean"] for population in found]


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each config and each kind of agents; of fresh populations their mean is a seed's value."""
    lines = ["| config | seeds | agents | env steps | net | R^ID | paid | net: worst seed | best |", "|---" * 9 + "|"]
    by_config: dict[str, list[Mapping[str, Any]]] = {}
    for key, result in results.items():
        by_config.setdefault(key.rpartition("/")[0], []).append(result)
    for name, found in by_config.items():
        for who, words in _WHO.items():
            if not all(result[who] for result in found):
                continue
            values = {
                head: [estimate(_outcomes(result, who, metric)).mean for result in found] for metric, head in _SHOWN
            }
            steps = max(
                result[who][0]["env_steps"] if who == FRESH else result[who].get("env_steps", result["trained_steps"])
                for result in found
            )
            each = f", {found[0]['fresh_agents']} a seed" if who == FRESH else ""
            cells = [name, str(len(found)), words + each, f"{steps / 1e6:.2f} M"]
            cells += [plus_minus(estimate(values[head])) for _, head in _SHOWN]
            cells += [f"{min(values['net']):.2f}", f"{max(values['net']):.2f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Trains, measures, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--fresh-agents", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--stop", type=int, help="end training after so many environment steps")
    arguments = parser.parse_args()
    common.start_ray()
    results: dict[str, Any] = {}
    name = arguments.config if arguments.stop is None else f"{arguments.config}, {arguments.stop:,} steps"
    for seed in arguments.seeds:
        found = measure(arguments.config, seed, arguments.fresh_agents, arguments.steps, arguments.stop)
        results = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}  # another call may have written
        results[f"{name}/{seed}"] = found
        NUMBERS.write_text(json.dumps(results, separators=(",", ":")) + "\n")
        net = {who: [round(x, 2) for x in _outcomes(found, who, metrics.NET)] for who in _WHO}
        print(f"{name} seed {seed}: {net}", flush=True)
        PAGE.write_text(with_tables(PAGE.read_text(), {"answered": table(results)}))
    own = [result for key, result in results.items() if key.startswith(f"{name}/")]
    common.finish(
        {who: estimate([x for result in own for x in _outcomes(result, who, metrics.NET)]).mean for who in _WHO}
    )


if __name__ == "__main__":
    main()
