"""Wrong YAML files and command lines: each gets one line on stderr that says what, where and what to do."""

import contextlib
import json
import re
import resource
import subprocess
import sys
from importlib import util

import pytest

GOOD = {
    "run": "MetaGrad",
    "env": "escape_room",
    "stop": "{training_iteration: 1}",
    "config": "{env_config: {n: 5, m: 2}}",
}


def yaml(**changed):
    """An experiment named er, one key per line; None leaves a key out."""
    entries = {**GOOD, **changed}
    return "er:\n" + "".join(f"  {key}: {value}\n" for key, value in entries.items() if value is not None)


def config(text):
    return yaml(config=text)


SEARCH = {"config": "{agent_lr: {tune: uniform, args: [0, 1]}}"}
OPTUNA = "{type: optuna, metric: training_iteration, mode: max}"
# name -> (text of er.yaml, further arguments, what the message must hold)
FILES = {
    "empty file": ("", [], "er.yaml: the file is empty; it needs NAME: {run, env, stop, config}"),
    "not YAML": ("er: {run: [", [], "er.yaml:1: not valid YAML: "),
    "a list": ("- 1\n", [], "er.yaml: must be a mapping NAME: {run, env, stop, config}"),
    "no name": (
        "run: MetaGrad\nenv: escape_room\n",
        [],
        "er.yaml:1: run: the experiment has no name; indent everything under NAME:",
    ),
    "entry is a word": (
        "er: MetaGrad\n",
        [],
        "er.yaml:1: an experiment must be a mapping with the keys run, env, stop, config",
    ),
    "key twice": (
        yaml() + "  run: DualRL\n",
        [],
        "er.yaml:6: er.run: the key stands twice (first in line 2); remove one",
    ),
    "misspelt key": (yaml(stpo=1), [], "er.yaml:6: stpo: unknown key; did you mean 'stop'?"),
    "key of old RLlib": (
        yaml(checkpoint_freq=5),
        [],
        "er.yaml:6: checkpoint_freq: not a key of an experiment; write checkpoint_config: {checkpoint_frequency: N}",
    ),
    "no run": (yaml(run=None), [], "er.yaml:1: run: is missing; name an algorithm: run: MetaGrad, or --algo MetaGrad"),
    "no env": (
        yaml(env=None),
        [],
        "er.yaml:1: env: is missing; name an environment: env: escape_room, or --env escape_room",
    ),
    "unknown algorithm": (
        yaml(run="MetaGard"),
        [],
        "er.yaml:2: run: unknown algorithm 'MetaGard'; did you mean 'MetaGrad'?",
    ),
    "unknown environment": (
        yaml(env="escape_rom"),
        [],
        "er.yaml:3: env: unknown environment 'escape_rom'; did you mean 'escape_room'?",
    ),
    "two environments": (
        config("{env: matrix_game}"),
        [],
        "er.yaml:3 env is 'escape_room', but er.yaml:5: config.env is 'matrix_game'; keep one",
    ),
    "key of RLlib's old stack": (
        config("{num_sgd_iter: 4}"),
        [],
        "er.yaml:5: config.num_sgd_iter: is a name of RLlib's that means nothing here; write agent_num_epochs",
    ),
    "old name of a key": (config("{num_workers: 2}"), [], "config.num_workers: is a name of RLlib's"),
    "key of RLlib's that does not act": (
        config("{clip_rewards: true}"),
        [],
        "er.yaml:5: config.clip_rewards: has no meaning for MetaGrad; set agent_reward_scale",
    ),
    "key with an underscore": (config("{_my_key: 1}"), [], "er.yaml:5: config._my_key: "),
    "callbacks that are none": (
        config("{callbacks: os.system}"),
        [],
        "er.yaml:5: config.callbacks: os.system is no subclass of RLlib's RLlibCallback",
    ),
    "policies without a mapping": (
        config("{policies: [a, b], policies_to_train: [c]}"),
        [],
        "er.yaml:5: config.policies_to_train: 'c' is no policy; known: a, b",
    ),
    "policy that is not there": (
        config("{policies: [a], policy_mapping: {agent_0: b}}"),
        [],
        "er.yaml:5: config.policy_mapping.agent_0: 'b' is not in policies; known: a",
    ),
    "seed": (config("{seed: -1}"), [], "er.yaml:5: config.seed: must be a whole number from 0 to 2147483647 or null"),
    "fragments of no steps": (
        config("{rollout_fragment_length: 0}"),
        [],
        "er.yaml:5: config.rollout_fragment_length: must be a whole number >= 1 or auto, got 0",
    ),
    "no stop": (yaml(stop=None), [], "stop: no stop criterion, so the run would never end"),
    "stop is a number": (
        yaml(stop=5),
        [],
        "er.yaml:4: stop: must be a mapping such as {training_iteration: 100}",
    ),
    "stop at a word": (
        yaml(stop="{training_iteration: soon}"),
        [],
        "er.yaml:4: stop.training_iteration: must be a number, got 'soon'",
    ),
    "misspelt metric": (
        yaml(stop="{training_iterations: 5}"),
        [],
        "stop.training_iterations: unknown metric 'training_iterations'; did you mean 'training_iteration'?",
    ),
    "metric of the old stack": (
        yaml(stop="{episode_reward_mean: 20}"),
        [],
        "on the new API stack it is 'env_runners/episode_return_mean'",
    ),
    "misspelt setting": (
        config("{designer_lrr: 1e-3}"),
        [],
        "er.yaml:5: config.designer_lrr: not a setting of MetaGrad; did you mean 'designer_lr'?",
    ),
    "setting of the wrong type": (
        config("{agent_lr: fast}"),
        [],
        "er.yaml:5: config.agent_lr: must be a number, got 'fast'",
    ),
    "word instead of true": (
        config("{pipelined: 'yes'}"),
        [],
        "er.yaml:5: config.pipelined: must be true or false, got 'yes'",
    ),
    "fraction of a runner": (
        config("{num_env_runners: 1.5}"),
        [],
        "er.yaml:5: config.num_env_runners: must be a whole number, got 1.5",
    ),
    "unknown loss": (
        config("{agent_loss: pgg}"),
        [],
        "er.yaml:5: config.agent_loss: must be one of pg, actor_critic, ppo, got 'pgg'",
    ),
    "unknown meta-gradient": (config("{meta_gradient: exact}"), [], "config.meta_gradient: must be one of "),
    "negative learning rate": (config("{designer_lr: -1e-3}"), [], "er.yaml:5: config.designer_lr: must be "),
    "misspelt part of a network": (config("{agent_network: {hidens: [64]}}"), [], "did you mean 'hiddens'?"),
    "mapping expected": (config("{env_config: 5}"), [], "config.env_config: must be a mapping, got 5"),
    "bad environment size": (config("{env_config: {n: 2, m: 5}}"), [], "er.yaml:5: config.env_config"),
    "unknown environment setting": (config("{env_config: {agents: 2}}"), [], "er.yaml:5: config.env_config"),
    "backend of another environment": (
        yaml(env="gather_trade_build", config="{env_config: {backend: loop}}"),
        [],
        "er.yaml:5: config.env_config: gather_trade_build: backend must be numba or foundation, got 'loop'",
    ),
    "key of several lines": (
        yaml(config="\n    env_config: {n: 5, m: 2}\n    agent_network:\n      hiddens: [64]\n      activation: relo"),
        [],
        "er.yaml:9: config.agent_network.activation: must be one of relu, tanh, silu, elu, got 'relo'",
    ),
    "YAML bomb": (
        "a: &a [1, 2, 3]\n"
        + "".join(f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n" for p, n in ["ab", "bc", "cd", "de", "ef"]),
        [],
        "er.yaml:1: not valid YAML: more than 100000 values; does an alias (*name) contain itself, or many others?",
    ),
    "old API stack": (
        config("{enable_rl_module_and_learner: false}"),
        [],
        "config.enable_rl_module_and_learner: has no meaning for MetaGrad; leave it out: the old API stack is not",
    ),
    "wrong value in a grid": (
        config("{agent_loss: {grid_search: [pg, pgg]}}"),
        [],
        "config.agent_loss: must be one of pg, actor_critic, ppo, got 'pgg'",
    ),
    "wrong end of a range": (
        config("{designer_gamma: {tune: uniform, args: [0.5, 1.5]}}"),
        [],
        "config.designer_gamma: must be ",
    ),
    "unknown search space": (
        config("{agent_lr: {tune: loguniforms, args: [1e-4, 1e-2]}}"),
        [],
        "er.yaml:5: config.agent_lr: unknown search space 'loguniforms'; did you mean 'loguniform'?",
    ),
    "search space upside down": (
        config("{agent_lr: {tune: loguniform, args: [1e-2, 1e-4]}}"),
        [],
        "config.agent_lr: loguniform: lower must be below upper, got 0.01 and 0.0001",
    ),
    "no samples": (yaml(num_samples=0), [], "er.yaml:6: num_samples: must be a whole number >= 1, got 0"),
    "samples in words": (yaml(num_samples="two"), [], "num_samples: must be a whole number >= 1, got 'two'"),
    "misspelt checkpoint setting": (
        yaml(checkpoint_config="{checkpoint_freqency: 5}"),
        [],
        "checkpoint_config.checkpoint_freqency: is no setting of checkpoints; did you mean 'checkpoint_frequency'?",
    ),
    "unknown scheduler": (
        yaml(scheduler="ahsa"),
        [],
        "er.yaml:6: scheduler: unknown scheduler 'ahsa'; did you mean 'asha'?",
    ),
    "scheduler without a metric": (
        yaml(scheduler="{type: asha, mode: max}"),
        [],
        "scheduler: asha needs a metric",
    ),
    "misspelt scheduler setting": (
        yaml(scheduler="{type: asha, metric: training_iteration, mode: max, grace_perod: 3}"),
        [],
        "scheduler.grace_perod: not a setting of asha; did you mean 'grace_period'?",
    ),
    "scheduler refuses a value": (
        yaml(scheduler="{type: asha, metric: training_iteration, mode: max, grace_period: 3, max_t: 2}"),
        [],
        "scheduler: asha: grace_period must be <= max_t!",
    ),
    "no such checkpoint": (yaml(restore="nowhere"), [], "nowhere: no such checkpoint folder"),
    "nothing to resume": (yaml(), ["--resume"], "--resume: no run named 'er' in "),
    "resume and restore": (yaml(), ["--resume", "--restore", "x"], "--resume and --restore: give one"),
    "flag against file": (
        yaml(),
        ["--stop", '{"training_iteration": 2}'],
        "--stop training_iteration is 2, but er.yaml:4: stop.training_iteration is 1; remove one, or add "
        "--override to use the flag",
    ),
    "flag with a wrong setting": (
        yaml(),
        ["--config", '{"agent_lrr": 1}'],
        "--config: agent_lrr: not a setting of MetaGrad; did you mean 'agent_lr'?",
    ),
    "mechanism unknown": (config("{mechanism: taxx}"), [], "er.yaml:5: config.mechanism: unknown mechanism 'taxx'"),
    "mechanism of another environment": (
        config("{mechanism: bracketed_tax}"),
        [],
        "er.yaml:5: config.mechanism: mechanism 'bracketed_tax' does not fit escape_room, which has no bracket_cutoffs",
    ),
    "mechanism of another environment in a grid": (
        config("{mechanism: {grid_search: [action_incentives, house_subsidy]}}"),
        [],
        "er.yaml:5: config.mechanism: mechanism 'house_subsidy' does not fit escape_room",
    ),
    "misspelt setting of a mechanism": (
        config("{mechanism_config: {scal: 2}}"),
        [],
        "er.yaml:5: config.mechanism_config.scal: is no setting of action_incentives; did you mean 'scale'?",
    ),
    "incentives that do not fit": (
        yaml(run="FixedIncentive", config="{fixed_incentives: [1, 2]}"),
        [],
        "er.yaml:5: config.fixed_incentives: has 2 values, but the mechanism takes 3",
    ),
    "a designer of no checkpoint": (
        yaml(run="FixedIncentive", config="{designer_checkpoint: nowhere}"),
        [],
        "er.yaml:5: config.designer_checkpoint: nowhere is no checkpoint of a run",
    ),
    "a mechanism beside a designer's checkpoint": (
        yaml(run="FixedIncentive", config="{designer_checkpoint: nowhere, mechanism: agent_incentives}"),
        [],
        "er.yaml:5: config.mechanism: does nothing with designer_checkpoint, whose designer has its own; leave it out",
    ),
    "convolutions without a picture": (
        config("{agent_network: {conv_filters: [[6, 3, 1]]}}"),
        [],
        "er.yaml:5: config.agent_network.conv_filters: ",
    ),
    "picture of the designer": (
        config("{designer_network: {conv_filters: [[6, 3, 1]]}}"),
        [],
        "er.yaml:5: config.designer_network.conv_filters: ",
    ),
    "metric that is none": (
        yaml(stop="{env_runners/designer_returnn: 3}"),
        [],
        "er.yaml:4: stop.env_runners/designer_returnn: unknown metric 'env_runners/designer_returnn'; "
        "did you mean 'env_runners/designer_return_mean'?",
    ),
    "metric of learners that is none": (
        yaml(stop="{learners/designer/lose: 3}"),
        [],
        "unknown metric 'learners/designer/lose'; did you mean 'learners/designer/loss'?",
    ),
    "metric of evaluation, of which there is none": (
        yaml(stop="{evaluation/env_runners/designer_return_mean: 3}"),
        [],
        "never appears: nothing is evaluated; set config.evaluation_interval, such as 10",
    ),
    "metric of an agent that is none": (
        yaml(stop="{env_runners/agent_episode_returns_mean/agent_9: 3}"),
        [],
        "never appears: escape_room has no agent 'agent_9'; did you mean 'agent_4'?",
    ),
    "metric of an action that is none": (
        yaml(stop="{env_runners: {action_share: {levre: 0.5}}}"),
        [],
        "never appears: escape_room has no action type 'levre'; did you mean 'lever'?",
    ),
    "metric that the environment does not measure": (
        yaml(stop="{env_runners/episode/welfare: 3}"),
        [],
        "never appears: escape_room measures nothing of its episodes (it has no episode_metrics)",
    ),
    "search that is none": (
        yaml(search_alg="optna"),
        [],
        "er.yaml:6: search_alg: unknown search algorithm 'optna'; did you mean 'optuna'?; or package.module:Class",
    ),
    "search of another package": (
        yaml(search_alg="{type: hyperopt, metric: training_iteration, mode: max}"),
        [],
        "er.yaml:6: search_alg: hyperopt is not built in; write type: ray.tune.search.hyperopt:HyperOptSearch, and",
    ),
    "search without a metric": (
        yaml(search_alg="{type: optuna, mode: max}"),
        [],
        "er.yaml:6: search_alg: optuna needs a metric, such as metric: env_runners/designer_net_return_mean",
    ),
    "search in no direction": (
        yaml(search_alg="{type: optuna, metric: training_iteration, mode: up}"),
        [],
        "er.yaml:6: search_alg.mode: must be max or min, got 'up'",
    ),
    "misspelt search setting": (
        yaml(search_alg="{type: optuna, metric: training_iteration, mode: max, sed: 3}"),
        [],
        "er.yaml:6: search_alg.sed: not a setting of optuna; did you mean 'seed'?",
    ),
    "seed of a search in words": (yaml(search_alg="{type: random, seed: one}"), [], "search_alg.seed: must be a whole"),
    "search's metric that is none": (
        yaml(**SEARCH, search_alg="{type: optuna, metric: env_runners/retrun, mode: max}"),
        [],
        "er.yaml:6: search_alg.metric: unknown metric 'env_runners/retrun'",
    ),
    "search's metric of a policy that is none": (
        yaml(**SEARCH, search_alg="{type: optuna, metric: learners/agent_9/entropy, mode: max}"),
        [],
        "er.yaml:6: search_alg.metric: 'learners/agent_9/entropy' never appears: escape_room has no policy 'agent_9'",
    ),
    "search's metric that is not in each result": (
        yaml(
            config="{evaluation_interval: 5, agent_lr: {tune: uniform, args: [0, 1]}}",
            search_alg="{type: optuna, metric: evaluation/env_runners/designer_net_return_mean, mode: max}",
        ),
        [],
        "er.yaml:6: search_alg.metric: 'evaluation/env_runners/designer_net_return_mean' must be in every result",
    ),
    "search of nothing": (yaml(search_alg=OPTUNA), [], "er.yaml:6: search_alg: optuna has nothing to search; give a"),
    "search of a grid": (
        yaml(config="{agent_lr: {grid_search: [1, 2]}}", search_alg=OPTUNA),
        [],
        "er.yaml:5: config.agent_lr: optuna takes no grid_search; write {tune: choice, args: [[..]]}",
    ),
    "search of what optuna does not draw": (
        yaml(config="{agent_lr: {tune: qloguniform, args: [0.1, 1, 0.1]}}", search_alg=OPTUNA),
        [],
        "er.yaml:5: config.agent_lr: optuna does not draw from qloguniform; use loguniform",
    ),
    "two that search": (
        yaml(
            **SEARCH,
            search_alg=OPTUNA,
            scheduler="{type: pbt, metric: training_iteration, mode: max, hyperparam_mutations: {agent_lr: [1]}}",
        ),
        [],
        "er.yaml:6: search_alg: pbt chooses settings itself, and so does optuna; leave one out",
    ),
    "first trial outside the search": (
        yaml(**SEARCH, search_alg=OPTUNA.replace("}", ", points_to_evaluate: [{agent_lr: 1, gamma: 0.5}]}")),
        [],
        "er.yaml:6: search_alg.points_to_evaluate.0.gamma: is not in config",
    ),
    "logger that is none": (
        yaml(loggers="[cvs]"),
        [],
        "er.yaml:6: loggers: unknown logger 'cvs'; did you mean 'csv'?; or package.module:Class",
    ),
    "logger twice": (
        yaml(loggers="[tbx, tensorboard]"),
        [],
        "er.yaml:6: loggers: tensorboard stands twice; remove one",
    ),
    "logger with flags": (yaml(loggers="[wandb]"), [], "loggers: wandb has flags of its own: --wandb-project NAME"),
    "loggers are a number": (yaml(loggers="3"), [], "er.yaml:6: loggers: must be a list of csv, json, tensorboard"),
    "logger that is another class": (
        yaml(loggers="['collections:OrderedDict']"),
        [],
        "loggers: collections:OrderedDict: collections:OrderedDict is not a class derived from ray.tune.logger",
    ),
    "scheduler's metric that is not in each result": (
        yaml(
            config="{evaluation_interval: 5}",
            scheduler="{type: asha, metric: evaluation/env_runners/designer_net_return_mean, mode: max}",
        ),
        [],
        "er.yaml:6: scheduler.metric: 'evaluation/env_runners/designer_net_return_mean' must be in every result",
    ),
    "scheduler's metric that is none": (
        yaml(scheduler="{type: asha, metric: env_runners/retrun, mode: max}"),
        [],
        "er.yaml:6: scheduler.metric: unknown metric 'env_runners/retrun'",
    ),
    "score that is none": (
        yaml(checkpoint_config="{checkpoint_score_attribute: env_runners/designer_net}"),
        [],
        "er.yaml:6: checkpoint_config.checkpoint_score_attribute: unknown metric",
    ),
    "seed in words": (
        config("{seed: abc}"),
        [],
        "er.yaml:5: config.seed: must be a whole number from 0 to 2147483647 or null, got 'abc'",
    ),
    "seed below zero": (
        yaml(seed=-1),
        [],
        "er.yaml:6: seed: must be a whole number from 0 to 2147483647 or null, got -1",
    ),
    "seed beyond NumPy's": (config("{seed: 1e20}"), [], "er.yaml:5: config.seed: must be a whole number from 0 to"),
    "seed below zero in a grid": (config("{seed: {grid_search: [0, -1]}}"), [], "er.yaml:5: config.seed: must be a"),
    "no time for samples": (
        config("{sample_timeout_s: 0}"),
        [],
        "er.yaml:5: config.sample_timeout_s: must be a number > 0",
    ),
    "fragments without steps": (
        config("{rollout_fragment_length: 0}"),
        [],
        "er.yaml:5: config.rollout_fragment_length: must be a whole number >= 1 or auto, got 0",
    ),
    "environment is a number": (
        yaml(env=None, config="{env: 5}"),
        [],
        "er.yaml:4: config.env: must be the name of an environment, got 5",
    ),
    "Gymnasium environment": (
        yaml(env="CartPole-v1", config="{}"),
        [],
        "er.yaml:3: env: 'CartPole-v1' is no PettingZoo environment; a Gymnasium environment has one agent",
    ),
    "callback that is a function": (
        config("{callbacks: os.system}"),
        [],
        "er.yaml:5: config.callbacks: os.system is no subclass of RLlib's RLlibCallback",
    ),
    "callback that is another class": (
        config("{callbacks: [collections.OrderedDict]}"),
        [],
        "er.yaml:5: config.callbacks: collections.OrderedDict is no subclass of RLlib's RLlibCallback",
    ),
    "callback that is not there": (config("{callbacks: nowhere.Mine}"), [], "cannot import 'nowhere.Mine'"),
    "no number": (config("{gamma: .nan}"), [], "er.yaml:5: config.gamma: must be a number"),
    "no number for RLlib": (
        config("{sample_timeout_s: .nan}"),
        [],
        "config.sample_timeout_s: must be a number, got nan",
    ),
    "environments of the old stack": (
        config("{num_envs_per_worker: 4}"),
        [],
        "er.yaml:5: config.num_envs_per_worker: is a name of RLlib's that means nothing here; write num_envs",
    ),
    "epochs of the old stack": (
        config("{num_sgd_iter: 4}"),
        [],
        "er.yaml:5: config.num_sgd_iter: is a name of RLlib's that means nothing here; write agent_num_epochs",
    ),
    "horizon of the old stack": (
        config("{horizon: 4}"),
        [],
        "config.horizon: is a name of RLlib's that means nothing here; write env_config: {max_episode_steps: 100}",
    ),
    "learning rate of RLlib": (
        config("{lr: 0.1}"),
        [],
        "er.yaml:5: config.lr: has no meaning for MetaGrad; set agent_lr and designer_lr",
    ),
    "very many agents": (
        config("{env_config: {n: 100000}}"),
        [],
        "er.yaml:5: config.env_config.n: must be a whole number >= 2 and <= 1000, got 100000",
    ),
    "very many copies": (
        config("{num_envs_per_env_runner: 1000000000000}"),
        [],
        "er.yaml:5: config.num_envs_per_env_runner: 1000000000000 copies of escape_room need 300000 GB",
    ),
    "levels beyond the bound": (
        yaml(run="DualRL", config="{designer_levels: [0, -5, 1000]}"),
        [],
        "er.yaml:5: config.designer_levels: must lie between 0 and 2, the mechanism_config.scale of action_incentives",
    ),
    "incentives beyond the bound": (
        yaml(run="FixedIncentive", config="{fixed_incentives: [0, 0, 5]}"),
        [],
        "er.yaml:5: config.fixed_incentives: must lie between 0 and 2",
    ),
    "a length of fragments that there are not": (
        config("{rollout_fragment_length: 20}"),
        [],
        "er.yaml:5: config.rollout_fragment_length: is 20, but batch_mode: complete_episodes samples whole episodes",
    ),
    "learners that cannot share": (
        config("{num_learners: 3, num_envs_per_env_runner: 8}"),
        [],
        "er.yaml:5: config.num_learners: is 3, which cannot share 8 environments equally",
    ),
    "a memory without a critic": (
        config("{agent_network: {critic_lstm: 8}}"),
        [],
        "er.yaml:5: config.agent_network.critic_lstm: needs a critic, and agent_loss: pg has none",
    ),
    "a setting that does nothing": (
        config("{agent_lambda: 0.5}"),
        [],
        "er.yaml:5: config.agent_lambda: does nothing without a critic",
    ),
    "epochs of AMD": (
        yaml(run="AMD", config="{designer_num_epochs: 3}"),
        [],
        "er.yaml:5: config.designer_num_epochs: does nothing without run: MetaGrad",
    ),
    "a network that nobody trains": (
        yaml(run="FixedIncentive", config="{designer_network: {hiddens: [8]}}"),
        [],
        "er.yaml:5: config.designer_network: does nothing without a designer that learns",
    ),
    "a policy for nobody else": (
        config("{policies: [a, b]}"),
        [],
        "er.yaml:5: config.policies: has none for agent 'agent_0'; say which by policy_mapping: {agent_0: a}",
    ),
    "a mapping with a gap": (
        config('{policy_mapping: {agent_0: a, "agent_[123]": b}}'),
        [],
        "er.yaml:5: config.policy_mapping: has no entry for agent 'agent_4'",
    ),
    "a mapping function in words": (
        config("{policy_mapping_fn: my.function}"),
        [],
        "er.yaml:5: config.policy_mapping_fn: must be a function, got 'my.function'; plain data is policy_mapping",
    ),
    "a setting of one policy that there is not": (
        config("{policies: {a: {agent_gamma: 0.5}}}"),
        [],
        "er.yaml:5: config.policies.a.agent_gamma: ",
    ),
    "resources in words": (
        config("{custom_resources_per_env_runner: {simulator: one}}"),
        [],
        "er.yaml:5: config.custom_resources_per_env_runner: must be a mapping from names to numbers >= 0",
    ),
    "CPUs in words": (
        config("{num_cpus_per_learner: many}"),
        [],
        "er.yaml:5: config.num_cpus_per_learner: must be a number >= 0 or auto, got 'many'",
    ),
    "resets that evaluations make anyway": (
        config("{evaluation_force_reset_envs_before_iteration: false}"),
        [],
        "er.yaml:5: config.evaluation_force_reset_envs_before_iteration: has no meaning for MetaGrad; leave it out",
    ),
    "a name that is a folder above": (
        yaml().replace("er:", '"..":'),
        [],
        "an experiment's name must be the name of a folder",
    ),
    "a name that is too long": (
        yaml().replace("er:", "e" * 300 + ":"),
        [],
        "must be the name of a folder, at most 200",
    ),
    "an alias in itself": (
        "er: &a {run: MetaGrad, config: *a}\n",
        [],
        "er.yaml:1: not valid YAML: more than 50 levels",
    ),
    "too many runners for evaluation": (
        config("{evaluation_interval: 1, evaluation_num_env_runners: 9}"),
        ["--ray-num-cpus", "4"],
        "er.yaml:5: config.evaluation_num_env_runners: a trial needs 10 CPUs (1 for main process, 9 for 9 evaluation",
    ),
    "too many learners": (
        config("{num_learners: 8}"),
        ["--ray-num-cpus", "4"],
        "er.yaml:5: config.num_learners: a trial needs 9 CPUs (1 for main process, 8 for 8 learners), Ray has 4 here",
    ),
    "too many CPUs for each": (
        config("{num_env_runners: 1, num_cpus_per_env_runner: 90}"),
        ["--ray-num-cpus", "4"],
        "er.yaml:5: config.num_cpus_per_env_runner: a trial needs 91 CPUs",
    ),
    "a GPU that is not there": (
        config("{num_gpus_per_learner: 1}"),
        ["--ray-num-gpus", "0"],
        "er.yaml:5: config.num_gpus_per_learner: a trial needs 1 GPU (1 for main process), Ray has 0 here; set it to 0",
    ),
    "GPUs that are not there": (
        config("{num_learners: 2, num_gpus_per_learner: 1}"),
        ["--ray-num-gpus", "1"],
        "er.yaml:5: config.num_gpus_per_learner: a trial needs 2 GPUs (2 for 2 learners), Ray has 1 here",
    ),
    "a GPU for runners": (
        config("{num_env_runners: 2, num_gpus_per_env_runner: 0.5}"),
        ["--ray-num-gpus", "0", "--ray-num-cpus", "4"],
        "er.yaml:5: config.num_gpus_per_env_runner: a trial needs 1 GPU",
    ),
    "a custom resource": (
        config("{num_env_runners: 1, custom_resources_per_env_runner: {simulator: 1}}"),
        ["--ray-num-cpus", "4"],
        "er.yaml:5: config.custom_resources_per_env_runner: a trial needs 1 of 'simulator' (1 for 1 env",
    ),
    "too many runners": (
        config("{num_env_runners: 500}"),
        ["--ray-num-cpus", "2"],
        "config.num_env_runners: a trial needs 501 CPUs (1 for main process, 500 for 500 env runners), Ray has 2 here",
    ),
}

BARE = ["train", "--algo", "MetaGrad", "--env", "escape_room"]
STOP = ["--stop", '{"training_iteration": 1}']
ER = ["--algo", "MetaGrad", "--env", "escape_room"]
LINES = {
    "unknown command": (["trian"], "No such command 'trian'"),
    "unknown flag": ([*BARE, "--lr", "3"], "No such option: --lr"),
    "no algorithm": (
        ["train"],
        "command line: run: is missing; name an algorithm: run: MetaGrad, or --algo MetaGrad",
    ),
    "no environment": (
        ["train", "--algo", "MetaGrad"],
        "command line: env: is missing; name an environment: env: escape_room, or --env escape_room",
    ),
    "no such file": (["train", "file", "nothing.yaml"], "nothing.yaml: no such file"),
    "a folder": (["train", "file", "."], ".: is a folder; give one .yaml, .yml or .py file"),
    "flags before file": (["train", "--seed", "1", "file", "x.yaml"], "train: flags go after the file"),
    "config is no JSON": ([*BARE, "--config", "{lr: "], "--config: not valid YAML"),
    "config is no object": ([*BARE, "--config", "3"], "--config: expected a JSON object"),
    "stop at a word": (
        [*BARE, "--stop", '{"training_iteration": "x"}'],
        "--stop: training_iteration: must be a number",
    ),
    "samples below one": ([*BARE, *STOP, "--num-samples", "0"], "--num-samples: must be a whole number >= 1, got 0"),
    "CPUs below one": ([*BARE, *STOP, "--ray-num-cpus", "0"], "--ray-num-cpus: must be a whole number >= 1"),
    "negative failures": ([*BARE, *STOP, "--max-failures", "-2"], "--max-failures: must be a whole number >= -1, got"),
    "unknown environment by flag": (
        ["train", "--algo", "MetaGrad", "--env", "escape_rom", *STOP],
        "--env: unknown environment 'escape_rom'; did you mean 'escape_room'?",
    ),
    "seed in words": ([*BARE, *STOP, "--seed", "one"], "Invalid value for '--seed': "),
    "scheduler settings alone": (
        [*BARE, *STOP, "--scheduler-config", "{}"],
        "--scheduler-config: needs a type, such as scheduler: asha or --scheduler asha",
    ),
    "name with a slash": (
        [*BARE, *STOP, "--experiment-name", "a/b"],
        "--experiment-name: must be a word without '/'",
    ),
    "name of the folder above": ([*BARE, *STOP, "--experiment-name", ".."], "--experiment-name: must be the name of a"),
    "cluster with local settings": (
        [*BARE, *STOP, "--ray-address", "auto", "--ray-num-cpus", "2"],
        "--ray-num-cpus: has no effect on a running cluster; leave it out with --ray-address",
    ),
    "wandb without a project": (
        [*BARE, *STOP, "--wandb-key", "k"],
        "--wandb-key: given without --wandb-project",
    ),
    "evaluate nothing": (["evaluate", "nowhere"], "nowhere: no such checkpoint folder"),
    "evaluate an empty folder": (["evaluate", "."], ".: no checkpoint there"),
    "episodes and steps": (
        ["evaluate", ".", "--episodes", "3", "--steps", "9"],
        "--episodes and --steps: give one; --steps plays whole episodes until there are so many",
    ),
    "no steps": (["evaluate", ".", "--steps", "0"], "Invalid value for '--steps': "),
    "no episodes": (["evaluate", ".", "--episodes", "0"], "Invalid value for '--episodes': "),
    "a storage path under a file": (
        ["train", *ER, "--stop", '{"training_iteration": 1}', "--storage-path", "/dev/null/runs"],
        "storage_path: /dev/null/runs cannot be written: /dev/null is a file; name a folder",
    ),
    "report of nothing": (["report", "nowhere"], "nowhere: no such run folder"),
    "report of an empty folder": (["report", "."], "no results there"),
    "labels": (
        ["report", ".", "--label", "a", "--label", "b"],
        "--label: 2 for 1 runs; give one per run, in order",
    ),
    "unknown example": (
        ["example", "get", "escape_room/metagrd_5_2"],
        "did you mean 'escape_room/metagrad_5_2'?",
    ),
}


def check(result, message):
    assert result.exit_code == 2, (result.output, result.exception)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("rllib: error: ")
    assert message in lines[0]


@pytest.mark.parametrize(("text", "arguments", "message"), FILES.values(), ids=FILES)
def test_wrong_files(invoke, tmp_path, text, arguments, message):
    (tmp_path / "er.yaml").write_text(text)
    check(invoke("train", "file", "er.yaml", *arguments), message)
    assert not (tmp_path / "results").exists()


_ONE_PROCESS = """
import contextlib, io, json, sys, time
from rllib_metagrad.cli.main import app
found = {}
for name, (text, arguments, _) in json.load(sys.stdin).items():
    with open("er.yaml", "w") as file:
        file.write(text)
    start, errors = time.process_time(), io.StringIO()
    with contextlib.redirect_stderr(errors):
        code = app(["train", "file", "er.yaml", *arguments], standalone_mode=False)
    found[name] = code, sorted({"ray", "torch"} & set(sys.modules)), time.process_time() - start
print(json.dumps(found))
"""
# Only Tune knows a scheduler's values and what a first trial may be, loggers' classes are Tune's, and a designer's
# checkpoint is read by RLlib.
_WITH_RAY = {
    "scheduler refuses a value",
    "first trial outside the search",
    "logger that is another class",
    "a designer of no checkpoint",
}


def test_each_is_refused_before_ray_or_torch_is_imported_and_within_a_second(tmp_path):
    cases = {name: case for name, case in FILES.items() if name not in _WITH_RAY}
    assert len(cases) >= 90
    result = subprocess.run(
        [sys.executable, "-c", _ONE_PROCESS],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    for name, (code, imported, seconds) in json.loads(result.stdout.splitlines()[-1]).items():
        assert (code, imported) == (2, []), name
        assert seconds < 1, (name, seconds)


@pytest.mark.parametrize(
    "name",
    [
        "misspelt setting",
        "unknown environment",
        "metric that is none",
        "mechanism of another environment",
        "incentives that do not fit",
        "policy that is not there",
        "too many runners",
    ],
)
def test_a_mistake_costs_a_second_and_a_half(tmp_path, name):
    """Of the CPU, the start of Python included; `python tests/cli/time_bad_input.py` measures all of them."""
    (tmp_path / "er.yaml").write_text(FILES[name][0])
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", "train", "file", "er.yaml", *FILES[name][1]]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 2
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


# name -> (more of env_config, what the message must hold)
ECONOMY = {
    "unknown component": ("components: [Gater]", "unknown component 'Gater'; did you mean 'Gather'?"),
    "missing map": (
        "map: env-pure_and_mixed-15x16",
        "map must be the name of a map, got 'env-pure_and_mixed-15x16'; did you mean",
    ),
    "number of rates": ("rates: [0.1, 0.2]", "rates must be 7 numbers, one a tax bracket, got 2"),
    "rate above 1": ("rates: [0, 0, 0, 0, 0, 0, 1.5]", "rates must be between 0 and 1, got [0"),
    "rate below 0": ("rates: [-0.1, 0, 0, 0, 0, 0, 0]", "rates must be between 0 and 1, got [-0.1"),
    "too many agents": ("num_agents: 11", "num_agents must be 2 to 10"),
    "too few agents": ("num_agents: 1", "num_agents must be 2 to 10"),
    "unknown tax": (
        "tax: us_federl",
        "tax must be one of external, us_federal, free_market, saez, planner or null, got 'us_federl'; "
        "did you mean 'us_federal'?",
    ),
    "unknown way to render": ("render_mode: ascii", "render_mode must be one of human, rgb_array or null, got 'ascii'"),
}
BACKENDS = (
    "numba",
    pytest.param(
        "foundation", marks=pytest.mark.skipif(util.find_spec("ai_economist") is None, reason="not installed")
    ),
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("entry", "message"), ECONOMY.values(), ids=ECONOMY)
def test_wrong_economies(invoke, tmp_path, entry, message, backend):
    text = yaml(
        run="FixedIncentive", env="gather_trade_build", config=f"{{env_config: {{backend: {backend}, {entry}}}}}"
    )
    (tmp_path / "er.yaml").write_text(text)
    result = invoke("train", "file", "er.yaml")
    check(result, "er.yaml:5: config.env_config")
    # The key is in the place where the environment's error has one, else in the message.
    named = re.escape(message).replace(r"\ must", r":?\ must")
    assert re.search(rf"config\.env_config(: gather_trade_build: |\.(\w+: )?){named}", result.stderr), result.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("arguments", "message"), LINES.values(), ids=LINES)
def test_wrong_command_lines(invoke, arguments, message):
    check(invoke(*arguments), message)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.txt", "", "x.txt: unknown kind of file '.txt'; give a .yaml, .yml or .py file"),
        (
            "x.py",
            "config = 3",
            "x.py: must define `config`, an AlgorithmConfig such as MetaGradConfig(); found int",
        ),
        ("x.py", "1 / 0", "x.py: ZeroDivisionError: division by zero"),
    ],
)
def test_wrong_kinds_of_file(invoke, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    check(invoke("train", "file", name), message)


def test_a_traceback_only_with_v(invoke):
    assert "Traceback" not in invoke("train", "file", "nothing.yaml").stderr
    assert "Traceback" in invoke("train", "file", "nothing.yaml", "-v").stderr


def test_an_old_name_works_and_is_warned_of(invoke, tmp_path, monkeypatch):
    monkeypatch.setattr("rllib_metagrad.cli.train._run", lambda *_: None)
    monkeypatch.setattr("rllib_metagrad.cli.ray_session.session", lambda **_: contextlib.nullcontext())
    (tmp_path / "er.yaml").write_text(yaml(run="DualRL", config="{designer_factorised: true}"))
    result = invoke("train", "file", "er.yaml")
    assert result.exit_code == 0, result.output
    assert result.stderr == (
        "rllib: warning: er.yaml:5: config.designer_factorised: write designer_factorized; "
        "the old name goes with the next version\n"
    )


@pytest.mark.parametrize(
    ("text", "place", "old", "new"),
    [
        (
            yaml(stop="{env_runners/agent_returns_mean/agent_0: 9}"),
            "er.yaml:4: stop.",
            "env_runners/agent_returns_mean/agent_0",
            "env_runners/agent_episode_returns_mean/agent_0",
        ),
        (
            yaml(stop="{env_runners: {num_agent_steps_sampled: {all: 9}}}"),
            "er.yaml:4: stop.",
            "env_runners/num_agent_steps_sampled/all",
            "env_runners/num_agent_steps_sampled/__all_agents__",
        ),
        (
            yaml(scheduler="{type: asha, metric: learners/agents/agent_1/kl, mode: min}"),
            "er.yaml:6: scheduler.metric: ",
            "learners/agents/agent_1/kl",
            "learners/agent_1/mean_kl_loss",
        ),
        (
            yaml(checkpoint_config="{checkpoint_score_attribute: timers/sample}"),
            "er.yaml:6: checkpoint_config.checkpoint_score_attribute: ",
            "timers/sample",
            "timers/env_runner_sampling_timer",
        ),
    ],
)
def test_an_old_name_of_a_metric_works_and_is_warned_of(invoke, tmp_path, monkeypatch, text, place, old, new):
    monkeypatch.setattr("rllib_metagrad.cli.train._run", lambda *_: None)
    monkeypatch.setattr("rllib_metagrad.cli.ray_session.session", lambda **_: contextlib.nullcontext())
    (tmp_path / "er.yaml").write_text(text)
    result = invoke("train", "file", "er.yaml")
    assert result.exit_code == 0, result.output
    message = f"rllib: warning: {place}{old}: write {new}; the old name is reported until version 0.3\n"
    assert result.stderr == message


def test_a_missing_search_package_is_told(invoke, tmp_path, monkeypatch):
    find = util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "optuna" else find(name, *more))
    (tmp_path / "er.yaml").write_text(yaml(**SEARCH, search_alg=OPTUNA))
    message = "er.yaml:6: search_alg: optuna is not installed; run: pip install 'rllib-metagrad[search]'"
    check(invoke("train", "file", "er.yaml"), message)
