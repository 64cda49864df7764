"""What finished episodes were like: sums over steps, per environment, flushed when an episode ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rllib_metagrad import metrics
from rllib_metagrad.core.trajectory import Trajectory


@dataclass(frozen=True)
class EpisodeTotals:
    """Totals of finished episodes, one row each (E rows).

    Attributes:
        length: ``[E]`` environment steps.
        designer_return: ``[E]`` sum of R^ID, undiscounted.
        agent_returns: ``[E, N]`` environment rewards, undiscounted.
        agent_incentives: ``[E, N]`` incentives received.
        offered: ``[E, U]`` sum over steps of the designer's outputs.
        paid_by_type: ``[E, A]`` incentives paid for each action type.
        actions_by_type: ``[E, N, A]`` how often each agent acted in each type.
        net: ``[E]`` R^ID minus incentives paid, unless these are in it already (``Mechanism.in_objective``).
        metrics: ``[E]`` by name, the environment's own.
    """

    length: np.ndarray
    designer_return: np.ndarray
    agent_returns: np.ndarray
    agent_incentives: np.ndarray
    offered: np.ndarray
    paid_by_type: np.ndarray
    actions_by_type: np.ndarray
    net: np.ndarray
    metrics: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def paid(self) -> np.ndarray:
        """``[E]`` incentives paid in all."""
        return self.agent_incentives.sum(-1)

    @property
    def mean_output(self) -> np.ndarray:
        """``[U]`` the designer's outputs, mean over all steps of all episodes."""
        return np.asarray(self.offered.sum(0) / self.length.sum())

    @property
    def agent_steps(self) -> np.ndarray:
        """``[N]`` steps in which each agent acted, of all episodes."""
        return np.asarray(self.actions_by_type.sum((0, 2)))

    def first(self, count: int) -> EpisodeTotals:
        """Those of the first so many episodes."""
        own = {name: getattr(self, name)[:count] for name in self.__dataclass_fields__ if name != "metrics"}
        return EpisodeTotals(**own, metrics={name: values[:count] for name, values in self.metrics.items()})

    def returns_of(self, members: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
        """``[E]`` by policy: environment rewards of all agents for whom it acts.

        Args:
            members: which agents these are, by their index, for each policy.
        """
        return {policy: self.agent_returns[:, list(agents)].sum(-1) for policy, agents in members.items()}

    @property
    def action_share(self) -> np.ndarray:
        """``[A]`` share of agent steps in which an action of this type was taken, in [0, 1]."""
        taken = self.actions_by_type.sum(0)
        return np.asarray(taken.sum(0) / max(taken.sum(), 1))

    @property
    def agent_action_share(self) -> np.ndarray:
        """``[N, A]`` the same of each agent's own steps."""
        taken = self.actions_by_type.sum(0)
        return np.asarray(taken / np.maximum(taken.sum(-1, keepdims=True), 1))


def extremes_of(totals: EpisodeTotals) -> Iterator[tuple[metrics.Metric, float]]:
    """What RLlib reports of single episodes: the least and the most."""
    returns = totals.agent_returns.sum(-1)
    yield metrics.EPISODE_RETURN_MIN, returns.min()
    yield metrics.EPISODE_RETURN_MAX, returns.max()
    yield metrics.EPISODE_LENGTH_MIN, totals.length.min()
    yield metrics.EPISODE_LENGTH_MAX, totals.length.max()


def means_of(
    totals: EpisodeTotals,
    agents: Sequence[str],
    action_types: Sequence[str],
    outputs: Sequence[str],
    members: Mapping[str, Sequence[int]],
) -> Iterator[tuple[metrics.Metric, float, float]]:
    """Every mean over these episodes or their steps, and how many of them there are.

    Args:
        totals: E episodes.
        agents: N names.
        action_types: A names.
        outputs: U names.
        members: for which agents, by their index, each policy acts.
    """
    episodes = len(totals.length)
    for metric, values in (
        (metrics.EPISODE_RETURN, totals.agent_returns.sum(-1)),
        (metrics.EPISODE_LENGTH, totals.length),
        (metrics.RETURN, totals.designer_return),
        (metrics.PAID, totals.paid),
        (metrics.NET, totals.net),
    ):
        yield metric, values.mean(), episodes
    for i, agent in enumerate(agents):
        yield metrics.AGENT_RETURN.of(agent), totals.agent_returns[:, i].mean(), episodes
        yield metrics.AGENT_INCENTIVES.of(agent), totals.agent_incentives[:, i].mean(), episodes
        yield metrics.AGENT_EPISODE_STEPS.of(agent), totals.agent_steps[i] / episodes, episodes
    for policy, returns in totals.returns_of(members).items():
        yield metrics.MODULE_RETURN.of(policy), returns.mean(), episodes
    share, agent_share, taken = totals.action_share, totals.agent_action_share, totals.agent_steps
    for i, name in enumerate(action_types):
        yield metrics.PAID_BY_TYPE.of(name), totals.paid_by_type[:, i].mean(), episodes
        yield metrics.ACTION_SHARE.of(name), share[i], taken.sum()
        for agent, shares, steps in zip(agents, agent_share, taken, strict=True):
            yield metrics.AGENT_ACTION_SHARE.of(agent, name), shares[i], steps
    for name, value in zip(outputs, totals.mean_output, strict=True):
        yield metrics.OFFERED.of(name), value, totals.length.sum()
    for name, values in totals.metrics.items():
        yield metrics.EPISODE.of(*name.split("/")), values.mean(), episodes


class StepCounts:
    """Steps since they were last logged: of environments, and of each agent."""

    def __init__(self) -> None:
        self._env, self._agents = 0, np.zeros(1, np.int64)

    def add(self, trajectory: Trajectory) -> None:
        """Counts the steps of a trajectory."""
        self._env += trajectory.env_steps()
        self._agents = self._agents + trajectory.active.sum((0, 1)).numpy()

    def log(self, logger: metrics.Logger, agents: Sequence[str], members: Mapping[str, Sequence[int]]) -> None:
        """Notes them with RLlib, and starts anew.

        Args:
            logger: of the runner.
            agents: N names.
            members: for which agents, by their index, each policy acts.
        """
        counts = np.broadcast_to(self._agents, len(agents))
        metrics.STEPS_SAMPLED.log(logger, self._env)
        metrics.RUNNERS_STEPS.log(logger, self._env)
        metrics.ALL_AGENTS_STEPS_SAMPLED.log(logger, int(counts.sum()))
        for agent, count in zip(agents, counts.tolist(), strict=True):
            metrics.AGENT_STEPS_SAMPLED.of(agent).log(logger, count)
            metrics.AGENT_STEPS_LIFETIME.of(agent).log(logger, count)
        for policy, positions in members.items():
            count = int(counts[list(positions)].sum())
            metrics.MODULE_STEPS_SAMPLED.of(policy).log(logger, count)
            metrics.MODULE_STEPS_LIFETIME.of(policy).log(logger, count)
        self._env, self._agents = 0, np.zeros(1, np.int64)


class EpisodeStatistics:
    """Accumulates trajectories into totals of finished episodes.

    Args:
        num_envs: B.
        num_agents: N.
        num_action_types: A.
        num_outputs: U.
        in_objective: R^ID has in it what is paid, see ``Mechanism``.
        window: totals are of the last so many episodes, whenever they finished; None: of those since the last
            :meth:`pop`.
    """

    def __init__(
        self,
        num_envs: int,
        num_agents: int,
        num_action_types: int,
        num_outputs: int,
        in_objective: bool = False,
        window: int | None = None,
    ) -> None:
        self._in_objective = in_objective
        self._window = window
        self._widths = {
            "length": 1,
            "designer_return": 1,
            "agent_returns": num_agents,
            "agent_incentives": num_agents,
            "offered": num_outputs,
            "paid_by_type": num_action_types,
            "actions_by_type": num_agents * num_action_types,
        }
        self._num_types = num_action_types
        self._running = np.zeros((num_envs, sum(self._widths.values())))
        self._finished: list[np.ndarray] = []
        self._metrics: list[dict[str, np.ndarray]] = []
        #: Of a window, episodes that a pop() has counted already: rows, and the environment's own metrics.
        self._earlier: tuple[np.ndarray, dict[str, np.ndarray]] = (self._running[:0], {})

    def restart(self) -> None:
        """Forgets unfinished episodes: environments were reset from outside."""
        self._running[:] = 0

    def add(
        self, trajectory: Trajectory, incentives: np.ndarray, metrics: Sequence[dict[str, np.ndarray]] = ()
    ) -> None:
        """Adds a trajectory that continues where the last one ended.

        Args:
            trajectory: of the runner's B environments.
            incentives: ``[T, B, N]`` received.
            metrics: the environment's own, an entry for each step in which episodes ended, of those; or none.
        """
        per_step = np.concatenate(self._per_step(trajectory, incentives), axis=-1, dtype=np.float64)
        over = trajectory.over.numpy()
        start = 0
        for k, t in enumerate(map(int, np.flatnonzero(over.any(1)))):
            self._running += per_step[start : t + 1].sum(0)
            start = t + 1
            self._finished.append(self._running[over[t]])
            if metrics:
                self._metrics.append(metrics[k])
            self._running[over[t]] = 0
        self._running += per_step[start:].sum(0)

    def add_complete(
        self,
        trajectory: Trajectory,
        incentives: np.ndarray,
        limit: int | None = None,
        metrics: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Adds a trajectory that holds one whole episode of each environment, and zeros after its end.

        Args:
            trajectory: of the runner's B environments.
            incentives: ``[T, B, N]`` received.
            limit: count only the first so many environments.
            metrics: the environment's own, ``[B]`` by name, or None.
        """
        parts = [part.sum(0, dtype=np.float64) for part in self._per_step(trajectory, incentives)]
        self._finished.append(np.concatenate(parts, axis=-1)[:limit])
        if metrics:
            self._metrics.append({name: values[:limit] for name, values in metrics.items()})

    def _per_step(self, trajectory: Trajectory, incentives: np.ndarray) -> list[np.ndarray]:
        """Each quantity, ``[T, B, width]``."""
        stepped = trajectory.stepped.numpy()[..., None]
        active = trajectory.active.numpy()
        types = trajectory.action_types.numpy()
        by_type = (types[..., None] == np.arange(self._num_types)) & active[..., None]
        return [
            stepped,
            trajectory.designer_rewards.numpy()[..., None],
            trajectory.rewards.numpy(),
            incentives,
            trajectory.designer_output.numpy() * stepped,
            np.einsum("tbn,tbna->tba", incentives, by_type),
            by_type.reshape(*by_type.shape[:2], -1),
        ]

    @property
    def num_finished(self) -> int:
        """Episodes finished since the last :meth:`pop`."""
        return sum(len(rows) for rows in self._finished)

    def pop(self) -> EpisodeTotals | None:
        """Totals of the episodes finished since the last call, or of the window; None if there are none."""
        rows = np.concatenate([self._earlier[0], *self._finished])
        parts = [self._earlier[1], *self._metrics] if self._earlier[1] else self._metrics
        measured = {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}
        self._finished, self._metrics = [], []
        if self._window is not None:
            rows = rows[-self._window :]
            measured = {name: values[-self._window :] for name, values in measured.items()}
            self._earlier = (rows, measured)
        if not len(rows):
            return None
        columns, start = {}, 0
        for name, width in self._widths.items():
            part = rows[:, start : start + width]
            columns[name] = part[:, 0] if name in ("length", "designer_return") else part
            start += width
        columns["actions_by_type"] = columns["actions_by_type"].reshape(len(rows), -1, self._num_types)
        paid = 0 if self._in_objective else columns["agent_incentives"].sum(-1)
        return EpisodeTotals(**columns, net=columns["designer_return"] - paid, metrics=measured)

    def get_state(self) -> dict[str, Any]:
        """Unfinished episodes and those of the window, for exact resume."""
        return {"running": self._running.copy(), "earlier": self._earlier}

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state`; a state of another number of environments is left alone."""
        if state["running"].shape != self._running.shape:
            return
        self._running = state["running"].copy()
        if self._window is not None and "earlier" in state:  # which 0.1 had not
            self._earlier = state["earlier"]
