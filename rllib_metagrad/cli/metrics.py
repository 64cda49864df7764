"""Names of results that a stop criterion, a scheduler or a checkpoint score may use."""

from __future__ import annotations

from rllib_metagrad.settings import nearest

ITERATION = "training_iteration"
ENV_STEPS = "num_env_steps_sampled_lifetime"
CPU_SECONDS = "cpu_seconds"
TIME = "time_total_s"
RETURN = "env_runners/episode_return_mean"
DESIGNER_RETURN = "env_runners/designer_return_mean"
INCENTIVES = "env_runners/incentives_paid_mean"
NET = "env_runners/designer_net_return_mean"
EVALUATION = "evaluation/"

TOP_LEVEL = frozenset(
    {
        ITERATION,
        ENV_STEPS,
        CPU_SECONDS,
        TIME,
        "time_since_restore",
        "iterations_since_restore",
        "num_training_step_calls_per_iteration",
        "time_this_iter_s",
    }
)
GROUPS = ("env_runners", "evaluation", "learners", "timers", "fault_tolerance", "perf", "custom")
_RUNNER_METRICS = (
    "designer_return_mean",
    "incentives_paid_mean",
    "designer_net_return_mean",
    "episode_return_mean",
    "episode_return_max",
    "episode_return_min",
    "episode_len_mean",
    "num_episodes_lifetime",
    "num_env_steps_sampled_lifetime",
)
_KNOWN = (
    TOP_LEVEL
    | {f"env_runners/{name}" for name in _RUNNER_METRICS}
    | {f"evaluation/env_runners/{name}" for name in _RUNNER_METRICS}
)
# Names of RLlib's old API stack that stand in many YAML files and would never be reached.
_RENAMED = {
    "episode_reward_mean": RETURN,
    "episode_return_mean": RETURN,
    "episodes_total": "env_runners/num_episodes_lifetime",
    "timesteps_total": ENV_STEPS,
    "num_env_steps_sampled": ENV_STEPS,
    "agent_timesteps_total": ENV_STEPS,
}


def problem_with(name: str) -> str | None:
    """Why `name` can be no metric of a result (with a hint), or None.

    Inside a group (`env_runners/...`) any name is accepted: callbacks may add their own.
    """
    if name in _KNOWN:
        return None
    if name in _RENAMED:
        return f"unknown metric {name!r}; on the new API stack it is {_RENAMED[name]!r}"
    if "/" in name and name.split("/")[0] in GROUPS:
        return None
    last = {known.rsplit("/", 1)[-1]: known for known in sorted(_KNOWN, reverse=True)}
    if name in last:
        return f"unknown metric {name!r}; did you mean {last[name]!r}?"
    return f"unknown metric {name!r}{nearest(name, _KNOWN)}"
