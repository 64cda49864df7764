"""Each way to break PettingZoo's ParallelEnv API gives one line that names environment, agent and key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from toy_envs import Broken, MaskedToy, Toy, toy, unit_box

from env_wrappers import EnvAPIError, LoopVectorEnv

#: Where step() returns what.
KEYS = ("observations", "rewards", "terminations", "truncations", "infos")
ACTIONS = [np.zeros((2, 3), np.int64)]
Damage = Callable[[list[Any], Broken], Any]


def put(key: str, value: Any, agent: str = "a1") -> Damage:
    """Another value for an agent."""

    def damage(result: list[Any], env: Broken) -> tuple[Any, ...]:
        result[KEYS.index(key)][agent] = value
        return tuple(result)

    return damage


def drop(key: str) -> Damage:
    """No value for agent a1, who is alive."""

    def damage(result: list[Any], env: Broken) -> tuple[Any, ...]:
        del result[KEYS.index(key)]["a1"]
        return tuple(result)

    return damage


def replace(key: str, value: Any) -> Damage:
    """Something else than a dict."""

    def damage(result: list[Any], env: Broken) -> tuple[Any, ...]:
        result[KEYS.index(key)] = value
        return tuple(result)

    return damage


def list_agents(agents: Any) -> Damage:
    """Other living agents."""

    def damage(result: list[Any], env: Broken) -> tuple[Any, ...]:
        env.agents = agents
        return tuple(result)

    return damage


LONG = np.arange(20000.0).reshape(100, 200)  # prints as many lines

# What is wrong; what the message must name beside the environment.
VIOLATIONS = [
    pytest.param(put("observations", np.zeros(3)), ["'a1'", "observations", "(3,)", "(2,)"], id="observation shape"),
    pytest.param(put("observations", LONG), ["'a1'", "observations", "(100, 200)"], id="observation matrix"),
    pytest.param(put("observations", 1.0), ["'a1'", "observations"], id="observation scalar"),
    pytest.param(put("observations", None), ["'a1'", "observations"], id="observation None"),
    pytest.param(put("observations", ["x", "y"]), ["'a1'", "observations", "dtype"], id="observation strings"),
    pytest.param(put("observations", [None, {}]), ["'a1'", "observations", "object"], id="observation objects"),
    pytest.param(put("observations", [[1.0], [1.0, 2.0]]), ["'a1'", "observations"], id="observation ragged"),
    pytest.param(put("observations", {"x": 1}), ["'a1'", "observations"], id="observation dict"),
    pytest.param(put("observations", [np.nan, 0.0]), ["'a1'", "observations", "NaN"], id="observation NaN"),
    pytest.param(put("observations", [0.0, -np.inf]), ["'a1'", "observations", "infinity"], id="observation infinite"),
    pytest.param(put("observations", [0.0, 1e200]), ["'a1'", "observations"], id="observation beyond float32"),
    pytest.param(put("rewards", np.nan), ["'a1'", "rewards", "nan"], id="reward NaN"),
    pytest.param(put("rewards", np.inf), ["'a1'", "rewards", "inf"], id="reward infinite"),
    pytest.param(put("rewards", 1e200), ["'a1'", "rewards"], id="reward beyond float32"),
    pytest.param(put("rewards", np.zeros(2)), ["'a1'", "rewards"], id="reward vector"),
    pytest.param(put("rewards", np.zeros(0)), ["'a1'", "rewards"], id="reward empty"),
    pytest.param(put("rewards", LONG), ["'a1'", "rewards"], id="reward matrix"),
    pytest.param(put("rewards", [[1.0], [1.0, 2.0]]), ["'a1'", "rewards"], id="reward ragged"),
    pytest.param(put("rewards", None), ["'a1'", "rewards", "None"], id="reward None"),
    pytest.param(put("rewards", "1"), ["'a1'", "rewards", "'1'"], id="reward string"),
    pytest.param(put("rewards", 1j), ["'a1'", "rewards"], id="reward complex"),
    pytest.param(put("terminations", None), ["'a1'", "terminations"], id="termination None"),
    pytest.param(put("terminations", np.zeros(2, bool)), ["'a1'", "terminations"], id="termination vector"),
    pytest.param(put("terminations", [[True], [False, True]]), ["'a1'", "terminations"], id="termination ragged"),
    pytest.param(put("truncations", "no"), ["'a1'", "truncations", "'no'"], id="truncation string"),
    *(pytest.param(put(key, 0.0, "nobody"), ["'nobody'", key, "a0, a1, a2"], id=f"unknown in {key}") for key in KEYS),
    *(pytest.param(drop(key), ["'a1'", key, "missing"], id=f"missing in {key}") for key in KEYS[:4]),
    *(pytest.param(replace(key, [0.0] * 3), [key, "list", "dict"], id=f"{key} as a list") for key in KEYS),
    *(pytest.param(replace(key, None), [key, "None", "dict"], id=f"{key} is None") for key in KEYS),
    pytest.param(list_agents(["a0", "ghost"]), ["'ghost'", "agents", "a0, a1, a2"], id="unknown living agent"),
    pytest.param(list_agents(["a0", "a1", "a1"]), ["'a1'", "agents"], id="living agent twice"),
    pytest.param(list_agents(3), ["agents", "int", "list"], id="living agents no list"),
    pytest.param(lambda result, env: tuple(result[:4]), ["step()", "4 values"], id="step returns four"),
    pytest.param(lambda result, env: None, ["step()", "None"], id="step returns nothing"),
    pytest.param(lambda result, env: result[0], ["step()", "dict"], id="step returns observations"),
]


def step_once(damage: Damage) -> None:
    """Some damage is noticed as early as in the step of the first copy."""
    env = LoopVectorEnv(lambda: Broken(damage), 2, "some_env")
    env.reset(seed=0)
    env.step(ACTIONS)


@pytest.mark.parametrize(("damage", "named"), VIOLATIONS)
def test_step(damage: Damage, named: list[str]) -> None:
    with pytest.raises(EnvAPIError) as error:
        step_once(damage)
    message = str(error.value)
    assert message.startswith("env 'some_env': ")
    assert "\n" not in message
    assert len(message) < 300
    for part in named:
        assert part in message


HARMLESS = [
    pytest.param(put("observations", [1, 2]), id="list of integers"),
    pytest.param(put("observations", np.array([1, 2], np.float64)), id="double precision"),
    pytest.param(put("observations", np.array([True, False])), id="flags"),
    pytest.param(put("observations", np.array([-5.0, 1000.0])), id="out of the declared bounds"),
    pytest.param(put("rewards", np.float32(3)), id="NumPy number"),
    pytest.param(put("rewards", np.array([3.0])), id="array of one number"),
    pytest.param(put("rewards", 3), id="integer"),
    pytest.param(put("rewards", True), id="flag as a reward"),
    pytest.param(put("terminations", np.bool_(True)), id="NumPy flag"),
    pytest.param(put("terminations", 0), id="zero for False"),
    pytest.param(put("infos", {"a": 1}, "common"), id="shared infos"),
    pytest.param(replace("infos", {}), id="no infos"),
]


@pytest.mark.parametrize("damage", HARMLESS)
def test_harmless(damage: Damage) -> None:
    """What works without doubt about its meaning is let through."""
    env = LoopVectorEnv(lambda: Broken(damage), 2)
    env.reset(seed=0)
    env.step(ACTIONS)
    assert not env.rewards[:, 1].any() or env.rewards[0, 1] in (1, 3, 11)


RESETS = [
    pytest.param(lambda observations: observations, "reset()", id="old API: observations alone"),
    pytest.param(lambda observations: (observations, {}, {}), "reset()", id="three values"),
    pytest.param(lambda observations: None, "reset()", id="nothing"),
    pytest.param(lambda observations: (None, {}), "observations", id="no observations"),
    pytest.param(lambda observations: ({}, {}), "'a0': missing in observations", id="empty observations"),
    pytest.param(lambda observations: (observations, None), "infos", id="no infos"),
    pytest.param(lambda observations: (observations | {"nobody": 0}, {}), "'nobody'", id="unknown agent"),
]


@pytest.mark.parametrize(("change", "named"), RESETS)
def test_reset(change: Callable[[Any], Any], named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Toy.reset
    monkeypatch.setattr(Toy, "reset", lambda self, seed=None, options=None: change(original(self, seed)[0]))
    with pytest.raises(EnvAPIError) as error:
        LoopVectorEnv(lambda: toy(3), 1, "some_env").reset()
    message = str(error.value)
    assert message.startswith("env 'some_env': ")
    assert named in message
    assert "\n" not in message


STATES = [
    pytest.param(np.zeros(3), ["shape (3,)", "(2,)"], id="shape"),
    pytest.param(np.array([0.0, np.nan]), ["NaN"], id="NaN"),
    pytest.param(np.array(["x", "y"]), ["dtype"], id="strings"),
    pytest.param(None, ["shape ()"], id="None"),
]


@pytest.mark.parametrize(("bad", "named"), STATES)
def test_state(bad: Any, named: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "state", lambda self: bad if self.t else np.zeros(2), raising=False)
    env = LoopVectorEnv(lambda: toy(3), 2, "some_env")
    env.reset()
    with pytest.raises(EnvAPIError) as error:
        env.step(ACTIONS)
    message = str(error.value)
    assert message.startswith("env 'some_env': state() ")
    assert "\n" not in message
    for part in named:
        assert part in message


def test_state_against_its_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "state", lambda self: np.zeros(3), raising=False)
    monkeypatch.setattr(Toy, "state_space", unit_box(2), raising=False)
    with pytest.raises(EnvAPIError, match=r"env 'toy_v0': state\(\) has shape \(3,\), expected \(2,\)"):
        LoopVectorEnv(lambda: toy(3), 1).reset()


MASKS = [
    pytest.param(np.ones(2, np.int8), "has 2 flags, expected 3", id="too short"),
    pytest.param(np.ones(1, np.int8), "has 1 flags, expected 3", id="would broadcast"),
    pytest.param(np.zeros(3, np.int8), "allows no action", id="nothing is legal"),
]


@pytest.mark.parametrize("in_dict", [True, False])
@pytest.mark.parametrize(("mask", "named"), MASKS)
def test_masks(mask: np.ndarray, named: str, in_dict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    env = LoopVectorEnv(lambda: MaskedToy(in_dict), 1)
    env.reset()
    monkeypatch.setattr(MaskedToy, "mask", lambda self, agent: mask)
    monkeypatch.setattr(MaskedToy, "step", Toy.step)
    with pytest.raises(EnvAPIError, match=f"env 'toy_v0': agent 'a0': action_mask {named}"):
        env.step([np.zeros((1, 2), np.int64)])


def test_missing_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment whose first infos have masks must go on giving them: an old one would be wrong."""
    env = LoopVectorEnv(lambda: MaskedToy(False), 1)
    env.reset()
    monkeypatch.setattr(MaskedToy, "info", lambda self, agent: {})
    with pytest.raises(EnvAPIError, match="env 'toy_v0': agent 'a0': action_mask is missing in infos"):
        env.step([np.array([[1, 0]])])


