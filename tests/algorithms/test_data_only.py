"""Checkpoints as data: what is read without a pickle, and that a stranger's pickles are not run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from env_wrappers.escape_room import EscapeRoom
from rllib_metagrad import MetaGrad, MetaGradConfig, read_checkpoint
from rllib_metagrad.checkpoint_files import CONTENTS, MARKER
from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.evaluation import evaluate, load
from rllib_metagrad.state_files import NotPlainError, StateFileError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]
MODULES = "learner_group/learner/rl_module"


class Remembers(EscapeRoom):
    """Keeps what is no data."""

    def get_lasting_state(self) -> Any:
        return {"seen": {1, 2}}

    def set_lasting_state(self, saved: Any) -> None:
        assert saved == {"seen": {1, 2}}


def config() -> MetaGradConfig:
    return (
        MetaGradConfig()
        .environment("escape_room", env_config={"n": 2, "m": 1})
        .env_runners(num_envs_per_env_runner=2)
        .agents(lr=[[0, 0.05], [100, 0.01]], network={"hiddens": [4]})
        .debugging(seed=3, log_level="ERROR")
        .evaluation(evaluation_interval=None)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MetaGrad, Path]]:
    algorithm = config().build_algo()
    algorithm.train(), algorithm.train()
    folder = tmp_path_factory.mktemp("data_only") / "checkpoint"
    algorithm.save_to_path(folder)
    yield algorithm, folder
    algorithm.stop()


@pytest.fixture
def copied(trained: tuple[MetaGrad, Path], tmp_path: Path) -> Path:
    """A copy without a list of contents, as whoever changes files would make it."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(trained[1], folder)
    (folder / CONTENTS).unlink()
    marks = json.loads((folder / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps({**marks, CONTENTS: False}))
    return folder


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def plant(folder: Path, names: list[str]) -> Path:
    """Pickles that make a folder when they are read, whose path is returned."""
    target = folder.parent / "ran"
    for name in names:
        (folder / name).write_bytes(pickle.dumps(Evil(target)))
    return target


def test_all_states_are_data(trained: tuple[MetaGrad, Path]) -> None:
    algorithm, folder = trained
    found = read_checkpoint(folder)
    assert found.pickles == ()
    assert found.config["algorithm"] == "MetaGrad"
    assert found.config["left_out"] == []
    assert found.config["values"]["env_config"] == {"n": 2, "m": 1}
    assert found.config["values"]["agent_lr"] == [[0, 0.05], [100, 0.01]]
    assert found.states["."]["training_iteration"] == 2
    for module_id, weights in algorithm.get_weights().items():
        parameters = found.states[f"{MODULES}/{module_id}"]
        assert set(parameters) == set(weights)
        for name, value in weights.items():
            assert np.array_equal(parameters[name], value)
    update = found.states["learner_group/learner"]["incentive_learner"]["last_update"]
    assert update["trajectory"]["rewards"].shape[1:] == (2, 2)
    # Counted in docs/security.md: a folder for each of two agents, and six more.
    folders = {file.parent for file in folder.rglob("class_and_ctor_args.pkl")}
    assert len(found.states) == len(folders) == 2 + 6
    # What RLlib asks for: how to construct each component, and the empty one by which it knows an algorithm.
    pickles = {file.name for file in folder.rglob("*.pkl")}
    assert pickles == {"class_and_ctor_args.pkl", "algorithm_state.pkl"}
    assert pickle.loads((folder / "algorithm_state.pkl").read_bytes()) == {"in": ".json"}


def test_reading_needs_neither_ray_nor_torch(trained: tuple[MetaGrad, Path]) -> None:
    program = (
        "import sys, rllib_metagrad; found = rllib_metagrad.read_checkpoint(sys.argv[1]); "
        "assert len(found.states) > 5; assert not {'ray', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(trained[1])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_strangers_pickles_are_not_run(trained: tuple[MetaGrad, Path], copied: Path) -> None:
    """In the place of every pickle that is there, and beside every state."""
    names = [str(file.relative_to(copied)) for file in copied.rglob("*.pkl")]
    names += [str(file.relative_to(copied).with_suffix(".pkl")) for file in copied.rglob("*state.json")]
    names += [name.replace(".pkl", ".msgpack") for name in names]
    target = plant(copied, names)
    algorithm = load(copied, data_only=True)
    known, found = trained[0].get_weights(), algorithm.get_weights()
    assert all(np.array_equal(known[m][name], found[m][name]) for m in known for name in known[m])
    assert evaluate(algorithm, episodes=2)["episodes"] == 2
    trained[0].restore_from_path(copied)
    assert read_checkpoint(copied).states["."]["training_iteration"] == 2
    algorithm.stop()
    assert not target.exists()


STATES = ["algorithm_state", "env_runner/state", "learner_group/state", "learner_group/learner/state"]
STATES += [f"{MODULES}/module_state", f"{MODULES}/agent_1/module_state", f"{MODULES}/designer/module_state"]


@pytest.mark.parametrize("state", STATES)
def test_a_pickle_in_the_place_of_a_state_is_refused(copied: Path, state: str) -> None:
    target = plant(copied, [f"{state}.pkl"])
    (copied / f"{state}.json").unlink()
    with pytest.raises(NotPlainError, match=r"is a pickle \(there is no (algorithm_|module_|)state\.json\)"):
        load(copied, data_only=True)
    assert read_checkpoint(copied).pickles == (f"{state}.pkl",)
    assert not target.exists()


def test_arrays_of_objects_are_refused(copied: Path) -> None:
    target = copied.parent / "ran"
    file = copied / MODULES / "agent_0" / "module_state.npz"
    with np.load(file) as archive:
        arrays = {name: np.array([Evil(target)], object) for name in archive.files}
    np.savez(file, **arrays)
    for read in (read_checkpoint, lambda folder: load(folder, data_only=True), load):
        with pytest.raises(StateFileError, match="allow_pickle=False"):
            read(copied)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"left_out": ["callbacks_class", "logger_creator"]},
            "config holds what is no data: callbacks_class, log",
        ),
        ({"algorithm": "os:system"}, "its algorithm os:system is none of MetaGrad, DualRL"),
        (None, "there is no plain_config.json"),
    ],
)
def test_configs_that_are_not_data_alone(copied: Path, content: dict[str, Any] | None, message: str) -> None:
    from rllib_metagrad.cli.evaluate import _evaluate

    file = copied / "plain_config.json"
    whole = json.loads(file.read_text())
    file.unlink()
    if content is not None:
        whole["state"] |= content
        file.write_text(json.dumps(whole))
    with pytest.raises(NotPlainError, match=message):
        load(copied, data_only=True)
    whole_message = f"--data-only: .*{message}.*; leave the flag out only if you trust who made it"
    with pytest.raises(BadInputError, match=whole_message):
        _evaluate(copied, 2, None, None, 0, False, {}, data_only=True)
    load(copied).stop()  # by RLlib's pickle of the config


