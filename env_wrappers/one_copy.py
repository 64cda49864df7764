"""One copy of a batched environment as a PettingZoo ParallelEnv: for games whose rules exist only as kernels."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from env_wrappers.incentive_env import IncentiveEnv
from env_wrappers.vector import VectorIncentiveEnv


class OneCopyEnv(IncentiveEnv):
    """A ParallelEnv that plays the only copy of a batched environment.

    Masks of legal actions are in the infos of agents that act next, under ``action_mask``.

    Args:
        vector: with ``num_envs`` 1 and without autoreset.

    Attributes:
        designer_output: ``[U]``, read by the next step that asks for it (``vector.designer_due``), or None.
    """

    def __init__(self, vector: VectorIncentiveEnv) -> None:
        assert vector.num_envs == 1
        assert not vector.autoreset
        self.vector = vector
        self.possible_agents = list(vector.possible_agents)
        self.agents: list[str] = []
        self.action_type_names = vector.action_type_names
        self.num_action_types = vector.num_action_types
        self.action_feature_size = vector.action_feature_size
        self.max_episode_steps = vector.max_episode_steps
        self.mechanism_facts = vector.mechanism_facts
        self.state_space = gym.spaces.Box(-np.inf, np.inf, vector.state_shape, vector.state_dtype)
        self.render_mode: str | None = None
        self.designer_output: np.ndarray | None = None
        self._acted: list[str] = []

    def observation_space(self, agent: str) -> gym.Space:
        """The batched environment's."""
        return self.vector.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """The batched environment's."""
        return self.vector.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """A new episode, that of the first copy of a batch with this seed (which gets the seed's first child)."""
        self.vector.reset(seed)
        self._acted = []
        self.agents = self._living()
        return self._observations(self.agents), self._infos(self.agents)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """One joint action.

        Raises:
            ValueError: without an episode; for a designer output or an action that the environment refuses.
        """
        vector, acting = self.vector, self.agents
        if not acting:
            raise ValueError(f"{vector.name}: there is no episode; call reset() first")
        joint = []
        for group in vector.groups:
            given = [actions.get(self.possible_agents[i], 0) for i in group.agents]
            joint.append(np.asarray(given)[None])
        vector.step(joint, None if self.designer_output is None else self.designer_output[None])
        self._acted, self.agents = acting, self._living()
        index = {agent: self.possible_agents.index(agent) for agent in acting}
        return (
            self._observations(acting),
            {agent: float(vector.rewards[0, i]) for agent, i in index.items()},
            {agent: bool(vector.terminated[0, i]) for agent, i in index.items()},
            {agent: bool(vector.truncated[0, i]) for agent, i in index.items()},
            self._infos(acting),
        )

    def _living(self) -> list[str]:
        return [agent for agent, active in zip(self.possible_agents, self.vector.active[0], strict=True) if active]

    def _observations(self, agents: list[str]) -> dict[str, np.ndarray]:
        found = {}
        for group, values in zip(self.vector.groups, self.vector.observations, strict=True):
            for position, i in enumerate(group.agents):
                if self.possible_agents[i] in agents:
                    found[self.possible_agents[i]] = values[0, position].copy()
        return found

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in agents}
        for group, masks in zip(self.vector.groups, self.vector.action_masks, strict=True):
            for position, i in enumerate(group.agents):
                if masks is not None and self.possible_agents[i] in infos:
                    infos[self.possible_agents[i]] = {"action_mask": masks[0, position].copy()}
        return infos

    # What designers see and want.

    def state(self) -> np.ndarray:
        """The designer's observation."""
        return self.vector.state[0].copy()

    def action_types(self) -> dict[str, int]:
        """Types of the last actions."""
        return {agent: int(self.vector.action_types[0, self.possible_agents.index(agent)]) for agent in self._acted}

    def action_features(self) -> dict[str, np.ndarray]:
        """The last actions as an incentive function sees them."""
        features = self.vector.action_features[0]
        return {agent: features[self.possible_agents.index(agent)].copy() for agent in self._acted}

    def designer_reward(self) -> float:
        """R^ID of the last step."""
        return float(self.vector.designer_reward[0])

    def context(self) -> dict[str, np.ndarray]:
        """The batched environment's arrays for mechanisms."""
        return {key: values[0].copy() for key, values in self.vector.context.items()}

    def designer_due(self) -> bool:
        """Whether the next step reads ``designer_output``."""
        return bool(self.vector.designer_due[0])

    def set_designer_output(self, output: np.ndarray) -> None:
        """Sets ``designer_output``, from the next step that reads it on."""
        self.designer_output = np.asarray(output)

    def episode_metrics(self) -> dict[str, float]:
        """The batched environment's."""
        measured = self.vector.episode_metrics(np.ones(1, bool))
        return {name: float(values[0]) for name, values in measured.items()}

    def close(self) -> None:
        """Closes the batched environment."""
        self.vector.close()
