"""States in files of data: what goes in comes out bit for bit, and no file runs anything."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rllib_metagrad.core.kinds import KINDS
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.metrics import NET
from rllib_metagrad.settings import AgentSettings, NetworkSettings, Schedule
from rllib_metagrad.state_files import NotPlainError, StateFileError, dump, parse, read_state

AGENTS = AgentSettings(lr=Schedule([[0, 0.5], [10, 0.1]]), loss="ppo", network=NetworkSettings(hiddens=(4, 8)))
VALUES: dict[str, Any] = {
    "plain": {"a": [1, -2.5, True, None, "ü"], "b": {}, "c": ()},
    "numbers": [2**200, -0.0, 1e-320, math.inf, 0.1 + 0.2],
    "tuples": ((1, (2.0, "x")), [(3,)]),
    "keys": {1: "a", (2, "b"): [3], None: 4},
    "marks": {"$": "tuple", "items": [1]},
    "scalars": [np.float32(0.1), np.int64(-3), np.bool_(True), np.uint8(255), np.float64("inf")],
    "arrays": {"a": np.arange(6.0).reshape(2, 3), "b": [np.zeros((0, 3), np.uint8), np.array(True)], "a/b": np.ones(2)},
    "names": {"a/b": np.zeros(2), "a": {"b": np.ones(2)}, "file": np.arange(2), "words": np.array(["x", "yz"])},
    "generator": np.random.default_rng(3).bit_generator.state,
    "tensors": {"x": torch.arange(6.0).reshape(2, 3).T, "y": torch.tensor(1.5), "z": torch.ones(2, dtype=torch.bool)},
    "records": [OptimizerState(torch.ones(1, 3), torch.zeros(1, 3), 7), {NET: torch.ones(2)}],
    "settings": [AGENTS, AGENTS.at(5), NetworkSettings(custom="my:Net", custom_config={"n": (1, 2)})],
}


def same(a: Any, b: Any) -> bool:
    """Equal in type and bits, at any depth."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and same(a.numpy(), b.numpy())
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, OptimizerState):
        return same(vars(a), vars(b))
    return bool(a == b) and repr(a) == repr(b)


@pytest.mark.parametrize("name", VALUES)
def test_what_goes_in_comes_out(name: str) -> None:
    value = VALUES[name]
    assert same(parse(*dump(value, KINDS), KINDS), value)


def test_names_of_arrays_are_their_places() -> None:
    _, arrays = dump({"agents": [{"theta": np.arange(3)}]})
    assert arrays is not None
    with np.load(io.BytesIO(arrays), allow_pickle=False) as archive:
        assert archive["state/agents/0/theta"].tolist() == [0, 1, 2]


def test_an_array_that_is_there_twice_is_kept_once() -> None:
    weights = torch.arange(1000.0)
    _, once = dump([weights], KINDS)
    text, twice = dump([weights, {"again": weights}, weights.reshape(10, 100)], KINDS)
    assert once is not None
    assert twice is not None
    assert len(twice) < 2.5 * len(once)  # the third has another shape
    first, second, third = parse(text, twice, KINDS)
    assert same([first, second["again"], third], [weights, weights, weights.reshape(10, 100)])


def test_without_kinds_objects_are_left_apart() -> None:
    found = parse(*dump({"moments": OptimizerState(torch.ones(1, 3), torch.zeros(1, 3), 7)}, KINDS))
    assert set(found["moments"]) == {"first", "second", "count"}
    assert found["moments"]["first"].tolist() == [[1.0, 1.0, 1.0]]


class Mine(dict):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, {2}]}, "state/a/1 is no data but builtins.set"),
        ({"f": len}, "state/f is no data but builtins.builtin_function_or_method"),
        (np.array([{}], object), "state is no data but array of object"),
        (np.zeros(2, [("a", object)]), "state is no data but array of"),
        (Mine(), "Mine"),
        ([torch.zeros(2, dtype=torch.bfloat16)], "a tensor of torch.bfloat16"),
        (object, "builtins.type"),
        (Path("x"), "Path"),
    ],
)
def test_what_is_no_data_is_named(value: Any, message: str) -> None:
    with pytest.raises(NotPlainError) as error:
        dump(value, KINDS)
    assert message in str(error.value)


# -- files that somebody made ---------------------------------------------------------------------------


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def of_objects(evil: Evil) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{"state/a": np.array([evil], object)})  # type: ignore[arg-type]
    return buffer.getvalue()


def single_of_objects(evil: Evil) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([evil], object), allow_pickle=True)
    return buffer.getvalue()


WANTS_AN_ARRAY = json.dumps({"format": 1, "state": {"$": "array", "name": "state/a"}}).encode()


@pytest.mark.parametrize(
    "arrays", [of_objects, single_of_objects, pickle.dumps, lambda evil: b"", lambda evil: b"PK\3\4"]
)
@pytest.mark.parametrize("kinds", [None, KINDS])
def test_arrays_of_objects_and_pickles_are_refused_unread(
    tmp_path: Path, arrays: Callable[[Evil], bytes], kinds: Any
) -> None:
    target = tmp_path / "ran"
    content = arrays(Evil(target))
    with pytest.raises(StateFileError):
        parse(WANTS_AN_ARRAY, content, kinds)
    assert not target.exists()
    if content == pickle.dumps(Evil(target)):
        pickle.loads(content)  # the sample does what it is for
        assert target.exists()


@pytest.mark.parametrize(
    "tree",
    [
        {"$": "os.system", "of": "true"},
        {"$": "scalar", "dtype": "O", "value": 1},
        {"$": "scalar", "dtype": "V8", "value": 1},
        {"$": "array", "name": "state/missing"},
        {"$": "OptimizerState", "of": {"first": 1, "unknown": 2}},
        {"$": "tensor", "of": "text"},
        {"$": "dict", "items": [[{"$": "dict", "items": []}, 1]]},
        {"$": "AgentSettings", "of": {"lr": "fast"}},
        {"$": ["unhashable"], "of": 1},
    ],
)
def test_trees_that_dump_never_wrote(tree: Any) -> None:
    with pytest.raises(StateFileError):
        parse(json.dumps({"format": 1, "state": tree}).encode(), None, KINDS)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", pickle.dumps({}), b'{"format": 2, "state": 1}', b'{"state": 1}'])
def test_files_that_are_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "state.json").write_bytes(text)
    with pytest.raises(StateFileError, match=r"state\.json: "):
        read_state(tmp_path / "state.json")
