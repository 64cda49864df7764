"""The checked configuration of the original: what env_config says, as the package's constructor takes it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from env_wrappers.gather_trade_build.foundation.package import map_files, map_size
from env_wrappers.gather_trade_build.foundation.taxes import (
    EXTERNAL_TAX,
    PACKAGE_TAX,
    TAXES,
    num_brackets,
)
from env_wrappers.gather_trade_build.rates import check_annealing, check_rates
from env_wrappers.pettingzoo_env import nearest
from env_wrappers.simultaneous import whole_number

NAME = "gather_trade_build"
PAPER_SCENARIO, PAPER_MAP = "layout_from_file/simple_wood_and_stone", "env-pure_and_mixed-15x15.txt"
SPLIT, ONE_STEP, COVID = "split_layout/simple_wood_and_stone", "one-step-economy", "CovidAndEconomySimulation"
#: Scenarios that read a map file.
WITH_MAP = (PAPER_SCENARIO, SPLIT)
WORLD_SIZE = (25, 25)
#: Arguments of the package's that have a key of their own, or that are settled here.
OWN_KEYS = {
    "components": "components",
    "n_agents": "num_agents",
    "episode_length": "max_steps",
    "env_layout_file": "map",
    "seed": "reset(seed=...)",
}
TAX_KEYS = {
    "tax_model": "tax",
    "disable_taxes": "tax: free_market",
    "fixed_bracket_rates": "rates",
    "tax_annealing_schedule": "rate_cap_annealing",
}
OBJECTIVES, OBSERVATIONS = ("welfare", "planner"), ("original", "network")
#: Arguments of the scenario that observations for networks rest upon.
NETWORK_NEEDS = ("flatten_observations", "flatten_masks", "allow_observation_scaling")

_TAX = (PACKAGE_TAX, {"bracket_spacing": "us-federal", "period": 10, "usd_scaling": 1000.0})
_MARKET: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Build", {"skill_dist": "pareto", "payment_max_skill_multiplier": 3}),
    ("ContinuousDoubleAuction", {"max_num_orders": 5}),
    ("Gather", {}),
    _TAX,
)


@dataclass(frozen=True)
class Defaults:
    """What a scenario has unless env_config says otherwise.

    Attributes:
        components: names and arguments, in order.
        settings: of the scenario.
        num_agents, max_steps: as the keys.
        agents: least and greatest number of agents.
    """

    components: tuple[tuple[str, dict[str, Any]], ...] = _MARKET
    settings: dict[str, Any] = field(default_factory=dict)
    num_agents: int = 4
    max_steps: int = 100
    agents: tuple[int, float] = (2, 10)


#: The paper's scenario; two whose game is another; all others are like the paper's.
DEFAULTS = {
    PAPER_SCENARIO: Defaults(settings={"fixed_four_skill_and_loc": True, "starting_agent_coin": 10}),
    ONE_STEP: Defaults(
        components=(("SimpleLabor", {}), (PACKAGE_TAX, {"bracket_spacing": "us-federal", "period": 2})),
        settings={"world_size": [1, 1]},
        max_steps=2,
        agents=(2, np.inf),
    ),
    COVID: Defaults(
        components=(
            ("ControlUSStateOpenCloseStatus", {}),
            ("FederalGovernmentSubsidy", {}),
            ("VaccinationCampaign", {}),
        ),
        settings={"world_size": [1, 1]},
        num_agents=51,
        max_steps=540,
        agents=(51, 51),
    ),
}


@dataclass(frozen=True)
class FoundationConfig:
    """See :class:`~.environment.FoundationEnv` for the arguments.

    Attributes:
        scenario: name.
        arguments: of the scenario's constructor.
        tax: one of TAXES, or None without a tax component.
        objective: one of OBJECTIVES.
        for_networks: whether observations are for networks.
    """

    scenario: str
    num_agents: int
    max_steps: int
    arguments: dict[str, Any]
    tax: str | None
    objective: str
    for_networks: bool


def check_config(
    foundation: Any,
    scenario: Any,
    map: Any,
    num_agents: Any,
    max_steps: Any,
    components: Any,
    scenario_config: Any,
    tax: Any,
    rates: Any,
    rate_cap_annealing: Any,
    objective: Any,
    rng: Any,
    observations: Any,
) -> FoundationConfig:
    """The checked configuration; None takes the scenario's default.

    Args:
        foundation: the package.
        scenario: and all others: see :class:`~.environment.FoundationEnv`.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """
    scenario = _name("scenario", scenario, foundation.scenarios)
    defaults = DEFAULTS.get(scenario, Defaults())
    agents = whole_number(NAME, "num_agents", defaults.num_agents if num_agents is None else num_agents, 1)
    least, most = defaults.agents
    if not least <= agents <= most:
        bound = f"{least}" if least == most else f"at least {least}" if most == np.inf else f"{least} to {most}"
        raise ValueError(f"{NAME}: num_agents must be {bound} in scenario {scenario}, got {agents}")
    steps = whole_number(NAME, "max_steps", defaults.max_steps if max_steps is None else max_steps, 1)
    settings = copy.deepcopy(defaults.settings) | _keywords(
        "scenario_config", scenario_config, foundation.scenarios.get(scenario), OWN_KEYS
    )
    if scenario == COVID:
        settings["collate_agent_step_and_reset_data"] = True
    elif settings.get("collate_agent_step_and_reset_data"):
        raise ValueError(f"{NAME}: collate_agent_step_and_reset_data is only for scenario {COVID}; leave it out")
    if scenario in WITH_MAP:
        if "world_size" in settings:
            raise ValueError(
                f"{NAME}: scenario_config.world_size follows from the map in scenario {scenario}; leave it out"
            )
        settings |= _layout(foundation, PAPER_MAP if map is None else map)
    elif map is not None:
        raise ValueError(f"{NAME}: scenario {scenario} reads no map; leave map out, or take scenario {PAPER_SCENARIO}")
    settings.setdefault("world_size", list(WORLD_SIZE))
    chosen = _components(foundation, defaults.components if components is None else components)
    if settings.get("fixed_four_skill_and_loc") and dict(chosen).get("Build", {}).get("skill_dist") != "pareto":
        raise ValueError(
            f"{NAME}: scenario_config.fixed_four_skill_and_loc needs the component {{Build: {{skill_dist: pareto}}}}; "
            "add it to components, or set fixed_four_skill_and_loc to false"
        )
    chosen, tax = _with_taxes(chosen, tax, rates, rate_cap_annealing)
    if objective not in OBJECTIVES:
        raise ValueError(f"{NAME}: unknown objective {objective!r}{nearest(objective, OBJECTIVES)}")
    if rng != "exact":
        raise ValueError(f"{NAME}: backend foundation draws as the package does; rng must be exact, got {rng!r}")
    if observations not in OBSERVATIONS:
        raise ValueError(f"{NAME}: unknown observations {observations!r}{nearest(observations, OBSERVATIONS)}")
    for_networks = observations == "network"
    if for_networks and scenario == COVID:
        raise ValueError(f"{NAME}: scenario {COVID} has no observations: network; leave observations out")
    for key in NETWORK_NEEDS:
        if for_networks and not settings.get(key, True):
            raise ValueError(f"{NAME}: observations: network needs scenario_config.{key}; leave it out")
    return FoundationConfig(
        scenario=scenario,
        num_agents=agents,
        max_steps=steps,
        arguments=settings | {"components": chosen, "n_agents": agents, "episode_length": steps},
        tax=tax,
        objective=objective,
        for_networks=for_networks,
    )


def _name(key: str, name: Any, registry: Any) -> str:
    """The name as the package spells it (it ignores case)."""
    if not isinstance(name, str) or not registry.has(name):
        known = [entry for entry in registry.entries if entry != EXTERNAL_TAX]
        raise ValueError(f"{NAME}: unknown {key} {name!r}{nearest(name, known)}")
    return str(registry.get(name).name)


def _layout(foundation: Any, name: Any) -> dict[str, Any]:
    files = map_files(foundation)
    if isinstance(name, str) and f"{name}.txt" in files:
        name = f"{name}.txt"
    if name not in files:
        raise ValueError(f"{NAME}: unknown map {name!r}{nearest(name, files)}")
    return {"env_layout_file": name, "world_size": list(map_size(foundation, name))}


def _keywords(where: str, given: Any, cls: Any, taken: Mapping[str, str]) -> dict[str, Any]:
    """Arguments for a class of the package, checked by name.

    Args:
        where: they stand, for messages.
        given: a mapping, or None.
        cls: whose constructor, and those of its bases, takes them.
        taken: those that are not to be given here, and which key is instead.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise ValueError(f"{NAME}: {where} must be a mapping of arguments, got {given!r}")
    known = set()
    for base in cls.__mro__:
        known |= {
            p.name
            for p in inspect.signature(base.__init__).parameters.values()
            if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name != "self" and base is not object
        }
    known -= {"world", "inventory_scale", *taken}
    if where != "scenario_config":
        known -= {"episode_length"}
    for key in given:
        if key in taken:
            raise ValueError(f"{NAME}: {where} cannot hold {key!r}; use {taken[key]} instead")
        if key not in known:
            raise ValueError(f"{NAME}: {where} has unknown key {key!r}{nearest(key, known)}")
    return copy.deepcopy(dict(given))


