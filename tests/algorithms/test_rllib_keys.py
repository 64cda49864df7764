"""All keys of RLlib's AlgorithmConfig: each is in the table, acts or is refused; and what was given is checked."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.algorithms import utils as algorithm_utils
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils import actor_manager
from ray.rllib.utils.framework import get_device

from rllib_metagrad.algorithms import ALGORITHMS, get_config_class
from rllib_metagrad.env_runner import IncentiveEnvRunner
from rllib_metagrad.settings import SettingError
from rllib_metagrad.settings.rllib_keys import GONE, KEYS, OLD_NAMES, RLlibKey, rewritten

PAGE = Path(__file__).parent.parent.parent / "docs" / "rllib_settings.md"
REFUSED = [key for key in KEYS.values() if key.role == "refused"]
#: Where each key of the table that acts is seen to act.
SEEN = {
    "env env_config gamma": "every test",
    "seed": "tests/algorithms/test_resume.py",
    "num_env_runners num_envs_per_env_runner num_learners batch_mode": "tests/algorithms/test_algorithms.py",
    "rollout_fragment_length callbacks_class env_runner_cls": "tests/algorithms/test_algorithms.py",
    "callbacks_on_sample_end callbacks_on_environment_created": "env_runner.py, test_algorithms.py",
    "sample_timeout_s restart_failed_env_runners restart_failed_sub_environments": "tests/faults",
    "normalize_actions": "sampling.py, test_algorithms.py (continuous)",
    "evaluation_interval evaluation_duration evaluation_duration_unit evaluation_config": "test_algorithms.py",
    "evaluation_num_env_runners explore": "tests/algorithms, env_runner.py",
    "policies policy_mapping_fn policies_to_train algorithm_config_overrides_per_module": "test_rllib_policies.py",
    "min_time_s_per_iteration min_sample_timesteps_per_iteration min_train_timesteps_per_iteration": "below",
    "_learner_class callbacks_on_algorithm_init callbacks_on_train_result log_level": "below",
    "metrics_num_episodes_for_smoothing log_gradients": "test_reporting.py",
    "observation_filter _env_to_module_connector _rl_module_spec": "test_connectors_and_modules.py",
}
#: And what RLlib's own code reads on a way that we go: functions that none of our classes replaces.
READ_BY_RLLIB = {
    Algorithm.step: "evaluation_parallel_to_training",
    Algorithm.evaluate: "custom_evaluation_function "
    "evaluation_error_after_n_consecutive_skips callbacks_on_evaluate_start callbacks_on_evaluate_end",
    Algorithm._maybe_wait_for_eval_env_runner_recovery: "evaluation_unhealthy_workers_timeout_s",
    Algorithm._evaluate_with_fixed_duration: "evaluation_sample_timeout_s",
    Algorithm.load_checkpoint: "callbacks_on_checkpoint_loaded",
    Algorithm.save_checkpoint: "_use_msgpack_checkpoints",
    Algorithm._make_on_env_runners_recreated_callbacks: "callbacks_on_env_runners_recreated",
    Algorithm.restore_env_runners: "env_runner_restore_timeout_s",
    Algorithm.default_resource_request: "placement_strategy",
    EnvRunnerGroup: "ignore_env_runner_failures max_num_env_runner_restarts max_requests_in_flight_per_env_runner "
    "validate_env_runners_after_construction env_runner_health_probe_timeout_s",
    actor_manager: "delay_between_env_runner_restarts_s",
    algorithm_utils: "num_cpus_per_env_runner num_gpus_per_env_runner custom_resources_per_env_runner "
    "num_cpus_per_learner num_gpus_per_learner custom_resources_per_learner "
    "num_cpus_for_main_process custom_resources_for_main_process",
    get_device: "local_gpu_idx",
    EnvRunner: "stats_cls_lookup",
}


def config(kind: str = "FixedIncentive", **settings: Any) -> Any:
    base = {"env": "escape_room", "env_config": {"n": 2, "m": 1}, "num_envs_per_env_runner": 4, "log_level": "ERROR"}
    return get_config_class(kind)().update_from_dict({**base, **settings})


def refused(kind: str, settings: dict[str, Any]) -> str:
    """What is said, on one line, as the config is made or checked."""
    with pytest.raises(SettingError) as raised:
        config(kind, **settings).validate()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def refusal(made: Any) -> str:
    with pytest.raises(SettingError) as raised:
        made.validate()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_every_key_of_rllib_is_in_the_table_and_no_other() -> None:
    assert set(KEYS) == set(vars(AlgorithmConfig()))
    in_dicts = set(AlgorithmConfig().to_dict())
    assert in_dicts <= {key.written for key in KEYS.values()}
    properties = {name for name in dir(AlgorithmConfig) if isinstance(getattr(AlgorithmConfig, name), property)}
    settable = {name for name in properties if getattr(AlgorithmConfig, name).fset is not None}
    assert settable <= {*OLD_NAMES, *GONE}


def test_every_key_that_acts_is_seen_to() -> None:
    seen = [name for names in (*SEEN, *READ_BY_RLLIB.values()) for name in names.split()]
    assert sorted(seen) == sorted(key.name for key in KEYS.values() if key.role in ("acts", "acts otherwise"))


@pytest.mark.parametrize("reader", READ_BY_RLLIB, ids=lambda reader: reader.__name__)
def test_rllib_reads_what_is_said_to_act_and_none_of_ours_replaces_that(reader: Any) -> None:
    source = inspect.getsource(reader)
    for name in READ_BY_RLLIB[reader].split():
        assert re.search(rf"config\.{name}\b", source), name
    name = reader.__name__
    for ours in (*ALGORITHMS.values(), IncentiveEnvRunner):
        if hasattr(ours, name) and not getattr(ours, name).__module__.startswith("ray."):
            # Those of step() and evaluate() add to what RLlib's return.
            assert f"super().{name}(" in inspect.getsource(getattr(ours, name)), ours


def test_every_key_that_acts_or_is_refused_has_a_reason() -> None:
    assert all(key.note for key in KEYS.values())


def test_the_page_is_made_from_the_table() -> None:
    assert rewritten(PAGE.read_text()) == PAGE.read_text()


def other(value: Any) -> Any:
    """Another value of the same kind, as far as there is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return {"some": "thing"} if isinstance(value, dict) else "something else"


