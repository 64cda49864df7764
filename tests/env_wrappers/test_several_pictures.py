"""Pictures of one size are one picture of all their channels; others are flattened, and that is said."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from small_envs import Noisy

from env_wrappers import LoopVectorEnv

PICTURE = gym.spaces.Box(0, 255, (4, 5, 3), np.uint8)
GREY = gym.spaces.Box(0, 1, (4, 5, 1), np.float32)
SMALL = gym.spaces.Box(0, 255, (2, 2, 3), np.uint8)
FRAMES = gym.spaces.Box(0, 255, (2, 4, 5, 3), np.uint8)
SPEED = gym.spaces.Box(-9, 9, (2,), np.float32)


def game(space: gym.Space) -> Any:
    class Looking(Noisy):
        def observation_space(self, agent: str) -> gym.Space:
            return space

        def reset(self, seed: int | None = None, options: Any = None) -> Any:
            self.agents = ["a"]
            space.seed(seed)
            self.shown = space.sample()
            return {"a": self.shown}, {"a": {}}

    return Looking


@pytest.mark.parametrize("kind", [gym.spaces.Dict, lambda parts: gym.spaces.Tuple(parts.values())])
def test_pictures_of_one_size_are_one(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    env = LoopVectorEnv(game(kind({"a": PICTURE, "b": SPEED, "c": GREY})), 1)
    env.reset(3)
    (group,) = env.groups
    assert (group.picture_shape, group.has_only_picture) == ((4, 5, 4), True)
    shown = env.envs[0].shown
    color, speed, grey = shown.values() if isinstance(shown, dict) else shown
    row = env.observations[0][0, 0]
    expected = np.concatenate([color / np.float32(255), grey], axis=-1)
    np.testing.assert_allclose(row[:80].reshape(4, 5, 4), expected, rtol=1e-6)
    np.testing.assert_array_equal(row[80:], speed)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("space", "named"),
    [
        (gym.spaces.Dict({"a": PICTURE, "b": SMALL}), "observations['a'] and observations['b'] are flattened: "),
        (gym.spaces.Dict({"v": SPEED, "frames": FRAMES}), "observations['frames'] are flattened: "),
    ],
)
def test_others_are_flattened_and_named(space: gym.Space, named: str, caplog: pytest.LogCaptureFixture) -> None:
    env = LoopVectorEnv(game(space), 2, "mine")
    (group,) = env.groups
    assert group.picture_shape is None
    (message,) = caplog.messages
    assert message.startswith(f"env 'mine': agent 'a': {named}")
    assert message.endswith("set agent_network: {custom: ...}")
