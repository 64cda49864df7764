"""The original Gather-Trade-Build as a PettingZoo ParallelEnv.

Zheng et al. (2020, 2022), as ``ai-economist`` 1.7.1 plays it: no rule is changed. Around it: a random generator of its
own for each environment, tax rates that can be set from outside, checked configuration, no output.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import gymnasium as gym
import numpy as np

from env_wrappers.config import RenderMode, configured
from env_wrappers.facts import DesignerFacts, TaxFacts
from env_wrappers.gather_trade_build.config import NAME
from env_wrappers.gather_trade_build.foundation import lasting_state, package
from env_wrappers.gather_trade_build.foundation.accounts import Sums, accounts
from env_wrappers.gather_trade_build.foundation.actions import Actions, action_space
from env_wrappers.gather_trade_build.foundation.config import COVID, FoundationConfig
from env_wrappers.gather_trade_build.foundation.generator import PrivateGenerator
from env_wrappers.gather_trade_build.foundation.network_view import NetworkView
from env_wrappers.gather_trade_build.foundation.observations import MASK, as_arrays, of_agents, planner_vector, space_of
from env_wrappers.gather_trade_build.foundation.scenes import scene_of
from env_wrappers.gather_trade_build.foundation.tax_days import TaxDays, mechanism_facts
from env_wrappers.gather_trade_build.measures import measure
from env_wrappers.gather_trade_build.pictures import as_text, draw_economy
from env_wrappers.gather_trade_build.rates import check_rates
from env_wrappers.incentive_env import IncentiveEnv

#: Constructors draw with this seed, so that equal configurations are equal games (some scenarios draw skills there).
CONSTRUCTION_SEED = 1
#: After so many episodes every schedule of the package is over.
LAST_COMPLETION = 10**9


@configured(FoundationConfig)
class FoundationEnv(IncentiveEnv):
    """Any scenario of ``ai-economist`` 1.7.1; by default the paper's.

    The designer is the package's planner, who is no agent here. With ``tax: external`` its rates come through
    :meth:`set_rates`, with ``tax: planner`` its actions through :meth:`set_planner_action`.

    Args:
        config: None for the defaults.
        keys: fields of :class:`FoundationConfig`, to set or change some; docs/gather_trade_build.md has their meaning.

    Attributes:
        original: the package's environment.
        bracket_cutoffs: ``[brackets]`` lowest income of each tax bracket, in coin; empty without taxes.
        action_names: what agents' actions are, where they are one choice.
        planner_action_space: of :meth:`set_planner_action`.

    Raises:
        ValueError: on one line: the package is missing (with the line that installs it), unknown names, impossible
            values.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "gather_trade_build_v0",
        "render_modes": list(get_args(RenderMode)),
        "render_fps": 5,
        "is_parallelizable": True,
    }
    picture_keys = ("world-map", "world-idx_map")
    observe_masks = True
    goes_on_without_seed = True

    def __init__(self, config: FoundationConfig | None = None, **keys: Any) -> None:
        self.config = config = FoundationConfig.of(config, keys)
        self.render_mode = config.render_mode
        self.max_episode_steps = config.max_steps
        self.possible_agents = [f"agent_{i}" for i in range(config.num_agents)]
        self.agents: list[str] = []
        self._generator = PrivateGenerator(CONSTRUCTION_SEED)
        first = self._construct()
        self._seeded = False
        self._measures = importlib.import_module("ai_economist.foundation.scenarios.utils.social_metrics")
        world = self.original.world
        self._tax: Any = None if config.tax is None else self.original.get_component("PeriodicTax")
        self.bracket_cutoffs = np.zeros(0) if self._tax is None else np.array(self._tax.bracket_cutoffs)
        self._actions = Actions(world.agents[0])
        self.action_names, self.action_type_names = self._actions.names, self._actions.types
        self.num_action_types = len(self.action_type_names)
        self.action_spaces = dict.fromkeys(self.possible_agents, self._actions.space)
        self.planner_action_space = action_space(world.planner)
        self._remember(first)
        self.observation_spaces = {
            agent: space_of(arrays, config.num_agents) for agent, arrays in self._observations.items()
        }
        self.planner_observation_space = space_of(self._planner, config.num_agents)
        self.state_space = gym.spaces.Box(-np.inf, np.inf, self.state().shape, np.float32)
        self._types: dict[str, int] = {}
        self._planner_action: Any = None
        self._rewards: dict[str, float] = {}
        self.mechanism_facts = mechanism_facts(config, self.original, self.action_type_names)
        reads = DesignerFacts.read(self.mechanism_facts).reads_designer_output
        self._tax_days = TaxDays(TaxFacts.read(self.mechanism_facts), self.original) if reads else None
        self._planner_reward = self._welfare = 0.0
        self._sums, self._start_coin = Sums(), self._coin()

    def _construct(self) -> Any:
        """Makes :attr:`original`, and returns observations of a first episode for their shapes."""
        config, foundation = self.config, package.load()
        if config.scenario == COVID:
            package.check_activation(foundation, COVID)
        with package.in_its_world() as printed, self._generator.in_place():
            try:
                self.original: Any = foundation.make_env_instance(config.scenario, **config.arguments)
                observations = self.original.reset()
                if config.for_networks:
                    self._view = NetworkView(self.original._generate_observations())
            except (Exception, SystemExit) as error:
                raise ValueError(package.refusal(error, printed.getvalue())) from error
        lost = [agent.idx for agent in self.original.world.agents if min(agent.loc) < 0]
        if lost and config.arguments.get("fixed_four_skill_and_loc"):
            raise ValueError(
                f"{NAME}: agents {lost} cannot start in their corner of map {config.arguments['env_layout_file']}; set "
                "scenario_config.fixed_four_skill_and_loc to false"
            )
        return observations

    def observation_space(self, agent: str) -> gym.Space:
        """``Dict`` of the package's arrays; by default world-map, world-idx_map, time, flat and action_mask."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """``Discrete``, or ``MultiDiscrete`` with the package's multi_action_mode_agents."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, Any]]]:
        """A new episode.

        What the package keeps from episode to episode stays: the number of finished ones (annealing), and what
        Saez' formula has seen.

        Args:
            seed: starts the generator as ``np.random.seed`` would, and may be 0; None goes on with it.
            options: ignored.

        Raises:
            ValueError: for a seed outside ``range(2**32)``.
        """
        if seed is not None or not self._seeded:
            self._generator = PrivateGenerator(seed)
            self._seeded = True
        self._types, self._planner_action, self._rewards, self._planner_reward = {}, None, {}, 0.0
        self._sums = Sums()
        with self._generator.in_place(), contextlib.redirect_stdout(io.StringIO()):
            observations = self.original.reset()
        self.agents = list(self.possible_agents)
        self._remember(observations)
        self._start_coin = self._coin()
        return self._observations, self._infos()

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, dict[str, np.ndarray]],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """One joint action; those that are not possible do nothing.

        Raises:
            ValueError: for an action that is not in the action space, or without an episode.
        """
        agents = self.possible_agents
        if not self.agents:
            raise ValueError(f"{NAME}: there is no episode; call reset() first")
        given: dict[str, Any] = {}
        for i, agent in enumerate(agents):
            given[str(i)], self._types[agent] = self._actions.parse(agent, actions[agent])
        if self._planner_action is not None:
            given["p"], self._planner_action = self._planner_action, None
        original = self.original
        # The package makes its metrics at the end of an episode, with means of nothing.
        last = original.world.timestep + 1 >= self.config.max_steps
        surroundings = package.in_its_world() if last else contextlib.redirect_stdout(io.StringIO())
        with self._generator.in_place(), surroundings:
            observations, rewards, done, _ = original.step(given)
        # Half a megabyte an episode, most of it generator states.
        original.replay_log["step"].clear()
        own = of_agents(rewards, len(agents))
        self._rewards = {agent: float(reward) for agent, reward in zip(agents, own, strict=True)}
        self._planner_reward = float(rewards["p"])
        self._welfare = self.social_metrics()["welfare"]
        self._sums.add(self._welfare, self.tax_rates())
        self._remember(observations)
        cut = bool(done["__all__"])
        if self.render_mode == "human":
            self.render()
        self.agents = [] if cut else self.agents
        return (
            self._observations,
            dict(self._rewards),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, cut),
            self._infos(),
        )

    def _remember(self, observations: Any) -> None:
        own = [as_arrays(o) for o in of_agents(observations, self.config.num_agents)]
        self._planner = as_arrays(observations["p"])
        self._masks = dict(zip(self.possible_agents, (o.get(MASK) for o in own), strict=True))
        if self.config.for_networks:
            own = [self._view.of_agent(i, arrays) for i, arrays in enumerate(own)]
        self._observations = dict(zip(self.possible_agents, own, strict=True))

    def _infos(self) -> dict[str, dict[str, Any]]:
        """Masks of possible actions, where they are flat."""
        return {a: {MASK: m.copy()} if isinstance(m, np.ndarray) else {} for a, m in self._masks.items()}

    # What designers do and see.

    def set_rates(self, rates: Sequence[float] | np.ndarray) -> None:
        """Sets the marginal tax rates for the tax periods from the next one that begins.

        A period begins with the step before which :attr:`period_begins` is true (by default steps 1, 11, ..., 91), and
        taxes by its rates are taken in its last. Agents see the rates in the observation after the first step.

        Args:
            rates: ``[brackets]``, lowest bracket first. A cap by annealing is applied as the minimum.

        Raises:
            ValueError: for another number of rates, for rates outside [0, 1], and unless ``tax`` is external.
        """
        if self.config.tax != "external":
            raise ValueError(f"{NAME}: set_rates needs tax: external, got tax: {self.config.tax}")
        self._tax.set_rates(check_rates(rates, len(self.bracket_cutoffs)))

    def set_planner_action(self, action: Any) -> None:
        """The planner's action in the next step; without one it does nothing.

        Args:
            action: of :attr:`planner_action_space`; with ``tax: planner`` ``[brackets]`` by default: 0 leaves the
                rate as it is, i >= 1 sets the (i - 1)-th of the package's rates. What its mask forbids (all but in the
                first step of a tax period) is not checked, as in the package.

        Raises:
            ValueError: for an action that is not in the space.
        """
        space = self.planner_action_space
        values = np.asarray(action, np.int64 if np.size(action) else None)
        if not space.contains(values if isinstance(space, gym.spaces.MultiDiscrete) else values[()]):
            raise ValueError(f"{NAME}: the planner's action {action!r} is not in {space}")
        self._planner_action = values.tolist()

    def designer_due(self) -> bool:
        """A designer in RLlib decides before the first step of a tax period."""
        return self.config.tax == "external" and self.period_begins

    def set_designer_output(self, output: np.ndarray) -> None:
        """See :meth:`set_rates`."""
        self.set_rates(output)

    def context(self) -> dict[str, np.ndarray]:
        """A :class:`~env_wrappers.facts.TaxContext`; nothing unless ``tax: external``."""
        if self._tax_days is None:
            return {}
        rewards = np.array([self._rewards.get(agent, 0.0) for agent in self.possible_agents])
        return self._tax_days.context(rewards)._asdict()

    def get_lasting_state(self) -> dict[str, Any]:
        """Finished episodes, warm-up of energy, and what Saez' formula knows."""
        return lasting_state.read(self.original, self._tax)

    def set_lasting_state(self, kept: dict[str, Any]) -> None:
        lasting_state.write(kept, self.original, self._tax)

    def end_schedules(self) -> None:
        """No cap on rates any more, and energy at its full cost, from the next reset on."""
        self.original._completions = LAST_COMPLETION

    @property
    def period_begins(self) -> bool:
        """Whether a tax period begins with the next step."""
        return self._tax is not None and self._tax.tax_cycle_pos == 1

    def tax_rates(self) -> np.ndarray:
        """``[brackets]`` rates in force, caps applied; empty without taxes."""
        return np.zeros(0) if self._tax is None else np.array(self._tax.curr_marginal_rates, np.float64)

    def last_taxes(self) -> dict[str, np.ndarray] | None:
        """What the last step's taxes were, or None if it took none.

        Returns:
            rates and cutoffs ``[brackets]``; income, tax_paid, marginal_rate, effective_rate and lump_sum
            ``[N]``, in coin.
        """
        taxes = None if self._tax is None or not self._tax.taxes else self._tax.taxes[-1]
        if not taxes:
            return None
        agents = [taxes[str(i)] for i in range(self.config.num_agents)]
        return {"rates": np.array(taxes["schedule"]), "cutoffs": np.array(taxes["cutoffs"])} | {
            key: np.array([agent[key] for agent in agents], np.float64) for key in agents[0]
        }

    def planner_observation(self) -> dict[str, Any]:
        """Arrays of the package's planner: by default maps, time, flat, p0, p1, ..., action_mask."""
        return self._planner

    def observations(self) -> dict[str, dict[str, np.ndarray]]:
        """The agents' arrays of the last reset or step."""
        return self._observations

    def state(self) -> np.ndarray:
        """The planner's numbers beside its maps: ``flat``, then ``p0``, ``p1``, ... ``[S]`` float32."""
        return planner_vector(self._view.of_planner(self._planner) if self.config.for_networks else self._planner)

    def action_types(self) -> dict[str, int]:
        """0 for no-op, else 1 + the action's subspace; the first of several chosen at once."""
        return dict(self._types)

    def designer_reward(self) -> float:
        """As ``objective`` says."""
        return self._planner_reward if self.config.objective == "planner" else self._welfare

    def planner_reward(self) -> float:
        """The package's own reward of its planner in the last step."""
        return self._planner_reward

    def social_metrics(self) -> dict[str, float]:
        """Productivity (all coin, escrow included), equality (1 - normalized Gini index), and their product welfare."""
        coin = self._coin()
        productivity = float(self._measures.get_productivity(coin))
        equality = float(self._measures.get_equality(coin))
        return {"productivity": productivity, "equality": equality, "welfare": productivity * equality}

    def _coin(self) -> np.ndarray:
        return np.array([agent.total_endowment("Coin") for agent in self.original.world.agents])

    def episode_metrics(self) -> dict[str, float]:
        """See docs/metrics.md; what the components in play can tell."""
        books = accounts(self.original, self._tax, self._sums, self._start_coin)
        return {name: float(values[0]) for name, values in measure(books).items()}

    def metrics(self) -> dict[str, float]:
        """:meth:`social_metrics` and all that the package measures, but what is not yet a number."""
        with package.in_its_world():
            measured = {key: float(value) for key, value in self.original.metrics.items()}
        return self.social_metrics() | {key: value for key, value in measured.items() if np.isfinite(value)}

    def rng_state(self) -> Any:
        """This environment's MT19937 state, as of ``np.random.get_state()``; a copy."""
        return self._generator.state

    def set_rng_state(self, state: Any) -> None:
        """Inverse of :meth:`rng_state`."""
        self._generator.state = state
        self._seeded = True

    def render(self) -> np.ndarray | None:
        """A picture, or text on stdout."""
        if self.render_mode == "human":
            print(as_text(scene_of(self.original, self._tax)))
        return draw_economy(scene_of(self.original, self._tax)) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Nothing to release."""
