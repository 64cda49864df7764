"""LoopVectorEnv: any PettingZoo ParallelEnv as a batched environment, checked at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from env_wrappers.api_checks import ApiChecker
from env_wrappers.first_copy import describe, given_spaces, name_of
from env_wrappers.incentive_env import IncentiveEnv, action_features, incentive_side, state_of
from env_wrappers.kinds import agents_of, as_parallel_env
from env_wrappers.masks import MASK, choices_of
from env_wrappers.vector import EnvAPIError, VectorIncentiveEnv, check_num_envs, child_seeds

#: Makes a ParallelEnv, or what kinds.py finds one in.
Factory = Callable[[], Any]


class LoopVectorEnv(VectorIncentiveEnv):
    """B ParallelEnvs stepped in a Python loop.

    Observations become what networks take (spaces.py). Agents with equal spaces form a group. Where the
    environment is not an :class:`IncentiveEnv`, the designer observes ``env.state()`` (else all observations
    concatenated), wants the sum of the agents' rewards, and pays by discrete action.

    What spaces do not say (masks in infos, the state's shape) is read off a first copy, which is reset, stepped once,
    reset again and closed before the others are made: there are never more than B copies at a time.

    Args:
        factory: makes one environment; or B of them, one for each copy.
        num_envs: B, >= 1.
        name: for messages.
        autoreset: see :class:`VectorIncentiveEnv`.

    Raises:
        EnvAPIError: if what is made is no PettingZoo environment, and whenever it breaks PettingZoo's ParallelEnv API.
        ValueError: if its spaces are not supported, or ``num_envs`` is not a whole number >= 1.
        RuntimeError: if the first copy can be made, but not all of them.
    """

    one_by_one = True

    def __init__(
        self,
        factory: Factory | Sequence[Factory],
        num_envs: int,
        name: str | None = None,
        autoreset: bool = False,
    ) -> None:
        num_envs = check_num_envs(num_envs)
        factories = [factory] * num_envs if callable(factory) else list(factory)
        first = _make(factories[0], name)
        try:
            self.name = name or name_of(first)
            self._about = about = describe(first, self.name)
        finally:
            _close(first)
            del first
        self._index = {agent: i for i, agent in enumerate(about.agents)}
        self._check = ApiChecker(self.name, about.agents)
        self._processors, self._actions, self._info_masks = about.processors, about.actions, about.info_masks
        self.observation_spaces = {agent: about.processors[agent].space for agent in about.agents}
        self.action_spaces = {agent: about.actions[agent].space for agent in about.agents}
        self._choices = {agent: choices_of(space) for agent, space in self.action_spaces.items()}
        self.max_episode_steps, self.mechanism_facts = about.max_episode_steps, about.mechanism_facts
        self.allocate(
            num_envs,
            about.agents,
            about.groups,
            about.state_shape,
            about.state_dtype,
            about.action_type_names,
            about.action_feature_size,
            about.context_shapes,
            autoreset,
        )
        self._place = {
            about.agents[i]: (g, position)
            for g, group in enumerate(about.groups)
            for position, i in enumerate(group.agents)
        }
        # Agents whose life in the running episode has ended.
        self._finished = np.zeros((num_envs, len(about.agents)), bool)
        self.envs: list[ParallelEnv] = []
        # Many environments draw from the machine's entropy when they are reset without a seed.
        self._later_seeds: list[np.random.Generator] = []
        self._make_copies(factories)
        self._sides: list[IncentiveEnv | None] = [incentive_side(env) for env in self.envs]
        none = IncentiveEnv.end_schedules
        self.has_schedules = any(own is not None and type(own).end_schedules is not none for own in self._sides)

    def _make_copies(self, factories: Sequence[Factory]) -> None:
        """All copies; if one of them cannot be made, those before it are closed."""
        who = f"env {self.name!r}"
        try:
            for factory in factories:
                env = _make(factory, self.name)
                self.envs.append(env)
                if agents_of(env, who) != self._about.agents or given_spaces(env, who) != self._about.given:
                    raise EnvAPIError(f"{who}: copies differ in their agents or spaces; all must have the same")
        except EnvAPIError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise RuntimeError(
                f"{who}: copy {len(self.envs) + 1} of {self.num_envs} could not be made: {type(error).__name__}: "
                f"{error}; if there can be only one at a time, set num_envs_per_env_runner: 1, and let close() release "
                "what it holds"
            ) from error

    # -- stepping ---------------------------------------------------------------------------------------

    def reset(self, seed: int | None = None) -> None:
        self.clear_step()
        seeds: Sequence[int | None] = [None] * self.num_envs
        if seed is not None:
            seeds = child_seeds(seed, self.num_envs)
            self._later_seeds = [np.random.default_rng(own) for own in seeds]
        for b, own_seed in enumerate(seeds):
            self._reset_one(b, own_seed)

    def _reset_one(self, b: int, seed: int | None) -> None:
        observations, infos = self._check.reset(self.envs[b].reset(seed=seed))
        living = self._check.living(self.envs[b].agents)
        self.active[b] = False
        self.active[b, [self._index[agent] for agent in living]] = True
        self._finished[b] = False
        for group in self.observations:
            group[b] = 0
        self._observe(b, observations, infos, living, after_reset=True)
        self.episode_over[b] = not living
        self._ask_whether_due(b)

    def _ask_whether_due(self, b: int) -> None:
        own = self._sides[b]
        self.designer_due[b] = own is not None and not self.episode_over[b] and own.designer_due()

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        self.clear_step()
        for b in range(self.num_envs):
            own = self._sides[b]
            if own is not None and self.designer_due[b] and designer_output is not None:
                own.set_designer_output(designer_output[b])
            if not self.episode_over[b]:
                self._step_one(b, actions)
            elif self.autoreset:
                self._reset_one(b, self._later_seed(b))
                self.was_reset[b] = True

    def _later_seed(self, b: int) -> int | None:
        """Of a further episode; None where the copy goes on by itself, or was never given one."""
        own = self._sides[b]
        if not self._later_seeds or (own is not None and own.goes_on_without_seed):
            return None
        return int(self._later_seeds[b].integers(2**31))

    def _step_one(self, b: int, actions: Sequence[np.ndarray]) -> None:
        env, check = self.envs[b], self._check
        acting = [agent for i, agent in enumerate(self.possible_agents) if self.active[b, i]]
        raw = {agent: actions[g][b, position] for agent in acting for g, position in (self._place[agent],)}
        result = env.step({agent: self._actions[agent].to_env(action) for agent, action in raw.items()})
        observations, rewards, terminations, truncations, infos = check.step(result)
        rewards = check.mapping("rewards", rewards, acting)
        terminations = check.mapping("terminations", terminations, acting)
        truncations = check.mapping("truncations", truncations, acting)
        # Some environments go on listing and flagging finished agents; those without a flag are back.
        returned = [
            agent
            for i, agent in enumerate(self.possible_agents)
            if self._finished[b, i] and not (terminations.get(agent) or truncations.get(agent))
        ]
        living = check.living(env.agents, returned)
        for agent, reward in rewards.items():
            # Also of agents that did not act: some are paid after their end for what they did.
            self.rewards[b, self._index[agent]] = check.number("rewards", reward, agent)
        for agent in acting:
            i = self._index[agent]
            ended = check.flag("terminations", terminations[agent], agent)
            cut = check.flag("truncations", truncations[agent], agent)
            # An agent that leaves without a flag has nothing to come.
            self.terminated[b, i] = ended or (agent not in living and not cut)
            self.truncated[b, i] = cut and not ended
        self._finished[b] |= self.terminated[b] | self.truncated[b]
        self.active[b] = False
        for agent in living:
            i = self._index[agent]
            # Agents may enter in the middle of an episode.
            self.active[b, i] = not (self._finished[b, i] or terminations.get(agent) or truncations.get(agent))
        present = [a for i, a in enumerate(self.possible_agents) if self.active[b, i] or a in raw]
        self._observe(b, observations, infos, present)
        self.episode_over[b] = not self.active[b].any()
        self._report(b, raw)
        self._ask_whether_due(b)

    def _report(self, b: int, raw: dict[str, np.ndarray]) -> None:
        """What the designer is told of the last step."""
        own, check = self._sides[b], self._check
        if own is None:
            self.designer_reward[b] = self.rewards[b].sum()
            for agent, action in raw.items():
                i = self._index[agent]
                features = action_features(self.action_spaces[agent], action)
                self.action_features[b, i, : len(features)] = features
                if self._about.types_by_action:
                    self.action_types[b, i] = action
            return
        self.designer_reward[b] = check.number("designer_reward()", own.designer_reward())
        types, features_of = own.action_types(), own.action_features()
        for agent in raw:
            i = self._index[agent]
            if not 0 <= (kind := types.get(agent, -1)) < self.num_action_types:
                raise check.error(
                    f"action_types() holds {types.get(agent)!r}, expected 0 to {self.num_action_types - 1}",
                    agent,
                )
            self.action_types[b, i] = kind
            self.action_features[b, i] = features_of[agent]
        for key, value in check.context(own.context(), self.context_shapes).items():
            self.context[key][b] = value

    def _observe(
        self, b: int, observations: Any, infos: Any, present: Sequence[str], after_reset: bool = False
    ) -> None:
        """Takes in what the environment shows to the agents that acted or are about to."""
        check = self._check
        living = [agent for agent in present if self.active[b, self._index[agent]]]
        observations, infos = (
            check.mapping("observations", observations, living),
            check.mapping("infos", infos),
        )
        for masks in self.action_masks:
            if masks is not None:
                # All allowed where nobody acts, so that a policy's row never lacks a legal action.
                masks[b] = True
        for agent in present:
            # One that has just finished may have no last observation; its slot then keeps the one before.
            if agent not in observations:
                continue
            g, position = self._place[agent]
            try:
                values, mask = self._processors[agent](observations[agent])
            except ValueError as error:
                raise check.error(str(error), agent) from error
            self.observations[g][b, position] = values
            if self.active[b, self._index[agent]]:
                self._put_mask(b, agent, mask, infos.get(agent) or {}, after_reset)
        about = self._about
        if about.state is None:
            self.state[b] = self._concatenated(b, present)
        else:
            state = state_of(self.envs[b])
            self.state[b] = check.state(np.asarray(state), about.state, about.state_dtype)

    def _put_mask(self, b: int, agent: str, observed: Any, info: Any, after_reset: bool) -> None:
        """The legal actions of an agent that acts next: those of its observation, else those of its info."""
        g, position = self._place[agent]
        masks, given, choices = self.action_masks[g], info.get(MASK), self._choices[agent]
        if masks is None:
            if given is not None:
                raise self._check.error(
                    f"{MASK} is in infos, but was in none of the first ones; give it from the first step on, or set "
                    f"metadata['{MASK}'] = True",
                    agent,
                )
            return
        if self._processors[agent].masked:
            masks[b, position] = flags = self._check.mask(observed, choices, agent)
            if given is not None and not np.array_equal(flags, self._check.mask(given, choices, agent)):
                raise self._check.error(f"{MASK} in infos is not the one in observations", agent)
            return
        expected = self._info_masks[agent]
        if given is not None or (expected.after_reset if after_reset else expected.after_step):
            masks[b, position] = self._check.mask(given, choices, agent)

    def _concatenated(self, b: int, present: Sequence[str]) -> np.ndarray:
        """All observations in one row, pictures between 0 and 1; zeros for absent agents."""
        parts = []
        for agent in self.possible_agents:
            g, position = self._place[agent]
            part = self.observations[g][b, position].ravel()
            part = part / np.float32(255) if part.dtype == np.uint8 else part
            parts.append(part if agent in present else np.zeros_like(part))
        return np.concatenate(parts, dtype=np.float32)

    def get_lasting_state(self) -> list[Any]:
        kept = [None if own is None else own.get_lasting_state() for own in self._sides]
        return [] if all(one is None for one in kept) else kept

    def set_lasting_state(self, saved: Sequence[Any]) -> None:
        for b, own in enumerate(self._sides):
            if own is not None and saved and (kept := saved[b % len(saved)]) is not None:
                own.set_lasting_state(kept)

    def end_schedules(self) -> None:
        for own in self._sides:
            if own is not None:
                own.end_schedules()

    def episode_metrics(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """See the base class.

        Raises:
            EnvAPIError: if a metric is no number.
        """
        sides = [side for side, over in zip(self._sides, which, strict=True) if over and side is not None]
        measured = [side.episode_metrics() for side in sides]
        return {
            name: np.array([self._check.number(f"episode_metrics()[{name!r}]", own[name]) for own in measured])
            for name in (measured[0] if measured else ())
        }

    def render(self) -> np.ndarray:
        frame = self.envs[0].render()
        if not isinstance(frame, np.ndarray):
            raise NotImplementedError(f"env {self.name!r} has no picture; give it render_mode: rgb_array")
        return frame

    def close(self) -> None:
        """Closes all copies."""
        for env in self.envs:
            _close(env)


def _make(factory: Factory, name: str | None) -> ParallelEnv:
    """One environment of the right kind."""
    return as_parallel_env(factory(), f"env {name!r}" if name else "the factory")


def _close(env: ParallelEnv) -> None:
    if callable(close := getattr(env, "close", None)):
        close()
