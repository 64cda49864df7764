"""What is a user's own by import path, ``package.module:Class``: the one form that every process can read."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from rllib_metagrad.settings.base import SettingError, nearest

T = TypeVar("T")


def is_import_path(name: str) -> bool:
    """Whether a name is an import path, and not the name of something in a registry."""
    return ":" in name


def import_object(path: str, offered: Callable[[Any], bool] = lambda value: True) -> Any:
    """What an import path names.

    Args:
        path: ``package.module:name``.
        offered: what in that module might be meant, where the name is not there.

    Raises:
        ValueError: on one line, if the path is none, or the module cannot be imported or has no such name.
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
            names = [key for key, value in vars(module).items() if not key.startswith("_") and offered(value)]
            raise ValueError(f"{path}: {module_name} has no {name}{nearest(name, names)}")
        found = getattr(found, part)
    return found


def import_class(path: str, base: type[T]) -> type[T]:
    """The class that an import path names.

    Args:
        path: ``package.module:Class``.
        base: what it must be derived from.

    Raises:
        ValueError: on one line, as :func:`import_object`, or if it is not a class derived from ``base`` or is abstract.
    """
    found = import_object(path, lambda value: _is_class(value, base) and value is not base)
    if not _is_class(found, base):
        raise ValueError(f"{path} is not a class derived from {base.__module__}.{base.__name__}")
    if inspect.isabstract(found):
        raise ValueError(f"{path} lacks {', '.join(sorted(found.__abstractmethods__))}")
    result: type[T] = found
    return result


def import_path(found: Any) -> str:
    """The import path of a class or function, or of an object named in the module of its class, for other processes.

    Raises:
        ValueError: on one line, if it cannot be imported by one: it belongs to a function, or to the script that runs.
    """
    if not isinstance(found, type):
        return _path_of_object(found)
    path = f"{found.__module__}:{found.__qualname__}"
    if found.__module__ != "__main__":
        try:
            if import_class(path, found) is found:
                return path
        except ValueError:
            pass
    raise ValueError(f"workers cannot import {path}; put class {found.__name__} into a module, at its top level")


def as_import_path(key: str, found: Any) -> str:
    """As :func:`import_path`, of what a user gave for a key.

    Raises:
        SettingError: on one line, if other processes cannot import it.
    """
    try:
        return import_path(found)
    except ValueError as error:
        raise SettingError(key, f"is no import path: {error}") from None


def _path_of_object(found: Any) -> str:
    module = found.__module__ or "__main__"
    names = [name for name, value in vars(sys.modules[module]).items() if value is found]
    if module != "__main__" and names:
        return f"{module}:{names[0]}"
    kind = type(found).__name__
    of = "" if inspect.isfunction(found) else f" class {kind}'s"
    raise ValueError(f"workers cannot import this {kind}; give it a name at the top level of{of or ' a'} module")


def _is_class(value: Any, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)
