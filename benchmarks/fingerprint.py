"""A hash of all parameters after a few iterations of shipped configs: equal bits before and after a change of the code.

    python benchmarks/fingerprint.py [--iterations 3]

Prints one line a config. To compare two commits, run it on both on the same machine: sums of floats depend on the
processor. The last line is one JSON object of all hashes.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from typing import Any

import common
import numpy as np

#: Small networks with a memory.
_LSTM = {"encoder": "picture_and_vector", "filters": [[6, 5, 2]], "hiddens": [32], "critic_lstm": 16}
#: Configs by a short name, with what makes them quick: fewer environments, and episodes that are cut early.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "escape_room": ("escape_room/metagrad_5_2", {}),
    "escape_room_cloned": ("escape_room/metagrad_5_2_cloned", {}),
    "amd": ("escape_room/amd_2_1", {}),
    "dual_rl": ("escape_room/dual_rl_5_2_3levels", {}),
    "cleanup": ("cleanup/metagrad_7x7", {"num_envs_per_env_runner": 8}),
    "gather_trade_build": ("gather_trade_build/metagrad", {"num_envs_per_env_runner": 8}),
    "gather_trade_build_lstm": (
        "gather_trade_build/metagrad_pictures",
        {"num_envs_per_env_runner": 4, "agent_network": _LSTM, "agent_minibatch_size": 240},
    ),
    "gather_trade_build_dual_rl": ("gather_trade_build/dual_rl", {"num_envs_per_env_runner": 8}),
    "one_step_economy": ("one_step_economy/metagrad", {"designer_lr": 0.003}),
    "pettingzoo": ("pettingzoo/metagrad_simple_spread", {"num_envs_per_env_runner": 4, "num_updates_per_iteration": 2}),
}
_SHORT = {"cleanup": 30, "gather_trade_build": 60}


def arrays_of(state: Any, path: str = "") -> dict[str, np.ndarray]:
    """All float arrays of a nested state by path; settings and names beside them are left out."""
    if isinstance(state, Mapping):
        found: dict[str, np.ndarray] = {}
        for key in sorted(state, key=str):
            found |= arrays_of(state[key], f"{path}/{key}")
        return found
    array = np.asarray(state) if not isinstance(state, str) else np.empty(0, object)
    return {path: array} if array.dtype.kind == "f" and array.ndim > 0 else {}


def fingerprint(name: str, overrides: dict[str, Any], iterations: int) -> str:
    """Trains a shipped config for a few iterations; the first 16 digits of the SHA-256 of its parameters."""
    config, _ = common.load(name, seed=7, evaluation_interval=None, num_env_runners=0, **overrides)
    if config.env in _SHORT:
        config.env_config = {**config.env_config, "max_steps": _SHORT[config.env]}
    algorithm = common.build(config)
    for _ in range(iterations):
        algorithm.train()
    modules = algorithm.learner_group.get_state(components="learner/rl_module")["learner"]["rl_module"]
    algorithm.stop()
    digest = hashlib.sha256()
    for path, array in arrays_of(modules).items():
        digest.update(path.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Prints a line a config and all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=3)
    arguments = parser.parse_args()
    common.start_ray()
    hashes = {}
    for short, (name, overrides) in CONFIGS.items():
        hashes[short] = fingerprint(name, overrides, arguments.iterations)
        print(f"{short}: {hashes[short]} ({name})", flush=True)
    common.finish(hashes)


if __name__ == "__main__":
    main()
