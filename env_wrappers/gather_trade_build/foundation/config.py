"""The checked configuration of the original: what env_config says, as the package's constructor takes it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from pydantic import model_validator

from env_wrappers.gather_trade_build.config import (
    PAPER_MAP,
    PAPER_SCENARIO,
    GatherTradeBuildConfig,
    Tax,
    entries,
)
from env_wrappers.gather_trade_build.foundation import package
from env_wrappers.gather_trade_build.foundation.package import map_files, map_size
from env_wrappers.gather_trade_build.foundation.taxes import (
    EXTERNAL_TAX,
    PACKAGE_TAX,
    TAXES,
    num_brackets,
)
from env_wrappers.gather_trade_build.rates import check_rates
from rllib_metagrad.settings import SettingError, nearest

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


class FoundationConfig(GatherTradeBuildConfig):
    """What the original plays. Names are checked against the package, which must be installed.

    ``num_agents``, ``max_steps`` and the components are the scenario's where they are null; ``tax`` stays null without
    a tax component.
    """

    @model_validator(mode="after")
    def _complete(self) -> Self:
        scenario = _name("scenario", self.scenario, self._foundation.scenarios)
        defaults = DEFAULTS.get(scenario, Defaults())
        self._derive(
            scenario=scenario,
            num_agents=self.num_agents or defaults.num_agents,
            max_steps=self.max_steps or defaults.max_steps,
        )
        least, most = defaults.agents
        if not least <= self.num_agents <= most:
            bound = f"{least}" if least == most else f"at least {least}" if most == np.inf else f"{least} to {most}"
            raise SettingError("num_agents", f"must be {bound} in scenario {scenario}, got {self.num_agents}")
        if self.rng != "exact":
            raise SettingError("rng", f"must be exact in backend foundation, the package's own draws, got {self.rng!r}")
        if self.for_networks and scenario == COVID:
            raise SettingError("observations", f"must not be network in scenario {COVID}; leave observations out")
        self._derive(tax=self._taxed[1])
        arguments = self.arguments
        for key in NETWORK_NEEDS:
            if self.for_networks and not arguments.get(key, True):
                raise SettingError("observations", f"must not be network without scenario_config.{key}; leave it out")
        return self

    @property
    def _foundation(self) -> Any:
        return package.load()

    @cached_property
    def _taxed(self) -> tuple[list[tuple[str, dict[str, Any]]], Tax | None]:
        """The components with who sets tax rates; and who that is, None without a tax component."""
        defaults = DEFAULTS.get(self.scenario, Defaults())
        chosen = _components(self._foundation, defaults.components if self.components is None else self.components)
        return _with_taxes(chosen, self.tax, self.rates, self.rate_cap_annealing)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Of the scenario's constructor."""
        scenario, foundation = self.scenario, self._foundation
        components, _ = self._taxed
        settings = copy.deepcopy(DEFAULTS.get(scenario, Defaults()).settings) | _keywords(
            "scenario_config", self.scenario_config, foundation.scenarios.get(scenario), OWN_KEYS
        )
        if scenario == COVID:
            settings["collate_agent_step_and_reset_data"] = True
        elif settings.get("collate_agent_step_and_reset_data"):
            raise SettingError(
                "scenario_config.collate_agent_step_and_reset_data", f"is only for scenario {COVID}; leave it out"
            )
        if scenario in WITH_MAP:
            if "world_size" in settings:
                raise SettingError(
                    "scenario_config.world_size", f"follows from the map in scenario {scenario}; leave it out"
                )
            settings |= _layout(foundation, PAPER_MAP if self.map is None else self.map)
        elif self.map is not None:
            raise SettingError(
                "map", f"is not read by scenario {scenario}; leave map out, or take scenario {PAPER_SCENARIO}"
            )
        settings.setdefault("world_size", list(WORLD_SIZE))
        if settings.get("fixed_four_skill_and_loc") and dict(components).get("Build", {}).get("skill_dist") != "pareto":
            raise SettingError(
                "scenario_config.fixed_four_skill_and_loc",
                "needs the component {Build: {skill_dist: pareto}}; add it to components, or set "
                "fixed_four_skill_and_loc to false",
            )
        return settings | {"components": components, "n_agents": self.num_agents, "episode_length": self.max_steps}


def _name(key: str, name: Any, registry: Any) -> str:
    """The name as the package spells it (it ignores case)."""
    if not isinstance(name, str) or not registry.has(name):
        known = [entry for entry in registry.entries if entry != EXTERNAL_TAX]
        raise SettingError(f"unknown {key}", f"{name!r}{nearest(name, known)}")
    return str(registry.get(name).name)


def _layout(foundation: Any, name: Any) -> dict[str, Any]:
    files = map_files(foundation)
    if isinstance(name, str) and f"{name}.txt" in files:
        name = f"{name}.txt"
    if name not in files:
        raise SettingError("map", f"must be the name of a map, got {name!r}{nearest(name, files)}")
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
        raise SettingError(where, f"must be a mapping of arguments, got {given!r}")
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
            raise SettingError(where, f"cannot hold {key!r}; use {taken[key]} instead")
        if key not in known:
            raise SettingError(where, f"has unknown key {key!r}{nearest(key, known)}")
    return copy.deepcopy(dict(given))


def _components(foundation: Any, given: tuple[Any, ...]) -> list[tuple[str, dict[str, Any]]]:
    """Names and arguments, with the names as the package spells them."""
    chosen: list[tuple[str, dict[str, Any]]] = []
    for name, settings in entries(given):
        name = _name("component", name, foundation.components)
        # Ours is chosen by `tax`.
        name = PACKAGE_TAX if name == EXTERNAL_TAX else name
        if any(name == other for other, _ in chosen):
            raise SettingError("components", f"holds {name} twice; keep one")
        taken = TAX_KEYS if name == PACKAGE_TAX else {}
        chosen.append((name, _keywords(f"component {name}", settings, foundation.components.get(name), taken)))
    return chosen


def _with_taxes(
    components: list[tuple[str, dict[str, Any]]], tax: Tax | None, rates: Any, annealing: Any
) -> tuple[list[tuple[str, dict[str, Any]]], Tax | None]:
    """The components, the tax component with who sets its rates; and who that is, None without the component."""
    index = next((i for i, (name, _) in enumerate(components) if name == PACKAGE_TAX), None)
    if index is None:
        for key, value in (("tax", tax), ("rates", rates), ("rate_cap_annealing", annealing)):
            if value is not None:
                raise SettingError(key, f"needs the component {PACKAGE_TAX}; add it to components")
        return components, None
    tax = "external" if tax is None else tax
    name, settings = components[index]
    settings = settings | TAXES[tax]
    if tax == "external":
        brackets = num_brackets(settings)
        settings["fixed_bracket_rates"] = check_rates([0.0] * brackets if rates is None else rates, brackets).tolist()
    elif rates is not None:
        raise SettingError("rates", f"needs tax: external, got tax: {tax}; leave rates out")
    if annealing is not None:
        settings["tax_annealing_schedule"] = list(annealing)
    components = list(components)
    components[index] = (EXTERNAL_TAX if tax == "external" else name, settings)
    return components, tax
