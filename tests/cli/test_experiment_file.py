"""Experiment files: YAML with several experiments, Python files, schedulers, and RLlib's own algorithms."""

from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining

from rllib_metagrad.cli import schedulers
from rllib_metagrad.cli.experiment_file import load_experiments
from rllib_metagrad.cli.options import TrainOptions
from rllib_metagrad.cli.train import plan
from rllib_metagrad.cli.validate import validate


def write(tmp_path, text, name="x.yaml"):
    file = tmp_path / name
    file.write_text(text)
    return str(file)


def test_several_experiments_in_order(tmp_path):
    file = write(
        tmp_path,
        "second: {run: PPO, env: CartPole-v1, stop: {training_iteration: 1}}\n"
        "first: {run: PPO, config: {env: CartPole-v1}, seed: 3, stop: {env_runners: {episode_len_mean: 9}}}",
    )
    experiments = load_experiments(file)
    assert [e.name for e in experiments] == ["second", "first"]
    assert experiments[1].stop == {"env_runners/episode_len_mean": 9}
    assert experiments[1].config == {"env": "CartPole-v1", "seed": 3}
    assert [name for _, name in plan(TrainOptions(ray_num_cpus=8), file)] == ["second", "first"]


def test_seeds_as_a_grid(tmp_path):
    file = write(
        tmp_path,
        "x: {run: PPO, env: CartPole-v1, seed: {grid_search: [1, 2]}, stop: {training_iteration: 1}}",
    )
    assert load_experiments(file)[0].config["seed"] == {"grid_search": [1, 2]}


def test_a_python_file(tmp_path):
    file = write(
        tmp_path,
        "from ray import tune\nfrom ray.rllib.algorithms.ppo import PPOConfig\n"
        "config = PPOConfig().environment('CartPole-v1').training(lr=tune.grid_search([1e-3, 1e-4]))\n"
        "stop = {'training_iteration': 3}\n",
        "mine.py",
    )
    ((experiment, name),) = plan(TrainOptions(ray_num_cpus=8), file)
    assert name == "mine"
    assert experiment.run_name == "PPO"
    assert experiment.config["lr"] == {"grid_search": [1e-3, 1e-4]}
    assert experiment.stop == {"training_iteration": 3}


def test_asha_in_both_forms(tmp_path):
    one = "{type: asha, metric: env_runners/episode_return_mean, mode: max, max_t: 50}"
    two = "asha\n  scheduler_config: {metric: env_runners/episode_return_mean, mode: max, max_t: 50}"
    parsed = [
        load_experiments(write(tmp_path, f"x:\n  run: PPO\n  env: CartPole-v1\n  scheduler: {form}\n"))[0].scheduler
        for form in (one, two)
    ]
    assert parsed[0] == parsed[1]
    assert isinstance(schedulers.create(parsed[0]), ASHAScheduler)


def test_pbt_with_search_spaces(tmp_path):
    file = write(
        tmp_path,
        "x:\n  run: PPO\n  env: CartPole-v1\n  scheduler:\n    type: pbt\n"
        "    metric: env_runners/episode_return_mean\n"
        "    mode: max\n    perturbation_interval: 2\n"
        "    hyperparam_mutations: {lr: {tune: loguniform, args: [1e-5, 1e-3]}}\n",
    )
    assert isinstance(schedulers.create(load_experiments(file)[0].scheduler), PopulationBasedTraining)


def test_a_python_file_with_one_of_our_configs_passes_validation(tmp_path):
    """What `to_dict()` calls by older names than the attributes have is a setting, too."""
    (tmp_path / "er.py").write_text(
        "from rllib_metagrad import MetaGradConfig\n"
        "config = MetaGradConfig().environment('escape_room', env_config={'n': 3, 'm': 1})\n"
        "config.env_runners(num_env_runners=2).agents(lr=0.5)\n"
        "stop = {'training_iteration': 1}\n"
    )
    (experiment,) = load_experiments(str(tmp_path / "er.py"))
    config, _ = validate(experiment)
    assert (config.num_env_runners, config.agent_lr, config.env_config) == (2, 0.5, {"n": 3, "m": 1})
