"""The configuration of the twin, in the words of ``ai-economist``: components and scenario_config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, Self, TypeVar, get_args

import numpy as np
from pydantic import model_validator

from env_wrappers.gather_trade_build.config import (
    PAPER_MAP,
    PAPER_SCENARIO,
    GatherTradeBuildConfig,
    entries,
)
from env_wrappers.gather_trade_build.rates import check_rates
from env_wrappers.gather_trade_build.twin.maps import read_map
from env_wrappers.saez_formula import Weights
from rllib_metagrad.settings import SettingError, Settings, nearest, setting

Skill = Literal["none", "pareto", "lognormal"]
SKILLS: tuple[Skill, ...] = get_args(Skill)
RESOURCES = ("Stone", "Wood")
#: US federal income tax of 2018, single filers: where brackets begin in dollars, and their rates.
US_CUTOFFS = (0, 9700, 39475, 84200, 160725, 204100, 510300)
US_RATES = (0.1, 0.12, 0.22, 0.24, 0.32, 0.35, 0.37)
TYPE_NAMES = ("noop", "Build", "Buy_Stone", "Sell_Stone", "Buy_Wood", "Sell_Wood", "Gather")


class Arguments(Settings):
    """Arguments of a component or of the scenario, with the package's defaults; also a mapping, to hand them on."""

    def keys(self) -> Iterator[str]:
        """Names of the arguments."""
        return iter(type(self).model_fields)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


class BuildArguments(Arguments):
    """Of Build."""

    payment: int = setting(10, "coin for a house, times skill", ge=1)
    payment_max_skill_multiplier: int = setting(1, "greatest skill", ge=1)
    skill_dist: Skill = setting("none", "of skills")
    build_labor: float = setting(10.0, "of a house", ge=0)


class MarketArguments(Arguments):
    """Of ContinuousDoubleAuction."""

    max_bid_ask: int = setting(10, "greatest price", ge=1, le=100)
    order_labor: float = setting(0.25, "of an order", ge=0)
    order_duration: int = setting(50, "steps until an order expires", ge=1)
    max_num_orders: int | None = setting(None, "open orders of an agent and resource; null: order_duration", ge=1)


class GatherArguments(Arguments):
    """Of Gather."""

    move_labor: float = setting(1.0, "of a step", ge=0)
    collect_labor: float = setting(1.0, "of a resource", ge=0)
    skill_dist: Skill = setting("none", "of the chance of a second unit")


class TaxArguments(Arguments):
    """Of PeriodicBracketTax."""

    period: int = setting(100, "steps between taxes", ge=1)
    usd_scaling: float = setting(1000.0, "dollars in a coin, for us-federal", ge=1e-6)
    bracket_spacing: Literal["us-federal", "linear", "log"] = setting("us-federal", "where brackets begin")
    n_brackets: int = setting(5, "how many, except for us-federal", ge=2)
    top_bracket_cutoff: float = setting(100.0, "of the last one, except for us-federal", ge=10)
    rate_disc: float = setting(0.05, "between rates that the planner can choose", ge=0.001, lt=1)
    saez_fixed_elas: float | None = setting(None, "elasticity of Saez' formula; null: estimated", ge=0)
    pareto_weight_type: Weights = setting("inverse_income", "of Saez' formula")


class ScenarioArguments(Arguments):
    """Of the scenario."""

    fixed_four_skill_and_loc: bool = setting(True, "skills are their means by rank, and agents start in corners")
    starting_agent_coin: float = setting(10.0, "of each agent", ge=0)
    resource_regen_prob: float = setting(0.01, "of a resource to grow again, in each step", ge=0, le=1)
    isoelastic_eta: float = setting(0.23, "of utility", ge=0, lt=1)
    energy_cost: float = setting(0.21, "of a unit of labor, in utility", ge=0)
    mobile_agent_observation_range: int = setting(5, "cells that agents see to each side", ge=1)
    planner_reward_type: Literal["coin_eq_times_productivity"] = setting("coin_eq_times_productivity", "social welfare")
    mixing_weight_gini_vs_coin: float = setting(0.0, "1 leaves equality out", ge=0, le=1)


