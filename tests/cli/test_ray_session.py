"""A Ray that cannot be reached is told in one line and within half a minute."""

import socket
import subprocess
import sys
import time

import pytest

ARGUMENTS = ["train", "--algo", "MetaGrad", "--env", "escape_room", "--stop", '{"training_iteration": 1}']


@pytest.mark.integration
@pytest.mark.parametrize("listens", [True, False], ids=["another program", "nobody"])
@pytest.mark.parametrize("by", ["--ray-address", "RAY_ADDRESS"])
def test_a_dead_address(tmp_path, monkeypatch, listens, by):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        if by == "RAY_ADDRESS":
            monkeypatch.setenv("RAY_ADDRESS", address)
        given = ["--ray-address", address] if by == "--ray-address" else []
        command = [sys.executable, "-m", "rllib_metagrad.cli.main", *ARGUMENTS, *given]
        start = time.monotonic()
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"rllib: error: cannot start or reach {by} {address}: ")
    assert time.monotonic() - start < 20 + 30  # the check before it takes what it takes on a busy machine
    assert last.endswith("no Ray cluster answers there within 20 s") == listens
