"""The original as a ParallelEnv: the same game, its own random numbers, no noise, everything reachable."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from foundation_play import flat, legal, needs_package, noop, steps
from pettingzoo.test import parallel_api_test, parallel_seed_test

from env_wrappers import LoopVectorEnv, make, make_vec
from env_wrappers.gather_trade_build.foundation import FoundationEnv, package
from env_wrappers.gather_trade_build.foundation.config import COVID, PAPER_MAP, PAPER_SCENARIO
from env_wrappers.gather_trade_build.foundation.observations import of_agents

pytestmark = needs_package

SCENARIOS = (
    "layout_from_file/simple_wood_and_stone",
    "split_layout/simple_wood_and_stone",
    "uniform/simple_wood_and_stone",
    "quadrant/simple_wood_and_stone",
    "multi_zone/simple_wood_and_stone",
    "one-step-economy",
)
MAPS = {
    "closed_quadrant_25x25_20each_30clump": (25, 25),
    "env-pure_and_mixed-15x15": (15, 15),
    "env-pure_and_mixed-25x25": (25, 25),
    "env-pure_and_mixed-40x40": (40, 40),
    "quadrant_25x25_20each_30clump": (25, 25),
    "quadrant_25x25_20each_30clump_no_water": (25, 25),
    "quadrant_40x40_50each": (40, 40),
    "quadrant_40x40_50each_no_water": (40, 40),
    "quadrant_8x8_4each_8clump": (9, 9),
    "top_wood_bottom_stone_14x14": (14, 14),
    "uniform_25x25_25each_65clump": (25, 25),
}


def test_pettingzoo_api(capsys: pytest.CaptureFixture[str]) -> None:
    parallel_api_test(FoundationEnv(max_steps=20), num_cycles=50)
    parallel_seed_test(lambda: FoundationEnv(max_steps=20), num_cycles=40)
    assert capsys.readouterr().out == "Passed Parallel API test\n"


def test_same_game_as_the_package_plays() -> None:
    """The package's own environment, under the global generator, against the wrapper: equal in every number."""
    rates = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    foundation = package.load()
    with package.in_its_world():
        original = foundation.make_env_instance(
            PAPER_SCENARIO,
            components=[
                ("Build", {"skill_dist": "pareto", "payment_max_skill_multiplier": 3}),
                ("ContinuousDoubleAuction", {"max_num_orders": 5}),
                ("Gather", {}),
                (
                    "PeriodicBracketTax",
                    {
                        "bracket_spacing": "us-federal",
                        "period": 10,
                        "usd_scaling": 1000.0,
                        "tax_model": "fixed-bracket-rates",
                        "fixed_bracket_rates": rates,
                    },
                ),
            ],
            n_agents=4,
            episode_length=100,
            world_size=[15, 15],
            env_layout_file=PAPER_MAP,
            fixed_four_skill_and_loc=True,
            starting_agent_coin=10,
        )
    env = FoundationEnv(rates=rates)
    outside = np.random.get_state()
    try:
        np.random.seed(5)
        expected = original.reset()
        observations, _ = env.reset(seed=5)
        rng = np.random.default_rng(0)
        for t in range(60):
            for i, agent in enumerate(env.possible_agents):
                for key, array in observations[agent].items():
                    np.testing.assert_array_equal(
                        array,
                        np.asarray(expected[str(i)][key], array.dtype).reshape(-1 if array.ndim == 1 else array.shape),
                        f"{t} {key}",
                    )
            actions = legal(env, rng)
            observations, rewards, *_ = env.step(actions)
            expected, original_rewards, _, _ = original.step({str(i): a for i, a in enumerate(actions.values())})
            assert list(rewards.values()) == [original_rewards[str(i)] for i in range(4)]
            assert env.planner_reward() == original_rewards["p"]
        np.testing.assert_array_equal(env.rng_state()[1], np.random.get_state()[1])
    finally:
        np.random.set_state(outside)


def test_environments_do_not_disturb_each_other_nor_numpy() -> None:
    def play(env: FoundationEnv, other: FoundationEnv | None) -> np.ndarray:
        rng, rows = np.random.default_rng(1), []
        env.reset(seed=7)
        for _ in range(15):
            env.step(legal(env, rng))
            rows.append(flat(env.observations()))
            if other is not None:
                other.step(noop(other))
        return np.stack(rows)

    np.random.seed(3)
    before = np.random.get_state()
    env, other = FoundationEnv(), FoundationEnv()
    other.reset(seed=8)
    alone = play(env, None)
    np.testing.assert_array_equal(alone, play(env, other))
    np.random.random(10)  # what others draw changes nothing
    np.testing.assert_array_equal(alone, play(FoundationEnv(), None))
    np.random.set_state(before)
    FoundationEnv(max_steps=2).reset()
    steps(env, 3)
    after = np.random.get_state()
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_state_of_the_generator_can_be_kept() -> None:
    env = FoundationEnv()
    env.reset(seed=0)
    kept = env.rng_state()
    first, _ = env.reset()
    env.set_rng_state(kept)
    second, _ = env.reset()
    np.testing.assert_array_equal(flat(first), flat(second))