def _components(foundation: Any, given: Any) -> list[tuple[str, dict[str, Any]]]:
    """Names and arguments; an entry is a name, ``{name: arguments}`` or ``[name, arguments]``."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError(f"{NAME}: components must be a list, e.g. [Gather, {{Build: {{payment: 20}}}}], got {given!r}")
    chosen: list[tuple[str, dict[str, Any]]] = []
    for entry in given:
        if isinstance(entry, Mapping) and len(entry) == 1:
            name, settings = next(iter(entry.items()))
        elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) == 2:
            name, settings = entry
        else:
            name, settings = entry, None
        name = _name("component", name, foundation.components)
        # Ours is chosen by `tax`.
        name = PACKAGE_TAX if name == EXTERNAL_TAX else name
        if any(name == other for other, _ in chosen):
            raise ValueError(f"{NAME}: components holds {name} twice; keep one")
        taken = TAX_KEYS if name == PACKAGE_TAX else {}
        chosen.append((name, _keywords(f"component {name}", settings, foundation.components.get(name), taken)))
    if not chosen:
        raise ValueError(f"{NAME}: components is empty; known: {', '.join(sorted(foundation.components.entries))}")
    return chosen


def _with_taxes(
    components: list[tuple[str, dict[str, Any]]], tax: Any, rates: Any, annealing: Any
) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    """The components, the tax component with who sets its rates; and who that is, None without the component."""
    if tax is not None and (not isinstance(tax, str) or tax not in TAXES):
        raise ValueError(f"{NAME}: unknown tax {tax!r}{nearest(tax, TAXES)}")
    index = next((i for i, (name, _) in enumerate(components) if name == PACKAGE_TAX), None)
    if index is None:
        for key, value in (("tax", tax), ("rates", rates), ("rate_cap_annealing", annealing)):
            if value is not None:
                raise ValueError(f"{NAME}: {key} needs the component {PACKAGE_TAX}; add it to components")
        return components, None
    tax = "external" if tax is None else tax
    name, settings = components[index]
    settings = settings | TAXES[tax]
    if tax == "external":
        brackets = num_brackets(settings)
        settings["fixed_bracket_rates"] = check_rates([0.0] * brackets if rates is None else rates, brackets).tolist()
    elif rates is not None:
        raise ValueError(f"{NAME}: rates needs tax: external, got tax: {tax}; leave rates out")
    if annealing is not None:
        settings["tax_annealing_schedule"] = list(check_annealing(annealing))
    components = list(components)
    components[index] = (EXTERNAL_TAX if tax == "external" else name, settings)
    return components, tax
