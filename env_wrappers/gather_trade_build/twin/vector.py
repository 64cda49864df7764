"""Gather-Trade-Build in batches: numba kernels over B economies."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from env_wrappers.config import configured
from env_wrappers.facts import DesignerFacts, HouseFacts, TaxContext, TaxFacts, merged
from env_wrappers.gather_trade_build.config import NAME
from env_wrappers.gather_trade_build.measures import measure
from env_wrappers.gather_trade_build.pictures import Scene, draw_economy
from env_wrappers.gather_trade_build.twin import saez
from env_wrappers.gather_trade_build.twin.accounts import accounts, scene_of
from env_wrappers.gather_trade_build.twin.config import TYPE_NAMES, TwinConfig
from env_wrappers.gather_trade_build.twin.tables import make_game, make_rules
from env_wrappers.vector import AgentGroup, VectorIncentiveEnv, child_seeds

if TYPE_CHECKING:
    from env_wrappers.gather_trade_build.twin.arrays import Game, Reports, Rules

#: Scratch of the kernels, which a saved state leaves out.
_SCRATCH = ("order", "kinds", "amounts", "coins", "previous", "gaps", "incomes", "net", "shared")


@configured(TwinConfig)
class VectorGatherTradeBuild(VectorIncentiveEnv):
    """B economies, each equal to the original's from the same generator state.

    The designer sets the rates of income tax: its output is ``[B, K]`` marginal rates, lowest bracket first, read by
    the first step of a tax period (``designer_due``). They stay in force until the period's last step, which takes the
    taxes and hands them out in equal shares. With ``tax: planner`` it is ``[B, K]`` choices of
    ``config.discrete_rates``: 0 leaves a rate as it is, i sets the (i - 1)-th; :meth:`planner_masks` says which.

    ``context`` is a :class:`~env_wrappers.facts.TaxContext`. Income is coin and escrow less what there was after the
    last taxes.

    Args:
        num_envs: B, >= 1.
        config: None for the defaults.
        autoreset: see :class:`VectorIncentiveEnv`.
        keys: fields of :class:`TwinConfig`, to set or change some; docs/gather_trade_build.md has their meaning.

    Attributes:
        bracket_cutoffs: ``[K]`` lowest income of each tax bracket, in coin.
        action_names: what agents' actions are.

    Raises:
        ValueError: for unknown names and impossible values, on one line.
    """

    resumable = True

    def __init__(self, num_envs: int, config: TwinConfig | None = None, autoreset: bool = False, **keys: Any) -> None:
        from env_wrappers.gather_trade_build.twin import arrays, kernel
        from env_wrappers.gather_trade_build.twin import observations as views
        from env_wrappers.gather_trade_build.twin import rng as generators

        self.config = config = TwinConfig.of(config, keys)
        self.name = NAME
        self.max_episode_steps = config.max_steps
        self.bracket_cutoffs = config.cutoffs
        self.mechanism_facts = merged(
            DesignerFacts(reads_designer_output=config.tax == "external"),
            TaxFacts(
                bracket_cutoffs=tuple(config.cutoffs.tolist()),
                isoelastic_eta=float(config.settings["isoelastic_eta"]),
                energy_cost=float(config.settings["energy_cost"]),
                social_welfare=config.social_welfare,
            ),
            HouseFacts(house_action_type=TYPE_NAMES.index("Build")),
        )
        n = config.num_agents
        agents = tuple(f"agent_{i}" for i in range(n))
        shape = (sum(views.agent_sizes(config)),)
        space = gym.spaces.Discrete(config.num_actions)
        self.observation_spaces = dict.fromkeys(agents, gym.spaces.Box(-np.inf, np.inf, shape, np.float32))
        self.action_spaces = dict.fromkeys(agents, space)
        picture = views.agent_picture(config)
        self.state_picture_shape = views.planner_picture(config)
        self.allocate(
            num_envs,
            agents,
            [AgentGroup(tuple(range(n)), shape, np.dtype(np.float32), space, True, picture)],
            (sum(views.planner_sizes(config)),),
            np.float32,
            TYPE_NAMES,
            len(TYPE_NAMES),
            TaxContext.shapes(n, len(config.cutoffs))._asdict(),
            autoreset,
        )
        self._kernel, self._observations = kernel, views
        self._rng = generators
        self._rules: Rules = make_rules(config)
        self.action_names = tuple(
            f"{TYPE_NAMES[kind]} {amount}" if kind > 1 else TYPE_NAMES[kind]
            for kind, amount in zip(self._rules.kinds.tolist(), self._rules.amounts.tolist(), strict=True)
        )
        self._game: Game = make_game(config, self._rules, self.num_envs)
        self.generators = generators.make_generators(self.num_envs, config.exact)
        self._seed([secrets.randbits(32) for _ in range(self.num_envs)])
        buffers = {name: getattr(self, name) for name in arrays.Reports._fields if name != "context"}
        self._reports: Reports = arrays.Reports(**buffers, context=TaxContext.read(self.context))
        self._views = views.Views(self.observations[0], self.state, np.asarray(self.action_masks[0]))
        self._actions = np.zeros((self.num_envs, n), np.int64)
        # Not an episode that counts, but one in which a step before the first reset is possible.
        self._kernel.reset(self._rules, self._game, self.generators, self._reports, np.ones(self.num_envs, bool))

    def _seed(self, seeds: Sequence[int]) -> None:
        self._rng.seed_all(self.generators, np.array(seeds, np.int64))

    def reset(self, seed: int | None = None) -> None:
        """See the base class; counts of finished episodes (annealing) stay."""
        self.clear_step()
        if seed is not None:
            self._seed(child_seeds(seed, self.num_envs))
        self._kernel.reset(self._rules, self._game, self.generators, self._reports, np.ones(self.num_envs, bool))
        self._observe()

    def _observe(self) -> None:
        self._observations.observe(self._rules, self._game, self._views)

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class. Actions that their mask forbids do nothing.

        Raises:
            ValueError: for an action that there is not; for rates that are read and are not in [0, 1], or not K.
        """
        np.copyto(self._actions, actions[0], casting="unsafe")
        before = [values.copy() for values in (self._game.wanted, self._game.elasticity)]
        self._set_wanted(designer_output)
        if not self._kernel.step(
            self._rules, self._game, self.generators, self._reports, self._actions, self.autoreset
        ):
            self._game.wanted[:], self._game.elasticity[:] = before
            taken = self._actions[~self.episode_over]
            bad = taken[(taken < 0) | (taken >= self.config.num_actions)][0]
            raise ValueError(f"{NAME}: action {bad} is not one of 0 to {self.config.num_actions - 1}")
        if self.was_reset.any():
            self._kernel.reset(self._rules, self._game, self.generators, self._reports, self.was_reset)
        self._observe()

    def _set_wanted(self, output: np.ndarray | None) -> None:
        """The rates of periods that begin with the next step."""
        game, config, due = self._game, self.config, self.designer_due
        if config.tax == "saez":
            settings = config.tax_settings
            playing, fixed = ~self.episode_over, settings.saez_fixed_elas
            saez.write_rates(self._rules, game, playing, fixed, settings.pareto_weight_type)
        if output is None or not due.any():
            return
        planner = config.tax == "planner"
        if np.shape(output) != game.wanted.shape:
            what = "the planner's choices" if planner else "tax rates"
            raise ValueError(
                f"{NAME}: designer_output must be {what} of shape {game.wanted.shape}, got {np.shape(output)}"
            )
        given = np.asarray(output, np.float64)[due]
        if planner:
            rates = config.discrete_rates
            choices = _checked(given, len(rates), "the planner's choices must be whole numbers", whole=True).astype(int)
            game.wanted[due] = np.where(choices > 0, rates[choices - 1], game.wanted[due])
        else:
            game.wanted[due] = _checked(given, 1, "tax rates must be between")

    def planner_masks(self) -> np.ndarray:
        """What the planner may choose with ``tax: planner``, flat as the package has it.

        Returns:
            ``[B, K * (1 + R)]`` bool, for each bracket: to leave the rate, which is always allowed, and each of the R
            ``config.discrete_rates``, only before a step that begins a period, and under the annealed cap.
        """
        config, game, rates = self.config, self._game, self.config.discrete_rates
        allowed = np.ones((self.num_envs, len(rates)), bool)
        if config.annealing:
            warmup, slope = config.annealing
            # Those of an episode do not change with its end.
            episodes = game.episodes - self.episode_over
            cap = np.clip(slope * (episodes - warmup), 0, 1) * rates.max()
            allowed = rates <= cap[:, None]
        allowed &= (game.day == 1)[:, None]
        return np.tile(np.insert(allowed, 0, True, axis=1), (1, len(self.bracket_cutoffs)))

    def get_lasting_state(self) -> list[dict[str, Any]]:
        """Finished episodes, and what Saez' formula knows; in the words of foundation/saved.py."""
        return [
            {
                "episodes": int(self._game.episodes[b]),
                "incomes": saez.incomes(self._game, b),
                "elasticity": float(self._game.elasticity[b]),
                "mean_rates": self._game.average_rates[b].copy(),
            }
            for b in range(self.num_envs)
        ]

    def set_lasting_state(self, saved: Sequence[Any]) -> None:
        game = self._game
        for b in range(self.num_envs if saved else 0):
            kept = saved[b % len(saved)]
            game.episodes[b] = kept["episodes"]
            if self._rules.saez and "incomes" in kept:
                game.num_seen[b] = len(kept["incomes"])
                game.seen[b, : len(kept["incomes"])] = kept["incomes"]
                game.elasticity[b] = kept["elasticity"]
                game.average_rates[b] = kept["mean_rates"]

    def end_schedules(self) -> None:
        """No cap on rates any more."""
        if self.config.annealing is not None:
            warmup, slope = self.config.annealing
            self._game.episodes[:] = max(0, int(np.ceil(warmup + 1 / slope)))

    def episode_metrics(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """See the base class, and docs/metrics.md."""
        return measure(accounts(self._rules, self._game, which))

    def scene(self) -> Scene:
        """What there is to see of the first copy."""
        return scene_of(self._rules, self._game, 0)

    def render(self) -> np.ndarray:
        return draw_economy(self.scene())

    def get_state(self) -> dict[str, Any]:
        saved = {k: v.copy() for k, v in self._game._asdict().items() if k not in _SCRATCH}
        saved |= {f"rng_{k}": v.copy() for k, v in self.generators._asdict().items() if k != "exact"}
        return {**saved, "over": self.episode_over.copy(), "due": self.designer_due.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """See the base class.

        Raises:
            ValueError: if it was taken with other arguments that change the arrays' shapes.
        """
        targets = {k: v for k, v in self._game._asdict().items() if k not in _SCRATCH}
        targets |= {f"rng_{k}": v for k, v in self.generators._asdict().items() if k != "exact"}
        for name, target in targets.items():
            if np.shape(state[name]) != target.shape:
                raise ValueError(
                    f"{NAME}: the state's {name} has shape {np.shape(state[name])}, expected {target.shape}"
                )
        self.clear_step()
        for name, target in targets.items():
            target[:] = state[name]
        self.episode_over[:] = state["over"]
        self.designer_due[:] = state["due"]
        self.active[:] = ~self.episode_over[:, None]
        self._observe()

    @property
    def trades(self) -> np.ndarray:
        """``[B]`` int64, trades of the episode so far; a view."""
        return self._game.trades

    @property
    def houses(self) -> np.ndarray:
        """``[B, N]`` int64, houses that each agent built in the episode so far; a view."""
        return self._game.houses


def _checked(values: np.ndarray, most: int, what: str, whole: bool = False) -> np.ndarray:
    """The values.

    Raises:
        ValueError: naming the first that is not in [0, most], or not whole.
    """
    good = (values >= 0) & (values <= most)
    good &= (values == np.floor(values)) | (not whole)
    if not good.all():
        raise ValueError(f"{NAME}: {what} {'from 0 to' if whole else '0 and'} {most}, got {values[~good][0]:g}")
    return values
