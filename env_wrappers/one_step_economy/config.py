"""The configuration of the one-step economy, read by the ParallelEnv, its batched twin, the registry and the docs."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self, get_args

import numpy as np
from pydantic import model_validator

from env_wrappers.config import Derived, EnvConfig
from env_wrappers.gather_trade_build.rates import Rates, check_rates
from rllib_metagrad.settings import SettingError, setting
from rllib_metagrad.settings.base import Numbers

NAME = "one_step_economy"
#: Lower ends of the tax brackets of the United States in 2018, in thousands of dollars.
US_FEDERAL_CUTOFFS = (0.0, 9.7, 39.475, 84.2, 160.725, 204.1, 510.3)
AgentReward = Literal["coin_minus_labor_cost", "isoelastic_coin_minus_labor"]
PlannerReward = Literal["inv_income_weighted_utility", "coin_eq_times_productivity"]
PLANNER_REWARDS: tuple[PlannerReward, ...] = get_args(PlannerReward)
#: Coefficient of the Pareto distribution of skills, and the sample that their means by rank are taken from.
_PARETO, _SKILL_SAMPLES, _SKILL_SEED = 4, 1000, 1


def pareto_skills(num_agents: int, multiplier: float) -> np.ndarray:
    """``[N]`` the package's skills: means by rank of Pareto draws between 1 and ``multiplier``, ascending.

    The draws are those of a package that is constructed after ``np.random.seed(1)``.
    """
    draws = np.random.RandomState(_SKILL_SEED).pareto(_PARETO, size=(_SKILL_SAMPLES, num_agents))
    by_rank = np.sort(np.minimum(multiplier, (multiplier - 1) * draws + 1), axis=1)
    return np.asarray(by_rank.mean(axis=0))


class OneStepEconomyConfig(EnvConfig):
    """Keys of the one-step economy, and what follows from them."""

    NAME = NAME

    num_agents: int = setting(10, "N", ge=2)
    skills: Derived[Numbers] = setting(
        None, "coin an hour of each agent; null: the package's, from 1 to `payment_max_skill_multiplier`"
    )
    payment_max_skill_multiplier: float = setting(10.0, "greatest skill; observed skills are divided by it", ge=1)
    num_labor_hours: int = setting(100, "the longest that an agent can work", ge=1)
    agent_reward_type: AgentReward = setting(
        "coin_minus_labor_cost",
        "utility: `coin - labor_cost * hours ** labor_exponent`; or `(coin ** (1 - eta) - 1) / (1 - eta) - "
        "labor_cost * hours`",
    )
    isoelastic_eta: float = setting(0.23, "eta", ge=0, lt=1)
    labor_exponent: float = setting(3.5, "of hours worked", gt=1)
    labor_cost: float = setting(3e-5, "of an hour, or of the power of hours", ge=0)
    planner_reward_type: PlannerReward = setting(
        "inv_income_weighted_utility",
        "what the designer earns the change of: the mean of utilities weighted by inverse income before taxes; or "
        "equality times mean coin",
    )
    mixing_weight_gini_vs_coin: float = setting(0.0, "of the latter: 1 leaves equality out", ge=0, le=1)
    bracket_cutoffs: Derived[Numbers] = setting(
        None,
        "lowest income of each tax bracket, increasing from 0; null: 0, 9.7, 39.475, 84.2, 160.725, 204.1, 510.3, "
        "those of the United States",
    )
    rates: Derived[Rates] = setting(None, "marginal rates in force unless a designer sets them; null: all 0")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.skills is None:
            self._derive(skills=tuple(pareto_skills(self.num_agents, self.payment_max_skill_multiplier).tolist()))
        if len(self.skills) != self.num_agents:
            raise SettingError(
                "skills", f"must be {self.num_agents} numbers, one for each of the agents, got {len(self.skills)}"
            )
        if min(self.skills) <= 0:
            raise SettingError("skills", f"must be above 0, got {min(self.skills):g}")
        if self.bracket_cutoffs is None:
            self._derive(bracket_cutoffs=US_FEDERAL_CUTOFFS)
        if self.bracket_cutoffs[:1] != (0,) or not (np.diff(self.bracket_cutoffs) > 0).all():
            raise SettingError("bracket_cutoffs", f"must begin with 0 and increase, got {list(self.bracket_cutoffs)}")
        brackets = len(self.bracket_cutoffs)
        rates = np.zeros(brackets) if self.rates is None else check_rates(self.rates, brackets, NAME)
        self._derive(rates=tuple(rates.tolist()))
        return self

    @cached_property
    def pay(self) -> np.ndarray:
        """``[N]`` coin that an hour's work pays each agent: ``skills``."""
        return np.array(self.skills)

    @cached_property
    def cutoffs(self) -> np.ndarray:
        """``[K]`` lowest income of each tax bracket, in coin."""
        return np.array(self.bracket_cutoffs)

    @cached_property
    def bracket_sizes(self) -> np.ndarray:
        """``[K]``, the last one infinite."""
        return np.append(self.cutoffs[1:], np.inf) - self.cutoffs

    @property
    def isoelastic(self) -> bool:
        """Whether utility is isoelastic in coin and linear in hours; else linear in coin and a power of hours."""
        return self.agent_reward_type == "isoelastic_coin_minus_labor"

    @property
    def inverse_income(self) -> bool:
        """Whether social welfare weights utilities by inverse income; else it is equality times mean coin."""
        return self.planner_reward_type == "inv_income_weighted_utility"

    @property
    def equality_weight(self) -> float:
        """Of the latter: 1 for equality times mean coin, 0 for mean coin."""
        return 1 - self.mixing_weight_gini_vs_coin
