"""The checked configuration of Cleanup, shared by the ParallelEnv and its batched twin."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.cleanup.colours import palette
from env_wrappers.cleanup.maps import find, read_map
from env_wrappers.pettingzoo_env import nearest
from env_wrappers.simultaneous import check_render_mode, whole_number

#: What actions do. The first four are steps forward, to the right, backward and to the left of where the agent
#: faces, so that each is the number of quarter turns (clockwise) from the facing to the step.
FORWARD, RIGHT, BACKWARD, LEFT, STAY, TURN_RIGHT, TURN_LEFT, CLEAN = range(8)
TYPE_NAMES = ("clean", "eat", "other")
#: Directions an agent can face, clockwise: up, right, down, left; as (rows, columns) of a step.
FACINGS = ((-1, 0), (0, 1), (1, 0), (0, -1))
OBSERVATIONS = ("rgb", "planes")
CLEAN_TYPES = ("fired", "removed")
RENDER_MODES = ("human", "rgb_array")


@dataclass(frozen=True)
class CleanupConfig:
    """All that the rules need. See :class:`~env_wrappers.cleanup.environment.Cleanup` for the arguments.

    Attributes:
        rows: the map.
        spawns: start cells in the order in which agents take them, which is the reverse of reading order.
        apple_points, waste_points: cells in reading order where apples and waste can appear.
        state_margin: cells beyond the map in the designer's picture.
        actions: what each action does (FORWARD to CLEAN).
        action_names: their names.
    """

    rows: tuple[str, ...]
    num_agents: int
    max_steps: int
    view_size: int
    beam_width: int
    beam_length: int
    shuffled_spawns: bool
    random_orientation: bool
    threshold_depletion: float
    threshold_restoration: float
    waste_spawn_probability: float
    apple_respawn_probability: float
    cleaning_penalty: float
    clean_type: str
    observation: str
    state_margin: int
    spawns: tuple[tuple[int, int], ...]
    apple_points: tuple[tuple[int, int], ...]
    waste_points: tuple[tuple[int, int], ...]
    actions: tuple[int, ...]
    action_names: tuple[str, ...]

    @property
    def paid_by_waste(self) -> bool:
        """Whether beams that remove no waste are no cleaning."""
        return self.clean_type == "removed"

    @property
    def palette(self) -> np.ndarray:
        """``[looks, C]`` uint8, see :func:`~env_wrappers.cleanup.colours.palette`."""
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
        return ValueError(f"cleanup: action {action} is not one of 0 to {len(self.actions) - 1}")


def check_config(
    map: Any,
    num_agents: Any,
    max_steps: Any,
    view_size: Any,
    beam_width: Any,
    beam_length: Any,
    rotation: Any,
    left_right: Any,
    shuffled_spawns: Any,
    random_orientation: Any,
    threshold_depletion: Any,
    threshold_restoration: Any,
    waste_spawn_probability: Any,
    apple_respawn_probability: Any,
    cleaning_penalty: Any,
    clean_type: Any,
    observation: Any,
    render_mode: Any,
) -> CleanupConfig:
    """The checked configuration; None takes what the map sets.

    Raises:
        ValueError: for impossible values, on one line.
    """
    rows, defaults = read_map(map)
    spawns = find(rows, "P")[::-1]
    agents = whole_number("cleanup", "num_agents", num_agents, 1)
    if agents > len(spawns):
        raise ValueError(f"cleanup: num_agents must be at most {len(spawns)}, the map's start cells P, got {agents}")
    width = whole_number("cleanup", "beam_width", beam_width, 1)
    if width % 2 == 0:
        raise ValueError(f"cleanup: beam_width must be odd, got {width}")

    def given(key: str, value: Any) -> Any:
        return getattr(defaults, key) if value is None else value

    depletion = _number("threshold_depletion", given("threshold_depletion", threshold_depletion), 0, np.inf)
    restoration = _number("threshold_restoration", given("threshold_restoration", threshold_restoration), 0, np.inf)
    if restoration >= depletion:
        raise ValueError(
            f"cleanup: threshold_restoration must be below threshold_depletion = {depletion:g}, got {restoration:g}"
        )
    if not isinstance(observation, str) or observation not in OBSERVATIONS:
        raise ValueError(f"cleanup: unknown observation {observation!r}{nearest(observation, OBSERVATIONS)}")
    if not isinstance(clean_type, str) or clean_type not in CLEAN_TYPES:
        raise ValueError(f"cleanup: unknown clean_type {clean_type!r}{nearest(clean_type, CLEAN_TYPES)}")
    check_render_mode("cleanup", render_mode, RENDER_MODES)
    waste_probability = given("waste_spawn_probability", waste_spawn_probability)
    apple_probability = given("apple_respawn_probability", apple_respawn_probability)
    actions, names = _actions(_flag("rotation", given("rotation", rotation)), _flag("left_right", left_right))
    return CleanupConfig(
        rows=rows,
        num_agents=agents,
        max_steps=whole_number("cleanup", "max_steps", given("max_steps", max_steps), 1),
        view_size=whole_number("cleanup", "view_size", given("view_size", view_size), 1),
        beam_width=width,
        beam_length=whole_number("cleanup", "beam_length", beam_length, 1),
        shuffled_spawns=_flag("shuffled_spawns", given("shuffled_spawns", shuffled_spawns)),
        random_orientation=_flag("random_orientation", given("random_orientation", random_orientation)),
        threshold_depletion=depletion,
        threshold_restoration=restoration,
        waste_spawn_probability=_number("waste_spawn_probability", waste_probability, 0, 1),
        apple_respawn_probability=_number("apple_respawn_probability", apple_probability, 0, 1),
        cleaning_penalty=_number("cleaning_penalty", cleaning_penalty, 0, float(np.finfo(np.float32).max)),
        clean_type=clean_type,
        observation=observation,
        state_margin=defaults.state_margin,
        spawns=spawns,
        apple_points=find(rows, "B"),
        waste_points=find(rows, "HR"),
        actions=actions,
        action_names=names,
    )


def _actions(rotation: bool, left_right: bool) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The actions in the original's order: moves, stay, turns, clean."""
    named = [(LEFT, "left"), (RIGHT, "right")] if left_right else []
    named += [(FORWARD, "up"), (BACKWARD, "down"), (STAY, "stay")]
    named += [(TURN_RIGHT, "turn_right"), (TURN_LEFT, "turn_left")] if rotation else []
    named += [(CLEAN, "clean")]
    return tuple(kind for kind, _ in named), tuple(name for _, name in named)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"cleanup: {key} must be true or false, got {value!r}")
    return bool(value)


def _number(key: str, value: Any, least: float, most: float) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(f"cleanup: {key} must be a number, got {value!r}")
    number = float(value)
    if not least <= number <= most or number == np.inf:
        bound = "a finite number >= 0" if most > 1 else "between 0 and 1"
        raise ValueError(f"cleanup: {key} must be {bound}, got {value!r}")
    return number
