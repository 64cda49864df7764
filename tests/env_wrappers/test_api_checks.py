"""Every way in which an environment can break its API is one line that says who, where, what and what instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from small_envs import Scripted, Taxed, loop, vectors

from env_wrappers import EnvAPIError

ZERO = [np.zeros((1, 2), np.int64)]
OBSERVATIONS, REWARDS, TERMINATIONS, TRUNCATIONS, INFOS = range(5)


def put(part: int, agent: str, value: Any) -> Callable[[Scripted, Any], None]:
    return lambda env, result: result[part].__setitem__(agent, value)


def drop(part: int, agent: str) -> Callable[[Scripted, Any], None]:
    return lambda env, result: result[part].pop(agent)


def instead(part: int, value: Any) -> Callable[[Scripted, Any], Any]:
    return lambda env, result: (*result[:part], value, *result[part + 1 :])


def listed(*agents: Any) -> Callable[[Scripted, Any], None]:
    return lambda env, result: setattr(env, "agents", list(agents))


A = "env 'scripted_v0': agent 'a': "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(OBSERVATIONS, "a", np.zeros(3)), A + "observations has shape (3,), expected (2,)"),
        (put(OBSERVATIONS, "a", None), A + "observations has shape (), expected (2,)"),
        (put(OBSERVATIONS, "a", np.array(["x", "y"])), A + "observations has dtype <U1, expected float32"),
        (
            put(OBSERVATIONS, "a", np.array([np.nan, 0])),
            A + "observations holds NaN or infinity, expected finite",
        ),
        (
            put(OBSERVATIONS, "a", np.array([1e300, 0])),
            A + "observations holds NaN or infinity, expected finite",
        ),
        (put(REWARDS, "a", np.inf), A + "rewards holds inf, expected a finite float32 number"),
        (put(REWARDS, "a", 1e300), A + "rewards holds 1e+300, expected a finite float32 number"),
        (put(REWARDS, "a", [1, 2]), A + "rewards holds [1, 2], expected a number"),
        (put(REWARDS, "a", None), A + "rewards holds None, expected a number"),
        (put(REWARDS, "a", "1"), A + "rewards holds '1', expected a number"),
        (put(TERMINATIONS, "a", None), A + "terminations holds None, expected True or False"),
        (put(TRUNCATIONS, "a", [0, 1]), A + "truncations holds [0, 1], expected True or False"),
        (drop(OBSERVATIONS, "a"), A + "missing in observations, expected an entry for every living agent"),
        (drop(REWARDS, "a"), A + "missing in rewards, expected an entry for every living agent"),
        (drop(TERMINATIONS, "a"), A + "missing in terminations, expected an entry"),
        (drop(TRUNCATIONS, "a"), A + "missing in truncations, expected an entry"),
        *(
            (put(part, "x", 0), f"env 'scripted_v0': unknown agent 'x' in {key}, expected some of a, b")
            for part, key in enumerate(["observations", "rewards", "terminations", "truncations", "infos"])
        ),
        (instead(REWARDS, 1.0), "env 'scripted_v0': rewards is a float, expected a dict by agent"),
        (instead(OBSERVATIONS, [1]), "env 'scripted_v0': observations is a list, expected a dict by agent"),
        (
            lambda env, result: result[:4],
            "env 'scripted_v0': step() returned 4 values, expected (observations",
        ),
        (lambda env, result: [1], "env 'scripted_v0': step() returned a list, expected (observations"),
        (listed("a", "x"), "env 'scripted_v0': unknown agent 'x' in agents, expected some of a, b"),
        (listed("a", "a"), A + "listed 2 times in agents, expected once"),
        (
            lambda env, result: setattr(env, "agents", {"a": 1}),
            "env 'scripted_v0': agents is a dict, expected a list",
        ),
    ],
)
def test_a_step_that_breaks_the_api(change: Callable[[Scripted, Any], Any], message: str) -> None:
    env = loop(lambda: vectors(change=change))
    with pytest.raises(EnvAPIError) as caught:
        env.step(ZERO)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_agent_that_comes_back() -> None:
    def change(env: Scripted, result: Any) -> None:
        if env.t == 2:
            env.agents = ["a", "b"]

    env = loop(lambda: vectors(change=change, lives={"a": 1, "b": 9}))
    env.step(ZERO)
    with pytest.raises(EnvAPIError, match="agent 'a': back in agents after its episode ended, expected"):
        env.step(ZERO)


def test_a_reset_that_lacks_an_agent() -> None:
    class Forgetful(Scripted):
        def reset(self, seed: int | None = None, options: Any = None) -> Any:
            observations, infos = super().reset(seed)
            return {"a": observations["a"]}, infos

    space, choices = gym.spaces.Discrete(2), gym.spaces.Discrete(2)
    with pytest.raises(EnvAPIError, match="agent 'b': missing in observations"):
        loop(lambda: Forgetful({"a": space, "b": space}, {"a": choices, "b": choices}, lambda a, t: 0))


@pytest.mark.parametrize("seen", [-1, 3, 1.5, None])
def test_a_discrete_observation_outside_its_space(seen: Any) -> None:
    space = gym.spaces.Discrete(3)
    with pytest.raises(EnvAPIError, match=r"agent 'a': observations holds .*, expected a member of Discrete"):
        loop(lambda: Scripted({"a": space}, {"a": space}, lambda agent, t: seen))


def test_a_picture_of_floats_for_a_space_of_bytes() -> None:
    space = gym.spaces.Box(0, 255, (2, 2, 3), np.uint8)
    make = lambda: Scripted({"a": space}, {"a": gym.spaces.Discrete(2)}, lambda agent, t: np.ones((2, 2, 3)))  # noqa: E731
    with pytest.raises(EnvAPIError, match="agent 'a': observations has dtype float64, expected uint8"):
        loop(make)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones(1, np.int8), "action_mask has 1 flags, expected 2"),
        (np.zeros(2, np.int8), "action_mask allows no action, expected at least one"),
        (None, "action_mask is missing in infos, expected 2 flags"),
    ],
)
def test_a_mask_that_no_policy_can_use(mask: Any, message: str) -> None:
    def infos(agent: str, t: int) -> dict[str, Any]:
        if t == 0:
            return {"action_mask": np.ones(2, np.int8)}
        return {} if mask is None else {"action_mask": mask}

    env = loop(lambda: vectors(infos=infos))
    with pytest.raises(EnvAPIError, match=f"agent 'a': {message}"):
        env.step(ZERO)


def test_a_dict_observation_without_its_mask() -> None:
    space = gym.spaces.Dict({"observation": gym.spaces.Discrete(2), "action_mask": gym.spaces.MultiBinary(2)})
    make = lambda: Scripted({"a": space}, {"a": gym.spaces.Discrete(2)}, lambda agent, t: {"observation": 0})  # noqa: E731
    with pytest.raises(
        EnvAPIError, match=r"holds \['observation'\], expected a dict of observation and action_mask"
    ):
        loop(make)


@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        ("state", np.zeros(4), r"state\(\) has shape \(4,\), expected \(3,\)"),
        ("state", np.full(3, np.nan), r"state\(\) holds NaN or infinity, expected finite float32 numbers"),
        ("state", np.array(["a", "b", "c"]), r"state\(\) has dtype <U1, expected float32"),
        ("designer_reward", np.nan, r"designer_reward\(\) holds nan, expected a finite float32 number"),
        ("action_types", {"a": 2, "b": 0}, r"agent 'a': action_types\(\) holds 2, expected 0 to 1"),
        ("action_types", {"b": 0}, r"agent 'a': action_types\(\) holds None, expected 0 to 1"),
        ("context", {}, r"context\(\) has shapes {}, expected {'income': \(2,\)}"),
        ("context", {"income": np.zeros(1)}, r"context\(\) has shapes {'income': \(1,\)}, expected"),
    ],
)
def test_a_designers_side_that_breaks_its_word(method: str, value: Any, message: str) -> None:
    env = loop(Taxed)
    setattr(env.envs[0], method, lambda: value)
    with pytest.raises(EnvAPIError, match=message):
        env.step(ZERO)


def test_infos_may_be_empty_or_shared() -> None:
    for change in (instead(INFOS, {}), put(INFOS, "common", {"x": 1}), put(INFOS, "__common__", {})):
        env = loop(lambda change=change: vectors(change=change))
        env.step(ZERO)
        assert env.rewards.tolist() == [[1, 1]]


def test_numpy_scalars_are_fine() -> None:
    def change(env: Scripted, result: Any) -> None:
        result[REWARDS].update(a=np.array([2], np.int32), b=np.float16(0.5))
        result[TERMINATIONS].update(a=np.bool_(False), b=0)

    env = loop(lambda: vectors(change=change))
    env.step(ZERO)
    assert env.rewards.tolist() == [[2, 0.5]]
    assert env.active.all()
