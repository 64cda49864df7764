"""`rllib train` against signals, bad disks and bad numbers, as whole commands."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rllib_metagrad import MetaGrad
from rllib_metagrad.checkpoint_files import missing_from
from rllib_metagrad.cli.checkpoints import checkpoints_of, find_checkpoint

pytestmark = pytest.mark.integration

Start = Callable[..., subprocess.Popen[str]]

YAML = """
er:
  run: MetaGrad
  env: escape_room
  stop: {{training_iteration: {iterations}}}
  checkpoint_config: {{checkpoint_frequency: {frequency}}}
  config:
    env_config: {{n: 3, m: 1}}
    num_env_runners: 0
    num_envs_per_env_runner: 8
    num_updates_per_iteration: {updates}
    agent_epsilon: [[0, 0.3], [5000, 0.0]]
    seed: 4
"""


def write(folder: Path, iterations: int = 40, frequency: int = 5, updates: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = YAML.format(iterations=iterations, frequency=frequency, updates=updates)
    (folder / "er.yaml").write_text(text)


@pytest.fixture
def start() -> Iterator[Start]:
    """``start(folder, *flags)``: `rllib train file er.yaml` in a folder; what still runs after the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(folder: Path, *flags: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "rllib_metagrad.cli.main", "train", "file", "er.yaml", *flags],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == code, stderr
    return stderr


def trial(folder: Path) -> Path:
    (found,) = folder.glob("results/er/MetaGrad_*")
    return found


def results(file: Path) -> list[dict[str, Any]]:
    """All lines of a result.json but one that is being written, or was when its writer was killed."""
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]


def rows(folder: Path) -> list[dict[str, Any]]:
    """The results of a run; an iteration that was repeated after a restore counts once, by its last result."""
    lines = results(trial(folder) / "result.json")
    return list({line["training_iteration"]: line for line in lines}.values())


def wait_for_rows(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        files = list(folder.glob("results/er/MetaGrad_*/result.json"))
        if files and files[0].read_text().count("\n") >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {count} results; exit status {process.poll()}")


def measured(value: Any, path: str = "") -> Any:
    """What the algorithm computed: of a result all but settings, clocks, loads of the machine, process ids, names."""
    others = (
        "config",
        "time",
        "date",
        "perf",
        "cpu_seconds",
        "pid",
        "hostname",
        "node_ip",
        "trial_id",
        "throughput",
        "restore",
    )
    if isinstance(value, dict):
        return {k: measured(v, f"{path}/{k}") for k, v in value.items() if not any(c in k for c in others)}
    # NaN equals NaN this way.
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def test_a_killed_run_resumes_bit_equal_to_one_never_interrupted(start: Start, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    # Many updates an iteration, so that the kill comes well before the end.
    write(whole, updates=100), write(killed, updates=100)
    reference = start(whole)
    process = start(killed)
    wait_for_rows(process, killed, 13)
    process.kill()
    finish(process, -signal.SIGKILL)
    assert len(rows(killed)) < 40
    before = len((trial(killed) / "result.json").read_text().splitlines())
    finish(start(killed, "--resume"))
    lines = (trial(killed) / "result.json").read_text().splitlines()
    # At most what came after the last checkpoint is done again.
    again = len(lines) - 40
    assert 0 <= again < 5, f"{again} of {before} iterations were repeated"
    finish(reference)
    expected, found = rows(whole), rows(killed)
    assert [row["training_iteration"] for row in found] == list(range(1, 41))
    for one, other in zip(expected, found, strict=True):
        assert measured(one) == measured(other)


@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(start: Start, tmp_path: Path, damage: str) -> None:
    write(tmp_path, iterations=12, frequency=3, updates=50)
    process = start(tmp_path)
    wait_for_rows(process, tmp_path, 8)
    process.kill()
    finish(process, -signal.SIGKILL)
    before, last = checkpoints_of(trial(tmp_path))[-2:]
    largest = max((file for file in last.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    if damage == "cut":
        largest.write_bytes(largest.read_bytes()[:-1])
    else:
        largest.unlink()
    process = start(tmp_path, "--resume")
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    told = " ".join(stdout.split())  # lines are wrapped
    assert f"{last.name} is not whole (" in told
    assert f"the run goes on from {before.name}" in told
    assert [row["training_iteration"] for row in rows(tmp_path)] == list(range(1, 13))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_write_a_checkpoint_of_the_last_iteration_first(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    write(tmp_path, iterations=100000, frequency=0, updates=20)
    process = start(tmp_path)
    wait_for_rows(process, tmp_path, 2)
    process.send_signal(number)
    stderr = finish(process, 128 + number)
    assert stderr.startswith("rllib: error: stopped by a signal; resume with: rllib train file er.yaml")
    (checkpoint,) = trial(tmp_path).glob("checkpoint_*")
    assert missing_from(checkpoint) is None
    last = rows(tmp_path)[-1]["training_iteration"]
    process = start(tmp_path, "--resume")
    wait_for_rows(process, tmp_path, last + 1)
    process.kill()
    finish(process, -signal.SIGKILL)
    numbers = [result["training_iteration"] for result in results(trial(tmp_path) / "result.json")]
    assert numbers[: last + 1] == list(range(1, last + 2))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root: sudo python -m pytest tests/faults/test_commands.py -k disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_up_stops_the_run_and_leaves_the_last_checkpoint(
    ray_session: None, start: Start, tmp_path: Path, small_disk: Path
) -> None:
    write(tmp_path, iterations=1000, frequency=1, updates=20)
    stderr = finish(start(tmp_path, "--storage-path", str(small_disk)), 1)
    (line,) = stderr.splitlines()
    assert "No space left on device" in line
    last = find_checkpoint(str(small_disk / "er"))
    number = int(last.name.removeprefix("checkpoint_"))
    # Every save until the disk was full is whole; what came after is not taken for a checkpoint.
    (run,) = small_disk.glob("er/MetaGrad_*")
    whole = [int(folder.name.removeprefix("checkpoint_")) for folder in checkpoints_of(run)]
    assert whole == list(range(number + 1))
    algorithm = MetaGrad.from_checkpoint(str(last))
    assert algorithm.iteration == number + 1
    algorithm.stop()
