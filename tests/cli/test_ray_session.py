"""A Ray that cannot be reached is told in one line and within half a minute."""

import contextlib
import os
import socket
import subprocess
import sys

import pytest

ARGUMENTS = ["train", "--algo", "MetaGrad", "--env", "escape_room", "--stop", '{"training_iteration": 1}']


WAYS = [(by, listens) for by in ("--ray-address", "RAY_ADDRESS") for listens in (True, False)]


@pytest.mark.integration
def test_a_dead_address(tmp_path):
    """By a flag and by the environment; another program listens there, or nobody. All at once: they only wait."""
    commands = []
    with contextlib.ExitStack() as servers:
        for by, listens in WAYS:
            server = servers.enter_context(socket.create_server(("127.0.0.1", 0)))
            address = f"127.0.0.1:{server.getsockname()[1]}"
            if not listens:
                server.close()
            given = ["--ray-address", address] if by == "--ray-address" else []
            environment = {**os.environ, "RAY_ADDRESS": address} if by == "RAY_ADDRESS" else None
            command = [sys.executable, "-m", "rllib_metagrad.cli.main", *ARGUMENTS, *given]
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
            commands.append((process, f"{by} {address}", listens))
        for process, where, listens in commands:
            _, stderr = process.communicate(timeout=180)
            assert process.returncode == 1
            last = stderr.splitlines()[-1]
            assert last.startswith(f"rllib: error: cannot start or reach {where}: ")
            assert last.endswith("no Ray cluster answers there within 20 s") == listens
