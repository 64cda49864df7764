"""What Cleanup shows: action types and rewards, starts and ends, observations and renderings."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from cleanup_scenes import (
    COLORS,
    DOWN,
    LEFT,
    QUIET,
    RIGHT,
    UP,
    act,
    close,
    scene,
)
from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test
from pettingzoo.utils.conversions import parallel_to_aec

from env_wrappers.cleanup import Cleanup

# -- what the designer is told ----------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.25])
def test_types_features_and_rewards(penalty: float) -> None:
    env = scene("H.A.. 0.1.2", cleaning_penalty=penalty)
    assert env.action_types() == env.action_features() == {}
    for actions, types in [("*^.", [0, 1, 2]), ("**<", [0, 0, 2]), (")(^", [2, 2, 2]), (".*>", [2, 0, 2])]:
        rewards = act(env, actions)
        assert rewards == [-penalty if kind == 0 else float(kind == 1) for kind in types]
        assert env.designer_reward() == sum(rewards)
        assert list(env.action_types().values()) == types
        features = env.action_features()
        assert [features[agent].tolist() for agent in env.possible_agents] == [[kind == 0] for kind in types]
        assert all(f.dtype == np.float32 for f in features.values())
    assert env.action_type_names == ("clean", "eat", "other")
    assert (env.num_action_types, env.action_feature_size) == (3, 1)


def test_a_clean_type_of_removed_waste() -> None:
    """Agent 0 faces waste, which is gone after its first beam; agent 1 fires at none, and then eats."""
    env = scene("H.A 0.1", clean_type="removed")
    for actions, types, fired in [("**", [0, 2], [1, 1]), ("*^", [2, 1], [1, 0]), (")*", [2, 2], [0, 1])]:
        act(env, actions)
        assert list(env.action_types().values()) == types
        assert [float(f[0]) for f in env.action_features().values()] == fired


def test_action_names() -> None:
    """The order is the original's."""
    assert Cleanup().action_names == ("left", "right", "up", "down", "stay", "clean")
    assert Cleanup(left_right=False).action_names == ("up", "down", "stay", "clean")
    turns = ("turn_right", "turn_left")
    assert Cleanup(map="full").action_names == ("left", "right", "up", "down", "stay", *turns, "clean")
    assert Cleanup(map="full", left_right=False).action_names == ("up", "down", "stay", *turns, "clean")
    assert Cleanup(map="full", left_right=False).action_space("agent_1").n == 6


# -- reset and end ----------------------------------------------------------------------------------------


def test_start_of_7x7() -> None:
    env = Cleanup()
    for seed in range(5):
        observations, infos = env.reset(seed=seed)
        assert env.agents == env.possible_agents == ["agent_0", "agent_1"] == list(observations) == list(infos)
        assert env.world.positions == [(5, 2), (1, 4)]
        assert env.world.facings == [UP, UP]
        assert "".join(map("".join, env.world.grid)).count("H") == 2
        assert not any("A" in row for row in env.world.grid)
        assert env.action_types() == {}
        act(env, "*>")


@pytest.mark.parametrize(("name", "agents"), [("10x10", 3), ("full", 10)])
def test_start_of_larger_maps(name: str, agents: int) -> None:
    """From the last start cell to the first, unless shuffled; too much waste for apples."""
    env = Cleanup(map=name, num_agents=agents, shuffled_spawns=False, random_orientation=False)
    env.reset(seed=0)
    cells = [(r, c) for r, row in enumerate(env.config.rows) for c, symbol in enumerate(row) if symbol == "P"]
    assert env.world.positions == cells[::-1]
    assert env.world.facings == [UP] * agents
    assert not any("A" in row or "B" in row or "P" in row for row in env.world.grid)


def test_the_full_map() -> None:
    """As in the paper: counted on its printed map."""
    count = Counter("".join(Cleanup(map="full").config.rows))
    assert (len(Cleanup(map="full").config.rows), len(Cleanup(map="full").config.rows[0])) == (25, 18)
    assert count == {"@": 82, "H": 56, "R": 63, "S": 12, "B": 103, "P": 10, " ": 124}


