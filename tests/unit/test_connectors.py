"""RLlib's connectors on observations: what pieces make of them, copy by copy, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import ParallelEnv
from ray.rllib.connectors.common.frame_stacking import FrameStacking
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import FlattenObservations, MeanStdFilter
from ray.rllib.connectors.env_to_module.observation_preprocessor import (
    MultiAgentObservationPreprocessor,
    SingleAgentObservationPreprocessor,
)

from env_wrappers.loop import LoopVectorEnv
from env_wrappers.vector import EnvAPIError
from rllib_metagrad.connectors import ConnectedEnv, Connectors
from rllib_metagrad.settings import SettingError


class Clock(ParallelEnv):
    """Agent "short" lives three steps, "long" five; each sees the time, in a Dict, or as a picture of one channel."""

    metadata: ClassVar[dict[str, Any]] = {"name": "clock"}

    def __init__(self, picture: bool = False) -> None:
        self.possible_agents, self.agents, self.picture, self.t = ["short", "long"], [], picture, 0

    def observation_space(self, agent: str) -> gym.Space:
        if self.picture:
            return gym.spaces.Box(0, 255, (4, 5, 1), np.uint8)
        box = gym.spaces.Box(0, 9, (1,), np.float32)
        return gym.spaces.Dict({"time": box, "kind": gym.spaces.Discrete(2 if agent == "short" else 3)})

    def action_space(self, agent: str) -> gym.Space:
        return gym.spaces.Discrete(2)

    def _seen(self, agents: list[str]) -> dict[str, Any]:
        if self.picture:
            return {agent: np.full((4, 5, 1), self.t, np.uint8) for agent in agents}
        return {agent: {"time": np.array([self.t], np.float32), "kind": 1} for agent in agents}

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.t = list(self.possible_agents), 0
        return self._seen(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.t += 1
        acted = list(actions)
        over = {agent: self.t == (3 if agent == "short" else 5) for agent in acted}
        self.agents = [agent for agent in acted if not over[agent]]
        ones = dict.fromkeys(acted, 1.0)
        return self._seen(acted), ones, over, dict.fromkeys(acted, False), {agent: {} for agent in acted}


class Double(SingleAgentObservationPreprocessor):
    """Twice the time; written for the space of one agent."""

    def recompute_output_observation_space(self, input_observation_space: Any, input_action_space: Any) -> gym.Space:
        return gym.spaces.Box(0, 99, input_observation_space["time"].shape, np.float32)

    def preprocess(self, observation: Any, episode: Any) -> Any:
        return 2 * observation["time"]


class WithOthers(MultiAgentObservationPreprocessor):
    """How many observe now, and how many steps there were."""

    def recompute_output_observation_space(self, input_observation_space: Any, input_action_space: Any) -> gym.Space:
        return gym.spaces.Dict({agent: gym.spaces.Box(0, 99, (2,), np.float32) for agent in input_observation_space})

    def preprocess(self, observations: Any, episode: Any) -> Any:
        return {agent: np.array([len(observations), len(episode)], np.float32) for agent in observations}


class Column(ConnectorV2):
    def __call__(self, *, batch: Any, episodes: Any, **kwargs: Any) -> Any:
        for own in self.single_agent_episode_iterator(episodes):
            self.add_batch_item(batch, "mine", 1, own)
        return batch


class Broken(SingleAgentObservationPreprocessor):
    def preprocess(self, observation: Any, episode: Any) -> Any:
        raise RuntimeError("no such thing")


class Remembers(Double):
    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"seen": 3}


def played(factory: Any, num_envs: int = 2, steps: int = 7, picture: bool = False) -> list[list[np.ndarray]]:
    """Observations of all groups of agents at each step, through the loop that checks them."""
    connectors = Connectors(factory)
    env = LoopVectorEnv(lambda: ConnectedEnv(Clock(picture), connectors), num_envs, autoreset=True)
    env.reset(seed=0)
    seen = [[group.copy() for group in env.observations]]
    for _ in range(steps):
        env.step([np.zeros((num_envs, len(group.agents)), np.int64) for group in env.groups])
        seen.append([group.copy() for group in env.observations])
    return seen


@pytest.mark.parametrize(
    "factory",
    [
        lambda env, spaces, device: Double(),
        lambda env: [Double()],
        lambda *args: (Double(),),
        lambda env, spaces, device: [Double(), MeanStdFilter(multi_agent=True)],
    ],
)
def test_a_piece_for_one_agent_is_asked_about_each(factory: Any) -> None:
    """Both end alike in [time], of the next episode after a reset; who has left keeps its last one."""
    seen = played(factory)
    assert [[float(x) for x in row[0][0, :, 0]] for row in seen] == [
        [0, 0], [2, 2], [4, 4], [6, 6], [6, 8], [6, 10], [0, 0], [2, 2]
    ]  # fmt: skip
    np.testing.assert_array_equal(seen[3][0][0], seen[3][0][1])


def test_a_piece_for_all_agents_sees_who_is_there() -> None:
    seen = played(lambda env, spaces, device: WithOthers())
    assert [row[0][1, 1].tolist() for row in seen[:6]] == [[2, 0], [2, 1], [2, 2], [2, 3], [1, 4], [1, 5]]
    chained = played(lambda env, spaces, device: [Double(), WithOthers()])
    np.testing.assert_array_equal(chained[4][0], seen[4][0])


@pytest.mark.parametrize("multi_agent", [True, False])
def test_rllibs_flatten_observations(multi_agent: bool) -> None:
    """Spaces of different agents differ, and so their groups: one number and the kind, one-hot."""
    seen = played(lambda env, spaces, device: FlattenObservations(multi_agent=multi_agent))
    assert sorted(group.shape[-1] for group in seen[0]) == [3, 4]
    assert sorted(seen[2][0][0, 0].tolist()) == [0, 1, 2]


@pytest.mark.parametrize("multi_agent", [True, False])
@pytest.mark.parametrize("frames", [2, 4])
def test_rllibs_frame_stacking(multi_agent: bool, frames: int) -> None:
    """The last frames, zeros before an episode's first; within episodes only."""
    seen = played(partial(lambda f, *args: FrameStacking(num_frames=f, multi_agent=multi_agent), frames), picture=True)
    for t, row in enumerate(seen[:6]):
        assert row[0].shape == (2, 2, 4, 5, frames)
        assert row[0].dtype == np.uint8
        assert row[0][0, 1, 0, 0].tolist() == [max(0, t - frames + 1 + i) for i in range(frames)]
    assert seen[7][0][0, 0, 0, 0].tolist() == [0] * (frames - 1) + [1]


