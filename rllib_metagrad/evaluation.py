"""Evaluating a trained algorithm: complete episodes without exploration, and pictures of one."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE

from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.env_runner import IncentiveEnvRunner
from rllib_metagrad.modules.spec import EnvSpec

_MAX_ENVS = 128
#: Frames.
_LONG = 60


def evaluate(
    algorithm: IncentiveDesign,
    episodes: int = 100,
    seed: int = 0,
    greedy: bool = False,
    render: str | Path | None = None,
    env_config: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Plays complete episodes with the current policies and designer, without exploration.

    Args:
        algorithm: trained, or restored from a checkpoint.
        episodes: how many, >= 1.
        seed: of environments and actions; the algorithm's own random numbers are not touched.
        greedy: act by the modes of all policies instead of sampling from them.
        render: path of a GIF of one further episode, or None.
        env_config: of an environment that differs from the one of training in these keys (another backend, other
            rules), in which the same agents see and do as much.

    Returns:
        Means and standard errors over episodes of the designer's return (R^ID), incentives paid, their
        difference, and per-agent returns and incentives; ``episode`` and ``episode_se`` those of the environment's own
        metrics, by name, where it has some; JSON-able.

    Raises:
        ValueError: if ``episodes`` is less than 1, or policies do not fit the environment of ``env_config``.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    changes = dict(env_config or {})
    # Nobody's simulator is started more often than in training.
    most = algorithm.config.num_envs_per_env_runner if algorithm.env_runner.env.one_by_one else _MAX_ENVS
    runner = _make_runner(algorithm, min(episodes, most), seed, greedy, changes)
    runner.sample(num_episodes=episodes, explore=False)
    totals = runner.statistics.take()
    assert totals is not None
    names = runner.spec.possible_agents
    types = runner.spec.action_type_names
    steps = totals.length.sum()
    offered = totals.offered.sum(0) / steps
    taken = totals.actions_by_type.sum(0)
    shares = taken / np.maximum(taken.sum(-1, keepdims=True), 1)
    result: dict[str, Any] = {
        "episodes": episodes,
        "greedy": greedy,
        "seed": seed,
        **_mean_and_error("designer_return", totals.designer_return),
        **_mean_and_error("incentives_paid", totals.paid),
        **_mean_and_error("designer_net_return", totals.net),
        **_mean_and_error("episode_return", totals.agent_returns.sum(-1)),
        "episode_len_mean": float(totals.length.mean()),
        "agent_returns_mean": dict(zip(names, totals.agent_returns.mean(0).tolist(), strict=True)),
        "agent_incentives_mean": dict(zip(names, totals.agent_incentives.mean(0).tolist(), strict=True)),
        "incentive_paid": dict(zip(types, totals.paid_by_type.mean(0).tolist(), strict=True)),
        "agent_action_share": {
            name: dict(zip(types, share.tolist(), strict=True)) for name, share in zip(names, shares, strict=True)
        },
        "incentive_offered": dict(zip(runner.output_names, offered.tolist(), strict=True)),
        **_of_the_environment(totals.metrics),
    }
    runner.stop()
    if render is not None:
        result["render"] = str(_render(algorithm, seed, greedy, Path(render), changes))
    return result


def _of_the_environment(metrics: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Means and standard errors of the environment's own metrics, if it has some."""
    both = {name: _mean_and_error("x", values) for name, values in metrics.items()}
    if not both:
        return {}
    return {
        "episode": {name: found["x_mean"] for name, found in both.items()},
        "episode_se": {name: found["x_se"] for name, found in both.items()},
    }


def _mean_and_error(name: str, values: np.ndarray) -> dict[str, float]:
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return {f"{name}_mean": float(values.mean()), f"{name}_se": error}


def _make_runner(
    algorithm: IncentiveDesign, num_envs: int, seed: int, greedy: bool, changes: dict[str, Any]
) -> IncentiveEnvRunner:
    """A runner of its own, with the algorithm's weights, of an environment with changes to env_config."""
    config = copy.deepcopy(algorithm.config).copy(copy_frozen=False)
    config.in_evaluation = True
    config.num_env_runners = 0
    config.num_envs_per_env_runner = num_envs
    config.seed = seed
    config.greedy_evaluation = greedy
    config.env_config = {**config.env_config, **changes}
    runner = IncentiveEnvRunner(config=config, env_creator=algorithm.env_creator, worker_index=0, num_workers=0)
    _check_fit(algorithm.env_runner.spec, runner.spec)
    state = algorithm.learner_group.get_state(
        components=COMPONENT_LEARNER + "/" + COMPONENT_RL_MODULE, inference_only=True
    )
    runner.set_state(state[COMPONENT_LEARNER])
    runner.take_experience(algorithm.experience())
    return runner


def _check_fit(trained: EnvSpec, given: EnvSpec) -> None:
    """Raises ValueError unless policies and designer of one environment fit the other."""
    for what in ("possible_agents", "groups", "state_shape", "num_action_types", "action_feature_size"):
        of_training, of_now = getattr(trained, what), getattr(given, what)
        if of_training != of_now:
            raise ValueError(
                f"env_config makes an environment that policies and designer do not fit: its {what} is {of_now}, in "
                f"training {of_training}"
            )


def _render(algorithm: IncentiveDesign, seed: int, greedy: bool, path: Path, changes: dict[str, Any]) -> Path:
    """One episode as an animated picture, two frames a second, or five if it is long."""
    runner = _make_runner(algorithm, 1, seed, greedy, {**changes, "render_mode": "rgb_array"})
    assert runner.env is not None
    frames: list[np.ndarray] = []
    env = runner.env
    runner.sampler.episodes(runner.behavior(explore=False), on_step=lambda: frames.append(np.array(env.render())))
    runner.stop()
    images = [Image.fromarray(frame) for frame in frames]
    duration = 500 if len(images) <= _LONG else 200
    path.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, loop=0)
    return path
