"""CentralizedVectorEnv: one agent acts for all."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from small_envs import Scripted, assert_same, loop, snapshot, vectors

import env_wrappers
from env_wrappers import CentralizedVectorEnv


def test_escape_room_by_one_hand() -> None:
    env = env_wrappers.make_vec("escape_room", 2, centralized=True, n=3, m=1)
    env.reset(0)
    assert isinstance(env, CentralizedVectorEnv)
    assert env.possible_agents == ("central",)
    assert env.action_spaces == {"central": gym.spaces.MultiDiscrete([3, 3, 3])}
    assert env.groups[0].observation_shape == (9,)
    assert (env.action_type_names, env.num_action_types, env.action_feature_size) == (("any",), 1, 9)
    assert not env.groups[0].masked
    np.testing.assert_array_equal(env.observations[0][:, 0], env.state)
    env.step([np.array([[[0, 2, 1]], [[1, 1, 1]]])])
    assert env.rewards.tolist() == [[9], [0]]
    assert env.designer_reward.tolist() == [9, 0]
    assert env.terminated.tolist() == [[True], [False]]
    assert env.episode_over.tolist() == [True, False]
    assert env.active.tolist() == [[False], [True]]
    assert env.action_features[0, 0].tolist() == [1, 0, 0, 0, 0, 1, 0, 1, 0]
    env.step([np.array([[[0, 2, 1]], [[1, 1, 1]]])])
    assert env.rewards.tolist() == [[0], [0]]
    assert not env.action_features[0].any()
    assert env.action_features[1].sum() == 3


def test_a_cut_is_passed_on() -> None:
    env = env_wrappers.make_vec("escape_room", 1, centralized=True, n=2, m=1, max_steps=1)
    env.reset(0)
    env.step([np.array([[[1, 1]]])])
    assert env.truncated.tolist() == [[True]]
    assert env.terminated.tolist() == [[False]]


def test_one_cut_agent_leaves_something_to_come() -> None:
    def change(env: Scripted, result: Any) -> None:
        result[2].update(a=True, b=False)
        result[3].update(a=False, b=True)
        env.agents = []

    env = CentralizedVectorEnv(loop(lambda: vectors(change=change)))
    env.reset(0)
    env.step([np.array([[[0, 1]]])])
    assert env.terminated.tolist() == [[False]]
    assert env.truncated.tolist() == [[True]]


def test_autoreset_set_from_outside_reaches_the_inner_one() -> None:
    env = env_wrappers.make_vec("matrix_game", 1, centralized=True)
    env.reset(0)
    env.autoreset = True
    env.step([np.array([[[0, 0]]])])
    assert env.episode_over.all()
    env.step([np.array([[[0, 0]]])])
    assert env.was_reset.all()
    assert not env.episode_over.any()
    assert not env.designer_reward.any()


def test_masks_follow_each_other_in_the_agents_order() -> None:
    masked = gym.spaces.Dict(
        {"observation": gym.spaces.Discrete(2), "action_mask": gym.spaces.MultiBinary(3)}
    )
    spaces = {"a": gym.spaces.Discrete(2), "b": masked, "c": gym.spaces.Discrete(2)}
    choices = {
        "a": gym.spaces.MultiDiscrete([2, 2]),
        "b": gym.spaces.Discrete(3),
        "c": gym.spaces.Discrete(2),
    }

    def observe(agent: str, t: int) -> Any:
        mask = np.array([0, 1, 1], np.int8)
        return {"observation": 1, "action_mask": mask} if agent == "b" else 0

    inner = loop(lambda: Scripted(spaces, choices, observe))
    env = CentralizedVectorEnv(inner)
    env.reset(0)
    assert env.action_spaces["central"] == gym.spaces.MultiDiscrete([2, 2, 3, 2])
    assert env.groups[0].masked
    assert env.action_masks[0] is not None
    assert env.action_masks[0][0, 0].tolist() == [True] * 4 + [False, True, True] + [True] * 2
    env.step([np.array([[[1, 0, 2, 1]]])])
    received = inner.envs[0].received[0]  # type: ignore[attr-defined]
    assert received["a"].tolist() == [1, 0]
    assert (received["b"], received["c"]) == (2, 1)


def test_a_saved_state_continues_exactly() -> None:
    rng = np.random.default_rng(0)
    one, other = (
        env_wrappers.make_vec("escape_room", 3, autoreset=True, centralized=True, n=3) for _ in "ab"
    )
    assert one.resumable
    one.reset(0)
    one.step([rng.integers(0, 3, (3, 1, 3))])
    other.set_state(one.get_state())
    for _ in range(9):
        actions = [rng.integers(0, 3, (3, 1, 3))]
        one.step(actions)
        other.step(actions)
        assert_same(snapshot(one), snapshot(other))


def test_continuous_actions_are_refused() -> None:
    space, box = gym.spaces.Discrete(2), gym.spaces.Box(-1, 1, (1,))
    inner = loop(lambda: Scripted({"a": space}, {"a": box}, lambda agent, t: 0))
    with pytest.raises(ValueError, match="'scripted_v0': a centralised policy needs discrete actions.*'a'"):
        CentralizedVectorEnv(inner)
