"""LoopVectorEnv over environments with awkward properties, and over PettingZoo's."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from mpe2 import simple_speaker_listener_v4, simple_spread_v3
from pettingzoo.utils.conversions import aec_to_parallel
from toy_envs import Countdown, StatefulToy, Toy, random_actions, toy, unit_box

from env_wrappers import LoopVectorEnv


def zeros(env: LoopVectorEnv) -> list[np.ndarray]:
    """The first action of every agent."""
    return [
        np.zeros((env.num_envs, len(g.agents), *(g.action_space.shape or ())), g.action_space.dtype) for g in env.groups
    ]


def started(env: LoopVectorEnv, seed: int = 0) -> LoopVectorEnv:
    """After its reset."""
    env.reset(seed)
    return env


def received(env: LoopVectorEnv, b: int = 0) -> dict[str, Any]:
    """The actions that a toy got in its last step."""
    inner = env.envs[b]
    assert isinstance(inner, Toy)
    return inner.received[-1]


# -- agents that come and go ----------------------------------------------------------------------------


def test_agents_that_leave_early() -> None:
    """One terminates in step 1, one is cut in step 2, the last one is cut with the episode in step 4."""
    env = started(LoopVectorEnv(lambda: toy(3, terminates_at={"a0": 1}, truncates_at={"a1": 2}), 2))
    expected = [
        # active, rewards, terminated, truncated, over
        ([0, 1, 1], [10, 11, 12], [1, 0, 0], [0, 0, 0], False),
        ([0, 0, 1], [0, 21, 22], [0, 0, 0], [0, 1, 0], False),
        ([0, 0, 1], [0, 0, 32], [0, 0, 0], [0, 0, 0], False),
        ([0, 0, 0], [0, 0, 42], [0, 0, 0], [0, 0, 1], True),
    ]
    for active, rewards, terminated, truncated, over in expected:
        env.step([np.ones((2, 3), np.int64)])
        for b in range(2):
            np.testing.assert_array_equal(env.active[b], active)
            np.testing.assert_array_equal(env.rewards[b], rewards)
            np.testing.assert_array_equal(env.terminated[b], terminated)
            np.testing.assert_array_equal(env.truncated[b], truncated)
            assert env.episode_over[b] == over
            assert env.designer_reward[b] == sum(rewards)
            acted = np.array(rewards) > 0
            np.testing.assert_array_equal(env.action_types[b], acted)
            np.testing.assert_array_equal(env.action_features[b], acted[:, None] * np.array([[0, 1]]))


def test_those_who_left_keep_their_last_observation() -> None:
    env = started(LoopVectorEnv(lambda: toy(2, terminates_at={"a0": 1}), 1))
    env.step(zeros(env))
    env.step(zeros(env))
    np.testing.assert_array_equal(env.observations[0], [[[1, 1], [2, 2]]])
    np.testing.assert_array_equal(env.state, [[0, 0, 2, 2]])  # the designer sees nobody there


def test_both_flags_count_as_terminated() -> None:
    env = started(LoopVectorEnv(lambda: toy(1, terminates_at={"a0": 2}, truncates_at={"a0": 2}), 1))
    env.step(zeros(env))
    env.step(zeros(env))
    assert env.terminated.all()
    assert not env.truncated.any()


def test_agent_that_enters_late() -> None:
    env = started(LoopVectorEnv(lambda: toy(2, enters_at={"a1": 2}, max_steps=4), 1, autoreset=True))
    np.testing.assert_array_equal(env.active, [[True, False]])
    np.testing.assert_array_equal(env.observations[0], [[[0, 1], [0, 0]]])
    env.step(zeros(env))
    np.testing.assert_array_equal(env.active, [[True, False]])
    env.step(zeros(env))
    np.testing.assert_array_equal(env.active, [[True, True]])
    np.testing.assert_array_equal(env.observations[0], [[[2, 1], [2, 2]]])
    np.testing.assert_array_equal(env.rewards, [[20, 0]])  # it has not acted yet
    env.step(zeros(env))
    np.testing.assert_array_equal(env.rewards, [[30, 31]])
    env.step(zeros(env))
    np.testing.assert_array_equal(env.truncated, [[True, True]])
    env.step(zeros(env))
    np.testing.assert_array_equal(env.was_reset, [True])
    np.testing.assert_array_equal(env.observations[0], [[[0, 1], [0, 0]]])  # nothing of the last episode


def test_copies_end_at_different_times() -> None:
    """With autoreset each copy goes its own way; seeds of the copies differ."""
    lengths = iter([1, 2, 3])  # the first one is thrown away
    env = started(LoopVectorEnv(lambda: toy(1, max_steps=next(lengths)), 2, autoreset=True))
    over, was_reset = [], []
    for _ in range(6):
        env.step(zeros(env))
        over.append(env.episode_over.tolist())
        was_reset.append(env.was_reset.tolist())
    assert [row[0] for row in over] == [False, True, False, False, True, False]
    assert [row[1] for row in over] == [False, False, True, False, False, False]
    assert [row[0] for row in was_reset] == [False, False, True, False, False, True]


# -- the designer's defaults ----------------------------------------------------------------------------


def test_state_of_the_environment() -> None:
    env = started(LoopVectorEnv(lambda: StatefulToy({"a": unit_box()}, {"a": gym.spaces.Discrete(2)}), 2))
    env.step(zeros(env))
    assert env.state.dtype == np.float32
    np.testing.assert_array_equal(env.state, [[1, 2, -1]] * 2)


def test_concatenated_observations_and_summed_rewards() -> None:
    env = started(LoopVectorEnv(lambda: toy(3), 1))
    env.step(zeros(env))
    np.testing.assert_array_equal(env.state, [[1, 1, 1, 2, 1, 3]])
    np.testing.assert_array_equal(env.designer_reward, [10 + 11 + 12])
    assert env.action_type_names == ("0", "1")


# -- PettingZoo's environments ---------------------------------------------------------------------------


@pytest.mark.parametrize("continuous", [False, True])
def test_simple_spread(continuous: bool) -> None:
    def make() -> Any:
        return simple_spread_v3.parallel_env(N=2, max_cycles=4, continuous_actions=continuous)

    env, single = started(LoopVectorEnv(make, 2, autoreset=True)), make()
    assert env.name == "simple_spread_v3"
    assert [g.agents for g in env.groups] == [(0, 1)]
    assert env.action_type_names == (("any",) if continuous else tuple("01234"))
    rng = np.random.default_rng(0)
    totals = np.zeros(2)
    for t in range(1, 12):
        env.step(random_actions(env, rng))
        totals += env.designer_reward
        assert np.isfinite(env.observations[0]).all()
        assert env.truncated.all() == (t % 5 == 4)
        assert not env.terminated.any()
        assert env.was_reset.all() == (t % 5 == 0)
    assert totals[0] != totals[1], "the copies must have different seeds"
    single.reset(seed=0)
    assert env.state_shape == single.state().shape
    env.close()


def test_same_seed_same_play() -> None:
    def trace(seed: int) -> np.ndarray:
        env = started(LoopVectorEnv(lambda: simple_spread_v3.parallel_env(N=2, max_cycles=3), 2, autoreset=True), seed)
        rng = np.random.default_rng(1)
        rows = []
        for _ in range(7):
            env.step(random_actions(env, rng))
            rows.append(env.state.copy())
        return np.stack(rows)

    np.testing.assert_array_equal(trace(1), trace(1))
    assert (trace(1) != trace(2)).any()


def test_speaker_listener_has_two_groups() -> None:
    env = started(LoopVectorEnv(lambda: simple_speaker_listener_v4.parallel_env(max_cycles=3), 1))
    assert [(g.agents, g.observation_shape) for g in env.groups] == [((0,), (3,)), ((1,), (11,))]
    env.step(zeros(env))
    assert env.num_action_types == 5


def test_aec_environment_whose_agents_leave_early() -> None:
    env = started(LoopVectorEnv(lambda: aec_to_parallel(Countdown(3)), 1))
    for step in range(1, 4):
        env.step([np.ones((1, 3), np.int64)])
        np.testing.assert_array_equal(env.rewards, [[i + 1 >= step for i in range(3)]])
        np.testing.assert_array_equal(env.terminated, [[i + 1 == step for i in range(3)]])
        np.testing.assert_array_equal(env.active, [[i + 1 > step for i in range(3)]])
    assert env.episode_over.all()
