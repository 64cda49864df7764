"""Where each part of an experiment was written, so that a message can point to it; two sources merged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.settings import SettingError

__all__ = ["Place", "Source", "merge"]

#: File and line (``er.yaml:7``) or flag (``--config``), and what the key is called there (``config.lr``, ``lr``).
Place = tuple[str, str]


@dataclass
class Source:
    """Where things come from.

    Attributes:
        name: of the file or flag.
        places: where each dotted key was written; ``""`` is the whole.
    """

    name: str
    places: dict[str, Place] = field(default_factory=dict)

    def find(self, key: str) -> Place:
        """The place of a key; of one that was not written, in the place of what it should be in."""
        known, rest = key, ""
        while known and known not in self.places:
            known, _, last = known.rpartition(".")
            rest = f".{last}{rest}"
        where, written = self.places.get(known, (self.name, ""))
        return where, f"{written}{rest}".removeprefix(".")

    def at(self, key: str, between: str = ": ") -> str:
        """``er.yaml:7: config.lr``."""
        return between.join(part for part in self.find(key) if part)

    def error(self, key: str, message: str) -> BadInputError:
        """A BadInputError that begins with the place of a key."""
        return BadInputError(f"{self.at(key)}: {message}")

    @contextmanager
    def pointing(self) -> Iterator[None]:
        """Inside the block a :class:`SettingError` becomes a BadInputError with the place of its key."""
        try:
            yield
        except SettingError as error:
            raise self.error(error.key, error.message) from error

    def under(self, key: str) -> Source:
        """The part of it under a key, which is left out of its keys and messages."""
        start = f"{key}."
        inside = {
            name.removeprefix(start): (where, written.removeprefix(start))
            for name, (where, written) in self.places.items()
            if name.startswith(start)
        }
        return Source(self.name, {"": (self.find(key)[0], ""), **inside})

    def moved(self, old: str, new: str) -> Source:
        """What was written as `old`, under the key `new`; messages keep what was written."""
        inside = {key: place for key, place in self.places.items() if key == old or key.startswith(f"{old}.")}
        return Source(self.name, {new + key.removeprefix(old): place for key, place in inside.items()})


def merge(
    present: dict[Any, Any], given: dict[Any, Any], source: Source, given_source: Source, *, force: bool, advice: str
) -> dict[Any, Any]:
    """Both mappings in one, at any depth; `source` learns the places of what is added.

    Args:
        present, source: the one, and where it was written.
        given, given_source: the other.
        force: `given` wins where both have different values; else that is an error.
        advice: the end of the error's message.

    Raises:
        BadInputError: with both places and both values.
    """

    def merged(present: dict[Any, Any], given: dict[Any, Any], prefix: str) -> dict[Any, Any]:
        present = dict(present)
        for name, value in given.items():
            key, before = f"{prefix}{name}", present.get(name)
            if before == value:
                continue
            if isinstance(before, dict) and isinstance(value, dict) and _joined(before, value):
                present[name] = merged(before, value, f"{key}.")
                continue
            if before is not None and not force:
                raise BadInputError(
                    f"{given_source.at(key, ' ')} is {value!r}, but {source.at(key)} is {before!r}; {advice}"
                )
            present[name] = value
            source.places |= {key: given_source.find(key), **given_source.moved(key, key).places}
        return present

    return merged(present, given, "")


def _joined(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    """Whether two mappings are merged: no search spaces, and of the same `type` if both have one."""
    spaces = {"grid_search", "tune"} & {*one, *other}
    return not spaces and one.get("type", other.get("type")) == other.get("type", one.get("type"))
