"""Mechanisms by name or import path."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rllib_metagrad.mechanisms.base import ActionIncentives, AgentIncentives, BoundedIncentives, Mechanism
from rllib_metagrad.mechanisms.payments import Payment, Toll
from rllib_metagrad.mechanisms.subsidies import HouseSubsidy
from rllib_metagrad.mechanisms.taxes import BracketedTax, LinearTax
from rllib_metagrad.settings import SettingError, nearest
from rllib_metagrad.settings.import_path import import_class, is_import_path

#: Mechanisms that config files can name without an import path.
MECHANISMS: dict[str, type[Mechanism]] = {
    "action_incentives": ActionIncentives,
    "agent_incentives": AgentIncentives,
    "bracketed_tax": BracketedTax,
    "house_subsidy": HouseSubsidy,
    "linear_tax": LinearTax,
    "payment": Payment,
    "toll": Toll,
}

# By register_mechanism (deprecated): what makes the mechanism, and the facts that it takes by keyword.
_FACTORIES: dict[str, tuple[Callable[..., Mechanism], tuple[str, ...]]] = {}
# What every constructor is given beside settings.
_GIVEN = ("num_agents", "num_action_types", "facts")
_BY_KEYWORD = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def find_mechanism(name: str) -> type[Mechanism]:
    """The class of a mechanism.

    Args:
        name: one of :data:`MECHANISMS`, or an import path ``package.module:Class``.

    Raises:
        ValueError: on one line, if there is no such class, or it is no mechanism.
    """
    if name in MECHANISMS:
        return MECHANISMS[name]
    if not is_import_path(name):
        hint = nearest(name, [*MECHANISMS, *_FACTORIES])
        raise ValueError(f"unknown mechanism {name!r}{hint}{'' if hint[-1:] == '?' else ', or package.module:Class'}")
    try:
        return import_class(name, Mechanism)  # type: ignore[type-abstract]
    except ValueError as error:
        raise ValueError(f"mechanism {error}") from error


def check_mechanism(name: str, config: Mapping[str, Any]) -> None:
    """Checks as much as can be checked without an environment: the class, and the keys and values of its settings.

    Args:
        name: as for :func:`find_mechanism`.
        config: ``mechanism_config``.

    Raises:
        ValueError: on one line, such as ``mechanism_config.scale must be a number > 0, got -1``.
    """
    if name in _FACTORIES:
        return
    found = find_mechanism(name)
    parameters = inspect.signature(found).parameters.values()
    kinds = {p.name: p.kind for p in parameters if p.name not in _GIVEN}
    keys = {key for key, kind in kinds.items() if kind in _BY_KEYWORD}
    settings = set(found.Config.config_keys()) if inspect.Parameter.VAR_KEYWORD in kinds.values() else set()
    facts = found.needs.names() if found.needs is not None else ()
    for key in config:
        if key in facts:
            raise SettingError(f"mechanism_config.{key}", "is set by env_config, not here")
        if key not in keys | settings:
            raise SettingError(f"mechanism_config.{key}", f"is no setting of {name}{nearest(key, keys | settings)}")
    for parameter in parameters:
        if parameter.name in keys - config.keys() and parameter.default is parameter.empty:
            raise SettingError(f"mechanism_config.{parameter.name}", f"is missing: {name} has no default for it")
    try:
        found.Config.from_keys({key: value for key, value in config.items() if key in settings})
    except SettingError as error:
        raise SettingError(f"mechanism_config.{error.key}", error.message) from None


def output_limits(name: str, config: Mapping[str, Any]) -> tuple[float, float] | None:
    """Between which numbers outputs may lie, where that can be told without an environment, else None.

    Args:
        name: as for :func:`find_mechanism`.
        config: ``mechanism_config``, checked.
    """
    found = None if name in _FACTORIES else find_mechanism(name)
    if found is None or not issubclass(found, BoundedIncentives) or found.squash is not BoundedIncentives.squash:
        return None
    keys = found.Config.config_keys()
    bounded = found.Config.from_keys({key: value for key, value in config.items() if key in keys})
    return 0.0, float(bounded.scale)


def make_mechanism(
    name: str,
    num_agents: int,
    num_action_types: int,
    config: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
    env: str = "the environment",
) -> Mechanism:
    """Builds a mechanism for an environment.

    Args:
        name: as for :func:`find_mechanism`.
        num_agents: N.
        num_action_types: number of types that agents' actions have.
        config: ``mechanism_config``.
        facts: the environment's ``mechanism_facts``.
        env: its name, for messages.

    Raises:
        ValueError: on one line, for what :func:`check_mechanism` refuses, and for an environment that does not report
            the facts that the mechanism needs.
    """
    check_mechanism(name, config)
    known = facts or {}
    shape: dict[str, Any] = {"num_agents": num_agents, "num_action_types": num_action_types}
    if name in _FACTORIES:
        factory, needed = _FACTORIES[name]
        _check_facts(name, [fact for fact in needed if fact not in known], env)
        try:
            return factory(**shape, **{fact: known[fact] for fact in needed}, **config)
        except TypeError as error:
            raise ValueError(f"mechanism_config of {name!r}: {error}") from error
    found = find_mechanism(name)
    if found.needs is not None:
        _check_facts(name, found.needs.missing(known), env)
        shape["facts"] = found.needs.read(known)
    return found(**shape, **config)


def _check_facts(name: str, missing: Sequence[str], env: str) -> None:
    if missing:
        raise ValueError(f"mechanism {name!r} does not fit {env}, which has no {', '.join(missing)}")


# -- of version 0.1 ---------------------------------------------------------------------------------------


def mechanism_names() -> list[str]:
    """Deprecated: the keys of :data:`MECHANISMS`."""
    _warn("mechanism_names() is deprecated; use MECHANISMS")
    return sorted([*MECHANISMS, *_FACTORIES])


def register_mechanism(name: str, factory: Callable[..., Mechanism], facts: Sequence[str] = ()) -> None:
    """Deprecated: adds a mechanism in this process only; an import path reaches every worker.

    Args:
        name: for the config key ``mechanism``.
        factory: called with ``num_agents``, ``num_action_types``, the entries of ``mechanism_config`` and the facts.
        facts: names of the facts that it takes, each as a keyword.
    """
    _warn("register_mechanism() is deprecated; set mechanism to an import path, package.module:Class")
    _FACTORIES[name] = (factory, tuple(facts))


def _warn(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=3)
