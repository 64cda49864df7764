"""Names of results that a stop criterion, a scheduler or a checkpoint score may use."""

from __future__ import annotations

from rllib_metagrad import metrics
from rllib_metagrad.settings import nearest

_GROUPS = ("env_runners", "evaluation", "learners", "timers", "fault_tolerance", "perf", "custom")
_RUNNER_METRICS = (
    metrics.RETURN,
    metrics.PAID,
    metrics.NET,
    metrics.EPISODE_RETURN,
    metrics.EPISODE_RETURN_MAX,
    metrics.EPISODE_RETURN_MIN,
    metrics.EPISODE_LENGTH,
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