def test_shuffled_start() -> None:
    env = Cleanup(map="10x10", num_agents=2, shuffled_spawns=True, random_orientation=True)
    starts, facings, rounds = Counter[Any](), Counter[Any](), 1200
    env.reset(seed=3)
    for _ in range(rounds):
        env.world.reset()
        starts[tuple(env.world.positions)] += 1
        facings[tuple(env.world.facings)] += 1
    assert len(starts) == 6  # ordered pairs of three cells
    assert all(a != b for a, b in starts)
    assert all(close(count / rounds, 1 / 6, rounds) for count in starts.values())
    assert len(facings) == 16
    assert all(close(count / rounds, 1 / 16, rounds) for count in facings.values())


def test_apples_may_be_there_at_the_start() -> None:
    """Of a map with little waste: spawning takes place once before the first observation."""
    env = Cleanup(map=["RB", "P "], num_agents=1, apple_respawn_probability=1, waste_spawn_probability=1)
    env.reset(seed=0)
    assert env.world.grid == [["H", "A"], [" ", " "]]


def test_a_map_without_river() -> None:
    env = Cleanup(map=["BP"], num_agents=1, apple_respawn_probability=1)
    env.reset(seed=0)
    assert act(env, "<") == [1]


def test_truncated_at_max_steps() -> None:
    env = Cleanup(max_steps=3)
    env.reset(seed=0)
    for t in (1, 2, 3):
        observations, _, terminated, truncated, infos = env.step({"agent_0": 0, "agent_1": 0})
        assert list(terminated.values()) == [False, False]
        assert list(truncated.values()) == [t == 3, t == 3]
        assert list(observations) == list(infos) == env.possible_agents
    assert env.agents == []
    env.reset()
    assert env.agents == env.possible_agents


def test_seeds() -> None:
    """A seed repeats everything; without one the generator goes on."""

    def play(seed: int | None) -> list[list[list[str]]]:
        env.reset(seed=seed)
        return [act(env, "*.") and [list(row) for row in env.world.grid] for _ in range(20)]

    env = Cleanup()
    first, second = play(7), play(None)
    assert first != second
    assert play(7) == first
    assert play(None) == second
    assert play(8) != first


# -- pictures ---------------------------------------------------------------------------------------------


def painted(text: str) -> np.ndarray:
    """A picture as agents see it."""
    return np.array([[COLORS[symbol] for symbol in row] for row in text.split()], np.uint8)


def test_pictures_of_7x7() -> None:
    env = Cleanup(**QUIET)
    observations, _ = env.reset(seed=0)
    start = {
        "agent_0": "..@H..1.@ ..@H....@ ..@.....@ ..@.....@ ..@.0...@ ..@@@@@@@ ......... ......... .........",
        "agent_1": "......... ......... ......... @@@@@@@.. @H..1.@.. @H....@.. @.....@.. @.....@.. @.0...@..",
    }
    for agent, text in start.items():
        np.testing.assert_array_equal(observations[agent], painted(text))
        assert env.observation_space(agent).contains(observations[agent])
    whole = "......... .@@@@@@@. .@H..1.@. .@H....@. .@.....@. .@.....@. .@.0...@. .@@@@@@@. ........."
    np.testing.assert_array_equal(env.state(), painted(whole))
    assert env.state_space.contains(env.state())

    observations, *_ = env.step({"agent_0": 5, "agent_1": 0})
    env.world.grid[2][5] = "A"
    whole = "......... .@@@@@@@. .@H**..@. .@***.A@. .@***..@. .@***..@. .@*0*..@. .@@@@@@@. ........."
    np.testing.assert_array_equal(env.state(), painted(whole))  # agent 1, under a beam, is not seen
    text = "..@H**..@ ..@***..@ ..@***..@ ..@***..@ ..@*0*..@ ..@@@@@@@ ......... ......... ........."
    np.testing.assert_array_equal(observations["agent_0"], painted(text))
    act(env, "..")
    whole = "......... .@@@@@@@. .@H.1..@. .@R...A@. .@.....@. .@.....@. .@.0...@. .@@@@@@@. ........."
    np.testing.assert_array_equal(env.state(), painted(whole))


