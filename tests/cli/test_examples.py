"""`rllib example list|get|run`."""

import pytest

from rllib_metagrad.cli import examples
from rllib_metagrad.cli.experiment_file import load_experiments
from rllib_metagrad.cli.validate import validate


def test_list_names_every_shipped_file_with_its_title(invoke):
    result = invoke("example", "list")
    assert result.exit_code == 0
    # Whole, although some titles do not fit beside them.
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(examples.examples())
    narrowed = invoke("example", "list", "metagrad_5_2").stdout.splitlines()
    assert narrowed
    assert all("metagrad_5_2" in line for line in narrowed)
    assert {line.split()[0] for line in narrowed} <= {line.split()[0] for line in result.stdout.splitlines()}


def test_get_prints_and_copies(invoke, tmp_path):
    printed = invoke("example", "get", "escape_room/metagrad_5_2").stdout
    assert "run: MetaGrad" in printed
    result = invoke("example", "get", "escape_room/metagrad_5_2", "--out", "mine.yaml")
    assert result.stdout.strip() == "mine.yaml"
    assert (tmp_path / "mine.yaml").read_text() == printed
    again = invoke("example", "get", "escape_room/metagrad_5_2", "--out", "mine.yaml")
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)


def test_unknown_names_come_with_the_nearest(invoke):
    wrong = invoke("example", "get", "escape_room/metagrad_5_3")
    assert wrong.exit_code == 2
    assert "did you mean 'escape_room/metagrad_5_2'?" in wrong.stderr
    assert "did you mean 'escape_room/metagrad_5_2'?" in invoke("example", "run", "metagrad_5_2").stderr


def test_run_trains_the_file_with_flags(invoke, monkeypatch):
    seen = []
    monkeypatch.setattr("rllib_metagrad.cli.train.train", lambda options, file: seen.append((options, file)))
    result = invoke("example", "run", "escape_room/metagrad_5_2", "--seed", "3", "--override")
    assert result.exit_code == 0, result.output
    ((options, file),) = seen
    assert (options.given, options.override) == ({"seed": 3}, True)
    assert file.endswith("metagrad_5_2.yaml")


@pytest.mark.parametrize("name", sorted(examples.examples()))
def test_every_shipped_example_is_valid(name):
    for experiment in load_experiments(str(examples.find_example(name))):
        validate(experiment)
        assert experiment.stop or experiment.time_budget_s