def test_agent_that_comes_back() -> None:
    """After its episode has ended an agent must stay away: its return would join two lives into one."""
    env = LoopVectorEnv(lambda: toy(2, terminates_at={"a0": 1}), 1)
    env.reset()
    env.step([np.zeros((1, 2), np.int64)])
    env.envs[0].agents = ["a0", "a1"]
    with pytest.raises((EnvAPIError, AssertionError)):
        env.step([np.zeros((1, 2), np.int64)])


def test_float_pictures_in_a_uint8_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cast would make a picture of numbers in [0, 1] black."""
    space = gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)
    env = LoopVectorEnv(lambda: Toy({"a0": space}, {"a0": gym.spaces.Discrete(2)}), 1)
    monkeypatch.setattr(Toy, "observe", lambda self, agent: np.full((4, 4, 3), 0.5))
    with pytest.raises(EnvAPIError, match="env 'toy_v0': agent 'a0': observations has dtype float64, expected uint8"):
        env.reset()


def test_discrete_observation_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also -1, which NumPy would take for the last one."""
    env = LoopVectorEnv(lambda: Toy({"a0": gym.spaces.Discrete(3)}, {"a0": gym.spaces.Discrete(2)}), 1)
    for bad in (-1, 3, 1.5):
        monkeypatch.setattr(Toy, "observe", lambda self, agent, bad=bad: bad)
        with pytest.raises(EnvAPIError, match="env 'toy_v0': agent 'a0': observations holds"):
            env.reset()