def test_a_filter_at_the_end_is_told_to_sampling() -> None:
    connectors = Connectors(lambda *args: [Double(), MeanStdFilter(multi_agent=True, clip_by_value=3.0)])
    connectors.build(Clock())
    assert connectors.options is not None
    assert (connectors.options.clip, connectors.options.demean, connectors.options.update) == (3.0, True, True)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda *args: None, "env_to_module_connector must give a ConnectorV2 or a list of them, gave None"),
        (lambda *args: [Double(), 5], "must give a ConnectorV2 or a list of them, gave 5"),
        (lambda *args: {}["x"], r"env_to_module_connector failed: KeyError: 'x'; it is called with \(env, spaces"),
        (lambda *args: [MeanStdFilter(), Double()], "MeanStdFilter must be the last piece"),
        (lambda *args: Remembers(), "Remembers has a state, which neither runners share nor checkpoints hold"),
        (lambda *args: FrameStacking(num_frames=2, multi_agent=True), "FrameStacking does not take these spaces"),
    ],
)
def test_what_cannot_be_built_is_refused(factory: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message) as raised:
        Connectors(factory).build(Clock())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (Column, "env_to_module_connector: Column writes column 'mine', but networks take observations alone"),
        (Broken, "env_to_module_connector: Broken failed: RuntimeError: no such thing"),
    ],
)
def test_what_cannot_run_is_an_error_before_anything_is_learned(piece: Any, message: str) -> None:
    with pytest.raises(EnvAPIError, match=message):
        played(lambda *args: piece())


class Endless(Clock):
    """One agent, and no end."""

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = ["long"]

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.t = (self.t + 1) % 9
        seen = self._seen(["long"])
        return seen, {"long": 0.0}, {"long": False}, {"long": False}, {"long": {}}


def test_an_endless_episode_does_not_grow() -> None:
    env = ConnectedEnv(Endless(), Connectors(lambda *args: Double()))
    env.reset(seed=0)
    for t in range(1, 2500):
        observed, *_ = env.step({"long": 0})
        assert observed["long"].tolist() == [2 * (t % 9)]
    assert env._episode is not None
    assert len(env._episode) < 1000