@pytest.mark.parametrize("key", REFUSED, ids=lambda key: key.name)
def test_every_refused_key_is_refused_with_what_to_do_instead(key: RLlibKey) -> None:
    made = config()
    setattr(made, key.name, other(getattr(made, key.name)))
    message = refusal(made)
    assert key.note in message
    assert key.written.removeprefix("_") in message


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_defaults_and_what_rllib_and_tune_set_pass(kind: str) -> None:
    made = config(kind)
    for again in (made, made.copy(), type(made).from_state(made.get_state())):
        again.validate()
        again.validate()
        again.get_evaluation_config_object().validate()
    tuned = {
        **made.to_dict(),
        "__trial_info__": object(),
        "__stdout_file__": None,
        "__stderr_file__": None,
        "seed": 3,
        "framework": "torch",
        "num_gpus": 0,
    }
    get_config_class(kind)().update_from_dict(tuned).validate()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip_rewards": 0.1}, "clip_rewards has no meaning for FixedIncentive; set agent_reward_scale"),
        (
            {"observation_filter": "ConcurrentMeanStdFilter"},
            "observation_filter must be one of NoFilter, MeanStdFilter",
        ),
        ({"evaluation_config": {"observation_filter": "MeanStdFilter"}}, "do not read it; set it outside"),
        ({"env_to_module_connector": "os:nothing"}, "env_to_module_connector os:nothing: os has no nothing"),
        (
            {"rl_module_spec": "builtins:dict"},
            "must have a module_class derived from TorchRLModule, got <class 'dict'>",
        ),
        ({"model": {"fcnet_hiddens": [7]}}, "model has no meaning for FixedIncentive; set agent_network"),
        ({"num_gpus": 1}, "num_gpus has no meaning for FixedIncentive; set num_gpus_per_learner"),
        ({"output": "out"}, "output has no meaning"),
        ({"explore": False}, "explore has no meaning for FixedIncentive; set agent_epsilon"),
        ({"framework": "tf2"}, "framework has no meaning"),
        ({"enable_rl_module_and_learner": False}, "the old API stack is not supported"),
        ({"train_batch_size": 4000}, "train_batch_size has no meaning for FixedIncentive; set num_envs_per_env_runner"),
        (
            {"evaluation_config": {"agent_lr": 1.0}},
            "evaluation_config.agent_lr does nothing, evaluations do not read it",
        ),
        ({"evaluation_config": {"gamma": 0.5}}, "evaluation_config.gamma does nothing"),
        ({"evaluation_config": {"num_env_runners": 2}}, "do not read it; set evaluation_num_env_runners"),
        ({"env_config": 5}, "env_config must be a mapping, got 5"),
        ({"evaluation_config": 5}, "evaluation_config must be a mapping, got 5"),
        ({"evaluation_config": {"clip_rewards": True}}, "evaluation_config.clip_rewards has no meaning"),
    ],
)
def test_keys_in_dicts(settings: dict[str, Any], message: str) -> None:
    assert message in refused("FixedIncentive", settings)


