"""A search over a config at any depth, in lists, too: Tune's algorithms only know settings by paths of mappings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.sample import Categorical, Domain
from ray.tune.utils import flatten_dict

from rllib_metagrad.cli import search_space
from rllib_metagrad.settings import SettingError

__all__ = ["Elementwise", "flat_point"]


def _name(path: search_space.Path) -> str:
    """``fixed_incentives.0``: not with ``/``, at which Tune's algorithms make mappings."""
    return ".".join(map(str, path))


def _plain(domain: Domain) -> bool:
    """Whether an algorithm can hold the values themselves, and not only tell them apart."""
    known = bool | int | float | str | None
    return not isinstance(domain, Categorical) or all(isinstance(value, known) for value in domain.categories)


class Elementwise(Searcher):
    """Another search algorithm, asked for a flat space in which every number of a list has its own name.

    Values of a choice that are lists or mappings are told apart by their index.

    Args:
        searcher: the algorithm; it has no space yet.
        config: of the experiment, with Tune's objects for all search spaces.
    """

    def __init__(self, searcher: Searcher, config: dict[str, Any]) -> None:
        super().__init__(searcher.metric, searcher.mode)
        self.searcher, self._config = searcher, config
        self._domains = dict(search_space.find(config))
        flat = {_name(path): _flat(domain) for path, domain in self._domains.items()}
        if not searcher.set_search_properties(searcher.metric, searcher.mode, flat):
            raise ValueError("takes no search space")

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Tune's config has the spaces that are known since the beginning."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The searched parts of the config, lists as a whole."""
        found = self.searcher.suggest(trial_id)
        if found is None or found == Searcher.FINISHED:
            return found
        flat = flatten_dict(found, delimiter=".")
        values = {}
        for path, domain in self._domains.items():
            value = flat[_name(path)]
            values[path] = value if _plain(domain) else domain.categories[value]
        return _searched(self._config, values)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Passed on."""
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Passed on."""
        self.searcher.on_trial_complete(trial_id, result, error)

    def get_state(self) -> dict[str, Any]:
        """Nothing: Tune saves what the algorithm inside knows, and the rest is made of the config."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state`."""

    def save(self, checkpoint_path: str) -> None:
        """Passed on."""
        self.searcher.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Passed on."""
        self.searcher.restore(checkpoint_path)


def _flat(domain: Domain) -> Domain:
    return domain if _plain(domain) else Categorical(list(range(len(domain.categories)))).uniform()


def _searched(node: Any, values: dict[search_space.Path, Any], path: search_space.Path = ()) -> Any:
    """Of mappings only what is searched, of lists everything: Tune merges the one and replaces the other."""
    if path in values:
        return values[path]
    inside = [other for other in values if other[: len(path)] == path]
    if isinstance(node, dict):
        keys = {other[len(path)] for other in inside}
        return {key: _searched(item, values, (*path, key)) for key, item in node.items() if key in keys}
    if isinstance(node, list) and inside:
        return [_searched(item, values, (*path, i)) for i, item in enumerate(node)]
    return node


def flat_point(point: Any, config: dict[str, Any], key: str) -> dict[str, Any]:
    """A part of a config as values of the flat space.

    Args:
        point: has the form of the config.
        config: with Tune's objects for all search spaces.
        key: of the point, for messages.

    Raises:
        SettingError: it has what is not searched, or lacks what is.
    """
    found = dict(_leaves(point, config, key, ()))
    if lacking := [name for path, _ in search_space.find(config) if (name := _name(path)) not in found]:
        raise SettingError(key, f"lacks {', '.join(lacking)}; give a value for every search space")
    return found


def _leaves(point: Any, node: Any, key: str, path: search_space.Path) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Domain):
        yield _name(path), point if _plain(node) else _index(point, node, key)
    elif isinstance(node, dict) and isinstance(point, dict):
        for name, item in point.items():
            if name not in node:
                raise SettingError(f"{key}.{name}", "is not in config")
            yield from _leaves(item, node[name], f"{key}.{name}", (*path, name))
    elif isinstance(node, list) and isinstance(point, list) and len(node) == len(point):
        for i, item in enumerate(point):
            yield from _leaves(item, node[i], f"{key}.{i}", (*path, i))
    elif point != node or not path:
        raise SettingError(key, f"is {point!r}, which config does not search; give values for its search spaces only")


def _index(value: Any, domain: Categorical, key: str) -> int:
    if value not in domain.categories:
        raise SettingError(key, f"must be one of {domain.categories}, got {value!r}")
    return int(domain.categories.index(value))
