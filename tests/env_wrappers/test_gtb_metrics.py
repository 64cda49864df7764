"""What an episode came to: by hand, sums that must agree, and the same from the twin and the original."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foundation_play import needs_package
from test_gtb_parity import BRISK, CROWDED, components, greedy

from env_wrappers import make, make_vec
from env_wrappers.gather_trade_build.foundation import FoundationEnv
from env_wrappers.gather_trade_build.measures import Accounts, equality, measure
from env_wrappers.gather_trade_build.twin import VectorGatherTradeBuild
from env_wrappers.vector import child_seeds

RANKS = [f"skill_{rank}" for rank in (1, 2, 3, 4)]


def test_equality_by_hand() -> None:
    # Gaps of (1, 3), counted both ways, are 4; 1 - 4 / (2 * 1 * 4).
    np.testing.assert_allclose(equality(np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 5.0]])), [0.5, 1, 0], atol=1e-9)
    np.testing.assert_allclose(equality(np.array([7.0, 0, 0, 0])), 0, atol=1e-9)


def test_measures_by_hand() -> None:
    """Agent 0 is the more skilled: it earned 30, paid 6, and each got 4 of the 8 back."""
    measured = measure(
        Accounts(
            welfare=np.array([123.0]),
            skill=np.array([[22.0, 11.0]]),
            coin=np.array([[38.0, 22.0]]),
            start_coin=np.array([[10.0, 10.0]]),
            taxed=np.array([[6.0, 2.0]]),
            shared_out=np.array([4.0]),
            cutoffs=np.array([0, 9.7]),
            rates=np.array([[0.1, 0.25]]),
            counts={"trades": np.array([3.0])},
            by_agent={"houses": np.array([[2.0, 1.0]])},
        )
    )
    expected = {
        "welfare": 123,
        "productivity": 60,
        "equality": 1 - 2 * 16 / (2 * 60),
        "trades": 3,
        "tax_rate/0": 0.1,
        "tax_rate/9.7": 0.25,
        "income/skill_1": 10,
        "income/skill_2": 30,
        "tax_paid/skill_1": 2,
        "tax_paid/skill_2": 6,
        "income_after_redistribution/skill_1": 12,
        "income_after_redistribution/skill_2": 28,
        "houses/skill_1": 1,
        "houses/skill_2": 2,
    }
    assert list(measured) == list(expected)
    np.testing.assert_allclose([values[0] for values in measured.values()], list(expected.values()))


def test_crowds_have_no_ranks() -> None:
    many = np.ones((1, 11))
    one, none = np.ones(1), np.zeros(0)
    assert set(measure(Accounts(one, many, many, many, many, one, none, np.zeros((1, 0))))) == {
        "welfare",
        "productivity",
        "equality",
    }


def episode(env: VectorGatherTradeBuild, rng: np.random.Generator, rates: np.ndarray) -> np.ndarray:
    """Plays one; returns the sum of R^ID."""
    welfare = np.zeros(env.num_envs)
    env.reset(3)
    for t in range(env.config.max_steps):
        env.step([np.array([greedy(rng, masks, t) for masks in env.action_masks[0]])], rates)
        welfare += env.designer_reward
    return welfare


def test_sums_agree() -> None:
    config: dict[str, Any] = {"map": CROWDED, "scenario_config": {"resource_regen_prob": 0.4}}
    env = make_vec("gather_trade_build", 3, **config)
    assert isinstance(env, VectorGatherTradeBuild)
    rng = np.random.default_rng(0)
    rates = rng.random((3, 7))
    welfare = episode(env, rng, rates)
    measured = env.episode_metrics(np.ones(3, bool))
    np.testing.assert_allclose(measured["welfare"], welfare, rtol=1e-5)
    total = {
        name: sum(measured[f"{name}/{rank}"] for rank in RANKS)
        for name in ("income", "income_after_redistribution", "income_from_trading", "tax_paid", "houses")
    }
    assert (total["houses"] > 0).all()
    assert (measured["trades"] > 0).all()
    assert (total["tax_paid"] > 0).all()
    np.testing.assert_array_equal(total["income_from_trading"], 0)
    np.testing.assert_allclose(total["income"], total["income_after_redistribution"])
    np.testing.assert_allclose(measured["productivity"], 40 + total["income"])
    for rank in RANKS:
        earned = measured[f"income_from_building/{rank}"] + measured[f"income_from_trading/{rank}"]
        np.testing.assert_allclose(measured[f"income/{rank}"], earned, atol=1e-9)
        received = measured[f"income_after_redistribution/{rank}"] - earned + measured[f"tax_paid/{rank}"]
        np.testing.assert_allclose(received, total["tax_paid"] / 4)
        # What was collected and not put into a house is somebody's.
        assert (measured[f"stone_collected/{rank}"] >= 0).all()
    for k, cutoff in enumerate(env.bracket_cutoffs):
        np.testing.assert_allclose(measured[f"tax_rate/{cutoff:g}"], rates[:, k])
    only = env.episode_metrics(np.array([False, True, False]))
    assert only["welfare"].tolist() == measured["welfare"][1:2].tolist()


@needs_package
@pytest.mark.parametrize("tax", ["external", "saez", "planner", "us_federal", "free_market"])
def test_the_original_measures_the_same(tax: str) -> None:
    config: dict[str, Any] = {**BRISK, "map": None, "tax": tax, "components": components(tax={"period": 3})}
    twin = VectorGatherTradeBuild(1, **config)
    original = FoundationEnv(**config)
    rng = np.random.default_rng(4)
    twin.reset(8)
    original.reset(seed=child_seeds(8, 1)[0])
    for t in range(20):
        actions = greedy(rng, twin.action_masks[0][0], t)
        rates = rng.integers(0, 22, 7) if tax == "planner" else rng.random(7)
        if original.period_begins and tax == "external":
            original.set_rates(rates)
        if tax == "planner":
            original.set_planner_action(rates)
        twin.step([actions[None]], rates[None])
        original.step(dict(zip(original.possible_agents, actions.tolist(), strict=True)))
    ours, theirs = twin.episode_metrics(np.ones(1, bool)), original.episode_metrics()
    assert set(ours) == set(theirs)
    assert sum(ours[f"stone_collected/{rank}"][0] for rank in RANKS) > 0
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key][0], value, rtol=1e-6, atol=1e-9, err_msg=key)


@needs_package
def test_other_scenarios_measure_what_they_have() -> None:
    env = make("gather_trade_build", backend="foundation", scenario="one-step-economy", num_agents=3)
    env.reset(seed=0)
    env.set_rates([0.5] * 7)
    env.step(dict.fromkeys(env.agents, 0))
    env.step(dict(zip(env.possible_agents, (10, 20, 30), strict=True)))
    measured = env.episode_metrics()
    assert "income_from_building/skill_1" not in measured
    assert measured["tax_rate/0"] == 0.5
    incomes = np.array([measured[f"income/skill_{rank}"] for rank in (1, 2, 3)])
    np.testing.assert_allclose(
        [measured[f"tax_paid/skill_{rank}"] for rank in (1, 2, 3)], np.minimum(incomes / 2, incomes)
    )
    assert measured["labor/skill_1"] in (10, 20, 30)


def test_one_copy_and_centralised_pass_them_on() -> None:
    single = make("gather_trade_build", max_steps=3)
    single.reset(seed=0)
    for _ in range(3):
        single.step(dict.fromkeys(single.agents, 0))
    batch = make_vec("gather_trade_build", 2, centralized=True, max_steps=3)
    batch.reset(0)
    for _ in range(3):
        batch.step([np.zeros((2, 1, 4), int)])
    measured = batch.episode_metrics(np.ones(2, bool))
    assert set(single.episode_metrics()) == set(measured)
    np.testing.assert_allclose(measured["productivity"], 40)
    np.testing.assert_allclose(single.episode_metrics()["productivity"], 40)
