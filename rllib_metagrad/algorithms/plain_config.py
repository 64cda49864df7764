"""A config as data, beside RLlib's pickle of it: what differs from the defaults."""

from __future__ import annotations

import pathlib
from typing import Any

from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.state_files import CONFIG_STEM, NotPlainError, dump, read_state


def write(folder: pathlib.Path, algorithm: type, config: IncentiveDesignConfig) -> None:
    """Into a checkpoint; values that are no data, such as functions, by their keys alone.

    Args:
        folder: of the checkpoint.
        algorithm: known by its name, or by its import path where it is not ours.
        config: of the algorithm.
    """
    ours = algorithm.__module__.startswith("rllib_metagrad.")
    name = algorithm.__name__ if ours else f"{algorithm.__module__}:{algorithm.__qualname__}"
    defaults = type(config)().get_state()
    values: dict[str, Any] = {}
    left_out = []
    for key, value in config.get_state().items():
        if key in defaults and _same(value, defaults[key]):
            continue
        try:
            dump(value)
        except NotPlainError:
            left_out.append(key)
        else:
            values[key] = value
    text, arrays = dump({"algorithm": name, "values": values, "left_out": left_out})
    for suffix, content in ((".json", text), (".npz", arrays)):
        if content is not None:
            (folder / f"{CONFIG_STEM}{suffix}").write_bytes(content)


def _same(value: Any, default: Any) -> bool:
    try:
        return dump(value) == dump(default)
    except NotPlainError:
        return type(value) is type(default) and bool(value == default)


def read(folder: pathlib.Path) -> tuple[str, dict[str, Any]]:
    """The algorithm's name, and keys of its config that differ from their defaults.

    Raises:
        NotPlainError: if there is no such file, or some of the config is no data.
    """
    file = folder / f"{CONFIG_STEM}.json"
    if not file.is_file():
        raise NotPlainError(f"there is no {file.name} (versions before 0.2 wrote none)")
    found = read_state(file)
    if found["left_out"]:
        raise NotPlainError(f"its config holds what is no data: {', '.join(found['left_out'])}")
    return found["algorithm"], found["values"]
