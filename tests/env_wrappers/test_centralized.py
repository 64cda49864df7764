"""All agents as one: what the central agent earns, decides, and may do."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from toy_envs import MaskedToy, StatefulToy, Toy, random_actions, toy, unit_box

from env_wrappers import CentralizedVectorEnv, LoopVectorEnv, make_vec


def joint(*rows: list[int]) -> list[np.ndarray]:
    """Actions of the central agent, a row for every copy."""
    return [np.array(rows)[:, None]]


def test_earns_the_designers_reward() -> None:
    env = make_vec("escape_room", 2, centralized=True, n=3, m=1)
    env.reset()
    assert env.possible_agents == ("central",)
    assert env.action_spaces == {"central": gym.spaces.MultiDiscrete([3, 3, 3])}
    np.testing.assert_array_equal(env.observations[0][:, 0], env.state)
    env.step(joint([0, 2, 2], [0, 1, 1]))
    np.testing.assert_array_equal(env.rewards, [[19], [-1]])
    np.testing.assert_array_equal(env.designer_reward, [19, -1])
    np.testing.assert_array_equal(env.terminated, [[True], [False]])
    np.testing.assert_array_equal(env.active, [[False], [True]])
    np.testing.assert_array_equal(env.episode_over, [True, False])
    np.testing.assert_array_equal(env.action_features[0, 0], [1, 0, 0] + [0, 0, 1] * 2)
    np.testing.assert_array_equal(env.observations[0][0, 0], [1, 0, 0] + [0, 0, 1] * 2)


def test_truncation_and_freezing() -> None:
    env = make_vec("escape_room", 2, centralized=True, n=3, m=1, max_steps=2)
    env.reset()
    env.step(joint([0, 2, 2], [1, 1, 1]))
    env.step(joint([0, 2, 2], [1, 1, 1]))
    np.testing.assert_array_equal(env.rewards, [[0], [0]])  # the first copy is frozen
    np.testing.assert_array_equal(env.terminated, [[False], [False]])
    np.testing.assert_array_equal(env.truncated, [[False], [True]])
    assert not env.action_features[0].any()


@pytest.mark.parametrize("backend", ["native", "loop"])
def test_same_play_as_the_agents_themselves(backend: str) -> None:
    """The inner environment, stepped with the decoded actions, gives the same rewards and ends."""
    config: dict[str, Any] = {"n": 3, "m": 1, "max_steps": 3, "backend": backend}
    central, plain = (
        make_vec("escape_room", 6, True, True, **config),
        make_vec("escape_room", 6, True, **config),
    )
    rng = np.random.default_rng(0)
    central.reset(seed=0)
    plain.reset(seed=0)
    for _ in range(15):
        (actions,) = random_actions(central, rng)
        central.step([actions])
        plain.step([actions[:, 0]])
        np.testing.assert_array_equal(central.rewards[:, 0], plain.rewards.sum(1))
        np.testing.assert_array_equal(central.state, plain.state)
        np.testing.assert_array_equal(central.was_reset, plain.was_reset)
        np.testing.assert_array_equal(central.terminated[:, 0], plain.terminated.all(1))
        np.testing.assert_array_equal(central.truncated[:, 0], plain.truncated.all(1))


def test_decodes_mixed_action_spaces() -> None:
    """Each agent gets its own columns in its own form, whatever group it is in."""
    spaces: dict[str, gym.Space] = {
        "a": gym.spaces.MultiDiscrete([2, 4]),
        "b": gym.spaces.Discrete(3, start=5),
        "c": gym.spaces.MultiBinary(2),
        "d": gym.spaces.MultiDiscrete([2, 4]),
    }
    inner = LoopVectorEnv(lambda: Toy(dict.fromkeys(spaces, unit_box()), spaces), 1)
    env = CentralizedVectorEnv(inner)
    assert env.action_spaces["central"] == gym.spaces.MultiDiscrete([2, 4, 3, 2, 2, 2, 4])
    env.reset()
    env.step(joint([1, 3, 2, 0, 1, 0, 2]))
    (received,) = inner.envs[0].received
    assert {agent: np.asarray(action).tolist() for agent, action in received.items()} == {
        "a": [1, 3],
        "b": 7,
        "c": [0, 1],
        "d": [0, 2],
    }
    np.testing.assert_array_equal(env.action_features[0, 0], [0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0])


@pytest.mark.parametrize("in_dict", [True, False])
def test_masks_are_joined(in_dict: bool) -> None:
    env = CentralizedVectorEnv(LoopVectorEnv(lambda: MaskedToy(in_dict), 2))
    env.reset()
    (masks,) = env.action_masks
    assert masks is not None
    np.testing.assert_array_equal(masks[0, 0], [0, 1, 1, 1, 0, 1])
    env.step(joint([1, 0], [2, 2]))
    np.testing.assert_array_equal(masks[0, 0], [1, 0, 1, 1, 1, 0])


def test_ends_with_the_last_agent() -> None:
    """One agent is cut early, the last one terminates: so does the central agent's life."""
    early = LoopVectorEnv(lambda: toy(2, truncates_at={"a0": 1}, terminates_at={"a1": 2}), 1)
    env = CentralizedVectorEnv(early)
    env.reset()
    env.step(joint([0, 0]))
    assert not env.terminated.any()
    assert not env.truncated.any()
    np.testing.assert_array_equal(env.rewards, [[10 + 11]])
    env.step(joint([0, 0]))
    np.testing.assert_array_equal(env.rewards, [[21]])
    assert env.terminated.all()
    assert not env.truncated.any()


def test_observes_the_state() -> None:
    agents = ["a", "b"]
    env = CentralizedVectorEnv(
        LoopVectorEnv(
            lambda: StatefulToy(dict.fromkeys(agents, unit_box()), dict.fromkeys(agents, gym.spaces.Discrete(2))),
            1,
        )
    )
    env.reset()
    env.step(joint([0, 0]))
    np.testing.assert_array_equal(env.observations[0], [[[1, 2, -1]]])


def test_continuous_actions_are_refused() -> None:
    inner = LoopVectorEnv(lambda: toy(action_space=unit_box), 1, name="walkers")
    with pytest.raises(ValueError, match=r"env 'walkers': a centralised policy needs discrete actions.*'a0'"):
        CentralizedVectorEnv(inner)