def test_the_python_file_of_a_run_is_not_run(tmp_path: Path) -> None:
    from rllib_metagrad.cli.evaluate import _import_definitions
    from rllib_metagrad.cli.run_folder import SPEC_FILE

    (tmp_path / SPEC_FILE).write_text("")
    (tmp_path / "stranger_of_a_run.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').mkdir()\n")
    checkpoint = tmp_path / "trial" / "checkpoint_000000"
    _import_definitions(checkpoint, None, data_only=True)
    assert not (tmp_path / "ran").exists()
    _import_definitions(checkpoint, None, data_only=False)
    assert (tmp_path / "ran").exists()


def test_what_is_no_data_stays_a_pickle_and_is_named(tmp_path: Path) -> None:
    """An environment that keeps a set, and a callback."""
    from ray.tune.registry import register_env

    register_env("remembers", lambda _: Remembers(n=2, m=1))
    built = config().environment("remembers").callbacks(on_train_result=lambda **_: None)
    algorithm = built.build_algo()
    algorithm.train()
    folder = tmp_path / "checkpoint"
    algorithm.save_to_path(folder)
    found = read_checkpoint(folder)
    assert found.pickles == ("algorithm_state.pkl",)
    assert found.config["left_out"] == ["callbacks_on_train_result"]
    assert set(found.states[f"{MODULES}/agent_0"]) == set(algorithm.get_weights()["agent_0"])
    with pytest.raises(NotPlainError, match="callbacks_on_train_result"):
        load(folder, data_only=True)
    again = load(folder)
    assert again.iteration == 1
    algorithm.stop(), again.stop()
