"""What somebody's factory may make, how copies come to be, and actions as environments take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.utils import BaseParallelWrapper
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv, PettingZooEnv
from small_envs import Scripted, loop, vectors
from toy_envs import Countdown, toy

import env_wrappers
from env_wrappers import EnvAPIError, LoopVectorEnv
from env_wrappers.time_limit import TimeLimit

ZERO = [np.zeros((1, 2), np.int64)]


class Late(Scripted):
    """Knows its agents only after a reset."""

    def __init__(self) -> None:
        super().__init__(*_spaces("a", "b"), lambda agent, t: 0)
        self._late = self.possible_agents
        del self.possible_agents

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.possible_agents = self._late
        return super().reset(seed, options)


class OldReset(Scripted):
    """As before seeds were handed to reset."""

    def __init__(self) -> None:
        super().__init__(*_spaces("a", "b"), lambda agent, t: 0)

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


class Unlike(ParallelPettingZooEnv):
    """Pays twice as much as what it wraps."""

    def step(self, action_dict: Any) -> Any:
        observations, rewards, *rest = super().step(action_dict)
        return observations, {agent: 2 * reward for agent, reward in rewards.items()}, *rest


class Named(ParallelPettingZooEnv):
    """Only says what it wraps."""

    def __init__(self) -> None:
        super().__init__(vectors())


class Multi(MultiAgentEnv):
    """RLlib's own kind."""


class AsDuck:
    """The API without the base class."""

    def __init__(self) -> None:
        self._env = vectors()
        self.possible_agents = self._env.possible_agents

    def __getattr__(self, name: str) -> Any:
        if name in ("agents", "reset", "step", "observation_space", "action_space"):
            return getattr(self._env, name)
        raise AttributeError(name)


def _spaces(*agents: Any) -> tuple[dict[Any, gym.Space], dict[Any, gym.Space]]:
    return dict.fromkeys(agents, gym.spaces.Discrete(2)), dict.fromkeys(agents, gym.spaces.Discrete(2))


def named(*agents: Any) -> Scripted:
    return Scripted(*_spaces(*agents), lambda agent, t: 0)


def with_attribute(name: str, value: Any) -> Scripted:
    env = named("a", "b")
    setattr(env, name, value)
    return env


def turns() -> Countdown:
    env = Countdown()
    env.metadata = {**env.metadata, "is_parallelizable": False}
    return env


