"""LoopVectorEnv: spaces, leaving early, masks, the designer's defaults, seeds, and autoreset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper
from small_envs import Noisy, Scripted, Taxed, assert_same, loop, snapshot, vectors

from env_wrappers import LoopVectorEnv
from env_wrappers.escape_room import EscapeRoom

ZERO = [np.zeros((1, 2), np.int64)]


def one_agent(space: gym.Space, seen: Any, choices: gym.Space | None = None) -> Callable[[], ParallelEnv]:
    """A factory of environments with one agent that always observes the same."""
    return lambda: Scripted({"a": space}, {"a": choices or gym.spaces.Discrete(2)}, lambda agent, t: seen)


@pytest.mark.parametrize(
    ("space", "seen", "expected"),
    [
        (gym.spaces.Discrete(3), 2, [0, 0, 1]),
        (gym.spaces.Discrete(3, start=5), np.int64(5), [1, 0, 0]),
        (gym.spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (gym.spaces.MultiBinary(2), np.array([1, 0], np.int8), [1, 0]),
        (gym.spaces.Box(-9, 9, (2, 2), np.float64), np.arange(4.0).reshape(2, 2), [0, 1, 2, 3]),
        (gym.spaces.Box(-9, 9, (), np.float32), np.float32(4), [4]),
        (
            gym.spaces.Dict({"x": gym.spaces.Discrete(2), "y": gym.spaces.Box(0, 9, (1,))}),
            {"x": 1, "y": np.array([5], np.float32)},
            [0, 1, 5],
        ),
    ],
)
def test_observations_become_rows_of_float32(space: gym.Space, seen: Any, expected: list[float]) -> None:
    env = loop(one_agent(space, seen))
    assert env.groups[0].observation_shape == (len(expected),)
    assert env.observations[0].dtype == np.float32
    np.testing.assert_array_equal(env.observations[0][0, 0], expected)
    assert env.observation_spaces["a"].contains(env.observations[0][0, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_images_keep_their_shape(dtype: Any) -> None:
    seen = np.arange(12).reshape(2, 2, 3).astype(dtype)
    env = loop(one_agent(gym.spaces.Box(0, 255, (2, 2, 3), dtype), seen))
    assert env.groups[0].observation_shape == (2, 2, 3)
    assert env.groups[0].observation_dtype == (np.uint8 if dtype == np.uint8 else np.float32)
    np.testing.assert_array_equal(env.observations[0][0, 0], seen)


@pytest.mark.parametrize(
    ("space", "sent", "received", "features"),
    [
        (gym.spaces.Discrete(3, start=-1), np.array([[2]]), 1, [0, 0, 1]),
        (gym.spaces.MultiDiscrete([2, 3]), np.array([[[1, 2]]]), [1, 2], [0, 1, 0, 0, 1]),
        (gym.spaces.MultiDiscrete([[2], [2]]), np.array([[[1, 0]]]), [[1], [0]], [0, 1, 1, 0]),
        (gym.spaces.MultiBinary(2), np.array([[[1, 0]]]), [1, 0], [0, 1, 1, 0]),
        (gym.spaces.Box(-1, 1, (2, 1)), np.array([[[0.5, -1]]], np.float32), [[0.5], [-1]], [0.5, -1]),
    ],
)
def test_actions_arrive_as_the_environment_takes_them(
    space: gym.Space, sent: np.ndarray, received: Any, features: list[float]
) -> None:
    env = loop(one_agent(gym.spaces.Discrete(2), 0, space))
    env.step([sent])
    arrived = env.envs[0].received[0]["a"]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(arrived, received)
    np.testing.assert_array_equal(env.action_features[0, 0], features)
    if isinstance(space, gym.spaces.Discrete):
        assert env.action_type_names == ("0", "1", "2")
        assert env.action_types.tolist() == [[2]]
    else:
        assert env.action_type_names == ("any",)
        assert env.action_types.tolist() == [[0]]
    if isinstance(space, gym.spaces.Box):
        assert env.action_spaces["a"] == gym.spaces.Box(-1, 1, (2,))


def test_agents_with_equal_spaces_are_grouped_in_order_of_appearance() -> None:
    small, large = gym.spaces.Box(0, 9, (1,)), gym.spaces.Box(0, 9, (2,))
    two, three = gym.spaces.Discrete(2), gym.spaces.Discrete(3)
    spaces = {"a": small, "b": large, "c": small, "d": small}
    choices = {"a": two, "b": two, "c": two, "d": three}
    seen = {a: np.full(s.shape, i + 1, np.float32) for i, (a, s) in enumerate(spaces.items())}
    env = loop(lambda: Scripted(spaces, choices, lambda agent, t: seen[agent]))
    assert [group.agents for group in env.groups] == [(0, 2), (1,), (3,)]
    assert env.observations[0][0].tolist() == [[1], [3]]
    assert env.observations[1][0].tolist() == [[2, 2]]
    # No state(): the designer sees all observations in the agents' order.
    assert env.state[0].tolist() == [1, 2, 2, 3, 4]
    env.step([np.array([[0, 1]]), np.array([[1]]), np.array([[2]])])
    assert env.envs[0].received[0] == {"a": 0, "c": 1, "b": 1, "d": 2}  # type: ignore[attr-defined]
    assert env.action_types.tolist() == [[0, 1, 1, 2]]
    assert env.num_action_types == env.action_feature_size == 3
    assert env.action_features[0, 0].tolist() == [1, 0, 0]
    assert env.designer_reward.tolist() == [4]


def test_large_boxes_that_look_alike_are_told_apart() -> None:
    low = np.linspace(-1, 0, 1200, dtype=np.float32)
    other = low.copy()
    other[600] = -0.9
    ones, seen = np.ones(1200, np.float32), gym.spaces.Discrete(2)
    choices = {"a": gym.spaces.Box(low, ones), "b": gym.spaces.Box(other, ones)}
    assert repr(choices["a"]) == repr(choices["b"])
    env = LoopVectorEnv(lambda: Scripted({"a": seen, "b": seen}, choices, lambda agent, t: 0), 1)
    assert len(env.groups) == 2


@pytest.mark.parametrize("keep_listed", [False, True])
def test_an_agent_that_leaves_early(keep_listed: bool) -> None:
    env = loop(lambda: vectors(lives={"a": 1, "b": 3}, keep_listed=keep_listed))
    env.step(ZERO)
    assert env.terminated.tolist() == [[True, False]]
    assert env.active.tolist() == [[False, True]]
    assert env.rewards.tolist() == [[1, 1]]
    assert env.state[0].tolist() == [2, 2, 2, 2]  # it was there until the end of this step
    assert not env.episode_over.any()
    env.step(ZERO)
    assert env.envs[0].received[1] == {"b": 0}  # type: ignore[attr-defined]
    assert env.terminated.tolist() == [[False, False]]
    assert env.rewards.tolist() == [[0, 1]]
    assert env.observations[0][0].tolist() == [[2, 2], [3, 3]]  # the last that it saw stays
    assert env.state[0].tolist() == [0, 0, 3, 3]  # absent: zeros
    assert env.action_features[0].tolist() == [[0, 0], [1, 0]]
    env.step(ZERO)
    assert env.terminated.tolist() == [[False, True]]
    assert env.episode_over.tolist() == [True]


def test_ends_may_be_mixed_and_termination_wins() -> None:
    def change(env: Scripted, result: Any) -> None:
        result[2].update(a=True, b=False)
        result[3].update(a=True, b=np.bool_(True))
        env.agents = []

    env = loop(lambda: vectors(change=change))
    env.step(ZERO)
    assert env.terminated.tolist() == [[True, False]]
    assert env.truncated.tolist() == [[False, True]]
    assert env.episode_over.tolist() == [True]


def test_over_when_all_are_flagged_although_still_listed() -> None:
    env = loop(lambda: vectors(keep_listed=True))
    env.step(ZERO)
    env.step(ZERO)
    assert env.envs[0].agents == ["a", "b"]
    assert env.episode_over.tolist() == [True]


def test_the_final_observation_is_seen_before_the_reset() -> None:
    env = loop(vectors, autoreset=True)
    for _ in range(2):
        env.step(ZERO)
    assert env.episode_over.all()
    assert env.observations[0][0, 0].tolist() == [3, 3]
    env.step(ZERO)
    assert env.was_reset.tolist() == [True]
    assert env.observations[0][0, 0].tolist() == [1, 1]
    for quiet in (env.rewards, env.terminated, env.truncated, env.action_features, env.designer_reward):
        assert not quiet.any()
    assert env.active.all()
    env.step(ZERO)
    assert env.was_reset.tolist() == [False]


def test_without_autoreset_it_stays_frozen() -> None:
    env = loop(vectors)
    env.step(ZERO)
    env.step(ZERO)
    last = env.observations[0].copy()
    for _ in range(2):
        env.step(ZERO)
        np.testing.assert_array_equal(env.observations[0], last)
        assert env.episode_over.all()
        assert not env.active.any()
        assert not env.rewards.any()
        assert len(env.envs[0].received) == 2  # type: ignore[attr-defined]


MASKED = gym.spaces.Dict({"observation": gym.spaces.Discrete(2), "action_mask": gym.spaces.MultiBinary(3)})


@pytest.mark.parametrize("where", ["observation", "infos"])
def test_masks(where: str) -> None:
    def mask(agent: str, t: int) -> np.ndarray:
        return np.zeros(3, np.int8) if agent == "a" and t >= 1 else np.array([t == 0, 1, 0], np.int8)

    def observe(agent: str, t: int) -> Any:
        return {"observation": 1, "action_mask": mask(agent, t)} if where == "observation" else 1

    def make() -> Scripted:
        space = MASKED if where == "observation" else gym.spaces.Discrete(2)
        infos = (lambda agent, t: {"action_mask": mask(agent, t)}) if where == "infos" else None
        three = gym.spaces.Discrete(3)
        return Scripted(
            {"a": space, "b": space}, {"a": three, "b": three}, observe, lives={"a": 1}, infos=infos
        )

    env = loop(make)
    assert env.groups[0].masked
    assert env.groups[0].observation_shape == (2,)
    assert env.action_masks[0] is not None
    assert env.action_masks[0][0].tolist() == [[True, True, False]] * 2
    env.step(ZERO)
    # a has left with a mask that allows nothing; a policy's row for it must still be samplable.
    assert env.action_masks[0][0].tolist() == [[True, True, True], [False, True, False]]


def test_masks_of_several_choices_come_as_tuples() -> None:
    def infos(agent: str, t: int) -> dict[str, Any]:
        return {"action_mask": (np.array([1, 0], np.int8), np.array([0, 1, 1], np.int8))}

    space, choices = gym.spaces.Discrete(2), gym.spaces.MultiDiscrete([2, 3])
    env = loop(lambda: Scripted({"a": space}, {"a": choices}, lambda agent, t: 0, infos=infos))
    assert env.action_masks[0] is not None
    assert env.action_masks[0][0, 0].tolist() == [True, False, False, True, True]


class Wrapped(BaseParallelWrapper):
    """Somebody's wrapper."""


