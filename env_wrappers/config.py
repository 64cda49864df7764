"""The base of environments' configurations: one record for a ParallelEnv, its batched twin, the registry and the docs.

A key of ``env_config`` is written once, as a field with default, bounds and help::

    class EscapeRoomConfig(EnvConfig):
        NAME = "escape_room"
        n: int = setting(5, "number of agents", ge=2)

    @configured(EscapeRoomConfig)
    class EscapeRoom(IncentiveEnv):
        def __init__(self, config: EscapeRoomConfig | None = None, **keys: Any) -> None:
            self.config = EscapeRoomConfig.of(config, keys)

``EscapeRoom(n=3)`` and ``EscapeRoom(EscapeRoomConfig(n=3))`` are the same; type checkers check the keys of the second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from pydantic import ValidationError

from rllib_metagrad.settings import SettingError, Settings, nearest

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])

if TYPE_CHECKING:
    Derived = Annotated[T, None]
else:
    #: A field that may be null in ``env_config``; the record then writes what follows from its other fields.
    Derived = T | None

#: Ways to render of the environments that have pictures.
RenderMode = Literal["human", "rgb_array"]


def unknown_key(env: str, key: object, known: Iterable[str]) -> SettingError:
    """The error for a key that an environment does not have."""
    return SettingError(f"{env}: unknown env_config key", f"{key!r}{nearest(key, known)}")


class EnvConfig(Settings):
    """Base of environments' records. Numbers and arrays of NumPy are read like Python's.

    Errors read ``<environment>: <key> must be ..., got ...``.

    Attributes:
        NAME: of the environment.
    """

    NAME: ClassVar[str] = ""

    if not TYPE_CHECKING:  # type checkers read the signature off the fields

        def __init__(self, **values: Any) -> None:
            null = {name for name, field in type(self).model_fields.items() if field.default is None}
            # Null for a key whose default is null is no value given.
            given = {key: value for key, value in values.items() if value is not None or key not in null}
            super().__init__(**{key: _without_numpy(value) for key, value in given.items()})

    @classmethod
    def of(cls, config: Self | None, keys: Mapping[str, Any]) -> Self:
        """A record with some keys changed.

        Args:
            config: None for the defaults.
            keys: of ``env_config``.

        Raises:
            SettingError: for an unknown key, or a value that cannot be.
        """
        if config is None:
            return cls(**keys)
        if not isinstance(config, cls):
            raise SettingError(f"{cls.NAME}: config", f"must be a {cls.__name__}, or keys by name, got {config!r}")
        return config.replace(**keys) if keys else config

    def replace(self, **changes: Any) -> Self:
        """The same with other values for some keys, checked; what was derived is derived again."""
        return type(self)(**{**{name: getattr(self, name) for name in self.model_fields_set}, **changes})

    def __eq__(self, other: object) -> bool:
        # By fields only: arrays that are cached beside them have no truth value when compared.
        return type(self) is type(other) and all(getattr(self, k) == getattr(other, k) for k in type(self).model_fields)

    def _derive(self, **values: Any) -> None:
        """Writes fields that were null. Only for validators of subclasses: the record is frozen afterwards."""
        self.__dict__.update(values)

    @classmethod
    def _setting_error(cls, error: ValidationError, values: Mapping[str, Any]) -> SettingError:
        for key in values:
            if key not in cls.model_fields:
                return unknown_key(cls.NAME, key, cls.model_fields)
        found = super()._setting_error(error, values)
        prefix = f"{cls.NAME}: "
        return found if found.key.startswith(prefix) else SettingError(prefix + found.key, found.message)


def configured(record: type[EnvConfig]) -> Callable[[C], C]:
    """Names the record that an environment's class reads.

    The class gets it as ``CONFIG``, where the registry finds its keys, and a signature with its fields as keywords, for
    help and completion.
    """

    def mark(environment: C) -> C:
        own = [
            p
            for p in inspect.signature(environment.__init__).parameters.values()
            if p.name != "self" and p.kind is not p.VAR_KEYWORD
        ]
        keys = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.annotation)
            for name, field in record.model_fields.items()
        ]
        environment.CONFIG = record
        environment.__signature__ = inspect.Signature(own + keys)
        return environment

    return mark


def _without_numpy(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return type(value)(_without_numpy(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _without_numpy(item) for key, item in value.items()}
    return value