WRONG = [
    pytest.param(lambda: named(0, 1), "possible_agents holds 0 (int), expected names (strings), such as 'agent_0'"),
    pytest.param(lambda: named("a", ("b", 1)), "possible_agents holds ('b', 1) (tuple), expected names (strings)"),
    pytest.param(Late, "possible_agents is missing; set it in the constructor"),
    pytest.param(lambda: with_attribute("possible_agents", []), "possible_agents is [], expected a list of names"),
    pytest.param(lambda: with_attribute("possible_agents", "ab"), "possible_agents is 'ab', expected a list of names"),
    pytest.param(lambda: with_attribute("possible_agents", ["a", "a"]), "possible_agents holds 'a' 2 times, expected"),
    pytest.param(OldReset, "reset() takes no seed, expected reset(self, seed=None, options=None)"),
    pytest.param(lambda: BaseParallelWrapper(OldReset()), "reset() takes no seed, expected reset(self"),
    pytest.param(
        lambda: with_attribute("action_space", gym.spaces.Discrete(2)), "action_space is a Discrete, expected a method"
    ),
    pytest.param(lambda: with_attribute("action_space", lambda agent: 2), "action_space is a builtins.int, expected a"),
    pytest.param(
        lambda: gym.make("CartPole-v1"), "not a PettingZoo environment; a Gymnasium environment has one agent"
    ),
    pytest.param(Multi, "not a PettingZoo environment; write RLlib's MultiAgentEnv as a pettingzoo.ParallelEnv"),
    pytest.param(turns, "the agents take turns; only environments whose agents act at the same time"),
    pytest.param(lambda: PettingZooEnv(turns()), "the agents take turns; only environments"),
    pytest.param(lambda: Unlike(vectors()), "Unlike changes step of RLlib's wrapper; write it as a"),
    pytest.param(lambda: 3, "made a int, not a PettingZoo environment"),
    pytest.param(lambda: None, "made a NoneType, not a PettingZoo environment"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_environments_of_another_kind(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(EnvAPIError) as error:
        LoopVectorEnv(make, 2, "mine")
    assert str(error.value).startswith("env 'mine'")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


RIGHT = [
    pytest.param(vectors, id="itself"),
    pytest.param(lambda: BaseParallelWrapper(vectors()), id="in PettingZoo's wrapper"),
    pytest.param(lambda: ParallelPettingZooEnv(vectors()), id="in RLlib's wrapper"),
    pytest.param(lambda: ParallelPettingZooEnv(BaseParallelWrapper(vectors())), id="in both"),
    pytest.param(Named, id="in a constructor of one's own"),
    pytest.param(AsDuck, id="without the base class"),
]


@pytest.mark.parametrize("make", RIGHT)
def test_what_a_parallel_env_may_come_in(make: Callable[[], Any]) -> None:
    env = LoopVectorEnv(make, 2)
    env.reset(0)
    assert env.possible_agents == ("a", "b")
    env.step([np.zeros((2, 2), np.int64)])
    assert env.rewards.tolist() == [[1, 1], [1, 1]]
    assert env.observations[0].tolist() == [[[2, 2], [2, 2]]] * 2


def test_agents_in_turns_that_are_parallel_all_the_same() -> None:
    env = LoopVectorEnv(lambda: PettingZooEnv(Countdown(2)), 1)
    env.reset(0)
    env.step([np.ones((1, 2), np.int64)])
    assert env.rewards.tolist() == [[1, 1]]


# -- how copies come to be ------------------------------------------------------------------------------


class Once(Scripted):
    """May exist once at a time."""

    running = 0
    most = 0
    made = 0

    def __init__(self) -> None:
        if Once.running:
            raise OSError("port 8813 is in use")
        Once.running, Once.made = 1, Once.made + 1
        super().__init__(*_spaces("a"), lambda agent, t: 0)

    def close(self) -> None:
        Once.running = 0


def test_one_that_may_exist_once() -> None:
    Once.running = Once.made = 0
    env = LoopVectorEnv(Once, 1, "simulator")
    assert (Once.running, Once.made) == (1, 2)
    env.close()
    assert Once.running == 0
    message = (
        r"env 'simulator': copy 2 of 3 could not be made: OSError: port 8813 is in use; if there can be only one at a "
        r"time, set num_envs_per_env_runner: 1"
    )
    with pytest.raises(RuntimeError, match=message):
        LoopVectorEnv(Once, 3, "simulator")
    assert Once.running == 0, "what was made is closed"


class Days(Scripted):
    """Plays its data set in order: a day a reset."""

    def __init__(self) -> None:
        super().__init__(*_spaces("a"), lambda agent, t: 0)
        self.day = -1

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.day += 1
        return super().reset(seed, options)


@pytest.mark.parametrize("copies", [1, 3])
def test_every_copy_begins_with_its_first_episode(copies: int) -> None:
    env = LoopVectorEnv(Days, copies)
    env.reset(0)
    assert [env.envs[b].day for b in range(copies)] == [0] * copies  # type: ignore[attr-defined]


def test_copies_must_be_alike() -> None:
    widths = iter([2, 2, 3])
    with pytest.raises(EnvAPIError, match="env 'x': copies differ in their agents or spaces; all must have the same"):
        LoopVectorEnv(lambda: toy(next(widths)), 2, "x")
    bounds = iter([1, 1, 2])
    spaces: Callable[[], Any] = lambda: gym.spaces.Box(0, next(bounds), (1,))  # noqa: E731
    with pytest.raises(EnvAPIError, match="copies differ"):
        LoopVectorEnv(lambda: toy(1, spaces), 2, "x")


def test_every_copy_has_its_own_config() -> None:
    """A constructor that takes a key out leaves it in what the others are given."""

    def make(world: dict[str, Any]) -> Scripted:
        bonus = world.pop("bonus", 0.0)
        return named("a") if not bonus else Scripted(*_spaces("a"), lambda agent, t: 0, lambda env, r: _pay(r, bonus))

    def _pay(result: Any, bonus: float) -> None:
        result[1]["a"] = bonus

    env_wrappers.register("with_world", make)
    config = {"world": {"bonus": 5.0}}
    env = env_wrappers.make_vec("with_world", 3, **config)
    env.reset(0)
    env.step([np.zeros((3, 1), np.int64)])
    assert env.rewards.tolist() == [[5], [5], [5]]
    env_wrappers.make("with_world", **config)
    assert config == {"world": {"bonus": 5.0}}


# -- ends -------------------------------------------------------------------------------------------------


class Endless(Scripted):
    """Has no end; agent b leaves after its first step."""

    metadata: ClassVar[dict[str, Any]] = {"name": "endless_v0"}

    def __init__(self) -> None:
        super().__init__(*_spaces("a", "b"), lambda agent, t: 0, lives={"a": 10**9, "b": 1})


def test_a_time_limit_cuts_who_still_lives() -> None:
    env = loop(lambda: TimeLimit(Endless(), 3), autoreset=True)
    assert env.max_episode_steps == 3
    seen = []
    for _ in range(7):
        env.step(ZERO)
        seen.append((env.terminated.tolist()[0], env.truncated.tolist()[0], env.was_reset.tolist()[0]))
    quiet = ([False, False], [False, False], False)
    first, last = ([False, True], [False, False], False), ([False, False], [True, False], False)
    assert seen == [first, quiet, last, ([False, False], [False, False], True), first, quiet, last]


@pytest.mark.parametrize("bad", [0, -1, 1.5, "10", True])
def test_impossible_time_limits(bad: Any) -> None:
    with pytest.raises(ValueError, match="max_episode_steps must be a whole number >= 1, got"):
        TimeLimit(Endless(), bad)


def test_a_time_limit_by_import_path() -> None:
    env = env_wrappers.make_vec("pettingzoo", 1, id="test_kinds:Endless", max_episode_steps=2)
    assert env.max_episode_steps == 2
    env.reset(0)
    for _ in range(2):
        env.step(ZERO)
    assert env.episode_over.tolist() == [True]
    assert env_wrappers.make("pettingzoo", id="test_kinds:Endless", max_episode_steps=2).max_episode_steps == 2


# -- actions --------------------------------------------------------------------------------------------------


def test_actions_are_named_as_the_environment_counts_them() -> None:
    env = loop(lambda: Scripted({"a": gym.spaces.Discrete(2)}, {"a": gym.spaces.Discrete(3, start=1)}, lambda a, t: 0))
    assert env.action_type_names == ("1", "2", "3")
    env.step([np.array([[2]])])
    assert env.envs[0].received == [{"a": 3}]  # type: ignore[attr-defined]
    choices = {"a": gym.spaces.Discrete(2, start=-1), "b": gym.spaces.Discrete(3, start=-1)}
    assert loop(lambda: Scripted(_spaces("a", "b")[0], choices, lambda a, t: 0)).action_type_names == ("-1", "0", "1")
    mixed = {"a": gym.spaces.Discrete(2, start=1), "b": gym.spaces.Discrete(2)}
    assert loop(lambda: Scripted(_spaces("a", "b")[0], mixed, lambda a, t: 0)).action_type_names == ("0", "1")


BOXES = [
    gym.spaces.Box(-0.1, 0.1, (1,), np.float64),
    gym.spaces.Box(0.1, 0.3, (1,), np.float64),
    gym.spaces.Box(-0.1, 0.1, (1,), np.float32),
    gym.spaces.Box(-0.1, 0.1, (1,), np.float16),
    gym.spaces.Box(1 / 3, 1e9 / 7, (1,), np.float64),
]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("end", ["low", "high"])
def test_bounds_are_not_rounded_out_of_the_box(box: gym.spaces.Box, end: str) -> None:
    env = loop(lambda: Scripted({"a": gym.spaces.Discrete(2)}, {"a": box}, lambda a, t: 0))
    space = env.groups[0].action_space
    assert space.dtype == box.dtype
    env.step([getattr(space, end).reshape(1, 1, 1).astype(np.float32)])
    sent = env.envs[0].received[0]["a"]  # type: ignore[attr-defined]
    assert sent.dtype == box.dtype
    assert box.contains(sent)
    np.testing.assert_allclose(sent, getattr(box, end), rtol=1e-6)
