"""What kind of environment somebody has made: a ParallelEnv, something that wraps or becomes one, or none at all."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium as gym
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import aec_to_parallel

from env_wrappers.leaves import shown
from env_wrappers.vector import EnvAPIError

# By name, as this package does not import Ray.
_RLLIB_WRAPPERS = "ray.rllib.env.wrappers.pettingzoo_env"
_RLLIB_ENV = "ray.rllib.env.multi_agent_env"
_METHODS = ("reset", "step", "observation_space", "action_space")


def as_parallel_env(made: Any, who: str) -> ParallelEnv:
    """The ParallelEnv that something is, wraps (RLlib's own wrappers of PettingZoo) or is converted to (AEC).

    Args:
        made: by a user's factory.
        who: made it, for messages.

    Raises:
        EnvAPIError: in one line, if there is no such environment in it.
    """
    env = _unwrapped_of_rllib(made, who)
    if isinstance(env, AECEnv):
        if not env.metadata.get("is_parallelizable", False):
            raise EnvAPIError(
                f"{who}: the agents take turns; only environments whose agents act at the same time "
                "(metadata is_parallelizable) are supported"
            )
        env = aec_to_parallel(env)
    if isinstance(env, ParallelEnv) or (
        not isinstance(env, gym.Env) and all(callable(getattr(env, name, None)) for name in _METHODS)
    ):
        return env
    raise EnvAPIError(f"{who} made a {type(env).__name__}, not a PettingZoo environment{_hint(env)}")


def _unwrapped_of_rllib(made: Any, who: str) -> Any:
    """What RLlib's ParallelPettingZooEnv or PettingZooEnv wraps."""
    for cls in type(made).__mro__:
        if cls.__module__ == _RLLIB_WRAPPERS:
            break
        # A subclass of RLlib's wrapper may do more than wrap: to leave that out would be another game.
        changed = [name for name in (*_METHODS, "get_sub_environments") if name in vars(cls)]
        if changed and any(base.__module__ == _RLLIB_WRAPPERS for base in cls.__mro__):
            raise EnvAPIError(
                f"{who}: {cls.__name__} changes {changed[0]} of RLlib's wrapper; write it as a "
                "pettingzoo.utils.BaseParallelWrapper of the environment itself"
            )
    else:
        return made
    return made.par_env if hasattr(made, "par_env") else made.env


def _hint(env: Any) -> str:
    """The end of a message: what to do with an environment of a known other kind."""
    if any(cls.__module__ == _RLLIB_ENV for cls in type(env).__mro__):
        return "; write RLlib's MultiAgentEnv as a pettingzoo.ParallelEnv"
    if isinstance(env, gym.Env):
        return "; a Gymnasium environment has one agent: write it as a pettingzoo.ParallelEnv"
    missing = [name for name in _METHODS if not callable(getattr(env, name, None))]
    return f" (it has no {'() and no '.join(missing)}())" if len(missing) < len(_METHODS) else ""


def agents_of(env: ParallelEnv, who: str) -> tuple[str, ...]:
    """``possible_agents``.

    Raises:
        EnvAPIError: in one line, if they are missing (also: set only by reset), none, no strings, or one comes twice.
    """
    agents = getattr(env, "possible_agents", None)
    if agents is None:
        raise EnvAPIError(f"{who}: possible_agents is missing; set it in the constructor, to all agents there may be")
    if not isinstance(agents, list | tuple) or not agents:
        raise EnvAPIError(f"{who}: possible_agents is {shown(agents)}, expected a list of names")
    for agent in agents:
        if not isinstance(agent, str):
            raise EnvAPIError(
                f"{who}: possible_agents holds {shown(agent)} ({type(agent).__name__}), expected names (strings), such "
                f"as 'agent_{agent}'"
            )
        if agents.count(agent) > 1:
            raise EnvAPIError(f"{who}: possible_agents holds {agent!r} {agents.count(agent)} times, expected once")
    return tuple(agents)


def spaces_of(env: ParallelEnv, method: str, who: str) -> dict[str, gym.Space]:
    """Every agent's ``observation_space`` or ``action_space``.

    Raises:
        EnvAPIError: in one line, if one is not Gymnasium's.
    """
    function = getattr(env, method)
    if not callable(function):
        raise EnvAPIError(f"{who}: {method} is a {type(function).__name__}, expected a method of the agent's name")
    spaces = {agent: function(agent) for agent in env.possible_agents}
    for agent, space in spaces.items():
        if not isinstance(space, gym.Space):
            kind = f"{type(space).__module__}.{type(space).__name__}"
            raise EnvAPIError(f"{who}: agent {agent!r}: {method} is a {kind}, expected a gymnasium.Space")
    return spaces


def check_reset_takes_seed(env: ParallelEnv, who: str) -> None:
    """Checks that ``reset(seed=...)`` can be called.

    Raises:
        EnvAPIError: in one line, if it cannot.
    """
    for one in (env, getattr(env, "unwrapped", env)):
        try:
            parameters = inspect.signature(one.reset).parameters.values()
        except (ValueError, TypeError):
            continue  # Written in C, it does not tell.
        if not any(p.kind is p.VAR_KEYWORD or p.name == "seed" for p in parameters):
            raise EnvAPIError(f"{who}: reset() takes no seed, expected reset(self, seed=None, options=None)")
