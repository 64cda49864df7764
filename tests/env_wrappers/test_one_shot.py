"""The one-shot games as environments: rules by hand, the API, twins, resuming, prices, bad input."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test
from test_vector import assert_equal, assert_same_description, snapshot
from toy_envs import random_actions

from env_wrappers import LoopVectorEnv, make, make_vec
from env_wrappers.one_shot.base import OneShotEnv, OneShotVectorEnv

GAMES: list[tuple[str, dict[str, Any]]] = [
    ("contract", {}),
    ("contract", {"num_agents": 3, "bonus": 0.4, "value": 2.0}),
    ("public_goods", {"num_agents": 3, "num_levels": 5, "subsidy": 0.5}),
    ("routing", {"num_drivers": 4}),
    ("routing", {"num_drivers": 3, "network": "braess", "degree": 2.0, "tolled": ["bridge", "up_narrow"]}),
    ("routing", {"num_drivers": 3, "unit": "count", "edges": {"a": ["s", "t", 0, 1, 1], "b": ["s", "t", 2, 0.5, 2]}}),
]


def batch(name: str, num_envs: int, **keys: Any) -> OneShotVectorEnv:
    env = make_vec(name, num_envs, **keys)
    assert isinstance(env, OneShotVectorEnv)
    env.reset(0)
    return env


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_pettingzoo_api(name: str, config: dict[str, Any]) -> None:
    parallel_api_test(make(name, **config), num_cycles=20)
    parallel_seed_test(lambda: make(name, **config))


def test_contract_by_hand() -> None:
    env = batch("contract", 2, num_agents=2, value=3.0, cost=0.5)
    assert env.action_type_names == ("rest", "work")
    assert env.designer_due.all()
    env.step([np.array([[1, 0], [1, 1]])], np.array([[0.75], [1.0]]))
    np.testing.assert_array_equal(env.rewards, [[-0.5, 0], [-0.5, -0.5]])
    np.testing.assert_array_equal(env.designer_reward, [3 - 0.75, 6 - 2.0])
    assert env.terminated.all()
    assert not env.truncated.any()
    assert not env.designer_due.any()


def test_public_goods_by_hand() -> None:
    env = batch("public_goods", 1, num_agents=2, benefit=2.0, cost=1.0, deadweight=0.5, num_levels=5)
    np.testing.assert_array_equal(env.config.units[:, 0], [0, 1, 2, 3, 4])  # up to n b / c
    env.step([np.array([[1, 3]])], np.array([[0.25]]))
    np.testing.assert_array_equal(env.rewards, [[8 - 0.5, 8 - 4.5]])
    np.testing.assert_array_equal(env.designer_reward, [16 - 5 - 0.5 * 0.25 * 4])


def test_braess_by_hand() -> None:
    env = batch("routing", 1, num_drivers=4, network="braess")
    assert env.action_type_names == ("up_narrow-up_wide", "up_narrow-bridge-down_narrow", "down_wide-down_narrow")
    env.step([np.array([[1, 1, 0, 2]])], np.array([[0.5]]))
    # Three of four on either narrow road.
    np.testing.assert_allclose(env.rewards, [[-1.5, -1.5, -1.75, -1.75]])
    np.testing.assert_allclose(env.designer_reward, [-1.625])  # tolls are transfers


def test_roads_by_number() -> None:
    env = batch("routing", 1, **GAMES[-1][1])
    env.step([np.array([[0, 1, 1]])])
    np.testing.assert_allclose(env.rewards, [[-1, -4, -4]])


@settings(max_examples=25, deadline=None)
@given(which=st.sampled_from(GAMES), autoreset=st.booleans(), priced=st.booleans(), seed=st.integers(0))
def test_twins(which: tuple[str, dict[str, Any]], autoreset: bool, priced: bool, seed: int) -> None:
    name, config = which
    twins = make_vec(name, 3, autoreset, **config), make_vec(name, 3, autoreset, backend="loop", **config)
    assert isinstance(twins[1], LoopVectorEnv)
    assert_same_description(twins)  # type: ignore[arg-type]
    assert twins[0].mechanism_facts == twins[1].mechanism_facts
    rng = np.random.default_rng(seed)
    for env in twins:
        env.reset(seed=0)
    for t in range(5):
        actions = random_actions(twins[0], rng)
        prices = rng.random((3, twins[0].config.units.shape[1])) if priced else None  # type: ignore[attr-defined]
        over = twins[0].episode_over.copy()
        for env in twins:
            env.step(actions, prices)
        assert_equal(snapshot(twins[0]), snapshot(twins[1]), f"in step {t}")
        np.testing.assert_array_equal(twins[0].designer_due, twins[1].designer_due)
        if (ended := twins[0].episode_over & ~over).any():
            np.testing.assert_equal(twins[0].episode_metrics(ended), twins[1].episode_metrics(ended))


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_resume_continues_exactly(name: str, config: dict[str, Any]) -> None:
    env, other = (batch(name, 4, autoreset=True, **config) for _ in range(2))
    rng = np.random.default_rng(1)
    for _ in range(4):
        state = copy.deepcopy(env.get_state())
        actions, prices = random_actions(env, rng), rng.random((4, len(env.config.prices)))
        env.step(actions, prices)
        expected = snapshot(env)
        other.set_state(state)
        other.step(actions, prices)
        assert_equal(snapshot(other), expected)


def test_prices_hold_until_the_end_and_only_where_they_are_due() -> None:
    env = batch("contract", 2, autoreset=True, bonus=0.25)
    work = [np.ones((2, 1), np.int64)]
    env.step(work)
    np.testing.assert_array_equal(env.designer_reward, [0.75, 0.75])
    env.step(work, np.full((2, 1), 0.9))  # this step only resets
    env.step(work)
    np.testing.assert_array_equal(env.designer_reward, [0.75, 0.75])
    env.step(work)
    env.step(work, np.array([[0.5], [0.0]]))
    np.testing.assert_array_equal(env.designer_reward, [0.5, 1.0])


def test_one_game_takes_prices() -> None:
    env = make("public_goods", num_agents=2, num_levels=3)
    assert isinstance(env, OneShotEnv)
    env.set_prices([1.5])
    for _ in range(2):
        env.reset(seed=0)
        env.step({"agent_0": 1, "agent_1": 2})  # 1 and 2 units
        assert env.designer_reward() == pytest.approx(6 - 0.5 - 2 - 0.3 * 1.5 * 3)
    with pytest.raises(ValueError, match=r"public_goods: prices must have shape \(1,\) \(subsidy\), got \(2,\)"):
        env.set_prices([1.0, 2.0])
    for bad in (-0.5, float("nan")):
        with pytest.raises(ValueError, match=f"public_goods: prices must not be negative, got {bad:g}"):
            env.set_prices([bad])


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_share_of_optimum_is_nought_without_prices_and_one_under_the_best(name: str, config: dict[str, Any]) -> None:
    """In the mean over agents' play at the record's temperature, within four standard errors."""
    env = batch(name, 20_000, **config)
    game = env.config
    best = game.search_optimum(game.temperature)
    for prices, share in ((np.zeros(len(game.prices)), 0.0), (best, 1.0)):
        env.reset(0)
        p = game.logit_equilibrium(prices, game.temperature)
        rng = np.random.default_rng(3)
        env.step([rng.choice(len(p), size=env.active.shape, p=p)], np.tile(prices, (env.num_envs, 1)))
        found = env.episode_metrics(np.ones(env.num_envs, bool))["share_of_optimum"]
        assert abs(found.mean() - share) < 4 * found.std() / np.sqrt(len(found))


def test_no_share_where_there_is_nothing_to_gain() -> None:
    env = batch("public_goods", 1, num_agents=1)
    env.step([np.array([[1]])])
    assert env.episode_metrics(np.ones(1, bool)) == {}


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("contract", {"num_agents": 0}, "contract: num_agents must be a whole number >= 1, got 0"),
        ("contract", {"temperature": 0}, "contract: temperature must be a number > 0, got 0"),
        ("contract", {"bonuss": 0.2}, "contract: unknown env_config key 'bonuss'; did you mean 'bonus'?"),
        ("public_goods", {"num_levels": 1}, "public_goods: num_levels must be a whole number >= 2, got 1"),
        ("public_goods", {"benefit": 0.0}, "public_goods: benefit must be a number > 0, got 0"),
        ("routing", {"network": "pigeu"}, "routing: network must be one of pigou, braess, got 'pigeu'"),
        ("routing", {"num_drivers": 1}, "routing: num_drivers must be a whole number >= 2, got 1"),
        ("routing", {"tolls": [0.1, 0.2]}, "routing: prices must have shape (1,) (road), got (2,)"),
        ("routing", {"tolls": [-0.1]}, "routing: prices must not be negative, got -0.1"),
        ("routing", {"tolled": ["rode"]}, "routing: tolled has 'rode', which is no edge; did you mean 'road'?"),
        ("routing", {"tolled": []}, "routing: tolled must name different edges, at least one, got []"),
        ("routing", {"edges": {"a": ["s", "t", 0, 1, 1]}}, "routing: edges have one path from 's' to 't'"),
        ("routing", {"origin": "x"}, "routing: edges have no paths from 'x' to 't'; 2 to 64 are needed"),
        ("routing", {"edges": {f"e{i}": ["s", "t", 0, 1, 1] for i in range(65)}}, "have more than 64 paths"),
        ("routing", {"edges": {"a/b": ["s", "t", 0, 1, 1]}}, "routing: edges must have names without /, got 'a/b'"),
        ("routing", {"edges": {"a": ["s", "t", 0, -1, 1]}}, "none negative, degree > 0; a does not"),
        (
            "routing",
            {"edges": {"a": ["s", "t"]}},
            "routing: edges must be a mapping from names to [tail, head, constant, slope, degree]",
        ),
    ],
)
def test_config_errors(name: str, config: dict[str, Any], message: str) -> None:
    for call in (lambda: make(name, **config), lambda: make_vec(name, 2, **config)):
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [2, -1])
def test_unknown_actions_are_refused(bad: int) -> None:
    env = batch("routing", 2)
    actions = np.zeros(env.active.shape, np.int64)
    actions[1, 1] = bad
    with pytest.raises(ValueError, match=f"routing: action {bad} is not one of 0 to 1"):
        env.step([actions])