def test_nothing_is_printed_and_numpy_stays_as_it_is() -> None:
    """In a process of its own, as the package prints most when it is imported."""
    code = (
        "import numpy as np, env_wrappers\n"
        "original = {'name': 'gather_trade_build', 'backend': 'foundation'}\n"
        "env = env_wrappers.make(**original, max_steps=12)\n"
        "assert not hasattr(np, 'int')\n"
        "try:\n"
        "    env_wrappers.make(**original, scenario_config={'planner_gets_spatial_info': 3, 'regen': 1})\n"
        "except ValueError:\n"
        "    assert not hasattr(np, 'int')\n"
        "env.reset(seed=1)\n"
        "while env.agents:\n"
        "    env.step({a: 0 for a in env.agents})\n"
        "env.metrics()\n"
        "assert not hasattr(np, 'int')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_numpy_is_restored_after_a_refusal() -> None:
    with pytest.raises(ValueError, match="refuses"):
        FoundationEnv(scenario_config={"starting_agent_coin": -1})
    assert not hasattr(np, "int")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_plays(scenario: str) -> None:
    env = FoundationEnv(scenario=scenario)
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    for _ in range(min(env.max_episode_steps or 0, 12)):
        observations, rewards, _, _, infos = env.step(legal(env, rng))
        for agent in env.possible_agents:
            assert env.observation_space(agent).contains(observations[agent])
            np.testing.assert_array_equal(infos[agent]["action_mask"], observations[agent]["action_mask"] == 1)
            assert np.isfinite(rewards[agent])
        assert env.planner_observation_space.contains(env.planner_observation())
        assert env.state_space.contains(env.state())
        assert np.isfinite(env.designer_reward())


def test_these_are_all_scenarios() -> None:
    assert set(package.load().scenarios.entries) == {*SCENARIOS, COVID}


def test_the_covid_scenario_asks_for_its_code() -> None:
    with pytest.raises(
        ValueError, match=r"needs an activation code from https://\S+; write it to \S+activation_code.txt"
    ):
        FoundationEnv(scenario=COVID)


def test_agents_that_the_package_puts_together_are_taken_apart() -> None:
    """The covid scenario's form: agents on the last axis, or fields of N numbers one after another."""
    together = {"a": {"state": np.arange(6).reshape(2, 3), "flat": np.arange(6), "one": np.arange(3)}, "p": {}}
    first, _, last = of_agents(together, 3)
    np.testing.assert_array_equal(first["state"], [0, 3])
    np.testing.assert_array_equal(last["flat"], [2, 5])
    assert last["one"] == 2
    assert of_agents({"0": "x", "1": "y", "p": "z"}, 2) == ["x", "y"]


@pytest.mark.parametrize("name", MAPS)
def test_every_map(name: str) -> None:
    env = FoundationEnv(map=name, max_steps=10)
    assert env.original.world_size == list(MAPS[name])
    env.reset(seed=0)
    env.step(noop(env))
    split = FoundationEnv(scenario="split_layout/simple_wood_and_stone", map=f"{name}.txt")
    assert split.original.world_size == list(MAPS[name])


def test_these_are_all_maps() -> None:
    assert package.map_files(package.load()) == [f"{name}.txt" for name in MAPS]


COMPONENTS: list[tuple[str, list[Any], tuple[str, ...]]] = [
    ("uniform/simple_wood_and_stone", ["Gather"], ("Gather",)),
    ("uniform/simple_wood_and_stone", [{"Build": {"payment": 20}}], ("Build",)),
    (
        "uniform/simple_wood_and_stone",
        [["Gather", {}], "ContinuousDoubleAuction"],
        ("Gather", "Buy_Stone", "Sell_Stone", "Buy_Wood", "Sell_Wood"),
    ),
    ("uniform/simple_wood_and_stone", ["Gather", "WealthRedistribution"], ("Gather",)),
    ("uniform/simple_wood_and_stone", ["gather", "PeriodicBracketTax"], ("Gather",)),
    ("one-step-economy", ["SimpleLabor"], ("SimpleLabor",)),
]


@pytest.mark.parametrize(("scenario", "components", "types"), COMPONENTS)
def test_every_component(scenario: str, components: list[Any], types: tuple[str, ...]) -> None:
    env = FoundationEnv(scenario=scenario, components=components)
    assert len(env.original.components) == len(components)
    assert env.action_type_names == ("noop", *types)
    env.reset(seed=0)
    steps(env, 2)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10])
