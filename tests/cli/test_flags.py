"""Flags and YAML together: they add up, and where they differ nothing is overridden in silence."""

import pytest

from rllib_metagrad.cli import train as train_module
from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.cli.experiment import ExperimentSettings
from rllib_metagrad.cli.experiment_file import load_experiments
from rllib_metagrad.cli.flags import experiment_from_flags
from rllib_metagrad.cli.options import EXPERIMENT_FLAGS, TrainOptions
from rllib_metagrad.settings.base import plain

YAML = """
er:
  run: MetaGrad
  env: escape_room
  num_samples: 2
  storage_path: ./runs
  stop: {training_iteration: 10}
  checkpoint_config: {checkpoint_frequency: 5}
  config:
    env_config: {n: 5, m: 2}
    agent_lr: 1e-2
    seed: 1
"""


def load(tmp_path, *, override=False, text=YAML, **flags):
    file = tmp_path / "er.yaml"
    file.write_text(text)
    (experiment,) = load_experiments(str(file), TrainOptions(given=flags, override=override))
    return experiment


def test_without_flags(tmp_path):
    experiment = load(tmp_path)
    assert experiment.config == {
        "env_config": {"n": 5, "m": 2},
        "agent_lr": 0.01,
        "seed": 1,
        "env": "escape_room",
    }
    assert (experiment.name, experiment.run, experiment.num_samples) == ("er", "MetaGrad", 2)


def test_flags_add_what_the_file_does_not_say(tmp_path):
    experiment = load(
        tmp_path,
        stop='{"time_total_s": 60}',
        config='{"env_config": {"x": 1}, "designer_lr": 1e-3}',
        **{"checkpoint_config.checkpoint_at_end": True},
        scheduler="asha",
        scheduler_config='{"metric": "env_runners/episode_return_mean", "mode": "max"}',
    )
    assert experiment.stop == {"training_iteration": 10, "time_total_s": 60}
    assert experiment.config["env_config"] == {"n": 5, "m": 2, "x": 1}
    assert experiment.config["designer_lr"] == 0.001
    assert plain(experiment.checkpoint_config) == {"checkpoint_frequency": 5, "checkpoint_at_end": True}
    assert experiment.scheduler["type"] == "asha"


SAME = [
    {"run": "MetaGrad"},
    {"env": "escape_room"},
    {"seed": 1},
    {"num_samples": 2},
    {"storage_path": "./runs"},
    {"stop": '{"training_iteration": 10}'},
    {"checkpoint_config.checkpoint_frequency": 5},
    {"config": '{"agent_lr": 0.01, "env_config": {"n": 5}}'},
]
DIFFERENT = [
    ({"run": "PPO"}, "--algo is 'PPO', but {}:3: run is 'MetaGrad'"),
    ({"env": "cleanup"}, "--env is 'cleanup', but {}:4: env is 'escape_room'"),
    ({"seed": 2}, "--seed is 2, but {}:12: config.seed is 1"),
    ({"num_samples": 1}, "--num-samples is 1, but {}:5: num_samples is 2"),
    ({"storage_path": "x"}, "--storage-path is 'x', but {}:6: storage_path is './runs'"),
    ({"stop": '{"training_iteration": 9}'}, "--stop training_iteration is 9, but {}:7:"),
    (
        {"checkpoint_config.checkpoint_frequency": 1},
        "--checkpoint-freq is 1, but {}:8: checkpoint_config.checkpoint_frequency is 5",
    ),
    ({"config": '{"agent_lr": 1}'}, "--config agent_lr is 1, but {}:11: config.agent_lr is 0.01"),
    (
        {"config": '{"env_config": {"n": 2}}'},
        "--config env_config.n is 2, but {}:10: config.env_config.n is 5",
    ),
]


@pytest.mark.parametrize("flags", SAME, ids=lambda flags: next(iter(flags)))
def test_saying_the_same_twice_is_fine(tmp_path, flags):
    assert load(tmp_path, **flags) == load(tmp_path) or "config" in flags


