"""What an IncentiveEnv says of itself is taken and checked, also through somebody's wrapper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper
from small_envs import Taxed, loop

from env_wrappers import EnvAPIError
from env_wrappers.escape_room import EscapeRoom
from env_wrappers.loop import LoopVectorEnv

ACTIONS = [np.array([[1, 3]])]


class Wrapped(BaseParallelWrapper):
    """Somebody's wrapper."""


@pytest.mark.parametrize("make", [Taxed, lambda: Wrapped(Taxed())])
def test_it_is_taken(make: Callable[[], ParallelEnv]) -> None:
    env = loop(make)
    assert env.action_type_names == ("rest", "work")
    assert (env.action_feature_size, env.max_episode_steps) == (1, 2)
    assert env.context_shapes == {"income": (2,)}
    assert env.state_shape == (3,)
    env.step(ACTIONS)
    assert env.action_types.tolist() == [[0, 1]]
    assert env.action_features[0].tolist() == [[0.5], [1.5]]
    assert env.designer_reward.tolist() == [7]
    assert env.context["income"].tolist() == [[1, 3]]
    assert env.state.tolist() == [[1, 1, 1]]


def test_a_frozen_copy_reports_nothing() -> None:
    env = loop(Taxed)
    for _ in range(3):
        env.step(ACTIONS)
    for quiet in (env.context["income"], env.designer_reward, env.action_types, env.action_features):
        assert not quiet.any()


def test_features_are_the_action_type_unless_said_otherwise() -> None:
    env = EscapeRoom(n=2, m=1)
    env.reset()
    assert env.action_features() == {}
    env.step({"agent_0": 0, "agent_1": 2})
    assert {a: f.tolist() for a, f in env.action_features().items()} == {
        "agent_0": [1, 0, 0],
        "agent_1": [0, 0, 1],
    }


class Levied(Taxed):
    """Reads the designer's output before the first of two steps."""

    mechanism_facts: Mapping[str, Any] = {"reads_designer_output": True}

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[float]] = []
        self.ended = False

    def designer_due(self) -> bool:
        return self._t == 0

    def set_designer_output(self, output: np.ndarray) -> None:
        self.read.append(output.tolist())

    def end_schedules(self) -> None:
        self.ended = True


def test_the_designers_output_is_read_when_it_is_due() -> None:
    env = LoopVectorEnv(Levied, 2, autoreset=True)
    copies = [copy for copy in env.envs if isinstance(copy, Levied)]
    assert env.mechanism_facts == {"reads_designer_output": True}
    env.reset(0)
    dues = []
    for t in range(4):
        dues.append(env.designer_due.tolist())
        env.step([np.array([[1, 3], [1, 3]])], np.array([[t, 0.0], [t, 1.0]]))
    # Two steps, the reset, and the first step of the next episode.
    assert dues == [[True, True], [False, False], [False, False], [True, True]]
    assert [copy.read for copy in copies] == [[[0, 0], [3, 0]], [[0, 1], [3, 1]]]
    env.end_schedules()
    assert all(copy.ended for copy in copies)


@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        ("designer_reward", np.nan, r"designer_reward\(\) holds nan, expected a finite float32 number"),
        ("action_types", {"a": 2, "b": 0}, r"agent 'a': action_types\(\) holds 2, expected 0 to 1"),
        ("action_types", {"b": 0}, r"agent 'a': action_types\(\) holds None, expected 0 to 1"),
        ("context", {}, r"context\(\) has shapes {}, expected {'income': \(2,\)}"),
        ("context", {"income": np.zeros(1)}, r"context\(\) has shapes {'income': \(1,\)}, expected"),
    ],
)
def test_it_is_checked(method: str, value: Any, message: str) -> None:
    env = loop(Taxed)
    setattr(env.envs[0], method, lambda: value)
    with pytest.raises(EnvAPIError, match=message):
        env.step(ACTIONS)
