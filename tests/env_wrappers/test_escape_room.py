"""Escape Room as a ParallelEnv: every rule by hand, and PettingZoo's own tests."""

from __future__ import annotations

import re
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test
from pettingzoo.utils.conversions import parallel_to_aec

from env_wrappers.escape_room import DOOR, LEVER, START, EscapeRoom


def play(env: EscapeRoom, *targets: int) -> tuple[list[float], bool, bool]:
    """One step: the rewards in order of the agents, and whether the episode was terminated or truncated."""
    names = list(env.possible_agents)
    _, rewards, terminated, truncated, _ = env.step(dict(zip(names, targets, strict=True)))
    assert len(set(terminated.values())) == len(set(truncated.values())) == 1
    return [rewards[a] for a in names], terminated[names[0]], truncated[names[0]]


def started(n: int, m: int, **config: Any) -> EscapeRoom:
    """A game after its reset."""
    env = EscapeRoom(n=n, m=m, **config)
    env.reset(seed=0)
    return env


def test_pettingzoo_api() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(EscapeRoom(n=4, m=2), num_cycles=50)
    parallel_seed_test(lambda: EscapeRoom(n=3, m=1), num_cycles=50)


def test_pettingzoo_render(capsys: pytest.CaptureFixture[str]) -> None:
    render_test(lambda render_mode=None: parallel_to_aec(EscapeRoom(n=3, m=1, render_mode=render_mode)))
    capsys.readouterr()


REWARD_RULES = [
    # n, m, where they went before, where they go now, rewards
    pytest.param(3, 2, [START] * 3, [START] * 3, [0, 0, 0], id="staying at the start is free"),
    pytest.param(3, 2, [START] * 3, [LEVER, START, DOOR], [-1, 0, -1], id="shut door: every move costs 1"),
    pytest.param(3, 2, [LEVER, START, DOOR], [LEVER, START, DOOR], [0, 0, 0], id="staying anywhere is free"),
    pytest.param(3, 2, [LEVER, START, DOOR], [START, DOOR, LEVER], [-1, -1, -1], id="too few pull: three moves"),
    pytest.param(3, 2, [START] * 3, [LEVER, LEVER, DOOR], [-1, -1, 10], id="open door: +10, pulling costs 1"),
    pytest.param(3, 2, [LEVER, LEVER, START], [LEVER, LEVER, DOOR], [0, 0, 10], id="pulling again is free"),
    pytest.param(3, 2, [LEVER, START, DOOR], [LEVER, LEVER, DOOR], [0, -1, 10], id="+10 for waiting at the door"),
    pytest.param(3, 1, [START] * 3, [LEVER, DOOR, DOOR], [-1, 10, 10], id="all at the open door earn"),
    pytest.param(3, 1, [START] * 3, [LEVER, LEVER, DOOR], [-1, -1, 10], id="more pullers than needed"),
    pytest.param(3, 1, [START, DOOR, START], [LEVER, START, START], [-1, -1, 0], id="open, nobody leaves"),
    pytest.param(3, 2, [LEVER, LEVER, START], [START, LEVER, DOOR], [-1, 0, -1], id="pulling counts now, not before"),
]


@pytest.mark.parametrize(("n", "m", "before", "after", "rewards"), REWARD_RULES)
def test_rewards(n: int, m: int, before: list[int], after: list[int], rewards: list[float]) -> None:
    env = started(n, m)
    play(env, *before)
    assert env.agents, "the first step must not end the game in these cases"
    got, _, _ = play(env, *after)
    assert got == rewards
    assert env.designer_reward() == sum(rewards)


@pytest.mark.parametrize(("n", "m", "optimum"), [(5, 2, 28), (10, 5, 45), (2, 1, 9)])
def test_optimum(n: int, m: int, optimum: int) -> None:
    """m pull and the others leave in the first step; the values are the papers'."""
    env = started(n, m)
    play(env, *[LEVER] * m, *[DOOR] * (n - m))
    assert env.designer_reward() == optimum


def test_terminates_only_when_somebody_leaves() -> None:
    env = started(3, 1)
    assert play(env, LEVER, START, START)[1:] == (False, False)  # open, but nobody at the door
    assert env.agents == env.possible_agents
    assert play(env, START, DOOR, DOOR)[1:] == (False, False)  # at the door, but shut
    assert play(env, LEVER, DOOR, START)[1:] == (True, False)
    assert env.agents == []


