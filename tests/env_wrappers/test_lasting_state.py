"""What environments keep from episode to episode, carried to others: schedules and Saez' formula go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foundation_play import needs_package

from env_wrappers import make_vec
from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.vector import VectorIncentiveEnv

BRISK: dict[str, Any] = {
    "max_steps": 20,
    "scenario_config": {"resource_regen_prob": 0.5, "starting_agent_coin": 30},
    "components": [
        {"Build": {"skill_dist": "pareto", "payment_max_skill_multiplier": 3}},
        "ContinuousDoubleAuction",
        "Gather",
        {"PeriodicBracketTax": {"period": 2}},
    ],
}


def episode(env: VectorIncentiveEnv, seed: int) -> dict[str, np.ndarray]:
    """Random play from a seed; what the episode came to."""
    env.reset(seed)
    rng = np.random.default_rng(seed)
    while not env.episode_over.all():
        masks = np.asarray(env.action_masks[0])
        env.step([np.argmax(rng.random(masks.shape) * masks, -1)])
    return env.episode_metrics(env.episode_over)


@pytest.mark.parametrize("backend", ["numba", pytest.param("foundation", marks=needs_package)])
def test_saez_formula_goes_on_elsewhere(backend: str) -> None:
    """40 incomes an episode; the formula needs 500."""
    experienced = make_vec("gather_trade_build", 2, tax="saez", **BRISK)
    for seed in range(14):
        episode(experienced, seed)
    kept = experienced.get_lasting_state()
    assert [one["episodes"] for one in kept] == [14, 14]
    assert kept[0]["incomes"].shape == (500, 2)
    other = make_vec("gather_trade_build", 2, tax="saez", backend=backend, **BRISK)
    other.set_lasting_state(kept)
    for mine, theirs in zip(other.get_lasting_state(), kept, strict=True):
        np.testing.assert_array_equal(mine["incomes"], theirs["incomes"])
    for seed in (20, 21):
        expected, found = episode(experienced, seed), episode(other, seed)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)
    fresh = make_vec("gather_trade_build", 2, tax="saez", **BRISK)
    assert (episode(fresh, 20)["tax_rate/0"] != episode(experienced, 20)["tax_rate/0"]).all()


@pytest.mark.parametrize("backend", ["numba", pytest.param("foundation", marks=needs_package)])
def test_caps_go_on_elsewhere_and_each_copy_takes_one(backend: str) -> None:
    config = {**BRISK, "rates": [1.0] * 7, "rate_cap_annealing": [0, 0.1], "backend": backend}
    env = make_vec("gather_trade_build", 3, **config)
    env.set_lasting_state([{"episodes": 2}, {"episodes": 5}])
    np.testing.assert_allclose(episode(env, 0)["tax_rate/0"], [0.2, 0.5, 0.2])
    assert [one["episodes"] for one in env.get_lasting_state()] == [3, 6, 3]
    env.end_schedules()
    np.testing.assert_allclose(episode(env, 0)["tax_rate/0"], 1.0)
    env.set_lasting_state([])
    np.testing.assert_allclose(episode(env, 0)["tax_rate/0"], 1.0)


def test_most_environments_keep_nothing() -> None:
    env = make_vec("escape_room", 2)
    assert env.get_lasting_state() == []
    env.set_lasting_state([])
    loop = make_vec("escape_room", 2, backend="loop")
    assert loop.get_lasting_state() == []


def test_names_of_version_0_1() -> None:
    """A user's environment may still define them, and a user's code still call them; both are told."""
    with pytest.warns(FutureWarning, match="Old.get_experience is now called get_lasting_state"):

        class Old(IncentiveEnv):
            def get_experience(self) -> int:
                return 3

    assert Old().get_lasting_state() == 3
    env = make_vec("gather_trade_build", 1, **BRISK)
    with pytest.warns(FutureWarning, match="get_experience is now called get_lasting_state"):
        assert len(env.get_experience()) == 1