def connector(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("nobody calls it")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.env_runners(env_to_module_connector=5), "env_to_module_connector must be a function"),
        (
            lambda c: c.env_runners(env_to_module_connector=connector).incentives(centralized=True),
            "env_to_module_connector has no meaning with centralized: true",
        ),
        (lambda c: c.env_runners(module_to_env_connector=connector), "module_to_env_connector has no meaning"),
        (lambda c: c.training(learner_connector=connector), "learner_connector has no meaning"),
        (lambda c: c.training(lr=0.1), "lr has no meaning for FixedIncentive; set agent_lr and designer_lr"),
        (lambda c: c.training(learner_class=dict), "learner_class must be a class derived from IncentiveLearner, got"),
        (lambda c: c.env_runners(env_runner_cls=dict), "env_runner_cls must be a class derived from Incen"),
        (lambda c: c.rl_module(rl_module_spec=RLModuleSpec(module_class=dict)), "rl_module_spec must have a mod"),
        (lambda c: c.rl_module(rl_module_spec=RLModuleSpec()), "derived from TorchRLModule, got None"),
        (lambda c: c.rl_module(rl_module_spec=5), "rl_module_spec must be an RLModuleSpec, a MultiRLModuleSpec or"),
        (lambda c: c.rl_module(model_config={"fcnet_hiddens": [4]}), "model_config has no meaning"),
        (lambda c: c.environment(action_space=gym.spaces.Discrete(9)), "action_space has no meaning"),
        (lambda c: c.reporting(log_gradients=1), "log_gradients must be true or false, got 1"),
        (lambda c: c.evaluation(evaluation_config=c.overrides(seed=-3)), "evaluation_config.seed must be"),
        (lambda c: setattr(c, "agent_lrr", 0.1), "agent_lrr is no config key of FixedIncentive; did you mean"),
        (lambda c: c.callbacks(on_train_result=3), "callbacks_on_train_result must be a function"),
    ],
)  # fmt: skip
def test_keys_set_by_methods(change: Any, message: str) -> None:
    made = config()
    change(made)
    assert message in refusal(made)


@pytest.mark.parametrize("old", [*OLD_NAMES, *GONE])
def test_old_names_say_the_new_one(old: str) -> None:
    with pytest.raises(SettingError, match=f"^{old} is a name of RLlib's that means nothing here; ") as raised:
        config(**{old: 1})
    assert OLD_NAMES.get(old, "leave it out") in str(raised.value)


