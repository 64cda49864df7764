"""The batched environment that a config names, and what its user should know of it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ray.rllib.env.env_context import EnvContext

import env_wrappers
from env_wrappers.kinds import as_parallel_env
from env_wrappers.loop import LoopVectorEnv
from env_wrappers.time_limit import TimeLimit
from env_wrappers.vector import VectorIncentiveEnv
from rllib_metagrad.connectors import ConnectedEnv, Connectors
from rllib_metagrad.observation_filter import FilterOptions
from rllib_metagrad.settings import SettingError

logger = logging.getLogger("ray.rllib")

_MANY_STATES = 100_000
_said: set[str] = set()


def build_env(
    config: Any, num_envs: int, env_creator: Callable[[EnvContext], Any] | None = None, worker_index: int = 0
) -> VectorIncentiveEnv:
    """The batched environment that a config names.

    Every copy of a registered environment is made from an EnvContext of its own, a deep copy of ``env_config`` with
    RLlib's worker_index, num_workers, vector_index and remote. Its ``max_episode_steps``, if any, cuts episodes.

    Args:
        config: an IncentiveDesignConfig.
        num_envs: B.
        env_creator: RLlib's, for environments registered with Ray or given as classes.
        worker_index: for the EnvContext that such an environment receives.

    Raises:
        ValueError: for an unknown name or wrong env_config.
    """
    connectors = None if config.env_to_module_connector is None else Connectors(config.env_to_module_connector)
    vector: VectorIncentiveEnv
    if config.env in env_wrappers.names() and connectors is not None:
        label = str(config.env_config.get("id", config.env))
        vector = LoopVectorEnv(partial(_connected, config, connectors), num_envs, label)
    elif config.env in env_wrappers.names():
        vector = env_wrappers.make_vec(config.env, num_envs, centralized=config.centralized, **dict(config.env_config))
    else:
        if env_creator is None:
            raise ValueError(f"env {config.env!r} is not one of {', '.join(env_wrappers.names())}")
        makers = [partial(_create, config, env_creator, worker_index, b, connectors) for b in range(num_envs)]
        vector = LoopVectorEnv(makers, num_envs, name=str(config.env))
        vector = env_wrappers.CentralizedVectorEnv(vector) if config.centralized else vector
    for note in notes(vector):
        if note not in _said:
            _said.add(note)
            logger.warning(note)
    return vector


def filter_options(config: Any, env: VectorIncentiveEnv) -> FilterOptions | None:
    """How a config wants the observations of its environment standardized, or None."""
    by_key = FilterOptions() if config.observation_filter == "MeanStdFilter" else None
    copies = env.envs if isinstance(env, LoopVectorEnv) else []
    outer = copies[0].env if copies and isinstance(copies[0], TimeLimit) else copies[0] if copies else None
    of_connectors = outer.connectors.options if isinstance(outer, ConnectedEnv) else None
    if by_key is not None and of_connectors is not None:
        raise SettingError(
            "observation_filter", "is there, and MeanStdFilter in env_to_module_connector; leave one out"
        )
    return by_key or of_connectors


def _connected(config: Any, connectors: Connectors) -> ConnectedEnv:
    """One copy of an environment of ours, which cannot be a part of a compiled batch then."""
    return ConnectedEnv(env_wrappers.make(config.env, **dict(config.env_config)), connectors)


def _create(
    config: Any,
    env_creator: Callable[[EnvContext], Any],
    worker_index: int,
    vector_index: int,
    connectors: Connectors | None = None,
) -> Any:
    """One copy of a registered environment."""
    context = EnvContext(
        copy.deepcopy(dict(config.env_config)),
        worker_index=worker_index,
        vector_index=vector_index,
        remote=config.remote_worker_envs,
        num_workers=config.num_env_runners,
    )
    limit = context.get("max_episode_steps")
    made, who = env_creator(context), f"env {str(config.env)!r}"
    if connectors is not None:
        made = ConnectedEnv(as_parallel_env(made, who), connectors)
    return made if limit is None else TimeLimit(as_parallel_env(made, who), limit)


def notes(env: VectorIncentiveEnv) -> Iterator[str]:
    """One line about everything in an environment that is slow by default, with what changes it."""
    if len(env.state_shape) == 1 and env.state_shape[0] > _MANY_STATES:
        yield (
            f"env {env.name!r}: the designer observes {env.state_shape[0]:,} numbers (all observations in a row unless "
            "there is a state()); a smaller state() makes it fast"
        )
