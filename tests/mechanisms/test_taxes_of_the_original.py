"""Taxes by mechanisms on the original economy: what it reports of its tax days, beside the twin and by itself."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from economies import play

import env_wrappers
from rllib_metagrad.mechanisms import make_mechanism
from rllib_metagrad.mechanisms.taxes import BracketedTax

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ai_economist") is None, reason="ai-economist is not installed"
)

ONE_STEP = {"scenario": "one-step-economy", "num_agents": 4}
SMALL_WORLD = {"world_size": [15, 15], "starting_agent_coin": 20, "energy_warmup_constant": 3.0}
BUILD = {"Build": {"skill_dist": "pareto"}}
SPACED = {"bracket_spacing": "linear", "n_brackets": 3, "top_bracket_cutoff": 30, "period": 7, "rate_max": 0.8}

GAMES: dict[str, dict[str, Any]] = {
    **{
        scenario: {"scenario": f"{scenario}/simple_wood_and_stone", "scenario_config": SMALL_WORLD}
        for scenario in ("quadrant", "uniform", "multi_zone")
    },
    "split_layout": {"scenario": "split_layout/simple_wood_and_stone", "scenario_config": {"starting_agent_coin": 20}},
    "other brackets": {"components": [BUILD, "Gather", {"PeriodicBracketTax": SPACED}]},
    "one step": {**ONE_STEP, "scenario_config": {"agent_reward_type": "isoelastic_coin_minus_labor"}},
    "one step, linear": {**ONE_STEP, "scenario_config": {"agent_reward_type": "coin_minus_labor_cost"}},
}


def tax_of(env: Any) -> BracketedTax:
    made = make_mechanism(
        "bracketed_tax", len(env.possible_agents), env.num_action_types, {}, env.mechanism_facts, env.name
    )
    assert isinstance(made, BracketedTax)
    return made


def test_the_original_reports_what_the_twin_reports() -> None:
    rates = np.random.default_rng(0).random((10, 3, 7))
    common = {"observations": "network", "rate_cap_annealing": [-1.0, 0.4]}
    original, one = play(3, rates, 5, backend="foundation", **common)
    twin, other = play(3, rates, 5, **common)
    assert dict(original.mechanism_facts) == dict(twin.mechanism_facts)
    assert twin.trades.sum() > 30
    assert one.context.keys() == other.context.keys()
    for name in other.context:
        torch.testing.assert_close(one.context[name], other.context[name], atol=1e-4, rtol=1e-6, msg=name)
    torch.testing.assert_close(one.rewards, other.rewards)
    assert torch.equal(one.action_types, other.action_types)
    torch.testing.assert_close(tax_of(original).rewards(one.designer_output, one), one.rewards, atol=1e-4, rtol=0)


def test_observations_for_networks_are_the_twins() -> None:
    original, twin = (
        env_wrappers.make_vec("gather_trade_build", 2, autoreset=True, observations="network", backend=backend)
        for backend in ("foundation", "numba")
    )
    assert original.groups == twin.groups
    assert original.state_shape == twin.state_shape
    rng = np.random.default_rng(1)
    for env in (original, twin):
        env.reset(3)
    for step in range(150):
        np.testing.assert_allclose(original.observations[0], twin.observations[0], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(original.state, twin.state, rtol=1e-6, atol=1e-7)
        masks = np.asarray(twin.action_masks[0])
        if not twin.episode_over.any():
            assert np.array_equal(np.asarray(original.action_masks[0]), masks)
        assert np.array_equal(original.designer_due, twin.designer_due)
        actions, rates = np.argmax(rng.random(masks.shape) * masks, -1), rng.random((2, 7))
        for env in (original, twin):
            env.step([actions], rates)
        assert np.array_equal(original.was_reset, twin.was_reset), step


@pytest.mark.parametrize("config", GAMES.values(), ids=GAMES)
@pytest.mark.parametrize("objective", ["welfare", "planner"])
def test_rewards_equal_the_originals(config: dict[str, Any], objective: str) -> None:
    env = env_wrappers.make_vec("gather_trade_build", 4, backend="foundation", objective=objective, **config)
    brackets = len(env.mechanism_facts["bracket_cutoffs"])
    rates = np.random.default_rng(0).random((20, 4, brackets))
    env, trajectory = play(4, rates, 2, backend="foundation", objective=objective, **config)
    mechanism = tax_of(env)
    assert trajectory.context["tax_day"].sum() >= 4
    assert (mechanism.incentives(trajectory.designer_output, trajectory) != 0).any()
    rewards = mechanism.rewards(trajectory.designer_output, trajectory)
    torch.testing.assert_close(rewards, trajectory.rewards, atol=2e-4, rtol=1e-5)
    welfare = mechanism.designer_rewards(trajectory.designer_output, trajectory)
    torch.testing.assert_close(welfare, trajectory.designer_rewards, atol=2e-3, rtol=1e-5)


@pytest.mark.parametrize("config", GAMES.values(), ids=GAMES)
def test_other_rates_change_rewards_as_the_original_would(config: dict[str, Any]) -> None:
    """On the first day that a copy has incomes to tax: up to then rates have moved nothing. Utility has to be right."""
    rng = np.random.default_rng(4)
    facts = env_wrappers.make_vec("gather_trade_build", 1, backend="foundation", **config).mechanism_facts
    one, other = rng.random((2, 20, 4, len(facts["bracket_cutoffs"])))
    env, trajectory = play(4, one, 7, backend="foundation", **config)
    _, counterpart = play(4, other, 7, backend="foundation", **config)
    mechanism = tax_of(env)
    moved = (mechanism.incentives(trajectory.designer_output, trajectory) != 0).any(-1)
    copies = torch.arange(4)[moved.any(0)]
    first = (moved.long().argmax(0)[copies], copies)
    predicted = mechanism.rewards(counterpart.designer_output, trajectory)[first]
    torch.testing.assert_close(predicted, counterpart.rewards[first], atol=2e-4, rtol=1e-5)
    assert (predicted - trajectory.rewards[first]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["coin_eq_times_productivity", "inv_income_weighted_utility"])
def test_other_rates_change_the_planners_reward_as_the_original_would(kind: str) -> None:
    """On the first tax day, up to which rates have moved nothing."""
    rng = np.random.default_rng(4)
    one, other = rng.random((2, 10, 3, 7))
    config = {"backend": "foundation", "objective": "planner", "scenario_config": {"planner_reward_type": kind}}
    env, trajectory = play(3, one, 7, **config)
    _, counterpart = play(3, other, 7, **config)
    predicted = tax_of(env).designer_rewards(counterpart.designer_output, trajectory)[9]
    torch.testing.assert_close(predicted, counterpart.designer_rewards[9], atol=1e-3, rtol=1e-5)
    assert (predicted - trajectory.designer_rewards[9]).abs().max() > 1e-3


def test_no_tax_by_a_mechanism_where_coin_moves_after_taxes() -> None:
    tax = {"PeriodicBracketTax": {"period": 10}}
    env = env_wrappers.make_vec(
        "gather_trade_build", 1, backend="foundation", components=[BUILD, "Gather", tax, "WealthRedistribution"]
    )
    assert env.context == {}
    with pytest.raises(
        ValueError, match="'bracketed_tax' does not fit gather_trade_build, which has no bracket_cutoffs"
    ):
        tax_of(env)


def test_a_law_leaves_nothing_to_a_designer() -> None:
    env = env_wrappers.make_vec("gather_trade_build", 1, backend="foundation", tax="us_federal")
    assert env.mechanism_facts["reads_designer_output"] is False
    assert env.context == {}
    env.reset(0)
    assert not env.designer_due.any()
