"""Loading and evaluating a trained algorithm: complete episodes without exploration, and pictures of one."""

from __future__ import annotations

import copy
import logging
import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE

from env_wrappers.pictures import with_payments
from rllib_metagrad import metrics
from rllib_metagrad.algorithms import ALGORITHMS, plain_config
from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.checkpoint_files import check_whole
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.env_runner import IncentiveEnvRunner
from rllib_metagrad.episode_statistics import extremes_of
from rllib_metagrad.lending import MAX_COPIES, environments_for
from rllib_metagrad.modules.population import members_of
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.old_metrics import with_old_names
from rllib_metagrad.state_files import NotPlainError
from rllib_metagrad.statistics import estimate

logger = logging.getLogger("ray.rllib")

#: Settings of an algorithm that needs no other process.
IN_ONE_PROCESS = {
    "num_env_runners": 0,
    "evaluation_num_env_runners": 0,
    "evaluation_interval": None,
    "num_learners": 0,
    "num_gpus_per_learner": 0,
    # The checkpoint's own parameters take their place; that file may be elsewhere by now.
    "agents_checkpoint": None,
}
#: Frames.
_LONG = 60


def load(checkpoint: str | Path, data_only: bool = False) -> Any:
    """The algorithm of a checkpoint in this process alone, whatever cluster it was trained on: nothing waits for CPUs.

    Args:
        checkpoint: a folder that ``Algorithm.save_to_path`` or Tune wrote, all of it.
        data_only: read no pickle, which could run code. What the config names (an environment, a mechanism) is imported
            and called all the same.

    Returns:
        The restored algorithm, of this package or another one of RLlib's; ``stop()`` it after use.

    Raises:
        IncompleteCheckpointError: before anything is read, for a part of a checkpoint or one that has changed.
        NotPlainError: with ``data_only``, for a checkpoint with a state or a config that is no data.
    """
    folder = Path(checkpoint).absolute()
    check_whole(folder)
    try:
        kind, config = _plain_config(folder)
    except NotPlainError as error:
        if data_only:
            raise NotPlainError(f"{folder} is not data alone: {error}") from None
        with (folder / "class_and_ctor_args.pkl").open("rb") as file:
            (config, *_), _ = pickle.load(file)["ctor_args_and_kwargs"]
        return Algorithm.from_checkpoint(str(folder), config={**config, **IN_ONE_PROCESS, **_begun(config)})
    algorithm = kind(config={**config, **IN_ONE_PROCESS, **_begun(config)})
    try:
        algorithm.restore_from_path(folder, data_only=data_only)
    except BaseException:
        algorithm.stop()
        raise
    return algorithm


