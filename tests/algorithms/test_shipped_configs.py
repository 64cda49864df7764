"""Every YAML that ships trains, evaluates and names itself as it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.cli.experiment_file import load_experiments
from rllib_metagrad.cli.validate import validate

ROOT = Path(__file__).parent.parent.parent / "tuned_configs"
FILES = sorted(ROOT.rglob("*.yaml"))
METHODS = {
    "metagrad": "MetaGrad",
    "dual_rl": "DualRL",
    "amd": "AMD",
    "fixed_incentive": "FixedIncentive",
    "us_federal": "FixedIncentive",
    "free_market": "FixedIncentive",
    "saez": "FixedIncentive",
    "centralized": "Centralized",
}


def experiment(file: Path) -> tuple[str, dict[str, Any]]:
    ((name, content),) = yaml.safe_load(file.read_text()).items()
    return name, content


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_files_are_named_after_environment_and_method(file: Path) -> None:
    name, content = experiment(file)
    assert file.read_text().startswith("# ")
    if file.parent.name in ("sweeps", "smoke"):
        return
    assert name == file.stem
    assert content["env"] == file.parent.name
    assert content["run"] == next(run for prefix, run in METHODS.items() if name.startswith(prefix))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_shipped_configs_pass_the_check_of_every_key(file: Path) -> None:
    for one in load_experiments(str(file)):
        validate(one)


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    "file", [f for f in FILES if f.parent.name != "sweeps"], ids=lambda f: f"{f.parent.name}/{f.stem}"
)
def test_shipped_configs_train(file: Path) -> None:
    _, content = experiment(file)
    small = {"num_envs_per_env_runner": 4, "num_updates_per_iteration": 2, "evaluation_duration": 4}
    if "rollout_fragment_length" in content["config"]:
        small["rollout_fragment_length"] = 20
    settings = {**content["config"], "env": content["env"], **small, "evaluation_interval": 1, "log_level": "ERROR"}
    settings.pop("agent_minibatch_size", None)
    algorithm = get_config_class(content["run"])().update_from_dict(settings).build_algo()
    result = algorithm.train()
    algorithm.stop()
    assert result["num_env_steps_sampled_lifetime"] > 0
    assert np.isfinite(result["evaluation"]["env_runners"]["designer_net_return_mean"])
