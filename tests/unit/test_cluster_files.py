"""The files in docker/ against Ray's own validation, KubeRay's published fields, and each other.

KubeRay publishes its schema as a CustomResourceDefinition in its repository and its Helm chart; no Python package that
was found carries it (codeflare-sdk, with KubeRay's Python client in it, does not). So the manifest is checked against
the fields below, copied by hand from KubeRay's API reference and compared with the types that the definition is made
from (ray-operator/apis/ray/v1; authOptions is younger than the copies that could be had), and against the definition
itself where somebody has it:

    KUBERAY_CRD=ray.io_rayjobs.yaml python -m pytest tests/unit/test_cluster_files.py
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts import scripts

ROOT = Path(__file__).parent.parent.parent
DOCKER = ROOT / "docker"
TOKEN = "RAY_AUTH_MODE"


def load(name: str) -> Any:
    return yaml.safe_load((DOCKER / name).read_text())


def parse_start(command: str) -> dict[str, Any]:
    """The options of a `ray start` command, read by Ray's own parser: it knows every flag and type."""
    words = shlex.split(command)
    assert words[:2] == ["ray", "start"], command
    return dict(scripts.start.make_context("start", words[2:]).params)


# -- Dockerfile ---------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in (line.split(maxsplit=1) for line in lines)]