def _begun(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without the agents that training began with: a checkpoint has its own, and those may be gone."""
    return {key: None for key in ("agents_checkpoint",) if key in config}


def _plain_config(folder: Path) -> tuple[type[IncentiveDesign], dict[str, Any]]:
    """An algorithm of ours and its config's state, from files of data alone.

    Raises:
        NotPlainError: if that cannot be.
    """
    name, values = plain_config.read(folder)
    if name not in ALGORITHMS:
        raise NotPlainError(f"its algorithm {name} is none of {', '.join(ALGORITHMS)}")
    kind = ALGORITHMS[name]
    return kind, {**kind.get_default_config().get_state(), **values}


def evaluate(
    algorithm: IncentiveDesign,
    episodes: int | None = None,
    seed: int = 0,
    greedy: bool = False,
    render: str | Path | None = None,
    env_config: Mapping[str, Any] | None = None,
    *,
    steps: int | None = None,
) -> dict[str, Any]:
    """Plays complete episodes with the current policies and designer, without exploration.

    Args:
        algorithm: trained, or restored from a checkpoint.
        episodes: how many, >= 1; None for 100, unless there are `steps`.
        seed: of environments and actions; the algorithm's own random numbers are not touched.
        greedy: act by the modes of all policies instead of sampling from them.
        render: path of a GIF of one further episode, or None. If the environment cannot be drawn, the result's
            `render` is None and `render_error` says why.
        env_config: of an environment that differs from the one of training in these keys (another backend, other
            rules), in which the same agents see and do as much. Merged into the one of training as RLlib merges
            `evaluation_config: {env_config: ...}`: key by key, in nested mappings, too.
        steps: instead of `episodes`: the fewest whole episodes that have so many environment steps, >= 1.

    Returns:
        How many `episodes` and `steps` were played; means and standard errors over episodes of the designer's return
        (R^ID), incentives paid, their difference, and per-agent returns and incentives; ``episode`` and ``episode_se``
        those of the environment's own metrics, by name, where it has some; JSON-able.

    Raises:
        ValueError: if ``episodes`` or ``steps`` is less than 1, or both are given, or policies do not fit the
            environment of ``env_config``.
    """
    changes = dict(env_config or {})
    count = _count(algorithm, episodes, steps)
    with _runner(algorithm, count, seed, greedy, changes) as runner:
        if steps is None:
            runner.sample(num_episodes=count, explore=False)
        else:
            runner.sample(num_timesteps=steps, explore=False)
        totals = runner.statistics.pop()
    assert totals is not None
    if steps is not None:  # a batch may have played more
        totals = totals.first(int(np.searchsorted(totals.length.cumsum(), steps)) + 1)
    members = members_of(runner.stacks)
    agents, types = runner.spec.possible_agents, runner.spec.action_type_names
    result: dict[str, Any] = {
        "episodes": len(totals.length),
        "steps": int(totals.length.sum()),
        "greedy": greedy,
        "seed": seed,
        **_estimated(metrics.RETURN, totals.designer_return),
        **_estimated(metrics.PAID, totals.paid),
        **_estimated(metrics.NET, totals.net),
        **_estimated(metrics.EPISODE_RETURN, totals.agent_returns.sum(-1)),
        str(metrics.EPISODE_LENGTH): float(totals.length.mean()),
        **{str(metric): float(value) for metric, value in extremes_of(totals)},
        _name(metrics.AGENT_RETURN): _named(agents, totals.agent_returns.mean(0)),
        _name(metrics.MODULE_RETURN): {p: float(r.mean()) for p, r in totals.returns_of(members).items()},
        _name(metrics.AGENT_INCENTIVES): _named(agents, totals.agent_incentives.mean(0)),
        _name(metrics.PAID_BY_TYPE): _named(types, totals.paid_by_type.mean(0)),
        _name(metrics.AGENT_ACTION_SHARE): {
            agent: _named(types, share) for agent, share in zip(agents, totals.agent_action_share, strict=True)
        },
        _name(metrics.OFFERED): _named(runner.output_names, totals.mean_output),
        **_of_the_environment(totals.metrics),
    }
    if render is not None:
        result.update(_render(algorithm, seed, greedy, Path(render), changes))
    return _with_old_names(result)


def _count(algorithm: IncentiveDesign, episodes: int | None, steps: int | None) -> int:
    """How many episodes are to be played; for ``steps`` about how many, as some may end early.

    Raises:
        ValueError: both are given, or less than 1.
    """
    if episodes is not None and steps is not None:
        raise ValueError("episodes and steps: give one")
    for name, given in (("episodes", episodes), ("steps", steps)):
        if given is not None and given < 1:
            raise ValueError(f"{name} must be at least 1, got {given}")
    if steps is None:
        return 100 if episodes is None else episodes
    return math.ceil(steps / (algorithm.env_runner.spec.max_episode_steps or steps))


def _with_old_names(result: Mapping[str, Any]) -> dict[str, Any]:
    """What had another name in version 0.1 is there under that one, too."""
    level = metrics.TRAINING.rstrip("/")
    both: dict[str, Any] = with_old_names({level: result})[level]
    return both


def _of_the_environment(measured: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Means and standard errors of the environment's own metrics, if it has some."""
    if not measured:
        return {}
    both = {name: _mean_and_error(values) for name, values in measured.items()}
    key = _name(metrics.EPISODE)
    return {key: {name: mean for name, (mean, _) in both.items()}, f"{key}_se": {n: se for n, (_, se) in both.items()}}


def _estimated(metric: metrics.Metric, values: np.ndarray) -> dict[str, float]:
    """``<stem>_mean`` and ``<stem>_se`` over episodes."""
    mean, error = _mean_and_error(values)
    return {f"{metric.stem}_mean": mean, f"{metric.stem}_se": error}


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Over episodes; the error is 0 for a single one, as JSON has no NaN."""
    found = estimate(values, skip_missing=False)
    return found.mean, found.standard_error if found.n > 1 else 0.0


def _name(metric: metrics.Metric) -> str:
    """The key under which a metric's values stand by agent, output, ..."""
    return metric.key[0]


def _named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


@contextmanager
def _runner(
    algorithm: IncentiveDesign, num_envs: int, seed: int, greedy: bool, changes: dict[str, Any]
) -> Iterator[IncentiveEnvRunner]:
    """A runner with the algorithm's weights, of an environment with changes to env_config.

    Args:
        algorithm: whose.
        num_envs: wanted at most.
        seed: of environments and actions.
        greedy: act by modes.
        changes: of env_config.
    """
    owner = algorithm.env_runner
    config = copy.deepcopy(algorithm.config).copy(copy_frozen=False)
    config.in_evaluation = True
    config.num_env_runners = 0
    # Nobody's simulator is started more often than in training.
    if not owner.one_by_one:
        config.num_envs_per_env_runner = min(num_envs, MAX_COPIES)
    config.seed = seed
    config.greedy_evaluation = greedy
    config.environment(env_config=changes)  # merged as RLlib merges evaluation_config
    runner = IncentiveEnvRunner(config=config, env_creator=algorithm.env_creator, worker_index=0, num_workers=0)
    with environments_for(runner, owner):
        check_fit(owner.spec, runner.spec)
        state = algorithm.learner_group.get_state(
            components=COMPONENT_LEARNER + "/" + COMPONENT_RL_MODULE, inference_only=True
        )
        runner.set_state(state[COMPONENT_LEARNER])
        runner.set_observed(algorithm.observed)
        runner.set_lasting_state(algorithm.lasting_state())
        yield runner
    runner.stop()


def check_fit(trained: EnvSpec, given: EnvSpec) -> None:
    """Raises ValueError unless policies and designer of one environment fit the other."""
    for what in ("possible_agents", "groups", "state_shape", "num_action_types", "action_feature_size"):
        of_training, of_now = getattr(trained, what), getattr(given, what)
        if of_training != of_now:
            raise ValueError(
                f"env_config makes an environment that policies and designer do not fit: its {what} is {of_now}, in "
                f"training {of_training}"
            )


def _render(
    algorithm: IncentiveDesign, seed: int, greedy: bool, path: Path, changes: dict[str, Any]
) -> dict[str, str | None]:
    """Draws an episode; what goes wrong is told in the result, as the evaluation itself is done."""
    try:
        return {"render": str(_draw(algorithm, seed, greedy, path, changes))}
    except Exception as error:  # whatever somebody's render() may raise
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        if isinstance(error, NotImplementedError):
            reason = str(error) or f"{algorithm.config.env} has no render()"
        reason = " ".join(reason.split())
        logger.warning("no picture of %r: %s", algorithm.config.env, reason)
        return {"render": None, "render_error": reason}


def _draw(algorithm: IncentiveDesign, seed: int, greedy: bool, path: Path, changes: dict[str, Any]) -> Path:
    """One episode as an animated picture, two frames a second, or five if it is long."""
    frames: list[np.ndarray] = []
    with _runner(algorithm, 1, seed, greedy, {**changes, "render_mode": "rgb_array"}) as runner:
        env, sampler = runner.env, runner.sampler
        assert env is not None
        assert sampler is not None
        behavior = runner.behavior(explore=False)
        played = sampler.episodes(behavior, on_step=lambda: frames.append(np.array(env.render())))
        if not runner.designer.mechanism.read_by_environment:  # else the environment's own picture has it
            frames = _with_payments(frames, runner, played)
    images = [Image.fromarray(frame) for frame in frames]
    duration = 500 if len(images) <= _LONG else 200
    path.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, loop=0)
    return path


def _with_payments(frames: Sequence[np.ndarray], runner: IncentiveEnvRunner, played: Trajectory) -> list[np.ndarray]:
    """Under each frame of an episode, what was offered and paid in the step before it; nothing under the first."""
    names, agents = runner.output_names, runner.spec.possible_agents
    paid = runner.designer.mechanism.incentives(played.designer_output, played)
    # Who did not act has neither reward nor pay.
    rewards = torch.where(played.active, played.rewards, torch.nan)
    rows = zip(played.designer_output[:, 0].tolist(), rewards[:, 0].tolist(), paid[:, 0].tolist(), strict=True)
    drawn = [with_payments(frames[0], dict.fromkeys(names), dict.fromkeys(agents), dict.fromkeys(agents))]
    for frame, (offered, reward, pay) in zip(frames[1:], rows, strict=False):
        earned = {agent: None if math.isnan(value) else value for agent, value in zip(agents, reward, strict=True)}
        by_name, by_agent = dict(zip(names, offered, strict=True)), dict(zip(agents, pay, strict=True))
        drawn.append(with_payments(frame, by_name, earned, by_agent))
    return drawn