@pytest.mark.parametrize("max_steps", [1, 2, 5])
def test_truncated_at_max_steps(max_steps: int) -> None:
    env = started(3, 2, max_steps=max_steps)
    for _ in range(max_steps - 1):
        assert play(env, START, START, START)[1:] == (False, False)
    assert play(env, START, START, START)[1:] == (False, True)
    assert env.agents == []


def test_leaving_in_the_last_step_counts_as_terminated() -> None:
    env = started(3, 2, max_steps=2)
    play(env, START, START, START)
    assert play(env, LEVER, LEVER, DOOR)[1:] == (True, False)


def test_reset_starts_anew() -> None:
    env = started(3, 2, max_steps=2)
    play(env, LEVER, START, DOOR)
    play(env, LEVER, START, DOOR)
    observations, infos = env.reset()
    assert env.agents == env.possible_agents == list(infos)
    for row in observations.values():
        np.testing.assert_array_equal(row, [0, 1, 0] * 3)
    assert play(env, START, START, START) == ([0, 0, 0], False, False)


def test_observations_own_first_then_the_others_in_order() -> None:
    env = started(3, 2)
    observations, *_ = env.step({"agent_0": LEVER, "agent_1": START, "agent_2": DOOR})
    lever, start, door = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    np.testing.assert_array_equal(observations["agent_0"], lever + start + door)
    np.testing.assert_array_equal(observations["agent_1"], start + lever + door)
    np.testing.assert_array_equal(observations["agent_2"], door + lever + start)
    np.testing.assert_array_equal(env.state(), lever + start + door)
    assert env.state().dtype == np.float32
    assert env.action_types() == {"agent_0": 0, "agent_1": 1, "agent_2": 2}
    assert env.action_type_names == ("lever", "start", "door")


@settings(max_examples=30, deadline=None)
@given(data=st.data(), n=st.integers(2, 6))
def test_invariants(data: st.DataObject, n: int) -> None:
    """Rewards come from the rule, observations lie in their spaces, and an episode ends exactly once."""
    m = data.draw(st.integers(1, n - 1))
    env = started(n, m, max_steps=4)
    before = [START] * n
    for t in range(1, 5):
        targets = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
        rewards, terminated, truncated = play(env, *targets)
        is_open = targets.count(LEVER) >= m
        paid = [10 if is_open and b == DOOR else -int(a != b) for a, b in zip(before, targets, strict=True)]
        assert rewards == paid
        assert terminated == (is_open and DOOR in targets)
        assert truncated == (t == 4 and not terminated)
        assert (env.agents == []) == (terminated or truncated)
        assert env.state_space.contains(env.state())
        if not env.agents:
            break
        before = targets


def test_human_rendering_prints_one_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    env = started(3, 2, render_mode="human")
    capsys.readouterr()
    play(env, LEVER, LEVER, DOOR)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.endswith("\n")
    assert re.search(r"lever: \[0, 1\].*door: \[2\].*open.*reward 8", printed)


def test_rgb_array() -> None:
    env = started(12, 2, render_mode="rgb_array")
    before = env.render()
    play(env, *[LEVER] * 6, *[START] * 6)
    after = env.render()
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert before.shape == after.shape == (320, 480, 3)
    assert before.dtype == np.uint8
    assert (before != after).any()
    assert EscapeRoom(n=3, m=2).render() is None


def test_spaces() -> None:
    env = EscapeRoom(n=4, m=2)
    for agent in env.possible_agents:
        assert env.observation_space(agent) is env.observation_space(agent)
        assert env.observation_space(agent).shape == (12,)
        assert env.action_space(agent) == gym.spaces.Discrete(3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"n": 1}, "n must be a whole number >= 2 and <= 1000, got 1"),
        ({"n": 2.5}, "n must be a whole number >= 2 and <= 1000, got 2.5"),
        ({"n": True}, "n must be a whole number >= 2 and <= 1000, got True"),
        ({"n": "5"}, "n must be a whole number >= 2 and <= 1000, got '5'"),
        ({"n": 3, "m": 3}, "m must be between 1 and n - 1 = 2"),
        ({"n": 3, "m": 0}, "m must be a whole number >= 1, got 0"),
        ({"m": None}, "m must be a whole number >= 1"),
        ({"max_steps": 0}, "max_steps must be a whole number >= 1, got 0"),
        ({"max_steps": 1.0}, "max_steps must be a whole number >= 1"),
        ({"render_mode": "ascii"}, "render_mode must be one of human, rgb_array or null, got 'ascii'"),
    ],
)
def test_config_errors(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        EscapeRoom(**config)
    assert str(error.value).startswith("escape_room: ")
