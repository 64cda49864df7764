"""The report: its files, its numbers, and runs that have less to show."""

import base64
import re

import pytest
from PIL import Image
from synthetic import metagrad_row, ppo_row, write_experiment, write_trial

from rllib_metagrad.analysis.report import result_table, write_report
from rllib_metagrad.analysis.runs import group_trials, load_runs
from rllib_metagrad.analysis.style import spread


def designer(seed, returned, paid):
    metrics = {
        "designer_return_mean": returned,
        "incentives_paid_mean": paid,
        "designer_net_return_mean": returned - paid,
    }
    row = {"training_iteration": 4, "num_env_steps_sampled_lifetime": 1000, "env_runners": metrics}
    return {"env": "escape_room", "seed": seed}, [row]


def test_the_table_by_hand(tmp_path):
    for seed, returned, paid in ((1, 27.0, 2.0), (2, 29.0, 3.0)):
        write_trial(tmp_path / "e" / f"MetaGrad_escape_room_0a1b2_0000{seed}", *designer(seed, returned, paid))
    heads, rows = result_table(group_trials(load_runs([tmp_path])))
    assert heads == [
        "run",
        "seeds",
        "iterations",
        "env steps",
        "training designer return",
        "training incentives paid",
        "training net",
    ]
    # Means 28, 2.5, 25.5; the standard error of two values is half their distance.
    assert rows == [["MetaGrad", "2", "4", "1,000", "28.00 ± 1.00", "2.50 ± 0.50", "25.50 ± 0.50"]]


def test_report_of_several_methods(tmp_path):
    write_experiment(tmp_path / "a", metagrad_row(1.0), config={"designer_lr": 1e-3})
    write_experiment(tmp_path / "b", metagrad_row(0.5, agents=12), run="DualRL", seeds=(0,))
    report = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert [path.name for path in report.figures] == [
        "returns.png",
        "incentives_by_action.png",
        "agents.png",
        "agent_actions.png",
        "learner.png",
    ]
    for path in report.figures:
        with Image.open(path) as picture:
            assert min(picture.size) > 300
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 10  # something is drawn
    page = report.page.read_text()
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert [base64.b64decode(data) for data in embedded] == [path.read_bytes() for path in report.figures]
    assert not re.findall(r'(?:src|href)="(?!data:)', page)  # self-contained
    assert "evaluation net" in page
    assert "designer_lr" in page


def test_a_run_without_a_designer_has_fewer_panels(tmp_path):
    write_experiment(tmp_path / "p", ppo_row, run="PPO", env="CartPole-v1", iterations=5)
    report = write_report([tmp_path / "p"], tmp_path / "out")
    assert [path.name for path in report.figures] == ["returns.png", "learner.png"]
    heads, rows = result_table(group_trials(load_runs([tmp_path / "p"])))
    assert heads[-1] == "training episode return"
    assert rows[0][0] == "PPO"


def test_names_in_the_page_are_escaped(tmp_path):
    write_experiment(tmp_path / "p", ppo_row, run="PPO", env="CartPole-v1", iterations=3)
    page = write_report([tmp_path / "p"], tmp_path / "out", labels=["<b>&"]).page.read_text()
    assert "<b>&<" not in page
    assert "&lt;b&gt;&amp;" in page


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([0.0, 5.0], [0.0, 5.0]),
        ([0.0, 0.0], [-0.5, 0.5]),
        ([0.0, 0.5, 3.0], [-0.25, 0.75, 3.0]),
        ([0.0, 0.0, 1.0], [-2 / 3, 1 / 3, 4 / 3]),
    ],
)
def test_labels_are_spread_around_their_lines(wanted, places):
    assert spread(wanted, 1.0) == pytest.approx(places)


def test_the_command(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from rllib_metagrad.cli.main import app

    monkeypatch.setattr("rllib_metagrad.cli.ray_session.quiet", lambda verbose: None)
    write_experiment(tmp_path / "p", ppo_row, run="PPO", env="CartPole-v1", iterations=3)
    result = CliRunner().invoke(app, ["report", str(tmp_path / "p")])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(tmp_path / "p" / "report" / "index.html")
