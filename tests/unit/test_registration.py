"""`import rllib_metagrad` imports no Ray, and Ray knows our names whichever is imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

_KNOWN = (
    "from ray.tune.registry import TRAINABLE_CLASS, _global_registry as r; print(r.contains(TRAINABLE_CLASS, 'AMD'))"
)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["rllib_metagrad", "rllib_metagrad.settings", "rllib_metagrad.core.meta_gradient"])
def test_no_ray_is_imported(module: str) -> None:
    assert run(f"import sys, {module}; print('ray' in sys.modules)") == "False"


@pytest.mark.parametrize(
    "first",
    [
        "import rllib_metagrad; from ray import tune",
        "from ray import tune; import rllib_metagrad",
        "import rllib_metagrad; import ray.rllib",
        "import rllib_metagrad; from ray.rllib.algorithms.ppo import PPO",
        "import ray; import rllib_metagrad; from ray import tune",
        "from rllib_metagrad import MetaGradConfig",
        "import ray.tune; import env_wrappers",
        "import env_wrappers; import ray.tune",
        "from ray import tune; from env_wrappers.vector import VectorIncentiveEnv",
    ],
)
def test_ray_knows_our_names(first: str) -> None:
    assert run(f"{first}; {_KNOWN}") == "True"
