"""What LoopVectorEnv makes of each kind of space, and of masks of legal actions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from toy_envs import MaskedToy, Toy, random_actions, toy, unit_box

from env_wrappers import LoopVectorEnv


def started(env: LoopVectorEnv, seed: int = 0) -> LoopVectorEnv:
    """After its reset."""
    env.reset(seed)
    return env


def received(env: LoopVectorEnv, b: int = 0) -> dict[str, Any]:
    """The actions that a toy got in its last step."""
    inner = env.envs[b]
    assert isinstance(inner, Toy)
    return inner.received[-1]


def test_groups_of_equal_spaces() -> None:
    observation_spaces = {"a": unit_box(2), "b": unit_box(3), "c": unit_box(2), "d": unit_box(2)}
    action_spaces = {a: gym.spaces.Discrete(3 if a == "d" else 2) for a in "abcd"}
    env = started(LoopVectorEnv(lambda: Toy(observation_spaces, action_spaces), 1))
    assert [g.agents for g in env.groups] == [(0, 2), (1,), (3,)]
    assert [x.shape for x in env.observations] == [(1, 2, 2), (1, 1, 3), (1, 1, 2)]
    assert env.num_action_types == 3
    assert env.action_features.shape == (1, 4, 3)
    env.step([np.array([[0, 1]]), np.array([[1]]), np.array([[2]])])
    assert received(env) == {"a": 0, "b": 1, "c": 1, "d": 2}
    np.testing.assert_array_equal(env.action_types, [[0, 1, 1, 2]])
    np.testing.assert_array_equal(env.action_features[0], np.eye(3)[[0, 1, 1, 2]])
    np.testing.assert_array_equal(env.state, [[1, 1, 1, 0, 2, 1, 3, 1, 4]])


def test_bounds_separate_groups_even_where_repr_hides_them() -> None:
    """Arrays of more than 1,000 numbers are abbreviated when printed."""
    high = np.ones(2000, np.float32)
    wider = high.copy()
    wider[1000] = 2
    action_spaces = {"a": gym.spaces.Box(-high, high), "b": gym.spaces.Box(-high, wider)}
    env = LoopVectorEnv(lambda: Toy(dict.fromkeys("ab", unit_box()), action_spaces), 1)
    assert [g.agents for g in env.groups] == [(0,), (1,)]


# Action space; the policies' action; what the environment gets; features.
ACTIONS = [
    pytest.param(gym.spaces.Discrete(3), 2, 2, [0, 0, 1], id="discrete"),
    pytest.param(gym.spaces.Discrete(3, start=-1), 0, -1, [1, 0, 0], id="discrete from -1"),
    pytest.param(gym.spaces.MultiDiscrete([2, 3]), [1, 2], [1, 2], [0, 1, 0, 0, 1], id="multi-discrete"),
    pytest.param(gym.spaces.MultiDiscrete([2, 3], start=[5, 7]), [1, 0], [6, 7], [0, 1, 1, 0, 0], id="with starts"),
    pytest.param(
        gym.spaces.MultiDiscrete([[2, 2], [2, 3]]),
        [0, 1, 0, 2],
        [[0, 1], [0, 2]],
        [1, 0, 0, 1, 1, 0, 0, 0, 1],
        id="multi-discrete matrix",
    ),
    pytest.param(gym.spaces.MultiBinary(3), [1, 0, 1], [1, 0, 1], [0, 1, 1, 0, 0, 1], id="multi-binary"),
    pytest.param(gym.spaces.MultiBinary([2, 1]), [1, 0], [[1], [0]], [0, 1, 1, 0], id="multi-binary matrix"),
    pytest.param(gym.spaces.Box(-1, 1, (2,)), [0.5, -1], [0.5, -1], [0.5, -1], id="box"),
    pytest.param(gym.spaces.Box(-1, 1, (1, 2), np.float64), [0.5, -1], [[0.5, -1]], [0.5, -1], id="double box matrix"),
]


@pytest.mark.parametrize(("space", "action", "sent", "features"), ACTIONS)
def test_action_spaces(space: gym.Space, action: Any, sent: Any, features: list[float]) -> None:
    env = started(LoopVectorEnv(lambda: toy(1, lambda: space), 1))
    (group,) = env.groups
    assert group.action_space.contains(np.asarray(action, group.action_space.dtype))
    env.step([np.asarray([[action]], group.action_space.dtype)])
    got = received(env)["a0"]
    np.testing.assert_array_equal(got, sent)
    assert space.contains(got)
    np.testing.assert_array_equal(env.action_features[0, 0], features)
    discrete = isinstance(space, gym.spaces.Discrete)
    assert env.num_action_types == (3 if discrete else 1)
    assert env.action_types[0, 0] == (action if discrete else 0)


# Observation space; an observation; what networks get.
OBSERVATIONS = [
    pytest.param(gym.spaces.Discrete(3), 2, [0, 0, 1], id="discrete is one-hot"),
    pytest.param(gym.spaces.Discrete(3, start=5), 5, [1, 0, 0], id="discrete from 5"),
    pytest.param(gym.spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0], id="multi-discrete"),
    pytest.param(gym.spaces.MultiBinary(3), np.array([1, 0, 1]), [1, 0, 1], id="multi-binary"),
    pytest.param(gym.spaces.Box(0, 9, (2, 2)), np.arange(4.0).reshape(2, 2), [0, 1, 2, 3], id="matrices are flattened"),
    pytest.param(gym.spaces.Box(0, 9, ()), 3.0, [3], id="scalar box"),
    pytest.param(gym.spaces.Box(0, 9, (2,), np.int64), np.array([4, 9]), [4, 9], id="integers"),
    pytest.param(
        gym.spaces.Dict({"x": gym.spaces.Box(0, 9, (2,)), "k": gym.spaces.Discrete(2)}),
        {"x": np.array([3, 4], np.float32), "k": 1},
        [0, 1, 3, 4],
        id="dict",
    ),
    pytest.param(
        gym.spaces.Tuple((gym.spaces.Discrete(2), gym.spaces.Box(0, 9, (1,)))),
        (0, np.array([7], np.float32)),
        [1, 0, 7],
        id="tuple",
    ),
]


@pytest.mark.parametrize(("space", "observation", "expected"), OBSERVATIONS)
def test_observation_spaces(
    space: gym.Space, observation: Any, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Toy, "observe", lambda self, agent: observation)
    env = started(LoopVectorEnv(lambda: Toy({"a": space}, {"a": gym.spaces.Discrete(2)}), 1))
    (rows,) = env.observations
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, [[expected]])
    assert env.observation_spaces["a"].contains(rows[0, 0])


@pytest.mark.parametrize(
    ("high", "dtype", "kept"),
    [(255, np.uint8, np.uint8), (1, np.float32, np.float32), (1, np.float64, np.float32)],
)
def test_images_keep_their_axes(high: int, dtype: Any, kept: Any) -> None:
    space = gym.spaces.Box(0, high, (4, 5, 3), dtype)
    env = started(LoopVectorEnv(lambda: Toy({"a": space}, {"a": gym.spaces.Discrete(2)}), 2))
    (images,) = env.observations
    assert images.shape == (2, 1, 4, 5, 3)
    assert images.dtype == kept
    assert images.std() > 0
    assert env.observation_spaces["a"].contains(images[0, 0])
    assert env.state.shape == (2, 60)  # concatenated, hence flat
    assert env.state.dtype == np.float32
    np.testing.assert_array_equal(env.state[1], images[1].ravel() / np.float32(255 if kept == np.uint8 else 1))


@pytest.mark.parametrize("space", [gym.spaces.Text(3), gym.spaces.Box(0, 5, (2,), np.int64)])
def test_unsupported_action_space(space: gym.Space) -> None:
    with pytest.raises(ValueError, match="is not supported: it must be Discrete"):
        LoopVectorEnv(lambda: toy(1, lambda: space), 1)


# -- masks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_dict", [True, False])
def test_action_masks(in_dict: bool) -> None:
    """The toy refuses illegal actions, so this also shows that masks belong to the step that follows."""
    env = started(LoopVectorEnv(lambda: MaskedToy(in_dict), 3, autoreset=True))
    (group,) = env.groups
    assert group.masked
    assert group.observation_shape == (2,)
    (masks,) = env.action_masks
    assert masks is not None
    np.testing.assert_array_equal(masks[0], [[0, 1, 1], [1, 0, 1]])
    rng = np.random.default_rng(0)
    for _ in range(12):
        env.step(random_actions(env, rng))
        if env.episode_over.any():
            assert masks.all()  # where nobody acts all is allowed, so that a softmax is defined
        else:
            assert (masks.sum(-1) == 2).all()
    np.testing.assert_array_equal(env.observations[0][0, :, 1], [1, 2])
