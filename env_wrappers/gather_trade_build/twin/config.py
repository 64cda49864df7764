"""The checked configuration of the twin, in the words of ``ai-economist``: components and scenario_config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from env_wrappers.gather_trade_build.rates import check_annealing, check_rates
from env_wrappers.gather_trade_build.twin.maps import NAME, read_map
from env_wrappers.pettingzoo_env import nearest
from env_wrappers.saez_formula import WEIGHTS
from env_wrappers.simultaneous import whole_number

SCENARIO = "layout_from_file/simple_wood_and_stone"
OBJECTIVES, GENERATORS = ("welfare", "planner"), ("exact", "fast")
TAXES = ("external", "us_federal", "free_market", "saez", "planner")
OBSERVATIONS = ("original", "network")
SKILLS = ("none", "pareto", "lognormal")
RESOURCES = ("Stone", "Wood")
#: US federal income tax of 2018, single filers: where brackets begin in dollars, and their rates.
US_CUTOFFS = (0, 9700, 39475, 84200, 160725, 204100, 510300)
US_RATES = (0.1, 0.12, 0.22, 0.24, 0.32, 0.35, 0.37)
TYPE_NAMES = ("noop", "Build", "Buy_Stone", "Sell_Stone", "Buy_Wood", "Sell_Wood", "Gather")

Check = Callable[[str, Any], Any]


def _whole(least: int, most: int | None = None) -> Check:
    def check(key: str, value: Any) -> int:
        number = whole_number(NAME, key, value, least)
        if most is not None and number > most:
            raise ValueError(f"{NAME}: {key} must be at most {most}, got {number}")
        return number

    return check


def _number(low: float, high: float = np.inf, below: bool = False) -> Check:
    def check(key: str, value: Any) -> float:
        good = isinstance(value, Real) and not isinstance(value, bool) and low <= float(value) <= high
        if not good or not np.isfinite(float(value)) or (below and float(value) == high):
            bound = f"at least {low:g}" if high == np.inf else f"from {low:g} to {'below ' * below}{high:g}"
            raise ValueError(f"{NAME}: {key} must be a number {bound}, got {value!r}")
        return float(value)

    return check


def _one_of(*known: Any) -> Check:
    def check(key: str, value: Any) -> Any:
        if not any(type(value) is type(k) and value == k for k in known):
            raise ValueError(f"{NAME}: unknown {key} {value!r}{nearest(value, [str(k) for k in known])}")
        return value

    return check


def _elasticity(key: str, value: Any) -> float | None:
    return None if value is None else float(_number(0)(key, value))


def _orders(key: str, value: Any) -> int | None:
    return None if value is None else whole_number(NAME, key, value, 1)


#: Arguments of components and scenario: default of the package, and check.
BUILD: dict[str, tuple[Any, Check]] = {
    "payment": (10, _whole(1)),
    "payment_max_skill_multiplier": (1, _whole(1)),
    "skill_dist": ("none", _one_of(*SKILLS)),
    "build_labor": (10.0, _number(0)),
}
MARKET: dict[str, tuple[Any, Check]] = {
    "max_bid_ask": (10, _whole(1, 100)),
    "order_labor": (0.25, _number(0)),
    "order_duration": (50, _whole(1)),
    "max_num_orders": (None, _orders),
}
GATHER: dict[str, tuple[Any, Check]] = {
    "move_labor": (1.0, _number(0)),
    "collect_labor": (1.0, _number(0)),
    "skill_dist": ("none", _one_of(*SKILLS)),
}
TAX: dict[str, tuple[Any, Check]] = {
    "period": (100, _whole(1)),
    "usd_scaling": (1000.0, _number(1e-6)),
    "bracket_spacing": ("us-federal", _one_of("us-federal", "linear", "log")),
    "n_brackets": (5, _whole(2)),
    "top_bracket_cutoff": (100.0, _number(10)),
    "rate_disc": (0.05, _number(0.001, 1, below=True)),
    "saez_fixed_elas": (None, _elasticity),
    "pareto_weight_type": ("inverse_income", _one_of(*WEIGHTS)),
}
COMPONENTS = {"Build": BUILD, "ContinuousDoubleAuction": MARKET, "Gather": GATHER, "PeriodicBracketTax": TAX}
#: The paper's choices.
PAPER_COMPONENTS: dict[str, dict[str, Any]] = {
    "Build": {"skill_dist": "pareto", "payment_max_skill_multiplier": 3},
    "ContinuousDoubleAuction": {"max_num_orders": 5},
    "Gather": {},
    "PeriodicBracketTax": {"bracket_spacing": "us-federal", "period": 10, "usd_scaling": 1000.0},
}
SETTINGS: dict[str, tuple[Any, Check]] = {
    "fixed_four_skill_and_loc": (True, _one_of(True, False)),
    "starting_agent_coin": (10.0, _number(0)),
    "resource_regen_prob": (0.01, _number(0, 1)),
    "isoelastic_eta": (0.23, _number(0, 1, below=True)),
    "energy_cost": (0.21, _number(0)),
    "mobile_agent_observation_range": (5, _whole(1)),
    "planner_reward_type": ("coin_eq_times_productivity", _one_of("coin_eq_times_productivity")),
    "mixing_weight_gini_vs_coin": (0.0, _number(0, 1)),
}


@dataclass(frozen=True)
class TwinConfig:
    """See :class:`~.vector.VectorGatherTradeBuild` for the arguments.

    Attributes:
        rows: the map.
        build, market, gather, tax_settings, settings: arguments of the components and of the scenario, complete.
        corners: with fixed_four_skill_and_loc, start cells by the rank of skill; else empty.
        rates: ``[K]`` rates that episodes start with.
        annealing: (warmup, slope) of the cap on rates, or None.
    """

    rows: tuple[str, ...]
    num_agents: int
    max_steps: int
    build: dict[str, Any]
    market: dict[str, Any]
    gather: dict[str, Any]
    tax_settings: dict[str, Any]
    settings: dict[str, Any]
    corners: tuple[tuple[int, int], ...]
    tax: str
    rates: tuple[float, ...]
    annealing: tuple[float, float] | None
    objective: str
    exact: bool
    for_networks: bool

    @property
    def prices(self) -> int:
        """How many prices there are, from 0."""
        return int(self.market["max_bid_ask"]) + 1

    @property
    def max_orders(self) -> int:
        """Open orders of an agent and resource."""
        return int(self.market["max_num_orders"] or self.market["order_duration"])

    @property
    def num_actions(self) -> int:
        """No-op, build, buying and selling at each price, four directions."""
        return 6 + 4 * self.prices

    @property
    def cutoffs(self) -> np.ndarray:
        """``[K]`` lowest income of each tax bracket, in coin."""
        return _cutoffs(self.tax_settings)

    @property
    def social_welfare(self) -> tuple[str, float] | None:
        """What the designer's reward is the change of, name and weight of equality; None where it is a level."""
        if self.objective == "welfare":
            return None
        return self.settings["planner_reward_type"], 1.0 - self.settings["mixing_weight_gini_vs_coin"]

    @property
    def discrete_rates(self) -> np.ndarray:
        """``[K]`` rates that the planner can choose, from 0 to 1."""
        step = self.tax_settings["rate_disc"]
        rates = np.arange(0.0, 1.0 + step, step)
        return rates[rates <= 1.0]


