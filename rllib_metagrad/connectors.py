"""RLlib's env-to-module connectors on what agents observe, around each copy of an environment.

Pieces work on an episode of RLlib's as they do in RLlib, before anything else sees the observations. Networks take
observations alone, so whatever a piece writes into other columns is refused.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import torch
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper
from ray.rllib.connectors.connector_pipeline_v2 import ConnectorPipelineV2
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module.mean_std_filter import MeanStdFilter
from ray.rllib.core.columns import Columns
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from env_wrappers.vector import EnvAPIError
from rllib_metagrad.observation_filter import FilterOptions
from rllib_metagrad.settings import SettingError

__all__ = ["ConnectedEnv", "Connectors"]

KEY = "env_to_module_connector"
#: Steps after which an unfinished episode forgets all but so many, as RLlib's do at the end of a fragment.
_LONG, _KEPT = 1000, 100


class _Stage:
    """One piece: itself, where it takes the spaces of all agents, else a copy of it for each agent.

    RLlib asks a piece about a Dict of all agents' spaces; many are written for the space of one.

    Args:
        piece: of the user's.
        observed: observation spaces by agent.
        acted: action spaces by agent.

    Attributes:
        spaces: observation spaces by agent, of what comes out.
    """

    def __init__(self, piece: ConnectorV2, observed: Mapping[str, gym.Space], acted: Mapping[str, gym.Space]) -> None:
        self.name = type(piece).__name__
        self._whole: ConnectorV2 | None = None
        self._own: dict[str, ConnectorV2] = {}
        try:
            whole = copy.deepcopy(piece)
            spaces = _spaces_out(whole, gym.spaces.Dict(dict(observed)), gym.spaces.Dict(dict(acted)))
        except Exception:  # what a user's function of one agent's space raises for a Dict of them
            spaces = None
        if isinstance(spaces, gym.spaces.Dict) and set(spaces) == set(observed):
            self._whole, self.spaces = whole, dict(spaces.items())
            return
        self._own = {agent: copy.deepcopy(piece) for agent in observed}
        self.spaces = {agent: _spaces_out(own, observed[agent], acted[agent]) for agent, own in self._own.items()}
        for agent, space in self.spaces.items():
            if not isinstance(space, gym.Space):
                raise ValueError(f"its observation space of {agent!r} is {space!r}, expected a gymnasium.Space")

    def __call__(self, batch: dict[str, Any], episode: MultiAgentEpisode) -> dict[str, Any]:
        """The batch with what the piece adds; observations in the episode may be others afterwards."""
        shared: dict[str, Any] = {}
        common: dict[str, Any] = {"rl_module": None, "explore": True, "shared_data": shared, "persistent_data": shared}
        if self._whole is not None:
            return dict(self._whole(batch=batch, episodes=[episode], **common) or {})
        for agent in sorted(episode.get_agents_that_stepped()):
            batch = dict(self._own[agent](batch=batch, episodes=[episode.agent_episodes[agent]], **common) or {})
        return batch


def _spaces_out(piece: ConnectorV2, observed: gym.Space, acted: gym.Space) -> Any:
    piece.input_action_space = acted
    piece.input_observation_space = observed
    return piece.observation_space


class Connectors:
    """The pieces of a user's factory, made once for all copies of a runner's environment.

    Args:
        factory: ``factory(env, spaces, device)``, as in RLlib, gives a ConnectorV2 or several; ``env`` is a copy of the
            environment, a ParallelEnv.

    Attributes:
        options: of a MeanStdFilter at the end, which sampling applies to whole batches; None if there is none.
    """

    def __init__(self, factory: Callable[..., Any]) -> None:
        self._factory = factory
        self._stages: list[_Stage] | None = None
        self.options: FilterOptions | None = None
        self.spaces: dict[str, gym.Space] = {}

    def build(self, env: ParallelEnv) -> None:
        """Makes the pieces, unless there are some already.

        Raises:
            SettingError: for what is no piece, or one that cannot be used here.
        """
        if self._stages is not None:
            return
        observed = {agent: env.observation_space(agent) for agent in env.possible_agents}
        acted = {agent: env.action_space(agent) for agent in env.possible_agents}
        pieces = self._pieces(env, observed, acted)
        if pieces and isinstance(pieces[-1], MeanStdFilter):
            last = pieces.pop()
            self.options = FilterOptions(
                last.de_mean_to_zero, last.de_std_to_one, last.clip_by_value, last._update_stats
            )
        self.spaces, stages = observed, []
        for piece in pieces:
            self._check(piece)
            try:
                stages.append(_Stage(piece, self.spaces, acted))
            except Exception as error:  # a user's piece may raise anything
                raise SettingError(KEY, f"{type(piece).__name__} does not take these spaces: {_said(error)}") from error
            self.spaces = stages[-1].spaces
        self._stages = stages

    def _pieces(self, env: ParallelEnv, observed: dict[str, gym.Space], acted: dict[str, gym.Space]) -> list[Any]:
        both = (gym.spaces.Dict(observed), gym.spaces.Dict(acted))
        given = (env, {INPUT_ENV_SPACES: both, INPUT_ENV_SINGLE_SPACES: both}, torch.device("cpu"))
        try:
            made = self._factory(*given[: 3 if _takes(self._factory, 3) else 1])
        except Exception as error:  # a user's function may raise anything
            raise SettingError(KEY, f"failed: {_said(error)}; it is called with (env, spaces, device)") from error
        return _flat(made)

    def _check(self, piece: Any) -> None:
        if not isinstance(piece, ConnectorV2):
            raise SettingError(KEY, f"must give a ConnectorV2 or a list of them, gave {piece!r}")
        name = type(piece).__name__
        if isinstance(piece, MeanStdFilter):
            raise SettingError(KEY, f"{name} must be the last piece, as runners share what it learns; put it there")
        if piece.get_state():
            raise SettingError(
                KEY,
                f"{name} has a state, which neither runners share nor checkpoints hold; leave get_state out, or keep "
                "it in the environment, by a pettingzoo.utils.BaseParallelWrapper",
            )

    def __call__(self, episode: MultiAgentEpisode) -> dict[str, Any]:
        """What the agents see that have observed something in the last step of an episode, by agent.

        Raises:
            EnvAPIError: if a piece fails, or wants more than observations.
        """
        batch: dict[str, Any] = {}
        for stage in self._stages or ():
            try:
                batch = stage(batch, episode)
            except Exception as error:  # a user's piece may raise anything
                raise EnvAPIError(f"{KEY}: {stage.name} failed: {_said(error)}") from error
            if others := sorted(set(map(str, batch)) - {Columns.OBS}):
                raise EnvAPIError(
                    f"{KEY}: {stage.name} writes column {others[0]!r}, but networks take observations alone; put it "
                    "into them, or write a pettingzoo.utils.BaseParallelWrapper of the environment"
                )
        seen = {
            agent: episode.agent_episodes[agent].get_observations(-1) for agent in episode.get_agents_that_stepped()
        }
        added = batch.get(Columns.OBS) or {}
        if not isinstance(added, Mapping):
            raise EnvAPIError(f"{KEY}: column 'obs' must be filled by add_batch_item(), with its single_agent_episode")
        return seen | {key[1]: items[-1] for key, items in added.items()}


def _flat(made: Any) -> list[Any]:
    """Pieces one by one, out of lists and pipelines."""
    if isinstance(made, ConnectorPipelineV2):
        made = list(made.connectors)
    return [piece for one in made for piece in _flat(one)] if isinstance(made, list | tuple) else [made]


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


class ConnectedEnv(BaseParallelWrapper):
    """An environment whose agents observe what connectors make of their observations.

    Results that are no dicts of agents are passed on as they are, to whoever checks them.

    Args:
        env: the user's.
        connectors: shared with other copies.
    """

    def __init__(self, env: ParallelEnv, connectors: Connectors) -> None:
        super().__init__(env)
        connectors.build(env)
        self.connectors = connectors
        self._episode: MultiAgentEpisode | None = None

    def observation_space(self, agent: str) -> gym.Space:
        """What comes out of the last piece."""
        return self.connectors.spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """A new episode."""
        result = self.env.reset(seed=seed) if options is None else self.env.reset(seed=seed, options=options)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Mapping)):
            return result
        env = self.env
        self._episode = MultiAgentEpisode(
            observation_space={agent: env.observation_space(agent) for agent in env.possible_agents},
            action_space={agent: env.action_space(agent) for agent in env.possible_agents},
            agent_to_module_mapping_fn=lambda agent, episode: agent,
        )
        self._episode.add_env_reset(observations=dict(result[0]), infos=_infos(result[1]))
        return self.connectors(self._episode), result[1]

    def step(self, actions: dict[str, Any]) -> Any:
        """One step; rewards that connectors see are the environment's, without incentives.

        Raises:
            EnvAPIError: if an agent comes back after its end.
        """
        result = super().step(actions)
        episode = self._episode
        if episode is None or not (len(result) == 5 and all(isinstance(part, Mapping) for part in result[:4])):
            return result
        observations, rewards, terminations, truncations, infos = result
        over = {agent for agent, own in episode.agent_episodes.items() if own.is_done}
        if back := sorted(over & set(self.env.agents)):
            raise EnvAPIError(f"{KEY}: agent {back[0]!r} comes back after its end, which RLlib's episodes cannot hold")

        def living(given: Mapping[str, Any]) -> dict[str, Any]:
            return {agent: value for agent, value in given.items() if agent not in over}

        episode.add_env_step(
            observations=living(observations),
            actions=living(actions),
            rewards={agent: float(rewards.get(agent) or 0.0) for agent in living(actions)},
            infos=living(_infos(infos)),
            terminateds={**living(terminations), "__all__": not self.env.agents},
            truncateds={**living(truncations), "__all__": False},
        )
        seen = self.connectors(episode)
        if len(episode) >= _LONG and not episode.is_done:
            self._episode = episode.cut(len_lookback_buffer=_KEPT)
        return seen, rewards, terminations, truncations, infos


def _infos(given: Any) -> dict[str, Any]:
    return dict(given) if isinstance(given, Mapping) else {}
