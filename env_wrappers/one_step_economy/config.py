"""The economy's constants, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from env_wrappers.pettingzoo_env import nearest
from env_wrappers.simultaneous import whole_number

NAME = "one_step_economy"
#: Lower ends of the tax brackets of the United States in 2018, in thousands of dollars.
US_FEDERAL_CUTOFFS = (0.0, 9.7, 39.475, 84.2, 160.725, 204.1, 510.3)
AGENT_REWARDS = ("coin_minus_labor_cost", "isoelastic_coin_minus_labor")
PLANNER_REWARDS = ("inv_income_weighted_utility", "coin_eq_times_productivity")
#: Coefficient of the Pareto distribution of skills, and the sample that their means by rank are taken from.
_PARETO, _SKILL_SAMPLES, _SKILL_SEED = 4, 1000, 1


@dataclass(frozen=True)
class Economy:
    """What does not change from episode to episode.

    Attributes:
        skills: ``[N]`` coin that an hour's work pays each agent.
        skill_unit: by which observed skills are divided.
        hours: the longest that an agent can work.
        isoelastic: utility is isoelastic in coin and linear in hours; else linear in coin and a power of hours.
        isoelastic_eta, labor_exponent, labor_cost: of utility.
        inverse_income: social welfare weights utilities by inverse income; else it is equality times mean coin.
        equality_weight: of the latter: 1 for equality times mean coin, 0 for mean coin.
        cutoffs: ``[K]`` lowest income of each tax bracket, in coin.
        rates: ``[K]`` marginal rates that episodes start with.
    """

    skills: np.ndarray
    skill_unit: float
    hours: int
    isoelastic: bool
    isoelastic_eta: float
    labor_exponent: float
    labor_cost: float
    inverse_income: bool
    equality_weight: float
    cutoffs: np.ndarray
    rates: np.ndarray

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.skills)

    @property
    def bracket_sizes(self) -> np.ndarray:
        """``[K]``, the last one infinite."""
        return np.append(self.cutoffs[1:], np.inf) - self.cutoffs


def pareto_skills(num_agents: int, multiplier: float) -> np.ndarray:
    """``[N]`` the package's skills: means by rank of Pareto draws between 1 and ``multiplier``, ascending.

    The draws are those of a package that is constructed after ``np.random.seed(1)``.
    """
    draws = np.random.RandomState(_SKILL_SEED).pareto(_PARETO, size=(_SKILL_SAMPLES, num_agents))
    by_rank = np.sort(np.minimum(multiplier, (multiplier - 1) * draws + 1), axis=1)
    return np.asarray(by_rank.mean(axis=0))


def make_economy(
    num_agents: Any = 10,
    skills: Any = None,
    payment_max_skill_multiplier: Any = 10.0,
    num_labor_hours: Any = 100,
    agent_reward_type: Any = AGENT_REWARDS[0],
    isoelastic_eta: Any = 0.23,
    labor_exponent: Any = 3.5,
    labor_cost: Any = 3e-5,
    planner_reward_type: Any = PLANNER_REWARDS[0],
    mixing_weight_gini_vs_coin: Any = 0.0,
    bracket_cutoffs: Any = None,
    rates: Any = None,
) -> Economy:
    """The checked economy.

    Args:
        num_agents: N, >= 2.
        skills: ``[N]`` coin an hour; None: the package's, between 1 and ``payment_max_skill_multiplier``.
        payment_max_skill_multiplier: greatest skill.
        num_labor_hours: the longest that an agent can work.
        agent_reward_type: ``coin_minus_labor_cost``, coin - labor_cost * hours ** labor_exponent; or
            ``isoelastic_coin_minus_labor``, (coin ** (1 - eta) - 1) / (1 - eta) - labor_cost * hours.
        isoelastic_eta: from 0, below 1.
        labor_exponent: > 1.
        labor_cost: >= 0.
        planner_reward_type: what the designer earns the change of: ``inv_income_weighted_utility``, the mean of
            utilities weighted by inverse income before taxes; or ``coin_eq_times_productivity``, equality times mean
            coin.
        mixing_weight_gini_vs_coin: of the latter, 0 to 1; 1 leaves equality out.
        bracket_cutoffs: ``[K]`` lowest income of each tax bracket, the first one 0; None: those of the United States.
        rates: ``[K]`` rates in force where no designer sets them; None: 0.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """
    n = whole_number(NAME, "num_agents", num_agents, 2)
    multiplier = _number("payment_max_skill_multiplier", payment_max_skill_multiplier, 1.0)
    if skills is None:
        paid = pareto_skills(n, multiplier)
    else:
        paid = _numbers("skills", skills, n, "agents")
        if not (paid > 0).all():
            raise ValueError(f"{NAME}: skills must be above 0, got {paid.min():g}")
    cutoffs = np.array(US_FEDERAL_CUTOFFS) if bracket_cutoffs is None else _numbers("bracket_cutoffs", bracket_cutoffs)
    if len(cutoffs) < 1 or cutoffs[0] != 0 or not (np.diff(cutoffs) > 0).all():
        raise ValueError(f"{NAME}: bracket_cutoffs must begin with 0 and increase, got {cutoffs.tolist()}")
    eta = _number("isoelastic_eta", isoelastic_eta, 0.0)
    if eta >= 1:
        raise ValueError(f"{NAME}: isoelastic_eta must be below 1, got {eta:g}")
    exponent = _number("labor_exponent", labor_exponent, 1.0)
    if exponent == 1:
        raise ValueError(f"{NAME}: labor_exponent must be above 1, got 1")
    mixing = _number("mixing_weight_gini_vs_coin", mixing_weight_gini_vs_coin, 0.0, 1.0)
    return Economy(
        skills=paid,
        skill_unit=multiplier,
        hours=whole_number(NAME, "num_labor_hours", num_labor_hours, 1),
        isoelastic=_name("agent_reward_type", agent_reward_type, AGENT_REWARDS) == AGENT_REWARDS[1],
        isoelastic_eta=eta,
        labor_exponent=exponent,
        labor_cost=_number("labor_cost", labor_cost, 0.0),
        inverse_income=_name("planner_reward_type", planner_reward_type, PLANNER_REWARDS) == PLANNER_REWARDS[0],
        equality_weight=1 - mixing,
        cutoffs=cutoffs,
        rates=np.zeros(len(cutoffs)) if rates is None else check_rates(rates, len(cutoffs)),
    )


def check_rates(rates: Any, brackets: int) -> np.ndarray:
    """``[K]`` marginal rates.

    Raises:
        ValueError: unless they are K numbers from 0 to 1.
    """
    values = _numbers("rates", rates, brackets, "tax brackets")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{NAME}: rates must be between 0 and 1, got {values.tolist()}")
    return values


def _name(key: str, value: Any, known: Sequence[str]) -> str:
    if value not in known:
        raise ValueError(f"{NAME}: unknown {key} {value!r}{nearest(value, known)}")
    return str(value)


def _number(key: str, value: Any, least: float, most: float = np.inf) -> float:
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else np.nan
    if not np.isfinite(number):
        raise ValueError(f"{NAME}: {key} must be a number, got {value!r}")
    if not least <= number <= most:
        bound = f"at least {least:g}" if most == np.inf else f"between {least:g} and {most:g}"
        raise ValueError(f"{NAME}: {key} must be {bound}, got {value}")
    return number


def _numbers(key: str, values: Any, count: int | None = None, of: str = "") -> np.ndarray:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise ValueError(f"{NAME}: {key} must be a list of numbers, got {values!r}")
    if count is not None and len(values) != count:
        raise ValueError(f"{NAME}: {key} must be {count} numbers, one for each of the {of}, got {len(values)}")
    return np.array([_number(key, value, -np.inf) for value in values], np.float64)
