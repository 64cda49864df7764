"""Observations are checked and scaled leaf by leaf: what is wrong alone is wrong inside a Dict or Tuple, too."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from small_envs import Scripted, loop

from env_wrappers import EnvAPIError, LoopVectorEnv
from env_wrappers.spaces import ObservationProcessor

Dict, Tuple, Box = gym.spaces.Dict, gym.spaces.Tuple, gym.spaces.Box
TWO = gym.spaces.Discrete(2)
GRAY = np.full((2, 2, 3), 51, np.uint8)


def shows(space: gym.Space, observation: Any, state: Any = None) -> LoopVectorEnv:
    """An environment of one agent that always observes the same."""

    def make() -> Scripted:
        env = Scripted({"a": space}, {"a": TWO}, lambda agent, t: observation)
        if state is not None:
            env.state = lambda: state  # type: ignore[method-assign]
        return env

    return loop(make)


#: A space, a value that is not in it, and what the message says after the place.
NOT_MEMBERS = [
    pytest.param(gym.spaces.Discrete(3), -1, "holds -1, expected a member of Discrete", id="the last class from -1"),
    pytest.param(gym.spaces.Discrete(3), 3, "holds 3, expected a member of Discrete", id="beyond the last class"),
    pytest.param(gym.spaces.Discrete(3), 1.5, "holds 1.5, expected a member of Discrete", id="half a class"),
    pytest.param(gym.spaces.Discrete(3, start=1), 0, "holds 0, expected a member", id="below the start"),
    pytest.param(gym.spaces.MultiDiscrete([3, 3]), np.array([1, -1]), "holds array", id="second choice -1"),
    pytest.param(gym.spaces.MultiDiscrete([3, 3]), np.array([4, 0]), "holds array", id="first choice in the second"),
    pytest.param(gym.spaces.MultiDiscrete([3, 3]), np.array([1.5, 0]), "holds array", id="half a choice"),
    pytest.param(gym.spaces.MultiBinary(2), np.array([7, -3]), "holds array", id="no flags"),
    pytest.param(Box(0, 9, (2, 3)), np.zeros((3, 2)), r"has shape \(3, 2\), expected \(2, 3\)", id="transposed"),
    pytest.param(Box(0, 9, (2,)), np.zeros(3), r"has shape \(3,\), expected \(2,\)", id="one more"),
    pytest.param(Box(0, 9, (2,)), np.zeros((1, 2)), r"has shape \(1, 2\), expected \(2,\)", id="one axis more"),
    pytest.param(Box(0, 9, (2,)), np.array([0, np.nan]), "holds NaN or infinity", id="NaN"),
    pytest.param(Box(0, 9, (2,), np.float16), np.array([0, 1e200]), "holds NaN or infinity", id="beyond float32"),
    pytest.param(Box(0, 9, (2,)), ["x", "y"], "has dtype", id="words"),
    pytest.param(Box(0, 255, (2,), np.uint8), np.array([0, 300]), "holds 300, expected a member", id="300 is not 44"),
    pytest.param(Box(0, 255, (2,), np.uint8), np.array([-1, 0]), "holds -1, expected a member", id="-1 is not 255"),
    pytest.param(Box(0, 255, (2,), np.uint8), np.array([0.5, 1]), "has dtype float64, expected uint8", id="black"),
    pytest.param(Box(0, 9, (2,), np.int8), np.array([0, 300]), "holds 300, expected a member", id="narrow integers"),
    pytest.param(Box(0, 9, (2,), np.int64), np.array([0, 10]), "holds 10, expected a member", id="out of bounds"),
    pytest.param(Box(0, 9, (2,), np.int64), np.array([0, 1.5]), "has dtype float64, expected int64", id="cut off"),
]
#: Where the value stands, and what the message calls the place.
PLACES = [
    pytest.param(lambda s: s, lambda v: v, "observations", id="alone"),
    pytest.param(
        lambda s: Dict({"x": TWO, "y": s}), lambda v: {"x": 0, "y": v}, r"observations\['y'\]", id="in a Dict"
    ),
    pytest.param(lambda s: Tuple((s, TWO)), lambda v: (v, 0), r"observations\[0\]", id="in a Tuple"),
    pytest.param(
        lambda s: Dict({"p": Tuple((TWO, Dict({"q": s})))}),
        lambda v: {"p": (0, {"q": v})},
        r"observations\['p'\]\[1\]\['q'\]",
        id="three deep",
    ),
]


@pytest.mark.parametrize(("put_space", "put", "place"), PLACES)
@pytest.mark.parametrize(("space", "value", "message"), NOT_MEMBERS)
def test_what_is_not_in_the_space(space: Any, value: Any, message: str, put_space: Any, put: Any, place: str) -> None:
    with pytest.raises(EnvAPIError, match=f"^env 'scripted_v0': agent 'a': {place} {message}"):
        shows(put_space(space), put(value))


BUILT_WRONG = [
    (Dict({"x": TWO, "y": TWO}), {"x": 0}, r"observations holds \['x'\], expected a dict of x and y"),
    (Dict({"x": TWO}), {"x": 0, "z": 1}, r"observations holds \['x', 'z'\], expected a dict of x"),
    (Dict({"x": TWO}), 0, "observations holds 0, expected a dict of x"),
    (Dict({"x": Tuple((TWO, TWO))}), {"x": (0,)}, r"observations\['x'\] holds \(0,\), expected a tuple of 2"),
]


@pytest.mark.parametrize(("space", "value", "message"), BUILT_WRONG)
def test_what_is_not_built_as_the_space_is(space: Any, value: Any, message: str) -> None:
    with pytest.raises(EnvAPIError, match=message):
        shows(space, value)


#: A uint8 (or uint16) space, a value, and the numbers that networks get, by hand.
SCALED = [
    pytest.param(Box(0, 255, (3,), np.uint8), [0, 51, 255], [0, 0.2, 1], id="one axis"),
    pytest.param(Box(0, 255, (2, 2), np.uint8), [[0, 51], [102, 255]], [0, 0.2, 0.4, 1], id="two axes"),
    pytest.param(Box(0, 10, (2,), np.uint8), [1, 10], [0.1, 1], id="own upper bound"),
    pytest.param(Box(100, 200, (2,), np.uint8), [100, 150], [0, 0.5], id="own lower bound"),
    pytest.param(
        Box(np.array([0, 10]), np.array([4, 30]), dtype=np.uint8), [1, 25], [0.25, 0.75], id="bounds of their own"
    ),
    pytest.param(Box(7, 7, (1,), np.uint8), [7], [0], id="no choice"),
    pytest.param(Box(0, 4, (1, 1, 2), np.uint8), [[[1, 4]]], [0.25, 1], id="a picture of few colors"),
    pytest.param(Box(0, 65535, (1, 1, 2), np.uint16), [[[0, 13107]]], [0, 0.2], id="a picture of 16 bits"),
    pytest.param(Box(0, 9, (2,), np.int64), [4, 9], [4, 9], id="counts stay counts"),
]


@pytest.mark.parametrize(("space", "value", "expected"), SCALED)
def test_scaled_by_their_own_bounds(space: gym.Space, value: Any, expected: list[float]) -> None:
    value = np.array(value, space.dtype)
    alone = shows(space, value)
    np.testing.assert_allclose(alone.observations[0].ravel(), expected, rtol=1e-6)
    within = shows(Dict({"v": space, "w": TWO}), {"v": value, "w": 1})
    np.testing.assert_allclose(within.observations[0].ravel(), [*expected, 0, 1], rtol=1e-6)
    # The designer, who observes all of it, gets the same numbers.
    np.testing.assert_allclose(within.state.ravel(), [*expected, 0, 1], rtol=1e-6)


def test_an_ordinary_picture_stays_one_of_bytes() -> None:
    """The network scales it; the designer's row of numbers is scaled."""
    env = shows(Box(0, 255, (2, 2, 3), np.uint8), GRAY)
    assert env.observations[0].dtype == np.uint8
    np.testing.assert_array_equal(env.observations[0][0, 0], GRAY)
    np.testing.assert_array_equal(env.state, np.full((1, 12), np.float32(51) / np.float32(255)))
    assert env.groups[0].picture_shape is None
    # In whole numbers of another type, too, as long as nothing is lost.
    assert shows(Box(0, 255, (2, 2, 3), np.uint8), GRAY.astype(np.int64)).observations[0].dtype == np.uint8
    with pytest.raises(EnvAPIError, match="observations holds 300, expected a member of Box"):
        shows(Box(0, 255, (2, 2, 3), np.uint8), np.full((2, 2, 3), 300))


