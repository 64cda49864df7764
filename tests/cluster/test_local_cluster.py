"""A real cluster of two nodes on this machine, with a token: jobs and `--ray-address` train on both of them."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,  # about a minute on an idle machine, most of it Ray's start
    pytest.mark.skipif(
        importlib.util.find_spec("aiohttp_cors") is None,
        reason="needs Ray's job server: pip install -c constraints.txt -e '.[cluster]'",
    ),
]

# Four CPUs, on nodes of two: wherever the algorithm goes, runners are on both.
EXPERIMENT = """
import pathlib, ray
from rllib_metagrad import MetaGradConfig

def note(*, env_runner, **kwargs):
    node = ray.get_runtime_context().get_node_id()
    (pathlib.Path({folder!r}) / f"{{env_runner.worker_index}}-{{node}}").touch()

config = (
    MetaGradConfig().environment("escape_room", env_config={{"n": 5, "m": 2}})
    .env_runners(num_env_runners=3, num_envs_per_env_runner=8)
    .callbacks(on_environment_created=note)
)
stop = {{"training_iteration": 3}}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


Cluster = dict[str, str]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The environment of commands that use the cluster."""
    folder = tmp_path_factory.mktemp("cluster")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "CLUSTER_DIR": str(folder),
        "CLUSTER_PORT": str(free_port()),
        "CLUSTER_DASHBOARD_PORT": str(free_port()),
    }
    script = str(ROOT / "scripts" / "local_cluster.sh")
    up = subprocess.run([script, "up"], env=environment, capture_output=True, text=True, check=False)
    assert up.returncode == 0, up.stderr
    again = subprocess.run([script, "up"], env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "is up; first: scripts/local_cluster.sh down" in again.stderr
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    yield {**environment, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    subprocess.run([script, "down"], env=environment, check=True)
    assert not list(folder.glob("*.pid"))


@pytest.mark.parametrize("way", ["job", "address"])
def test_training_uses_both_nodes(cluster: Cluster, tmp_path: Path, way: str) -> None:
    work, nodes, results = (tmp_path / name for name in ("work", "nodes", "results"))
    work.mkdir(), nodes.mkdir()
    (work / "er.py").write_text(EXPERIMENT.format(folder=str(nodes)))
    train = [sys.executable, "-m", "rllib_metagrad.cli.main", "train", "file", "er.py", "--storage-path", str(results)]
    if way == "job":
        server = f"http://127.0.0.1:{cluster['CLUSTER_DASHBOARD_PORT']}"
        command = ["ray", "job", "submit", "--address", server, "--working-dir", str(work), "--", *train]
    else:
        command = [*train, "--ray-address", f"127.0.0.1:{cluster['CLUSTER_PORT']}"]
    done = subprocess.run(command, cwd=work, env=cluster, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    places = [name.name.split("-") for name in nodes.iterdir()]
    assert {index for index, _ in places} >= {"1", "2", "3"}
    assert len({node for index, node in places if index != "0"}) == 2
    (file,) = results.glob("er/MetaGrad_*/result.json")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["env_runners"]["num_episodes"] for row in rows] == [24, 24, 24]
    assert list(file.parent.glob("checkpoint_*"))


def test_without_the_token_the_cluster_takes_no_job(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0" * 64)
    server = f"http://127.0.0.1:{cluster['CLUSTER_DASHBOARD_PORT']}"
    done = subprocess.run(
        ["ray", "job", "submit", "--address", server, "--", "true"],
        env={**cluster, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode != 0
    assert "token" in done.stderr.lower() + done.stdout.lower()
