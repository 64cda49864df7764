"""Escape Room: rules worked by hand, PettingZoo's own tests, and the batched twin step for step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test
from pettingzoo.utils.conversions import parallel_to_aec
from small_envs import assert_same, random_actions, snapshot

import env_wrappers
from env_wrappers.escape_room import EscapeRoom, VectorEscapeRoom

L, S, D = 0, 1, 2


def play(env: EscapeRoom, *targets: int) -> tuple[list[float], bool, bool]:
    """Rewards in order, and whether the episode was terminated or truncated."""
    _, rewards, ended, cut, _ = env.step({f"agent_{i}": target for i, target in enumerate(targets)})
    return [rewards[f"agent_{i}"] for i in range(len(targets))], ended["agent_0"], cut["agent_0"]


def started(n: int, m: int, max_steps: int = 5) -> EscapeRoom:
    env = EscapeRoom(n, m, max_steps)
    env.reset()
    return env


def test_pettingzoo_accepts_it(capsys: pytest.CaptureFixture[str]) -> None:
    parallel_api_test(EscapeRoom(), num_cycles=50)
    parallel_seed_test(EscapeRoom, num_cycles=20)
    # Written for environments that take turns, so it gets one.
    render_test(lambda render_mode: parallel_to_aec(EscapeRoom(render_mode=render_mode)))


def test_the_optimum_of_5_2_in_one_step() -> None:
    # Two pull (-1 each), three leave (+10 each): 28.
    assert play(started(5, 2), L, L, D, D, D) == ([-1, -1, 10, 10, 10], True, False)


def test_too_few_at_the_lever_keep_the_door_shut() -> None:
    # One of two pulls: moving costs 1 for everybody who moves, the door pays nothing.
    assert play(started(3, 2), L, S, D) == ([-1, 0, -1], False, False)


def test_staying_is_free_everywhere_and_the_open_door_pays_those_who_wait_there() -> None:
    env = started(3, 1)
    assert play(env, S, S, D) == ([0, 0, -1], False, False)
    assert play(env, S, S, D) == ([0, 0, 0], False, False)  # waits at the shut door
    assert play(env, L, S, D) == ([-1, 0, 10], True, False)  # it opens: 10 although agent 2 stayed


def test_an_open_door_that_nobody_uses_ends_nothing() -> None:
    env = started(3, 1)
    assert play(env, L, S, S) == ([-1, 0, 0], False, False)
    assert play(env, L, S, S) == ([0, 0, 0], False, False)
    # The door is open in the step in which enough choose the lever, not in the one after.
    assert play(env, S, S, D) == ([-1, 0, -1], False, False)


def test_cut_after_the_last_step_unless_somebody_leaves_in_it() -> None:
    env = started(2, 1, max_steps=2)
    assert play(env, S, S)[1:] == (False, False)
    assert play(env, S, S)[1:] == (False, True)
    assert env.agents == []
    env.reset()
    play(env, S, S)
    assert play(env, L, D) == ([-1, 10], True, False)


def test_observations_begin_with_the_agent_itself() -> None:
    env = started(3, 2)
    observations = env.step({"agent_0": L, "agent_1": S, "agent_2": D})[0]
    lever, start, door = np.eye(3)
    for agent, parts in {
        "agent_0": (lever, start, door),
        "agent_1": (start, lever, door),
        "agent_2": (door, lever, start),
    }.items():
        np.testing.assert_array_equal(observations[agent], np.concatenate(parts), err_msg=agent)
    np.testing.assert_array_equal(env.state(), np.concatenate([lever, start, door]))
    assert env.action_types() == {"agent_0": 0, "agent_1": 1, "agent_2": 2}
    np.testing.assert_array_equal(env.action_features()["agent_2"], door)
    assert env.designer_reward() == -2
    assert env.action_type_names == ("lever", "start", "door")


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 7),
    data=st.data(),
    seed=st.integers(0, 2**20),
    steps=st.integers(1, 6),
    auto=st.booleans(),
)
def test_the_twin_is_identical(n: int, data: st.DataObject, seed: int, steps: int, auto: bool) -> None:
    config = {"n": n, "m": data.draw(st.integers(1, n - 1)), "max_steps": steps}
    native = env_wrappers.make_vec("escape_room", 3, autoreset=auto, **config)
    looped = env_wrappers.make_vec("escape_room", 3, autoreset=auto, backend="loop", **config)
    assert isinstance(native, VectorEscapeRoom)
    assert isinstance(looped, env_wrappers.LoopVectorEnv)
    assert native.groups == looped.groups
    assert native.action_type_names == looped.action_type_names
    assert native.max_episode_steps == looped.max_episode_steps
    rng = np.random.default_rng(seed)
    for t in range(24):
        if t in (0, 17):
            native.reset(seed)
            looped.reset(seed)
            assert_same(snapshot(native), snapshot(looped))
        actions = random_actions(native, rng)
        native.step(actions)
        looped.step(actions)
        assert_same(snapshot(native), snapshot(looped))


def test_frozen_copies_ignore_actions_and_report_nothing() -> None:
    env = VectorEscapeRoom(2, n=2, m=1, max_steps=5)
    env.reset()
    env.step([np.array([[L, D], [S, S]])])
    assert env.episode_over.tolist() == [True, False]
    last = env.observations[0][0].copy()
    env.step([np.array([[99, -1], [S, L]])])
    assert env.episode_over.tolist() == [True, False]
    assert env.active.tolist() == [[False, False], [True, True]]
    assert env.rewards.tolist() == [[0, 0], [0, -1]]
    assert not env.terminated[0].any()
    assert not env.action_features[0].any()
    np.testing.assert_array_equal(env.observations[0][0], last)


def test_a_target_that_there_is_not() -> None:
    env = VectorEscapeRoom(1, n=2, m=1)
    for bad in (-1, 3):
        env.reset()
        with pytest.raises(ValueError, match=rf"escape_room: action {bad} is not one of 0 to 2"):
            env.step([np.array([[bad, 0]])])


@pytest.mark.parametrize("autoreset", [False, True])
def test_a_saved_state_continues_exactly(autoreset: bool) -> None:
    rng = np.random.default_rng(0)
    one, other = (VectorEscapeRoom(4, n=3, m=1, autoreset=autoreset) for _ in range(2))
    one.reset(0)
    other.reset(1)
    for _ in range(3):
        one.step(random_actions(one, rng))
    saved = one.get_state()
    futures = [random_actions(one, rng) for _ in range(12)]
    expected = []
    for actions in futures:
        one.step(actions)
        expected.append(snapshot(one))
    other.set_state(saved)
    for actions, then in zip(futures, expected, strict=True):
        other.step(actions)
        assert_same(snapshot(other), then)
    with pytest.raises(ValueError, match=r"state has shape \(4, 3\), expected \(2, 3\)"):
        VectorEscapeRoom(2, n=3, m=1).set_state(saved)


def test_pictures_show_the_door() -> None:
    native, single = VectorEscapeRoom(1, n=3, m=1), EscapeRoom(3, 1, render_mode="rgb_array")
    native.reset()
    single.reset()
    shut = native.render()
    np.testing.assert_array_equal(shut, single.render())
    # Open although nobody leaves.
    native.step([np.array([[L, S, S]])])
    play(single, L, S, S)
    assert (native.render() != shut).any()
    np.testing.assert_array_equal(native.render(), single.render())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"n": 1}, "n must be at least 2, got 1"),
        ({"n": 3, "m": 3}, "m must be between 1 and n - 1 = 2"),
        ({"m": 0}, "m must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"n": 2.5}, "n must be a whole number, got 2.5"),
        ({"n": True}, "n must be a whole number, got True"),
        ({"render_mode": "ansi"}, "render_mode must be human or rgb_array, got 'ansi'"),
    ],
)
def test_impossible_games(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"escape_room: {message}"):
        env_wrappers.make("escape_room", **config)
    with pytest.raises(ValueError, match=f"escape_room: {message}"):
        env_wrappers.make_vec("escape_room", 2, **config)


def test_numpy_numbers_are_numbers() -> None:
    assert len(EscapeRoom(np.int64(4), np.int32(2)).possible_agents) == 4
