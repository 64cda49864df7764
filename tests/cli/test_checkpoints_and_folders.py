"""Where runs go, which run is resumed, and which checkpoint is meant."""

import errno

import pytest

from rllib_metagrad.checkpoint_files import CONTENTS, MARKER
from rllib_metagrad.cli import run_folder
from rllib_metagrad.cli.checkpoints import find_checkpoint, mend
from rllib_metagrad.cli.errors import BadInputError
from rllib_metagrad.cli.experiment import Experiment


def checkpoint(folder):
    folder.mkdir(parents=True)
    (folder / MARKER).write_text("{}")
    return folder


def run(root, name):
    (root / name).mkdir(parents=True)
    (root / name / "experiment_state-2025-01-01_00-00-00.json").write_text("{}")


def test_a_checkpoint_from_each_kind_of_folder(tmp_path):
    checkpoint(tmp_path / "exp" / "trial" / "checkpoint_000000")
    last = checkpoint(tmp_path / "exp" / "trial" / "checkpoint_000001")
    for given in (last, last.parent, last.parent.parent):
        assert find_checkpoint(str(given)) == last


def test_two_trials_are_ambiguous_and_none_is_an_error(tmp_path):
    checkpoint(tmp_path / "exp" / "one" / "checkpoint_000000")
    checkpoint(tmp_path / "exp" / "two" / "checkpoint_000000")
    with pytest.raises(BadInputError, match="holds 2 trials with checkpoints; give one of them: one, two"):
        find_checkpoint(str(tmp_path / "exp"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="no checkpoint there"):
        find_checkpoint(str(tmp_path / "empty"))


def test_a_part_of_a_checkpoint_is_none(tmp_path):
    """Tune's copy to a disk that fills up, or a kill while it copies."""
    whole = checkpoint(tmp_path / "exp" / "trial" / "checkpoint_000000")
    part = checkpoint(tmp_path / "exp" / "trial" / "checkpoint_000001")
    (part / MARKER).write_text(f'{{"{CONTENTS}": true}}')
    assert find_checkpoint(str(tmp_path / "exp")) == whole
    with pytest.raises(BadInputError, match=r"no whole checkpoint \(contents.json is missing\); give an earlier one"):
        find_checkpoint(str(part))
    (whole / MARKER).unlink()
    with pytest.raises(BadInputError, match="no checkpoint there"):
        find_checkpoint(str(tmp_path / "exp"))


def test_a_storage_path_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=r"storage_path: .*file/runs cannot be written: .*file is a file; name a f"):
        run_folder.check_writable(str(tmp_path / "file" / "runs"))
    run_folder.check_writable(str(tmp_path / "new" / "runs"))
    run_folder.check_writable("s3://bucket/runs")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(BadInputError, match=r"cannot be written: no permission in .*; name another folder"):
        run_folder.check_writable(str(tmp_path / "new" / "runs"))


def test_a_full_disk_is_one_line_before_training(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(BadInputError, match=r"storage_path: .* cannot be written: No space left on device; name anot"):
        run_folder.write_spec(tmp_path / "er", Experiment(name="er", run="MetaGrad"))


def test_runs_of_the_same_name_are_numbered(tmp_path):
    root = str(tmp_path)
    assert run_folder.fresh_name(root, "er") == "er"
    run(tmp_path, "er")
    assert run_folder.fresh_name(root, "er") == "er_2"
    run(tmp_path, "er_10")
    run(tmp_path, "er_other")
    assert run_folder.fresh_name(root, "er") == "er_11"
    assert run_folder.name_to_resume(root, "er") == "er_10"
    with pytest.raises(BadInputError, match=r"--resume: no run named 'x' in .*; runs there: er, er_10, er_other"):
        run_folder.name_to_resume(root, "x")


def test_a_resumed_run_must_have_the_same_settings(tmp_path):
    def experiment(**changed):
        return Experiment(
            name="er", run="MetaGrad", config={"agent_lr": 0.1, **changed}, stop={"training_iteration": 9}
        )

    run_folder.write_spec(tmp_path, experiment())
    run_folder.check_same(tmp_path, experiment())
    with pytest.raises(BadInputError, match=r"--resume: config\.agent_lr was 0\.1 and is 0\.2 now"):
        run_folder.check_same(tmp_path, experiment(agent_lr=0.2))
    other = experiment().replace(stop={"training_iteration": 10})
    with pytest.raises(BadInputError, match=r"stop\.training_iteration was 9 and is 10 now"):
        run_folder.check_same(tmp_path, other)


def test_the_last_whole_checkpoint_takes_the_place_of_newer_ones(tmp_path):
    trial = tmp_path / "trial"
    for number, text in enumerate(["{}", "{}", f'{{"{CONTENTS}": true}}', None]):
        folder = trial / f"checkpoint_{number:06d}"
        folder.mkdir(parents=True)
        (folder / "number").write_text(str(number))
        if text is not None:
            (folder / MARKER).write_text(text)
    (line,) = mend(tmp_path)
    assert line == (
        f"trial: checkpoint_000003 is not whole ({MARKER} is missing); the run goes on from checkpoint_000001"
    )
    held = {folder.name: (folder / "number").read_text() for folder in trial.iterdir()}
    assert held == {
        "checkpoint_000000": "0",
        "checkpoint_000001": "1",
        "checkpoint_000002": "1",
        "checkpoint_000003": "1",
        "not_whole_checkpoint_000002": "2",
        "not_whole_checkpoint_000003": "3",
    }
    assert list(mend(tmp_path)) == []


def test_no_whole_checkpoint_to_resume_from(tmp_path):
    (tmp_path / "trial" / "checkpoint_000000").mkdir(parents=True)
    with pytest.raises(BadInputError, match=r"--resume: .*checkpoint_000000 is not whole .* start a new run"):
        list(mend(tmp_path))
