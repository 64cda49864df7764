"""Small environments, each with one awkward property, for the tests of the wrappers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from pettingzoo import AECEnv, ParallelEnv

StepResult = tuple[dict[str, Any], dict[str, Any], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]


def unit_box(size: int = 2) -> gym.spaces.Box:
    """A box of ``size`` numbers in [0, 100]."""
    return gym.spaces.Box(0.0, 100.0, (size,), np.float32)


class Toy(ParallelEnv):
    """Agents that live for given times; observations are samples of the space or the time, rewards the time.

    Args:
        observation_spaces: of every agent.
        action_spaces: of every agent.
        terminates_at: step in which the agent's life ends (others live until ``max_steps``).
        truncates_at: step in which the agent's life is cut.
        enters_at: step after which the agent enters (others are there from the start).
        max_steps: all that still live are cut then.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "toy_v0", "render_modes": []}

    def __init__(
        self,
        observation_spaces: Mapping[str, gym.Space],
        action_spaces: Mapping[str, gym.Space],
        terminates_at: Mapping[str, int] | None = None,
        truncates_at: Mapping[str, int] | None = None,
        enters_at: Mapping[str, int] | None = None,
        max_steps: int = 4,
    ) -> None:
        self.observation_spaces = dict(observation_spaces)
        self.action_spaces = dict(action_spaces)
        self.possible_agents = list(observation_spaces)
        self.agents: list[str] = []
        self.terminates_at, self.truncates_at = dict(terminates_at or {}), dict(truncates_at or {})
        self.enters_at, self.max_steps = dict(enters_at or {}), max_steps
        self.t = 0
        self.received: list[dict[str, Any]] = []

    def observation_space(self, agent: str) -> gym.Space:
        """Of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """Of an agent."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """All agents but those that enter late."""
        if seed is not None:
            for i, space in enumerate(self.observation_spaces.values()):
                space.seed(seed + i)
        self.t = 0
        self.received = []
        self.agents = [a for a in self.possible_agents if a not in self.enters_at]
        return {a: self.observe(a) for a in self.agents}, {a: self.info(a) for a in self.agents}

    def step(self, actions: dict[str, Any]) -> StepResult:
        """Time goes on; ``received`` keeps what the environment was given."""
        acting = list(self.agents)
        assert set(actions) == set(acting), f"got actions of {sorted(actions)}, living are {acting}"
        self.received.append(actions)
        self.t += 1
        ended = {a: self.t == self.terminates_at.get(a) for a in acting}
        cut = {a: self.t == self.truncates_at.get(a) or self.t >= self.max_steps for a in acting}
        entering = [a for a, when in self.enters_at.items() if when == self.t]
        self.agents = [a for a in acting if not (ended[a] or cut[a])] + entering
        shown = acting + entering
        return (
            {a: self.observe(a) for a in shown},
            {a: self.reward(a) for a in acting},
            ended,
            cut,
            {a: self.info(a) for a in shown},
        )

    def observe(self, agent: str) -> Any:
        """One-axis boxes show the time and the agent's index; other spaces are sampled."""
        space = self.observation_spaces[agent]
        if isinstance(space, gym.spaces.Box) and len(space.shape) == 1:
            row = np.zeros(space.shape, np.float32)
            row[0] = self.t
            row[-1] = self.possible_agents.index(agent) + 1
            return row
        return space.sample()

    def reward(self, agent: str) -> float:
        """10 times the time, plus the agent's index."""
        return float(10 * self.t + self.possible_agents.index(agent))

    def info(self, agent: str) -> dict[str, Any]:
        """Nothing."""
        return {}


def toy(count: int = 3, action_space: Callable[[], gym.Space] = lambda: gym.spaces.Discrete(2), **config: Any) -> Toy:
    """A toy whose agents a0, a1, ... have equal spaces."""
    agents = [f"a{i}" for i in range(count)]
    return Toy({a: unit_box() for a in agents}, {a: action_space() for a in agents}, **config)


