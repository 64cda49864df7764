"""Pictures of batched environments: of the first copy, and the same with either backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from env_wrappers import make_vec
from env_wrappers.escape_room import EscapeRoom


@pytest.mark.parametrize("backend", ["native", "loop"])
def test_escape_room_picture_of_the_first_copy(backend: str) -> None:
    """Both backends draw the same picture as the ParallelEnv, also of an open door that nobody uses."""
    config: dict[str, Any] = {"n": 3, "m": 1, "render_mode": "rgb_array"}
    single = EscapeRoom(**config)
    single.reset()
    env = make_vec("escape_room", 2, backend=backend, **config)
    env.reset()
    np.testing.assert_array_equal(env.render(), single.render())
    for row in ([0, 1, 1], [1, 1, 2], [0, 1, 2]):
        single.step(dict(zip(single.possible_agents, row, strict=True)))
        env.step([np.array([row, [1, 1, 1]])])
        np.testing.assert_array_equal(env.render(), single.render())
    env.close()


def test_picture_after_resuming_shows_the_door_as_it_was() -> None:
    env, other = (make_vec("escape_room", 1, n=3, m=1) for _ in range(2))
    for either, row in ((env, [0, 1, 1]), (other, [1, 1, 1])):
        either.reset()
        either.step([np.array([row])])
        either.step([np.array([row])])  # pays nothing, so that only the door tells them apart
    other.set_state(env.get_state())
    np.testing.assert_array_equal(other.render(), env.render())


def test_no_picture() -> None:
    env = make_vec("matrix_game", 1)
    env.reset()
    with pytest.raises(NotImplementedError, match="matrix_game has no picture"):
        env.render()
    loop = make_vec("escape_room", 1, backend="loop")
    loop.reset()
    with pytest.raises(NotImplementedError, match=r"escape_room.*render_mode: rgb_array"):
        loop.render()
