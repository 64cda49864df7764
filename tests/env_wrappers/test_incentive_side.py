"""What an IncentiveEnv says of itself is taken and checked, also through somebody's wrapper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper
from small_envs import Taxed, loop

from env_wrappers import EnvAPIError
from env_wrappers.escape_room import EscapeRoom

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
    env = EscapeRoom(2, 1)
    env.reset()
    assert env.action_features() == {}
    env.step({"agent_0": 0, "agent_1": 2})
    assert {a: f.tolist() for a, f in env.action_features().items()} == {
        "agent_0": [1, 0, 0],
        "agent_1": [0, 0, 1],
    }


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