@pytest.mark.parametrize("key", ["_my_own", "_enable_rl_module", "agent_lrr", "soft_horizont"])
def test_unknown_keys_are_refused_also_with_an_underscore(key: str) -> None:
    with pytest.raises(SettingError, match=f"^{key} is no config key of FixedIncentive"):
        config(**{key: 1})


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("MetaGrad", {"gamma": 2}, "gamma must be a number >= 0 and <= 1, got 2"),
        ("MetaGrad", {"gamma": float("nan")}, "gamma must be a number >= 0 and <= 1, got nan"),
        ("MetaGrad", {"evaluation_interval": -1}, "evaluation_interval must be a whole number >= 1 or null, got -1"),
        ("MetaGrad", {"evaluation_interval": 0}, "evaluation_interval must be a whole number >= 1 or null, got 0"),
        ("MetaGrad", {"evaluation_duration_unit": "bogus"}, "must be one of episodes, timesteps, got 'bogus'"),
        ("MetaGrad", {"evaluation_duration": 0}, "evaluation_duration must be a whole number >= 1 or auto, got 0"),
        ("MetaGrad", {"evaluation_duration": "long"}, "evaluation_duration must be a whole number >= 1 or auto"),
        ("MetaGrad", {"rollout_fragment_length": 0}, "rollout_fragment_length must be a whole number >= 1 or"),
        ("MetaGrad", {"rollout_fragment_length": 2.5}, "rollout_fragment_length must be a whole number >= 1 or auto"),
        ("MetaGrad", {"sample_timeout_s": 0}, "sample_timeout_s must be a number > 0 or null, got 0"),
        ("MetaGrad", {"seed": -1}, "seed must be a whole number from 0 to 2147483647 or null, got -1"),
        ("MetaGrad", {"seed": "abc"}, "seed must be a whole number from 0 to 2147483647 or null, got 'abc'"),
        ("MetaGrad", {"seed": 1e20}, "seed must be a whole number from 0 to 2147483647 or null, got 1e+20"),
        ("MetaGrad", {"seed": 2**31}, "seed must be a whole number from 0 to 2147483647 or null"),
        ("MetaGrad", {"seed": True}, "seed must be a whole number from 0 to 2147483647 or null, got True"),
        ("MetaGrad", {"num_updates_per_iteration": 0}, "num_updates_per_iteration must be a whole number >= 1, got 0"),
        ("MetaGrad", {"num_gpus_per_learner": -1}, "num_gpus_per_learner must be a number >= 0, got -1"),
        ("MetaGrad", {"env": 5}, "env must be the name of an environment, or a class, got 5"),
        ("MetaGrad", {"env": None}, "env is missing"),
        ("DualRL", {"designer_levels": [0, -5, 1000]}, "designer_levels must lie between 0 and 2"),
        ("DualRL", {"designer_levels": [0, 2.1]}, "designer_levels must lie between 0 and 2"),
        ("DualRL", {"designer_levels": []}, "designer_levels must not be empty"),
        ("DualRL", {"mechanism": "bracketed_tax"}, "designer_levels must lie between 0 and 1"),
        ("FixedIncentive", {"fixed_incentives": [0, 0, 5]}, "fixed_incentives must lie between 0 and 2"),
        ("FixedIncentive", {"fixed_incentives": [-0.1, 0, 0]}, "fixed_incentives must lie between 0 and 2"),
        (
            "FixedIncentive",
            {"fixed_incentives": [0, 0, 2], "mechanism_config": {"scale": 1.5}},
            "fixed_incentives must lie between 0 and 1.5, the mechanism_config.scale of action_incentives; got 2",
        ),
    ],
)  # fmt: skip
def test_values_are_bounded(kind: str, settings: dict[str, Any], message: str) -> None:
    assert message in refused(kind, settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (
            "MetaGrad",
            {"seed": 0, "evaluation_interval": 1, "evaluation_duration": 1, "rollout_fragment_length": "auto"},
        ),
        ("MetaGrad", {"seed": 2**31 - 1, "gamma": 1, "sample_timeout_s": None}),
        ("MetaGrad", {"seed": np.int64(3), "num_env_runners": np.int32(2)}),
        ("DualRL", {"designer_levels": [0, 3.0], "mechanism_config": {"scale": 3}}),
        ("FixedIncentive", {"fixed_incentives": [0, 1, 2]}),
        ("FixedIncentive", {"callbacks": "ray.rllib.callbacks.callbacks.RLlibCallback"}),
        ("FixedIncentive", {"callbacks": [RLlibCallback, RLlibCallback]}),
        ("FixedIncentive", {"evaluation_config": {"explore": True}}),
        (
            "FixedIncentive",
            {"evaluation_config": {"env_config": {"n": 3, "m": 1}, "greedy_evaluation": True, "seed": 5}},
        ),
        ("FixedIncentive", {"evaluation_config": {"agent_lr": 0.01, "fixed_incentives": [1, 0, 0]}, "agent_lr": 0.01}),
    ],
)
def test_values_at_their_bounds_pass(kind: str, settings: dict[str, Any]) -> None:
    config(kind, **settings).validate()


@pytest.mark.parametrize(
    "given", ["os.system", "os:system", os.system, dict, 5, [RLlibCallback, os.system], "no.such.Class"]
)
def test_callbacks_are_classes_of_callbacks_and_nothing_else_is_called(
    given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "system", lambda *args: pytest.fail("it was called"))
    with pytest.raises(SettingError, match=r"^callbacks must be classes derived from RLlibCallback") as raised:
        config(callbacks=given).validate()
    assert "\n" not in str(raised.value)


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
def test_iterations_go_on_for_as_long_as_they_should() -> None:
    made = config("MetaGrad")
    plain = made.build_algo()
    steps = plain.train()["env_runners"]["num_env_steps_sampled"]
    plain.stop()
    for key in ("min_sample_timesteps_per_iteration", "min_train_timesteps_per_iteration"):
        algorithm = config("MetaGrad", **{key: int(2.5 * steps)}).build_algo()
        result = algorithm.train()
        algorithm.stop()
        assert result["num_env_steps_sampled_lifetime"] >= 2.5 * steps, key
    timed = config("MetaGrad", min_time_s_per_iteration=0.5).build_algo()
    assert timed.train()["time_this_iter_s"] >= 0.5
    timed.stop()


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
def test_functions_as_callbacks_and_a_learner_of_ones_own() -> None:
    calls: list[str] = []
    made = config()
    own = type("OwnLearner", (made.get_default_learner_class(),), {})
    made.callbacks(
        on_algorithm_init=lambda **kwargs: calls.append("init"), on_train_result=lambda **kwargs: calls.append("result")
    )
    algorithm = made.training(learner_class=own).build_algo()
    assert type(algorithm.learner_group._learner) is own
    algorithm.train()
    algorithm.stop()
    assert calls == ["init", "result"]