def test_the_only_picture_comes_first() -> None:
    picture = Box(0, 255, (2, 2, 3), np.uint8)
    space = Dict({"READY": Box(-np.inf, np.inf, (), np.float64), "RGB": picture})
    env = shows(space, {"READY": np.float64(7), "RGB": GRAY})
    (group,) = env.groups
    assert (group.picture_shape, group.has_only_picture) == ((2, 2, 3), True)
    np.testing.assert_allclose(env.observations[0][0, 0], [0.2] * 12 + [7], rtol=1e-6)
    nested = ObservationProcessor(Tuple((TWO, Dict({"eye": Box(0, 1, (2, 1, 1)), "ear": TWO}))))
    assert nested.picture_shape == (2, 1, 1)
    values, _ = nested((1, {"eye": np.array([[[0.5]], [[0.25]]]), "ear": 0}))
    assert values.tolist() == [0.5, 0.25, 0, 1, 1, 0]


def test_of_two_pictures_of_different_sizes_none_comes_first() -> None:
    both = ObservationProcessor(Dict({"a": TWO, "left": Box(0, 1, (1, 1, 2)), "right": Box(0, 1, (1, 2, 2))}))
    assert (both.picture_shape, both.picture_is_only_one) == (None, False)
    assert both.flattened == ("observations['left']", "observations['right']")