@pytest.mark.parametrize("make", [Taxed, lambda: Wrapped(Taxed())])
def test_what_an_incentive_env_says_is_taken(make: Callable[[], ParallelEnv]) -> None:
    env = loop(make)
    assert env.action_type_names == ("rest", "work")
    assert (env.action_feature_size, env.max_episode_steps) == (1, 2)
    assert env.context_shapes == {"income": (2,)}
    assert env.state_shape == (3,)
    env.step([np.array([[1, 3]])])
    assert env.action_types.tolist() == [[0, 1]]
    assert env.action_features[0].tolist() == [[0.5], [1.5]]
    assert env.designer_reward.tolist() == [7]
    assert env.context["income"].tolist() == [[1, 3]]
    assert env.state.tolist() == [[1, 1, 1]]
    env.step([np.array([[1, 3]])])
    env.step([np.array([[1, 3]])])  # frozen
    assert not env.context["income"].any()
    assert not env.designer_reward.any()


def test_seeds_give_each_copy_its_own_stream_and_repeat() -> None:
    def run(seed: int) -> list[dict[str, np.ndarray]]:
        env = LoopVectorEnv(Noisy, 3, autoreset=True)
        env.reset(seed)
        frames = [snapshot(env)]
        for _ in range(9):
            env.step([np.zeros((3, 1), np.int64)])
            frames.append(snapshot(env))
        return frames

    for one, other in zip(run(5), run(5), strict=True):
        assert_same(one, other)
    first = run(5)[0]["observations/0"]
    assert len(np.unique(first)) == 3
    assert (first != run(6)[0]["observations/0"]).all()


