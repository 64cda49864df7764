"""What benchmark scripts share: shipped configs, CPU clocks, and one JSON object on the last line."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

_IMPORT_START = time.process_time()
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

import ray  # noqa: E402
import yaml  # noqa: E402

from rllib_metagrad import metrics  # noqa: E402
from rllib_metagrad.algorithms import IncentiveDesign, IncentiveDesignConfig, get_config_class  # noqa: E402

IMPORT_SECONDS = time.process_time() - _IMPORT_START
CONFIGS = Path(__file__).parent.parent / "tuned_configs"


def start_ray(num_cpus: int = 1, address: str | None = None) -> None:
    """A Ray of its own on this machine, or the cluster at ``address``."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        ray.init(address, **quiet)
    else:
        ray.init("local", num_cpus=num_cpus, include_dashboard=False, **quiet)


def load(name: str, seed: int | None = None, **overrides: Any) -> tuple[IncentiveDesignConfig, dict[str, Any]]:
    """Config and stop criteria of a shipped YAML, e.g. ``escape_room/metagrad_5_2``, with one seed."""
    (experiment,) = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()).values()
    settings = {**experiment["config"], "env": experiment["env"], **overrides}
    if seed is not None:
        settings["seed"] = seed
    config = get_config_class(experiment["run"])().update_from_dict(settings)
    config.debugging(log_level="ERROR")
    return config, experiment["stop"]


def reached(stop: dict[str, Any], result: dict[str, Any]) -> bool:
    """Whether a result meets any of the stop criteria (keys may be nested with ``/``)."""
    for key, bound in stop.items():
        value: Any = result
        for part in key.split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and value >= bound:
            return True
    return False


def build(config: IncentiveDesignConfig) -> IncentiveDesign:
    """The algorithm, after checking its config."""
    config.validate()
    return config.build_algo()  # type: ignore[no-any-return]


def training_rate(name: str, repeats: int, iterations: int = 3) -> list[float]:
    """Environment steps per CPU second of train() with a shipped config, of ``repeats`` blocks after a warm-up."""
    config, _ = load(name, 0, evaluation_interval=None)
    algorithm = build(config)
    before = algorithm.train()[metrics.ENV_STEPS]
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(iterations):
            after = algorithm.train()[metrics.ENV_STEPS]
        rates.append((after - before) / (time.process_time() - start))
        before = after
    algorithm.stop()
    return rates


def finish(result: dict[str, Any]) -> None:
    """Prints the result as one JSON object, the last line."""
    ray.shutdown()
    print(json.dumps(result))
