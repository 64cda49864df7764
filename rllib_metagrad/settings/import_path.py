"""Classes of a user's own by import path, ``package.module:Class``: the one form that every process can read."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, TypeVar

from rllib_metagrad.settings.base import nearest

T = TypeVar("T")


def is_import_path(name: str) -> bool:
    """Whether a name is an import path, and not the name of something in a registry."""
    return ":" in name


def import_class(path: str, base: type[T]) -> type[T]:
    """The class that an import path names.

    Args:
        path: ``package.module:Class``.
        base: what it must be derived from.

    Raises:
        ValueError: on one line, if the path is none, the module cannot be imported or has no such class, or the class
            is not derived from ``base`` or is abstract.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *name.split(".")]):
        raise ValueError(f"{path!r} is no import path package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        raise ValueError(f"{path}: cannot import {module_name}: {' '.join(str(error).split())}") from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            classes = [key for key, value in vars(module).items() if _is_class(value, base) and value is not base]
            raise ValueError(f"{path}: {module_name} has no {name}{nearest(name, classes)}")
        found = getattr(found, part)
    if not _is_class(found, base):
        raise ValueError(f"{path} is not a class derived from {base.__module__}.{base.__name__}")
    if inspect.isabstract(found):
        raise ValueError(f"{path} lacks {', '.join(sorted(found.__abstractmethods__))}")
    result: type[T] = found
    return result


def import_path(found: type) -> str:
    """The import path of a class, for other processes.

    Raises:
        ValueError: on one line, if it cannot be imported by one: it belongs to a function, or to the script that runs.
    """
    path = f"{found.__module__}:{found.__qualname__}"
    if found.__module__ != "__main__":
        try:
            if import_class(path, found) is found:
                return path
        except ValueError:
            pass
    raise ValueError(f"workers cannot import {path}; put class {found.__name__} into a module, at its top level")


def _is_class(value: Any, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)