def test_numbers_of_agents(count: int) -> None:
    env = FoundationEnv(num_agents=count, max_steps=10)
    env.reset(seed=0)
    steps(env, 10)
    assert env.agents == []
    assert env.social_metrics()["productivity"] == pytest.approx(10 * count)


def test_action_types_and_one_house() -> None:
    """Wood and stone in hand, on free ground: the house pays its builder, and that is productivity."""
    env = FoundationEnv()
    env.reset(seed=0)
    agent = env.original.world.agents[3]
    agent.state["inventory"]["Wood"] = agent.state["inventory"]["Stone"] = 1
    env.original.world.set_agent_loc(agent, 7, 7)
    payment = agent.state["build_payment"]
    actions = noop(env) | {"agent_3": env.action_names.index("Build 1"), "agent_0": env.action_names.index("Gather 2")}
    env.step(actions)
    assert env.action_types() == {"agent_0": 6, "agent_1": 0, "agent_2": 0, "agent_3": 1}
    metrics = env.social_metrics()
    assert metrics["productivity"] == pytest.approx(40 + payment)
    # Gini of (10, 10, 10, x) is 3 (x - 10) / (4 (30 + x)); equality is 1 - 4/3 of it.
    x = 10 + payment
    assert metrics["equality"] == pytest.approx(1 - (x - 10) / (30 + x))
    assert env.designer_reward() == pytest.approx(metrics["productivity"] * metrics["equality"])
    assert np.isclose(FoundationEnv(objective="planner").designer_reward(), 0.0)


def test_multi_action_mode() -> None:
    env = FoundationEnv(scenario_config={"multi_action_mode_agents": True})
    env.reset(seed=0)
    space: Any = env.action_space("agent_0")
    np.testing.assert_array_equal(space.nvec, [2, 12, 12, 12, 12, 5])
    actions = {a: np.zeros(6, np.int64) for a in env.possible_agents}
    actions["agent_1"] = np.array([0, 0, 3, 0, 0, 1])
    env.step(actions)
    assert env.action_types() == {"agent_0": 0, "agent_1": 3, "agent_2": 0, "agent_3": 0}


@pytest.mark.parametrize(
    "settings",
    [
        {"flatten_observations": False},
        {"flatten_masks": False},
        {"full_observability": True},
        {"planner_gets_spatial_info": False},
        {"multi_action_mode_planner": False},
        {"planner_reward_type": "inv_income_weighted_utility", "energy_warmup_constant": 10},
    ],
)
def test_other_forms_of_observations_and_actions(settings: dict[str, Any]) -> None:
    batch = make_vec("gather_trade_build", 1, backend="foundation", tax="planner", scenario_config=settings)
    batch.reset(seed=0)
    assert (batch.action_masks[0] is None) == ("flatten_masks" in settings)
    batch.step([np.zeros((1, 4), np.int64)])
    assert np.abs(batch.state).max() > 0
    env = make("gather_trade_build", backend="foundation", tax="planner", scenario_config=settings)
    observations, _ = env.reset(seed=0)
    assert env.observation_space("agent_2").contains(observations["agent_2"])


def test_batches() -> None:
    assert isinstance(make("gather_trade_build", backend="foundation"), FoundationEnv)
    batch = make_vec("gather_trade_build", 2, backend="foundation", autoreset=True, max_steps=11, rates=[0.5] * 7)
    assert isinstance(batch, LoopVectorEnv)
    assert batch.observations[0].shape == (2, 4, 7 * 121 + 2 * 121 + 1 + 136 + 50)
    assert batch.state.shape == (2, 86 + 4 * 8)
    assert batch.action_type_names == ("noop", "Build", "Buy_Stone", "Sell_Stone", "Buy_Wood", "Sell_Wood", "Gather")
    batch.reset(seed=3)
    rng = np.random.default_rng(0)
    for t in range(1, 13):
        (masks,) = batch.action_masks
        assert masks is not None
        # Where nobody acts any more, all is allowed.
        assert masks.all() == (t == 12)
        flags = np.stack(
            [[env.observations()[a]["action_mask"] == 1 for a in env.possible_agents] for env in batch.envs]
        )
        assert t == 12 or np.array_equal(masks, flags)
        chosen = np.array([[rng.choice(np.flatnonzero(mask)) for mask in row] for row in masks])
        batch.step([chosen])
        assert batch.episode_over.all() == (t == 11)
        assert batch.was_reset.all() == (t == 12)
    free = make_vec("gather_trade_build", 1, backend="foundation", scenario_config={"multi_action_mode_agents": True})
    free.reset(seed=0)
    assert free.action_masks[0] is not None
    assert free.action_masks[0].shape == (1, 4, 2 + 4 * 12 + 5)
    assert not np.array_equal(batch.observations[0][0], batch.observations[0][1])