#: The components, in the order in which they play.
COMPONENTS: dict[str, type[Arguments]] = {
    "Build": BuildArguments,
    "ContinuousDoubleAuction": MarketArguments,
    "Gather": GatherArguments,
    "PeriodicBracketTax": TaxArguments,
}
#: The paper's choices.
PAPER_COMPONENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Build", {"skill_dist": "pareto", "payment_max_skill_multiplier": 3}),
    ("ContinuousDoubleAuction", {"max_num_orders": 5}),
    ("Gather", {}),
    ("PeriodicBracketTax", {"bracket_spacing": "us-federal", "period": 10, "usd_scaling": 1000.0}),
)
A = TypeVar("A", bound=Arguments)


class TwinConfig(GatherTradeBuildConfig):
    """What the twin plays, and what follows from its keys."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.scenario != PAPER_SCENARIO:
            raise SettingError(
                "scenario",
                f"must be {PAPER_SCENARIO} in backend numba, got {self.scenario!r}; others need backend: foundation",
            )
        defaults = {"map": PAPER_MAP, "num_agents": 4, "max_steps": 100, "tax": "external"}
        self._derive(**{key: value for key, value in defaults.items() if getattr(self, key) is None})
        if not 2 <= self.num_agents <= 10:
            raise SettingError("num_agents", f"must be 2 to 10, got {self.num_agents}")
        if sum(len(row) - row.count("@") for row in self.rows) < self.num_agents:
            raise SettingError("map", f"has no room for {self.num_agents} agents; it needs more cells without water")
        if self.settings.fixed_four_skill_and_loc and self.build.skill_dist != "pareto":
            raise SettingError("fixed_four_skill_and_loc", "needs component Build with skill_dist: pareto")
        _ = self.corners  # now, so that a map without room in the corners is an error of the configuration
        self._complete_taxes()
        return self

    def _complete_taxes(self) -> None:
        tax, taxes = self.tax, self.tax_settings
        if self.rates is not None and tax != "external":
            raise SettingError("rates", f"needs tax: external, got tax: {tax}; leave rates out")
        if tax == "us_federal" and taxes.bracket_spacing != "us-federal":
            raise SettingError("tax", f"us_federal needs bracket_spacing: us-federal, got {taxes.bracket_spacing}")
        rates = US_RATES if tax == "us_federal" else (0.0,) * len(self.cutoffs) if self.rates is None else self.rates
        self._derive(rates=tuple(check_rates(rates, len(self.cutoffs)).tolist()))

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """The map."""
        return read_map(self.map)

    @cached_property
    def _parts(self) -> dict[str, Any]:
        """Arguments of the components by name."""
        given = entries(PAPER_COMPONENTS if self.components is None else self.components)
        for name, _ in given:
            if name not in COMPONENTS:
                raise SettingError("unknown component", f"{name!r}{nearest(name, COMPONENTS)}")
        if [name for name, _ in given] != list(COMPONENTS):
            raise SettingError(
                "components",
                f"must be {', '.join(COMPONENTS)} in this order in backend numba, got "
                f"{', '.join(name for name, _ in given)}; take backend: foundation for others",
            )
        return {name: _arguments(f"component {name}", args, COMPONENTS[name]) for name, args in given}

    @property
    def build(self) -> BuildArguments:
        """Arguments of Build."""
        return self._parts["Build"]

    @property
    def market(self) -> MarketArguments:
        """Arguments of ContinuousDoubleAuction."""
        return self._parts["ContinuousDoubleAuction"]

    @property
    def gather(self) -> GatherArguments:
        """Arguments of Gather."""
        return self._parts["Gather"]

    @property
    def tax_settings(self) -> TaxArguments:
        """Arguments of PeriodicBracketTax."""
        return self._parts["PeriodicBracketTax"]

    @cached_property
    def settings(self) -> ScenarioArguments:
        """Arguments of the scenario."""
        return _arguments("scenario_config", self.scenario_config, ScenarioArguments)

    @cached_property
    def corners(self) -> tuple[tuple[int, int], ...]:
        """With fixed_four_skill_and_loc, start cells by the rank of skill; else empty."""
        return _corners(self.rows, self.num_agents) if self.settings.fixed_four_skill_and_loc else ()

    @property
    def exact(self) -> bool:
        """Whether draws are the original's."""
        return self.rng == "exact"

    @property
    def annealing(self) -> tuple[float, float] | None:
        """(warmup, slope) of the cap on rates, or None."""
        return self.rate_cap_annealing

    @property
    def prices(self) -> int:
        """How many prices there are, from 0."""
        return self.market.max_bid_ask + 1

    @property
    def max_orders(self) -> int:
        """Open orders of an agent and resource."""
        return self.market.max_num_orders or self.market.order_duration

    @property
    def num_actions(self) -> int:
        """No-op, build, buying and selling at each price, four directions."""
        return 6 + 4 * self.prices

    @cached_property
    def cutoffs(self) -> np.ndarray:
        """``[K]`` lowest income of each tax bracket, in coin."""
        return _cutoffs(self.tax_settings)

    @property
    def social_welfare(self) -> tuple[str, float] | None:
        """What the designer's reward is the change of, name and weight of equality; None where it is a level."""
        if self.objective == "welfare":
            return None
        return self.settings.planner_reward_type, 1.0 - self.settings.mixing_weight_gini_vs_coin

    @cached_property
    def discrete_rates(self) -> np.ndarray:
        """``[K]`` rates that the planner can choose, from 0 to 1."""
        step = self.tax_settings.rate_disc
        rates = np.arange(0.0, 1.0 + step, step)
        return rates[rates <= 1.0]


