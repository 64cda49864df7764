"""Tune's search spaces in YAML: `{grid_search: [..]}` and `{tune: loguniform, args: [1e-5, 1e-2]}`."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rllib_metagrad.settings import SettingError, nearest

__all__ = ["SAMPLERS", "Path", "Space", "find", "parse", "resolve", "variants"]

Path = tuple[str | int, ...]

#: Tune's samplers with their signatures, so that a mistake is told before Ray is imported; a test compares.
SAMPLERS: dict[str, Callable[..., Any]] = {
    "choice": lambda categories: None,
    "lograndint": lambda lower, upper, base=10: None,
    "loguniform": lambda lower, upper, base=10: None,
    "qlograndint": lambda lower, upper, q, base=10: None,
    "qloguniform": lambda lower, upper, q, base=10: None,
    "qrandint": lambda lower, upper, q=1: None,
    "qrandn": lambda mean, sd, q: None,
    "quniform": lambda lower, upper, q: None,
    "randint": lambda lower, upper: None,
    "randn": lambda mean=0.0, sd=1.0: None,
    "uniform": lambda lower, upper: None,
}
_SPACE_KEYS = {"tune", "args", "kwargs"}


@dataclass(frozen=True)
class Space:
    """A range or choice that Tune draws from.

    Attributes:
        sampler: one of :data:`SAMPLERS`.
        arguments: of it, by name.
    """

    sampler: str
    arguments: dict[str, Any]

    def domain(self) -> Any:
        """Tune's object for it.

        Raises:
            ValueError: arguments that Tune refuses.
        """
        from ray import tune

        return getattr(tune, self.sampler)(**self.arguments)

    def candidates(self) -> list[Any]:
        """Values that stand for it in validation: all of a choice, the ends of a range."""
        if self.sampler == "choice":
            return list(self.arguments["categories"])
        if "lower" not in self.arguments:
            return [self.domain().sample()]
        lower, upper = self.arguments["lower"], self.arguments["upper"]
        # Tune leaves the upper end of whole numbers out, unless they are rounded to multiples.
        return [lower, upper - 1 if self.sampler in ("randint", "lograndint") else upper]


def parse(value: Any, key: str = "") -> Any:
    """`value` with a :class:`Space` for every range and choice, at any depth; grids stay as they are.

    Raises:
        SettingError: an unknown sampler, wrong arguments, an empty grid, or keys beside a search space.
    """
    if isinstance(value, dict):
        if "grid_search" in value:
            return _grid(value, key)
        if "tune" in value:
            return _sampler(value, key)
    return _inside(parse, value, key)


def resolve(value: Any, key: str = "") -> Any:
    """`value` with Tune's object for every :class:`Space`; imports Ray where there is one.

    Raises:
        SettingError: arguments that Tune refuses.
    """
    if isinstance(value, Space):
        try:
            return value.domain()
        except (ValueError, TypeError) as error:
            raise SettingError(key, f"{value.sampler}: {error}") from error
    return _inside(resolve, value, key)


def _inside(function: Callable[[Any, str], Any], value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: function(item, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [function(item, f"{key}.{i}") for i, item in enumerate(value)]
    return value


def _grid(value: dict[str, Any], key: str) -> dict[str, Any]:
    extra = sorted(set(value) - {"grid_search"})
    if extra:
        raise SettingError(f"{key}.{extra[0]}", "must not stand beside grid_search")
    values = value["grid_search"]
    if not isinstance(values, list) or not values:
        raise SettingError(key, f"grid_search needs a list of values, got {values!r}")
    return {"grid_search": values}


def _sampler(value: dict[str, Any], key: str) -> Space:
    extra = sorted(set(value) - _SPACE_KEYS)
    if extra:
        raise SettingError(f"{key}.{extra[0]}", f"not a part of a search space{nearest(extra[0], _SPACE_KEYS)}")
    name, args, kwargs = value["tune"], value.get("args", []), value.get("kwargs", {})
    if not isinstance(name, str) or name not in SAMPLERS:
        raise SettingError(key, f"unknown search space {name!r}{nearest(name, SAMPLERS)}")
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise SettingError(key, f"{name}: args must be a list (and kwargs a mapping)")
    signature = inspect.signature(SAMPLERS[name])
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise SettingError(key, f"{name}({', '.join(signature.parameters)}): {error}") from error
    for argument, number in bound.items():
        if argument != "categories" and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise SettingError(key, f"{name}: {argument} must be a number, got {number!r}")
    if "lower" in bound and not bound["lower"] < bound["upper"]:
        raise SettingError(key, f"{name}: lower must be below upper, got {bound['lower']} and {bound['upper']}")
    if "categories" in bound and not (isinstance(bound["categories"], list) and bound["categories"]):
        raise SettingError(key, "choice: args must be [[value, value, ...]]")
    if "log" in name and not bound["lower"] > 0:
        raise SettingError(key, f"{name}: lower must be above 0, got {bound['lower']}")
    return Space(name, dict(bound))


def _is_space(value: Any) -> bool:
    if "ray" in sys.modules:  # Python files hold Tune's own objects
        from ray.tune.search.sample import Domain

        if isinstance(value, Domain):
            return True
    return isinstance(value, Space) or (isinstance(value, dict) and set(value) == {"grid_search"})


def _candidates(space: Any) -> list[Any]:
    """Values of a search space that stand for it in validation: all of a finite one, the ends of a range."""
    if isinstance(space, dict):
        return list(space["grid_search"])
    if isinstance(space, Space):
        return space.candidates()
    from ray.tune.search.sample import Categorical, Float, Integer

    if isinstance(space, Categorical):
        return list(space.categories)
    if isinstance(space, Integer):
        return [space.lower, space.upper - 1]
    if isinstance(space, Float) and space.lower > float("-inf"):
        return [space.lower, space.upper]
    return [space.sample()]


def find(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All search spaces in a parsed config, with their paths."""
    if _is_space(value):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from find(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find(item, (*path, index))


def variants(config: dict[str, Any]) -> Iterator[tuple[Path | None, dict[str, Any]]]:
    """Plain configs that together show every candidate value once: `(path that was varied, config)`.

    One search space is varied at a time, the others stay at their first value; so N spaces of k values
    cost N*k checks and not k**N.
    """
    spaces = [(path, _candidates(space)) for path, space in find(config)]
    base = copy.deepcopy(config)
    for path, values in spaces:
        base = _replaced(base, path, values[0])
    yield None, base
    for path, values in spaces:
        for value in values[1:]:
            yield path, _replaced(copy.deepcopy(base), path, value)


def _replaced(config: Any, path: Path, value: Any) -> Any:
    *parents, last = path
    node = config
    for key in parents:
        node = node[key]
    node[last] = copy.deepcopy(value)
    return config
