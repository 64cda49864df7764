"""The sweeps that ship, as a user types them, cut short; and what `rllib report` makes of them."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from rllib_metagrad.analysis.report import result_table
from rllib_metagrad.analysis.runs import group_trials, load_runs
from rllib_metagrad.cli.train import TrainOptions, plan

SWEEPS = pathlib.Path(__file__).parent.parent.parent / "tuned_configs" / "sweeps"
#: Few environments and updates: these runs are about Tune, and not about what is learned.
TINY = '{"num_envs_per_env_runner": 4, "num_updates_per_iteration": 2}'


def rllib(folder: pathlib.Path, *arguments: str) -> str:
    """The standard output of `rllib` with these arguments, run in a folder."""
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stderr == ""
    return done.stdout


def results(folder: pathlib.Path, trial: str) -> list[dict[str, Any]]:
    (file,) = folder.glob(f"*_{trial}_*/result.json")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("file", sorted(SWEEPS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_sweep_is_valid_and_says_which_trials_it_has(file: pathlib.Path) -> None:
    """Every value of every search space is checked, without Ray."""
    ((experiment, name),) = plan(TrainOptions(ray_num_cpus=4), str(file))
    assert name == experiment.name == file.stem
    assert experiment.scheduler or "grid_search" in file.read_text()


@pytest.mark.integration
def test_population_based_training_exploits_checkpoints(tmp_path: pathlib.Path) -> None:
    """Synchronised here, so that whoever is worst finds a checkpoint of whoever is best."""
    file = SWEEPS / "escape_room_metagrad_pbt.yaml"
    ((experiment, _),) = plan(TrainOptions(ray_num_cpus=4), str(file))
    assert experiment.scheduler is not None
    space = {"designer_lr": {"tune": "loguniform", "args": [0.001, 0.03]}}
    settings = {k: v for k, v in experiment.scheduler.items() if k not in ("type", "hyperparam_mutations")}
    scheduler = {**settings, "perturbation_interval": 2, "synch": True, "hyperparam_mutations": space}
    flags = ["--override", "--num-samples", "2", "--stop", '{"training_iteration": 4}', "--config", TINY]
    flags += ["--ray-num-cpus", "2", "--scheduler", "pbt", "--scheduler-config", json.dumps(scheduler)]
    printed = rllib(tmp_path, "train", "file", str(file), *flags)

    folder = tmp_path / "results" / "escape_room_metagrad_pbt"
    (first, *_) = [json.loads(line) for line in (folder / "pbt_global.txt").read_text().splitlines()]
    old, new = first[4:]
    assert old["designer_lr"] != new["designer_lr"]
    assert 0.001 <= new["designer_lr"] <= 0.03 * 1.2
    (policy,) = folder.glob("pbt_policy_*.txt")
    target = policy.stem.removeprefix("pbt_policy_")
    (other,) = (t for trial in folder.glob("MetaGrad_*") if (t := "_".join(trial.name.split("_")[3:5])) != target)
    rows = results(folder, target)
    # It goes on from the other's second iteration, with the new rate.
    assert [row["training_iteration"] for row in rows] == [1, 2, 3, 4]
    assert [row["config"]["designer_lr"] for row in rows[2:]] == [new["designer_lr"]] * 2
    assert rows[0]["config"]["designer_lr"] not in (old["designer_lr"], new["designer_lr"])
    # The table at the end has the rate that the trial ended with, not the one it was drawn with.
    (line,) = (line for line in printed.splitlines() if line.startswith(f"{target} "))
    assert float(line.split()[1]) == pytest.approx(new["designer_lr"], rel=1e-3)
    steps = [row["num_env_steps_sampled_lifetime"] for row in rows]
    cloned = results(folder, other)[1]["num_env_steps_sampled_lifetime"]
    assert cloned < steps[2] <= cloned + 2 * 4 * 5  # two updates of four episodes of at most five steps


@pytest.mark.integration
def test_a_grid_over_seeds_becomes_a_table_with_their_spread(tmp_path: pathlib.Path) -> None:
    grid = '{"num_envs_per_env_runner": 4, "num_updates_per_iteration": 2, "seed": {"grid_search": [1, 2]}}'
    flags = ["--override", "--stop", '{"training_iteration": 2}', "--config", grid, "--ray-num-cpus", "2"]
    rllib(tmp_path, "train", "file", str(SWEEPS / "escape_room_metagrad_seeds.yaml"), *flags)
    folder = tmp_path / "results" / "escape_room_metagrad_seeds"
    groups = group_trials(load_runs([folder]))
    assert [len(group.trials) for group in groups] == [2, 2, 2, 2]
    heads, rows = result_table(groups)
    assert [row[heads.index("seeds")] for row in rows] == ["2"] * 4
    assert all(" ± " in row[heads.index("training net")] for row in rows)
    printed = rllib(tmp_path, "report", str(folder)).splitlines()
    assert folder.joinpath("report", "sweep.png") in [tmp_path / line for line in printed]
