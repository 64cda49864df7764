"""What writes results down (`loggers`): Tune's loggers by name, or a user's own by import path."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rllib_metagrad.cli.errors import one_line
from rllib_metagrad.settings import SettingError, nearest
from rllib_metagrad.settings.import_path import import_class, is_import_path

__all__ = ["LOGGERS", "check_values", "create", "only", "parse_loggers"]

LOGGERS = ("csv", "json", "tensorboard")
_ALIASES = {"tbx": "tensorboard", "tensorboardx": "tensorboard"}
_NO_OTHERS = "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"


def parse_loggers(loggers: Any) -> list[str] | None:
    """Names and import paths, checked, each once; None stays None: all three.

    Raises:
        SettingError: an unknown name.
    """
    if loggers is None:
        return None
    found: list[str] = []
    for given in loggers:
        name = given if is_import_path(given) else _ALIASES.get(given.lower(), given.lower())
        if name == "wandb":
            raise SettingError("loggers", "wandb has flags of its own: --wandb-project NAME")
        if name not in LOGGERS and not is_import_path(name):
            raise SettingError("loggers", f"unknown logger {given!r}{nearest(given, LOGGERS)}; or package.module:Class")
        if name in found:
            raise SettingError("loggers", f"{given} stands twice; remove one")
        found.append(name)
    return found


def check_values(loggers: Sequence[str] | None) -> None:
    """Imports and builds a user's loggers, which needs Ray.

    Raises:
        SettingError: there is no such class, or it is no logger, or cannot be built without arguments.
    """
    create(loggers)


def create(loggers: Sequence[str] | None) -> list[Any]:
    """Tune's callbacks.

    Raises:
        SettingError: see :func:`check_values`.
    """
    from ray.tune.logger import JsonLoggerCallback, LoggerCallback, TBXLoggerCallback

    from rllib_metagrad.cli.progress_csv import ProgressCSV

    known = {"csv": ProgressCSV, "json": JsonLoggerCallback, "tensorboard": TBXLoggerCallback}
    callbacks = []
    for name in LOGGERS if loggers is None else loggers:
        try:
            callbacks.append((known[name] if name in known else import_class(name, LoggerCallback))())
        except Exception as error:  # a user's class may raise anything
            raise SettingError("loggers", f"{name}: {one_line(error)}") from error
    return callbacks


@contextmanager
def only() -> Iterator[None]:
    """Inside the block Tune adds no loggers of its own to those that it is given."""
    before = os.environ.get(_NO_OTHERS)
    os.environ[_NO_OTHERS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_OTHERS]
        else:
            os.environ[_NO_OTHERS] = before
