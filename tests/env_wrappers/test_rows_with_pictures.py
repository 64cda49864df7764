"""Rows of numbers that begin with a picture: where environments say so, and that it is there."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from foundation_play import needs_package

from env_wrappers import make_vec
from env_wrappers.gather_trade_build.twin.observations import agent_arrays
from env_wrappers.spaces import ObservationProcessor
from rllib_metagrad.modules.population import EnvSpec, make_stacks


def test_layers_of_a_dict_come_first_with_channels_last() -> None:
    space = gym.spaces.Dict(
        {
            "a": gym.spaces.Box(0, 99, (2,)),
            "map": gym.spaces.Box(0, 99, (2, 1, 2)),
            "owners": gym.spaces.Box(0, 99, (1, 1, 2), np.int16),
            "z": gym.spaces.Discrete(2),
        }
    )
    observation: dict[str, Any] = {
        "a": np.array([1, 2], np.float32),
        "map": np.array([[[10, 11]], [[20, 21]]], np.float32),
        "owners": np.array([[[30, 31]]], np.int16),
        "z": 1,
    }
    processor = ObservationProcessor(space, picture_keys=("map", "owners", "not there"))
    assert processor.picture_shape == (1, 2, 3)
    values, mask = processor(observation)
    assert mask is None
    np.testing.assert_array_equal(values, np.array([10, 20, 30, 11, 21, 31, 1, 2, 0, 1], np.float32))
    assert processor.space.contains(values)
    plain = ObservationProcessor(space)
    assert plain.picture_shape is None
    np.testing.assert_array_equal(plain(observation)[0], [1, 2, 10, 11, 20, 21, 30, 31, 0, 1])
    with pytest.raises(ValueError, match=r"holds \['a'\], expected a dict of a and map and owners and z"):
        processor({"a": observation["a"]})


def test_the_twin_says_where_its_pictures_are() -> None:
    env = make_vec("gather_trade_build", 2)
    env.reset(seed=1)
    assert env.groups[0].picture_shape == (11, 11, 9)
    assert env.state_picture_shape == (15, 15, 9)
    picture = env.observations[0][1, 2, : 11 * 11 * 9].reshape(11, 11, 9)
    np.testing.assert_array_equal(picture[..., :7].transpose(2, 0, 1), agent_arrays(env, 1, 2)["world-map"])  # type: ignore[arg-type]
    # The planner's map lies inside the map.
    state = env.state[0, : 15 * 15 * 9].reshape(15, 15, 9)
    np.testing.assert_array_equal(state[..., 6], 1)
    spec = EnvSpec.of(env)
    assert spec.state_picture_shape == (15, 15, 9)
    assert [stack.picture_shape for stack in make_stacks(spec, lambda agent: agent)] == [(11, 11, 9)]
    near = make_vec("gather_trade_build", 1, scenario_config={"mobile_agent_observation_range": 2})
    assert near.groups[0].picture_shape == (5, 5, 9)


def test_networks_observations_have_a_picture_for_agents_only() -> None:
    env = make_vec("gather_trade_build", 1, observations="network")
    assert env.groups[0].picture_shape == (11, 11, 9)
    assert env.state_picture_shape is None


def test_a_central_agent_sees_the_designers_picture() -> None:
    env = make_vec("gather_trade_build", 1, centralized=True)
    assert env.groups[0].picture_shape == env.state_picture_shape == (15, 15, 9)


@pytest.mark.parametrize("name", ["escape_room", "matrix_game", "cleanup", "one_step_economy"])
def test_other_environments_have_none(name: str) -> None:
    env = make_vec(name, 1)
    assert {group.picture_shape for group in env.groups} == {None}
    assert env.state_picture_shape is None


@needs_package
def test_the_originals_rows_begin_with_the_twins_picture() -> None:
    twin, original = make_vec("gather_trade_build", 2), make_vec("gather_trade_build", 2, backend="foundation")
    assert original.groups[0].picture_shape == twin.groups[0].picture_shape
    assert original.state_picture_shape is None
    for env in (twin, original):
        env.reset(seed=5)
    size = 11 * 11 * 9
    np.testing.assert_array_equal(original.observations[0][..., :size], twin.observations[0][..., :size])
    # Then come the mask and flat, in the order of their names, and the time.
    np.testing.assert_array_equal(
        original.observations[0][..., size + 50 : size + 186], twin.observations[0][..., size:]
    )
    np.testing.assert_array_equal(original.observations[0][..., size : size + 50], twin.action_masks[0])
