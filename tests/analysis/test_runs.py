"""Reading run folders, grouping trials, and averaging curves, with numbers worked by hand."""

import json
import math

import numpy as np
import pytest
from synthetic import metagrad_row, write_experiment, write_trial

from rllib_metagrad.analysis.runs import curve, flatten, group_trials, load_runs

X = "num_env_steps_sampled_lifetime"


def rows(steps, values, metric="score"):
    return [{"training_iteration": i + 1, X: s, metric: v} for i, (s, v) in enumerate(zip(steps, values, strict=True))]


def test_trials_are_read_with_settings_and_results(tmp_path):
    write_experiment(tmp_path / "er", metagrad_row(1.0), config={"env_config": {"n": 5}})
    trials = load_runs([tmp_path])
    assert [trial.seed for trial in trials] == [0, 1, 2]
    assert {(t.algorithm, t.experiment, t.config["env_config/n"]) for t in trials} == {("MetaGrad", "er", 5)}
    assert "env_runners/incentive_paid/lever" in trials[0].results
    assert not any(name.startswith("config") for name in trials[0].results)
    # Evaluation is in every tenth row only; the last value is the last one reported.
    assert math.isfinite(trials[0].last("evaluation/env_runners/designer_net_return_mean"))
    assert math.isnan(trials[0].last("nothing"))


@pytest.mark.parametrize("both", [False, True])
def test_old_names_of_metrics_are_read_as_todays(tmp_path, both):
    """Runs of version 0.1 have the old ones alone, those of today both."""
    row = {"training_iteration": 1, "learners": {"agents": {"a": {"kl": 0.5}}}, "timers": {"sample": 2.0}}
    if both:
        row["learners"]["a"] = {"mean_kl_loss": 0.5}
        row["timers"]["env_runner_sampling_timer"] = 2.0
    (trial,) = load_runs([write_trial(tmp_path / "t", {"env": "e"}, [row])])
    assert set(trial.results) == {"training_iteration", "learners/a/mean_kl_loss", "timers/env_runner_sampling_timer"}
    assert (trial.last("learners/a/mean_kl_loss"), trial.last("timers/env_runner_sampling_timer")) == (0.5, 2.0)


def test_progress_csv_is_read_where_there_is_no_json(tmp_path):
    folder = write_trial(tmp_path / "PPO_CartPole-v1_0a1b2_00000", {"env": "CartPole-v1"}, [])
    (folder / "progress.csv").write_text(
        "training_iteration,env_runners/episode_return_mean,config/lr\n1,4.5,0.1\n2,5.5,0.1\n"
    )
    (trial,) = load_runs([folder])
    assert (trial.algorithm, trial.last("env_runners/episode_return_mean")) == ("PPO", 5.5)
    assert "config/lr" not in trial.results


def test_curves_do_not_go_back_where_a_trial_went_on_from_another_ones_checkpoint(tmp_path):
    """As population-based training does: from 40 steps back to 25, so what came from 30 on led nowhere."""
    steps = [10, 20, 30, 40, 25, 35, 45]
    rows = [
        {"training_iteration": i + 1, "num_env_steps_sampled_lifetime": n, "env_runners": {"episode_return_mean": i}}
        for i, n in enumerate(steps)
    ]
    (trial,) = load_runs([write_trial(tmp_path / "t", {"env": "e"}, rows)])
    assert trial.results["num_env_steps_sampled_lifetime"].tolist() == [10, 20, 25, 35, 45]
    assert trial.results["training_iteration"].tolist() == [1, 2, 5, 6, 7]


def test_rows_before_a_resume_are_replaced_and_a_half_written_line_is_left_out(tmp_path):
    folder = write_trial(tmp_path / "t", {}, rows([10, 20, 30], [1.0, 2.0, 3.0]))
    with (folder / "result.json").open("a") as file:
        file.write(json.dumps({"training_iteration": 2, X: 20, "score": 7.0}) + '\n{"training_it')
    (trial,) = load_runs([folder])
    assert trial.results["score"].tolist() == [1.0, 7.0, 3.0]


