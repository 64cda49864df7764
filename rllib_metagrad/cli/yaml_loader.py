"""YAML that reports where things stand, and that does not change or drop what was written.

Two traps of plain `yaml.safe_load`: `1e-3` is read as a string (YAML 1.1 wants a dot), and of two equal
keys the first is dropped in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from rllib_metagrad.cli.errors import BadInputError

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """SafeLoader with JSON's and Python's notation of floats."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Source:
    """Where a document came from: `name` of the file or flag, and the line of each path in it."""

    name: str
    lines: dict[Path, int] = field(default_factory=dict)

    def at(self, path: Path, *, show: int = 0) -> str:
        """`file.yaml:7: config.lr`; the first `show` parts of the path are left out of the text."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                where = f"{self.name}:{self.lines[path[:length]]}"
                break
        else:
            where = self.name
        dotted = ".".join(str(part) for part in path[show:])
        return f"{where}: {dotted}" if dotted else where

    def error(self, path: Path, message: str, *, show: int = 0) -> BadInputError:
        """A BadInputError that begins with the place."""
        return BadInputError(f"{self.at(path, show=show)}: {message}")


def load(text: str, name: str, *, number_lines: bool = True) -> tuple[Any, Source]:
    """Parse one YAML (or JSON) document.

    Raises:
        BadInputError: not YAML, a key that stands twice, or a key that is not a string.
    """
    loader = _Loader(text)
    source = Source(name)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, source
        _walk(node, (), source, number_lines)
        return loader.construct_document(node), source
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None and number_lines else name
        problem = getattr(error, "problem", None) or str(error)
        raise BadInputError(f"{where}: not valid YAML: {problem}") from error
    finally:
        loader.dispose()


def _walk(node: yaml.Node, path: Path, source: Source, number_lines: bool) -> None:
    if number_lines and path not in source.lines:
        source.lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            child = (*path, key)
            if key in seen:
                raise BadInputError(
                    f"{source.name}:{line}: {'.'.join(map(str, child))}: the key stands twice "
                    f"(first in line {seen[key]}); remove one"
                )
            seen[key] = line
            if number_lines:
                source.lines[child] = line
            _walk(value_node, child, source, number_lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value_node in enumerate(node.value):
            _walk(value_node, (*path, index), source, number_lines)


def load_mapping(text: str, name: str) -> dict[str, Any]:
    """A JSON object given on the command line; also YAML's flow form, `{lr: 1e-3}`."""
    value, _ = load(text, name, number_lines=False)
    if not isinstance(value, dict):
        raise BadInputError(f"{name}: expected a JSON object such as '{{\"lr\": 0.001}}', got {text!r}")
    bad = [key for key in value if not isinstance(key, str)]
    if bad:
        raise BadInputError(f"{name}: keys must be strings, got {bad[0]!r}")
    return value
