"""Search algorithms and loggers of an experiment: what Tune is given, and short runs of the whole command."""

from __future__ import annotations

import inspect
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from ray import tune
from ray.tune.logger import LoggerCallback
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Searcher, SearchGenerator

from rllib_metagrad.cli import loggers, search_algs, search_space
from rllib_metagrad.cli.elementwise import Elementwise, flat_point
from rllib_metagrad.cli.experiment import Experiment
from rllib_metagrad.cli.experiment_file import load_experiments
from rllib_metagrad.cli.options import TrainOptions
from rllib_metagrad.cli.train import plan
from rllib_metagrad.settings import SettingError

METRIC = "env_runners/designer_net_return_mean"
OPTUNA = f"{{type: optuna, metric: {METRIC}, mode: max}}"
YAML = """
found:
  run: FixedIncentive
  env: escape_room
  stop: {{training_iteration: 1}}
  num_samples: {samples}
  search_alg: {search_alg}
  loggers: {loggers}
  checkpoint_config: {{checkpoint_at_end: false}}
  config:
    env_config: {{n: 2, m: 1}}
    num_envs_per_env_runner: 4
    seed: 3
    agent_network: {{hiddens: {{tune: choice, args: [[[4], [4, 4]]]}}}}
    fixed_incentives: [{{tune: uniform, args: [0, 2]}}, {{tune: uniform, args: [0, 2]}}, 0.0]
"""


def experiment(tmp_path: pathlib.Path, search_alg: str = OPTUNA, loggers: str = "null", **flags: Any) -> Experiment:
    file = tmp_path / "found.yaml"
    file.write_text(YAML.format(samples=2, search_alg=search_alg, loggers=loggers))
    (found,) = load_experiments(str(file), TrainOptions(given=flags))
    return found


class Recorder(Searcher):
    """A user's own algorithm, which suggests what it is told to."""

    def __init__(self, metric: str, mode: str, suggestions: list[dict[str, Any]] | None = None) -> None:
        super().__init__(metric, mode)
        self.suggestions, self.space, self.told = list(suggestions or []), {}, []

    def set_search_properties(self, metric: str, mode: str, config: dict[str, Any], **spec: Any) -> bool:
        self.space = config
        return True

    def suggest(self, trial_id: str) -> Any:
        return self.suggestions.pop(0) if self.suggestions else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.told.append((trial_id, result, error))


class Stubborn(Recorder):
    """One that takes no space."""

    def set_search_properties(self, metric: str, mode: str, config: dict[str, Any], **spec: Any) -> bool:
        return False


class Lines(LoggerCallback):
    """A user's own logger."""

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        with open(os.path.join(trial.local_path, "lines.txt"), "a") as file:
            file.write(f"{result['training_iteration']}\n")


CONFIG = {
    "fixed_incentives": [tune.uniform(0, 2), 0.5, tune.uniform(0, 3)],
    "env_config": {"n": tune.randint(2, 6), "m": 1},
    "agent_network": {"hiddens": tune.choice([[4], [8, 8]])},
    "gamma": 0.9,
}


def test_every_number_of_a_list_has_its_own_name() -> None:
    values = {"fixed_incentives.0": 1.5, "fixed_incentives.2": 2.5, "env_config.n": 4, "agent_network.hiddens": 1}
    inner = Recorder("m", "max", [values])
    search = Elementwise(inner, CONFIG)
    assert set(inner.space) == set(values)
    assert inner.space["agent_network.hiddens"].categories == [0, 1]
    # Only what is searched, but lists whole: Tune replaces them.
    assert search.suggest("t") == {
        "fixed_incentives": [1.5, 0.5, 2.5],
        "env_config": {"n": 4},
        "agent_network": {"hiddens": [8, 8]},
    }
    assert search.suggest("t") == Searcher.FINISHED
    search.on_trial_complete("t", {"m": 3}, error=False)
    assert inner.told == [("t", {"m": 3}, False)]
    assert (search.metric, search.mode) == ("m", "max")
    assert search.set_search_properties(None, None, CONFIG)


def test_an_algorithm_that_takes_no_space_is_refused() -> None:
    with pytest.raises(ValueError, match="takes no search space"):
        Elementwise(Stubborn("m", "max"), CONFIG)


