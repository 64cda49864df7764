"""The twin by itself: bad input, tax rates by hand, resuming, autoreset, the plain generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_vector import assert_equal, snapshot

from env_wrappers.gather_trade_build.twin import GatherTradeBuild, VectorGatherTradeBuild
from env_wrappers.gather_trade_build.twin.saez import estimate_elasticity
from env_wrappers.saez_formula import bracket_rates

SMALL: dict[str, Any] = {
    "map": ["W  S", "    ", "S  W"],
    "num_agents": 2,
    "max_steps": 12,
    "scenario_config": {"fixed_four_skill_and_loc": False, "resource_regen_prob": 0.3},
}
PARTS: list[Any] = [{"Build": {"skill_dist": "pareto"}}, "ContinuousDoubleAuction", "Gather"]


def random_actions(env: VectorGatherTradeBuild, rng: np.random.Generator) -> list[np.ndarray]:
    """Any."""
    return [rng.integers(0, env.config.num_actions, env.active.shape)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_agents": 11}, "num_agents must be 2 to 10, got 11"),
        ({"num_agents": 1}, "num_agents must be 2 to 10, got 1"),
        (
            {"map": "env-pure_and_mixed-15x16"},
            "map must be the name of a map, got 'env-pure_and_mixed-15x16'; did you mean",
        ),
        ({"map": ["WS", "X "]}, "map has 'X' in row 1, column 0"),
        ({"map": ["WS ", "  "]}, "map has 3 columns in row 0 but 2 in row 1"),
        ({"map": ["W@", "@@"], "num_agents": 2}, "no room for 2 agents"),
        ({"map": ["W@", "  "], "num_agents": 2}, "map lets no agent start at row 0, column 1"),
        (
            {"components": ["Build", "Gather"]},
            "components must be Build, ContinuousDoubleAuction, Gather, PeriodicBracketTax in this order",
        ),
        ({"components": ["Biuld"]}, "unknown component 'Biuld'; did you mean 'Build'"),
        ({"components": "Build"}, "components must be a list"),
        ({"scenario_config": {"energy": 1}}, "scenario_config: energy is no setting; did you mean"),
        (
            {"scenario_config": {"resource_regen_prob": 1.5}},
            "scenario_config: resource_regen_prob must be a number >= 0 and <= 1, got 1.5",
        ),
        ({"scenario_config": {"isoelastic_eta": 1.0}}, "isoelastic_eta must be a number >= 0 and < 1, got 1.0"),
        ({"tax": "flat"}, "tax must be one of external, us_federal, free_market, saez, planner or null, got 'flat'"),
        ({"tax": "us_federal", "rates": [0.1] * 7}, "rates needs tax: external"),
        ({"rates": [0.1] * 6}, "rates must be 7 numbers"),
        ({"rates": [0.1] * 6 + [1.1]}, "rates must be between 0 and 1, got [0.1, "),
        ({"rate_cap_annealing": [1]}, "rate_cap_annealing must be [warmup, slope]"),
        (
            {"objective": "plannner"},
            "objective must be one of welfare, planner, got 'plannner'; did you mean 'planner'",
        ),
        ({"rng": "mt"}, "rng must be one of exact, fast, got 'mt'"),
        (
            {"scenario": "one-step-economy"},
            "scenario must be layout_from_file/simple_wood_and_stone in backend numba, got 'one-step-economy'",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^gather_trade_build: [^\n]*$") as error:
        VectorGatherTradeBuild(1, **config)
    assert message in str(error.value)


def test_rates_and_actions_are_checked() -> None:
    env = VectorGatherTradeBuild(2, **SMALL)
    env.reset(0)
    nothing = [np.zeros((2, 2), int)]
    for bad in (1.01, -0.01, np.nan):
        rates = np.full((2, 7), 0.5)
        rates[1, 3] = bad
        with pytest.raises(ValueError, match="tax rates must be between 0 and 1"):
            env.step(nothing, rates)
    with pytest.raises(ValueError, match=r"shape \(2, 7\), got \(2, 6\)"):
        env.step(nothing, np.zeros((2, 6)))
    with pytest.raises(ValueError, match="action 50 is not one of 0 to 49"):
        env.step([np.array([[0, 50], [0, 0]])], np.ones((2, 7)))
    env.step(nothing, np.full((2, 7), 0.5))
    assert (env.context["rates"] == 0.5).all()
    # Not due: not read.
    assert not env.designer_due.any()
    env.step(nothing, np.full((2, 7), 9.0))
    assert (env.context["rates"] == 0.5).all()


def test_taxes_by_hand() -> None:
    # Agents on their own resources, so nothing but a house gives coin; 0 is agent 0's income otherwise.
    env = VectorGatherTradeBuild(
        1,
        map=["SW ", "   "],
        num_agents=2,
        scenario_config={"fixed_four_skill_and_loc": False, "resource_regen_prob": 1.0},
        components=[
            {"Build": {"payment": 60}},
            "ContinuousDoubleAuction",
            "Gather",
            {"PeriodicBracketTax": {"period": 9}},
        ],
    )
    env.reset(0)
    game = env._game
    game.inventory[0] = [[1, 1, 10], [0, 0, 10]]
    # Agent 0 where nothing grows, agent 1 as well: the lower row.
    inner = env._rules.free.reshape(2, 3)
    game.canvas[0, :, 8] = 0
    for i in range(2):
        game.cells[0, i] = inner[1, i]
        game.canvas[0, inner[1, i], 8] = i + 2
    rates = np.array([[0.1, 0.2, 0.5, 1, 1, 1, 1]])
    for t in range(9):
        env.step([np.array([[int(t == 3), 0]])], rates)
        assert env.context["tax_day"][0] == (t == 8)
    np.testing.assert_allclose(env.context["income"][0], [60, 0])
    np.testing.assert_allclose(env.context["coin"][0], [70, 10])
    # 9.7 at 10%, 29.775 at 20%, 20.525 at 50%; half of it comes back.
    tax = 0.97 + 5.955 + 10.2625
    np.testing.assert_allclose(game.inventory[0, :, 2], [70 - tax / 2, 10 + tax / 2])
    total, gap = 80.0, 60 - tax
    equality = 1 - 2 * gap / (4 * total) / 0.5
    np.testing.assert_allclose(env.designer_reward, total * equality, rtol=1e-6)
    assert env.houses.tolist() == [[1, 0]]
    assert env.designer_due.all()


@pytest.mark.parametrize("rng", ["exact", "fast"])
def test_context_gives_the_rewards(rng: str) -> None:
    env = VectorGatherTradeBuild(3, autoreset=True, rng=rng, **SMALL)
    env.reset(1)
    draws = np.random.default_rng(0)
    for _ in range(30):
        env.step(random_actions(env, draws), draws.random((3, 7)))
        c, played = env.context, ~env.was_reset
        due = np.zeros_like(c["income"])
        cutoffs = env.bracket_cutoffs
        sizes = np.append(cutoffs[1:], np.inf) - cutoffs
        for k in range(7):
            due += c["rates"][:, k : k + 1] * np.minimum(sizes[k], np.maximum(0, c["income"] - cutoffs[k]))
        paid = np.minimum(c["coin"], due) * c["tax_day"][:, None]
        coin = c["coin"] + c["escrow_coin"] - paid + paid.mean(1, keepdims=True)
        reward = (coin**0.77 - 1) / 0.77 - 0.21 * c["labor"] - c["previous_utility"]
        np.testing.assert_allclose(env.rewards[played], reward[played], atol=2e-5)
        assert (env.rewards[env.was_reset] == 0).all()


@pytest.mark.parametrize("rng", ["exact", "fast"])
def test_resumes_exactly(rng: str) -> None:
    first, second = (VectorGatherTradeBuild(3, autoreset=True, rng=rng, **SMALL) for _ in range(2))
    first.reset(4)
    second.reset(9)
    draws = np.random.default_rng(2)
    for _ in range(17):
        first.step(random_actions(first, draws), draws.random((3, 7)))
    second.set_state(first.get_state())
    for _ in range(30):
        actions, rates = random_actions(first, draws), draws.random((3, 7))
        for env in (first, second):
            env.step(actions, rates)
        assert_equal(snapshot(first), snapshot(second), rng)


def test_planner_by_hand() -> None:
    """0 leaves a rate, i sets 0.05 (i - 1), and only where a period begins; as for the original."""
    env = GatherTradeBuild(tax="planner", components=[*PARTS, {"PeriodicBracketTax": {"period": 2}}])
    env.reset(seed=0)
    assert env.period_begins
    assert env.planner_mask().all()
    steps = [
        ([5, 1, 21, 0, 0, 0, 11], [0.2, 0, 1, 0, 0, 0, 0.5]),
        ([2] * 7, [0.2, 0, 1, 0, 0, 0, 0.5]),
        ([0, 3, 0, 0, 0, 0, 0], [0.2, 0.1, 1, 0, 0, 0, 0.5]),
        (None, [0.2, 0.1, 1, 0, 0, 0, 0.5]),
        (None, [0.2, 0.1, 1, 0, 0, 0, 0.5]),
    ]
    for action, expected in steps:
        if action is not None:
            env.set_planner_action(action)
        env.step(dict.fromkeys(env.agents, 0))
        np.testing.assert_allclose(env.tax_rates(), expected)
    # In the middle of a period, only to leave rates as they are is allowed.
    assert env.planner_mask().reshape(7, 22).sum(1).tolist() == [1] * 7
    for bad in ([22] * 7, [1, 2], [-1] * 7):
        with pytest.raises(ValueError, match=r"gather_trade_build: the planner's action .* is not in"):
            env.set_planner_action(bad)
    with pytest.raises(ValueError, match="set_rates needs tax: external, got tax: planner"):
        env.set_rates([0.1] * 7)
    with pytest.raises(ValueError, match="set_planner_action needs tax: planner, got tax: external"):
        GatherTradeBuild().set_planner_action([0] * 7)


def test_choices_of_a_batch_are_checked() -> None:
    env = VectorGatherTradeBuild(2, **SMALL, tax="planner")
    env.reset(0)
    for bad, message in ((0.5, "got 0.5"), (22, "got 22"), (-1, "got -1")):
        with pytest.raises(ValueError, match=f"choices must be whole numbers from 0 to 21, {message}"):
            env.step([np.zeros((2, 2), int)], np.full((2, 7), bad))
    with pytest.raises(ValueError, match=r"must be the planner's choices of shape \(2, 7\), got \(7,\)"):
        env.step([np.zeros((2, 2), int)], np.zeros(7))


def test_saez_is_as_it_was_after_a_refused_action() -> None:
    env = VectorGatherTradeBuild(1, **SMALL, tax="saez", autoreset=True)
    env.reset(0)
    rng = np.random.default_rng(0)
    env._game.num_seen[:] = 500
    env._game.seen[0] = np.stack([rng.gamma(2, 20, 500), rng.random(500)], 1)
    before = env.get_state()
    with pytest.raises(ValueError, match="action 99"):
        env.step([np.array([[99, 0]])])
    for name, value in before.items():
        np.testing.assert_array_equal(env.get_state()[name], value)
    env.step([np.zeros((1, 2), int)])
    assert env._game.elasticity[0] != before["elasticity"][0]
    assert (env._game.rates > 0).any()


def test_rates_of_saez_by_hand() -> None:
    """Bins are a fifth of a coin wide here."""
    cutoffs = np.array([0, 10.0, 20.0])
    sizes = np.array([10.0, 10.0, np.inf])
    flat = bracket_rates(np.full(100, 15.0), cutoffs, sizes, 0.5, "uniform")
    # All earn 15, in the middle of bin 75 with 15.1: there g is 1/2 and a 15.1 / 0.2 / (1/2). From 0 a line goes there.
    top = 0.5 / (0.5 + 151 * 0.5)
    np.testing.assert_allclose(flat[0], top * 25.5 / 76, rtol=1e-6)
    # Nobody is above, so nobody's weight counts.
    assert flat[-1] == pytest.approx(1)
    # Half earn 5 and half 40: above the top cutoff g = (1/40) / ((1/5.05 + 1/40) / 2), a = 40 / 20.
    g = (1 / 40) / ((1 / 5.1 + 1 / 40) / 2)
    both = bracket_rates(np.repeat([5.0, 40.0], 50), cutoffs, sizes, 0.5, "inverse_income")
    np.testing.assert_allclose(both[-1], (1 - g) / (1 - g + 2 * 0.5), rtol=1e-6)


def test_elasticity_by_hand() -> None:
    """Incomes 50 (1 - t) ** 0.4: a fiftieth of the way from 0.5 to 0.4."""
    rates = np.linspace(0, 0.9, 20)
    np.testing.assert_allclose(estimate_elasticity(50 * (1 - rates) ** 0.4, rates, 0.5), 0.98 * 0.5 + 0.02 * 0.4)
    # Falling with what is left of a coin: taken as 0. Alike rates, and too few incomes: as before.
    np.testing.assert_allclose(estimate_elasticity(50 * (1 - rates) ** -0.4, rates, 0.5), 0.49)
    assert estimate_elasticity(np.full(20, 5.0), np.full(20, 0.3), 0.7) == 0.7
    assert estimate_elasticity(np.append(np.arange(1, 10), -1.0), rates[:10], 0.7) == 0.7


def test_over_stays_over_without_autoreset() -> None:
    env = VectorGatherTradeBuild(2, **SMALL)
    env.reset(0)
    nothing = [np.zeros((2, 2), int)]
    for _ in range(12):
        assert env.active.all()
        env.step(nothing)
    assert env.episode_over.all()
    assert env.truncated.all()
    last = env.observations[0].copy()
    env.step([np.full((2, 2), 999)])
    assert env.episode_over.all()
    assert not env.active.any()
    assert not env.truncated.any()
    assert (env.observations[0] == last).all()


def test_plain_generator_has_the_same_rates() -> None:
    # The paper's map, nobody moving: of 35 sources all are full but one that an agent stands on; empty them all.
    grown = {}
    for rng in ("exact", "fast"):
        env = VectorGatherTradeBuild(200, rng=rng, scenario_config={"resource_regen_prob": 0.05})
        env.reset(0)
        env._game.canvas[:, :, :2] = 0
        env.step([np.zeros((200, 4), int)])
        grown[rng] = env._game.canvas[:, :, :2].sum() / (200 * 35)
    assert abs(grown["exact"] - 0.05) < 0.01
    assert abs(grown["fast"] - 0.05) < 0.01


def test_observations_for_networks_are_the_original_ones_rescaled() -> None:
    """Same game; planes of zeros and ones, stone and wood x 20, histories x 10, no map for the designer."""
    both = [VectorGatherTradeBuild(4, observations=kind) for kind in ("original", "network")]
    rng = np.random.default_rng(0)
    for env in both:
        env.reset(1)
    for _ in range(60):
        masks = np.asarray(both[0].action_masks[0])
        actions = np.argmax(rng.random(masks.shape) * masks, -1)
        for env in both:
            env.step([actions])
        original, scaled = (env.observations[0] for env in both)
        picture, planes = (x[..., :1089].reshape(4, 4, 121, 9) for x in (original, scaled))
        assert np.array_equal(picture[..., :7], planes[..., :7])
        assert np.array_equal(planes[..., 7], picture[..., 7] == 1)
        assert np.array_equal(planes[..., 8], picture[..., 8] > 1)
        factors = np.ones(136)
        factors[92:114] = 10
        factors[132:134] = 20
        np.testing.assert_allclose(original[..., 1089:] * factors, scaled[..., 1089:], rtol=1e-6)
        factors = np.ones(118)
        factors[46:68] = 10
        for agent in range(4):
            factors[86 + 8 * agent + 4 : 86 + 8 * agent + 6] = 20
        np.testing.assert_allclose(both[0].state[:, 2025:] * factors, both[1].state, rtol=1e-6)
        assert np.array_equal(both[0].rewards, both[1].rewards)
    assert both[0].houses.sum() > 0
    assert planes[..., 7].any()
    assert planes[..., 8].any()


def test_schedules_end_for_evaluation() -> None:
    env = VectorGatherTradeBuild(2, **SMALL, rate_cap_annealing=[-10, 0.01])
    rates = np.full((2, 7), 0.8)
    env.reset(0)
    env.step(random_actions(env, np.random.default_rng(0)), rates)
    np.testing.assert_allclose(env.context["rates"], 0.1, rtol=1e-6)
    env.end_schedules()
    env.reset(0)
    env.step(random_actions(env, np.random.default_rng(0)), rates)
    np.testing.assert_allclose(env.context["rates"], 0.8, rtol=1e-6)
