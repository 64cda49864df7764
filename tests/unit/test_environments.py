"""Registered environments as a config names them: their contexts, their ends, and what the log says of pictures."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import ParallelEnv

from rllib_metagrad import MetaGradConfig
from rllib_metagrad.environments import build_env
from rllib_metagrad.modules.filters import MANY_FEATURES, num_features, suggested_filters
from rllib_metagrad.modules.population import network_of
from rllib_metagrad.modules.spec import EnvSpec


class Seen(ParallelEnv):
    """One agent, who always observes the same; no end."""

    metadata: dict[str, Any] = {"name": "seen_v0"}  # noqa: RUF012

    def __init__(self, space: gym.Space) -> None:
        self.possible_agents, self.agents, self.space = ["a"], [], space
        self.shown = space.sample()

    def observation_space(self, agent: str) -> gym.Space:
        return self.space

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = ["a"]
        return {"a": self.shown}, {}

    def step(self, actions: dict[str, Any]) -> Any:
        return {"a": self.shown}, {"a": 1.0}, {"a": False}, {"a": False}, {}


def config_of(**env_config: Any) -> Any:
    return MetaGradConfig().environment("mine", env_config=env_config)


def test_every_copy_has_a_context_of_its_own() -> None:
    contexts: list[Any] = []

    def create(context: Any) -> Seen:
        contexts.append((context.pop("world")["size"].pop(), context))
        return Seen(gym.spaces.Discrete(2))

    config = config_of(world={"size": [3]}).env_runners(num_env_runners=2, remote_worker_envs=True)
    build_env(config, 3, create, worker_index=2)
    assert [size for size, _ in contexts] == [3] * 4
    assert [context.vector_index for _, context in contexts] == [0, 0, 1, 2]  # the first one was thrown away
    assert {(c.worker_index, c.num_workers, c.remote) for _, c in contexts} == {(2, 2, True)}
    assert config.env_config == {"world": {"size": [3]}}


def test_an_end_for_episodes_that_have_none() -> None:
    given: list[dict[str, Any]] = []

    def create(context: Any) -> Seen:
        given.append(dict(context))
        return Seen(gym.spaces.Discrete(2))

    env = build_env(config_of(max_episode_steps=3), 1, create)
    assert given[0] == {"max_episode_steps": 3}
    env.reset(0)
    for _ in range(3):
        assert not env.episode_over.any()
        env.step([np.zeros((1, 1), np.int64)])
    assert env.truncated.all()


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="env 'mine' is not one of cleanup, contract, escape_room"):
        build_env(config_of(), 1)


def picture(*shape: int) -> gym.Space:
    return gym.spaces.Box(0, 255, (*shape, 3), np.uint8)


WITH_VECTOR = gym.spaces.Dict({"eye": picture(8, 9), "ear": gym.spaces.Discrete(2)})
LARGE_WITH_VECTOR = gym.spaces.Dict({"eye": picture(280, 480), "ear": gym.spaces.Discrete(2)})
SMALL, LARGE = ((6, 3, 1),), ((16, 7, 4), (32, 5, 2), (32, 3, 2), (32, 3, 2))
#: A space, the agents' network, and the encoder and filters that they get.
CHOSEN = [
    pytest.param(picture(8, 9), {}, (None, SMALL), id="a small picture"),
    pytest.param(gym.spaces.Box(-1, 1, (30_000,)), {}, (None, SMALL), id="a long row"),
    pytest.param(WITH_VECTOR, {}, ("picture_and_vector", SMALL), id="a picture in a Dict"),
    pytest.param(LARGE_WITH_VECTOR, {}, ("picture_and_vector", LARGE), id="a large picture in a Dict"),
    pytest.param(picture(280, 480), {"filters": [[16, 9, 8]]}, (None, ((16, 9, 8),)), id="filters were chosen"),
    pytest.param(picture(280, 480), {}, (None, LARGE), id="a large picture"),
]


@pytest.mark.parametrize(("space", "network", "expected"), CHOSEN)
def test_pictures_go_through_convolutions_that_fit(space: gym.Space, network: Any, expected: Any) -> None:
    config = config_of()
    config.agents(network=network)
    (stack,) = config.make_stacks(EnvSpec.of(build_env(config, 1, lambda context: Seen(space))))
    chosen = network_of(config.method_settings().agents.network, stack)
    assert (chosen.encoder, chosen.filters) == expected


def test_environments_that_say_what_their_pictures_are_for() -> None:
    config = MetaGradConfig().environment("gather_trade_build")
    (stack, *_) = config.make_stacks(EnvSpec.of(build_env(config, 1)))
    assert network_of(config.method_settings().agents.network, stack).encoder is None


def test_a_designer_that_observes_too_much(caplog: pytest.LogCaptureFixture) -> None:
    """Two agents' large pictures in a row: said once, with what makes it fast."""
    config = config_of()
    config.env = "mine_large"
    with caplog.at_level(logging.WARNING, "ray.rllib"):
        for _ in range(2):
            build_env(config, 1, lambda context: Seen(picture(280, 480)))
    assert [r.getMessage() for r in caplog.records if "a smaller state() makes it fast" in r.getMessage()] != []
    assert len(caplog.records) == 1


@pytest.mark.parametrize("shape", [(280, 480, 3), (84, 84, 4), (96, 96, 3), (64, 64, 3), (1000, 20, 1), (13, 17, 3)])
def test_suggested_filters_leave_little(shape: tuple[int, ...]) -> None:
    filters = suggested_filters(shape)
    assert num_features(filters, shape) <= 32 * 16 * 16 < MANY_FEATURES


def test_small_pictures_need_no_strides() -> None:
    assert suggested_filters((15, 16, 3)) == []
    assert num_features([(6, 3, 1)], (15, 16, 3)) == 15 * 16 * 6
