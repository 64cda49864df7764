"""Environments by name, and the messages for names and keys that there are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import ParallelEnv
from toy_envs import Countdown, Toy, toy, unit_box

import env_wrappers
from env_wrappers import CentralizedVectorEnv, LoopVectorEnv, VectorIncentiveEnv, make, make_vec, names, register
from env_wrappers import registry as registry_module
from env_wrappers.escape_room import EscapeRoom, VectorEscapeRoom
from env_wrappers.matrix_games import MatrixGame, VectorMatrixGame


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry_module, "_REGISTRY", dict(registry_module._REGISTRY))


def error_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """The message of the ValueError that the call must raise: one line."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the callers check the message
        call(*args, **kwargs)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_names() -> None:
    assert {"escape_room", "matrix_game", "pettingzoo"} <= set(names())
    assert names() == sorted(names())
    assert all(hasattr(env_wrappers, name) for name in env_wrappers.__all__)


def test_make() -> None:
    env = make("escape_room", n=3, m=1, max_steps=7)
    assert isinstance(env, EscapeRoom)
    assert (env.n, env.m, env.max_episode_steps) == (3, 1, 7)
    assert isinstance(make("matrix_game", game="chicken"), MatrixGame)
    assert isinstance(make("pettingzoo", id="mpe2.simple_spread_v3", N=2), ParallelEnv)


@pytest.mark.parametrize(
    ("name", "config", "native"),
    [("escape_room", {"n": 3, "m": 1}, VectorEscapeRoom), ("matrix_game", {"num_rounds": 2}, VectorMatrixGame)],
)
def test_make_vec_backends(name: str, config: dict[str, Any], native: type[VectorIncentiveEnv]) -> None:
    env = make_vec(name, 3, **config)
    assert type(env) is native
    assert env.num_envs == 3
    assert not env.autoreset
    loop = make_vec(name, 3, autoreset=True, backend="loop", **config)
    assert type(loop) is LoopVectorEnv
    assert loop.autoreset
    assert loop.name == env.name == name
    central = make_vec(name, 3, centralized=True, **config)
    assert isinstance(central, CentralizedVectorEnv)
    assert type(central.inner) is native


def test_one_config_for_both() -> None:
    """``backend`` may stand in an env_config, also where a single environment is made from it."""
    config: dict[str, Any] = {"n": 3, "m": 1, "backend": "loop"}
    assert isinstance(make("escape_room", **config), EscapeRoom)
    assert isinstance(make_vec("escape_room", 1, **config), LoopVectorEnv)
    assert "backend must be native or loop, got 'fast'" in error_of(make, "escape_room", backend="fast")
    assert "backend must be native or loop, got 'fast'" in error_of(make_vec, "escape_room", 1, backend="fast")


UNKNOWN = [
    ("escape_rom", {}, ["unknown env 'escape_rom'", "did you mean 'escape_room'?"]),
    (
        "quux",
        {},
        ["unknown env 'quux'", "known: cleanup, contract, escape_room, gather_trade_build, matrix_game"],
    ),
    ("escape_room", {"max_step": 3}, ["escape_room", "'max_step'", "did you mean 'max_steps'?"]),
    ("escape_room", {"zzzzz": 3}, ["escape_room", "'zzzzz'", "known: ", "max_steps"]),
    ("escape_room", {"backent": "loop"}, ["escape_room", "'backent'", "did you mean 'backend'?"]),
    ("matrix_game", {"gane": "chicken"}, ["matrix_game", "'gane'", "did you mean 'game'?"]),
    ("matrix_game", {"game": "chiken"}, ["matrix_game", "'chiken'", "did you mean 'chicken'?"]),
]


@pytest.mark.parametrize(("name", "config", "parts"), UNKNOWN)
def test_nearest_names(name: str, config: dict[str, Any], parts: list[str]) -> None:
    for message in (error_of(make, name, **config), error_of(make_vec, name, 2, **config)):
        for part in parts:
            assert part in message


@pytest.mark.parametrize("name", [None, 3, ["escape_room"]])
def test_names_that_are_no_strings(name: Any) -> None:
    assert "unknown env" in error_of(make, name)


