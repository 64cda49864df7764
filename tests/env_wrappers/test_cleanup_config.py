"""Cleanup's configuration: what maps set, users' own maps, and one line for each mistake."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml

from env_wrappers import make, make_vec
from env_wrappers.cleanup import Cleanup, VectorCleanup
from env_wrappers.cleanup.config import CleanupConfig
from env_wrappers.cleanup.maps import MEDIUM, SMALL

DEFAULTS = {
    "7x7": {
        "max_steps": 50,
        "view_size": 4,
        "shuffled_spawns": False,
        "random_orientation": False,
        "threshold_depletion": 0.6,
        "threshold_restoration": 0,
        "waste_spawn_probability": 0.5,
        "apple_respawn_probability": 0.5,
        "observation_shape": (9, 9, 3),
        "state_shape": (9, 9, 3),
    },
    "10x10": {
        "max_steps": 50,
        "view_size": 7,
        "shuffled_spawns": False,
        "random_orientation": False,
        "threshold_depletion": 0.4,
        "threshold_restoration": 0,
        "waste_spawn_probability": 0.5,
        "apple_respawn_probability": 0.3,
        "observation_shape": (15, 15, 3),
        "state_shape": (10, 10, 3),
    },
    "full": {
        "max_steps": 1000,
        "view_size": 7,
        "shuffled_spawns": True,
        "random_orientation": True,
        "threshold_depletion": 0.4,
        "threshold_restoration": 0,
        "waste_spawn_probability": 0.5,
        "apple_respawn_probability": 0.05,
        "observation_shape": (15, 15, 3),
        "state_shape": (25, 18, 3),
    },
    "H P\nB P": {
        "max_steps": 50,
        "view_size": 7,
        "shuffled_spawns": False,
        "random_orientation": False,
        "threshold_depletion": 0.4,
        "apple_respawn_probability": 0.3,
        "state_shape": (2, 3, 3),
    },
}
OTHER: dict[str, Any] = {
    "max_steps": 9,
    "view_size": 2,
    "beam_width": 1,
    "beam_length": 3,
    "shuffled_spawns": True,
    "random_orientation": True,
    "threshold_depletion": 0.9,
    "threshold_restoration": 0.2,
    "waste_spawn_probability": 0.0,
    "apple_respawn_probability": 1.0,
    "cleaning_penalty": 0.5,
    "clean_type": "removed",
    "observation": "planes",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_maps_set(name: str) -> None:
    config = Cleanup(map=name).config
    assert {key: getattr(config, key) for key in DEFAULTS[name]} == DEFAULTS[name]
    assert ("turn_left" in config.action_names) == (name == "full")
    assert (config.num_agents, config.beam_width, config.beam_length, config.cleaning_penalty) == (2, 3, 5, 0)


@pytest.mark.parametrize("name", DEFAULTS)
def test_everything_can_be_set(name: str) -> None:
    config = make("cleanup", map=name, rotation=True, **OTHER).config
    assert {key: getattr(config, key) for key in OTHER} == OTHER
    assert "turn_left" in config.action_names
    assert "turn_left" not in make("cleanup", map=name, rotation=False).config.action_names
    assert make("cleanup", map=name, shuffled_spawns=False, random_orientation=False).config.shuffled_spawns is False


@pytest.mark.parametrize(
    "own",
    [
        list(SMALL),
        SMALL,
        "\n".join(SMALL),
        "\n".join(SMALL) + "\n",
        "\n    " + "\n    ".join(SMALL) + "\n    ",
        yaml.safe_load("map: |\n  " + "\n  ".join(SMALL))["map"],
        yaml.safe_load("map:\n" + "".join(f'  - "{row}"\n' for row in SMALL))["map"],
    ],
    ids=["list", "tuple", "lines", "lines with an end", "indented", "YAML block", "YAML list"],
)
def test_own_maps(own: Any) -> None:
    """However it is written; and it has the rules of 10x10."""
    config = Cleanup(map=own).config
    assert config.rows == SMALL
    assert config.spawns == ((5, 2), (1, 4))
    assert config.apple_points == tuple((r, 5) for r in range(1, 6))
    assert config.waste_points == ((1, 1), (2, 1))
    assert config.threshold_depletion == 0.4
    named = CleanupConfig(map="10x10", num_agents=3)
    assert named.replace(map=list(MEDIUM)).rows == named.rows
    assert named.replace(map=list(MEDIUM)).replace(map="10x10") == named
    assert all(getattr(named.replace(map=list(MEDIUM)), key) == getattr(named, key) for key in OTHER)


def test_numpy_numbers_are_numbers() -> None:
    env = Cleanup(
        num_agents=np.int64(1),
        max_steps=np.int32(4),
        rotation=np.bool_(True),
        threshold_depletion=np.float32(0.5),
        cleaning_penalty=1,
    )
    assert (env.config.num_agents, env.config.max_steps, len(env.action_names)) == (1, 4, 8)


def test_the_twin_takes_the_same_keys_or_a_record() -> None:
    single, batched = (dict(inspect.signature(kind).parameters) for kind in (Cleanup, VectorCleanup))
    assert {k: str(v) for k, v in batched.items() if k not in ("num_envs", "autoreset")} == {
        k: str(v) for k, v in single.items()
    }
    assert list(single) == ["config", *CleanupConfig.model_fields]
    config = CleanupConfig(map="full", num_agents=3)
    assert Cleanup(config).config is config
    assert VectorCleanup(2, config, num_agents=4).config == CleanupConfig(map="full", num_agents=4)
    with pytest.raises(ValueError, match="cleanup: config must be a CleanupConfig, or keys by name, got 'full'"):
        Cleanup("full")  # type: ignore[arg-type]


def test_what_the_map_set_is_set_again_by_another_map() -> None:
    full = CleanupConfig(map="full", beam_length=3, view_size=None)
    small = full.replace(map="7x7")
    assert (full.view_size, full.max_steps, full.beam_length) == (7, 1000, 3)
    assert (small.view_size, small.max_steps, small.beam_length) == (4, 50, 3)
    assert small == CleanupConfig(map="7x7", beam_length=3)


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"map": "7x8"}, "map must be 7x7, 10x10, full or rows of text, got '7x8'; did you mean '7x7'?"),
    ({"map": "large"}, "map must be 7x7, 10x10, full or rows of text, got 'large'"),
    ({"map": ""}, "map must be 7x7, 10x10, full or rows of text, got ''"),
    ({"map": "@HPB@"}, "map must be 7x7, 10x10, full or rows of text, got '@HPB@'"),
    ({"map": 7}, "map must be 7x7, 10x10, full or rows of text, got 7"),
    ({"map": None}, "map must be 7x7, 10x10, full or rows of text, got None"),
    ({"map": []}, "map must be 7x7, 10x10, full or rows of text, got []"),
    ({"map": ["HP", 3]}, "map must be 7x7, 10x10, full or rows of text, got ['HP', 3]"),
    ({"map": ["HPP", "HB"]}, "map has 3 columns in row 0 but 2 in row 1; all must be equal"),
    ({"map": "@@@@\n@PP@\n\n@@@@"}, "map has 4 columns in row 0 but 0 in row 2; all must be equal"),
    ({"map": ["HPP", "HxB"]}, "map has 'x' in row 1, column 1; known are @ wall, H waste, R river, S stream, "),
    ({"map": ["HPP", "H\tB"]}, r"map has '\t' in row 1, column 1; known are "),
    ({"map": ["HH\n", "PPB"]}, r"map has '\n' in row 0, column 2; known are "),
    ({"map": ["H B", "H B"]}, "map has no P, where agents start"),
    ({"map": "\n\n"}, "map has no P, where agents start"),
    ({"num_agents": 3}, "num_agents must be at most 2, the map's start cells P, got 3"),
    ({"map": "10x10", "num_agents": 4}, "num_agents must be at most 3, the map's start cells P, got 4"),
    ({"map": ["HPB"]}, "num_agents must be at most 1, the map's start cells P, got 2"),
    ({"num_agents": 0}, "num_agents must be a whole number >= 1, got 0"),
    ({"num_agents": 2.0}, "num_agents must be a whole number >= 1, got 2.0"),
    ({"num_agents": True}, "num_agents must be a whole number >= 1, got True"),
    ({"num_agents": None}, "num_agents must be a whole number >= 1, got None"),
    ({"max_steps": 0}, "max_steps must be a whole number >= 1 or null, got 0"),
    ({"max_steps": "50"}, "max_steps must be a whole number >= 1 or null, got '50'"),
    ({"view_size": 0}, "view_size must be a whole number >= 1 or null, got 0"),
    ({"view_size": 4.5}, "view_size must be a whole number >= 1 or null, got 4.5"),
    ({"beam_width": 2}, "beam_width must be odd, got 2"),
    ({"beam_width": 0}, "beam_width must be a whole number >= 1, got 0"),
    ({"beam_width": None}, "beam_width must be a whole number >= 1, got None"),
    ({"beam_length": 0}, "beam_length must be a whole number >= 1, got 0"),
    ({"rotation": 1}, "rotation must be true or false or null, got 1"),
    ({"rotation": "no"}, "rotation must be true or false or null, got 'no'"),
    ({"left_right": None}, "left_right must be true or false, got None"),
    ({"shuffled_spawns": 0}, "shuffled_spawns must be true or false or null, got 0"),
    ({"random_orientation": "up"}, "random_orientation must be true or false or null, got 'up'"),
    ({"threshold_restoration": 0.7}, "threshold_restoration must be below threshold_depletion = 0.6, got 0.7"),
    ({"threshold_depletion": 0}, "threshold_restoration must be below threshold_depletion = 0, got 0"),
    (
        {"map": "10x10", "threshold_depletion": 0.2, "threshold_restoration": 0.2},
        "threshold_restoration must be below threshold_depletion = 0.2, got 0.2",
    ),
    ({"threshold_depletion": -0.1}, "threshold_depletion must be a number >= 0 or null, got -0.1"),
    ({"threshold_depletion": np.inf}, "threshold_depletion must be a number >= 0 or null, got inf"),
    ({"threshold_restoration": np.nan}, "threshold_restoration must be a number >= 0 or null, got nan"),
    ({"threshold_depletion": "0.4"}, "threshold_depletion must be a number >= 0 or null, got '0.4'"),
    ({"waste_spawn_probability": 1.5}, "waste_spawn_probability must be a number >= 0 and <= 1 or null, got 1.5"),
    ({"waste_spawn_probability": True}, "waste_spawn_probability must be a number >= 0 and <= 1 or null, got True"),
    ({"apple_respawn_probability": -0.5}, "apple_respawn_probability must be a number >= 0 and <= 1 or null, got -0.5"),
    (
        {"apple_respawn_probability": np.nan},
        "apple_respawn_probability must be a number >= 0 and <= 1 or null, got nan",
    ),
    (
        {"apple_respawn_probability": [0.5]},
        "apple_respawn_probability must be a number >= 0 and <= 1 or null, got [0.5]",
    ),
    ({"cleaning_penalty": -1}, "cleaning_penalty must be a number >= 0 and <= 3.40282e+38, got -1"),
    ({"cleaning_penalty": 1e39}, "cleaning_penalty must be a number >= 0 and <= 3.40282e+38, got 1e+39"),
    ({"clean_type": "remove"}, "clean_type must be one of fired, removed, got 'remove'; did you mean 'removed'?"),
    ({"cleaning_penalty": None}, "cleaning_penalty must be a number >= 0 and <= 3.40282e+38, got None"),
    ({"observation": "plane"}, "observation must be one of rgb, planes, got 'plane'; did you mean 'planes'?"),
    ({"observation": "text"}, "observation must be one of rgb, planes, got 'text'"),
    ({"observation": None}, "observation must be one of rgb, planes, got None"),
    ({"observation": ["rgb"]}, "observation must be one of rgb, planes, got ['rgb']"),
    ({"render_mode": "ascii"}, "render_mode must be one of human, rgb_array or null, got 'ascii'"),
    ({"num_agent": 3}, "unknown env_config key 'num_agent'; did you mean 'num_agents'?"),
    ({"beam": 3}, "unknown env_config key 'beam'"),
]


@pytest.mark.parametrize(("config", "message"), ERRORS, ids=[str(config) for config, _ in ERRORS])
def test_errors(config: dict[str, Any], message: str) -> None:
    makers: list[Callable[[], Any]] = [lambda: make("cleanup", **config), lambda: make_vec("cleanup", 2, **config)]
    for maker in makers:
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            maker()
        assert str(error.value).startswith("cleanup: ")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("num_envs", [0, -1, 1.5, None, True])
def test_num_envs(num_envs: Any) -> None:
    with pytest.raises(ValueError, match="num_envs must be a whole number >= 1"):
        make_vec("cleanup", num_envs)