@pytest.mark.parametrize(
    ("facing", "seen"),
    [(UP, "@HR R0A 1.@"), (RIGHT, "RA@ H0. @R1"), (DOWN, "@.1 A0R RH@"), (LEFT, "1R@ .0H @AR")],
)
def test_the_view_turns_with_the_agent(facing: int, seen: str) -> None:
    """What is ahead is on top. The stream looks like the river, and the designer's picture does not turn."""
    env = Cleanup(map=["@HR", "SPB", "P @"], view_size=1, **QUIET)
    env.reset(seed=0)
    env.world.positions, env.world.facings = [(1, 1), (2, 0)], [facing, UP]
    env.world.grid[1][2] = "A"
    observations, *_ = env.step(dict.fromkeys(env.possible_agents, env.action_names.index("stay")))
    np.testing.assert_array_equal(observations["agent_0"], painted(seen))
    np.testing.assert_array_equal(observations["agent_1"], painted(".R0 .1. ..."))
    np.testing.assert_array_equal(env.state(), painted("@HR R0A 1.@"))


def test_colors_of_many_agents() -> None:
    """Those of the first nine; then they repeat."""
    env = Cleanup(map=["P" * 10], num_agents=10)
    env.reset(seed=0)
    np.testing.assert_array_equal(env.state(), painted("0876543210"))


@pytest.mark.parametrize(
    ("name", "agents", "view", "state"), [("7x7", 2, 9, (9, 9)), ("10x10", 3, 15, (10, 10)), ("full", 5, 15, (25, 18))]
)
def test_planes_show_what_rgb_shows(name: str, agents: int, view: int, state: tuple[int, int]) -> None:
    """Every cell is in at most one plane, and painting the planes gives the RGB picture."""
    more: dict[str, Any] = {"threshold_depletion": 0.9, "apple_respawn_probability": 0.3}
    rgb, planes = (
        Cleanup(map=name, num_agents=agents, **more),
        Cleanup(map=name, num_agents=agents, observation="planes", **more),
    )
    colors = np.array([COLORS[symbol] for symbol in "@AHRR*" + "012345678"[:agents]])
    rng = np.random.default_rng(0)
    seen = np.zeros(len(colors), bool)
    observations = [env.reset(seed=4)[0] for env in (rgb, planes)]
    for _ in range(25):
        for agent in rgb.possible_agents:
            picture, stack = (o[agent] for o in observations)
            assert (picture.shape, stack.shape) == ((view, view, 3), (view, view, 6 + agents))
            pairs = [(picture, stack), (rgb.state(), planes.state())]
            for color, onehot in pairs:
                assert onehot.dtype == np.uint8
                assert set(np.unique(onehot)) <= {0, 255}
                assert (np.count_nonzero(onehot, axis=-1) <= 1).all()
                np.testing.assert_array_equal((onehot // 255) @ colors, color)
                seen |= onehot.any((0, 1))
        actions = {a: int(rng.integers(len(rgb.action_names))) for a in rgb.possible_agents}
        observations = [env.step(actions)[0] for env in (rgb, planes)]
    assert rgb.state().shape[:2] == state
    has_stream = "S" in "".join(rgb.config.rows)
    assert seen[[0, 1, 2, 3, 5]].all()
    assert seen[4] == has_stream
    assert seen[6:].all()


def test_human_rendering(capsys: pytest.CaptureFixture[str]) -> None:
    env = Cleanup(render_mode="human", **QUIET)
    env.reset(seed=0)
    capsys.readouterr()
    env.step({"agent_0": 5, "agent_1": 4})
    rows = ["t=1  reward 0", "@@@@@@@", "@H**1 @", "@***  @", "@***  @", "@***  @", "@*0*  @", "@@@@@@@"]
    assert capsys.readouterr().out == "\n".join(rows) + "\n"


def test_rgb_array() -> None:
    env = Cleanup(map="full", num_agents=5, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(dict.fromkeys(env.possible_agents, 7))
    after = env.render()
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert before.shape == after.shape == (25 * 32 + 28, 18 * 32, 3)
    assert before.dtype == np.uint8
    assert (before != after).any()
    assert Cleanup().render() is None


def test_pettingzoo(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(Cleanup(max_steps=20), num_cycles=50)
    parallel_seed_test(lambda: Cleanup(max_steps=20, shuffled_spawns=True, random_orientation=True), num_cycles=50)
    render_test(lambda render_mode=None: parallel_to_aec(Cleanup(max_steps=5, render_mode=render_mode)))
    capsys.readouterr()