# -- register -------------------------------------------------------------------------------------------


def test_register_a_parallel_env() -> None:
    register("mine", lambda length=2: toy(2, max_steps=length))
    assert "mine" in names()
    env = make("mine", length=5)
    assert isinstance(env, Toy)
    assert env.max_steps == 5
    batched = make_vec("mine", 2, length=1)
    assert isinstance(batched, LoopVectorEnv)
    assert batched.name == "mine"
    batched.reset(seed=0)
    batched.step([np.zeros((2, 2), np.int64)])
    assert batched.truncated.all()
    assert "did you mean 'length'?" in error_of(make, "mine", lenght=5)


def test_register_a_batched_twin() -> None:
    made: list[dict[str, Any]] = []

    def twin(num_envs: int, autoreset: bool = False, n: int = 2) -> VectorIncentiveEnv:
        made.append({"num_envs": num_envs, "autoreset": autoreset, "n": n})
        return VectorEscapeRoom(num_envs, n=n, m=1, autoreset=autoreset)

    register("mine", lambda n=2: EscapeRoom(n=n, m=1), twin)
    assert isinstance(make_vec("mine", 4, autoreset=True, n=3), VectorEscapeRoom)
    assert made == [{"num_envs": 4, "autoreset": True, "n": 3}]
    assert isinstance(make_vec("mine", 4, backend="loop"), LoopVectorEnv)


def test_a_registered_name_can_be_replaced() -> None:
    register("escape_room", lambda: toy(1))
    assert isinstance(make("escape_room"), Toy)


def test_missing_arguments_are_named() -> None:
    """As a ValueError, like every other mistake in an env_config."""

    def factory(size: int, speed: float = 1.0) -> Toy:
        return toy(size)

    register("mine", factory)
    for message in (error_of(make, "mine"), error_of(make_vec, "mine", 1, speed=2.0)):
        assert message.startswith("mine: ")
        assert "'size'" in message


# -- pettingzoo -----------------------------------------------------------------------------------------


@pytest.fixture
def my_module(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of somebody's own environments."""
    package = tmp_path / "somebodys_games"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "hawks.py").write_text("import a_module_that_is_not_there\n")
    (package / "doves.py").write_text(
        "from toy_envs import countdown, toy\n"
        "NUMBER = 3\n"
        "def flock(count=2):\n    return toy(count)\n"
        "def turns(count=3):\n    env = countdown(count)\n    return env\n"
        "def one_at_a_time():\n    env = countdown(2)\n"
        "    env.metadata = {'name': 'x', 'is_parallelizable': False}\n    return env\n"
        "def nothing():\n    return 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "somebodys_games"
    for module in [name for name in sys.modules if name.startswith("somebodys_games")]:
        del sys.modules[module]


def test_pettingzoo_by_import_path(my_module: str) -> None:
    spread = make_vec("pettingzoo", 2, id="mpe2.simple_spread_v3", N=2, max_cycles=3)
    assert spread.name == "mpe2.simple_spread_v3"
    assert len(spread.possible_agents) == 2
    flock = make("pettingzoo", id=f"{my_module}.doves:flock", count=4)
    assert len(flock.possible_agents) == 4


def test_pettingzoo_aec(my_module: str) -> None:
    """Agents that act in cycles are stepped in parallel; those that truly take turns are refused."""
    env = make("pettingzoo", id=f"{my_module}.doves:turns")
    assert isinstance(env, ParallelEnv)
    assert isinstance(env.unwrapped, Countdown) or hasattr(env, "aec_env")
    message = error_of(make, "pettingzoo", id=f"{my_module}.doves:one_at_a_time")
    assert "take turns" in message


PETTINGZOO_ERRORS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["needs id"]),
    ({"id": 3}, ["needs id"]),
    ({"id": "mpe2.simple_spred_v3"}, ["mpe2.simple_spred_v3", "did you mean", "mpe2.simple_spread_v3"]),
    ({"id": "no_such_package_x.env_v0"}, ["no_such_package_x", "installed"]),
    ({"id": "no_such_package_x"}, ["no_such_package_x", "installed"]),
    ({"id": "mpe2.simple_spread_v3:parallel_enw"}, ["'parallel_enw'"]),
    ({"id": "collections"}, ["'collections'", "parallel_env"]),
    ({"id": "mpe2.simple_spread_v3", "cycles": 3}, ["mpe2.simple_spread_v3", "'cycles'"]),
    ({"id": "mpe2.simple_spread_v3", "max_cycle": 3}, ["'max_cycle'", "did you mean 'max_cycles'?"]),
    ({"id": "somebodys_games.hawks"}, ["somebodys_games.hawks", "a_module_that_is_not_there"]),
    ({"id": "somebodys_games.dovez"}, ["somebodys_games.dovez", "did you mean 'somebodys_games.doves'?"]),
    ({"id": "somebodys_games.doves:flok"}, ["'flok'"]),
    ({"id": "somebodys_games.doves:flock", "cuont": 3}, ["'cuont'", "did you mean 'count'?"]),
    ({"id": "somebodys_games.doves:nothing"}, ["int", "not a PettingZoo environment"]),
    ({"id": "somebodys_games.doves:NUMBER"}, ["NUMBER"]),
    ({"id": "somebodys_games."}, ["somebodys_games."]),
    ({"id": ".doves"}, [".doves"]),
    ({"id": ":flock"}, [":flock"]),
]


