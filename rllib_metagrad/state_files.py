"""States as data: a tree in JSON and its arrays in an ``.npz``, which can be read without running what they say.

A pickle is a program. What is written here is not: ``json`` and ``numpy.load(allow_pickle=False)`` read it, and only
classes that whoever reads it names (:class:`Kind`) are made of it. :func:`read_checkpoint` names none, and needs
neither Ray nor torch.

In the tree, values that JSON has not are mappings with a key ``$``, which says what they are: ``tuple``, ``dict`` (with
keys that are no strings), ``array`` (its ``name`` in the ``.npz``), ``scalar`` (of numpy), or the name of a kind.
"""

from __future__ import annotations

import io
import json
import pathlib
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from rllib_metagrad.checkpoint_files import check_whole

__all__ = ["Kind", "NotPlainError", "PlainCheckpoint", "StateFileError", "dump", "parse", "read_checkpoint"]

#: In checkpoints: the algorithm's name, and its config where that differs from the defaults.
CONFIG_STEM = "plain_config"
_TAG = "$"
_FORMAT = 1
_BUILT_IN = (type(None), bool, int, float, str)


class NotPlainError(TypeError):
    """A state holds an object that is no data."""


class StateFileError(ValueError):
    """A file is no state that :func:`dump` wrote."""


@dataclass(frozen=True)
class Kind:
    """A class whose objects are data under a name.

    Attributes:
        name: by which files know it.
        cls: the class itself; subclasses are others.
        apart: an object's plain content.
        together: inverse of ``apart``.
    """

    name: str
    cls: type
    apart: Callable[[Any], Any]
    together: Callable[[Any], Any]

    @classmethod
    def of_dataclass(cls, record: type) -> Self:
        """A dataclass by its fields."""
        return cls(
            record.__name__,
            record,
            lambda value: {field.name: getattr(value, field.name) for field in fields(value)},
            lambda content: record(**content),
        )


