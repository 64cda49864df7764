"""Environments by name, and any PettingZoo environment by import path."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pettingzoo import AECEnv, ParallelEnv
from small_envs import Noisy, random_actions, vectors

import env_wrappers
from env_wrappers import registry
from env_wrappers.escape_room import EscapeRoom, VectorEscapeRoom


@pytest.fixture
def clean_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    yield


def test_names() -> None:
    assert {"escape_room", "matrix_game", "pettingzoo"} <= set(env_wrappers.names())


def test_native_where_there_is_one_unless_the_loop_is_asked_for() -> None:
    assert isinstance(env_wrappers.make("escape_room", n=3), EscapeRoom)
    assert isinstance(env_wrappers.make_vec("escape_room", 2, n=3), VectorEscapeRoom)
    looped = env_wrappers.make_vec("escape_room", 2, n=3, backend="loop")
    assert isinstance(looped, env_wrappers.LoopVectorEnv)
    # One env_config serves both.
    assert isinstance(env_wrappers.make("escape_room", n=3, backend="loop"), EscapeRoom)


@pytest.mark.usefixtures("clean_registry")
def test_register() -> None:
    env_wrappers.register("noisy", Noisy)
    assert "noisy" in env_wrappers.names()
    assert isinstance(env_wrappers.make("noisy"), Noisy)
    env = env_wrappers.make_vec("noisy", 2, autoreset=True)
    assert isinstance(env, env_wrappers.LoopVectorEnv)
    assert (env.name, env.num_envs, env.autoreset) == ("noisy", 2, True)
    env_wrappers.register("rooms", EscapeRoom, VectorEscapeRoom)
    assert isinstance(env_wrappers.make_vec("rooms", 1), VectorEscapeRoom)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("escape_rom", {}, "unknown env 'escape_rom'; did you mean 'escape_room'?"),
        ("zzz", {}, "unknown env 'zzz'; known: "),
        (
            "escape_room",
            {"max_step": 3},
            "escape_room: unknown env_config key 'max_step'; did you mean 'max_steps'?",
        ),
        (
            "matrix_game",
            {"rounds": 3},
            "matrix_game: unknown env_config key 'rounds'; did you mean 'num_rounds'?",
        ),
        ("escape_room", {"backend": "lop"}, "escape_room: backend must be native or loop, got 'lop'"),
        ("pettingzoo", {}, "pettingzoo: env_config needs id"),
        ("pettingzoo", {"id": 3}, "pettingzoo: env_config needs id"),
    ],
)
def test_mistakes(name: str, config: dict[str, Any], message: str) -> None:
    for make in (env_wrappers.make, lambda name, **c: env_wrappers.make_vec(name, 1, **c)):
        with pytest.raises(ValueError, match=re.escape(message)):
            make(name, **config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"id": "mpe2.simple_spred_v3"},
            "no module 'mpe2.simple_spred_v3'; did you mean 'mpe2.simple_spread_v3'?",
        ),
        ({"id": "no_such_package.x"}, "no module 'no_such_package'; is its package installed?"),
        ({"id": ".x"}, "id must be package.module or package.module:function, got '.x'"),
        (
            {"id": "os.path"},
            "'os.path' has neither parallel_env nor env; name your function as os.path:function",
        ),
        ({"id": "small_envs:vector"}, "'small_envs' has no function 'vector'; did you mean 'vectors'?"),
        ({"id": "small_envs:np"}, "'small_envs' has no function 'np'"),
        ({"id": "small_envs:snapshot"}, "small_envs:snapshot does not take these env_config keys"),
        ({"id": "small_envs:Noisy", "n": 3}, "small_envs:Noisy has no argument 'n'"),
        (
            {"id": "mpe2.simple_spread_v3", "max_cycle": 9},
            "mpe2.simple_spread_v3 has no argument 'max_cycle'; did you mean 'max_cycles'?",
        ),
        (
            {"id": "pettingzoo.classic.tictactoe_v3"},
            "the agents of pettingzoo.classic.tictactoe_v3 take turns",
        ),
        ({"id": "builtins:dict"}, "builtins:dict made a dict, not a PettingZoo environment"),
    ],
)
def test_pettingzoo_mistakes(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        env_wrappers.make("pettingzoo", **config)


def test_a_missing_dependency_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules makes an import fail as if it were not installed.
    monkeypatch.setitem(sys.modules, "mpe2._mpe_utils", None)
    for module in [m for m in sys.modules if m.startswith("mpe2.simple_tag")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ValueError, match=r"cannot import 'mpe2\.simple_tag_v3'"):
        env_wrappers.make("pettingzoo", id="mpe2.simple_tag_v3")


def test_an_error_inside_an_environment_is_not_blamed_on_its_arguments() -> None:
    with pytest.raises(TypeError, match="inside"):
        env_wrappers.make("pettingzoo", id="test_env_registry:broken")


def broken() -> ParallelEnv:
    raise TypeError("inside")


def turns() -> AECEnv:
    """An AEC environment that may be converted."""
    from pettingzoo.classic import rps_v2

    return rps_v2.env(max_cycles=4)


def test_an_aec_environment_is_converted() -> None:
    env = env_wrappers.make_vec("pettingzoo", 2, autoreset=True, id="test_env_registry:turns")
    env.reset(0)
    env.step([np.array([[0, 1], [2, 1]])])  # rock against paper, scissors against paper
    assert env.rewards.tolist() == [[-1, 1], [1, -1]]


@pytest.mark.parametrize(
    ("config", "groups"),
    [
        ({"id": "mpe2.simple_spread_v3", "max_cycles": 4}, 1),
        ({"id": "mpe2.simple_speaker_listener_v4", "max_cycles": 4}, 2),
        ({"id": "pettingzoo.classic.rps_v2", "max_cycles": 4}, 1),
    ],
)
def test_pettingzoo_environments_run(config: dict[str, Any], groups: int) -> None:
    env = env_wrappers.make_vec("pettingzoo", 2, autoreset=True, **config)
    env.reset(3)
    assert len(env.groups) == groups
    rng, resets = np.random.default_rng(0), 0
    for _ in range(12):
        env.step(random_actions(env, rng))
        resets += int(env.was_reset.sum())
        np.testing.assert_allclose(env.designer_reward, env.rewards.sum(1), rtol=1e-6)
    assert resets == 4
    env.close()


def test_continuous_actions_run() -> None:
    env = env_wrappers.make_vec("pettingzoo", 2, id="mpe2.simple_spread_v3", continuous_actions=True)
    env.reset(0)
    assert env.action_type_names == ("any",)
    sent = np.random.default_rng(0).random((2, 3, 5), np.float32)
    env.step([sent])
    np.testing.assert_array_equal(env.action_features, sent)


def test_vectors_is_importable_by_id() -> None:
    assert isinstance(env_wrappers.make("pettingzoo", id="small_envs:vectors"), type(vectors()))


def test_the_package_imports_neither_torch_nor_ray_nor_numba() -> None:
    code = "import sys, env_wrappers; print([m for m in ('torch', 'ray', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
