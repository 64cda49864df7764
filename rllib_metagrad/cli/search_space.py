"""Tune's search spaces in YAML: `{grid_search: [..]}` and `{tune: loguniform, args: [1e-5, 1e-2]}`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

from rllib_metagrad.settings import SettingError, nearest

__all__ = ["SAMPLERS", "find", "parse", "variants"]

Path = tuple[str | int, ...]

SAMPLERS = (
    "choice",
    "lograndint",
    "loguniform",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "uniform",
)
_SPACE_KEYS = {"tune", "args", "kwargs"}


def parse(value: Any, key: str = "") -> Any:
    """`value` with every search space replaced by Tune's object for it, at any depth.

    Raises:
        SettingError: an unknown sampler, wrong arguments, an empty grid, or keys beside a search space.
    """
    if isinstance(value, dict):
        if "grid_search" in value:
            return _grid(value, key)
        if "tune" in value:
            return _sampler(value, key)
        return {name: parse(item, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [parse(item, f"{key}.{i}") for i, item in enumerate(value)]
    return value


def _grid(value: dict[str, Any], key: str) -> dict[str, Any]:
    extra = sorted(set(value) - {"grid_search"})
    if extra:
        raise SettingError(f"{key}.{extra[0]}", "must not stand beside grid_search")
    values = value["grid_search"]
    if not isinstance(values, list) or not values:
        raise SettingError(key, f"grid_search needs a list of values, got {values!r}")
    return {"grid_search": values}


def _sampler(value: dict[str, Any], key: str) -> Any:
    from ray import tune

    extra = sorted(set(value) - _SPACE_KEYS)
    if extra:
        raise SettingError(f"{key}.{extra[0]}", f"not a part of a search space{nearest(extra[0], _SPACE_KEYS)}")
    name, args, kwargs = value["tune"], value.get("args", []), value.get("kwargs", {})
    if name not in SAMPLERS:
        raise SettingError(key, f"unknown search space {name!r}{nearest(name, SAMPLERS)}")
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise SettingError(key, f"{name}: args must be a list (and kwargs a mapping)")
    sampler = getattr(tune, name)
    signature = inspect.signature(sampler)
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
    try:
        return sampler(*args, **kwargs)
    except (ValueError, TypeError) as error:
        raise SettingError(key, f"{name}: {error}") from error


def _is_space(value: Any) -> bool:
    from ray.tune.search.sample import Domain

    return isinstance(value, Domain) or (isinstance(value, dict) and set(value) == {"grid_search"})


def _candidates(space: Any) -> list[Any]:
    """Values of a search space that stand for it in validation: all of a finite one, the ends of a range."""
    from ray.tune.search.sample import Categorical, Float, Integer

    if isinstance(space, dict):
        return list(space["grid_search"])
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
