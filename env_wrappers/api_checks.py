"""Cheap checks of what a ParallelEnv returns; a mistake is one line: who, where, what, and what instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from env_wrappers.leaves import BoxLeaf, shown
from env_wrappers.masks import MASK, check_legal, flat_mask
from env_wrappers.vector import EnvAPIError

# PettingZoo's API test and RLlib both let infos carry entries that belong to no agent under these names.
_SHARED_INFOS = frozenset({"common", "__common__"})
# As a Python number: NumPy would cast what it is compared with to float32, and warn of the overflow.
_LARGEST = float(np.finfo(np.float32).max)


class ApiChecker:
    """Checks for one environment.

    Args:
        env_name: for messages.
        agents: its ``possible_agents``.
    """

    def __init__(self, env_name: str, agents: Sequence[str]) -> None:
        self._env = env_name
        self._possible = frozenset(agents)
        self._listed = ", ".join(map(str, agents))

    def error(self, message: str, agent: str | None = None) -> EnvAPIError:
        """The error to raise: names the environment, and the agent where there is one."""
        who = "" if agent is None else f"agent {agent!r}: "
        # Spaces and arrays print as several lines.
        return EnvAPIError(" ".join(f"env {self._env!r}: {who}{message}".split()))

    def reset(self, result: Any) -> tuple[Any, Any]:
        """What ``env.reset()`` has returned.

        Raises:
            EnvAPIError: unless these are two values.
        """
        if not isinstance(result, tuple) or len(result) != 2:
            raise self.error(f"reset() returned {_kind(result)}, expected (observations, infos)")
        return result

    def step(self, result: Any) -> tuple[Any, Any, Any, Any, Any]:
        """What ``env.step()`` has returned.

        Raises:
            EnvAPIError: unless these are five values.
        """
        if not isinstance(result, tuple) or len(result) != 5:
            raise self.error(
                f"step() returned {_kind(result)}, expected (observations, rewards, terminations, truncations, infos)"
            )
        return result

    def mapping(self, key: str, values: Any, required: Iterable[str] = ()) -> dict[str, Any]:
        """A dict by agent, with an entry for each required one.

        Raises:
            EnvAPIError: if it is no dict, has an unknown agent, or lacks a required one.
        """
        if not isinstance(values, Mapping):
            raise self.error(f"{key} is a {type(values).__name__}, expected a dict by agent")
        unknown = values.keys() - self._possible
        if key == "infos":
            unknown -= _SHARED_INFOS
        if unknown:
            raise self.error(f"unknown agent {min(unknown, key=str)!r} in {key}, expected some of {self._listed}")
        for agent in required:
            if agent not in values:
                raise self.error(f"missing in {key}, expected an entry for every living agent", agent)
        return values  # type: ignore[return-value]

    def living(self, agents: Any, returned: Iterable[str] = ()) -> list[str]:
        """``env.agents``.

        Args:
            agents: what the environment lists.
            returned: agents that must not be listed: their life in this episode has ended before, and no
                flag says so any more.

        Raises:
            EnvAPIError: if it is no list, has an unknown agent, one twice, or one that has returned.
        """
        if not isinstance(agents, list | tuple):
            raise self.error(f"agents is a {type(agents).__name__}, expected a list")
        members = set(agents)
        if unknown := members - self._possible:
            raise self.error(f"unknown agent {min(unknown, key=str)!r} in agents, expected some of {self._listed}")
        if len(members) < len(agents):
            twice = next(a for a in agents if agents.count(a) > 1)
            raise self.error(f"listed {agents.count(twice)} times in agents, expected once", twice)
        for agent in returned:
            if agent in members:
                raise self.error("back in agents after its episode ended, expected it to stay away", agent)
        return list(agents)

    def number(self, key: str, value: Any, agent: str | None = None) -> float:
        """A finite scalar that float32 can hold.

        Raises:
            EnvAPIError: if it is anything else.
        """
        array = _array(value)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise self.error(f"{key} holds {shown(value)}, expected a number", agent)
        number = float(array.reshape(()))
        if not abs(number) <= _LARGEST:
            raise self.error(f"{key} holds {number}, expected a finite float32 number", agent)
        return number

    def flag(self, key: str, value: Any, agent: str) -> bool:
        """True or False, also as a NumPy scalar or 0 / 1.

        Raises:
            EnvAPIError: if it is anything else.
        """
        array = _array(value)
        if array.size != 1 or array.dtype.kind not in "biu":
            raise self.error(f"{key} holds {shown(value)}, expected True or False", agent)
        return bool(array.reshape(()))

    def mask(self, mask: Any, choices: tuple[int, ...], agent: str) -> np.ndarray:
        """The legal actions of an agent that acts next, ``[sum(choices)]`` bool.

        Args:
            mask: as the environment gave it; None where it gave none.
            choices: how many options each choice of an action has.
            agent: whose.

        Raises:
            EnvAPIError: if there is none, if it holds anything but flags, is of another size, or allows nothing.
        """
        if mask is None:
            raise self.error(f"{MASK} is missing in infos, expected {sum(choices)} flags", agent)
        try:
            flags = flat_mask(mask)
            check_legal(flags, choices)
        except ValueError as error:
            raise self.error(str(error), agent) from error
        return flags

    def context(self, values: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """The arrays for mechanisms.

        Raises:
            EnvAPIError: if their names or shapes are not those after the first reset.
        """
        got = {key: np.shape(value) for key, value in values.items()}
        if got != dict(shapes):
            raise self.error(f"context() has shapes {got}, expected {dict(shapes)}")
        return values

    def state(self, state: np.ndarray, leaf: BoxLeaf, dtype: np.dtype) -> np.ndarray:
        """The designer's observation: a uint8 picture as it is, otherwise finite numbers.

        Raises:
            EnvAPIError: if it is no member of its space.
        """
        try:
            values = leaf.check(state)
            return values if dtype == np.uint8 else leaf.numbers(values)
        except ValueError as error:
            raise self.error(str(error)) from error


def _kind(result: Any) -> str:
    return f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"


def _array(value: Any) -> np.ndarray:
    """As an array; an empty one for nested lists of unequal lengths."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.zeros(0)
