"""Every key of RLlib's AlgorithmConfig: whether it acts here, how, or what to use instead.

docs/rllib_settings.md is made from this, ``python -m rllib_metagrad.settings.rllib_keys docs/rllib_settings.md``, and a
config whose refused keys differ from their defaults is an error before anything is built.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rllib_metagrad.settings.base import SettingError

Role = Literal["acts", "acts otherwise", "refused", "internal"]


@dataclass(frozen=True)
class RLlibKey:
    """A key of AlgorithmConfig.

    Attributes:
        name: of the attribute.
        role: ``acts`` as in RLlib, ``acts otherwise``, ``refused`` where it differs from its default, ``internal``: set
            by RLlib, Tune or us.
        note: what is different, or what to do instead.
    """

    name: str
    role: Role
    note: str

    @property
    def written(self) -> str:
        """Its name in dicts and YAML."""
        return WRITTEN.get(self.name, self.name)


#: Names in dicts, by attribute.
WRITTEN = {
    "callbacks_class": "callbacks",
    "create_env_on_local_worker": "create_env_on_driver",
    "custom_evaluation_function": "custom_eval_function",
    "framework_str": "framework",
    "input_": "input",
}

#: Names in dicts of what RLlib sets by arguments of methods alone, by attribute.
PUBLIC = {"env_to_module_connector": "_env_to_module_connector", "rl_module_spec": "_rl_module_spec"}

_CONNECTOR = (
    "leave it out: only env_to_module_connector runs; wrap the environment, as a PettingZoo BaseParallelWrapper"
)
_DEFAULTS = "leave it out: no default connectors run"
_MODULE = "set agent_network, or rl_module_spec with a model_config of its own"
_OFFLINE = "leave it out: all data is sampled in environments, none is read or written"
_OLD_STACK = "leave it out: it belongs to RLlib's old API stack"
_NEW_STACK = "leave it out: the old API stack is not supported"
_NO_EPISODES = "leave it out: there are no episode objects"
_EVENTS = "use on_sample_end, which receives the trajectories"
_TENSORFLOW = "leave it out: there is only torch"
_EXPLORATION = "set agent_epsilon; policies are sampled in training, and greedy_evaluation: true takes their modes"
_BATCH = "set num_envs_per_env_runner (a batch is one episode or fragment of each environment)"
_STATES = "leave it out: env runners have no states to merge"
_COMPILE = "leave it out: stacks of policies run as single matrix products, uncompiled"
_FILTER = "leave it out: observations are scaled by the bounds of their spaces; see observation_filter for others"
_REPLAY = "leave it out: learning is on-policy, there is no replay buffer"
_AUTO = "leave it out: with evaluation_duration: auto each runner plays whole episodes until training is done"
_EACH_RUNNER = "reserved by each runner, also of evaluation"
_EACH_LEARNER = "reserved by each learner; CPUs and GPUs by the main process where that learns"
_ITERATION = "an iteration makes updates until all three are reached"
_SYNCHRONOUS = "leave it out: an iteration waits for each of its parts, nothing is in flight"

_TABLE: dict[Role, dict[str, str]] = {
    "acts": {
        "env": "name of ours, registered, or a class",
        "env_config": "of the environment; each copy is made from a deep copy of it",
        "gamma": "agents' discount, the designer's unless `designer_gamma` is set",
        "seed": "of all that is drawn, in every process",
        "num_env_runners num_envs_per_env_runner num_learners": "bounds are checked",
        "sample_timeout_s": "also for the hand-out of weights; a silent runner is ended",
        "normalize_actions": "actions in a Box are learned in [-1, 1] and scaled to its bounds",
        "validate_env_runners_after_construction": "runners that cannot be made are found when the algorithm is built",
        "env_runner_health_probe_timeout_s": "a runner that has failed is asked for so long whether it is back",
        "env_runner_restore_timeout_s": "a runner that is back gets weights and settings within so long",
        "restart_failed_env_runners max_num_env_runner_restarts": "Ray starts a runner anew that has died or was ended",
        "ignore_env_runner_failures": "goes on with the runners that are left",
        "delay_between_env_runner_restarts_s": "a runner that raises waits for so long before it ends to be restarted",
        "num_cpus_per_env_runner num_gpus_per_env_runner custom_resources_per_env_runner": _EACH_RUNNER,
        "num_cpus_per_learner num_gpus_per_learner custom_resources_per_learner": _EACH_LEARNER,
        "local_gpu_idx": "the GPU of a main process that learns",
        "num_cpus_for_main_process custom_resources_for_main_process": "reserved by the main process",
        "placement_strategy": "how Ray spreads a trial's processes over nodes",
        "max_requests_in_flight_per_env_runner": "in evaluations of a fixed duration; training waits for every answer",
        "evaluation_interval": "iterations from one evaluation to the next",
        "evaluation_num_env_runners": "remote runners of evaluation",
        "evaluation_parallel_to_training": "needs remote runners of evaluation; `evaluation_duration: auto` needs it",
        "evaluation_sample_timeout_s": "for all answers of an evaluation",
        "evaluation_unhealthy_workers_timeout_s": "an evaluation waits for so long for a runner that is alive",
        "evaluation_error_after_n_consecutive_skips": "so many evaluations without a runner that is alive end the run",
        "custom_evaluation_function": "called with algorithm and runners of evaluation; gives the results",
        "min_time_s_per_iteration min_sample_timesteps_per_iteration min_train_timesteps_per_iteration": _ITERATION,
        "callbacks_on_algorithm_init": "called when the algorithm is built",
        "callbacks_on_checkpoint_loaded": "called after `restore()`, and when Tune resumes a trial",
        "callbacks_on_env_runners_recreated": "called when runners were started anew",
        "callbacks_on_environment_created": "called in each runner with its batch of environments",
        "callbacks_on_train_result": "called with each result, which it may change",
        "callbacks_on_evaluate_start callbacks_on_evaluate_end": "called around each evaluation",
        "log_level": "of RLlib's logger in the algorithm's process",
        "stats_cls_lookup": "kinds of metrics that callbacks may log, beside RLlib's",
        "_use_msgpack_checkpoints": "the format of Tune's checkpoints",
    },
    "acts otherwise": {
        "metrics_num_episodes_for_smoothing": "unset, not 100: means over the iteration's episodes. Set: over the last "
        "so many of training, shared equally by runners, of a batch those of its last environments; evaluations are "
        "means over their own episodes",
        "observation_filter": "`NoFilter` or `MeanStdFilter`: of each agent, as it comes to policies (one-hot places "
        "included); clipped to 10; runners share it after each update; the designer sees states as they are",
        "_env_to_module_connector": "pieces that change observations, see "
        "[Connectors](extending.md#connectors-on-observations); in YAML the import path of a function",
        "_rl_module_spec": "TorchRLModules of agents, one class for all or by policy, see "
        "[RLModules](extending.md#your-own-rlmodule); in YAML the import path of a class or spec",
        "log_gradients": "the norm of the gradient of what the designer's output depends on; those of policies, of "
        "the last step and before clipping, are always logged",
        "batch_mode": "`complete_episodes` is the default here; the first episode, or fragment, of each environment",
        "rollout_fragment_length": "steps of a fragment with `batch_mode: truncate_episodes`; `auto` is 100",
        "restart_failed_sub_environments": "all environments of the runner are made anew, ten times at most",
        "evaluation_duration evaluation_duration_unit": "100 by default; whole episodes, as many as `timesteps` need",
        "evaluation_config": "merged into the config; with `explore: true` `agent_epsilon` acts there, too",
        "explore": "only in `evaluation_config`; elsewhere it is refused, set `agent_epsilon`",
        "policies": "names, or settings by name, see [Policies](configuration.md#policies); empty: one an agent",
        "policy_mapping_fn": "asked once for each agent, without an episode; as plain data `policy_mapping`",
        "policies_to_train": "a function is asked once for each policy, without a batch",
        "algorithm_config_overrides_per_module": "`agent_lr` and `agent_network` of single policies",
        "callbacks_class": "classes derived from RLlibCallback; episode events are refused, see on_sample_end",
        "callbacks_on_sample_end": "receives trajectories of whole batches, not episodes",
        "env_runner_cls": "a subclass of IncentiveEnvRunner",
        "_learner_class": "`training(learner_class=...)`: a subclass of the algorithm's own learner",
    },
    "refused": {
        "lr": "set agent_lr and designer_lr",
        "grad_clip": "set agent_grad_clip and designer_grad_clip",
        "grad_clip_by": "set agent_grad_clip: gradients are clipped by each policy's global norm",
        "num_epochs": "set agent_num_epochs",
        "minibatch_size": "set agent_minibatch_size",
        "optimizer": "set agent_optimizer, agent_betas and agent_eps",
        "_torch_lr_scheduler_classes": "set agent_lr: [[0, 0.1], [100000, 0.01]], a schedule over environment steps",
        "train_batch_size _train_batch_size_per_learner": _BATCH,
        "count_steps_by": "leave it out: schedules count environment steps, and both kinds are logged",
        "shuffle_batch_per_epoch": "leave it out: each epoch draws its minibatches anew",
        "torch_skip_nan_gradients": "set nan_policy: skip",
        "_torch_grad_scaler_class": "leave it out: learning is in float32",
        "clip_rewards": "set agent_reward_scale, or clip them in the environment",
        "clip_actions": "leave it out: actions are kept within their bounds, see normalize_actions",
        "action_mask_key": "leave it out: masks are found by themselves, see docs/environments.md",
        "observation_fn": "leave it out: change observations in the environment",
        "preprocessor_pref _disable_preprocessor_api": _FILTER,
        "observation_space action_space": "leave it out: spaces are those of the environment",
        "num_consecutive_env_runner_failures_tolerance": "leave it out: see "
        "restart_failed_env_runners and ignore_env_runner_failures",
        "evaluation_force_reset_envs_before_iteration": "leave it out: evaluations begin with a reset",
        "evaluation_auto_duration_min_env_steps_per_sample evaluation_auto_duration_max_env_steps_per_sample": _AUTO,
        "disable_env_checking": "leave it out: what an environment returns is checked at every step",
        "render_env": "run rllib evaluate --render",
        "remote_worker_envs remote_env_batch_wait_ms gym_env_vectorize_mode": "set num_env_runners: environments step "
        "in their runner's process",
        "create_env_on_local_worker create_local_env_runner": "leave it out: a local runner always has an environment",
        "num_gpus": "set num_gpus_per_learner",
        "model _model_config": _MODULE,
        "_module_to_env_connector _learner_connector": _CONNECTOR,
        "add_default_connectors_to_env_to_module_pipeline add_default_connectors_to_module_to_env_pipeline": _DEFAULTS,
        "add_default_connectors_to_learner_pipeline": _DEFAULTS,
        "episode_lookback_horizon episodes_to_numpy ignore_final_observation": _NO_EPISODES,
        "exploration_config": _EXPLORATION,
        "broadcast_env_runner_states merge_env_runner_states use_env_runner_state_server": _STATES,
        "env_runner_state_server_max_concurrency _dont_auto_sync_env_runner_states": _STATES,
        "use_worker_filter_stats update_worker_filter_stats sync_filters_on_rollout_workers_timeout_s": _STATES,
        "torch_compile_learner torch_compile_learner_dynamo_backend torch_compile_learner_dynamo_mode": _COMPILE,
        "torch_compile_learner_what_to_compile torch_compile_worker torch_compile_worker_dynamo_backend": _COMPILE,
        "torch_compile_worker_dynamo_mode": _COMPILE,
        "torch_ddp_kwargs": "leave it out: learners sum their gradients exactly, without DDP",
        "learner_config_dict": "leave it out: give a learner class of your own attributes instead",
        "num_aggregator_actors_per_learner max_requests_in_flight_per_aggregator_actor": _SYNCHRONOUS,
        "max_requests_in_flight_per_learner": _SYNCHRONOUS,
        "callbacks_on_episode_created callbacks_on_episode_start callbacks_on_episode_step": _EVENTS,
        "callbacks_on_episode_end": _EVENTS,
        "callbacks_on_evaluate_offline_start callbacks_on_evaluate_offline_end": _OFFLINE,
        "callbacks_on_offline_eval_runners_recreated": _OFFLINE,
        "enable_rl_module_and_learner enable_env_runner_and_connector_v2": _NEW_STACK,
        "framework_str eager_max_retraces eager_tracing enable_tf1_exec_eagerly": _TENSORFLOW,
        "local_tf_session_args tf_session_args _tf_policy_handles_more_than_one_loss": _TENSORFLOW,
        "_validate_config": "leave it out: a config is always checked",
        "input_ input_config input_evaluation input_compress_columns input_filesystem": _OFFLINE,
        "input_filesystem_kwargs": _OFFLINE,
        "input_read_batch_size input_read_episodes input_read_method input_read_method_kwargs": _OFFLINE,
        "input_read_sample_batches input_read_schema input_spaces_jsonable iter_batches_kwargs": _OFFLINE,
        "output output_config output_compress_columns output_filesystem output_filesystem_kwargs": _OFFLINE,
        "output_max_file_size output_max_rows_per_file output_write_episodes output_write_method": _OFFLINE,
        "output_write_method_kwargs output_write_remaining_data postprocess_inputs": _OFFLINE,
        "offline_data_class offline_sampling offline_loss_for_module_fn off_policy_estimation_methods": _OFFLINE,
        "offline_eval_batch_size_per_runner offline_eval_rl_module_inference_only offline_eval_runner_class": _OFFLINE,
        "offline_eval_runner_health_probe_timeout_s offline_eval_runner_restore_timeout_s": _OFFLINE,
        "offline_evaluation_duration offline_evaluation_interval offline_evaluation_parallel_to_training": _OFFLINE,
        "offline_evaluation_timeout_s offline_evaluation_type ope_split_batch_by_episode": _OFFLINE,
        "broadcast_offline_eval_runner_states custom_resources_per_offline_eval_runner": _OFFLINE,
        "num_offline_eval_runners num_cpus_per_offline_eval_runner num_gpus_per_offline_eval_runner": _OFFLINE,
        "max_num_offline_eval_runner_restarts max_requests_in_flight_per_offline_eval_runner": _OFFLINE,
        "ignore_offline_eval_runner_failures restart_failed_offline_eval_runners": _OFFLINE,
        "validate_offline_eval_runners_after_construction": _OFFLINE,
        "dataset_num_iters_per_eval_runner dataset_num_iters_per_learner map_batches_kwargs": _OFFLINE,
        "materialize_data materialize_mapped_data actions_in_input_normalized": _OFFLINE,
        "prelearner_buffer_class prelearner_buffer_kwargs prelearner_class": _OFFLINE,
        "prelearner_module_synch_period prelearner_use_recorded_module_states shuffle_buffer_size": _OFFLINE,
        "buffer_size learning_starts prioritized_replay prioritized_replay_alpha prioritized_replay_beta": _REPLAY,
        "prioritized_replay_eps replay_batch_size replay_mode replay_sequence_length": _REPLAY,
        "_disable_action_flattening _disable_execution_plan_api _disable_initialize_loss_from_dummy_batch": _OLD_STACK,
        "_enable_rl_module_api _fake_gpus always_attach_evaluation_results auto_wrap_old_gym_envs": _OLD_STACK,
        "checkpoint_trainable_policies_only compress_observations custom_async_evaluation_function": _OLD_STACK,
        "enable_async_evaluation enable_connectors env_task_fn export_native_model_files": _OLD_STACK,
        "extra_python_environs_for_driver extra_python_environs_for_worker fake_sampler": _OLD_STACK,
        "keep_per_episode_custom_metrics log_sys_usage metrics_episode_collection_timeout_s": _OLD_STACK,
        "policy_map_cache policy_map_capacity policy_states_are_swappable": _OLD_STACK,
        "sample_collector sampler_perf_stats_ema_coef synchronize_filters worker_cls monitor": _OLD_STACK,
        "collect_metrics_timeout metrics_smoothing_episodes": _OLD_STACK,
        "evaluation_num_episodes": "set evaluation_duration",
        "min_iter_time_s min_time_s_per_reporting": "set min_time_s_per_iteration",
        "timesteps_per_iteration min_sample_timesteps_per_reporting": "set min_sample_timesteps_per_iteration",
        "min_train_timesteps_per_reporting": "set min_train_timesteps_per_iteration",
    },
    "internal": {
        "algo_class": "the algorithm",
        "in_evaluation": "whether this is the config of evaluation",
        "simple_optimizer _prior_exploration_config _is_atari _is_online _is_frozen": "RLlib's notes",
        "_per_module_overrides": "RLlib's notes",
    },
}

#: The table, by attribute.
KEYS: dict[str, RLlibKey] = {
    name: RLlibKey(name, role, note)
    for role, notes in _TABLE.items()
    for names, note in notes.items()
    for name in names.split()
}

#: Names of RLlib's old stack, and of its own algorithms, and what to write instead.
OLD_NAMES = {
    "num_workers": "num_env_runners",
    "num_rollout_workers": "num_env_runners",
    "num_envs_per_worker": "num_envs_per_env_runner",
    "num_cpus_per_worker": "num_cpus_per_env_runner",
    "num_gpus_per_worker": "num_gpus_per_env_runner",
    "custom_resources_per_worker": "custom_resources_per_env_runner",
    "num_cpus_for_driver": "num_cpus_for_main_process",
    "num_cpus_for_local_worker": "num_cpus_for_main_process",
    "num_learner_workers": "num_learners",
    "num_cpus_per_learner_worker": "num_cpus_per_learner",
    "num_gpus_per_learner_worker": "num_gpus_per_learner",
    "evaluation_num_workers": "evaluation_num_env_runners",
    "recreate_failed_workers": "restart_failed_env_runners",
    "recreate_failed_env_runners": "restart_failed_env_runners",
    "ignore_worker_failures": "ignore_env_runner_failures",
    "max_num_worker_restarts": "max_num_env_runner_restarts",
    "delay_between_worker_restarts_s": "delay_between_env_runner_restarts_s",
    "worker_health_probe_timeout_s": "env_runner_health_probe_timeout_s",
    "worker_restore_timeout_s": "env_runner_restore_timeout_s",
    "validate_workers_after_construction": "validate_env_runners_after_construction",
    "sample_batch_size": "rollout_fragment_length",
    "batch_size": "num_envs_per_env_runner",
    "train_batch_size_per_learner": "num_envs_per_env_runner (a batch is one episode or fragment of each environment)",
    "num_sgd_iter": "agent_num_epochs",
    "sgd_minibatch_size": "agent_minibatch_size",
    "lambda": "agent_lambda",
    "lambda_": "agent_lambda",
    "entropy_coeff": "agent_entropy_coeff",
    "entropy_coeff_schedule": "agent_entropy_coeff: [[0, 0.1], [100000, 0.01]]",
    "lr_schedule": "agent_lr: [[0, 0.1], [100000, 0.01]]",
    "vf_loss_coeff": "agent_vf_coeff",
    "vf_lr": "agent_critic_lr",
    "critic_lr": "agent_critic_lr",
    "tau": "agent_target_tau",
    "clip_param": "agent_clip_param",
    "use_gae": "agent_loss: actor_critic or ppo",
    "use_critic": "agent_loss: actor_critic or ppo",
    "use_lstm": "agent_network: {critic_lstm: 64}",
    "fcnet_hiddens": "agent_network: {hiddens: [64, 64]}",
    "conv_filters": "agent_network: {filters: [[16, 3, 1]]}",
    "horizon": "env_config: {max_episode_steps: 100}",
    "multiagent": "policies, policy_mapping_fn or policy_mapping, and policies_to_train, without it",
    "learner_class": "training(learner_class=...) in Python",
    "module_to_env_connector": "nothing: shape actions in the environment, by a PettingZoo BaseParallelWrapper",
    "learner_connector": "nothing: batches go to learners as they are",
    "is_atari": "nothing",
    "_enable_new_api_stack": "nothing: the old API stack is not supported",
}
#: Old names that mean nothing any more.
GONE = (
    "soft_horizon",
    "no_done_at_end",
    "num_consecutive_worker_failures_tolerance",
    "vf_clip_param",
    "kl_coeff",
    "kl_target",
    "use_kl_loss",
    "vf_share_layers",
)


def check_name(key: str) -> None:
    """Refuses a name of the old stack.

    Raises:
        SettingError: with the new name.
    """
    if key in OLD_NAMES:
        raise SettingError(key, f"is a name of RLlib's that means nothing here; write {OLD_NAMES[key]}")
    if key in GONE:
        raise SettingError(key, "is a name of RLlib's that means nothing here; leave it out")


def check_values(values: Mapping[str, Any], defaults: Mapping[str, Any], owner: str, in_evaluation: bool) -> None:
    """Refuses keys that do not act here and have another value than by default.

    Args:
        values: of all attributes of a config.
        defaults: of a fresh one.
        owner: name of the algorithm, for messages.
        in_evaluation: whether this is a config of evaluation, where ``explore`` acts.

    Raises:
        SettingError: with what to do instead.
    """
    for name, value in values.items():
        if name not in defaults:
            check_name(name)
            continue
        key = KEYS.get(name)
        refused = key is not None and (key.role == "refused" or (name == "explore" and not in_evaluation))
        if key is not None and refused and not _same(value, defaults[name]):
            note = _EXPLORATION if name == "explore" else key.note
            raise SettingError(_public(key), f"has no meaning for {owner}; {note}")


def _public(key: RLlibKey) -> str:
    """The name that a user has written, mostly as an argument of a method."""
    public = key.written.removeprefix("_")
    return public if f"_{public}" in KEYS or not key.name.startswith("_") else key.name


def _same(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except Exception:  # arrays and the like, whose comparison is no bool
        return False


def table() -> str:
    """The Markdown table of docs/rllib_settings.md."""
    return "".join(_rows())


def _rows() -> Iterator[str]:
    yield "| key | here | |\n|---|---|---|\n"
    for role in ("acts", "acts otherwise", "refused"):
        for key in sorted((k for k in KEYS.values() if k.role == role), key=lambda k: k.written.lstrip("_")):
            yield f"| `{key.written}` | {role} | {key.note} |\n"


def table_of_old_names() -> str:
    """The Markdown table of names that RLlib had, or has in algorithms of its own."""
    rows = [f"| `{old}` | {new} |\n" for old, new in sorted(OLD_NAMES.items())]
    rows += [f"| `{old}` | nothing |\n" for old in sorted(GONE)]
    return "| name | write |\n|---|---|\n" + "".join(rows)


def rewritten(page: str) -> str:
    """The page with its tables made from this module."""
    for name, text in (("keys", table()), ("old names", table_of_old_names())):
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = page.partition(begin)
        page = before + begin + text + end + rest.partition(end)[2]
    return page


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
