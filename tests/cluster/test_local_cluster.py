"""A real cluster of two nodes on this machine, with a token: jobs and `--ray-address` train on both of them."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,  # minutes, most of it Ray's start
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
        "CLUSTER_WAIT": "300",
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


def run(cluster: Cluster, way: str, folder: Path, *train: str) -> None:
    """`rllib train` with these arguments in a folder, as a job that is sent the folder, or by its address."""
    if way == "job":
        server = f"http://127.0.0.1:{cluster['CLUSTER_DASHBOARD_PORT']}"
        command = ["ray", "job", "submit", "--address", server, "--working-dir", ".", "--", "rllib", "train", *train]
    else:
        command = ["rllib", "train", *train, "--ray-address", f"127.0.0.1:{cluster['CLUSTER_PORT']}"]
    done = subprocess.run(command, cwd=folder, env=cluster, capture_output=True, text=True, timeout=1000, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def results(storage: Path, name: str) -> list[dict[str, Any]]:
    """All results of the only trial, after a look for its checkpoint."""
    (file,) = storage.glob(f"{name}/MetaGrad_*/result.json")
    assert list(file.parent.glob("checkpoint_*"))
    return [json.loads(line) for line in file.read_text().splitlines()]


def nodes_of_runners(cluster: Cluster) -> list[str]:
    """The node of every env runner that the cluster has ever had."""
    server = f"http://127.0.0.1:{cluster['CLUSTER_DASHBOARD_PORT']}"
    command = ["ray", "list", "actors", "--address", server, "--filter", "class_name=IncentiveEnvRunner"]
    listed = subprocess.run([*command, "--format", "json"], env=cluster, capture_output=True, text=True, check=True)
    return [actor["node_id"] for actor in json.loads(listed.stdout)]


@pytest.mark.parametrize("way", ["job", "address"])
def test_training_uses_both_nodes(cluster: Cluster, tmp_path: Path, way: str) -> None:
    work, nodes, storage = (tmp_path / name for name in ("work", "nodes", "results"))
    work.mkdir(), nodes.mkdir()
    (work / "er.py").write_text(EXPERIMENT.format(folder=str(nodes)))
    run(cluster, way, work, "file", "er.py", "--storage-path", str(storage))
    places = [name.name.split("-") for name in nodes.iterdir()]
    assert {index for index, _ in places} >= {"1", "2", "3"}
    assert len({node for index, node in places if index != "0"}) == 2
    assert [row["env_runners"]["num_episodes"] for row in results(storage, "er")] == [24, 24, 24]


@pytest.mark.parametrize("way", ["job", "address"])
def test_a_shipped_config_trains_to_its_end(cluster: Cluster, tmp_path: Path, way: str) -> None:
    """From the checkout's folder, as docs/cluster.md has it; three runners do not fit on one of the nodes."""
    before = nodes_of_runners(cluster)
    shipped = "tuned_configs/escape_room/metagrad_5_2.yaml"
    flags = ["--override", "--config", '{"num_env_runners": 3}', "--storage-path", str(tmp_path)]
    run(cluster, way, ROOT, "file", shipped, *flags)
    rows = results(tmp_path, "metagrad_5_2")
    steps = [row["num_env_steps_sampled_lifetime"] for row in rows]
    assert steps[-2] < 100_000 <= steps[-1]
    assert {row["env_runners"]["num_episodes"] for row in rows} == {25 * 3 * 64}
    places = list((Counter(nodes_of_runners(cluster)) - Counter(before)).elements())
    assert len(places) == 3
    assert len(set(places)) == 2


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
