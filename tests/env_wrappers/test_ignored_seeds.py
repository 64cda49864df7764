"""An environment whose ``reset(seed)`` fixes nothing is told of, once and in one line; all others are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_envs import Noisy

from env_wrappers import LoopVectorEnv, make, names


class OwnGenerator(Noisy):
    """Draws from a generator that its constructor seeds: all copies draw the same."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        return super().reset()


class InOrder(OwnGenerator):
    """Plays a data set in its order."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        result = super().reset()
        result[0]["a"][:] = self.played = getattr(self, "played", 0) + 0.125
        return result


class Once(Noisy):
    """Cannot be reset in the middle of an episode."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        if self.agents:
            raise RuntimeError("an episode is running")
        return super().reset(seed)


@pytest.mark.parametrize("game", [OwnGenerator, InOrder])
def test_told_in_one_line(game: type, caplog: pytest.LogCaptureFixture) -> None:
    env = LoopVectorEnv(game, 3, "mine")
    env.reset(5)
    (message,) = caplog.messages
    assert message.startswith("env 'mine': reset(seed=0) has shown other observations the second time: ")
    assert "\n" not in message
    # What it warns of: copies with seeds of their own see the same.
    assert len(np.unique(env.observations[0])) == 1


@pytest.mark.parametrize("game", [Noisy, Once])
def test_not_told_of_others(game: type, caplog: pytest.LogCaptureFixture) -> None:
    LoopVectorEnv(game, 2).reset(5)
    assert caplog.messages == []


@pytest.mark.parametrize("name", sorted(set(names()) - {"pettingzoo"}))
def test_not_told_of_games_of_ours(name: str, caplog: pytest.LogCaptureFixture) -> None:
    LoopVectorEnv(lambda: make(name), 1)
    assert caplog.messages == []
