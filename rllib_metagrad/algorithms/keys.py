"""Methods of a config that set the keys of a record of settings, with the record's own typed signature."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from rllib_metagrad.settings import SettingError, Settings, nearest
from rllib_metagrad.settings.import_path import import_path
from rllib_metagrad.settings.renamed import current

P = ParamSpec("P")
C = TypeVar("C")

logger = logging.getLogger("rllib_metagrad")


class Keys(Generic[P]):
    """``config.agents(lr=0.1)`` sets ``config.agent_lr``, checked for its name by mypy, completed by editors.

    Values are checked with all others by ``config.validate()``, as they may still be search spaces of Tune.

    Args:
        record: the class of settings whose fields are the method's arguments.
    """

    def __init__(self, record: Callable[P, Settings]) -> None:
        assert isinstance(record, type)
        assert issubclass(record, Settings)
        self.record: type[Settings] = record

    @overload
    def __get__(self, config: None, owner: type) -> Self: ...
    @overload
    def __get__(self, config: C, owner: type) -> Callable[P, C]: ...
    def __get__(self, config: Any, owner: type) -> Any:
        if config is None:
            return self

        def set_keys(**values: Any) -> Any:
            keys = self.record.config_keys()
            for name, given in values.items():
                key, value = current(self.record.PREFIX + name.rstrip("_"), given)
                if name in self.record.model_fields:
                    key = self.record.key_of(name)
                if key not in keys and not self.record.PREFIX and name in config.own_keys():
                    # Version 0.1 took keys of all records in `incentives`.
                    logger.warning("%s belongs to another method of the config; the next version refuses it here", name)
                elif key not in keys:
                    raise SettingError(
                        name, f"is no setting of {config.name()}{nearest(name, self.record.model_fields)}"
                    )
                # Workers know a class by its import path.
                setattr(config, key, import_path(value) if isinstance(value, type) else value)
            return config

        set_keys.__signature__ = inspect.signature(self.record)  # type: ignore[attr-defined]
        set_keys.__doc__ = f"Sets keys {self.record.PREFIX}*, given without the prefix; see docs/configuration.md."
        return set_keys
