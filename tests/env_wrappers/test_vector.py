"""Batched twins step exactly as the ParallelEnvs they stand for; freezing, autoreset and resuming."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_envs import random_actions

from env_wrappers import LoopVectorEnv, VectorIncentiveEnv, make_vec
from env_wrappers.escape_room import EscapeRoom, VectorEscapeRoom
from env_wrappers.matrix_games import MatrixGame, VectorMatrixGame

#: What each copy reports of its last step; where a copy did not act in it, all of these are zero.
STEP_REPORTS = ("rewards", "terminated", "truncated", "action_types", "action_features", "designer_reward")
BUFFERS = (
    *STEP_REPORTS,
    "observations",
    "state",
    "active",
    "episode_over",
    "was_reset",
    "action_masks",
    "context",
)

Twins = tuple[VectorIncentiveEnv, LoopVectorEnv]


def snapshot(env: VectorIncentiveEnv) -> dict[str, Any]:
    """A copy of all buffers."""
    return {name: copy.deepcopy(getattr(env, name)) for name in BUFFERS}


def assert_equal(got: dict[str, Any], expected: dict[str, Any], where: str = "") -> None:
    """Every buffer is the same, in values and in dtype."""
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            assert got[name].dtype == value.dtype, name
        np.testing.assert_equal(got[name], value, err_msg=f"{name} {where}")


def assert_same_play(twins: Twins, rng: np.random.Generator, steps: int) -> None:
    """Both agree on every buffer after the reset and after every step of random play."""
    native, loop = twins
    for env in twins:
        env.reset(seed=0)
    assert_equal(snapshot(native), snapshot(loop), "after reset")
    for t in range(steps):
        actions = random_actions(native, rng)
        for env in twins:
            env.step(actions)
        assert_equal(snapshot(native), snapshot(loop), f"in step {t}")


def assert_same_description(twins: Twins) -> None:
    """Spaces, names, groups and shapes are those of the ParallelEnv."""
    native, loop = twins
    assert native.possible_agents == loop.possible_agents
    assert native.groups == loop.groups
    assert native.action_spaces == loop.action_spaces
    assert native.action_type_names == loop.action_type_names
    assert native.max_episode_steps == loop.max_episode_steps
    assert native.state_shape == loop.state_shape
    for agent in native.possible_agents:
        assert native.observation_spaces[agent].shape == loop.observation_spaces[agent].shape


@settings(max_examples=20, deadline=None)
@given(
    data=st.data(),
    n=st.integers(2, 5),
    max_steps=st.integers(1, 4),
    autoreset=st.booleans(),
    seed=st.integers(0),
)
def test_escape_room_twins(data: st.DataObject, n: int, max_steps: int, autoreset: bool, seed: int) -> None:
    m = data.draw(st.integers(1, n - 1))
    twins = (
        VectorEscapeRoom(4, n=n, m=m, max_steps=max_steps, autoreset=autoreset),
        LoopVectorEnv(lambda: EscapeRoom(n=n, m=m, max_steps=max_steps), 4, autoreset=autoreset),
    )
    assert_same_description(twins)
    assert_same_play(twins, np.random.default_rng(seed), 10)


PAYOFFS = st.lists(st.floats(-5, 5, width=16), min_size=8, max_size=8).map(lambda x: np.reshape(x, (2, 2, 2)))


@settings(max_examples=20, deadline=None)
@given(
    game=st.sampled_from(["prisoners_dilemma", "chicken", "stag_hunt"]),
    payoffs=st.none() | PAYOFFS,
    rounds=st.integers(1, 4),
    memory=st.booleans(),
    autoreset=st.booleans(),
    seed=st.integers(0),
)
def test_matrix_game_twins(
    game: str, payoffs: np.ndarray | None, rounds: int, memory: bool, autoreset: bool, seed: int
) -> None:
    twins = (
        VectorMatrixGame(3, game=game, num_rounds=rounds, memory=memory, payoffs=payoffs, autoreset=autoreset),
        LoopVectorEnv(
            lambda: MatrixGame(game=game, num_rounds=rounds, memory=memory, payoffs=payoffs), 3, autoreset=autoreset
        ),
    )
    assert_same_description(twins)
    assert_same_play(twins, np.random.default_rng(seed), 10)


FACTORIES = [
    pytest.param(lambda reset: make_vec("escape_room", 5, reset, n=3, m=1, max_steps=3), id="escape_room"),
    pytest.param(lambda reset: make_vec("matrix_game", 5, reset, num_rounds=3, memory=True), id="matrix_game"),
    pytest.param(lambda reset: make_vec("escape_room", 5, reset, backend="loop", n=3, m=1, max_steps=3), id="loop"),
]
Factory = Callable[[bool], VectorIncentiveEnv]


@pytest.mark.parametrize("factory", FACTORIES)
def test_frozen_without_autoreset(factory: Factory) -> None:
    """A copy whose episode is over keeps what it shows, ignores actions, and reports nothing, until reset."""
    env = factory(False)
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    before = snapshot(env)
    seen_partly_over = False
    for _ in range(5):
        env.step(random_actions(env, rng))
        frozen = before["episode_over"]
        seen_partly_over |= 0 < frozen.sum() < env.num_envs
        assert not env.was_reset.any()
        for name in STEP_REPORTS:
            assert not getattr(env, name)[frozen].any(), name
        np.testing.assert_array_equal(env.observations[0][frozen], before["observations"][0][frozen])
        np.testing.assert_array_equal(env.state[frozen], before["state"][frozen])
        assert not env.active[frozen].any()
        assert env.episode_over[frozen].all()
        before = snapshot(env)
    assert env.episode_over.all()
    assert seen_partly_over or env.name == "matrix_game"
    env.reset()
    assert env.active.all()
    assert not env.episode_over.any()
    for name in STEP_REPORTS:
        assert not getattr(env, name).any(), f"{name} is left from before the reset"


@pytest.mark.parametrize("factory", FACTORIES)
def test_autoreset_takes_a_step_of_its_own(factory: Factory) -> None:
    """The final observation can be read; the next step only resets."""
    env = factory(True)
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    first = snapshot(env)
    resets = 0
    for _ in range(12):
        over = env.episode_over.copy()
        env.step(random_actions(env, rng))
        np.testing.assert_array_equal(env.was_reset, over)
        resets += int(over.sum())
        np.testing.assert_array_equal(env.observations[0][over], first["observations"][0][over])
        np.testing.assert_array_equal(env.state[over], first["state"][over])
        assert env.active[over].all()
        assert not env.episode_over[over].any()
        for name in STEP_REPORTS:
            assert not getattr(env, name)[over].any(), name
        np.testing.assert_array_equal(env.active, np.repeat(~env.episode_over[:, None], env.active.shape[1], 1))
        assert not (env.terminated & env.truncated).any()
    assert resets > 0


@pytest.mark.parametrize("factory", FACTORIES)
def test_autoreset_can_be_switched(factory: Factory) -> None:
    """Evaluation switches it off on the same environment."""
    env = factory(True)
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    while not env.episode_over.any():
        env.step(random_actions(env, rng))
    env.step(random_actions(env, rng))
    assert env.was_reset.any()
    env.autoreset = False
    for _ in range(4):
        env.step(random_actions(env, rng))
        assert not env.was_reset.any()
    assert env.episode_over.all()


@pytest.mark.parametrize("centralized", [False, True])
@pytest.mark.parametrize("autoreset", [False, True])
@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("escape_room", {"n": 3, "m": 1, "max_steps": 4}),
        ("matrix_game", {"num_rounds": 4, "memory": True}),
        ("matrix_game", {"num_rounds": 2}),
    ],
)
def test_resume_continues_exactly(name: str, config: dict[str, Any], autoreset: bool, centralized: bool) -> None:
    """Another environment that takes over the state in any step goes on identically."""
    env = make_vec(name, 4, autoreset, centralized, **config)
    assert env.resumable
    rng = np.random.default_rng(3)
    env.reset(seed=0)
    actions = [random_actions(env, rng) for _ in range(12)]
    for start in range(8):
        other = make_vec(name, 4, autoreset, centralized, **config)
        other.reset(seed=5)
        other.step(actions[-1])  # it may have a past of its own
        state = env.get_state()
        taken = copy.deepcopy(state)
        other.set_state(state)
        for name_of_report in STEP_REPORTS:
            assert not getattr(other, name_of_report).any(), f"{name_of_report} is left from the other's past"
        shown = {"observations", "state", "active", "episode_over", "action_masks"}
        assert_equal({k: v for k, v in snapshot(other).items() if k in shown}, {k: snapshot(env)[k] for k in shown})
        trace = []
        for row in actions[start : start + 4]:
            other.step(row)
            trace.append(snapshot(other))
        env.set_state(state)  # the state is a copy: the other's steps have not changed it
        for row, expected in zip(actions[start : start + 4], trace, strict=True):
            env.step(row)
            assert_equal(snapshot(env), expected, f"from {start}")
        np.testing.assert_equal(state, taken)  # nor have its own
        env.set_state(state)
        env.step(actions[start])


def test_state_of_another_size_is_refused() -> None:
    env = make_vec("escape_room", 2, n=3, m=1)
    env.reset()
    other = make_vec("escape_room", 3, n=3, m=1)
    other.reset()
    with pytest.raises(ValueError, match="escape_room: the state has shape"):
        other.set_state(env.get_state())


def test_loop_cannot_be_saved() -> None:
    env = make_vec("escape_room", 2, backend="loop")
    assert not env.resumable
    with pytest.raises(NotImplementedError, match="escape_room"):
        env.get_state()
    with pytest.raises(NotImplementedError, match="escape_room"):
        env.set_state({})


@pytest.mark.parametrize("num_envs", [0, -1, 1.5, "2", None, True])
@pytest.mark.parametrize(
    ("name", "backend"), [("escape_room", "native"), ("matrix_game", "native"), ("matrix_game", "loop")]
)
def test_num_envs_must_be_a_positive_whole_number(name: str, backend: str, num_envs: Any) -> None:
    with pytest.raises(ValueError, match="num_envs must be a whole number >= 1"):
        make_vec(name, num_envs, backend=backend)


@pytest.mark.parametrize(
    ("name", "bad"), [("escape_room", 3), ("escape_room", -1), ("matrix_game", 2), ("matrix_game", -1)]
)
def test_unknown_actions_are_refused(name: str, bad: int) -> None:
    """Also negative ones, which NumPy would take for an index from the end."""
    env = make_vec(name, 2)
    env.reset()
    actions = np.zeros(env.active.shape, np.int64)
    actions[1, 1] = bad
    with pytest.raises(ValueError, match=f"{name}: action {bad} is not one of"):
        env.step([actions])