def test_a_picture_alone_in_a_dict_is_a_picture() -> None:
    env = shows(Dict({"RGB": Box(0, 255, (2, 2, 3), np.uint8)}), {"RGB": GRAY})
    assert env.groups[0].observation_shape == (2, 2, 3)
    assert env.observations[0].dtype == np.uint8


#: What state() returns, and what the designer gets.
STATES = [
    (np.array([0, 51], np.uint8), [0, 0.2]),
    (np.array([[0, 51]], np.uint8), [0, 0.2]),
    (np.full((1, 1, 1), 51, np.uint8), [51]),
    (np.array([3.0, 4.0]), [3, 4]),
]


@pytest.mark.parametrize(("state", "expected"), STATES)
def test_states_are_scaled_as_observations_are(state: np.ndarray, expected: list[float]) -> None:
    env = shows(TWO, 0, state)
    np.testing.assert_allclose(env.state.ravel(), expected, rtol=1e-6)
    assert env.state.dtype == (np.uint8 if state.ndim == 3 else np.float32)


def test_states_do_not_wrap() -> None:
    states = iter([np.zeros((1, 1, 1), np.uint8), np.full((1, 1, 1), 300)])
    env = Scripted({"a": TWO}, {"a": TWO}, lambda agent, t: 0)
    env.state = lambda: next(states)  # type: ignore[method-assign]
    with pytest.raises(EnvAPIError, match=r"state\(\) holds 300, expected a member of Box\(0, 255"):
        loop(lambda: env)


def test_floats_beyond_their_bounds_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        env = shows(Dict({"x": Box(0, 1, (1,)), "y": TWO}), {"x": np.array([5.0]), "y": 0})
    assert env.observations[0].tolist() == [[[5, 1, 0]]]
    (record,) = caplog.records
    assert "agent 'a': beyond its declared bounds: observations['x'] of Box(0.0, 1.0, (1,)" in record.getMessage()


def test_spaces_that_cannot_be_flattened() -> None:
    with pytest.raises(EnvAPIError, match=r"agent 'a': observation space Sequence\(Discrete\(2\).* is not supported"):
        shows(Dict({"s": gym.spaces.Sequence(TWO)}), {"s": ()})
