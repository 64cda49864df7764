"""Masks of legal actions: what counts as one, and which agents' infos bring them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.leaves import shown

#: The name under which masks are found, in Dict observations and in infos.
MASK = "action_mask"
# What is in other names that people give to masks: action_masks, avail_actions, legal_actions, valid_moves, ...
_IN_NAMES = ("mask", "avail", "legal", "valid")


def flat_mask(mask: Any) -> np.ndarray:
    """A mask as one row of flags; Gymnasium's own for a MultiDiscrete are tuples of rows.

    Raises:
        ValueError: unless it holds booleans, or 0 and 1: masks that are added to logits (0 and -1e9) mean the opposite.
    """
    try:
        parts = mask if isinstance(mask, tuple | list) and any(np.ndim(part) for part in mask) else [mask]
        flags = np.concatenate([np.asarray(part).reshape(-1) for part in parts])
    except ValueError as error:
        raise ValueError(f"{MASK} holds {shown(mask)}, expected booleans, or 0 and 1") from error
    if flags.dtype == bool:
        return flags
    if flags.dtype.kind not in "iuf" or not ((flags == 0) | (flags == 1)).all():
        raise ValueError(f"{MASK} holds {shown(mask)}, expected booleans, or 0 and 1")
    return flags.astype(bool)


def choices_of(space: gym.Space) -> tuple[int, ...]:
    """How many options each choice of a policy's action has; none for actions that cannot be masked."""
    if isinstance(space, gym.spaces.Discrete):
        return (int(space.n),)
    return tuple(map(int, space.nvec)) if isinstance(space, gym.spaces.MultiDiscrete) else ()


def check_legal(flags: np.ndarray, choices: tuple[int, ...]) -> None:
    """Checks a flat mask against an action space's choices.

    Raises:
        ValueError: if it is of another size, or leaves a choice without a legal option.
    """
    if flags.size != sum(choices):
        raise ValueError(f"{MASK} has {flags.size} flags, expected {sum(choices)}")
    if not flags.any():
        raise ValueError(f"{MASK} allows no action, expected at least one")
    if len(choices) > 1:
        for i, part in enumerate(np.split(flags, np.cumsum(choices)[:-1])):
            if not part.any():
                raise ValueError(f"{MASK} allows no action in choice {i}, expected at least one")


def first_legal(space: gym.Space, flags: np.ndarray | None) -> np.ndarray:
    """The first legal action of a policy; the first one without a mask, zeros of a box."""
    choices = choices_of(space)
    if flags is None or not choices:
        return np.zeros(space.shape or (), space.dtype)
    first = [int(part.argmax()) for part in np.split(flags, np.cumsum(choices)[:-1])]
    return np.array(first[0] if isinstance(space, gym.spaces.Discrete) else first)


def resembles_mask(name: Any, value: Any, choices: tuple[int, ...]) -> bool:
    """Whether this is plainly a mask of actions, under another name than :data:`MASK`.

    Args:
        name: of an entry of a Dict observation or of an info.
        value: what it holds.
        choices: of the action that it may be a mask of, see :func:`choices_of`.
    """
    if not isinstance(name, str) or name == MASK or not any(part in name.lower() for part in _IN_NAMES):
        return False
    try:
        return bool(choices) and flat_mask(value).size == sum(choices)
    except ValueError:
        return False


@dataclass(frozen=True)
class InfoMasks:
    """Whether the infos of one agent bring masks.

    Attributes:
        after_reset, after_step: they must; where they need not, all is legal without one.
        possible: a mask may come.
    """

    after_reset: bool = False
    after_step: bool = False
    possible: bool = False


def with_masks(infos: Mapping[str, Any]) -> set[str]:
    """Whose infos have a mask."""
    return {agent for agent, info in infos.items() if isinstance(info, Mapping) and info.get(MASK) is not None}


def info_masks(
    agents: Iterable[str], declared: bool, at_reset: set[str], at_step: set[str], seen: set[str]
) -> dict[str, InfoMasks]:
    """Whose infos bring masks, going by the first ones.

    Args:
        agents: all.
        declared: the environment's metadata say ``action_mask``.
        at_reset, at_step: whose first infos had masks after the reset and after a step.
        seen: who was there at all; where others' have masks, those of somebody who comes later may have some.
    """
    either = at_reset | at_step
    return {
        agent: InfoMasks(
            after_reset=declared or agent in at_reset,
            after_step=declared or agent in either,
            possible=declared or agent in either or (bool(either) and agent not in seen),
        )
        for agent in agents
    }
