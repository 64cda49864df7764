"""Search algorithms of an experiment (`search_alg`): what a trial tries next is chosen by what others have come to."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rllib_metagrad.cli import metrics, search_space
from rllib_metagrad.cli.errors import one_line
from rllib_metagrad.settings import SettingError, nearest
from rllib_metagrad.settings.import_path import import_class, is_import_path

if TYPE_CHECKING:
    from rllib_metagrad.cli.experiment import Experiment

__all__ = ["SEARCH_ALGS", "check", "check_values", "create", "parse_search_alg"]

_RANDOM = ("random", "variant_generator")
#: Name -> settings that can be written in YAML; a test compares those of OptunaSearch with Tune's.
SEARCH_ALGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_RANDOM, ("seed",)),
    "optuna": ("metric", "mode", "points_to_evaluate", "seed"),
}
#: Tune's others need packages of their own.
_OF_TUNE = {
    "ax": "ray.tune.search.ax:AxSearch",
    "bayesopt": "ray.tune.search.bayesopt:BayesOptSearch",
    "bohb": "ray.tune.search.bohb:TuneBOHB",
    "hebo": "ray.tune.search.hebo:HEBOSearch",
    "hyperopt": "ray.tune.search.hyperopt:HyperOptSearch",
    "nevergrad": "ray.tune.search.nevergrad:NevergradSearch",
    "zoopt": "ray.tune.search.zoopt:ZOOptSearch",
}
#: What OptunaSearch cannot draw from, or takes without its steps.
_NOT_OPTUNAS = ("randn", "qrandn", "qloguniform", "qlograndint")


def parse_search_alg(search_alg: Any) -> dict[Any, Any] | None:
    """`{type: optuna, metric: .., mode: ..}`, checked; None stays None, which draws at random.

    Raises:
        SettingError: unknown algorithm or setting, no metric or mode, a package that is not installed.
    """
    if search_alg is None:
        return None
    if not isinstance(search_alg, dict) or not isinstance(search_alg.get("type"), str):
        raise SettingError(
            "search_alg", f"needs a type, such as {{type: optuna, metric: .., mode: ..}}, got {search_alg!r}"
        )
    own = is_import_path(search_alg["type"])
    kind = search_alg["type"] if own else search_alg["type"].lower()
    if kind in _OF_TUNE:
        raise SettingError(
            "search_alg", f"{kind} is not built in; write type: {_OF_TUNE[kind]}, and install its package"
        )
    if not own and kind not in SEARCH_ALGS:
        hint = nearest(kind, SEARCH_ALGS)
        raise SettingError("search_alg", f"unknown search algorithm {kind!r}{hint}; or package.module:Class")
    for key in search_alg:
        if not own and key not in ("type", *SEARCH_ALGS[kind]):
            hint = nearest(key, SEARCH_ALGS[kind], list_at_most=99)
            raise SettingError(f"search_alg.{key}", f"not a setting of {kind}{hint}")
    if kind not in _RANDOM:
        _check_metric(kind, search_alg)
    seed = search_alg.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise SettingError("search_alg.seed", f"must be a whole number >= 0, got {seed!r}")
    if kind == "optuna" and importlib.util.find_spec("optuna") is None:
        raise SettingError("search_alg", "optuna is not installed; run: pip install 'rllib-metagrad[search]'")
    return {**search_alg, "type": kind}


def _check_metric(kind: str, settings: dict[Any, Any]) -> None:
    for key, example in (("metric", "env_runners/designer_net_return_mean"), ("mode", "max")):
        if key not in settings:
            raise SettingError("search_alg", f"{kind} needs a {key}, such as {key}: {example}")
    if settings["mode"] not in ("max", "min"):
        raise SettingError("search_alg.mode", f"must be max or min, got {settings['mode']!r}")
    if trouble := metrics.problem_with(str(settings["metric"])):
        raise SettingError("search_alg.metric", trouble)


def _searches(experiment: Experiment) -> bool:
    """Whether the experiment has a search algorithm that learns."""
    return experiment.search_alg is not None and _settings(experiment)["type"] not in _RANDOM


def _settings(experiment: Experiment) -> dict[Any, Any]:
    found: dict[Any, Any] = experiment.search_alg  # type: ignore[assignment]
    return found


def check(experiment: Experiment) -> None:
    """What a search algorithm needs of the rest of the experiment; without Ray.

    Raises:
        SettingError: nothing to search, a grid, a range that the algorithm does not take, or a scheduler that searches.
    """
    if not _searches(experiment):
        return
    kind = _settings(experiment)["type"]
    scheduler: dict[Any, Any] = experiment.scheduler or {}  # type: ignore[assignment]
    if scheduler.get("type") == "pbt":
        raise SettingError("search_alg", f"pbt chooses settings itself, and so does {kind}; leave one out")
    spaces = list(search_space.find(experiment.config))
    if not spaces:
        example = "designer_lr: {tune: loguniform, args: [1e-4, 1e-2]}"
        raise SettingError("search_alg", f"{kind} has nothing to search; give a setting a range, such as {example}")
    for path, space in spaces:
        key = ".".join(map(str, ("config", *path)))
        if isinstance(space, dict):
            raise SettingError(key, f"{kind} takes no grid_search; write {{tune: choice, args: [[..]]}}")
        if kind == "optuna" and isinstance(space, search_space.Space) and space.sampler in _NOT_OPTUNAS:
            near = {"randn": "uniform", "qrandn": "quniform", "qloguniform": "loguniform"}.get(
                space.sampler, "lograndint"
            )
            raise SettingError(key, f"optuna does not draw from {space.sampler}; use {near}")


def check_values(experiment: Experiment) -> None:
    """Builds the algorithm, which needs Ray, to see whether it takes all values.

    Raises:
        SettingError: it does not.
    """
    if _searches(experiment):
        create(experiment)


def create(experiment: Experiment) -> Any:
    """Tune's search algorithm for an experiment; draws at random where it names none.

    Raises:
        SettingError: it does not take its settings.
    """
    from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Searcher

    from rllib_metagrad.cli.elementwise import Elementwise

    settings = dict(experiment.search_alg or {"type": "random"})  # type: ignore[arg-type]
    kind, seed, most = settings.pop("type"), experiment.config.get("seed"), experiment.max_concurrent_trials
    # Seeded, so that a search draws the same values again.
    seed = settings.pop("seed", seed if isinstance(seed, int) else None)
    if kind in _RANDOM:
        return BasicVariantGenerator(max_concurrent=most or 0, random_state=seed)
    space = search_space.resolve(experiment.config, "config")
    if "points_to_evaluate" in settings:
        points = settings["points_to_evaluate"]
        settings["points_to_evaluate"] = list(_points(points, space))
    try:
        algorithm = _class(kind, Searcher)
        known = inspect.signature(algorithm).parameters
        if unknown := [key for key in settings if key not in known]:
            raise SettingError(f"search_alg.{unknown[0]}", f"not a setting of {kind}{nearest(unknown[0], known)}")
        if "seed" in known and seed is not None:
            settings["seed"] = seed
        found = Elementwise(algorithm(**settings), space)
    except SettingError:
        raise
    except Exception as error:  # a user's class may raise anything
        raise SettingError("search_alg", f"{kind}: {one_line(error)}") from error
    return ConcurrencyLimiter(found, max_concurrent=most) if most else found


def _class(kind: str, base: type[Any]) -> type[Any]:
    if kind == "optuna":
        from ray.tune.search.optuna import OptunaSearch

        return OptunaSearch
    return import_class(kind, base)


def _points(points: Any, space: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """First trials, written as parts of a config, by the names of :mod:`elementwise`."""
    from rllib_metagrad.cli.elementwise import flat_point

    if not isinstance(points, list):
        raise SettingError("search_alg.points_to_evaluate", f"must be a list of parts of config, got {points!r}")
    for i, point in enumerate(points):
        yield flat_point(point, space, f"search_alg.points_to_evaluate.{i}")
