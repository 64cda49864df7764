"""Pictures of batched environments: of the first copy, and the same with either backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from env_wrappers import make, make_vec
from env_wrappers.escape_room import EscapeRoom
from env_wrappers.pictures import with_payments


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
    env = make_vec("one_step_economy", 1)
    env.reset()
    with pytest.raises(NotImplementedError, match="one_step_economy has no picture"):
        env.render()
    loop = make_vec("escape_room", 1, backend="loop")
    loop.reset()
    with pytest.raises(NotImplementedError, match=r"escape_room.*render_mode: rgb_array"):
        loop.render()


@pytest.mark.parametrize("memory", [False, True])
def test_batch_draws_the_same_matrix_game(memory: bool) -> None:
    keys: dict[str, Any] = {"game": "chicken", "num_rounds": 3, "memory": memory, "render_mode": "rgb_array"}
    env, single = make_vec("matrix_game", 2, **keys), make("matrix_game", **keys)
    env.reset()
    single.reset()
    seen = [env.render()]
    np.testing.assert_array_equal(seen[0], single.render())
    for first, second in ((0, 0), (0, 1), (1, 0)):
        env.step([np.array([[first, second], [1, 1]])])
        single.step({"player_0": first, "player_1": second})
        seen.append(env.render())
        np.testing.assert_array_equal(seen[-1], single.render())
        x, y = 140 + 160 * second + 10, 56 + 100 * first + 10  # the cell that was played is green
        assert seen[-1][y, x].tolist() == [0xDD, 0xF3, 0xE4]
    assert seen[0].shape == (320, 480, 3)


@pytest.mark.parametrize(
    ("height", "width", "agents", "outputs"), [(320, 480, 3, 3), (60, 100, 10, 40), (20, 700, 1, 1)]
)
def test_payments_stand_under_the_frame(height: int, width: int, agents: int, outputs: int) -> None:
    frame = np.full((height, width, 3), 7, np.uint8)
    names = [f"agent_{i}" for i in range(agents)]
    offered = {f"action_{i}": i / 7 for i in range(outputs)}
    drawn = with_payments(frame, offered, dict.fromkeys(names, 1.0), dict.fromkeys(names, 0.5))
    left = (drawn.shape[1] - width) // 2
    np.testing.assert_array_equal(drawn[:height, left : left + width], frame)
    assert drawn.shape[1] == max(width, 360)
    assert drawn.dtype == np.uint8
    other = with_payments(frame, offered, dict.fromkeys(names, 1.0), {**dict.fromkeys(names, 0.5), names[-1]: 0.25})
    rows = np.flatnonzero((drawn != other).any((1, 2)))
    assert rows.min() > drawn.shape[0] - 28  # the last agent's row, and no other
    gone = with_payments(frame, offered, dict.fromkeys(names), dict.fromkeys(names, 0.5))
    assert gone.shape == drawn.shape