def test_first_trials_are_written_as_parts_of_the_config() -> None:
    point = {
        "fixed_incentives": [1.0, 0.5, 2.0],
        "agent_network": {"hiddens": [8, 8]},
        "env_config": {"n": 3},
        "gamma": 0.9,  # as the config has it
    }
    assert flat_point(point, CONFIG, "p") == {
        "fixed_incentives.0": 1.0,
        "fixed_incentives.2": 2.0,
        "agent_network.hiddens": 1,
        "env_config.n": 3,
    }


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"gamma": 0.5}, "p.gamma is 0.5, which config does not search"),
        ({"lr": 0.5}, "p.lr is not in config"),
        ({"fixed_incentives": [1.0]}, r"p.fixed_incentives is \[1.0\], which config does not search"),
        ({"fixed_incentives": [1.0, 0.6, 2.0]}, "p.fixed_incentives.1 is 0.6, which config does not search"),
        ({"agent_network": {"hiddens": [9]}}, r"p.agent_network.hiddens must be one of \[\[4\], \[8, 8\]\], got \[9\]"),
        ({"env_config": {"n": 3}, "fixed_incentives": [1.0, 0.5, 2.0]}, "p lacks agent_network.hiddens; give a value"),
        (3, "p is 3, which config does not search"),
    ],
)
def test_first_trials_outside_the_search_are_refused(point: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        flat_point(point, CONFIG, "p")


def test_settings_of_optuna_are_those_of_tune() -> None:
    from ray.tune.search.optuna import OptunaSearch

    objects = {"space", "sampler", "study_name", "storage", "evaluated_rewards"}
    assert {*search_algs.SEARCH_ALGS["optuna"]} == {*inspect.signature(OptunaSearch).parameters} - objects


def test_no_search_algorithm_draws_at_random(tmp_path: pathlib.Path) -> None:
    for search_alg in ("null", "random", "variant_generator", "{type: Random, seed: 4}"):
        found = search_algs.create(experiment(tmp_path, search_alg, max_concurrent_trials=2))
        assert isinstance(found, BasicVariantGenerator)
        assert found.max_concurrent == 2
    drawn = [search_algs.create(experiment(tmp_path, f"{{type: random, seed: {s}}}")) for s in (4, 4, 5)]
    first, same, other = (generator._random_state.uniform() for generator in drawn)
    assert first == same != other


def test_optuna_draws_the_same_values_again(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("optuna")

    def drawn(search_alg: str) -> list[Any]:
        search = search_algs.create(experiment(tmp_path, search_alg))
        return [search.suggest(str(i)) for i in range(4)]

    first = drawn(OPTUNA)
    assert first == drawn(OPTUNA)  # by the seed of the run
    assert first != drawn(OPTUNA.replace("}", ", seed: 8}"))
    assert all(set(values) == {"fixed_incentives", "agent_network"} for values in first)
    assert all(len(values["fixed_incentives"]) == 3 and values["fixed_incentives"][2] == 0 for values in first)
    point = "{fixed_incentives: [0.25, 1.5, 0.0], agent_network: {hiddens: [4, 4]}}"
    given = drawn(OPTUNA.replace("}", f", points_to_evaluate: [{point}]}}"))[0]
    assert given == {"fixed_incentives": [0.25, 1.5, 0.0], "agent_network": {"hiddens": [4, 4]}}


def test_optuna_learns_from_what_trials_come_to(tmp_path: pathlib.Path) -> None:
    """The best is at (2, 0): with forty trials it is near."""
    pytest.importorskip("optuna")
    search = search_algs.create(experiment(tmp_path, max_concurrent_trials=1))
    assert isinstance(search, ConcurrencyLimiter)
    tried = []
    for i in range(40):
        first, second, _ = search.suggest(str(i))["fixed_incentives"]
        search.on_trial_complete(str(i), {METRIC: first - second, "training_iteration": 1})
        tried.append(first - second)
    assert max(tried[20:]) > 1.6
    assert sum(tried[20:]) / 20 > sum(tried[:10]) / 10 + 0.5


def test_what_a_search_has_learned_is_there_after_a_resume(tmp_path: pathlib.Path) -> None:
    """As Tune saves and restores it, with a limit on trials at a time and without."""
    pytest.importorskip("optuna")
    for most in (None, 2):
        before, after = (
            SearchGenerator(search_algs.create(experiment(tmp_path, max_concurrent_trials=most))) for _ in range(2)
        )
        suggested = [before.searcher.suggest(str(i)) for i in range(2)]
        for i in range(2):
            before.searcher.on_trial_complete(str(i), {METRIC: 7.0 + i, "training_iteration": 1})
        folder = tmp_path / f"state_{most}"
        folder.mkdir()
        before.save_to_dir(str(folder), "session")
        after.restore_from_dir(str(folder))
        inner = after.searcher.searcher.searcher if most else after.searcher.searcher
        assert [trial.value for trial in inner._ot_study.trials] == [7.0, 8.0]
        known = [trial.params["fixed_incentives.0"] for trial in inner._ot_study.trials]
        assert known == [values["fixed_incentives"][0] for values in suggested]
        assert after.searcher.suggest("next") == before.searcher.suggest("next")


def test_the_search_of_the_docs_is_one(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("optuna")
    page = (pathlib.Path(__file__).parent.parent.parent / "docs" / "commands.md").read_text()
    (text,) = [block.split("```")[0] for block in page.split("```yaml\n")[1:] if "search_alg" in block.split("```")[0]]
    (tmp_path / "docs.yaml").write_text(text)
    ((found, _),) = plan(TrainOptions(ray_num_cpus=4), str(tmp_path / "docs.yaml"))
    assert found.search_alg == {"type": "optuna", "metric": METRIC, "mode": "max"}
    assert [path for path, _ in search_space.find(found.config)] == [("fixed_incentives", i) for i in range(3)]


def test_an_algorithm_of_ones_own(tmp_path: pathlib.Path) -> None:
    own = f"{{type: '{__name__}:Recorder', metric: {METRIC}, mode: min, suggestions: []}}"
    search = search_algs.create(experiment(tmp_path, own))
    assert isinstance(search, Elementwise)
    assert isinstance(search.searcher, Recorder)
    assert (search.metric, search.mode) == (METRIC, "min")
    for text, message in (
        (own.replace("suggestions", "sugestions"), "sugestions not a setting of .*; did you mean 'suggestions'"),
        (own.replace("Recorder", "Lines"), "is not a class derived from ray.tune.search.searcher.Searcher"),
        (own.replace("Recorder, suggestions: []", "Stubborn").replace("Recorder", "Stubborn"), "takes no search space"),
    ):
        with pytest.raises(SettingError, match=message):
            search_algs.create(experiment(tmp_path, text))


def test_loggers_are_what_is_named(tmp_path: pathlib.Path) -> None:
    def kinds(text: str) -> list[str]:
        return [type(callback).__name__ for callback in loggers.create(experiment(tmp_path, loggers=text).loggers)]

    assert kinds("null") == ["ProgressCSV", "JsonLoggerCallback", "TBXLoggerCallback"]
    assert kinds("[json]") == ["JsonLoggerCallback"]
    assert kinds("csv, tbx") == ["ProgressCSV", "TBXLoggerCallback"]
    assert kinds(f"['{__name__}:Lines']") == ["Lines"]
    assert kinds("[]") == []
    assert experiment(tmp_path, loggers="[csv]").loggers == ["csv"]


def test_only_says_so_inside_of_its_block() -> None:
    before = os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS")
    with loggers.only():
        assert os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] == "1"
    assert os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") == before


def test_variants_show_both_ends_of_each_number_of_a_list(tmp_path: pathlib.Path) -> None:
    paths = [path for path, _ in search_space.variants(experiment(tmp_path).config)]
    assert {("fixed_incentives", 0), ("fixed_incentives", 1)} <= set(paths)


# -- the whole command -------------------------------------------------------------------------------------------


def rllib(folder: pathlib.Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "rllib_metagrad.cli.main", *arguments]
    path = os.pathsep.join([str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stderr == ""
    return done.stdout


def incentives(folder: pathlib.Path) -> list[list[float]]:
    """Of each trial, in the order of the search."""
    trials = sorted(folder.glob("FixedIncentive_*"), key=lambda trial: int(trial.name.split("_")[4]))
    return [json.loads((trial / "params.json").read_text())["fixed_incentives"] for trial in trials]


@pytest.mark.integration
def test_a_search_finds_list_values_and_can_be_resumed(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("optuna")
    folder, flags = tmp_path / "results" / "found", ["--ray-num-cpus", "1"]
    search = OPTUNA.replace(
        "}", ", points_to_evaluate: [{fixed_incentives: [0.25, 1.5, 0.0], agent_network: {hiddens: [4]}}]}"
    )
    (tmp_path / "found.yaml").write_text(YAML.format(samples=3, search_alg=search, loggers="[json, csv]"))
    printed = rllib(tmp_path, "train", "file", "found.yaml", *flags)
    assert "tensorboard" not in printed
    assert "[0.25, 1.5, 0]" in printed
    found = incentives(folder)
    assert len(found) == 3
    assert found[0] == [0.25, 1.5, 0.0]
    assert all(len(values) == 3 and values[2] == 0.0 and min(values) >= 0 and max(values) <= 2 for values in found)
    assert len({tuple(values) for values in found}) == 3
    (first, *_) = folder.glob("FixedIncentive_*")
    assert {file.name for file in first.iterdir()} >= {"result.json", "progress.csv"}
    assert not list(first.glob("events.out.*"))
    rllib(tmp_path, "train", "file", "found.yaml", *flags, "--resume")
    assert incentives(folder) == found


@pytest.mark.integration
def test_random_search_of_list_values_and_a_logger_of_ones_own(tmp_path: pathlib.Path) -> None:
    own = "['test_search_algs:Lines', tensorboard, json]"
    (tmp_path / "found.yaml").write_text(YAML.format(samples=2, search_alg="random", loggers=own))
    rllib(tmp_path, "train", "file", "found.yaml", "--ray-num-cpus", "1")
    folder = tmp_path / "results" / "found"
    trials = list(folder.glob("FixedIncentive_*"))
    assert len(trials) == 2
    for trial in trials:
        assert (trial / "lines.txt").read_text() == "1\n"
        assert not (trial / "progress.csv").exists()
        assert list(trial.glob("events.out.*"))
        values = json.loads((trial / "params.json").read_text())["fixed_incentives"]
        assert len(values) == 3
        assert 0 <= values[0] <= 2
        assert values[2] == 0.0
