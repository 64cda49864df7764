"""The configuration of Cleanup, read by the ParallelEnv, its batched twin, the registry and the docs."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, Self

import gymnasium as gym
import numpy as np
from pydantic import model_validator

from env_wrappers.cleanup.colors import palette
from env_wrappers.cleanup.maps import MAPS, OWN_MAP, Cell, MapRows, find, read_map
from env_wrappers.config import Derived, EnvConfig, RenderMode
from rllib_metagrad.settings import SettingError, setting

#: What actions do. The first four are steps forward, to the right, backward and to the left of where the agent
#: faces, so that each is the number of quarter turns (clockwise) from the facing to the step.
FORWARD, RIGHT, BACKWARD, LEFT, STAY, TURN_RIGHT, TURN_LEFT, CLEAN = range(8)
TYPE_NAMES = ("clean", "eat", "other")
#: Directions an agent can face, clockwise: up, right, down, left; as (rows, columns) of a step.
FACINGS = ((-1, 0), (0, 1), (1, 0), (0, -1))


class CleanupConfig(EnvConfig):
    """Keys of Cleanup, and what follows from them; what is null by default is set by the map."""

    NAME = "cleanup"

    map: MapRows = setting("7x7", "`7x7`, `10x10`, `full`, or rows of text: a list, or one string of several lines")
    num_agents: int = setting(2, "at most the start cells of the map", ge=1)
    max_steps: Derived[int] = setting(None, "length of an episode; null: by map", ge=1)
    view_size: Derived[int] = setting(None, "an agent sees this many cells to each side; null: by map", ge=1)
    beam_width: int = setting(3, "of the cleaning beam, odd", ge=1)
    beam_length: int = setting(5, "cells of each of its rays", ge=1)
    rotation: Derived[bool] = setting(None, "whether agents can turn; null: by map")
    left_right: bool = setting(True, "whether agents can step sideways")
    shuffled_spawns: Derived[bool] = setting(None, "whether start cells are drawn in every episode; null: by map")
    random_orientation: Derived[bool] = setting(None, "whether agents start facing anywhere; null: by map")
    threshold_depletion: Derived[float] = setting(
        None, "waste density from which nothing grows; may be above 1; null: by map", ge=0
    )
    threshold_restoration: Derived[float] = setting(
        None, "waste density up to which apples grow fastest; null: by map", ge=0
    )
    waste_spawn_probability: Derived[float] = setting(None, "see Growth; null: by map", ge=0, le=1)
    apple_respawn_probability: Derived[float] = setting(None, "see Growth; null: by map", ge=0, le=1)
    cleaning_penalty: float = setting(
        0.0, "what every `clean` action costs its agent", ge=0, le=float(np.finfo(np.float32).max)
    )
    clean_type: Literal["fired", "removed"] = setting(
        "fired",
        "what the action type `clean` is, and so what a designer can pay for: `fired`, every `clean` action, as in the "
        "paper; `removed`, those that took waste away (the others count as `eat` or `other`)",
    )
    observation: Literal["rgb", "planes"] = setting("rgb", "colors, or one-hot planes of 0 or 255, see Observations")
    render_mode: RenderMode | None = setting(None, "`human` (the map as text) or `rgb_array`")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        known = MAPS.get(self.map) if isinstance(self.map, str) else None
        defaults = OWN_MAP if known is None else known[1]
        self._derive(**{key: value for key, value in defaults.items() if getattr(self, key) is None})
        if self.num_agents > len(self.spawns):
            raise SettingError(
                "num_agents", f"must be at most {len(self.spawns)}, the map's start cells P, got {self.num_agents}"
            )
        if self.beam_width % 2 == 0:
            raise SettingError("beam_width", f"must be odd, got {self.beam_width}")
        if self.threshold_restoration >= self.threshold_depletion:
            raise SettingError(
                "threshold_restoration",
                f"must be below threshold_depletion = {self.threshold_depletion:g}, got {self.threshold_restoration:g}",
            )
        return self

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """The map."""
        return read_map(self.map)

    @cached_property
    def spawns(self) -> tuple[Cell, ...]:
        """Start cells in the order in which agents take them, which is the reverse of reading order."""
        return find(self.rows, "P")[::-1]

    @cached_property
    def apple_points(self) -> tuple[Cell, ...]:
        """Cells in reading order where apples can appear."""
        return find(self.rows, "B")

    @cached_property
    def waste_points(self) -> tuple[Cell, ...]:
        """Cells in reading order where waste can appear."""
        return find(self.rows, "HR")

    @property
    def state_margin(self) -> int:
        """Cells beyond the map that the designer's picture shows on every side."""
        return 1 if self.map == "7x7" else 0

    @cached_property
    def _actions(self) -> tuple[tuple[int, str], ...]:
        """What actions do, and their names, in the original's order: moves, stay, turns, clean."""
        sideways = ((LEFT, "left"), (RIGHT, "right")) if self.left_right else ()
        turns = ((TURN_RIGHT, "turn_right"), (TURN_LEFT, "turn_left")) if self.rotation else ()
        return (*sideways, (FORWARD, "up"), (BACKWARD, "down"), (STAY, "stay"), *turns, (CLEAN, "clean"))

    @cached_property
    def actions(self) -> tuple[int, ...]:
        """What each action does (FORWARD to CLEAN)."""
        return tuple(kind for kind, _ in self._actions)

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        """Of each action."""
        return tuple(name for _, name in self._actions)

    @property
    def paid_by_waste(self) -> bool:
        """Whether beams that remove no waste are no cleaning."""
        return self.clean_type == "removed"

    @cached_property
    def palette(self) -> np.ndarray:
        """``[looks, C]`` uint8, see :func:`~env_wrappers.cleanup.colors.palette`."""
        return palette(self.observation, self.num_agents)

    @property
    def agent_names(self) -> tuple[str, ...]:
        """agent_0, agent_1, ..."""
        return tuple(f"agent_{i}" for i in range(self.num_agents))

    @property
    def observation_shape(self) -> tuple[int, int, int]:
        """``[2 view_size + 1, 2 view_size + 1, C]``."""
        side = 2 * self.view_size + 1
        return side, side, self.palette.shape[1]

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """The whole map and its margin, ``[rows, columns, C]``."""
        margin = 2 * self.state_margin
        return len(self.rows) + margin, len(self.rows[0]) + margin, self.palette.shape[1]

    def image_space(self, shape: tuple[int, ...]) -> gym.spaces.Box:
        """Of pictures."""
        return gym.spaces.Box(0, 255, shape, np.uint8)

    def invalid_action(self, action: Any) -> ValueError:
        """The error for an action that there is not."""
        return ValueError(f"{self.NAME}: action {action} is not one of 0 to {len(self.actions) - 1}")
