"""LoopVectorEnv: any PettingZoo ParallelEnv as a batched environment, checked at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from env_wrappers.api_checks import ApiChecker
from env_wrappers.incentive_env import (
    IncentiveEnv,
    action_feature_size,
    action_features,
    default_num_action_types,
    incentive_side,
    state_of,
    state_space_of,
)
from env_wrappers.spaces import ActionProcessor, ObservationProcessor, action_processor
from env_wrappers.vector import AgentGroup, VectorIncentiveEnv, check_num_envs, child_seeds, num_logits


class LoopVectorEnv(VectorIncentiveEnv):
    """B ParallelEnvs stepped in a Python loop.

    Observations become what networks take (spaces.py). Agents with equal spaces form a group. Where the
    environment is not an :class:`IncentiveEnv`, the designer observes ``env.state()`` (else all observations
    concatenated), wants the sum of the agents' rewards, and pays by discrete action.

    Args:
        factory: makes one environment.
        num_envs: B, >= 1.
        name: for messages.
        autoreset: see :class:`VectorIncentiveEnv`.

    Raises:
        EnvAPIError: whenever an environment breaks PettingZoo's ParallelEnv API.
        ValueError: if its spaces are not supported, or ``num_envs`` is not a whole number >= 1.
    """

    def __init__(
        self,
        factory: Callable[[], ParallelEnv],
        num_envs: int,
        name: str | None = None,
        autoreset: bool = False,
    ) -> None:
        self.envs: list[ParallelEnv] = [factory() for _ in range(check_num_envs(num_envs))]
        env = self.envs[0]
        self.name = name or str(env.metadata.get("name", type(env).__name__))
        agents = tuple(env.possible_agents)
        self._index = {agent: i for i, agent in enumerate(agents)}
        self._check = ApiChecker(self.name, agents)
        # Masks that come in infos are no part of a space: the metadata or the first infos show them.
        _, infos = self._check.reset(env.reset())
        infos = self._check.mapping("infos", infos)
        masked = bool(env.metadata.get("action_mask"))
        self._sides: list[IncentiveEnv | None] = [incentive_side(e) for e in self.envs]
        own = self._sides[0]
        pictures = own.picture_keys if own else ()
        self._processors = {
            a: ObservationProcessor(env.observation_space(a), masked or "action_mask" in (infos.get(a) or {}), pictures)
            for a in agents
        }
        self._actions = {a: self._action_processor(env, a) for a in agents}
        self.observation_spaces = {a: self._processors[a].space for a in agents}
        self.action_spaces = {a: self._actions[a].space for a in agents}
        self.max_episode_steps = own.max_episode_steps if own else None
        if own:
            names: Sequence[str] = own.action_type_names
            feature_size = own.action_feature_size or len(names)
        else:
            count = default_num_action_types(self.action_spaces)
            names = ("any",) if count == 1 else [str(i) for i in range(count)]
            feature_size = max(action_feature_size(s) for s in self.action_spaces.values())
        self._types_by_action = own is None and len(names) > 1
        concatenated = np.zeros(sum(int(np.prod(p.shape)) for p in self._processors.values()), np.float32)
        own_state = state_of(env)
        first_state = concatenated if own_state is None else own_state
        space = state_space_of(env)
        shape = first_state.shape if space is None or space.shape is None else space.shape
        dtype = np.uint8 if first_state.dtype == np.uint8 and len(shape) == 3 else np.float32
        contexts = {k: np.shape(v) for k, v in own.context().items()} if own else {}
        self.mechanism_facts = own.mechanism_facts if own else {}
        groups = self._groups(agents)
        self.allocate(num_envs, agents, groups, shape, dtype, names, feature_size, contexts, autoreset)
        self._place = {
            agents[i]: (g, position) for g, group in enumerate(groups) for position, i in enumerate(group.agents)
        }
        # Agents whose life in the running episode has ended.
        self._finished = np.zeros((self.num_envs, len(agents)), bool)

    def _action_processor(self, env: ParallelEnv, agent: str) -> ActionProcessor:
        try:
            return action_processor(env.action_space(agent))
        except ValueError as error:
            raise ValueError(f"env {self.name!r}: agent {agent!r}: {error}") from error

    def _groups(self, agents: Sequence[str]) -> list[AgentGroup]:
        """Agents of equal processed spaces, in order of first appearance."""
        kinds: list[tuple[Any, ...]] = []
        members: list[list[int]] = []
        for i, agent in enumerate(agents):
            processor = self._processors[agent]
            actions, picture = self.action_spaces[agent], processor.picture_shape
            kind = (processor.shape, processor.dtype, actions, processor.masked, picture)
            # Compared, not hashed by repr: that abbreviates the bounds of large boxes.
            if kind not in kinds:
                kinds.append(kind)
                members.append([])
            members[kinds.index(kind)].append(i)
        return [AgentGroup(tuple(who), *kind) for who, kind in zip(members, kinds, strict=True)]

    # -- stepping ---------------------------------------------------------------------------------------

    def reset(self, seed: int | None = None) -> None:
        """See the base class."""
        self.clear_step()
        seeds: Sequence[int | None] = [None] * self.num_envs if seed is None else child_seeds(seed, self.num_envs)
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
        self._observe(b, observations, infos, living)
        self.episode_over[b] = not living
        self._ask_whether_due(b)

    def _ask_whether_due(self, b: int) -> None:
        own = self._sides[b]
        self.designer_due[b] = own is not None and not self.episode_over[b] and own.designer_due()

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class."""
        self.clear_step()
        for b in range(self.num_envs):
            own = self._sides[b]
            if own is not None and self.designer_due[b] and designer_output is not None:
                own.set_designer_output(designer_output[b])
            if not self.episode_over[b]:
                self._step_one(b, actions)
            elif self.autoreset:
                self._reset_one(b, None)
                self.was_reset[b] = True

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
        for agent in acting:
            i = self._index[agent]
            self.rewards[b, i] = check.number("rewards", rewards[agent], agent)
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
                if self._types_by_action:
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

    def _observe(self, b: int, observations: Any, infos: Any, present: Sequence[str]) -> None:
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
                values, mask = self._processors[agent](observations[agent], infos.get(agent) or {})
            except ValueError as error:
                raise check.error(str(error), agent) from error
            self.observations[g][b, position] = values
            masks = self.action_masks[g]
            if masks is not None and self.active[b, self._index[agent]]:
                masks[b, position] = check.mask(mask, num_logits(self.groups[g].action_space), agent)
        state = state_of(self.envs[b])
        if state is None:
            state = self._concatenated(b, present)
        self.state[b] = check.state(state, self.state_shape, self.state_dtype)

    def _concatenated(self, b: int, present: Sequence[str]) -> np.ndarray:
        """All observations in one row; zeros for absent agents."""
        parts = []
        for agent in self.possible_agents:
            g, position = self._place[agent]
            part = self.observations[g][b, position].ravel()
            parts.append(part if agent in present else np.zeros_like(part))
        return np.concatenate(parts, dtype=np.float32)

    def get_experience(self) -> list[Any]:
        """See the base class."""
        kept = [None if own is None else own.get_experience() for own in self._sides]
        return [] if all(one is None for one in kept) else kept

    def set_experience(self, experience: Sequence[Any]) -> None:
        """See the base class."""
        for b, own in enumerate(self._sides):
            if own is not None and experience and (kept := experience[b % len(experience)]) is not None:
                own.set_experience(kept)

    def end_schedules(self) -> None:
        """See the base class."""
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
        """See the base class."""
        frame = self.envs[0].render()
        if not isinstance(frame, np.ndarray):
            raise NotImplementedError(f"env {self.name!r} has no picture; give it render_mode: rgb_array")
        return frame

    def close(self) -> None:
        """Closes all copies."""
        for env in self.envs:
            env.close()
