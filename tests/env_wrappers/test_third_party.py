"""Environments of other people through ``make_vec``, and what importing the package costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from pettingzoo import ParallelEnv

import env_wrappers


def broken() -> ParallelEnv:
    """For the import path ``test_third_party:broken``."""
    raise TypeError("inside")


def test_an_error_inside_an_environment_is_not_blamed_on_its_arguments() -> None:
    with pytest.raises(TypeError, match="inside"):
        env_wrappers.make("pettingzoo", id="test_third_party:broken")


class WithoutSignature(dict):  # type: ignore[type-arg]
    """For the import path ``test_third_party:WithoutSignature``: its constructor is written in C."""

    reset = step = observation_space = action_space = None


def test_what_tells_no_signature_is_called() -> None:
    with pytest.raises(ValueError, match="WithoutSignature made a WithoutSignature, not a PettingZoo environment"):
        env_wrappers.make("pettingzoo", id="test_third_party:WithoutSignature")


def test_a_classic_environment() -> None:
    """Its attribute ``state`` is a dict, not PettingZoo's method: all observations stand for the state."""
    env = env_wrappers.make_vec("pettingzoo", 2, autoreset=True, id="pettingzoo.classic.rps_v2", max_cycles=4)
    env.reset(0)
    assert env.state_shape == (8,)
    env.step([np.array([[0, 1], [2, 1]])])  # rock against paper, scissors against paper
    assert env.rewards.tolist() == [[-1, 1], [1, -1]]
    assert env.state[0].tolist() == env.observations[0][0].ravel().tolist()


def test_continuous_actions() -> None:
    env = env_wrappers.make_vec("pettingzoo", 2, id="mpe2.simple_spread_v3", continuous_actions=True)
    env.reset(0)
    sent = np.random.default_rng(0).random((2, 3, 5), np.float32)
    env.step([sent])
    np.testing.assert_array_equal(env.action_features, sent)
    assert not env.action_types.any()


def test_numpy_numbers_are_numbers() -> None:
    """Ray Tune samples them."""
    two: Any = np.int64(2)
    assert env_wrappers.make_vec("escape_room", two, n=np.int64(4), m=np.int32(2)).num_envs == 2


def test_the_package_imports_neither_torch_nor_ray_nor_numba() -> None:
    code = "import sys, env_wrappers; print([m for m in ('torch', 'ray', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
