"""What every record of settings is: frozen and typed, each field with default, bounds and one line of help.

A field is written once, in a subclass of :class:`Settings`::

    class AgentSettings(Settings):
        PREFIX = "agent_"
        lr: Scheduled = setting(0.01, "learning rate", ge=0)

From it follow the config key ``agent_lr``, the typed signature of ``config.agents(lr=...)``, the check with its
one-line message, and the row of docs/configuration.md.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, field_validator
from pydantic.fields import FieldInfo

from rllib_metagrad.settings.schedule import Schedule


class SettingError(ValueError):
    """A setting is wrong; reads ``<key> <message>``, on one line.

    Attributes:
        key: what is wrong, such as ``agent_network.hiddens``.
        message: what it must be, and what it is.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key} {message}")
        self.key, self.message = key, message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.key, self.message)


def nearest(name: object, known: Iterable[str], *, list_at_most: int = 12) -> str:
    """The end of an error message: ``; did you mean 'x'?``, or the known names where they are few, or nothing."""
    names = sorted(set(known))
    folded = {n.lower(): n for n in reversed(names)}
    close = get_close_matches(str(name), names, n=1) or get_close_matches(str(name).lower(), folded, n=1)
    if close:
        return f"; did you mean {folded.get(close[0], close[0]) if close[0] not in names else close[0]!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= list_at_most else ""


class ScheduledMark:
    """Marks fields that may be a schedule."""


class Expected(str):
    """Says in words what a field must be, where its type and bounds do not."""


#: A number, or a schedule over environment steps ``[[0, value], [env_steps, value], ...]``.
Scheduled = Annotated[float, ScheduledMark()]
#: Lists in YAML, tuples in Python.
Numbers = Annotated[tuple[float, ...], Strict(False), Expected("a list of numbers")]
Widths = Annotated[
    tuple[Annotated[int, Field(gt=0)], ...],
    Strict(False),
    Expected("a list of layer widths"),
]


