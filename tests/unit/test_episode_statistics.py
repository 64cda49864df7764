"""Totals of episodes: both ways to count them, and a case worked by hand."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch

import env_wrappers
from rllib_metagrad import MetaGradConfig
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.episode_statistics import EpisodeStatistics, EpisodeTotals
from rllib_metagrad.modules.population import EnvSpec
from rllib_metagrad.sampling import Behavior, Sampler


def rollout(env_id: str, num_envs: int, **env_config: object) -> tuple[Trajectory, np.ndarray, EpisodeStatistics]:
    """One complete episode in each environment by fresh policies, and the incentives received."""
    config = MetaGradConfig().environment(env_id, env_config=env_config)
    env = env_wrappers.make_vec(env_id, num_envs, **env_config)
    spec = EnvSpec.of(env)
    stacks = config.make_stacks(spec)
    setup = config.make_setup(spec, stacks)
    policies, designer = setup.policies, setup.designer
    generator = torch.Generator().manual_seed(3)
    thetas = [p.initialize(len(s.policy_ids), generator) for p, s in zip(policies, stacks, strict=True)]
    behavior = Behavior(thetas, designer.initialize(generator), 0.2, False, 0)
    trajectory = Sampler(env, stacks, policies, designer, generator).episodes(behavior)
    incentives = designer.mechanism.incentives(trajectory.designer_output, trajectory).numpy()
    outputs = designer.mechanism.num_outputs
    return trajectory, incentives, EpisodeStatistics(num_envs, spec.num_agents, spec.num_action_types, outputs)


def sorted_rows(totals: EpisodeTotals | None) -> list[np.ndarray]:
    """Every column, episodes in an order of their own."""
    assert totals is not None
    own = {name: column for name, column in vars(totals).items() if name != "metrics"}
    columns = [np.asarray(column).reshape(len(totals.length), -1) for column in own.values()]
    rows = np.concatenate(columns, axis=1)
    return list(rows[np.lexsort(rows.T)])


@pytest.mark.parametrize(
    ("env_id", "env_config"),
    [
        ("escape_room", {"n": 4, "m": 2, "max_steps": 6}),
        ("matrix_game", {"game": "chicken", "num_rounds": 3}),
        ("cleanup", {"map": "7x7"}),
        ("pettingzoo", {"id": "mpe2.simple_spread_v3", "max_cycles": 4}),
    ],
)
def test_whole_episodes_are_counted_alike_in_both_ways(env_id: str, env_config: dict) -> None:
    """One pass over complete episodes gives what the walk through time does, whichever copy ends first."""
    trajectory, incentives, walked = rollout(env_id, 5, **env_config)
    at_once = EpisodeStatistics(5, *(walked._widths["agent_returns"], walked._num_types, walked._widths["offered"]))
    walked.add(trajectory, incentives)
    at_once.add_complete(trajectory, incentives)
    np.testing.assert_allclose(sorted_rows(at_once.pop()), sorted_rows(walked.pop()), rtol=1e-12)


def test_only_the_first_environments_count_under_a_limit() -> None:
    """Evaluation of n episodes samples in full batches and counts n."""
    trajectory, incentives, statistics = rollout("escape_room", 5)
    statistics.add_complete(trajectory, incentives, limit=2)
    totals = statistics.pop()
    assert totals is not None
    assert len(totals.length) == 2
    np.testing.assert_array_equal(totals.length, trajectory.stepped[:, :2].sum(0))
    np.testing.assert_allclose(totals.designer_return, trajectory.designer_rewards[:, :2].sum(0), rtol=1e-6)


@pytest.mark.parametrize("window", [1, 4, 7, 100])
@pytest.mark.parametrize("whole_episodes", [True, False])
def test_a_window_holds_the_last_episodes_whenever_they_ended(window: int, whole_episodes: bool) -> None:
    """Three batches of five, and then none: each pop() gives the last `window` of all so far, and counts none twice."""
    trajectory, incentives, plain = rollout("escape_room", 5, n=3, m=1, max_steps=6)
    sizes = (plain._widths["agent_returns"], plain._num_types, plain._widths["offered"])
    smoothed = EpisodeStatistics(5, *sizes, window=window)
    seen: list[float] = []
    for shift in (0.0, 10.0, 20.0):
        shifted = dataclasses.replace(trajectory, designer_rewards=trajectory.designer_rewards + shift)
        measured = {"shift": np.full(5, shift)}
        for statistics in (plain, smoothed):
            if whole_episodes:
                statistics.add_complete(shifted, incentives, None, measured)
            else:
                ends = [{"shift": np.full(int(over.sum()), shift)} for over in shifted.over.numpy() if over.any()]
                statistics.add(shifted, incentives, ends)
        assert smoothed.num_finished == 5
        fresh = plain.pop()
        assert fresh is not None
        seen += fresh.designer_return.tolist()
        again = EpisodeStatistics(5, *sizes, window=window)
        again.set_state(pickle.loads(pickle.dumps(smoothed.get_state())))
        totals = smoothed.pop()
        assert totals is not None
        assert totals.designer_return.tolist() == seen[-window:]
        assert (totals.metrics["shift"][-1], len(totals.metrics["shift"])) == (shift, len(seen[-window:]))
        # A checkpoint keeps what the window held before this batch, as reports are due right after sampling.
        kept = again.pop()
        assert (0 if kept is None else len(kept.length)) == min(window, len(seen) - 5)
    last = smoothed.pop()
    assert last is not None
    assert last.designer_return.tolist() == seen[-window:]
    assert smoothed.num_finished == 0
    assert plain.pop() is None
