"""The one-step economy in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.config import configured
from env_wrappers.facts import DesignerFacts, TaxContext, TaxFacts, merged
from env_wrappers.gather_trade_build.measures import Accounts, measure
from env_wrappers.one_step_economy import rules
from env_wrappers.one_step_economy.config import NAME, PLANNER_REWARDS, OneStepEconomyConfig
from env_wrappers.vector import AgentGroup, VectorIncentiveEnv

#: Steps of an episode and of a tax period: rates come into force in the first, are applied in the second.
PERIOD = 2
_SAVED = ("rates", "wanted", "income", "coin", "hours", "utility", "welfare", "last_income", "last_marginal", "t")


@configured(OneStepEconomyConfig)
class VectorOneStepEconomy(VectorIncentiveEnv):
    """B economies, each equal to ``ai-economist``'s one-step-economy with SimpleLabor and PeriodicBracketTax.

    An episode has two steps. Before the first the designer sets marginal tax rates (``designer_due``; its output is
    ``[B, K]``), and agents can do nothing. In the second everybody chooses hours of work, each worth the agent's skill
    in coin. Then all income is taxed by bracket, and what is taken is handed out in equal shares. Nothing is random.

    ``context`` is a :class:`~env_wrappers.facts.TaxContext` in which rate_cap is always 1 and escrow_coin 0. Labor is
    in hours, or with ``coin_minus_labor_cost`` in hours to the power of ``labor_exponent``; eta is then 0.

    Args:
        num_envs: B, >= 1.
        config: None for the defaults.
        autoreset: see :class:`VectorIncentiveEnv`.
        keys: fields of :class:`OneStepEconomyConfig`, to set or change some.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    resumable = True

    def __init__(
        self, num_envs: int, config: OneStepEconomyConfig | None = None, autoreset: bool = False, **keys: Any
    ) -> None:
        self.config = economy = OneStepEconomyConfig.of(config, keys)
        self.name = NAME
        self.max_episode_steps = PERIOD
        self.mechanism_facts = merged(
            DesignerFacts(reads_designer_output=True),
            TaxFacts(
                bracket_cutoffs=tuple(economy.cutoffs.tolist()),
                isoelastic_eta=economy.isoelastic_eta if economy.isoelastic else 0.0,
                energy_cost=economy.labor_cost,
                social_welfare=(PLANNER_REWARDS[0 if economy.inverse_income else 1], economy.equality_weight),
            ),
        )
        n, k = economy.num_agents, len(economy.cutoffs)
        agents = tuple(f"agent_{i}" for i in range(n))
        space = gym.spaces.Discrete(economy.num_labor_hours + 1)
        # Rates, whether the period begins and ends, incomes, the own marginal rate, the period's phase, skill, time.
        shape = (k + 2 + n + 4,)
        self.observation_spaces = dict.fromkeys(agents, gym.spaces.Box(-np.inf, np.inf, shape, np.float32))
        self.action_spaces = dict.fromkeys(agents, space)
        self.allocate(
            num_envs,
            agents,
            [AgentGroup(tuple(range(n)), shape, np.dtype(np.float32), space, masked=True)],
            (k + 2 + n + 4 + 3 * n,),
            np.float32,
            ("noop", "SimpleLabor"),
            2,
            TaxContext.shapes(n, k)._asdict(),
            autoreset,
        )
        self._context = TaxContext.read(self.context)
        b = self.num_envs
        self._t = np.zeros(b, np.int64)
        self._rates, self._wanted = np.zeros((b, k)), np.zeros((b, k))
        self._income, self._coin, self._hours = np.zeros((b, n)), np.zeros((b, n)), np.zeros((b, n))
        self._last_income, self._last_marginal = np.zeros((b, n)), np.zeros((b, n))
        self._utility, self._welfare = np.zeros((b, n)), np.zeros(b)
        self._start(np.ones(b, bool))
        self._observe()

    def reset(self, seed: int | None = None) -> None:
        """See the base class; nothing is random."""
        self.clear_step()
        self._start(np.ones(self.num_envs, bool))
        self.episode_over[:] = False
        self._observe()

    def _start(self, which: np.ndarray) -> None:
        economy = self.config
        for array in (self._t, self._income, self._coin, self._hours, self._last_income, self._last_marginal):
            array[which] = 0
        self._rates[which] = self._wanted[which] = economy.rates
        self._utility[which] = rules.utility(economy, self._coin[which], self._hours[which])
        self._welfare[which] = self._welfare_now()[which]

    def _welfare_now(self) -> np.ndarray:
        return rules.social_welfare(self.config, self._income, self._coin, self._utility)

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class. Hours that the mask forbids in the first step are worked all the same, as in the package.

        Raises:
            ValueError: for an action that there is not; for rates that are read and are not in [0, 1], or not K.
        """
        playing = ~self.episode_over
        hours = np.where(playing[:, None], np.asarray(actions[0]), 0)
        if not ((hours >= 0) & (hours <= self.config.num_labor_hours)).all():
            bad = hours[(hours < 0) | (hours > self.config.num_labor_hours)][0]
            raise ValueError(f"{NAME}: action {bad} is not one of 0 to {self.config.num_labor_hours}")
        if designer_output is not None:
            self._read_rates(designer_output)
        self.clear_step()
        self._work(hours)
        self._tax(playing)
        over = playing & (self._t >= PERIOD)
        self.terminated[over] = True
        self.action_types[:] = hours > 0
        acted = playing[:, None, None]
        np.multiply(self.action_types[..., None] == np.arange(2), acted, out=self.action_features, casting="unsafe")
        if self.autoreset:
            self.was_reset[:] = self.episode_over
            self._start(self.was_reset)
            self.episode_over[:] = over
        else:
            self.episode_over |= over
        self._observe()

    def _read_rates(self, given: np.ndarray) -> None:
        due = self.designer_due
        if not due.any():
            return
        if np.shape(given) != self._wanted.shape:
            raise ValueError(
                f"{NAME}: designer_output must be tax rates of shape {self._wanted.shape}, got {np.shape(given)}"
            )
        rows = np.asarray(given, np.float64)[due]
        good = (rows >= 0) & (rows <= 1)
        if not good.all():
            raise ValueError(f"{NAME}: tax rates must be between 0 and 1, got {rows[~good][0]}")
        self._wanted[due] = rows

    def _work(self, hours: np.ndarray) -> None:
        """Hours ``[B, N]``; the last ones count for utility, all for income, as in the package."""
        np.copyto(self._hours, hours, where=hours > 0)
        earned = hours * self.config.pay
        self._income += earned
        self._coin += earned

    def _tax(self, playing: np.ndarray) -> None:
        """Rates come into force, or taxes are taken; then what everybody gets out of it."""
        first, last = playing & (self._t == 0), playing & (self._t == PERIOD - 1)
        self._rates[first] = self._wanted[first]
        self._report(playing, last)
        rates, income = self._rates[last], self._income[last]
        paid = rules.tax_due(self.config, income, rates[:, None])
        self._coin[last] += paid.mean(-1, keepdims=True) - paid
        self._last_income[last] = income
        self._last_marginal[last] = rules.marginal_rate(self.config, income, rates)
        self._t += playing
        before, welfare_before = self._utility, self._welfare
        self._utility = rules.utility(self.config, self._coin, self._hours)
        self._welfare = self._welfare_now()
        self.rewards[:] = self._utility - before
        self.designer_reward[:] = self._welfare - welfare_before

    def _report(self, playing: np.ndarray, taxed: np.ndarray) -> None:
        """Context, before taxes."""
        # The mechanism's utility of coin is C - 1 where this one's is C.
        offset = 0 if self.config.isoelastic else 1
        context = self._context
        for buffer, values in (
            (context.rates, self._rates),
            (context.income, self._income),
            (context.coin, self._coin),
            (context.labor, rules.labor_units(self.config, self._hours)),
            (context.previous_utility, self._utility - offset),
        ):
            np.multiply(values, playing[:, None], out=buffer, casting="unsafe")
        context.tax_day[:] = taxed
        context.rate_cap[:] = playing

    def _observe(self) -> None:
        economy, n, k = self.config, self.config.num_agents, len(self.config.cutoffs)
        np.logical_not(self.episode_over[:, None], out=self.active)
        begins = self._t % PERIOD == 0
        self.designer_due[:] = begins & ~self.episode_over
        last_income = self._last_income / PERIOD
        # The income of the period so far: there is none where one begins.
        marginal = rules.marginal_rate(economy, np.where(begins[:, None], 0, self._income), self._rates)
        shared = np.empty((self.num_envs, k + 2 + n))
        shared[:, :k] = self._rates
        shared[:, k], shared[:, k + 1] = begins, ~begins
        shared[:, k + 2 :] = np.sort(last_income, axis=-1)
        phase, time = (self._t % PERIOD + 1) / PERIOD, self._t / PERIOD
        own, state = self.observations[0], self.state
        own[..., : k + 2 + n] = shared[:, None]
        own[..., -4] = marginal
        own[..., -3] = phase[:, None]
        own[..., -2] = economy.pay / economy.payment_max_skill_multiplier
        own[..., -1] = time[:, None]
        state[:, : k + 2 + n] = shared
        numbers = state[:, k + 2 + n : k + 6 + n]
        numbers[:, 0], numbers[:, 1] = phase, time
        numbers[:, 2], numbers[:, 3] = rules.equality(self._coin), self._coin.mean(-1) / 1000
        state[:, k + 6 + n :] = np.stack([marginal, last_income, self._last_marginal], -1).reshape(self.num_envs, -1)
        masks = self.action_masks[0]
        assert masks is not None
        # As in the package, only the first step is masked.
        masks[..., 1:] = ~(self._t == 0)[:, None, None]

    def episode_metrics(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """See the base class, and docs/metrics.md; taxes as after the last step."""
        income, coin, rates = self._income[which], self._coin[which], self._rates[which]
        paid = rules.tax_due(self.config, income, rates[:, None])
        return measure(
            Accounts(
                welfare=coin.sum(-1) * rules.equality(coin),  # nobody has coin in the first step
                skill=np.broadcast_to(self.config.pay, coin.shape),
                coin=coin,
                start_coin=np.zeros_like(coin),
                taxed=paid,
                shared_out=paid.mean(-1),
                cutoffs=self.config.cutoffs,
                rates=rates,
                by_agent={"labor": self._hours[which]},
            )
        )

    def get_state(self) -> dict[str, Any]:
        return {name: getattr(self, f"_{name}").copy() for name in _SAVED} | {"over": self.episode_over.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """See the base class.

        Raises:
            ValueError: if it was taken with other arguments that change the arrays' shapes.
        """
        for name in _SAVED:
            shape = getattr(self, f"_{name}").shape
            if np.shape(state[name]) != shape:
                raise ValueError(f"{NAME}: the state's {name} has shape {np.shape(state[name])}, expected {shape}")
        self.clear_step()
        for name in _SAVED:
            getattr(self, f"_{name}")[:] = state[name]
        self.episode_over[:] = state["over"]
        self._observe()
