"""Taxes by hand, against the twin's own numbers, by finite differences, and what always holds of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from economies import double, play
from hypothesis import given, settings
from hypothesis import strategies as st

from env_wrappers.escape_room import VectorEscapeRoom
from env_wrappers.gather_trade_build.twin import VectorGatherTradeBuild
from rllib_metagrad.mechanisms import make_mechanism
from rllib_metagrad.mechanisms.taxes import (
    BracketedTax,
    LinearTax,
    bracketed_tax,
    isoelastic_utility,
    net_transfers,
)

CUTOFFS = torch.tensor([0.0, 9.7, 39.475, 84.2, 160.725, 204.1, 510.3], dtype=torch.float64)
US = torch.tensor([0.1, 0.12, 0.22, 0.24, 0.32, 0.35, 0.37], dtype=torch.float64)


def mechanism_of(env: VectorGatherTradeBuild, name: str = "bracketed_tax", **config: object) -> BracketedTax:
    made = make_mechanism(name, 4, 7, dict(config), env.mechanism_facts, env.name)
    assert isinstance(made, BracketedTax)
    return made


def test_tax_by_hand() -> None:
    income = torch.tensor([-3.0, 5.0, 9.7, 20.0, 50.0, 600.0], dtype=torch.float64)
    expected = [
        0.0,
        0.5,
        0.97,
        0.97 + 10.3 * 0.12,
        0.97 + 29.775 * 0.12 + 10.525 * 0.22,
        0.97 + 29.775 * 0.12 + 44.725 * 0.22 + 76.525 * 0.24 + 43.375 * 0.32 + 306.2 * 0.35 + 89.7 * 0.37,
    ]
    torch.testing.assert_close(bracketed_tax(income, US, CUTOFFS), torch.tensor(expected, dtype=torch.float64))


def test_transfers_by_hand() -> None:
    # The third agent owes 30 but has only 20 outside escrow: 10 + 0 + 20 + 2 are shared by four.
    net = net_transfers(torch.tensor([10.0, 0.0, 30.0, 2.0]), torch.tensor([50.0, 0.0, 20.0, 9.0]))
    torch.testing.assert_close(net, torch.tensor([-2.0, 8.0, -12.0, 6.0]))


def test_utility_by_hand() -> None:
    utility = isoelastic_utility(torch.tensor([1.0, 16.0, 0.0]), torch.tensor([10.0, 0.0, 0.0]), 0.5, 0.21)
    torch.testing.assert_close(utility, torch.tensor([-2.1, 6.0, -2.0]), atol=3e-4, rtol=0)


@pytest.mark.parametrize("annealed", [False, True])
def test_rewards_equal_the_environments(annealed: bool) -> None:
    rates = np.random.default_rng(3).random((10, 64, 7))
    config = {"rate_cap_annealing": [-1.0, 0.4]} if annealed else {}
    env, trajectory = play(64, rates, 5, **config)
    assert env.trades.sum() > 1000
    assert env.houses.sum() > 20
    if annealed:
        assert torch.allclose(trajectory.context["rate_cap"], torch.tensor(0.4))
    mechanism = mechanism_of(env)
    # Utilities are up to some hundreds, in float32.
    torch.testing.assert_close(
        mechanism.rewards(trajectory.designer_output, trajectory), trajectory.rewards, atol=1e-4, rtol=0
    )
    held_back = trajectory.context["coin"] < bracketed_tax(
        trajectory.context["income"], trajectory.context["rates"], CUTOFFS.float()
    )
    assert held_back.any()  # somebody could not pay all: the limit was met


def test_rewards_at_other_rates_are_what_the_environment_would_have_paid() -> None:
    """Two economies alike up to the first tax day, whose rates differ: rewards of that day differ as predicted."""
    rng = np.random.default_rng(0)
    one, other = rng.random((10, 32, 7)), rng.random((10, 32, 7))
    env, trajectory = play(32, one, 7)
    _, twin = play(32, other, 7)
    mechanism, day = mechanism_of(env), 9
    assert trajectory.context["tax_day"][day].all()
    torch.testing.assert_close(trajectory.context["income"][day], twin.context["income"][day])
    predicted = mechanism.rewards(twin.designer_output, trajectory)[day]
    torch.testing.assert_close(predicted, twin.rewards[day], atol=1e-4, rtol=0)
    assert (predicted - trajectory.rewards[day]).abs().max() > 0.1


def test_rates_in_force_by_law_are_rewarded_too() -> None:
    env, trajectory = play(16, None, 2, tax="us_federal")
    law = US.float().expand(*trajectory.stepped.shape, 7)
    torch.testing.assert_close(mechanism_of(env).rewards(law, trajectory), trajectory.rewards, atol=1e-4, rtol=0)


def test_linear_tax_is_a_bracketed_one_with_equal_rates() -> None:
    env, trajectory = play(8, np.full((10, 8, 7), 0.3), 1)
    linear, bracketed = mechanism_of(env, "linear_tax"), mechanism_of(env)
    assert isinstance(linear, LinearTax)
    assert linear.num_outputs == 1
    output = torch.full((*trajectory.stepped.shape, 1), 0.3)
    assert torch.equal(linear.to_environment(output[0]), torch.full((8, 7), 0.3))
    assert torch.equal(linear.rewards(output, trajectory), bracketed.rewards(output.expand(-1, -1, 7), trajectory))


def test_gradient_is_the_finite_difference() -> None:
    env, played = play(4, np.random.default_rng(1).random((10, 4, 7)) * 0.8 + 0.1, 3)
    trajectory, mechanism = double(played), mechanism_of(env)
    weights = torch.randn(trajectory.rewards.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def value(output: torch.Tensor) -> torch.Tensor:
        """``[B]``: a copy's rewards depend on its own rates, those of a tax day on this day's and earlier ones."""
        return (weights * mechanism.rewards(output, trajectory)).sum((0, 2))

    output = trajectory.designer_output.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(output).sum(), output)
    assert torch.isfinite(gradient).all()
    assert not gradient[trajectory.context["tax_day"] == 0].any()
    h = 1e-6
    days = trajectory.context["tax_day"].any(1).nonzero().squeeze(-1)
    assert len(days) == 10
    for day in days.tolist():
        for k in range(7):
            step = torch.zeros_like(output)
            step[day, :, k] = h
            numeric = (value(output.detach() + step) - value(output.detach() - step)) / (2 * h)
            torch.testing.assert_close(gradient[day, :, k], numeric, atol=1e-6, rtol=1e-5)


def test_welfare_at_the_rates_in_force_is_the_environments() -> None:
    env, played = play(32, np.random.default_rng(1).random((10, 32, 7)), 3)
    welfare = mechanism_of(env).designer_rewards(played.designer_output, played)
    torch.testing.assert_close(welfare, played.designer_rewards, atol=2e-3, rtol=1e-5)


def test_welfare_at_other_rates_by_hand() -> None:
    """Everybody keeps what other taxes of the first tax day would have left, to the end of the episode."""
    env, played = play(3, np.full((10, 3, 7), 0.5), 3)
    mechanism, trajectory = mechanism_of(env), double(played)
    output = trajectory.designer_output.clone()
    output[:10] = 0.0
    welfare = mechanism.designer_rewards(output, trajectory)
    context = trajectory.context
    net = mechanism.incentives(trajectory.designer_output, trajectory)
    for t in (8, 9, 25, 99):
        coin = context["coin"][t] + context["escrow_coin"][t] + net[t] - (net[9] if t >= 9 else 0)
        for b in range(3):
            gaps = sum(abs(x - y) for x in coin[b] for y in coin[b])
            gini = gaps / (2 * 4 * coin[b].sum()) / 0.75
            torch.testing.assert_close(welfare[t, b], coin[b].sum() * (1 - gini))


def test_direct_effect_is_the_finite_difference_of_welfare() -> None:
    env, played = play(2, np.random.default_rng(2).random((10, 2, 7)) * 0.8 + 0.1, 3)
    trajectory, mechanism = double(played), mechanism_of(env)

    def value(shift: torch.Tensor) -> torch.Tensor:
        return mechanism.designer_rewards(trajectory.designer_output + shift, trajectory).sum()

    shift = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(value(shift), shift)
    h = 1e-6
    steps = h * torch.eye(7, dtype=torch.float64)
    numeric = torch.stack([(value(step) - value(-step)) / (2 * h) for step in steps])
    assert gradient.abs().max() > 1
    torch.testing.assert_close(gradient, numeric, atol=1e-4, rtol=1e-5)


def test_welfare_starts_again_with_an_episode() -> None:
    env, played = play(2, np.full((10, 2, 7), 0.5), 3)
    mechanism, over = mechanism_of(env), played.over.clone()
    over[49] = True
    cut = replace(played, over=over)
    output = torch.zeros_like(played.designer_output)
    whole, halves = (mechanism.designer_rewards(output, trajectory) for trajectory in (played, cut))
    assert torch.equal(whole[:50], halves[:50])
    second = replace(played, **{k: getattr(played, k)[50:] for k in ("designer_output", "active", "stepped", "over")})
    second = replace(second, context={k: v[50:] for k, v in played.context.items()})
    second = replace(second, designer_rewards=played.designer_rewards[50:])
    torch.testing.assert_close(halves[50:], mechanism.designer_rewards(output[50:], second), atol=1e-3, rtol=1e-5)
    assert (whole[60:] - halves[60:]).abs().max() > 0.1


def test_changes_of_welfare_add_up_to_its_level() -> None:
    """Where R^ID is the change of equality times mean coin, its sum over an episode is what the end is worth."""
    env, played = play(3, np.full((10, 3, 7), 0.5), 3, objective="planner")
    mechanism, trajectory = mechanism_of(env), double(played)
    output = torch.rand(trajectory.designer_output.shape, generator=torch.Generator().manual_seed(0)).double()
    changes = mechanism.designer_rewards(output, trajectory)
    recorded = mechanism.designer_rewards(trajectory.designer_output, trajectory)
    torch.testing.assert_close(recorded, trajectory.designer_rewards)
    mechanism.welfare = None
    level = mechanism.designer_rewards(output, trajectory)
    level = level - mechanism.designer_rewards(trajectory.designer_output, trajectory)
    torch.testing.assert_close((changes - recorded).cumsum(0), level / 4, atol=1e-6, rtol=1e-6)
    assert level[-1].abs().max() > 1


def test_nothing_above_the_cap_has_a_gradient() -> None:
    env, played = play(4, np.full((10, 4, 7), 0.9), 3, rate_cap_annealing=[-1.0, 0.3])
    output = played.designer_output.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mechanism_of(env).rewards(output, played).sum(), output)
    assert not gradient.any()


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_transfers_sum_to_zero_and_nobody_pays_more_than_there_is(data: st.DataObject) -> None:
    coin = torch.tensor(data.draw(st.lists(st.floats(0, 1000), min_size=2, max_size=10)), dtype=torch.float64)
    incomes = data.draw(st.lists(st.floats(-500, 1000), min_size=len(coin), max_size=len(coin)))
    rates = torch.tensor(data.draw(st.lists(st.floats(0, 1), min_size=7, max_size=7)), dtype=torch.float64)
    owed = bracketed_tax(torch.tensor(incomes, dtype=torch.float64), rates, CUTOFFS)
    assert (owed >= 0).all()
    assert (owed <= torch.tensor(incomes, dtype=torch.float64).clamp(min=0) * (1 + 1e-12) + 1e-9).all()
    net = net_transfers(owed, coin)
    assert abs(float(net.sum())) < 1e-9 * (1 + float(owed.sum()))
    paid = torch.minimum(coin, owed)
    assert (coin + net >= -1e-9).all()
    torch.testing.assert_close(net + paid, paid.mean().expand(len(coin)), atol=1e-9, rtol=0)


def test_more_of_an_income_is_never_left_by_earning_less() -> None:
    incomes = torch.linspace(-10, 700, 500, dtype=torch.float64)
    left = incomes - bracketed_tax(incomes, US, CUTOFFS)
    assert (left.diff() > 0).all()


def test_houses_are_subsidized() -> None:
    env, played = play(8, None, 4, tax="free_market")
    types = played.action_types.clone()
    types[0, 0] = torch.tensor([1, 0, 1, 3])
    trajectory, output = replace(played, action_types=types), torch.full((*played.stepped.shape, 1), 1.5)
    free = make_mechanism("house_subsidy", 4, 7, {"financed": False}, env.mechanism_facts)
    assert free.incentives(output, trajectory)[0, 0].tolist() == [1.5, 0.0, 1.5, 0.0]
    financed = make_mechanism("house_subsidy", 4, 7, {}, env.mechanism_facts)
    paid = financed.incentives(output, trajectory)
    assert paid[0, 0].tolist() == [0.75, -0.75, 0.75, -0.75]
    assert paid.sum(-1).abs().max() < 1e-6
    # Every house that was built earned its payment, and nothing else did.
    assert int((played.action_types == 1).sum()) == int(env.houses.sum())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"scale": 1.5}, "mechanism_config.scale must be a number > 0 and <= 1, got 1.5"),
        ({"scale": 0}, "mechanism_config.scale must be a number > 0"),
        ({"squash": "relu"}, "mechanism_config.squash must be one of sigmoid, softsign, got 'relu'"),
        ({"brackets": 3}, "mechanism_config.brackets is no setting of bracketed_tax; known: scale, squash"),
        ({"energy_cost": 0.1}, "energy_cost is set by env_config, not here"),
    ],
)
def test_bad_settings_are_one_clear_line(config: dict[str, object], message: str) -> None:
    facts = VectorGatherTradeBuild(1).mechanism_facts
    with pytest.raises(ValueError, match=message):
        make_mechanism("bracketed_tax", 4, 7, config, facts)


def test_a_tax_needs_an_economy() -> None:
    env = VectorEscapeRoom(1, n=2, m=1)
    with pytest.raises(ValueError, match="'bracketed_tax' does not fit escape_room, which has no bracket_cutoffs"):
        make_mechanism("bracketed_tax", 2, 3, {}, env.mechanism_facts, env.name)


def test_rewards_at_other_rates_carry_coin_to_the_end() -> None:
    """What taxes leave stays with its owner: all rewards of an episode add up to the utility of its last coin."""
    rng = np.random.default_rng(2)
    env, trajectory = play(16, rng.random((10, 16, 7)), 3)
    mechanism = mechanism_of(env)
    other = torch.from_numpy(rng.random((1, 16, 7)).astype(np.float32)).expand(len(trajectory.stepped), 16, 7)
    rewards = mechanism.rewards(other, trajectory)
    coin = mechanism._coin_under(other, trajectory)
    labor = trajectory.context["labor"]
    utility = isoelastic_utility(coin, labor, mechanism.facts.isoelastic_eta, mechanism.facts.energy_cost)
    start = trajectory.context["previous_utility"][0]
    for horizon in (9, 10, 15, 30, len(rewards)):
        gained = rewards[:horizon].sum(0)
        torch.testing.assert_close(gained, utility[horizon - 1] - start, atol=2e-3, rtol=0)
    assert (rewards.sum(0) - trajectory.rewards.sum(0)).abs().max() > 1
    # The steps after a tax day know of it, as the marginal utility of their coin has changed.
    assert (rewards - trajectory.rewards)[10:19].abs().max() > 1e-3


def test_rewards_of_all_horizons_are_those_of_a_replay_under_other_rates() -> None:
    """Agents that rest after a tax period: a replay under other rates differs in its taxes alone, to the end."""
    rng = np.random.default_rng(5)
    one, other = (rng.random((10, 8, 7)) for _ in range(2))
    env, trajectory = play(8, one, 11, rest_after=10)
    _, replay = play(8, other, 11, rest_after=10)
    torch.testing.assert_close(trajectory.context["income"], replay.context["income"], atol=1e-3, rtol=1e-5)
    predicted = mechanism_of(env).rewards(replay.designer_output, trajectory)
    torch.testing.assert_close(predicted.cumsum(0), replay.rewards.cumsum(0), atol=5e-3, rtol=0)
    assert (trajectory.rewards - replay.rewards).cumsum(0)[-1].abs().max() > 0.5
