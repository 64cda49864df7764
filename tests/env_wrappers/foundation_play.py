"""What the tests of the wrapped original share."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from env_wrappers.gather_trade_build.foundation import FoundationEnv

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("ai_economist") is None, reason="ai-economist is not installed"
)


def noop(env: FoundationEnv) -> dict[str, Any]:
    """Everybody waits."""
    return dict.fromkeys(env.possible_agents, 0)


def legal(env: FoundationEnv, rng: np.random.Generator) -> dict[str, Any]:
    """A random action of everybody that its mask allows."""
    masks = {agent: o["action_mask"] for agent, o in env.observations().items()}
    return {agent: int(rng.choice(np.flatnonzero(mask))) for agent, mask in masks.items()}


def steps(env: FoundationEnv, count: int) -> None:
    """Lets time pass."""
    for _ in range(count):
        env.step(noop(env))


def flat(observations: dict[str, Any]) -> np.ndarray:
    """All numbers of all agents in one row."""
    return np.concatenate([np.ravel(array) for own in observations.values() for array in own.values()])