def test_reset_without_seed_goes_on_with_the_generators() -> None:
    env, again = LoopVectorEnv(Noisy, 2), LoopVectorEnv(Noisy, 2)
    for each in (env, again):
        each.reset(5)
    first = env.observations[0].copy()
    for each in (env, again):
        each.reset(None)
    assert (env.observations[0] != first).all()
    np.testing.assert_array_equal(env.observations[0], again.observations[0])


def test_it_says_that_it_cannot_be_saved() -> None:
    env = loop(vectors)
    assert not env.resumable
    with pytest.raises(NotImplementedError, match="scripted_v0 cannot be saved"):
        env.get_state()
    with pytest.raises(NotImplementedError, match="scripted_v0 cannot be restored"):
        env.set_state({})


def test_render() -> None:
    assert loop(lambda: EscapeRoom(2, 1, render_mode="rgb_array")).render().dtype == np.uint8
    with pytest.raises(NotImplementedError, match="render_mode: rgb_array"):
        loop(lambda: EscapeRoom(2, 1)).render()


@pytest.mark.parametrize("count", [0, -1, 2.0, True, None])
def test_the_number_of_copies(count: Any) -> None:
    with pytest.raises(ValueError, match="num_envs must be a whole number >= 1"):
        LoopVectorEnv(vectors, count)


def test_spaces_that_are_not_supported() -> None:
    with pytest.raises(ValueError, match="is not supported: it must be Discrete"):
        LoopVectorEnv(one_agent(gym.spaces.Discrete(2), 0, gym.spaces.Box(0, 9, (1,), np.int32)), 1)