def test_the_image_is_slim_pinned_and_not_root() -> None:
    steps = instructions()
    bases = [rest for word, rest in steps if word == "FROM"]
    assert bases == ["python:${PYTHON}-slim AS build", "python:${PYTHON}-slim"]
    last = [i for i, (word, _) in enumerate(steps) if word == "FROM"][-1]
    assert [rest for word, rest in steps[last:] if word == "USER"] == ["ray"]
    installs = [rest for word, rest in steps if word == "RUN" and "pip install" in rest]
    assert "-c constraints.txt" in installs[-1]
    assert "grep '^torch=='" in installs[0]
    assert re.search(r"^torch==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    # Pins are of no use beside an unpinned Python.
    assert ("ARG", "PYTHON=3.11") in steps
    assert ("ARG", "VARIANT=cpu") in steps


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    wanted = {
        source
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    ignore = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == wanted
    assert all((ROOT / source).exists() for source in wanted)


# -- compose ------------------------------------------------------------------------------------------------


def test_compose_has_a_head_and_workers_that_share_a_token() -> None:
    compose = load("compose.yaml")
    assert set(compose["services"]) == {"head", "worker"}
    for service in compose["services"].values():
        path = service["environment"]["RAY_AUTH_TOKEN_PATH"]
        assert service["environment"][TOKEN] == "token"
        assert [f"/run/secrets/{name}" for name in service["secrets"]] == [path]
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert [volume.split(":")[0] for volume in service["volumes"]] == list(compose["volumes"])
        build = service["build"]
        assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKER / "Dockerfile"
        declared = {rest.split("=")[0] for word, rest in instructions() if word == "ARG"}
        assert set(build["args"]) <= declared
    # The token stays out of the repository.
    assert "/docker/ray_token" in (ROOT / ".gitignore").read_text().splitlines()
    head, worker = (compose["services"][name] for name in ("head", "worker"))
    started, joining = parse_start(head["command"]), parse_start(worker["command"])
    assert started["head"]
    assert started["block"]
    assert joining["block"]
    assert joining["address"] == f"head:{started['port']}"
    # The job server is reachable from this machine only.
    assert head["ports"] == [f"127.0.0.1:{started['dashboard_port']}:{started['dashboard_port']}"]
    assert worker["depends_on"] == {"head": {"condition": "service_healthy"}}
    assert head["healthcheck"]["test"][-1] == f"127.0.0.1:{started['port']}"


# -- Ray's cluster launcher ---------------------------------------------------------------------------------


def test_the_launcher_file_is_valid_for_ray() -> None:
    given = load("ray_cluster.yaml")
    config = prepare_config(given)
    validate_config({**config, "cluster_synced_files": config.get("cluster_synced_files", [])})
    nodes = config["available_node_types"]
    assert sum(node.get("min_workers", 0) for node in nodes.values()) <= config["max_workers"]
    head, worker = (given[f"{kind}_start_ray_commands"][-1] for kind in ("head", "worker"))
    assert parse_start(head)["head"]
    assert parse_start(worker)["address"] == f"$RAY_HEAD_IP:{parse_start(head)['port']}"
    assert any(f"{TOKEN}=token" in option for option in given["docker"]["run_options"])
    assert "/home/ray/.ray/auth_token" in given["file_mounts"]


def test_rays_validation_would_find_a_mistake() -> None:
    config = prepare_config({**load("ray_cluster.yaml"), "max_worker": 3})
    with pytest.raises(Exception, match="'max_worker' was unexpected"):
        validate_config({**config, "cluster_synced_files": []})


# -- KubeRay ------------------------------------------------------------------------------------------------

#: Fields of ray.io/v1 that KubeRay publishes (API reference of 1.6), as far as such a manifest needs them.
FIELDS: dict[str, dict[str, Any]] = {
    "RayJob": {"apiVersion": str, "kind": str, "metadata": dict, "spec": "RayJobSpec"},
    "RayJobSpec": {
        "entrypoint": str,
        "runtimeEnvYAML": str,
        "submissionMode": str,
        "backoffLimit": int,
        "activeDeadlineSeconds": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "suspend": bool,
        "entrypointNumCpus": float,
        "entrypointNumGpus": float,
        "submitterPodTemplate": dict,
        "rayClusterSpec": "RayClusterSpec",
    },
    "RayClusterSpec": {
        "rayVersion": str,
        "authOptions": "AuthOptions",
        "enableInTreeAutoscaling": bool,
        "autoscalerOptions": dict,
        "headGroupSpec": "HeadGroupSpec",
        "workerGroupSpecs": ["WorkerGroupSpec"],
    },
    "AuthOptions": {"mode": str, "secretName": str},
    "HeadGroupSpec": {"rayStartParams": {str: str}, "template": "PodTemplate", "serviceType": str},
    "WorkerGroupSpec": {
        "groupName": str,
        "replicas": int,
        "minReplicas": int,
        "maxReplicas": int,
        "rayStartParams": {str: str},
        "template": "PodTemplate",
    },
    "PodTemplate": {"metadata": dict, "spec": "PodSpec"},
    "PodSpec": {"containers": ["Container"], "volumes": [dict], "securityContext": dict, "serviceAccountName": str},
    "Container": {
        "name": str,
        "image": str,
        "env": [dict],
        "ports": [dict],
        "resources": "Resources",
        "volumeMounts": [dict],
    },
    "Resources": {"requests": {str: str}, "limits": {str: str}},
}


def problems(value: Any, kind: Any, where: str) -> list[str]:
    """What in a manifest is no field, or of the wrong type; YAML's `cpu: 2` where a string is needed is such a one."""
    if isinstance(kind, str):
        if not isinstance(value, dict):
            return [f"{where}: must be a mapping"]
        unknown = [f"{where}.{key}: no such field of {kind}" for key in value if key not in FIELDS[kind]]
        known = [(key, item) for key, item in value.items() if key in FIELDS[kind]]
        return unknown + [p for key, item in known for p in problems(item, FIELDS[kind][key], f"{where}.{key}")]
    if isinstance(kind, list):
        if not isinstance(value, list):
            return [f"{where}: must be a list"]
        return [p for i, item in enumerate(value) for p in problems(item, kind[0], f"{where}[{i}]")]
    if isinstance(kind, dict):
        (item_kind,) = kind.values()
        return [p for key, item in value.items() for p in problems(item, item_kind, f"{where}.{key}")]
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return [] if right else [f"{where}: must be {kind.__name__}, got {value!r}"]


def test_the_ray_job_has_only_fields_that_kuberay_knows() -> None:
    job = load("rayjob.yaml")
    assert problems(job, "RayJob", "RayJob") == []
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["authOptions"]["mode"] == "token"
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = set()
    for group in groups:
        flags = [f"--{key}={value}" for key, value in group["rayStartParams"].items()]
        parse_start(shlex.join(["ray", "start", "--head", *flags]))
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        images.add(container["image"])
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert len(images) == 1
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_check_of_the_ray_job_would_find_a_mistake() -> None:
    job = load("rayjob.yaml")
    job["spec"]["ttlSecondAfterFinished"] = 3
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
    assert problems(job, "RayJob", "RayJob") == [
        "RayJob.spec.ttlSecondAfterFinished: no such field of RayJobSpec",
        "RayJob.spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus: must be str, got 0",
    ]


def strict(schema: Any) -> Any:
    """An OpenAPI schema of Kubernetes as JSON schema; fields that it does not know are errors and not dropped."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(item) for key, item in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed["additionalProperties"] = False
    return closed


def against_definition(manifest: dict[str, Any], definition: dict[str, Any]) -> list[str]:
    """What is wrong with a manifest's spec by its kind's CustomResourceDefinition."""
    assert definition["spec"]["names"]["kind"] == manifest["kind"]
    version = manifest["apiVersion"].split("/")[1]
    (found,) = (v for v in definition["spec"]["versions"] if v["name"] == version)
    schema = strict(found["schema"]["openAPIV3Schema"]["properties"]["spec"])
    errors = jsonschema.Draft7Validator(schema).iter_errors(manifest["spec"])
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def test_the_check_against_a_definition_finds_unknown_fields_and_wrong_types() -> None:
    spec = {
        "type": "object",
        "required": ["entrypoint"],
        "properties": {
            "entrypoint": {"type": "string"},
            "backoffLimit": {"type": "integer", "format": "int32"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}}}
    definition = {"spec": {"names": {"kind": "RayJob"}, "versions": [version]}}
    job = {"apiVersion": "ray.io/v1", "kind": "RayJob"}
    right = {"entrypoint": "true", "metadata": {"any": "thing"}}
    assert against_definition({**job, "spec": right}, definition) == []
    wrong = {"entrypoint": "true", "backofLimit": 1, "metadata": {"any": 1}}
    found = against_definition({**job, "spec": wrong}, definition)
    assert sorted(message.split(":")[0] for message in found) == ["", "metadata.any"]
    assert "backofLimit" in "".join(found)


@pytest.mark.skipif("KUBERAY_CRD" not in os.environ, reason="needs KUBERAY_CRD, see the top of this file")
def test_the_ray_job_is_valid_by_kuberays_own_definition() -> None:
    definition = yaml.safe_load(Path(os.environ["KUBERAY_CRD"]).read_text())
    assert against_definition(load("rayjob.yaml"), definition) == []
