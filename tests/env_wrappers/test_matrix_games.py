"""The three games of Baumann et al. 2020, one-shot and repeated."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test
from pettingzoo.utils.conversions import parallel_to_aec

from env_wrappers.matrix_games import GAMES, MatrixGame

C, D = 0, 1


def play(env: MatrixGame, first: int, second: int) -> tuple[dict[str, np.ndarray], tuple[float, float], bool]:
    """One round: observations, both payoffs, and whether the episode was terminated."""
    observations, rewards, terminated, truncated, _ = env.step({"player_0": first, "player_1": second})
    assert not any(truncated.values())
    assert terminated["player_0"] == terminated["player_1"]
    return observations, (rewards["player_0"], rewards["player_1"]), terminated["player_0"]


def started(**config: Any) -> MatrixGame:
    """A game after its reset."""
    env = MatrixGame(**config)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("config", [{}, {"num_rounds": 3}, {"num_rounds": 3, "memory": True}])
def test_pettingzoo_api(config: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(MatrixGame(**config), num_cycles=20)
    parallel_seed_test(lambda: MatrixGame(**config), num_cycles=20)


def test_pettingzoo_render(capsys: pytest.CaptureFixture[str]) -> None:
    render_test(lambda render_mode=None: parallel_to_aec(MatrixGame(num_rounds=5, render_mode=render_mode)))
    capsys.readouterr()


# Payoffs of (C, C), (C, D), (D, C), (D, D).
PAYOFFS = {
    "prisoners_dilemma": [(3, 3), (0, 4), (4, 0), (1, 1)],
    "chicken": [(3, 3), (1, 4), (4, 1), (0, 0)],
    "stag_hunt": [(4, 4), (0, 3), (3, 0), (1, 1)],
}


@pytest.mark.parametrize("game", GAMES)
def test_payoffs(game: str) -> None:
    for k, pair in enumerate(PAYOFFS[game]):
        env = started(game=game)
        first, second = divmod(k, 2)
        _, payoffs, over = play(env, first, second)
        assert payoffs == pair
        assert over
        assert env.agents == []
        assert env.designer_reward() == sum(pair)
        assert env.action_types() == {"player_0": first, "player_1": second}
    assert env.action_type_names == ("cooperate", "defect")


@pytest.mark.parametrize(
    ("game", "equilibria"), [("prisoners_dilemma", {3}), ("chicken", {1, 2}), ("stag_hunt", {0, 3})]
)
def test_pure_equilibria(game: str, equilibria: set[int]) -> None:
    """What makes the games the ones that they are named after."""
    table = MatrixGame(game=game).payoffs
    stable = set()
    for k in range(4):
        first, second = divmod(k, 2)
        if (
            table[first, second, 0] >= table[1 - first, second, 0]
            and table[first, second, 1] >= table[first, 1 - second, 1]
        ):
            stable.add(k)
    assert stable == equilibria


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_ends_with_the_last_round(rounds: int) -> None:
    env = started(num_rounds=rounds)
    for t in range(1, rounds + 1):
        _, _, over = play(env, C, D)
        assert over == (t == rounds)
    assert env.agents == []
    env.reset()
    assert env.agents == ["player_0", "player_1"]
    assert env.action_types() == {}


def test_without_memory_all_rounds_look_the_same() -> None:
    env = MatrixGame(num_rounds=3)
    observations, _ = env.reset()
    for _ in range(3):
        for row in observations.values():
            np.testing.assert_array_equal(row, [1, 0, 0, 0, 0])
        np.testing.assert_array_equal(env.state(), [1, 0, 0, 0, 0])
        observations, _, _ = play(env, D, D)


@pytest.mark.parametrize(
    ("first", "second", "seen", "seen_by_other"), [(C, C, 1, 1), (C, D, 2, 3), (D, C, 3, 2), (D, D, 4, 4)]
)
def test_memory_shows_own_action_first(first: int, second: int, seen: int, seen_by_other: int) -> None:
    env = started(num_rounds=3, memory=True)
    observations, _, _ = play(env, first, second)
    np.testing.assert_array_equal(observations["player_0"], np.eye(5)[seen])
    np.testing.assert_array_equal(observations["player_1"], np.eye(5)[seen_by_other])
    np.testing.assert_array_equal(env.state(), np.eye(5)[seen])
    again, _ = env.reset()
    np.testing.assert_array_equal(again["player_0"], [1, 0, 0, 0, 0])


@settings(max_examples=30, deadline=None)
@given(
    game=st.sampled_from(GAMES),
    moves=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=4),
    memory=st.booleans(),
)
def test_players_are_interchangeable(game: str, moves: list[tuple[int, int]], memory: bool) -> None:
    """With the seats swapped, both see and earn what the other would have."""
    env, swapped = (started(game=game, num_rounds=len(moves), memory=memory) for _ in range(2))
    for first, second in moves:
        observations, payoffs, over = play(env, first, second)
        others, other_payoffs, other_over = play(swapped, second, first)
        np.testing.assert_array_equal(observations["player_0"], others["player_1"])
        np.testing.assert_array_equal(observations["player_1"], others["player_0"])
        assert payoffs == other_payoffs[::-1]
        assert over == other_over
        assert all(env.observation_space(a).contains(row) for a, row in observations.items())


def test_payoffs_override() -> None:
    """Indexed by the first player's action, the second player's, and the player; need not be symmetric."""
    env = started(num_rounds=4, payoffs=[[[1, 2], [3, 4]], [[5, 6], [7, 8.5]]])
    assert [play(env, first, second)[1] for first in (C, D) for second in (C, D)] == [
        (1, 2),
        (3, 4),
        (5, 6),
        (7, 8.5),
    ]


def test_human_rendering_prints_one_line_a_round(capsys: pytest.CaptureFixture[str]) -> None:
    env = started(render_mode="human")
    play(env, C, D)
    assert capsys.readouterr().out == "round 1: cooperate, defect  payoffs sum to 4\n"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"game": "stag_hunts"},
            "game must be one of prisoners_dilemma, chicken, stag_hunt, got 'stag_hunts'; did you mean 'stag_hunt'?",
        ),
        ({"game": "go"}, "game must be one of prisoners_dilemma, chicken, stag_hunt, got 'go'"),
        ({"game": ["chicken"]}, "game must be one of prisoners_dilemma, chicken, stag_hunt, got ['chicken']"),
        ({"num_rounds": 0}, "num_rounds must be a whole number >= 1, got 0"),
        ({"num_rounds": 1.5}, "num_rounds must be a whole number >= 1, got 1.5"),
        ({"num_rounds": True}, "num_rounds must be a whole number >= 1, got True"),
        ({"memory": "yes"}, "memory must be true or false, got 'yes'"),
        ({"payoffs": [[1, 2], [3, 4]]}, "payoffs must be 2 x 2 x 2 finite numbers or null, got [[1, 2], [3, 4]]"),
        ({"payoffs": np.full((2, 2, 2), np.nan)}, "payoffs must be 2 x 2 x 2 finite numbers"),
        ({"payoffs": "many"}, "payoffs must be 2 x 2 x 2 finite numbers or null, got 'many'"),
        ({"payoffs": [[1, 2], [3]]}, "payoffs must be 2 x 2 x 2 finite numbers"),
        ({"render_mode": "ascii"}, "render_mode must be one of human, rgb_array or null, got 'ascii'"),
    ],
)
def test_config_errors(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        MatrixGame(**config)
    assert str(error.value).startswith("matrix_game: ")
    assert "\n" not in str(error.value)