def _cutoffs(taxes: TaxArguments) -> np.ndarray:
    """The United States', or in equal steps from 0, or doubling."""
    if taxes.bracket_spacing == "us-federal":
        return np.array(US_CUTOFFS) / taxes.usd_scaling
    count, top = taxes.n_brackets, taxes.top_bracket_cutoff
    if taxes.bracket_spacing == "linear":
        return np.linspace(0, top, count)
    first = top / 2 ** (count - 2)
    return np.concatenate([[0], 2 ** np.linspace(np.log2(first), np.log2(top), count - 1)])


def _arguments(where: str, given: Any, record: type[A]) -> A:
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise SettingError(where, f"must be a mapping of arguments, got {given!r}")
    try:
        return record.from_keys(given)
    except SettingError as error:
        raise SettingError(f"{where}: {error.key}", error.message) from None


def _corners(rows: tuple[str, ...], agents: int) -> tuple[tuple[int, int], ...]:
    """Start cells from the least skilled agent to the most: top right, bottom left, top left, bottom right."""
    height, width = len(rows), len(rows[0])
    taken = [0, 0, 0, 0]
    cells = []
    for rank in range(agents):
        group = int(np.floor(rank * (4 / agents)))
        place = taken[group]
        taken[group] += 1
        cell = (
            (place // 4, width - 1 - place % 4),
            (height - 1 - place // 4, place % 4),
            (place // 4, place % 4),
            # The original takes the width for both.
            (width - 1 - place // 4, width - 1 - place % 4),
        )[group]
        inside = 0 <= cell[0] < height and 0 <= cell[1] < width
        if not inside or cell in cells or rows[cell[0]][cell[1]] == "@":
            raise SettingError(
                "map",
                f"lets no agent start at row {cell[0]}, column {cell[1]}; set "
                "scenario_config.fixed_four_skill_and_loc to false",
            )
        cells.append(cell)
    return tuple(cells)
