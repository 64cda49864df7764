"""Names of results that a stop criterion, a scheduler or a checkpoint score may use."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from rllib_metagrad import metrics
from rllib_metagrad.old_metrics import current
from rllib_metagrad.settings import SettingError, nearest

if TYPE_CHECKING:
    from rllib_metagrad.cli.experiment import Experiment

__all__ = ["check", "problem_with", "used"]

_GROUPS = ("env_runners", "evaluation", "learners", "timers", "fault_tolerance", "perf", "custom")
_RUNNER_METRICS = (
    metrics.RETURN,
    metrics.PAID,
    metrics.NET,
    metrics.EPISODE_RETURN,
    metrics.EPISODE_RETURN_MAX,
    metrics.EPISODE_RETURN_MIN,
    metrics.EPISODE_LENGTH,
    metrics.EPISODE_LENGTH_MAX,
    metrics.EPISODE_LENGTH_MIN,
    metrics.EPISODES_LIFETIME,
    metrics.RUNNERS_STEPS,
)
_KNOWN = {
    metrics.ITERATION,
    metrics.ENV_STEPS,
    metrics.CPU_SECONDS,
    metrics.TIME,
    metrics.TIME_SINCE_RESTORE,
    metrics.ITERATIONS_SINCE_RESTORE,
    metrics.STEP_CALLS,
    metrics.TIME_THIS_ITERATION,
    *(prefix + name for name in _RUNNER_METRICS for prefix in (metrics.TRAINING, metrics.EVALUATION)),
}
# Names of RLlib's old API stack that stand in many YAML files and would never be reached.
_RENAMED = {
    "episode_reward_mean": metrics.EPISODE_RETURN.path,
    "episode_return_mean": metrics.EPISODE_RETURN.path,
    "episodes_total": metrics.EPISODES_LIFETIME.path,
    "timesteps_total": metrics.ENV_STEPS,
    "num_env_steps_sampled": metrics.ENV_STEPS,
    "agent_timesteps_total": metrics.ENV_STEPS,
}


def problem_with(name: str) -> str | None:
    """Why `name` can be no metric of a result (with a hint), or None.

    Inside a group (`env_runners/...`) any name is accepted: callbacks may add their own.
    """
    if name in _KNOWN:
        return None
    if name in _RENAMED:
        return f"unknown metric {name!r}; on the new API stack it is {_RENAMED[name]!r}"
    if "/" in name and name.split("/")[0] in _GROUPS:
        return None
    last = {known.rsplit("/", 1)[-1]: known for known in sorted(_KNOWN, reverse=True)}
    if name in last:
        return f"unknown metric {name!r}; did you mean {last[name]!r}?"
    return f"unknown metric {name!r}{nearest(name, _KNOWN)}"


# -- of our own algorithms, whose metrics are all known ---------------------------------------------------------

# Names between < and > in metrics, and what has them.
_AGENT, _TYPE, _POLICY = "<agent>", "<action type>", "<policy>"


def check(experiment: Experiment, env: Any, policies: Collection[str] = ()) -> None:
    """Every metric that ends a run or judges it must appear in results, or the run would never end.

    A callback may add metrics of its own, so with one nothing is checked inside of groups.

    Args:
        experiment: of one of our methods.
        env: its environment, a batch of one copy; None where it is not known.
        policies: their names; none where they are not known.

    Raises:
        SettingError: with the key.
    """
    config = experiment.config
    if any(key.startswith("callbacks") and config[key] for key in config):
        return
    for key, name in used(experiment):
        if trouble := _trouble(current(name), config, env, policies) or _too_seldom(key, name, config):
            raise SettingError(key, trouble)


def used(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Keys of an experiment that name a metric, with the name."""
    yield from ((f"stop.{name}", name) for name in experiment.stop)
    scheduler: dict[Any, Any] = experiment.scheduler or {}  # type: ignore[assignment]
    yield from ((f"scheduler.{key}", str(scheduler[key])) for key in ("metric", "time_attr") if key in scheduler)
    search_alg: dict[Any, Any] = experiment.search_alg or {}  # type: ignore[assignment]
    if "metric" in search_alg:
        yield "search_alg.metric", str(search_alg["metric"])
    if name := experiment.checkpoint_config.checkpoint_score_attribute:
        yield "checkpoint_config.checkpoint_score_attribute", name


def _too_seldom(key: str, name: str, config: dict[Any, Any]) -> str | None:
    """Tune ends a run at the first result without the metric that a scheduler or a search goes by."""
    judges = key in ("scheduler.metric", "search_alg.metric") and name.startswith("evaluation/")
    if judges and config.get("evaluation_interval") != 1:
        return f"{name!r} must be in every result, as Tune has it; set config.evaluation_interval to 1"
    return None


def _trouble(name: str, config: dict[Any, Any], env: Any, policies: Collection[str]) -> str | None:
    metric = metrics.find(name)
    if metric is None:
        known = [one.path for one in metrics.ALL if "<" not in one]
        known += [metrics.EVALUATION + one for one in metrics.ALL if one.under == metrics.TRAINING and "<" not in one]
        return f"unknown metric {name!r}{nearest(name, known)}"
    if name.startswith("evaluation/") and not config.get("evaluation_interval"):
        return f"{name!r} never appears: nothing is evaluated; set config.evaluation_interval, such as 10"
    if env is None:
        return None
    if metric.path.startswith(metrics.EPISODE.path.partition("<")[0]) and not _measures_episodes(env):
        return f"{name!r} never appears: {env.name} measures nothing of its episodes (it has no episode_metrics)"
    given = name.removeprefix("evaluation/" if name.startswith(metrics.EVALUATION) else "").split("/")
    for part, pattern in zip(given, metric.path.split("/"), strict=True):
        names = {_AGENT: env.possible_agents, _TYPE: env.action_type_names, _POLICY: policies}.get(pattern)
        if names and part not in names:
            return f"{name!r} never appears: {env.name} has no {pattern.strip('<>')} {part!r}{nearest(part, names)}"
    return None


def _measures_episodes(env: Any) -> bool:
    """Whether an environment has `episode_metrics` of its own; one that is stepped by a loop is asked itself."""
    from env_wrappers import IncentiveEnv, VectorIncentiveEnv

    env = getattr(env, "inner", env)
    one = env.envs[0] if hasattr(env, "envs") else env
    own = getattr(type(getattr(one, "unwrapped", one)), "episode_metrics", None)
    return own not in (None, IncentiveEnv.episode_metrics, VectorIncentiveEnv.episode_metrics)
