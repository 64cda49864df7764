"""Train 20 == train 10, save, restore in a new process, train 10: every parameter and metric, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

KINDS = ["pg_episodes", "ppo_fragments", "cleanup", "taxes", "taxes_annealed", "fisher", "critic"]
# Runs in a process of its own: python - <modes> <folder> <kinds>. Prints results and a digest of the parameters of each
# kind in each mode.
PROGRAM = """
import hashlib, json, sys
import ray
from rllib_metagrad import MetaGradConfig
from rllib_metagrad.algorithms import ALGORITHMS, MetaGrad

modes, folder, kinds = sys.argv[1:]
ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

def config_of(kind):
    config = (
        MetaGradConfig().environment("escape_room", env_config={"n": 3, "m": 1})
        .env_runners(num_envs_per_env_runner=8).debugging(seed=5, log_level="ERROR")
        .agents(lr=0.05, epsilon=[[0, 0.3], [500, 0.0]]).designer(lr=3e-3, cost_lr=1e-3)
        .incentives(num_updates_per_iteration=2).evaluation(evaluation_interval=5, evaluation_duration=10)
    )
    if kind == "ppo_fragments":
        config.agents(loss="ppo", optimizer="adam", lr=1e-3, num_epochs=2, minibatch_size=16, target_tau=0.1)
        config.designer(baseline="critic", loss="ppo", num_epochs=2, target_tau=0.1)
        config.env_runners(batch_mode="truncate_episodes", rollout_fragment_length=7)
    if kind == "cleanup":
        config.environment("cleanup").env_runners(num_envs_per_env_runner=4)
        config.env_config = {"max_steps": 10}
        config.incentives(parameter_sharing=True, bootstrap_truncated=False)
        network = {"filters": [[4, 3, 2]], "hiddens": [16], "critic_lstm": 8}
        config.agents(loss="actor_critic", optimizer="adam", lr=1e-3, network=network)
        config.designer(baseline="critic", loss="ppo", network={"filters": [[4, 3, 2]], "hiddens": [16]})
    if kind.startswith("taxes"):
        config.environment("gather_trade_build").env_runners(num_envs_per_env_runner=4)
        tax = {"PeriodicBracketTax": {"period": 4, "usd_scaling": 10000.0}}
        build = {"Build": {"skill_dist": "pareto", "payment_max_skill_multiplier": 3}}
        config.env_config = {
            "max_steps": 12, "components": [build, "ContinuousDoubleAuction", "Gather", tax], "observations": "network"
        }
        config.incentives(parameter_sharing=True, mechanism="bracketed_tax").designer(interval=3, direct_coeff=0.1)
        config.agents(loss="ppo", optimizer="adam", lr=1e-3, num_epochs=2, minibatch_size=32, reward_scale=0.1,
                      network={"hiddens": [16], "share_trunk": True})
        config.designer(baseline="critic", loss="ppo", normalize_advantages=True, reward_scale=0.01)
        if kind == "taxes_annealed":
            # Caps go by episodes, which environments count beyond the one that is played.
            config.env_config["rate_cap_annealing"] = [0, 0.02]
        else:
            config.env_runners(batch_mode="truncate_episodes", rollout_fragment_length=7)
    if kind in ("fisher", "critic"):
        config.agents(entropy_coeff=0.1).designer(response=kind, response_kl=0.01, interval=2)
    return config

def flat(d, prefix=""):
    for k, v in d.items():
        if isinstance(v, dict):
            yield from flat(v, prefix + k + "/")
        elif isinstance(v, (int, float)) or hasattr(v, "item"):
            yield prefix + k, float(v)

def run(mode, kind):
    checkpoint = f"{folder}/{kind}"
    algorithm = MetaGrad.from_checkpoint(checkpoint) if mode == "resume" else config_of(kind).build_algo()
    results = [algorithm.train() for _ in range(20 if mode == "whole" else 10)]
    if mode == "first":
        algorithm.save_to_path(checkpoint)
    state = algorithm.learner_group.get_state(components="learner/rl_module", inference_only=True)
    weights = state["learner"]["rl_module"]
    digest = hashlib.sha256(b"".join(w.tobytes() for w in [*weights["agents"], weights["designer"]])).hexdigest()
    picked = ("env_runners", "learners", "evaluation", "training_iteration", "num_env_steps")
    rows = [
        {k: v for k, v in flat(r) if k.startswith(picked) and "timers" not in k and "time" not in k} for r in results
    ]
    algorithm.stop()
    return {"rows": rows[-10:], "digest": digest, "steps": algorithm._env_steps_sampled}

print(json.dumps({f"{mode} {kind}": run(mode, kind) for kind in kinds.split() for mode in modes.split()}))
"""


def run(modes: str, folder: Path) -> dict[str, dict[str, Any]]:
    """What the program prints, by mode and kind."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, modes, str(folder), " ".join(KINDS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Two processes do all kinds: starting one costs more than what it trains."""
    folder = tmp_path_factory.mktemp("resume")
    return {**run("whole first", folder), **run("resume", folder)}


@pytest.mark.parametrize("kind", KINDS)
def test_resume_is_exact(kind: str, outcomes: dict[str, dict[str, Any]]) -> None:
    whole, resumed = outcomes[f"whole {kind}"], outcomes[f"resume {kind}"]
    assert resumed["digest"] == whole["digest"]
    assert resumed["digest"] != outcomes[f"first {kind}"]["digest"]
    assert resumed["steps"] == whole["steps"]
    # NaN equals NaN this way.
    assert json.dumps(resumed["rows"], sort_keys=True) == json.dumps(whole["rows"], sort_keys=True)
