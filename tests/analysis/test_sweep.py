"""Many configurations: order and codes, what figures draw of them, and final results over settings."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from PIL import Image
from synthetic import metagrad_row, write_experiment, write_trial

from rllib_metagrad.analysis import figures, style
from rllib_metagrad.analysis.report import result_table, write_report
from rllib_metagrad.analysis.runs import group_trials, load_runs
from rllib_metagrad.analysis.sweep import best_first, code_of, outcome_of, sweep, with_codes


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def groups_with(folder, nets, **settings):
    """A group per net return, with one trial per number in it; settings are lists with a value per group."""
    for index, finals in enumerate(nets):
        config = {name: values[index] for name, values in settings.items() if values[index] is not None}
        for seed, net in enumerate(finals):
            row = {"training_iteration": 1, "num_env_steps_sampled_lifetime": 10}
            row["env_runners"] = {"designer_return_mean": net, "designer_net_return_mean": net}
            name = f"MetaGrad_escape_room_0a1b2_{index:03d}{seed:02d}"
            write_trial(folder / "e" / name, {"env": "escape_room", "seed": seed, **config}, [row])
    return group_trials(load_runs([folder]))


def whole_sweep(folder, number):
    """Configurations with every metric that figures show; later ones are better."""
    for index in range(number):
        row = metagrad_row(1.0, best=10.0 + index)
        config = {"designer_lr": 10.0 ** -(1 + index % 5), "agents": index, "baseline": ("none", "mean")[index % 2]}
        write_experiment(folder / f"e{index:02d}", row, config=config, seeds=(0, 1), iterations=20)


def points(axes, marker):
    return [pair for line in axes.lines if line.get_marker() == marker for pair in zip(*line.get_data(), strict=True)]


def test_codes_count_on_after_z():
    assert [code_of(i) for i in (0, 1, 25, 26, 27, 51, 52, 701, 702)] == [*"ABZ", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]


def test_many_groups_have_codes_best_first(tmp_path):
    nets = [[3.0, 5.0], [9.0], [float("nan")], *([float(-i)] for i in range(6))]  # means 4, 9, none, 0, -1, ...
    groups = with_codes(groups_with(tmp_path, nets, designer_lr=[10.0**-i for i in range(9)]))
    assert [g.code for g in groups] == list("ABCDEFGHI")
    assert [g.differences["designer_lr"] for g in groups[:3]] == [0.1, 1.0, 1e-3]
    assert groups[-1].differences["designer_lr"] == 0.01  # without a result: last
    assert groups[1].title == "B (2\N{NO-BREAK SPACE}seeds)"


def test_the_table_says_what_codes_stand_for(tmp_path):
    groups = groups_with(tmp_path, [[1.0, 3.0], *([float(-i)] for i in range(8))], designer_lr=[*range(1, 10)])
    heads, rows = result_table(with_codes(groups))
    assert heads[:3] == ["run", "designer_lr", "seeds"]
    # Iterations, env steps, designer return, net: 1 and 3 are 2 ± 1.
    assert rows[0] == ["A", "1", "2", "1", "10", "2.00 ± 1.00", "2.00 ± 1.00"]
    assert [row[:2] for row in rows[1:]] == [[code, str(i)] for i, code in enumerate("BCDEFGHI", 2)]


def test_labels_of_runs_are_in_the_table_of_codes(tmp_path):
    for name in ("before", "after"):
        groups_with(tmp_path / name, [[float(i)] for i in range(5)], designer_lr=[*range(5)])
    runs = load_runs([tmp_path / "before", tmp_path / "after"])
    heads, rows = result_table(with_codes(group_trials(runs, ["old", "new"])))
    assert heads[:3] == ["run", "label", "designer_lr"]
    assert {row[1] for row in rows} == {"old", "new"}


def test_few_groups_with_short_labels_keep_them(tmp_path):
    groups = groups_with(tmp_path, [[1.0], [2.0], [3.0]], designer_lr=[1, 2, 3])
    assert with_codes(groups) == groups
    assert result_table(groups)[0][:2] == ["run", "seeds"]


def test_long_labels_get_codes(tmp_path):
    groups = groups_with(tmp_path, [[1.0], [2.0]], designer_lr=[1, 2], a_setting_with_a_long_name=[1, 2])
    assert [(g.code, g.differences["designer_lr"]) for g in with_codes(groups)] == [("A", 2), ("B", 1)]
    (alone,) = groups_with(tmp_path / "one", [[1.0]])
    assert with_codes([alone])[0].name == "MetaGrad"


def test_groups_are_compared_by_evaluation_where_there_is_one(tmp_path):
    write_experiment(tmp_path / "a", metagrad_row(1.0), iterations=9, config={"lr": 1})
    write_experiment(tmp_path / "b", metagrad_row(1.0), iterations=20, config={"lr": 2})
    groups = group_trials(load_runs([tmp_path]))
    assert outcome_of(groups[:1]).name == "final net return in training"
    assert outcome_of(groups).name == "final net return in evaluation"
    assert best_first(groups) == [groups[1], groups[0]]


def test_eight_runs_have_colours_and_names(tmp_path):
    whole_sweep(tmp_path, 12)
    groups = with_codes(group_trials(load_runs([tmp_path])))
    for figure in (figures.returns(groups), figures.learner(groups), sweep(groups)):
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert [name[0] for name in names] == [*"ABCDEFGH", "o"]
        assert names[-1] == style.OTHERS_NAME
        for ax in figure.axes:
            colours = {to_hex(line.get_color()).upper() for line in ax.lines}
            assert colours == {*style.PALETTE, style.OTHERS_COLOR.upper()} or not ax.axison


def test_the_best_four_runs_have_panels(tmp_path):
    whole_sweep(tmp_path, 6)
    groups = group_trials(load_runs([tmp_path]))
    figure = figures.agents(groups)
    titles = " ".join(ax.get_title() for ax in figure.axes).replace("\n", " ")
    assert len(figure.axes) == 8
    assert [i for i in range(6) if f"agents={i}," in titles] == [2, 3, 4, 5]


def test_figures_of_a_sweep_fit_on_a_page(tmp_path):
    whole_sweep(tmp_path / "runs", 12)
    report = write_report([tmp_path / "runs"], tmp_path / "out")
    assert "sweep.png" in [path.name for path in report.figures]
    for path in report.figures:
        with Image.open(path) as picture:
            assert picture.width <= 13 * style.RC["figure.dpi"], path.name
    page = report.page.read_text()
    assert "12 configurations" in page
    assert "in the order of the final net return in evaluation" in page
    assert page.index('id="results"') < page.index("<img")


def test_a_sweep_has_a_panel_per_setting_and_a_dot_per_trial(tmp_path):
    groups = groups_with(
        tmp_path,
        [[1.0, 3.0], [2.0], [4.0], [5.0]],
        wide=[1e-4, 1e-3, 1e-2, None],
        narrow=[1, 2, 3, 4],
        signed=[-100, 0, 100, 1],
        kind=["none", "mean", "none", True],
        layers=[[64], [64], [64], ["a list too long for a tick"]],
    )
    figure = sweep(groups)
    panels = {ax.get_xlabel(): ax for ax in figure.axes if ax.get_xlabel()}
    assert set(panels) == {"wide", "narrow", "signed", "kind"}
    assert {name: ax.get_xscale() for name, ax in panels.items()} == {
        "wide": "log",
        "narrow": "linear",
        "signed": "linear",
        "kind": "linear",
    }
    assert [tick.get_text() for tick in panels["kind"].get_xticklabels()] == ["True", "mean", "none"]
    assert points(panels["narrow"], "o") == [(1, 1.0), (1, 3.0), (2, 2.0), (3, 4.0), (4, 5.0)]
    assert points(panels["narrow"], "_") == [(1, 2.0)]  # the mean of the only group with two trials
    assert [x for x, _ in points(panels["wide"], "o")] == [1e-4, 1e-4, 1e-3, 1e-2]  # one is not set


def test_no_sweep(tmp_path):
    assert sweep(groups_with(tmp_path / "one", [[1.0, 2.0]])) is None
    assert sweep(groups_with(tmp_path / "few", [[1.0], [2.0], [3.0]], lr=[1, 2, 3])) is None
    for index, method in enumerate(("MetaGrad", "DualRL", "AMD", "Centralized")):
        write_experiment(tmp_path / "m" / method, metagrad_row(1.0), run=method, config={"lr": index}, iterations=2)
    assert sweep(group_trials(load_runs([tmp_path / "m"]))) is None  # each method has its own settings


def test_names_at_line_ends_stay_inside_the_axes():
    assert style.within([-0.5, 0.5, 1.5], 1.0, 0.0, 10.0) == [0.5, 1.5, 2.5]
    assert style.within([9.0, 10.0], 1.0, 0.0, 10.0) == [8.5, 9.5]
    assert style.within([4.0, 6.0], 1.0, 0.0, 10.0) == [4.0, 6.0]