def test_a_broken_line_in_the_middle_is_an_error_with_its_place(tmp_path):
    folder = write_trial(tmp_path / "t", {}, rows([10], [1.0]))
    (folder / "result.json").write_text('{"a": 1\n{"a": 2}\n')
    with pytest.raises(ValueError, match=r"result\.json:1: not JSON"):
        load_runs([folder])


def test_folders_without_results(tmp_path):
    with pytest.raises(ValueError, match="no results there"):
        load_runs([tmp_path])


def test_groups_differ_by_more_than_the_seed(tmp_path):
    for name, lr in (("a", 1e-3), ("b", 1e-4)):
        write_experiment(tmp_path / name, metagrad_row(1.0), config={"designer_lr": lr}, iterations=3)
    write_experiment(tmp_path / "c", metagrad_row(1.0), run="DualRL", seeds=(5,), iterations=3)
    groups = group_trials(load_runs([tmp_path]))
    assert [g.label for g in groups] == [
        "MetaGrad, designer_lr=0.001",
        "MetaGrad, designer_lr=0.0001",
        "DualRL",
    ]
    assert [len(g.trials) for g in groups] == [3, 3, 1]
    assert groups[2].differences == {"algorithm": "DualRL", "designer_lr": None}


def test_labels_keep_equal_settings_apart(tmp_path):
    for name in ("before", "after"):
        write_experiment(tmp_path / name, metagrad_row(1.0), iterations=3)
    folders = [tmp_path / "before", tmp_path / "after"]
    assert [g.label for g in group_trials(load_runs(folders), ["old", "new"])] == ["old", "new"]
    assert [len(g.trials) for g in group_trials(load_runs(folders))] == [6]


def test_curve_on_equal_steps(tmp_path):
    write_trial(tmp_path / "PPO_0a1b2_00000", {"seed": 1}, rows([10, 20], [1.0, 3.0]))
    write_trial(tmp_path / "PPO_0a1b2_00001", {"seed": 2}, rows([10, 20], [3.0, 9.0]))
    (group,) = group_trials(load_runs([tmp_path]))
    line = curve(group, "score")
    np.testing.assert_allclose(line.x, [10, 20])
    np.testing.assert_allclose(line.y.mean, [2.0, 6.0])
    # Two values a and b: |a - b| / sqrt(2), over sqrt(2).
    np.testing.assert_allclose(line.y.standard_error, [1.0, 3.0])
    assert curve(group, "nothing") is None


def test_curve_on_different_steps_is_interpolated_where_both_have_values(tmp_path):
    write_trial(tmp_path / "PPO_0a1b2_00000", {"seed": 1}, rows([0, 20], [0.0, 2.0]))
    write_trial(tmp_path / "PPO_0a1b2_00001", {"seed": 2}, rows([10, 30], [1.0, 3.0]))
    (group,) = group_trials(load_runs([tmp_path]))
    line = curve(group, "score")
    np.testing.assert_allclose(line.x, [10, 20])
    np.testing.assert_allclose(line.y.mean, [1.0, 2.0])  # both lie on y = x / 10
    np.testing.assert_allclose(line.y.standard_error, [0.0, 0.0], atol=1e-12)


def test_a_curve_of_several_metrics_is_their_mean(tmp_path):
    """Of those that a trial has, in each trial, before anything is said of trials."""
    for seed, (a, b) in enumerate([(1.0, 3.0), (5.0, None)]):
        row = {"training_iteration": 1, X: 10, "a": a} | ({} if b is None else {"b": b})
        write_trial(tmp_path / f"PPO_0a1b2_0000{seed}", {"seed": seed}, [row])
    (group,) = group_trials(load_runs([tmp_path]))
    line = curve(group, "a", "b")
    assert (line.y.mean.item(), line.y.low.item(), line.y.high.item()) == (3.5, 2.0, 5.0)


def test_long_curves_are_averaged_in_bins(tmp_path):
    write_trial(tmp_path / "a", {}, rows(range(100), range(100)))
    (group,) = group_trials(load_runs([tmp_path]))
    line = curve(group, "score", points=10)
    np.testing.assert_allclose(line.y.mean, np.arange(4.5, 100, 10))


def test_flatten():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a/b": 1, "a/c": {}, "d": [1]}
