"""The progress display: numbers worked by hand, and lines where there is no terminal."""

import io
from types import SimpleNamespace

from rich.console import Console

from rllib_metagrad.cli.progress import Progress, clock, fraction_done, seconds_left


def test_time_left_follows_the_nearest_counter():
    result = {"training_iteration": 25, "num_env_steps_sampled_lifetime": 9000, "time_total_s": 30.0}
    stop = {"training_iteration": 100, "num_env_steps_sampled_lifetime": 10000}
    assert fraction_done(result, stop) == 0.9
    assert abs(seconds_left(result, stop) - 30.0 / 9.0) < 1e-9


def test_a_threshold_on_a_return_is_no_clock():
    result = {"env_runners/episode_return_mean": 5.0, "time_total_s": 30.0}
    assert seconds_left(result, {"env_runners/episode_return_mean": 10.0}) is None
    assert seconds_left({"training_iteration": 3}, {"training_iteration": float("inf")}) is None


def test_clock():
    assert [clock(s) for s in (None, 7, 65.4, 3723)] == ["-", "0:07", "1:05", "1:02:03"]


def show(terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=160)
    trial = SimpleNamespace(trial_id="abc_00000", status="RUNNING")
    result = {
        "training_iteration": 5,
        "time_total_s": 2.0,
        "num_env_steps_sampled_lifetime": 8000,
        "cpu_seconds": 1.5,
        "env_runners": {
            "designer_return_mean": 28.0,
            "incentives_paid_mean": 2.25,
            "designer_net_return_mean": 25.75,
        },
    }
    with Progress(console, {"training_iteration": 10}) as progress:
        progress.on_trial_result(1, [trial], trial, result)
        progress.on_trial_result(2, [trial], trial, result)  # too soon for another line
        progress.on_step_end(2, [trial])
    return text.getvalue()


def test_plain_lines():
    assert show(terminal=False) == (
        "abc_00000: iteration 5, env steps 8,000, CPU s 1.5, designer return 28.00, incentives paid 2.25, "
        "net 25.75, time left 0:02\n"
    )


def test_live_table():
    drawn = show(terminal=True)
    for part in ("designer return", "28.00", "25.75", "50%", "0:02"):
        assert part in drawn
