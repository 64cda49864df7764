"""What the one-shot games share: the designer sets prices, everybody acts once, and the best prices are known."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize

from env_wrappers.config import EnvConfig
from env_wrappers.facts import DesignerFacts, UnitFacts, merged
from env_wrappers.one_copy import OneCopyEnv
from env_wrappers.simultaneous import SimultaneousVectorEnv
from rllib_metagrad.settings import SettingError

#: Below this, a game has nothing to gain by prices, and there is no share of it.
_LEAST_GAIN = 1e-9


class OneShotConfig(EnvConfig):
    """Base of the one-shot games' records: rules, prices in force, and what is known of the game without learning.

    All that is known is a function of the prices ``design [U]`` and of the agents' temperature alpha: agents with an
    entropy bonus of weight alpha come to rest at the logit equilibrium of that temperature.
    """

    temperature: float  # each game has a default that suits it

    @property
    @abstractmethod
    def num_players(self) -> int:
        """N."""

    @property
    @abstractmethod
    def action_names(self) -> tuple[str, ...]:
        """A names; they are the action types."""

    @property
    @abstractmethod
    def prices(self) -> tuple[str, ...]:
        """U names, of the designer's outputs."""

    @cached_property
    @abstractmethod
    def units(self) -> np.ndarray:
        """``[A, U]`` units of each price that an action has, not negative."""

    @cached_property
    @abstractmethod
    def design(self) -> np.ndarray:
        """``[U]`` prices in force unless a designer sets them, not negative."""

    @property
    @abstractmethod
    def cost_of_funds(self) -> float:
        """What R^ID loses for each unit that is paid to agents; 0 where it is handed back."""

    @abstractmethod
    def play(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rewards ``[B, N]`` and R^ID ``[B]`` of actions ``[B, N]``, payments left out of both."""

    @abstractmethod
    def logit_equilibrium(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """``[A]`` probabilities of the actions of every agent, which are all alike, under prices ``design [U]``.

        Agents with temperature alpha > 0 play it when each answers the others: ``p = softmax(E[reward] / alpha)``.
        """

    @abstractmethod
    def welfare(self, design: np.ndarray, alpha: float) -> float:
        """Mean R^ID of an episode under prices ``design [U]`` when agents answer with temperature alpha > 0."""

    @abstractmethod
    def slope(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """``[U]`` derivative of :meth:`welfare` in the prices: what a designer that sees the whole answer ascends."""

    @abstractmethod
    def optimum(self, alpha: float) -> np.ndarray:
        """The best prices ``[U]`` in closed form, 0 where they would be negative; each game says when exact."""

    @property
    @abstractmethod
    def highest(self) -> float:
        """Prices above which nothing can be best, for the search."""

    def search_optimum(self, alpha: float) -> np.ndarray:
        """The best prices ``[U]`` at temperature alpha > 0, by quasi-Newton search of :meth:`welfare`.

        From the closed form, from no prices and from a half of the highest; the best end counts.
        """
        starts = (self.optimum(alpha), np.zeros(len(self.prices)), np.full(len(self.prices), self.highest / 2))
        ends = [
            minimize(
                lambda design: (-self.welfare(design, alpha), -self.slope(design, alpha)),
                np.clip(start, 0, self.highest),
                jac=True,
                method="L-BFGS-B",
                bounds=[(0, self.highest)] * len(start),
                options={"ftol": 1e-15, "gtol": 1e-10},
            )
            for start in starts
        ]
        return np.asarray(min(ends, key=lambda end: end.fun).x)

    @property
    def known(self) -> tuple[float, float]:
        """Welfare without prices, and under the best ones, at the record's temperature."""
        return _known(type(self), self.model_dump_json())


@cache
def _known(record: type[OneShotConfig], keys: str) -> tuple[float, float]:
    """Computed once for all copies of a game."""
    game = record(**json.loads(keys))
    nothing, best = np.zeros(len(game.prices)), game.search_optimum(game.temperature)
    return game.welfare(nothing, game.temperature), game.welfare(best, game.temperature)


def softmax(values: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    weights = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


class OneShotVectorEnv(SimultaneousVectorEnv):
    """B one-shot games. An episode is one step: before it the designer sets prices, in it everybody acts.

    Prices do not depend on what agents do in that step (``designer_due``); a state that is always 1 is all that anybody
    sees. Rewards leave payments out, which the mechanism adds; R^ID is after them.

    Args:
        num_envs: B, >= 1.
        config: None for the defaults.
        autoreset: see :class:`VectorIncentiveEnv`.
        keys: fields of the game's record, to set or change some.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    CONFIG: ClassVar[type[OneShotConfig]]

    def __init__(
        self, num_envs: int, config: OneShotConfig | None = None, autoreset: bool = False, **keys: Any
    ) -> None:
        self.config = game = self.CONFIG.of(config, keys)
        self.mechanism_facts = merged(
            DesignerFacts(reads_designer_output=True),
            UnitFacts(
                prices=game.prices,
                units=tuple(tuple(row) for row in game.units.tolist()),
                cost_of_funds=game.cost_of_funds,
            ),
        )
        super().__init__(
            game.NAME,
            num_envs,
            tuple(f"agent_{i}" for i in range(game.num_players)),
            observation_size=1,
            state_size=1,
            action_names=game.action_names,
            max_steps=1,
            start=game.design,  # the game's array is the prices in force
            autoreset=autoreset,
        )
        self._earned = np.zeros(self.num_envs)

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class.

        Raises:
            ValueError: for an action that there is not; for prices that are read and are negative, or not U.
        """
        if designer_output is not None and self.designer_due.any():
            self._game[self.designer_due] = check_prices(self.config, designer_output, self._game.shape)[
                self.designer_due
            ]
        super().step(actions, designer_output)

    def _play(self, targets: np.ndarray, playing: np.ndarray, ended: np.ndarray) -> None:
        if ((targets < 0) | (targets >= self.num_action_types)).any():
            raise self.invalid_action(targets)
        rewards, made = self.config.play(targets)
        paid = (self.config.units[targets] * self._game[:, None]).sum((1, 2))
        self._earned[:] = (made - self.config.cost_of_funds * paid) * playing
        np.multiply(rewards, playing[:, None], out=self.rewards, casting="unsafe")
        self.designer_reward[:] = self._earned
        ended[:] = playing

    def _observe(self) -> None:
        self.observations[0][:] = self.state[:] = 1
        np.logical_not(self.episode_over, out=self.designer_due)

    def episode_metrics(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """See the base class: ``share_of_optimum``, unless there is nothing to gain by prices."""
        without, best = self.config.known
        if best - without < _LEAST_GAIN:
            return {}
        return {"share_of_optimum": (self._earned[which] - without) / (best - without)}


class OneShotEnv(OneCopyEnv):
    """One game as a PettingZoo ParallelEnv.

    Args:
        config: None for the defaults.
        keys: fields of the game's record, to set or change some.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    VECTOR: ClassVar[type[OneShotVectorEnv]]

    def __init__(self, config: OneShotConfig | None = None, **keys: Any) -> None:
        vector = self.VECTOR(1, config, **keys)
        super().__init__(vector)
        self.config = vector.config

    def set_prices(self, prices: Sequence[float] | np.ndarray) -> None:
        """Sets the prices ``[U]`` from the next episode on.

        Raises:
            ValueError: unless they are U numbers, none negative.
        """
        self.set_designer_output(check_prices(self.config, prices, (len(self.config.prices),)))


def check_prices(game: OneShotConfig, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Prices as an array of a shape.

    Raises:
        SettingError: for another shape, or numbers that are negative or not finite.
    """
    prices = np.asarray(given, np.float64)
    if prices.shape != shape:
        names = ", ".join(game.prices)
        raise SettingError(f"{game.NAME}: prices", f"must have shape {shape} ({names}), got {prices.shape}")
    good = np.isfinite(prices) & (prices >= 0)
    if not good.all():
        raise SettingError(f"{game.NAME}: prices", f"must not be negative, got {prices[~good].flat[0]:g}")
    return prices