class _Packer:
    """Takes one state apart; arrays that lie in the same memory are kept once."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._kinds = {kind.cls: kind for kind in kinds}
        self._names: dict[Any, str] = {}

    def pack(self, value: Any, path: str) -> Any:
        cls = type(value)
        if cls in _BUILT_IN:
            return value
        if cls is list:
            return [self.pack(item, f"{path}/{i}") for i, item in enumerate(value)]
        if cls is tuple:
            return {_TAG: "tuple", "items": self.pack(list(value), path)}
        if cls in (dict, OrderedDict):
            if _TAG not in value and all(type(key) is str for key in value):
                return {key: self.pack(item, f"{path}/{key}") for key, item in value.items()}
            items = [[self.pack(key, path), self.pack(item, f"{path}/{key}")] for key, item in value.items()]
            return {_TAG: "dict", "items": items}
        if cls is np.ndarray and not value.dtype.hasobject:
            return {_TAG: "array", "name": self._name_of(value, path)}
        if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            return {_TAG: "scalar", "dtype": value.dtype.str, "value": value.item()}
        kind = self._kinds.get(cls)
        if kind is None:
            what = f"array of {value.dtype}" if cls is np.ndarray else f"{cls.__module__}.{cls.__qualname__}"
            raise NotPlainError(f"{path} is no data but {what}")
        return {_TAG: kind.name, "of": self.pack(kind.apart(value), path)}

    def _name_of(self, array: np.ndarray, path: str) -> str:
        where = (array.__array_interface__["data"][0], array.dtype.str, array.shape, array.strides)
        if array.size and where in self._names:
            return self._names[where]
        name, count = path, 1
        while name in self.arrays:
            count += 1
            name = f"{path}#{count}"
        self.arrays[name] = array  # kept until all is packed, so that nothing else comes to lie there
        self._names[where] = name
        return name


def dump(value: Any, kinds: Iterable[Kind] = ()) -> tuple[bytes, bytes | None]:
    """A state as the content of a ``.json`` and of an ``.npz`` (None: it has no arrays).

    Args:
        value: of mappings, lists, tuples, numbers, strings, None, numpy's arrays and scalars, and ``kinds``.
        kinds: classes of whose objects it may be made as well.

    Raises:
        NotPlainError: naming the first object that is anything else.
    """
    packer = _Packer(kinds)
    tree = packer.pack(value, "state")
    text = json.dumps({"format": _FORMAT, "state": tree}, indent=1).encode()
    if not packer.arrays:
        return text, None
    buffer = io.BytesIO()
    np.savez(buffer, **packer.arrays)  # type: ignore[arg-type]  # names begin with state/, so none is a parameter's
    return text, buffer.getvalue()


def parse(text: bytes, arrays: bytes | None, kinds: Iterable[Kind] | None = None) -> Any:
    """Inverse of :func:`dump`.

    Args:
        text: of the ``.json``.
        arrays: of the ``.npz``, or None.
        kinds: as they were; None: their objects are left apart, mappings of arrays.

    Raises:
        StateFileError: for a file that is none of ours, arrays of Python objects included: nothing of it was run.
    """
    named = None if kinds is None else {kind.name: kind for kind in kinds}
    try:
        whole = json.loads(text)
        if whole["format"] != _FORMAT:
            raise StateFileError(f"its format is {whole['format']!r}; this version reads {_FORMAT}")
        return _unpack(whole["state"], {} if arrays is None else _read_arrays(arrays), named)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, RecursionError, EOFError) as error:
        raise StateFileError(f"no state that can be read: {type(error).__name__}: {error}") from error


def _read_arrays(content: bytes) -> dict[str, np.ndarray]:
    archive = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise StateFileError("its arrays are no .npz")
    return {name: archive[name] for name in archive.files}


def _unpack(tree: Any, arrays: Mapping[str, np.ndarray], kinds: Mapping[str, Kind] | None) -> Any:
    def again(item: Any) -> Any:
        return _unpack(item, arrays, kinds)

    if isinstance(tree, list):
        return [again(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if _TAG not in tree:
        return {key: again(item) for key, item in tree.items()}
    what = tree[_TAG]
    if what == "tuple":
        return tuple(again(tree["items"]))
    if what == "dict":
        return {again(key): again(item) for key, item in tree["items"]}
    if what == "array":
        return arrays[tree["name"]]
    if what == "scalar":
        dtype = np.dtype(tree["dtype"])
        if dtype.kind not in "biuf":
            raise StateFileError(f"a scalar of {dtype}")
        return dtype.type(tree["value"])
    content = again(tree["of"])
    if kinds is None:
        return content
    if what not in kinds:
        raise StateFileError(f"an object of an unknown kind {what!r}")
    return kinds[what].together(content)


@dataclass(frozen=True)
class PlainCheckpoint:
    """What a checkpoint holds, as data.

    Attributes:
        config: ``algorithm``, its name; ``values``, keys of its config that differ from their defaults; ``left_out``,
            those of them that are no data. Empty where a version before 0.2 wrote it.
        states: by folder (``learner_group/learner/rl_module/agent_0``; the algorithm's own is ``.``), parameters as
            arrays by name.
        pickles: files that hold the states of the other folders, and were left alone.
    """

    config: dict[str, Any]
    states: dict[str, Any]
    pickles: tuple[str, ...]


def read_checkpoint(path: str | pathlib.Path) -> PlainCheckpoint:
    """Reads a checkpoint, whoever made it, without running anything that is in it.

    Args:
        path: a folder that ``Algorithm.save_to_path`` or Tune wrote, all of it.

    Raises:
        IncompleteCheckpointError: for a part of a checkpoint or one that has changed.
        StateFileError: for a state file that is none.
    """
    folder = pathlib.Path(path)
    check_whole(folder)
    config, states = {}, {}
    for file in sorted(folder.rglob("*.json")):
        if file.name == f"{CONFIG_STEM}.json":
            config = read_state(file)
        elif file.name.endswith("state.json"):
            states[file.parent.relative_to(folder).as_posix()] = read_state(file)
    pickles = tuple(
        file.relative_to(folder).as_posix()
        for file in sorted(folder.rglob("*state.*"))
        if file.suffix in (".pkl", ".msgpack") and not file.with_suffix(".json").is_file()
    )
    return PlainCheckpoint(config, states, pickles)


def read_state(file: pathlib.Path, kinds: Iterable[Kind] | None = None) -> Any:
    """The state of a ``.json`` and the ``.npz`` beside it, see :func:`parse`."""
    beside = file.with_suffix(".npz")
    try:
        return parse(file.read_bytes(), beside.read_bytes() if beside.is_file() else None, kinds)
    except StateFileError as error:
        raise StateFileError(f"{file}: {error}") from error