def setting(
    default: Any,
    help: str,
    *,
    key: str | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """A field of :class:`Settings`.

    Args:
        default: its value if the user gives none.
        help: one line for the docs.
        key: its config key, where that is not the prefix and the field's name.
        ge, gt, le, lt: bounds.
    """
    extra: dict[str, Any] | None = None if key is None else {"key": key}
    return Field(default, description=help, json_schema_extra=extra, ge=ge, gt=gt, le=le, lt=lt)


class Settings(BaseModel):
    """Base of all settings. Construct with keywords; wrong values raise :class:`SettingError`.

    Attributes:
        PREFIX: of the fields' config keys.
        OWNER: what the settings are of, for messages about unknown keys.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, defer_build=True
    )
    PREFIX: ClassVar[str] = ""
    OWNER: ClassVar[str] = ""

    if not TYPE_CHECKING:  # type checkers read the signature off the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise self._setting_error(error, values) from None

    @classmethod
    def key_of(cls, field: str) -> str:
        """Config key of a field: the prefix and its name (``lambda_`` is ``lambda``), or what the field says."""
        extra = cls.model_fields[field].json_schema_extra
        return str(extra["key"]) if isinstance(extra, dict) else cls.PREFIX + field.rstrip("_")

    @classmethod
    def config_keys(cls) -> dict[str, str]:
        """Field names by config key."""
        return {cls.key_of(field): field for field in cls.model_fields}

    @classmethod
    def from_keys(cls, values: Mapping[str, Any]) -> Self:
        """The settings of values by config key; missing keys have their defaults.

        Raises:
            SettingError: for an unknown key or a value that cannot be.
        """
        keys = cls.config_keys()
        for key in values:
            if key not in keys:
                raise SettingError(str(key), f"is no setting{cls.OWNER and f' of {cls.OWNER}'}{nearest(key, keys)}")
        return cls(**{keys[key]: value for key, value in values.items()})

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Defaults by config key, as a user would write them."""
        return {
            key: plain(cls.model_fields[field].get_default(call_default_factory=True))
            for key, field in cls.config_keys().items()
        }

    def replace(self, **changes: Any) -> Self:
        """The same with other values in some fields, checked."""
        return type(self)(**{**dict(self), **changes})

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Reads also what version 0.1 pickled: a dataclass's fields, some of which have another name or home now."""
        if "__pydantic_fields_set__" in state:
            fields = type(self).model_fields  # some may be newer than the pickle
            values = {name: info.get_default(call_default_factory=True) for name, info in fields.items()}
            super().__setstate__({**state, "__dict__": {**values, **state["__dict__"]}})
            return
        state = {**vars(state.pop("optimizer")), **state} if isinstance(state.get("optimizer"), Settings) else {**state}
        state = {"optimizer" if name == "name" else name: value for name, value in state.items()}
        self.__init__(**{name: value for name, value in state.items() if name in type(self).model_fields})  # type: ignore[misc]

    def at(self, env_steps: int) -> Self:
        """The same with every schedule at its value after so many environment steps."""
        now = {name: value.at(env_steps) for name, value in self if isinstance(value, Schedule)}
        return self.model_copy(update=now) if now else self

    # -- checks -----------------------------------------------------------------------------------------

    @field_validator("*", mode="wrap")
    @classmethod
    def _read(cls, value: Any, check: Any, info: Any) -> Any:
        """Reads schedules, and mappings of nested settings."""
        field = cls.model_fields[info.field_name]
        if isinstance(value, Mapping) and (nested := _nested(field.annotation)) is not None:
            try:
                return nested(**value)
            except SettingError as error:
                raise SettingError(f"{cls.key_of(info.field_name)}.{error.key}", error.message) from None
            except TypeError as error:  # keys that are no strings
                raise ValueError(str(error)) from None
        if isinstance(value, list | tuple | Schedule) and any(isinstance(m, ScheduledMark) for m in _kind(field)[1]):
            return Schedule.read(value, check)
        return check(value)

    @classmethod
    def _setting_error(cls, error: ValidationError, values: Mapping[str, Any]) -> SettingError:
        """The first thing that pydantic found, in our words."""
        first = error.errors(include_url=False)[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, SettingError):
            return cause
        field = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            return SettingError(
                field, f"is no setting{cls.OWNER and f' of {cls.OWNER}'}{nearest(field, cls.model_fields)}"
            )
        if field not in cls.model_fields:
            return SettingError(cls.__name__, str(cause or first["msg"]))
        value = values.get(field)
        annotation, _ = _without_none(cls.model_fields[field].annotation)
        names = get_args(annotation) if get_origin(annotation) is Literal else ()
        hint = nearest(value, map(str, names), list_at_most=0)
        return SettingError(cls.key_of(field), f"must be {expected(cls.model_fields[field])}, got {value!r}{hint}")


def plain(value: Any) -> Any:
    """A value as YAML would have it: settings as mappings of what differs from their defaults, tuples as lists."""
    if isinstance(value, Settings):
        return {
            type(value).key_of(name): plain(getattr(value, name))
            for name in type(value).model_fields
            if name in value.model_fields_set
        }
    if isinstance(value, Schedule):
        return [list(point) for point in value.points]
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def expected(field: FieldInfo) -> str:
    """What a field must be, in words: ``a number >= 0 and <= 1 or null``."""
    annotation, metadata, none = _kind(field)
    words = next((str(m) for m in metadata if isinstance(m, Expected)), None) or _words(annotation)
    bounds = [f"{sign} {getattr(m, name):g}" for m in metadata for kind, name, sign in _BOUNDS if isinstance(m, kind)]
    text = " ".join([words, " and ".join(bounds)]).strip() + (" or null" if none else "")
    if any(isinstance(m, ScheduledMark) for m in metadata):
        text += ", or a schedule [[0, value], [env_steps, value], ...]"
    return text


_BOUNDS = ((Ge, "ge", ">="), (Gt, "gt", ">"), (Le, "le", "<="), (Lt, "lt", "<"))
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}


def _words(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        names = ", ".join(map(str, get_args(annotation)))
        return f"one of {names}" if ", " in names else names
    if annotation in _WORDS:
        return _WORDS[annotation]
    if _nested(annotation) is not None or (get_origin(annotation) or annotation) in (dict, Mapping):
        return "a mapping"
    return "a list" if get_origin(annotation) in (tuple, list) else "a value"


def _kind(field: FieldInfo) -> tuple[Any, list[Any], bool]:
    """A field's type, all that is said of it, and whether it may be None."""
    annotation, none = _without_none(field.annotation)
    metadata = [*field.metadata]
    if get_origin(annotation) is Annotated:
        annotation, *inner = get_args(annotation)
        metadata += inner
    return annotation, metadata, none


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """An annotation without None, and whether None was there."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    others = [part for part in get_args(annotation) if part is not type(None)]
    return (others[0] if len(others) == 1 else annotation), type(None) in get_args(annotation)


def _nested(annotation: Any) -> type[Settings] | None:
    """The class of settings that a field holds, or None."""
    one, _ = _without_none(annotation)
    return one if isinstance(one, type) and issubclass(one, Settings) else None
