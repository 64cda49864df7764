"""YAML 1.2 by ruamel.yaml, with the line of every key, and nothing that was written dropped or changed.

Duplicate keys are errors (YAML 1.2 forbids them). Merge keys (``<<``) and anchors work; aliases that multiply without
end (a "YAML bomb") or contain themselves are refused.
"""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError
from ruamel.yaml.error import StreamMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from rllib_metagrad.cli.errors import BadInputError, one_line
from rllib_metagrad.cli.source import Source

__all__ = ["load", "load_mapping"]

_MERGE = "tag:yaml.org,2002:merge"
_MAX_VALUES = 100_000  # aliases expanded; an experiment has some hundred
_MAX_DEPTH = 50
_DOT_FIRST = re.compile(r"[-+]?\.[0-9]+[eE][0-9]+$")  # .5e1: a float in YAML 1.2, but not to ruamel.yaml


def load(text: str, name: str, *, lines: bool = True) -> tuple[Any, Source]:
    """Parse one YAML (or JSON) document.

    Args:
        text: the document.
        name: of its file or flag, for messages.
        lines: whether messages give lines.

    Raises:
        BadInputError: not YAML, a key that stands twice, or aliases without end.
    """
    yaml = YAML(typ="safe", pure=True)
    for first in "-+.":
        yaml.resolver.versioned_resolver[first].append(("tag:yaml.org,2002:float", _DOT_FIRST))
    reader = _Reader(yaml, Source(name), lines)
    try:
        node = yaml.compose(text)
        return (None if node is None else reader.read(node)), reader.source
    except (YAMLError, ValueError) as error:  # ValueError: of Python's own parsing of a number or date
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or one_line(error)
        raise BadInputError(f"{name if mark is None else reader.where(mark)}: not valid YAML: {problem}") from error
    except RecursionError as error:
        raise BadInputError(f"{name}: not valid YAML: nested too deeply") from error


class _Reader:
    """Builds Python values of YAML's nodes and notes where keys stand."""

    def __init__(self, yaml: YAML, source: Source, lines: bool) -> None:
        self.yaml, self.source, self.lines = yaml, source, lines
        self.values = 0

    def where(self, mark: StreamMark) -> str:
        """File and line, or flag."""
        return f"{self.source.name}:{mark.line + 1}" if self.lines else self.source.name

    def read(self, node: Node, key: str = "", depth: int = 0) -> Any:
        """The value of a node whose dotted key is `key`."""
        self.values += 1
        if self.values > _MAX_VALUES or depth > _MAX_DEPTH:
            much = f"more than {_MAX_VALUES} values" if self.values > _MAX_VALUES else f"more than {_MAX_DEPTH} levels"
            raise self._error(f"{much}; does an alias (*name) contain itself, or many others?", node)
        self.source.places.setdefault(key, (self.where(node.start_mark), key))
        if isinstance(node, ScalarNode):
            return self.yaml.constructor.construct_object(node)
        if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self._error(f"unknown tag {node.tag}", node)
        if isinstance(node, MappingNode):
            return self._mapping(node, key, depth)
        return [self.read(item, _join(key, index), depth + 1) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, key: str, depth: int) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        marks: dict[Any, StreamMark] = {}
        # Merges first: what is written beside one wins, and so does its place.
        for name_node, value_node in sorted(node.value, key=lambda pair: bool(pair[0].tag != _MERGE)):
            if name_node.tag == _MERGE:
                several = isinstance(value_node, SequenceNode)
                for one in value_node.value if several else [value_node]:
                    if not isinstance(one, MappingNode):
                        raise self._error("<< takes a mapping, or a list of mappings", one)
                    merged = self.read(one, key, depth + 1) | merged
                continue
            if not isinstance(name_node, ScalarNode):
                raise self._error("a key must be a word or a number", name_node)
            name = self.yaml.constructor.construct_object(name_node)
            child = _join(key, name)
            where = self.where(name_node.start_mark)
            if name in own:
                first = f"first in line {marks[name].line + 1}"
                raise BadInputError(f"{where}: {child}: the key stands twice ({first}); remove one")
            marks[name], self.source.places[child] = name_node.start_mark, (where, child)
            own[name] = self.read(value_node, child, depth + 1)
        return merged | own

    @staticmethod
    def _error(problem: str, node: Node) -> ConstructorError:
        return ConstructorError(problem=problem, problem_mark=node.start_mark)


def _join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def load_mapping(text: str, flag: str) -> dict[str, Any]:
    """A JSON object given on the command line; also YAML's flow form, ``{lr: 1e-3}``.

    Raises:
        BadInputError: it is something else, or not valid.
    """
    value, _ = load(text, flag, lines=False)
    if not isinstance(value, dict):
        raise BadInputError(f"{flag}: expected a JSON object such as '{{\"lr\": 0.001}}', got {text!r}")
    bad = [key for key in value if not isinstance(key, str)]
    if bad:
        raise BadInputError(f"{flag}: keys must be strings, got {bad[0]!r}")
    return value
