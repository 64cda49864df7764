"""RLlib's settings of reports: means over the last episodes, and norms of gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rllib_metagrad.algorithms import ALGORITHMS, get_config_class
from rllib_metagrad.settings import SettingError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]
NORM = "gradients_default_optimizer_global_norm"


def trained(kind: str, iterations: int, **settings: Any) -> list[dict[str, Any]]:
    """Results of a few iterations on Escape Room ER(2,1)."""
    base = {"env": "escape_room", "env_config": {"n": 2, "m": 1}, "num_envs_per_env_runner": 4, "log_level": "ERROR"}
    algorithm = get_config_class(kind)().update_from_dict({**base, "seed": 3, **settings}).build_algo()
    results = [algorithm.train() for _ in range(iterations)]
    algorithm.stop()
    return results


@pytest.mark.parametrize("runners", [0, 2])
def test_means_over_the_last_episodes_of_all_runners(runners: int) -> None:
    """Of batches of 4 (a runner) and a window of 8 a runner: the mean of two iterations' means."""
    batches = max(1, runners)
    plain = trained("MetaGrad", 4, num_env_runners=runners)
    for window, iterations in ((8 * batches, 2), (4 * batches, 1), (1000, 4)):
        smooth = trained(
            "MetaGrad",
            4,
            num_env_runners=runners,
            metrics_num_episodes_for_smoothing=window,
            evaluation_interval=2,
            evaluation_duration=5,
        )
        for i, result in enumerate(smooth):
            of_window = [r["env_runners"] for r in plain[max(0, i + 1 - iterations) : i + 1]]
            now = result["env_runners"]
            for key in ("episode_return_mean", "designer_net_return_mean", "episode_len_mean"):
                assert now[key] == pytest.approx(np.mean([r[key] for r in of_window])), key
            assert now["episode_return_max"] == max(r["episode_return_max"] for r in of_window)
            assert now["num_episodes"] == 4 * batches
        assert smooth[-1]["evaluation"]["env_runners"]["num_episodes"] == 5


def test_a_window_is_a_number_of_episodes() -> None:
    for wrong in (0, -1, 2.5, "all"):
        with pytest.raises(SettingError, match="metrics_num_episodes_for_smoothing must be a whole number >= 1 or"):
            get_config_class("AMD")().update_from_dict(
                {"env": "escape_room", "env_config": {"n": 2, "m": 1}, "metrics_num_episodes_for_smoothing": wrong}
            ).validate()


@pytest.mark.parametrize("kind", sorted(set(ALGORITHMS) - {"Centralized"}))
def test_the_norm_of_the_designers_gradient_is_logged_on_request(kind: str) -> None:
    plain, logged = (trained(kind, 2, log_gradients=wanted)[-1]["learners"] for wanted in (False, True))
    assert NORM not in plain.get("designer", {})
    assert NORM not in logged["agents"].get("designer", {})
    for learned in (plain, logged):
        for agent in ("agent_0", "agent_1"):
            assert learned[agent][NORM] == learned["agents"][agent]["grad_norm"] > 0
    if kind == "FixedIncentive":
        assert NORM not in logged.get("designer", {})
        return
    assert 0 < logged["designer"][NORM] < math.inf
    if "meta_gradient_norm" in logged["designer"]:
        both = [logged["designer"][name] for name in ("meta_gradient_norm", "cost_gradient_norm")]
        assert logged["designer"][NORM] <= sum(both) * 1.0001