def check_config(
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
) -> TwinConfig:
    """The checked configuration; None takes the default.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """
    if scenario != SCENARIO:
        raise ValueError(f"{NAME}: backend numba plays {SCENARIO}, got {scenario!r}; take backend: foundation")
    rows = read_map(map)
    agents = whole_number(NAME, "num_agents", num_agents, 1)
    if not 2 <= agents <= 10:
        raise ValueError(f"{NAME}: num_agents must be 2 to 10, got {agents}")
    if sum(len(row) - row.count("@") for row in rows) < agents:
        raise ValueError(f"{NAME}: the map has no room for {agents} agents; give it more cells that are not water")
    parts = _components(components)
    settings = _arguments("scenario_config", scenario_config, SETTINGS)
    corners: tuple[tuple[int, int], ...] = ()
    if settings["fixed_four_skill_and_loc"]:
        if parts["Build"]["skill_dist"] != "pareto":
            raise ValueError(f"{NAME}: fixed_four_skill_and_loc needs component Build with skill_dist: pareto")
        corners = _corners(rows, agents)
    chosen = "external" if tax is None else _one_of(*TAXES)("tax", tax)
    if rates is not None and chosen != "external":
        raise ValueError(f"{NAME}: rates needs tax: external, got tax: {chosen}; leave rates out")
    taxes = parts["PeriodicBracketTax"]
    if chosen == "us_federal" and taxes["bracket_spacing"] != chosen.replace("_", "-"):
        raise ValueError(f"{NAME}: tax: us_federal needs bracket_spacing: us-federal, got {taxes['bracket_spacing']}")
    brackets = len(_cutoffs(taxes))
    start = US_RATES if chosen == "us_federal" else (0.0,) * brackets
    if rates is not None:
        start = tuple(check_rates(rates, brackets).tolist())
    return TwinConfig(
        rows=rows,
        num_agents=agents,
        max_steps=whole_number(NAME, "max_steps", max_steps, 1),
        build=parts["Build"],
        market=parts["ContinuousDoubleAuction"],
        gather=parts["Gather"],
        tax_settings=taxes,
        settings=settings,
        corners=corners,
        tax=chosen,
        rates=start,
        annealing=None if rate_cap_annealing is None else check_annealing(rate_cap_annealing),
        objective=_one_of(*OBJECTIVES)("objective", objective),
        exact=_one_of(*GENERATORS)("rng", rng) == "exact",
        for_networks=_one_of(*OBSERVATIONS)("observations", observations) == "network",
    )