@pytest.mark.parametrize(
    ("flags", "message"), DIFFERENT, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_saying_something_else_is_an_error_unless_override(tmp_path, flags, message):
    with pytest.raises(BadInputError) as caught:
        load(tmp_path, **flags)
    assert message.format(tmp_path / "er.yaml") in str(caught.value)
    assert "--override" in str(caught.value)
    assert load(tmp_path, **flags, override=True) != load(tmp_path)


def test_minimum_is_written_with_a_prefix(tmp_path):
    experiment = load(
        tmp_path,
        **{
            "checkpoint_config.checkpoint_score_attribute": "min-env_runners/episode_len_mean",
            "checkpoint_config.num_to_keep": 2,
        },
    )
    assert plain(experiment.checkpoint_config) == {
        "checkpoint_frequency": 5,
        "num_to_keep": 2,
        "checkpoint_score_attribute": "env_runners/episode_len_mean",
        "checkpoint_score_order": "min",
    }


def test_an_experiment_from_flags_alone():
    experiment = experiment_from_flags(
        TrainOptions(
            given={
                "run": "PPO",
                "env": "CartPole-v1",
                "config": '{"lr": 1e-3}',
                "stop": '{"training_iteration": 2}',
                "seed": 4,
            }
        )
    )
    assert experiment.name == "PPO_CartPole-v1"
    assert experiment.config == {"env": "CartPole-v1", "lr": 0.001, "seed": 4}
    assert experiment.stop == {"training_iteration": 2}


def test_every_key_of_an_experiment_has_a_flag():
    keys = {flag.key.split(".")[0] for flag in EXPERIMENT_FLAGS}
    assert keys == set(ExperimentSettings.model_fields)
    assert len({flag.parameter.name for flag in EXPERIMENT_FLAGS}) == len(EXPERIMENT_FLAGS)


def test_forms_of_the_same_thing_meet(tmp_path):
    """A metric nested or by its path, the seed in or beside config, a scheduler by name or as a mapping."""
    text = (
        "er:\n  run: MetaGrad\n  config: {env: escape_room, seed: 1}\n"
        "  stop: {env_runners: {episode_len_mean: 9}}\n"
        "  scheduler: {type: asha, metric: training_iteration, mode: max}\n"
    )
    same = {
        "env": "escape_room",
        "seed": 1,
        "stop": '{"env_runners/episode_len_mean": 9}',
        "scheduler": "asha",
        "scheduler_config": '{"mode": "max"}',
    }
    assert load(tmp_path, text=text, **same) == load(tmp_path, text=text)
    with pytest.raises(
        BadInputError, match=r"--scheduler-config mode is 'min', but .*er\.yaml:5: scheduler\.mode is 'max"
    ):
        load(tmp_path, text=text, scheduler_config='{"mode": "min"}')
    with pytest.raises(BadInputError, match=r"--stop env_runners/episode_len_mean is 8, but .*er\.yaml:4: stop"):
        load(tmp_path, text=text, stop='{"env_runners/episode_len_mean": 8}')
    # Another kind of scheduler takes nothing over from the file's.
    other = load(tmp_path, text=text, scheduler="fifo", override=True)
    assert other.scheduler == {"type": "fifo"}


def test_a_search_space_is_replaced_whole(tmp_path):
    space = '{"agent_lr": {"grid_search": [1, 2]}}'
    with pytest.raises(BadInputError, match=r"--config agent_lr is \{'grid_search': \[1, 2\]\}, but "):
        load(tmp_path, config=space)
    assert load(tmp_path, config=space, override=True).config["agent_lr"] == {"grid_search": [1, 2]}


def test_short_options_and_old_names_of_rllibs_command(tmp_path, monkeypatch, invoke):
    planned = []
    monkeypatch.setattr("rllib_metagrad.cli.train.train", lambda options, file=None: planned.append(options))
    short = ["-a", "MetaGrad", "-e", "escape_room", "-s", '{"training_iteration": 1}', "-c", '{"agent_lr": 0.1}']
    assert (
        invoke(
            "train", *short, "-n", "mine", "--num-samples", "3", "--local-dir", "runs", "--framework", "torch"
        ).exit_code
        == 0
    )
    assert planned[0].given == {
        "run": "MetaGrad",
        "env": "escape_room",
        "stop": '{"training_iteration": 1}',
        "config": '{"agent_lr": 0.1}',
        "num_samples": 3,
        "storage_path": "runs",
    }
    assert planned[0].experiment_name == "mine"
    assert invoke("train", "-r", "MetaGrad", "--name", "other").exit_code == 0
    assert (planned[1].given, planned[1].experiment_name) == ({"run": "MetaGrad"}, "other")
    wrong = invoke("train", *short, "--framework", "tf2")
    assert wrong.exit_code == 2
    assert wrong.stderr == "rllib: error: --framework: must be torch, the only one; leave it out, got 'tf2'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--upload-dir", "s3://x"], "No such option: --upload-dir; write --storage-path URI"),
        (["train", "--version"], "No such option: --version; write rllib --version"),
        (["train", "file", "x.yaml", "--local-mode"], "No such option: --local-mode; Ray has none any more"),
        (["evaluate", "x", "--use-shelve"], "No such option: --use-shelve; write --out FILE.json"),
        (["train", "--nonsense"], "No such option: --nonsense"),
    ],
)
def test_options_that_are_gone_say_what_to_write(invoke, arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"rllib: error: {message}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("flag", [["-n", "mine"], ["--name", "mine"], ["--experiment-name=mine"], []])
def test_the_command_to_resume_names_the_run_once(monkeypatch, flag):
    monkeypatch.setattr("sys.argv", ["rllib", "train", "file", "x.yaml", *flag])
    expected = flag or ["--experiment-name", "x_2"]
    assert train_module._resume_command("x.yaml", "x_2") == " ".join(
        ["rllib", "train", "file", "x.yaml", *expected, "--resume"]
    )


def test_version(invoke):
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("rllib-metagrad 0.")
    assert ", ray " in result.stdout