class MaskedToy(Toy):
    """The legal actions change with time: action ``t`` modulo the number of actions is illegal.

    Args:
        in_dict: the masks are part of the observations, otherwise of the infos.
        count: number of agents.
        num_actions: of every agent.
    """

    def __init__(self, in_dict: bool, count: int = 2, num_actions: int = 3) -> None:
        self.in_dict, self.num_actions = in_dict, num_actions
        agents = [f"a{i}" for i in range(count)]
        own: gym.Space = unit_box()
        if in_dict:
            own = gym.spaces.Dict({"observation": unit_box(), "action_mask": gym.spaces.MultiBinary(num_actions)})
        super().__init__(dict.fromkeys(agents, own), {a: gym.spaces.Discrete(num_actions) for a in agents})

    def mask(self, agent: str) -> np.ndarray:
        """Everything but one action."""
        legal = np.ones(self.num_actions, np.int8)
        legal[(self.t + self.possible_agents.index(agent)) % self.num_actions] = 0
        return legal

    def observe(self, agent: str) -> Any:
        """The time, with the mask where it belongs here."""
        values = np.array([self.t, self.possible_agents.index(agent) + 1], np.float32)
        return {"observation": values, "action_mask": self.mask(agent)} if self.in_dict else values

    def info(self, agent: str) -> dict[str, Any]:
        """The mask, where it belongs here."""
        return {} if self.in_dict else {"action_mask": self.mask(agent)}

    def step(self, actions: dict[str, Any]) -> StepResult:
        """Refuses illegal actions."""
        for agent, action in actions.items():
            assert self.mask(agent)[action], f"{agent} chose illegal {action} at {self.t}"
        return super().step(actions)


class StatefulToy(Toy):
    """A toy with a state of its own: time, doubled time, minus time."""

    def state(self) -> np.ndarray:
        """Three numbers."""
        return np.array([self.t, 2 * self.t, -self.t], np.float64)


class Broken(Toy):
    """A toy of three agents whose results pass through a function that damages them.

    Args:
        damage: changes the list [observations, rewards, terminations, truncations, infos] in place and returns
            what ``step`` is to return, given also the environment.
    """

    def __init__(self, damage: Callable[[list[Any], Broken], Any]) -> None:
        agents = ["a0", "a1", "a2"]
        super().__init__({a: unit_box() for a in agents}, {a: gym.spaces.Discrete(2) for a in agents})
        self.damage = damage

    def step(self, actions: dict[str, Any]) -> Any:
        """The damaged result."""
        return self.damage(list(super().step(actions)), self)


class Countdown(AECEnv):
    """Agents take turns; agent i leaves for good after its turn number i + 1, as in elimination games."""

    metadata: ClassVar[dict[str, Any]] = {
        "name": "countdown_v0",
        "is_parallelizable": True,
        "render_modes": [],
    }

    def __init__(self, count: int = 3) -> None:
        self.possible_agents = [f"p{i}" for i in range(count)]
        self.observation_spaces = {a: unit_box() for a in self.possible_agents}
        self.action_spaces = {a: gym.spaces.Discrete(2) for a in self.possible_agents}
        self.render_mode = None

    def observation_space(self, agent: str) -> gym.Space:
        """Of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """Of an agent."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """All agents are there, none has had a turn."""
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {a: {} for a in self.agents}
        self.turns = dict.fromkeys(self.agents, 0)
        self.agent_selection = self.agents[0]

    def observe(self, agent: str) -> np.ndarray:
        """Turns taken, and the agent's index."""
        return np.array([self.turns[agent], self.possible_agents.index(agent) + 1], np.float32)

    def step(self, action: Any) -> None:
        """One turn: pays the action, and ends the agent's life if that was its last turn."""
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self.turns[agent] += 1
        self._clear_rewards()
        self.rewards[agent] = float(action)
        order = self.agents
        if agent == order[-1]:  # aec_to_parallel wants deaths only at the end of a cycle
            self.terminations = {a: self.turns[a] > self.possible_agents.index(a) for a in order}
        self._accumulate_rewards()
        after = order[order.index(agent) + 1 :] + order
        self.agent_selection = next((a for a in after if not self.terminations[a]), agent)
        self._deads_step_first()


def countdown(count: int = 3) -> Countdown:
    """For the import path ``toy_envs:countdown``."""
    return Countdown(count)


def random_actions(env: Any, rng: np.random.Generator) -> list[np.ndarray]:
    """A legal action of every agent of a batched environment, also of those that do not act.

    Masks are respected for Discrete spaces.
    """
    out: list[np.ndarray] = []
    for group, masks in zip(env.groups, env.action_masks, strict=True):
        shape: Sequence[int] = (env.num_envs, len(group.agents))
        space = group.action_space
        if isinstance(space, gym.spaces.Discrete):
            scores = rng.random((*shape, int(space.n)))
            out.append(np.argmax(scores if masks is None else np.where(masks, scores, -1.0), axis=-1))
        elif isinstance(space, gym.spaces.MultiDiscrete):
            out.append(rng.integers(0, space.nvec, (*shape, len(space.nvec))))
        else:
            out.append(rng.uniform(0.0, 1.0, (*shape, *(space.shape or ()))).astype(np.float32))
    return out
