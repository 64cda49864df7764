"""Wrong YAML files and command lines: each gets one line on stderr that says what, where and what to do."""

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
    "entry is a word": ("er: MetaGrad\n", [], "er.yaml:1: experiment 'er' must be a mapping"),
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
    "no run": (yaml(run=None), [], "er.yaml:1: experiment 'er' has no run: name an algorithm"),
    "no env": (yaml(env=None), [], "er.yaml:1: experiment 'er' has no env: name an environment"),
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
        "er.yaml:3: env: 'escape_room' here, but config.env is 'matrix_game'; keep one",
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
    "old API stack": (
        config("{enable_rl_module_and_learner: false}"),
        [],
        "config.enable_rl_module_and_learner: RLlib's old API stack is not supported",
    ),
    "wrong value in a grid": (
        config("{agent_loss: {grid_search: [pg, pgg]}}"),
        [],
        "config.agent_loss: must be one of pg, actor_critic, ppo, got 'pgg'",
    ),
    "wrong end of a range": (
        config("{designer_lambda: {tune: uniform, args: [0.5, 1.5]}}"),
        [],
        "config.designer_lambda: must be ",
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
    "no samples": (yaml(num_samples=0), [], "er.yaml:6: num_samples: must be 1 or more, got 0"),
    "samples in words": (yaml(num_samples="two"), [], "num_samples: must be a whole number, got 'two'"),
    "misspelt checkpoint setting": (
        yaml(checkpoint_config="{checkpoint_freqency: 5}"),
        [],
        "checkpoint_config.checkpoint_freqency: unknown key; did you mean 'checkpoint_frequency'?",
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
    "too many runners": (
        config("{num_env_runners: 500}"),
        ["--ray-num-cpus", "2"],
        "config.num_env_runners: a trial needs 501 CPUs (500 env runners), Ray has 2 here",
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
        "train: no algorithm; give --algo NAME, or a file: rllib train file FILE.yaml",
    ),
    "no environment": (["train", "--algo", "MetaGrad"], "train: no environment; give --env NAME"),
    "no such file": (["train", "file", "nothing.yaml"], "nothing.yaml: no such file"),
    "a folder": (["train", "file", "."], ".: is a folder; give one .yaml, .yml or .py file"),
    "flags before file": (["train", "--seed", "1", "file", "x.yaml"], "train: flags go after the file"),
    "config is no JSON": ([*BARE, "--config", "{lr: "], "--config: not valid YAML"),
    "config is no object": ([*BARE, "--config", "3"], "--config: expected a JSON object"),
    "stop at a word": (
        [*BARE, "--stop", '{"training_iteration": "x"}'],
        "--stop: training_iteration: must be a number",
    ),
    "samples below one": ([*BARE, *STOP, "--num-samples", "0"], "Invalid value for '--num-samples': "),
    "seed in words": ([*BARE, *STOP, "--seed", "one"], "Invalid value for '--seed': "),
    "scheduler settings alone": (
        [*BARE, *STOP, "--scheduler-config", "{}"],
        "--scheduler-config: given without --scheduler; add --scheduler asha",
    ),
    "name with a slash": (
        [*BARE, *STOP, "--experiment-name", "a/b"],
        "--experiment-name: must be a word without '/'",
    ),
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
    check(invoke("train", "file", "er.yaml"), f"er.yaml:5: config.env_config: gather_trade_build: {message}")
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
