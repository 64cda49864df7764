"""Totals of episodes: both ways to count them, and a case worked by hand."""

from __future__ import annotations

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
