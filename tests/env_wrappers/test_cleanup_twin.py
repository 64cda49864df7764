"""Cleanup in batches steps exactly as the ParallelEnv, resumes exactly, and plays what it always has played."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_vector import STEP_REPORTS, assert_equal, assert_same_description, snapshot
from toy_envs import random_actions

from env_wrappers import LoopVectorEnv, make_vec
from env_wrappers.cleanup import Cleanup, VectorCleanup
from env_wrappers.cleanup.config import CLEAN
from env_wrappers.cleanup.rng import SplitMix64

#: Apples and waste come and go also in random play.
BUSY: dict[str, Any] = {"threshold_depletion": 0.9, "apple_respawn_probability": 0.4}
CROWD = ["@PPPP@", "@PPPP@", "HPBBPR", "SBBBB "]
GAMES: dict[str, dict[str, Any]] = {
    "7x7": {},
    "7x7, one agent": {"num_agents": 1, "threshold_depletion": 1.5},
    "10x10": {"map": "10x10", "num_agents": 3, **BUSY},
    "full": {"map": "full", "num_agents": 5, "max_steps": 40, **BUSY},
    "full, ten agents": {"map": "full", "num_agents": 10, "max_steps": 30, **BUSY},
    "crowd": {"map": CROWD, "num_agents": 9, "rotation": True, "random_orientation": True, **BUSY},
    "small view": {"map": CROWD, "num_agents": 4, "view_size": 1, "beam_width": 7, "beam_length": 2, **BUSY},
    "planes": {"observation": "planes", "threshold_depletion": 1.5},
    "planes, turning": {"map": "full", "num_agents": 3, "observation": "planes", "max_steps": 25, **BUSY},
    "paid by waste": {"clean_type": "removed", "threshold_depletion": 1.5},
    "penalty": {"cleaning_penalty": 0.3, "threshold_depletion": 1.5},
    "thresholds": {
        "map": ["RRRRRRRH", "PBBBBBBP"],
        "threshold_depletion": 0.7,
        "threshold_restoration": 0.3,
        "waste_spawn_probability": 0.02,
        "apple_respawn_probability": 0.2,
        "rotation": True,
        "left_right": False,
    },
    "no river": {"map": "@@@@\n@PB@\n@BP@\n@@@@", "max_steps": 7},
}
Twins = tuple[VectorCleanup, LoopVectorEnv]


def twins_of(copies: int, autoreset: bool, config: dict[str, Any]) -> Twins:
    """The same game twice."""
    return (
        VectorCleanup(copies, autoreset=autoreset, **config),
        LoopVectorEnv(lambda: Cleanup(**config), copies, "cleanup", autoreset),
    )


def compare(twins: Twins, where: str) -> None:
    """All that is reported, what is hidden in the worlds, and the generators."""
    native, loop = twins
    assert_equal(snapshot(native), snapshot(loop), where)
    assert not np.signbit(native.rewards[native.rewards == 0]).any(), "-0 would print as such"
    state = native.get_state()
    worlds = [env.unwrapped.world for env in loop.envs]
    assert state["rng"].tolist() == [world.rng.state for world in worlds], where
    assert state["facings"].tolist() == [world.facings for world in worlds], where


def play_both(twins: Twins, seed: int, steps: int) -> float:
    """Random play, compared in every step; the sum of all absolute rewards."""
    rng, total = np.random.default_rng(seed), 0.0
    for env in twins:
        env.reset(seed)
    compare(twins, "after reset")
    for t in range(steps):
        actions = random_actions(twins[0], rng)
        for env in twins:
            env.step(actions)
        compare(twins, f"in step {t}")
        total += float(np.abs(twins[0].rewards).sum())
    return total


@pytest.mark.parametrize("game", GAMES)
def test_twins(game: str) -> None:
    """Also beyond the end of episodes, and from one episode to the next."""
    twins = twins_of(2, True, GAMES[game])
    assert_same_description(twins)
    limit = twins[0].max_episode_steps
    assert limit is not None
    assert play_both(twins, 11, limit + 10) > 0
    for env in twins:
        env.autoreset = False
        env.reset()
    compare(twins, "after a reset without a seed")


MAPS = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.text("@HRSBBPPP ", min_size=width, max_size=width), min_size=1, max_size=5).filter(
        lambda rows: "P" in "".join(rows)
    )
)
CHANCES = st.sampled_from([0.0, 0.3, 1.0])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=MAPS, autoreset=st.booleans(), seed=st.integers(0, 2**40))
def test_twins_anywhere(data: st.DataObject, rows: list[str], autoreset: bool, seed: int) -> None:
    """On any map with any rules; nobody ever shares a cell, stands in a wall, or leaves."""
    config = data.draw(
        st.fixed_dictionaries(
            {
                "num_agents": st.integers(1, "".join(rows).count("P")),
                "max_steps": st.integers(3, 9),
                "view_size": st.integers(1, 3),
                "beam_width": st.sampled_from([1, 3, 5]),
                "beam_length": st.integers(1, 4),
                "rotation": st.booleans(),
                "left_right": st.booleans(),
                "shuffled_spawns": st.booleans(),
                "random_orientation": st.booleans(),
                "threshold_depletion": st.sampled_from([0.3, 0.75, 1.5]),
                "threshold_restoration": st.sampled_from([0.0, 0.25]),
                "waste_spawn_probability": CHANCES,
                "apple_respawn_probability": CHANCES,
                "cleaning_penalty": st.sampled_from([0.0, 0.1, 2.0]),
                "clean_type": st.sampled_from(["fired", "removed"]),
                "observation": st.sampled_from(["rgb", "planes"]),
            }
        )
    )
    twins = twins_of(2, autoreset, {"map": rows, **config})
    rng = np.random.default_rng(seed)
    worlds = [env.unwrapped.world for env in twins[1].envs]
    for env in twins:
        env.reset(seed)
    compare(twins, "after reset")
    for t in range(12):
        actions = random_actions(twins[0], rng)
        for env in twins:
            env.step(actions)
        compare(twins, f"in step {t}")
        for world in worlds:
            assert len(set(world.positions)) == config["num_agents"]
            assert all(world.symbol(cell) != "@" for cell in world.positions)
            fixed = [[" " if s in "ABP" else "R" if s == "H" else s for s in row] for row in world.grid]
            assert fixed == [[" " if s in "BP" else "R" if s == "H" else s for s in row] for row in rows]
            assert all(rows[r][c] == "B" for r, c in _apples(world.grid))


def _apples(grid: list[list[str]]) -> list[tuple[int, int]]:
    return [(r, c) for r, row in enumerate(grid) for c, symbol in enumerate(row) if symbol == "A"]


# -- the same play for ever -------------------------------------------------------------------------------

#: Sum of all rewards, and the first digits of SHA-256 of every pixel that agents and designer see. Whoever changes
#: rules, colors or random numbers on purpose puts the new values here, and says so in the changelog.
GOLDEN = {
    "7x7": (10.0, "5d83364faca7ab8d032761db"),
    "10x10": (21.0, "5180d7ab8d9c809633fc04d9"),
    "full": (22.0, "c6cfe7bfd77cc4cf7a42f2f5"),
    "crowd": (48.0, "b5df059922c7f14004074936"),
    "planes, turning": (12.0, "815b09422d74c599e7dac7a8"),
    "penalty": (-64.2, "2f64a6cdb4929b96e6a60b73"),
}


def scripted_actions(shape: tuple[int, ...], actions: tuple[int, ...], source: SplitMix64) -> np.ndarray:
    """Random ones, half of them cleaning, from the project's own generator: NumPy's may change."""
    clean, count = actions.index(CLEAN), len(actions)
    flat = [clean if source.below(2) else source.below(count) for _ in range(int(np.prod(shape)))]
    return np.reshape(flat, shape)


@pytest.mark.parametrize("backend", ["native", "loop"])
@pytest.mark.parametrize("game", GOLDEN)
def test_golden_trajectory(game: str, backend: str) -> None:
    env = make_vec("cleanup", 2, autoreset=True, backend=backend, **GAMES[game])
    actions, source, pixels = Cleanup(**GAMES[game]).config.actions, SplitMix64(2024), hashlib.sha256()
    env.reset(seed=1)
    total = 0.0
    for _ in range(120):
        env.step([scripted_actions(env.active.shape, actions, source)])
        total += float(env.rewards.sum(dtype=np.float64))
        pixels.update(env.observations[0].tobytes())
        pixels.update(env.state.tobytes())
    assert (round(total, 3), pixels.hexdigest()[:24]) == GOLDEN[game]


def test_random_numbers() -> None:
    """The first values of SplitMix64 from its authors' code with seed 1234567."""
    source = SplitMix64(1234567)
    assert [source.bits() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    draws = [source.uniform() for _ in range(2000)]
    assert 0 <= min(draws) < max(draws) < 1
    assert abs(np.mean(draws) - 0.5) < 0.03
    counts = np.bincount([source.below(5) for _ in range(5000)], minlength=5)
    assert counts.shape == (5,)
    assert (np.abs(counts - 1000) < 150).all()
    assert SplitMix64(-1).state == SplitMix64(2**64 - 1).state
    assert SplitMix64().state != SplitMix64().state


# -- batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("autoreset", [False, True])
@pytest.mark.parametrize("game", ["7x7", "crowd", "full", "planes, turning"])
def test_resume_continues_exactly(game: str, autoreset: bool) -> None:
    """Another environment that takes over a state goes on as the first one did, also at the end of an episode."""
    config = {**GAMES[game], "max_steps": 6}
    env, other = (VectorCleanup(3, autoreset=autoreset, **config) for _ in range(2))
    rng = np.random.default_rng(3)
    env.reset(seed=0)
    actions, states, seen = [random_actions(env, rng) for _ in range(14)], [env.get_state()], [snapshot(env)]
    for row in actions:
        env.step(row)
        states.append(env.get_state())
        seen.append(snapshot(env))
    for start in range(len(actions)):
        taken = copy.deepcopy(states[start])
        other.set_state(states[start])  # it has a past of its own
        assert not any(getattr(other, name).any() for name in STEP_REPORTS)
        for name in ("observations", "state", "active", "episode_over"):
            np.testing.assert_equal(getattr(other, name), seen[start][name], err_msg=name)
        for t in range(start, min(start + 8, len(actions))):
            other.step(actions[t])
            assert_equal(snapshot(other), seen[t + 1], f"in step {t}, resumed in {start}")
        np.testing.assert_equal(states[start], taken)  # copies: what comes later does not change them
    np.testing.assert_equal(other.get_state(), states[-1])


def test_a_reset_makes_no_difference_to_what_came_before() -> None:
    """Nothing of the last episode is left in pictures or worlds."""
    used, fresh = (VectorCleanup(3, map="full", num_agents=5, **BUSY) for _ in range(2))
    rng = np.random.default_rng(1)
    used.reset(seed=9)
    for _ in range(30):
        used.step(random_actions(used, rng))
    for env in (used, fresh):
        env.reset(seed=4)
    for _ in range(10):
        assert_equal(snapshot(used), snapshot(fresh))
        actions = random_actions(used, rng)
        used.step(actions)
        fresh.step(actions)


@pytest.mark.parametrize("config", [{"num_agents": 1}, {"map": "10x10"}, {"beam_length": 4}, {"view_size": 9}], ids=str)
def test_state_of_another_game_is_refused(config: dict[str, Any]) -> None:
    env, other = VectorCleanup(2), VectorCleanup(2, **config)
    env.reset(seed=0)
    other.reset(seed=0)
    before = snapshot(other)
    with pytest.raises(ValueError, match=r"cleanup: the state's \w+ has shape \(.*\), expected \("):
        other.set_state(env.get_state())
    assert_equal(snapshot(other), before)


def test_autoreset_takes_a_step_of_its_own() -> None:
    env = VectorCleanup(2, max_steps=3, autoreset=True)
    env.reset(seed=0)
    over = []
    for _ in range(8):
        env.step([np.full((2, 2), 5)])
        over.append((bool(env.episode_over.all()), bool(env.was_reset.all())))
        if env.was_reset.all():
            assert not any(getattr(env, name).any() for name in STEP_REPORTS)
    assert over == [(False, False), (False, False), (True, False), (False, True)] * 2


@pytest.mark.parametrize("bad", [6, -1, 2**40])
def test_unknown_actions_are_refused(bad: int) -> None:
    """Before anything changes; those of copies that do not act are not looked at."""
    message = f"cleanup: action {bad} is not one of 0 to 5"
    env, single = VectorCleanup(3, max_steps=1), Cleanup()
    env.reset(seed=0)
    before, state = snapshot(env), env.get_state()
    actions = np.full((3, 2), 5)
    actions[1, 1] = bad
    with pytest.raises(ValueError, match=message):
        env.step([actions])
    assert_equal(snapshot(env), before)
    np.testing.assert_equal(env.get_state(), state)
    env.step([np.full((3, 2), 5)])
    env.step([actions])
    assert env.episode_over.all()
    single.reset(seed=0)
    world = copy.deepcopy(vars(single.world) | {"rng": single.world.rng.state})
    with pytest.raises(ValueError, match=message):
        single.step({"agent_0": 5, "agent_1": bad})
    assert vars(single.world) | {"rng": single.world.rng.state} == world


@pytest.mark.parametrize("name", ["7x7", "full"])
def test_pictures(name: str) -> None:
    """Both backends draw the same."""
    config: dict[str, Any] = {"map": name, "num_agents": 2, "render_mode": "rgb_array"}
    native, loop = (make_vec("cleanup", 2, backend=backend, **config) for backend in ("native", "loop"))
    rng = np.random.default_rng(0)
    for env in (native, loop):
        env.reset(seed=0)
    for _ in range(5):
        np.testing.assert_array_equal(native.render(), loop.render())
        actions = random_actions(native, rng)
        native.step(actions)
        loop.step(actions)


def test_by_name() -> None:
    assert type(make_vec("cleanup", 2)) is VectorCleanup
    assert type(make_vec("cleanup", 2, backend="loop")) is LoopVectorEnv
    central = make_vec("cleanup", 2, centralized=True)
    central.reset(seed=0)
    central.step([np.full((2, 1, 2), 5)])
    assert central.designer_reward.tolist() == [0, 0]


def test_before_the_first_reset_a_step_does_no_harm() -> None:
    env = VectorCleanup(2, map="full", num_agents=3)
    env.step([np.zeros((2, 3), np.int64)])
    env.reset(seed=0)
    other = VectorCleanup(2, map="full", num_agents=3)
    other.reset(seed=0)
    assert_equal(snapshot(env), snapshot(other))
