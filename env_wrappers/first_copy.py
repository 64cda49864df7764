"""What a ParallelEnv is like, read off one copy that is reset, stepped once, reset again and thrown away."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from env_wrappers.api_checks import ApiChecker
from env_wrappers.incentive_env import (
    IncentiveEnv,
    action_feature_size,
    default_num_action_types,
    incentive_side,
    state_of,
    state_space_of,
)
from env_wrappers.kinds import agents_of, check_reset_takes_seed, spaces_of
from env_wrappers.leaves import BoxLeaf
from env_wrappers.masks import MASK, InfoMasks, choices_of, first_legal, info_masks, resembles_mask, with_masks
from env_wrappers.spaces import ActionProcessor, ObservationProcessor, action_names, action_processor
from env_wrappers.time_limit import TimeLimit
from env_wrappers.vector import AgentGroup, EnvAPIError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Description:
    """What LoopVectorEnv must know before it makes its copies.

    Attributes:
        agents: ``possible_agents``.
        given: the environment's observation and action spaces by agent.
        processors, actions, info_masks: by agent.
        groups: agents of equal processed spaces.
        state: of the designer's observation; None where that is all observations, concatenated.
        state_shape, state_dtype: of the designer's observation as networks get it.
        action_type_names, action_feature_size, context_shapes, mechanism_facts, max_episode_steps: an IncentiveEnv's.
        types_by_action: action types are the discrete actions.
    """

    agents: tuple[str, ...]
    given: tuple[dict[str, gym.Space], dict[str, gym.Space]]
    processors: dict[str, ObservationProcessor]
    actions: dict[str, ActionProcessor]
    info_masks: dict[str, InfoMasks]
    groups: tuple[AgentGroup, ...]
    state: BoxLeaf | None
    state_shape: tuple[int, ...]
    state_dtype: np.dtype
    action_type_names: tuple[str, ...]
    action_feature_size: int
    types_by_action: bool
    context_shapes: dict[str, tuple[int, ...]]
    mechanism_facts: Mapping[str, Any]
    max_episode_steps: int | None


def name_of(env: ParallelEnv) -> str:
    """The environment's own name, else its class's."""
    return str((getattr(env, "metadata", None) or {}).get("name", type(env).__name__))


def given_spaces(env: ParallelEnv, who: str) -> tuple[dict[str, gym.Space], dict[str, gym.Space]]:
    """Observation and action spaces by agent.

    Raises:
        EnvAPIError: in one line, if one is not Gymnasium's.
    """
    return spaces_of(env, "observation_space", who), spaces_of(env, "action_space", who)


def describe(env: ParallelEnv, name: str) -> Description:
    """Resets the environment, steps it once, resets it again, and says what it is like.

    Raises:
        EnvAPIError: if it breaks PettingZoo's API.
        ValueError: if its spaces are not supported.
    """
    who = f"env {name!r}"
    agents = agents_of(env, who)
    check_reset_takes_seed(env, who)
    given = given_spaces(env, who)
    check = ApiChecker(name, agents)
    own = incentive_side(env)
    processors = {agent: _processor(given[0][agent], own, check, agent) for agent in agents}
    actions = {agent: _actions(given[1][agent], check, agent) for agent in agents}
    for agent, processor in list(processors.items())[:1]:
        if processor.flattened:
            message = (
                f"{' and '.join(processor.flattened)} are flattened: convolutions take pictures [H, W, C] of one size; "
                "make them so, or set agent_network: {custom: ...}"
            )
            logger.warning("%s", check.error(message, agent))
    observations, infos = check.reset(env.reset(seed=0))
    observations, infos = check.mapping("observations", observations), check.mapping("infos", infos)
    _say_what_is_outside(processors, observations, check)
    first_state, state_space = state_of(env), state_space_of(env)
    contexts = {key: np.shape(value) for key, value in own.context().items()} if own else {}
    masks = _masks_in_infos(env, check, own, observations, infos, processors, actions)
    if own is None or own.get_lasting_state() is None:
        _say_if_seeds_are_ignored(env, check, processors, observations)
    spaces = {agent: action.space for agent, action in actions.items()}
    for agent, space in spaces.items():
        if (processors[agent].masked or masks[agent].possible) and not choices_of(space):
            raise check.error(f"{MASK} cannot be used with actions of {given[1][agent]}; leave it out", agent)
    if own:
        names, features = tuple(own.action_type_names), own.action_feature_size or len(own.action_type_names)
    else:
        several = default_num_action_types(spaces) > 1
        names = action_names(list(given[1].values())) if several else ("any",)
        features = max(map(action_feature_size, spaces.values()))
    state = None if first_state is None else _state_leaf(first_state, state_space)
    flat = sum(int(np.prod(processor.shape)) for processor in processors.values())
    return Description(
        agents=agents,
        given=given,
        processors=processors,
        actions=actions,
        info_masks=masks,
        groups=_groups(agents, processors, spaces, masks),
        state=state,
        state_shape=(flat,) if state is None else state.shape,
        state_dtype=np.dtype(np.uint8 if state is not None and state.is_plain_picture else np.float32),
        action_type_names=names,
        action_feature_size=features,
        types_by_action=own is None and len(names) > 1,
        context_shapes=contexts,
        mechanism_facts=own.mechanism_facts if own else {},
        max_episode_steps=env.max_episode_steps
        if isinstance(env, TimeLimit)
        else getattr(own, "max_episode_steps", None),
    )


def _processor(space: gym.Space, own: IncentiveEnv | None, check: ApiChecker, agent: str) -> ObservationProcessor:
    try:
        return ObservationProcessor(space, own.picture_keys, own.observe_masks) if own else ObservationProcessor(space)
    except ValueError as error:
        raise check.error(str(error), agent) from error


def _actions(space: gym.Space, check: ApiChecker, agent: str) -> ActionProcessor:
    try:
        return action_processor(space)
    except ValueError as error:
        raise check.error(str(error), agent) from error


def _say_what_is_outside(
    processors: dict[str, ObservationProcessor], observations: dict[str, Any], check: ApiChecker
) -> None:
    """One warning where floats are beyond the bounds that the environment has declared: they are taken as they are."""
    for agent, observation in observations.items():
        try:
            outside = processors[agent].outside(observation)
        except ValueError as error:
            raise check.error(str(error), agent) from error
        if outside:
            logger.warning("%s; used as it is", check.error(f"beyond its declared bounds: {outside[0]}", agent))
            return


def _say_if_seeds_are_ignored(
    env: ParallelEnv, check: ApiChecker, processors: dict[str, ObservationProcessor], first: dict[str, Any]
) -> None:
    """One warning where ``reset(seed)`` does not fix what follows: copies may then play one and the same game."""
    try:
        again, _ = check.reset(env.reset(seed=0))
        same = first.keys() == again.keys() and all(
            np.array_equal(processors[agent](first[agent])[0], processors[agent](again[agent])[0], equal_nan=True)
            for agent in first
        )
    except Exception:
        # One that crashes does so again when it is used, where it may be restarted.
        logger.debug("the second reset of a first copy failed", exc_info=True)
        return
    if not same:
        message = (
            "reset(seed=0) has shown other observations the second time: what is drawn there does not come from the "
            "seed, so runs are not fixed by theirs, and copies may draw one and the same; seed it in reset()"
        )
        logger.warning("%s", check.error(message))


def _masks_in_infos(
    env: ParallelEnv,
    check: ApiChecker,
    own: IncentiveEnv | None,
    observations: dict[str, Any],
    infos: dict[str, Any],
    processors: dict[str, ObservationProcessor],
    actions: dict[str, ActionProcessor],
) -> dict[str, InfoMasks]:
    """Whose infos bring masks: as the metadata say, and as the first ones show, after the reset and after a step."""
    declared = bool((getattr(env, "metadata", None) or {}).get(MASK))
    at_reset = with_masks(infos) & processors.keys()
    at_step: set[str] = set()
    seen = set(observations)
    given = {}
    said = own is not None and own.observe_masks
    said = said or _say_what_resembles_masks(check, observations, infos, processors, actions)
    for agent in check.living(env.agents):
        mask = infos[agent].get(MASK) if agent in at_reset else None
        if agent in observations and processors[agent].masked:
            mask = processors[agent].check(observations[agent])[1]
        given[agent] = actions[agent].to_env(_legal_action(actions[agent].space, mask, check, agent))
    try:
        observations, *_, infos = check.step(env.step(given))
    except EnvAPIError:
        raise
    except Exception:
        # One that crashes does so again when it is used, where it may be restarted.
        logger.debug("the first step of a first copy failed", exc_info=True)
    else:
        observations, infos = check.mapping("observations", observations), check.mapping("infos", infos)
        seen |= observations.keys()
        at_step = with_masks(infos) & processors.keys()
        if not said:
            _say_what_resembles_masks(check, {}, infos, processors, actions)
    return info_masks(processors, declared, at_reset, at_step, seen)


def _say_what_resembles_masks(
    check: ApiChecker,
    observations: Mapping[str, Any],
    infos: Mapping[str, Any],
    processors: dict[str, ObservationProcessor],
    actions: dict[str, ActionProcessor],
) -> bool:
    """One warning where a mask has another name than ``action_mask``, and nothing has that name.

    Returns:
        Whether it was given.
    """
    for agent in sorted(processors.keys() & infos.keys()):
        info, choices = infos[agent], choices_of(actions[agent].space)
        if not isinstance(info, Mapping) or processors[agent].masked or info.get(MASK) is not None:
            continue
        seen = processors[agent].resembling_masks(observations[agent], choices) if agent in observations else []
        found = [f"{name} is observed like any number" for name in seen]
        found += [
            f"infos[{name!r}] is not read" for name, flags in info.items() if resembles_mask(name, flags, choices)
        ]
        if found:
            message = f"{found[0]}, and looks like a mask of legal actions; call it {MASK} to have it used"
            logger.warning("%s", check.error(message, agent))
            return True
    return False


def _legal_action(space: gym.Space, mask: Any, check: ApiChecker, agent: str) -> np.ndarray:
    if mask is None or not (choices := choices_of(space)):
        return first_legal(space, None)
    return first_legal(space, check.mask(mask, choices, agent))


def _state_leaf(state: np.ndarray, space: gym.Space | None) -> BoxLeaf:
    """What the designer's observation must be like: the shape of the space if there is one, and its bounds of uint8."""
    shape = state.shape if space is None or space.shape is None else space.shape
    if isinstance(space, gym.spaces.Box) and space.dtype == np.uint8:
        return BoxLeaf(space, "state()")
    if state.dtype == np.uint8:
        return BoxLeaf(gym.spaces.Box(0, 255, shape, np.uint8), "state()")
    return BoxLeaf(gym.spaces.Box(-np.inf, np.inf, shape, np.float32), "state()")


def _groups(
    agents: tuple[str, ...],
    processors: dict[str, ObservationProcessor],
    actions: dict[str, gym.Space],
    masks: dict[str, InfoMasks],
) -> tuple[AgentGroup, ...]:
    """Agents of equal processed spaces, in order of first appearance."""
    kinds: list[tuple[Any, ...]] = []
    members: list[list[int]] = []
    for i, agent in enumerate(agents):
        seen = processors[agent]
        masked = seen.masked or masks[agent].possible
        kind = (seen.shape, seen.dtype, actions[agent], masked, seen.picture_shape, seen.picture_is_only_one)
        # Compared, not hashed by repr: that abbreviates the bounds of large boxes.
        if kind not in kinds:
            kinds.append(kind)
            members.append([])
        members[kinds.index(kind)].append(i)
    return tuple(AgentGroup(tuple(who), *kind) for who, kind in zip(members, kinds, strict=True))
