"""Trajectories of economies, without policies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from env_wrappers import make_vec
from env_wrappers.vector import VectorIncentiveEnv
from rllib_metagrad.core.trajectory import Trajectory


def play(
    num_envs: int, rates: np.ndarray | None, seed: int, rest_after: int | None = None, **config: Any
) -> tuple[Any, Trajectory]:
    """One episode of legal random actions in each economy.

    Args:
        num_envs: B.
        rates: ``[periods, B, K]``, or None for a tax that the environment sets.
        seed: of environment and actions.
        rest_after: so many steps, nobody does anything any more.
        config: of the environment; by default the twin.
    """
    env = make_vec("gather_trade_build", num_envs, **config)
    env.reset(seed)
    rng, steps = np.random.default_rng(seed), itertools.count()

    def legal() -> np.ndarray:
        masks = np.asarray(env.action_masks[0])
        chosen = np.asarray(np.argmax(rng.random(masks.shape) * masks, -1))
        return chosen if rest_after is None or next(steps) < rest_after else np.zeros_like(chosen)

    return env, record(env, legal, rates)


def record(env: VectorIncentiveEnv, choose: Callable[[], np.ndarray], rates: np.ndarray | None) -> Trajectory:
    """What happens until the episode's end, without policies.

    Args:
        env: after a reset.
        choose: gives the next actions ``[B, N]``.
        rates: ``[periods, B, K]``, or None for a tax that the environment sets.
    """
    brackets = len(env.mechanism_facts["bracket_cutoffs"])
    period, rows, output = 0, [], np.zeros((env.num_envs, brackets), np.float32)
    while not env.episode_over.all():
        if rates is not None and env.designer_due.any():
            output = rates[period].astype(np.float32)
            period += 1
        active = env.active.copy()
        env.step([choose()], None if rates is None else output)
        arrays = {key: values.copy() for key, values in env.context.items()}
        arrays |= {"rewards": env.rewards.copy(), "types": env.action_types.copy(), "active": active}
        rows.append({**arrays, "output": output.copy(), "designer": env.designer_reward.copy()})
    columns = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
    shape = columns["rewards"].shape
    never, one = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape[:2])
    return Trajectory(
        stacks=(),
        states=torch.zeros(shape[0] + 1, env.num_envs, 1),
        action_features=one.unsqueeze(-1),
        action_types=columns["types"],
        rewards=columns["rewards"],
        active=columns["active"],
        terminated=never,
        truncated=never,
        designer_rewards=columns["designer"],
        stepped=~never[..., 0],
        over=never[..., 0],
        over_terminated=never[..., 0],
        designer_output=columns["output"],
        context={key: columns[key] for key in env.context},
    )


def double(trajectory: Trajectory) -> Trajectory:
    """The same in float64."""
    return trajectory.map(lambda x: x.double() if x.is_floating_point() else x)
