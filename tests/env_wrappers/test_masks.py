"""Masks of legal actions in every common layout, and that nothing called action_mask is ever ignored or inverted."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from small_envs import Scripted, loop

from env_wrappers import EnvAPIError, LoopVectorEnv

Dict, Box = gym.spaces.Dict, gym.spaces.Box
THREE = gym.spaces.Discrete(3)
FLAGS = Box(0, 1, (3,), np.int8)
ONLY_LAST = np.array([0, 0, 1], np.int8)
PAIR = Box(0, 1, (2,))


def masked(
    space: gym.Space, observation: Any, choices: gym.Space = THREE, infos: Any = None, **metadata: Any
) -> LoopVectorEnv:
    """An environment of one agent that always observes the same."""

    def make() -> Scripted:
        env = Scripted({"a": space}, {"a": choices}, lambda agent, t: observation, infos=infos)
        env.metadata |= metadata
        return env

    return loop(make)


def mask_of(env: LoopVectorEnv) -> list[bool]:
    masks = env.action_masks[0]
    assert masks is not None
    return masks[0, 0].tolist()


@pytest.mark.parametrize("key", ["observation", "observations", "obs", "real_obs", "board"])
def test_beside_an_observation_of_any_name(key: str) -> None:
    env = masked(Dict({key: PAIR, "action_mask": FLAGS}), {key: np.array([0.5, 1]), "action_mask": ONLY_LAST})
    assert env.observations[0].tolist() == [[[0.5, 1]]]
    assert mask_of(env) == [False, False, True]
    env.step([np.array([[2]])])
    assert mask_of(env) == [False, False, True]


def test_beside_a_picture() -> None:
    picture = np.full((2, 2, 3), 9, np.uint8)
    space = Dict({"observations": Box(0, 255, (2, 2, 3), np.uint8), "action_mask": FLAGS})
    env = masked(space, {"observations": picture, "action_mask": ONLY_LAST})
    assert env.groups[0].observation_shape == (2, 2, 3)
    assert mask_of(env) == [False, False, True]


def test_further_entries_are_observed() -> None:
    space = Dict({"observation": PAIR, "action_mask": FLAGS, "goal": Box(0, 9, (3,))})
    env = masked(space, {"observation": np.zeros(2), "action_mask": ONLY_LAST, "goal": np.array([7, 8, 9])})
    assert env.observations[0].tolist() == [[[7, 8, 9, 0, 0]]]  # in Gymnasium's order of names
    assert mask_of(env) == [False, False, True]


def test_deeper_in_the_observation() -> None:
    space = Dict({"time": gym.spaces.Discrete(2), "own": Dict({"x": PAIR, "action_mask": FLAGS})})
    env = masked(space, {"time": 1, "own": {"x": np.zeros(2), "action_mask": ONLY_LAST}})
    assert env.observations[0].tolist() == [[[0, 0, 0, 1]]]
    assert mask_of(env) == [False, False, True]


def in_steps_only(agent: str, t: int) -> dict[str, Any]:
    return {"action_mask": ONLY_LAST} if t > 0 else {}


def test_in_infos_of_steps_but_not_of_the_reset() -> None:
    env = masked(PAIR, np.zeros(2), infos=in_steps_only)
    assert mask_of(env) == [True, True, True]
    env.step([np.array([[1]])])
    assert mask_of(env) == [False, False, True]


def test_in_infos_and_observations() -> None:
    space, seen = Dict({"obs": PAIR, "action_mask": FLAGS}), {"obs": np.zeros(2), "action_mask": ONLY_LAST}
    assert mask_of(masked(space, seen, infos=lambda agent, t: {"action_mask": [0, 0, 1]})) == [False, False, True]
    with pytest.raises(EnvAPIError, match="agent 'a': action_mask in infos is not the one in observations"):
        masked(space, seen, infos=lambda agent, t: {"action_mask": [1, 0, 1]})


def test_one_that_comes_later_than_the_first_step() -> None:
    env = masked(PAIR, np.zeros(2), infos=lambda agent, t: {"action_mask": ONLY_LAST} if t > 1 else {})
    env.envs[0]._lives["a"] = 3  # type: ignore[attr-defined]
    env.step([np.array([[0]])])
    with pytest.raises(EnvAPIError, match=r"agent 'a': action_mask is in infos, but was in none of the first ones"):
        env.step([np.array([[0]])])


def test_one_that_is_missing_in_a_step() -> None:
    env = masked(PAIR, np.zeros(2), infos=lambda agent, t: {} if t else {"action_mask": ONLY_LAST})
    with pytest.raises(EnvAPIError, match="action_mask is missing in infos, expected 3 flags"):
        env.step([np.array([[2]])])


@pytest.mark.parametrize("kind", [bool, np.int8, np.int64, np.float32, list, tuple])
def test_flags_of_any_type(kind: Any) -> None:
    flags = kind([0, 0, 1]) if kind in (list, tuple) else np.array([0, 0, 1], kind)
    space = Dict({"obs": PAIR, "action_mask": FLAGS})
    assert mask_of(masked(space, {"obs": np.zeros(2), "action_mask": flags})) == [False, False, True]


NO_MASKS = [
    pytest.param(np.array([-1e9, -1e9, 0]), "expected booleans, or 0 and 1", id="to be added to logits"),
    pytest.param(np.array([-np.inf, -np.inf, 0]), "expected booleans, or 0 and 1", id="logarithms"),
    pytest.param(np.array([0, np.nan, 1]), "expected booleans, or 0 and 1", id="NaN"),
    pytest.param(np.array([0.2, 0.3, 0.5]), "expected booleans, or 0 and 1", id="probabilities"),
    pytest.param(np.array([0, 2, 1]), "expected booleans, or 0 and 1", id="numbers of actions"),
    pytest.param(["no", "no", "yes"], "expected booleans, or 0 and 1", id="words"),
    pytest.param([0, 1], "has 2 flags, expected 3", id="too few"),
    pytest.param([0, 0, 1, 1], "has 4 flags, expected 3", id="too many"),
    pytest.param([0, 0, 0], "allows no action, expected at least one", id="nothing legal"),
]


@pytest.mark.parametrize("in_dict", [True, False])
@pytest.mark.parametrize(("mask", "message"), NO_MASKS)
def test_what_cannot_be_used_is_an_error(mask: Any, message: str, in_dict: bool) -> None:
    space: gym.Space = Dict({"obs": PAIR, "action_mask": Box(-np.inf, np.inf, (3,))}) if in_dict else PAIR
    seen: Any = {"obs": np.zeros(2), "action_mask": mask} if in_dict else np.zeros(2)
    with pytest.raises(EnvAPIError, match=f"^env 'scripted_v0': agent 'a': action_mask .*{message}$"):
        masked(space, seen, infos=None if in_dict else lambda agent, t: {"action_mask": mask})


def test_every_choice_needs_a_legal_option() -> None:
    choices, space = gym.spaces.MultiDiscrete([2, 3]), Dict({"obs": PAIR, "action_mask": Box(0, 1, (5,), np.int8)})
    good = masked(space, {"obs": np.zeros(2), "action_mask": np.array([1, 0, 0, 1, 1])}, choices)
    assert mask_of(good) == [True, False, False, True, True]
    with pytest.raises(EnvAPIError, match="action_mask allows no action in choice 1, expected at least one"):
        masked(space, {"obs": np.zeros(2), "action_mask": np.array([1, 0, 0, 0, 0])}, choices)


@pytest.mark.parametrize("in_dict", [True, False])
def test_actions_that_cannot_be_masked(in_dict: bool) -> None:
    space: gym.Space = Dict({"obs": PAIR, "action_mask": FLAGS}) if in_dict else PAIR
    seen: Any = {"obs": np.zeros(2), "action_mask": ONLY_LAST} if in_dict else np.zeros(2)
    infos = None if in_dict else (lambda agent, t: {"action_mask": ONLY_LAST})
    with pytest.raises(EnvAPIError, match=r"action_mask cannot be used with actions of Box\(-1.0, 1.0, \(2,\)"):
        masked(space, seen, Box(-1, 1, (2,)), infos)


def test_two_of_them_and_one_without_observation() -> None:
    twice = Dict({"x": Dict({"action_mask": FLAGS, "y": PAIR}), "action_mask": FLAGS})
    with pytest.raises(EnvAPIError, match="has 2 entries action_mask, expected one"):
        masked(twice, None)
    with pytest.raises(EnvAPIError, match="has nothing beside action_mask; add what agents observe"):
        masked(Dict({"action_mask": FLAGS}), {"action_mask": ONLY_LAST})


def test_an_agent_that_finishes_needs_no_legal_action() -> None:
    def observe(agent: str, t: int) -> dict[str, Any]:
        return {"obs": np.zeros(2), "action_mask": np.zeros(3, np.int8) if t == 2 else ONLY_LAST}

    space = Dict({"obs": PAIR, "action_mask": FLAGS})
    env = loop(lambda: Scripted({"a": space}, {"a": THREE}, observe))
    for _ in range(2):
        env.step([np.array([[2]])])
    assert env.episode_over.all()
    assert mask_of(env) == [True, True, True]


@pytest.mark.parametrize("name", ["action_masks", "avail_actions", "legal_actions", "validMoves"])
@pytest.mark.parametrize("choices", [THREE, gym.spaces.MultiDiscrete([3])])
def test_a_mask_of_another_name_is_told_of_once(
    name: str, choices: gym.Space, caplog: pytest.LogCaptureFixture
) -> None:
    env = masked(Dict({"observations": PAIR, name: FLAGS}), {"observations": np.zeros(2), name: ONLY_LAST}, choices)
    (message,) = caplog.messages
    assert f"observations['{name}'] is observed like any number, and looks like a mask of" in message
    assert env.groups[0].observation_shape == (5,)
    caplog.clear()
    for first in (0, 1):
        masked(PAIR, np.zeros(2), choices, infos=lambda agent, t, first=first: {name: [0, 0, 1]} if t >= first else {})
        (message,) = caplog.messages
        assert f"infos['{name}'] is not read, and looks like a mask" in message
        caplog.clear()


@pytest.mark.parametrize(
    ("name", "space", "value"),
    [
        ("others", FLAGS, ONLY_LAST),
        ("available_energy", PAIR, np.ones(2)),  # of another size
        ("valid_range", Box(0, 9, (3,)), np.array([0, 0.5, 9])),  # no flags
    ],
)
def test_what_is_no_mask_is_not_told_of(
    name: str, space: gym.Space, value: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    masked(Dict({"observations": PAIR, name: space}), {"observations": np.zeros(2), name: value})
    masked(PAIR, np.zeros(2), infos=lambda agent, t: {name: value})
    # Beside one that is used, others are the environment's own business.
    both = {"observations": np.zeros(2), "action_mask": ONLY_LAST, "legal_actions": ONLY_LAST}
    masked(Dict({"observations": PAIR, "action_mask": FLAGS, "legal_actions": FLAGS}), both)
    # So they are where there is nothing to choose from.
    masked(PAIR, np.zeros(2), Box(0, 1, (3,)), infos=lambda agent, t: {"legal_actions": ONLY_LAST})
    assert caplog.messages == []
