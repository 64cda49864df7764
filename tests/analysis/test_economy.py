"""Figures of economies: bars and lines as worked by hand, and none for other runs."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image
from synthetic import economy_row, metagrad_row, write_experiment, write_trial

from rllib_metagrad.analysis import economy, figures
from rllib_metagrad.analysis.panels import natural
from rllib_metagrad.analysis.report import result_table, write_report
from rllib_metagrad.analysis.runs import Group, group_trials, load_runs

NAMES = ["welfare", "tax_rates", "tax_rates_over_training", "incomes_by_skill", "activity_by_skill", "snapshots"]


def row(i: int, level: float) -> dict:
    """Twenty of them are a training; two agents, two brackets, and everything is a multiple of `level`."""
    ranks = {"skill_1": level, "skill_2": 3 * level}
    episode = {
        "welfare": 10 * level,
        "productivity": level,
        "equality": 0.5,
        "tax_rate": {"0": 0.1 * level, "9.7": 0.2 * level},
        **dict.fromkeys(("income", "tax_paid", "income_after_redistribution"), ranks),
        **dict.fromkeys(("income_from_building", "income_from_trading", "wood_collected"), ranks),
        "stone_collected": {"skill_1": 1.0, "skill_2": 2.0},
    }
    return {
        "training_iteration": i,
        "num_env_steps_sampled_lifetime": 100 * i,
        "env_runners": {"designer_return_mean": 10 * level, "episode": episode},
    }


@pytest.fixture
def groups(tmp_path: pathlib.Path) -> list[Group]:
    """Two seeds of one configuration, whose levels are 1 and 2 in the first half of training, and 2 and 4 after it."""
    for seed in (1, 2):
        rows = [row(i, seed * (1 if i <= 10 else 2)) for i in range(1, 21)]
        write_trial(tmp_path / "e" / f"MetaGrad_gtb_0a1b2_0000{seed}", {"env": "gtb", "seed": seed}, rows)
    return group_trials(load_runs([tmp_path]))


def heights(axes: Axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches]


def test_bars_by_skill(groups: list[Group]) -> None:
    """The last tenth of training: 2 and 4, mean 3; thrice that for the more skilled."""
    figure = economy.incomes_by_skill(groups)
    assert figure is not None
    for axes in figure.axes[:3]:
        np.testing.assert_allclose(heights(axes), [3, 9])
    (errors,) = (c for c in figure.axes[0].containers if hasattr(c, "has_yerr"))
    # The standard error of two values is half their distance.
    segments = errors.lines[2][0].get_segments()
    np.testing.assert_allclose([segment[:, 1] for segment in segments], [[2, 4], [6, 12]])
    activity = economy.activity_by_skill(groups)
    assert activity is not None
    # Wood and stone.
    np.testing.assert_allclose(heights(activity.axes[0]), [3 + 1, 9 + 2])
    plt.close("all")


def test_rates_of_each_seed(groups: list[Group]) -> None:
    figure = economy.tax_rates(groups)
    assert figure is not None
    np.testing.assert_allclose(heights(figure.axes[0]), [0.2, 0.4, 0.4, 0.8])
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0–10", "10+"]
    plt.close("all")


def test_a_seed_has_one_colour_in_all_panels(tmp_path: pathlib.Path) -> None:
    for run, seeds in (("A", (1, 2)), ("B", (2, 3))):
        write_experiment(tmp_path / run, economy_row(100), run=run, env="gtb", seeds=seeds, iterations=12)
    figure = economy.tax_rates(group_trials(load_runs([tmp_path / "A", tmp_path / "B"])))
    assert figure is not None
    first, second = (
        [c.patches[0].get_facecolor() for c in ax.containers if hasattr(c, "patches")] for ax in figure.axes[:2]
    )
    assert first[1] == second[0]
    assert len({*first, *second}) == 3
    plt.close("all")


def test_snapshots(groups: list[Group]) -> None:
    """After 5% and 30% of training levels are 1 and 2, at the end 2 and 4."""
    figure = economy.snapshots(groups)
    assert figure is not None
    np.testing.assert_allclose(heights(figure.axes[1]), [1.5, 4.5, 1.5, 4.5, 3, 9])
    np.testing.assert_allclose(heights(figure.axes[0]), [0.15, 0.3, 0.15, 0.3, 0.3, 0.6])
    plt.close("all")


def test_the_last_evaluation_comes_first(tmp_path: pathlib.Path) -> None:
    last = row(2, 1.0) | {"evaluation": {"env_runners": row(2, 7.0)["env_runners"]}}
    write_trial(tmp_path / "e" / "MetaGrad_gtb_0a1b2_00001", {"env": "gtb", "seed": 1}, [row(1, 1.0), last])
    figure = economy.incomes_by_skill(group_trials(load_runs([tmp_path])))
    assert figure is not None
    np.testing.assert_allclose(heights(figure.axes[0]), [7, 21])
    plt.close("all")


def test_table(groups: list[Group]) -> None:
    heads, rows = result_table(groups)
    assert heads[-3:] == ["training productivity", "training equality", "training welfare"]
    assert rows[0][-3:] == ["3.00 ± 1.00", "0.50 ± 0.00", "30.00 ± 10.00"]


def test_report_of_several_methods(tmp_path: pathlib.Path) -> None:
    write_experiment(tmp_path / "a", economy_row(13000), env="gather_trade_build")
    write_experiment(tmp_path / "b", economy_row(9000), env="gather_trade_build", run="DualRL", seeds=(0,))
    report = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert [path.stem for path in report.figures] == ["returns", *NAMES]
    for path in report.figures:
        with Image.open(path) as picture:
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 10
    assert "evaluation welfare" in report.page.read_text()


def test_many_runs_leave_the_best(tmp_path: pathlib.Path) -> None:
    for k in range(10):
        write_experiment(
            tmp_path / f"{k}", economy_row(1000 * k), run=f"M{k}", env="gather_trade_build", seeds=(0,), iterations=12
        )
    groups = group_trials(load_runs([tmp_path]))
    for function in (economy.tax_rates, economy.incomes_by_skill, economy.snapshots):
        figure = function(groups)
        assert figure is not None
        assert figure.get_suptitle().endswith("of 10 runs.")
    plt.close("all")


def test_what_taxes_hand_back_is_no_payment(tmp_path: pathlib.Path) -> None:
    """Incentives paid are a rounding error then: the figure of returns has the return alone."""
    for name, paid in (("tax", 1e-7), ("pays", 2.0)):
        rows = [row(i, 5.0) for i in (1, 2)]
        for one in rows:
            one["env_runners"] |= {"incentives_paid_mean": paid, "designer_net_return_mean": 50 - paid}
        write_trial(tmp_path / name / "MetaGrad_gtb_0a1b2_00001", {"env": "gtb", "seed": 1}, rows)
        figure = figures.returns(group_trials(load_runs([tmp_path / name])))
        assert figure is not None
        titles = [axes.get_title("left") or axes.get_title() for axes in figure.axes]
        assert len(titles) == (1 if name == "tax" else 3), titles
    plt.close("all")


def test_other_runs_have_none(tmp_path: pathlib.Path) -> None:
    write_experiment(tmp_path / "a", metagrad_row(1.0), iterations=3)
    groups = group_trials(load_runs([tmp_path]))
    assert [function(groups) for _, function in economy.FIGURES.values()] == [None] * 6


def test_names_are_sorted_by_their_numbers() -> None:
    names = ["510.3", "9.7", "agent_10", "0", "lever", "agent_2", "39.475", "1.2.3"]
    assert sorted(names, key=natural) == ["0", "9.7", "39.475", "510.3", "1.2.3", "agent_2", "agent_10", "lever"]
