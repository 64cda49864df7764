"""Writes rllib_metagrad/cli/rllib_keys.json from the installed RLlib; run it after a change of Ray's version."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import DEPRECATED_VALUE, AlgorithmConfig
from ray.rllib.algorithms.registry import ALGORITHMS
from ray.tune.schedulers import SCHEDULER_IMPORT

from rllib_metagrad.cli.schedulers import SCHEDULERS

FILE = Path(__file__).parent.parent / "rllib_metagrad" / "cli" / "rllib_keys.json"


def known() -> dict[str, Any]:
    """Keys of every AlgorithmConfig with their defaults (where JSON has them, else null), RLlib's algorithms,
    and the settings of Tune's schedulers."""
    config = AlgorithmConfig()
    properties = {
        name for name, value in vars(AlgorithmConfig).items() if isinstance(value, property) and value.fset is not None
    }
    values = {**dict.fromkeys(properties), **config.to_dict(), **vars(config)}
    public = {key: value for key, value in sorted(values.items()) if not key.startswith("_")}
    keys = {key: _plain(value) for key, value in public.items() if value != DEPRECATED_VALUE}
    schedulers = {
        name: sorted(inspect.signature(SCHEDULER_IMPORT[name]).parameters) for name in sorted({*SCHEDULERS.values()})
    }
    return {"keys": keys, "algorithms": sorted(ALGORITHMS), "schedulers": schedulers}


def _plain(value: Any) -> Any:
    # Of a mapping it is enough to know that it is one.
    return {} if isinstance(value, dict) else value if isinstance(value, bool | int | float | str) else None


if __name__ == "__main__":
    FILE.write_text(json.dumps(known(), indent=1) + "\n")