@pytest.mark.parametrize(("config", "parts"), PETTINGZOO_ERRORS)
def test_pettingzoo_errors(config: dict[str, Any], parts: list[str], my_module: str) -> None:
    for message in (error_of(make, "pettingzoo", **config), error_of(make_vec, "pettingzoo", 1, **config)):
        assert message.startswith("pettingzoo: ")
        for part in parts:
            assert part in message


NO_FACTORIES: list[dict[str, Any]] = [
    {"id": "os:system", "command": "mkdir ran"},
    {"id": "subprocess:run", "args": ["mkdir", "ran"]},
    {"id": "subprocess:Popen", "args": ["mkdir", "ran"]},
    {"id": "pathlib:Path"},
    {"id": "builtins:exec", "source": "import os; os.mkdir('ran')"},
    {"id": "builtins:dict"},
    {"id": "torch:save", "obj": 1, "f": "ran"},
    {"id": "numpy:savetxt", "fname": "ran", "X": [1]},
    {"id": "mine:system", "command": "mkdir ran"},
    {"id": "mine:bound"},
]


@pytest.mark.parametrize("config", NO_FACTORIES, ids=lambda config: config["id"])
def test_what_is_no_factory_is_not_called(
    config: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(
        "from functools import partial\nfrom os import mkdir, system\nbound = partial(mkdir, 'ran')\n"
    )
    for message in (error_of(make, "pettingzoo", **config), error_of(make_vec, "pettingzoo", 1, **config)):
        assert f"pettingzoo: {config['id']} is neither an environment's class nor a factory" in message
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["mine.py"]
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("id", ["mpe2.simple_spread_v3", "mpe2.simple_spread_v3:env", "mpe2.simple_spread_v3:raw_env"])
def test_what_is_installed_and_makes_environments_is_called(id: str) -> None:
    assert len(make("pettingzoo", id=id, max_cycles=2).possible_agents) == 3


def test_a_missing_dependency_is_not_taken_for_a_wrong_id(my_module: str) -> None:
    """The module that was asked for is there: to suggest its own name would be no help."""
    assert "did you mean" not in error_of(make, "pettingzoo", id=f"{my_module}.hawks")


def test_unsupported_spaces_are_refused_on_one_line() -> None:
    register("text", lambda: Toy({"a": unit_box()}, {"a": gym.spaces.Text(3)}))
    assert "must be Discrete, MultiDiscrete, MultiBinary or a float Box" in error_of(make_vec, "text", 1)
    wide = gym.spaces.Box(np.zeros((50, 3)), np.arange(150).reshape(50, 3), dtype=np.int64)
    register("wide", lambda: Toy({"a": unit_box()}, {"a": wide}))
    assert "env 'wide': agent 'a': action space Box(0, " in error_of(make_vec, "wide", 1)
