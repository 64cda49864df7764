"""One copy of the economies' twin as a ParallelEnv: PettingZoo's API, and the same game as in a batch."""

from __future__ import annotations

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from env_wrappers import make, make_vec
from env_wrappers.gather_trade_build.twin import GatherTradeBuild

RATES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_pettingzoo_api() -> None:
    parallel_api_test(make("gather_trade_build", max_steps=20), num_cycles=100)
    parallel_seed_test(lambda: make("gather_trade_build", max_steps=20))


def test_it_is_the_first_copy_of_a_batch() -> None:
    """Observations, masks, rewards, designer's side and taxes, over two episodes with legal actions."""
    env, batch = make("gather_trade_build", max_steps=25), make_vec("gather_trade_build", 1, max_steps=25)
    assert isinstance(env, GatherTradeBuild)
    draws = np.random.default_rng(0)
    for seed in (3, None):
        observations, infos = env.reset(seed=seed)
        batch.reset(seed)
        env.set_rates(RATES)
        while env.agents:
            masks = np.stack([infos[agent]["action_mask"] for agent in env.agents])
            np.testing.assert_array_equal(masks, batch.action_masks[0][0])
            actions = [int(draws.choice(np.flatnonzero(mask))) for mask in masks]
            observations, rewards, terminated, truncated, infos = env.step(
                dict(zip(env.possible_agents, actions, strict=True))
            )
            batch.step([np.array([actions])], np.array([RATES]))
            np.testing.assert_array_equal(np.stack(list(observations.values())), batch.observations[0][0])
            np.testing.assert_array_equal(list(rewards.values()), batch.rewards[0])
            np.testing.assert_array_equal(env.state(), batch.state[0])
            np.testing.assert_array_equal(list(env.action_types().values()), batch.action_types[0])
            assert env.designer_reward() == batch.designer_reward[0]
            np.testing.assert_array_equal(env.context()["rates"], batch.context["rates"][0])
            assert not any(terminated.values())
        assert all(truncated.values())
        np.testing.assert_allclose(env.context()["rates"], RATES, rtol=1e-6)
        assert batch.episode_over.all()


def test_mistakes_are_told() -> None:
    env = make("gather_trade_build")
    with pytest.raises(ValueError, match=r"no episode; call reset\(\) first"):
        env.step({})
    for bad in ([0.5] * 6, [0.5] * 6 + [1.5], [float("nan")] * 7):
        with pytest.raises(ValueError, match=r"rates must be (7 numbers|between 0 and 1)"):
            env.set_rates(bad)
    with pytest.raises(ValueError, match="unknown env_config key 'num_agent'; did you mean 'num_agents'"):
        make("gather_trade_build", num_agent=4)
    with pytest.raises(ValueError, match="unknown env_config key 'autoreset'"):
        make("gather_trade_build", autoreset=True)