def _cutoffs(taxes: dict[str, Any]) -> np.ndarray:
    """The United States', or in equal steps from 0, or doubling."""
    if taxes["bracket_spacing"] == "us-federal":
        return np.array(US_CUTOFFS) / taxes["usd_scaling"]
    count, top = taxes["n_brackets"], taxes["top_bracket_cutoff"]
    if taxes["bracket_spacing"] == "linear":
        return np.linspace(0, top, count)
    first = top / 2 ** (count - 2)
    return np.concatenate([[0], 2 ** np.linspace(np.log2(first), np.log2(top), count - 1)])


def _components(given: Any) -> dict[str, dict[str, Any]]:
    """Arguments of the four components, which play in a fixed order."""
    entries: list[tuple[Any, Any]] = []
    if given is None:
        entries = list(PAPER_COMPONENTS.items())
    elif isinstance(given, Sequence) and not isinstance(given, str):
        for entry in given:
            if isinstance(entry, Mapping) and len(entry) == 1:
                entries.append(next(iter(entry.items())))
            elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) == 2:
                entries.append((entry[0], entry[1]))
            else:
                entries.append((entry, None))
    else:
        raise ValueError(f"{NAME}: components must be a list, got {given!r}")
    names = [_one_of(*COMPONENTS)("component", name) for name, _ in entries]
    if names != list(COMPONENTS):
        raise ValueError(
            f"{NAME}: backend numba plays the components {', '.join(COMPONENTS)} in this order, got "
            f"{', '.join(names) or 'none'}; take backend: foundation for others"
        )
    return {n: _arguments(f"component {n}", args, COMPONENTS[n]) for n, (_, args) in zip(names, entries, strict=True)}


def _arguments(where: str, given: Any, known: dict[str, tuple[Any, Check]]) -> dict[str, Any]:
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise ValueError(f"{NAME}: {where} must be a mapping of arguments, got {given!r}")
    for key in given:
        if key not in known:
            raise ValueError(f"{NAME}: {where} has unknown key {key!r}{nearest(key, known)}")
    return {key: check(key, given[key]) if key in given else default for key, (default, check) in known.items()}


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
            raise ValueError(
                f"{NAME}: no agent can start at row {cell[0]}, column {cell[1]} of the map; set "
                "scenario_config.fixed_four_skill_and_loc to false"
            )
        cells.append(cell)
    return tuple(cells)
