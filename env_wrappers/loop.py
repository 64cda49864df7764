"""LoopVectorEnv: any PettingZoo ParallelEnv as a batched environment, checked at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from env_wrappers.incentive_env import (
    IncentiveEnv,
    action_feature_size,
    action_features,
    default_num_action_types,
    state_of,
    state_space_of,
)
from env_wrappers.spaces import ObservationProcessor, action_processor
from env_wrappers.vector import AgentGroup, EnvAPIError, VectorIncentiveEnv, child_seeds


class LoopVectorEnv(VectorIncentiveEnv):
    """B ParallelEnvs stepped in a Python loop.

    Observations become what networks take (spaces.py). Agents with equal spaces form a group. Where the
    environment is not an :class:`IncentiveEnv`, the designer observes ``env.state()`` (else all observations
    concatenated), wants the sum of the agents' rewards, and pays by discrete action.

    Args:
        factory: makes one environment.
        num_envs: B.
        name: for messages.
        autoreset: see :class:`VectorIncentiveEnv`.

    Raises:
        EnvAPIError: whenever an environment breaks PettingZoo's ParallelEnv API.
        ValueError: if its spaces are not supported.
    """

    def __init__(
        self,
        factory: Callable[[], ParallelEnv],
        num_envs: int,
        name: str | None = None,
        autoreset: bool = False,
    ) -> None:
        self.envs: list[ParallelEnv] = [factory() for _ in range(num_envs)]
        env = self.envs[0]
        self.name = name or str(env.metadata.get("name", type(env).__name__))
        agents = tuple(env.possible_agents)
        self._index = {agent: i for i, agent in enumerate(agents)}
        observations, infos = env.reset(seed=0)
        self._processors: dict[str, ObservationProcessor] = {}
        self._actions: dict[str, Any] = {}
        groups: dict[Any, list[int]] = {}
        for i, agent in enumerate(agents):
            space, action_space = env.observation_space(agent), env.action_space(agent)
            in_info = "action_mask" in (infos.get(agent) or {})
            processor = ObservationProcessor(space, in_info)
            self._processors[agent] = processor
            self._actions[agent] = action_processor(action_space)
            key = (
                processor.shape,
                processor.dtype.str,
                processor.masked,
                self._space_key(self._actions[agent].space),
            )
            groups.setdefault(key, []).append(i)
        self.observation_spaces = {a: self._processors[a].space for a in agents}
        self.action_spaces = {a: self._actions[a].space for a in agents}
        self._own: IncentiveEnv | None = env if isinstance(env, IncentiveEnv) else None
        self.max_episode_steps = self._own.max_episode_steps if self._own else None
        if self._own:
            names: Sequence[str] = self._own.action_type_names
        else:
            count = default_num_action_types(self.action_spaces)
            names = ("any",) if count == 1 else [str(i) for i in range(count)]
        self._types_by_action = len(names) > 1
        self._concatenated = sum(int(np.prod(self._processors[a].shape)) for a in agents)
        first_state = state_of(env, np.zeros(self._concatenated, np.float32))
        space = state_space_of(env)
        shape = first_state.shape if space is None or space.shape is None else space.shape
        dtype = np.uint8 if first_state.dtype == np.uint8 and len(shape) == 3 else np.float32
        contexts = {k: v.shape for k, v in self._own.context().items()} if self._own else {}
        self.allocate(
            num_envs,
            agents,
            [
                AgentGroup(
                    tuple(members),
                    self._processors[agents[members[0]]].shape,
                    self._processors[agents[members[0]]].dtype,
                    self._actions[agents[members[0]]].space,
                    self._processors[agents[members[0]]].masked,
                )
                for members in groups.values()
            ],
            shape,
            dtype,
            names,
            max(action_feature_size(s) for s in self.action_spaces.values()),
            contexts,
            autoreset,
        )
        self._place = {
            agents[i]: (g, position)
            for g, members in enumerate(groups.values())
            for position, i in enumerate(members)
        }

    @staticmethod
    def _space_key(space: gym.Space) -> str:
        return repr(space)

    # -- stepping ---------------------------------------------------------------------------------------

    def reset(self, seed: int | None = None) -> None:
        """See the base class."""
        self.clear_step()
        seeds: list[int | None] = list(child_seeds(seed, self.num_envs)) if seed is not None else []
        for b in range(self.num_envs):
            self._reset_one(b, seeds[b] if seeds else None)

    def _reset_one(self, b: int, seed: int | None) -> None:
        observations, infos = self.envs[b].reset(seed=seed)
        self.episode_over[b] = False
        self.active[b] = False
        for agent in self.envs[b].agents:
            self._known(agent, "agents")
            self.active[b, self._index[agent]] = True
        for group in self.observations:
            group[b] = 0
        self._observe(b, observations, infos, required=list(self.envs[b].agents))

    def step(self, actions: Sequence[np.ndarray], designer_output: np.ndarray | None = None) -> None:
        """See the base class."""
        self.clear_step()
        self.action_features[:] = 0
        for b in range(self.num_envs):
            if not self.episode_over[b]:
                self._step_one(b, actions)
            elif self.autoreset:
                self._reset_one(b, None)
                self.was_reset[b] = True

    def _step_one(self, b: int, actions: Sequence[np.ndarray]) -> None:
        env = self.envs[b]
        acting = [agent for agent in self.possible_agents if self.active[b, self._index[agent]]]
        sent = {}
        for agent in acting:
            i, (g, position) = self._index[agent], self._place[agent]
            raw = actions[g][b, position]
            sent[agent] = self._actions[agent].to_env(raw)
            space = self.action_spaces[agent]
            features = action_features(space, raw)
            self.action_features[b, i, : len(features)] = features
            if self._types_by_action:
                self.action_types[b, i] = int(raw)
        result = env.step(sent)
        if not isinstance(result, tuple) or len(result) != 5:
            raise EnvAPIError(
                f"env {self.name!r}: step() must return (observations, rewards, terminations, truncations, infos)"
            )
        observations, rewards, terminations, truncations, infos = result
        for key, values in (
            ("rewards", rewards),
            ("terminations", terminations),
            ("truncations", truncations),
        ):
            for agent in values:
                self._known(agent, key)
            for agent in acting:
                if agent not in values:
                    raise EnvAPIError(f"env {self.name!r}: agent {agent!r} acted but is missing in {key}")
        for agent in acting:
            i = self._index[agent]
            self.rewards[b, i] = self._reward(agent, rewards[agent])
            self.terminated[b, i] = bool(terminations[agent])
            self.truncated[b, i] = bool(truncations[agent]) and not self.terminated[b, i]
            if self.terminated[b, i] or self.truncated[b, i] or agent not in env.agents:
                self.active[b, i] = False
                # An agent that silently leaves the game has nothing to come.
                if not self.truncated[b, i]:
                    self.terminated[b, i] = True
        for agent in env.agents:
            self._known(agent, "agents")
            # Some environments let agents enter (again) in the middle of an episode.
            if not (terminations.get(agent) or truncations.get(agent)):
                self.active[b, self._index[agent]] = True
        required = [a for a in acting if self.active[b, self._index[a]]]
        self._observe(b, observations, infos, required)
        self.episode_over[b] = not self.active[b].any()
        self._incentive_side(b, env)

    def _incentive_side(self, b: int, env: ParallelEnv) -> None:
        if isinstance(env, IncentiveEnv):
            self.designer_reward[b] = env.designer_reward()
            for agent, kind in env.action_types().items():
                self.action_types[b, self._index[agent]] = kind
            for key, value in env.context().items():
                self.context[key][b] = value
        else:
            self.designer_reward[b] = self.rewards[b].sum()

    def _observe(
        self, b: int, observations: dict[str, Any], infos: dict[str, Any], required: list[str]
    ) -> None:
        for agent in required:
            if agent not in observations:
                raise EnvAPIError(f"env {self.name!r}: agent {agent!r} is alive but missing in observations")
        for agent, observation in observations.items():
            self._known(agent, "observations")
            g, position = self._place[agent]
            where = f"env {self.name!r}: agent {agent!r}: "
            try:
                values, mask = self._processors[agent](observation, infos.get(agent) or {})
            except ValueError as error:
                raise EnvAPIError(f"{where}{error}") from error
            self.observations[g][b, position] = values
            masks = self.action_masks[g]
            if masks is not None and mask is not None:
                masks[b, position] = mask
        parts = [
            self.observations[g][b, position].ravel()
            for g, position in (self._place[a] for a in self.possible_agents)
        ]
        fallback = np.concatenate(parts).astype(np.float32)
        state = state_of(self.envs[b], fallback)
        if state.shape != self.state_shape:
            raise EnvAPIError(
                f"env {self.name!r}: state() has shape {state.shape}, expected {self.state_shape}"
            )
        self.state[b] = state

    def _known(self, agent: str, key: str) -> None:
        if agent not in self._index:
            raise EnvAPIError(
                f"env {self.name!r}: unknown agent {agent!r} in {key}; possible_agents are "
                f"{', '.join(map(str, self.possible_agents))}"
            )

    def _reward(self, agent: str, reward: Any) -> float:
        value = np.asarray(reward)
        if value.size != 1 or value.dtype == object:
            raise EnvAPIError(
                f"env {self.name!r}: agent {agent!r}: rewards must hold a number, got {reward!r}"
            )
        number = float(value.reshape(()))
        if not np.isfinite(number):
            raise EnvAPIError(f"env {self.name!r}: agent {agent!r}: rewards holds {number}")
        return number

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
