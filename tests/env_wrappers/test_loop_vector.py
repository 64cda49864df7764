"""LoopVectorEnv: random streams of the copies, odd ways to end, and odd forms of masks."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from small_envs import Noisy, Scripted, loop, vectors

from env_wrappers import EnvAPIError, LoopVectorEnv

ZERO = [np.zeros((1, 2), np.int64)]


def stream(seed: int) -> np.ndarray:
    """What three copies see in ten steps with autoreset, ``[10, 3]``."""
    env = LoopVectorEnv(Noisy, 3, autoreset=True)
    env.reset(seed)
    rows = [env.observations[0].reshape(3).copy()]
    for _ in range(9):
        env.step([np.zeros((3, 1), np.int64)])
        rows.append(env.observations[0].reshape(3).copy())
    return np.stack(rows)


def test_each_copy_has_its_own_stream_and_a_seed_repeats_them() -> None:
    first = stream(5)
    np.testing.assert_array_equal(first, stream(5))
    # No number comes twice: not in two copies, not after a reset, not with another seed.
    seen = np.concatenate([first.ravel(), stream(6).ravel()])
    assert len(np.unique(seen)) == len(seen)


def test_reset_without_seed_goes_on_with_the_generators() -> None:
    one, other = LoopVectorEnv(Noisy, 2), LoopVectorEnv(Noisy, 2)
    for env in (one, other):
        env.reset(5)
    first = one.observations[0].copy()
    for env in (one, other):
        env.reset(None)
    assert (one.observations[0] != first).all()
    np.testing.assert_array_equal(one.observations[0], other.observations[0])


def test_finished_agents_that_stay_listed_and_flagged() -> None:
    env = loop(lambda: vectors(lives={"a": 1, "b": 3}, keep_listed=True))
    env.step(ZERO)
    assert env.active.tolist() == [[False, True]]
    env.step(ZERO)
    assert env.envs[0].received[1] == {"b": 0}
    assert env.terminated.tolist() == [[False, False]]
    assert env.rewards.tolist() == [[1, 1]]  # the environment pays it all the same
    assert env.designer_reward.tolist() == [2]
    assert env.observations[0][0].tolist() == [[2, 2], [3, 3]]  # not the zeros that it sees now
    assert env.state[0].tolist() == [0, 0, 3, 3]
    env.step(ZERO)
    assert env.envs[0].agents == ["a", "b"]
    assert env.episode_over.tolist() == [True]


def test_one_ends_and_one_is_cut_in_the_same_step() -> None:
    def change(env: Scripted, result: Any) -> None:
        result[2].update(a=True, b=False)
        result[3].update(a=True, b=np.bool_(True))
        env.agents = []

    env = loop(lambda: vectors(change=change))
    env.step(ZERO)
    assert env.terminated.tolist() == [[True, False]]
    assert env.truncated.tolist() == [[False, True]]
    assert env.episode_over.tolist() == [True]


def test_masks_of_several_choices_come_as_tuples() -> None:
    def infos(agent: str, t: int) -> dict[str, Any]:
        return {"action_mask": (np.array([1, 0], np.int8), np.array([0, 1, 1], np.int8))}

    space, choices = gym.spaces.Discrete(2), gym.spaces.MultiDiscrete([2, 3])
    env = loop(lambda: Scripted({"a": space}, {"a": choices}, lambda agent, t: 0, infos=infos))
    assert env.action_masks[0] is not None
    assert env.action_masks[0][0, 0].tolist() == [True, False, False, True, True]


def test_a_dict_observation_without_its_mask() -> None:
    space = gym.spaces.Dict({"observation": gym.spaces.Discrete(2), "action_mask": gym.spaces.MultiBinary(2)})
    with pytest.raises(EnvAPIError, match=r"\['observation'\], expected a dict of action_mask and observation"):
        loop(lambda: Scripted({"a": space}, {"a": gym.spaces.Discrete(2)}, lambda agent, t: {"observation": 0}))
