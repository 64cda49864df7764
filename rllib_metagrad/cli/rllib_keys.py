"""What Ray knows by name, from a file that ``scripts/write_rllib_keys.py`` makes: importing Ray takes seconds."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

__all__ = ["ALGORITHMS", "KEYS", "OLD_NAMES", "SCHEDULER_SETTINGS"]

_known: dict[str, Any] = json.loads(files("rllib_metagrad.cli").joinpath("rllib_keys.json").read_text())
#: RLlib's keys with their defaults; None where the default is none of JSON's.
KEYS: dict[str, Any] = _known["keys"]
#: RLlib's own algorithms.
ALGORITHMS: list[str] = _known["algorithms"]
#: Settings of Tune's schedulers.
SCHEDULER_SETTINGS: dict[str, list[str]] = _known["schedulers"]

_ENVS = "num_envs_per_env_runner (a batch is one episode or fragment of each environment)"
#: Names of RLlib's old API stack, and what to write today.
OLD_NAMES = {
    "num_rollout_workers": "num_env_runners",
    "num_envs_per_worker": "num_envs_per_env_runner",
    "num_cpus_per_worker": "num_cpus_per_env_runner",
    "num_gpus_per_worker": "num_gpus_per_env_runner",
    "custom_resources_per_worker": "custom_resources_per_env_runner",
    "num_learner_workers": "num_learners",
    "num_cpus_per_learner_worker": "num_cpus_per_learner",
    "num_gpus_per_learner_worker": "num_gpus_per_learner",
    "num_gpus": "num_gpus_per_learner",
    "num_cpus_for_local_worker": "num_cpus_for_main_process",
    "num_sgd_iter": "agent_num_epochs",
    "sgd_minibatch_size": "agent_minibatch_size",
    "horizon": "env_config: {max_episode_steps: N}",
    "soft_horizon": "env_config: {max_episode_steps: N}",
    "no_done_at_end": "bootstrap_truncated",
    "lr": "agent_lr and designer_lr",
    "lr_schedule": "agent_lr: [[0, value], [env_steps, value], ...]",
    "entropy_coeff": "agent_entropy_coeff",
    "vf_loss_coeff": "agent_vf_coeff",
    "clip_param": "agent_clip_param",
    "lambda": "agent_lambda and designer_lambda",
    "train_batch_size": _ENVS,
    "train_batch_size_per_learner": _ENVS,
    "timesteps_per_iteration": "min_sample_timesteps_per_iteration",
    "min_iter_time_s": "min_time_s_per_iteration",
    "min_time_s_per_reporting": "min_time_s_per_iteration",
    "evaluation_num_episodes": "evaluation_duration and evaluation_duration_unit: episodes",
    "evaluation_num_workers": "evaluation_num_env_runners",
    "metrics_smoothing_episodes": "metrics_num_episodes_for_smoothing",
    "collect_metrics_timeout": "metrics_episode_collection_timeout_s",
    "ignore_worker_failures": "ignore_env_runner_failures",
    "recreate_failed_workers": "restart_failed_env_runners",
}
