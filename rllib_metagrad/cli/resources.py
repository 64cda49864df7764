"""What a trial needs of CPUs, GPUs and custom resources, and what Ray has: a trial that does not fit waits for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rllib_metagrad.settings import SettingError

__all__ = ["Need", "check", "local", "needs_of"]

_NOT_COUNTED = ("memory", "object_store_memory")


@dataclass(frozen=True)
class Need:
    """Processes of one kind, and what each of them reserves.

    Attributes:
        what: of a message, such as `env runners`.
        count: how many.
        each: resources of one.
        number: key that says how many; None for the main process.
        keys: keys that say what each reserves, of CPUs, GPUs and others.
    """

    what: str
    count: int
    each: Mapping[str, float]
    number: str | None
    keys: tuple[str, str, str]

    def of(self, resource: str) -> float:
        """All of them together."""
        return self.count * self.each.get(resource, 0)

    def key(self, resource: str) -> str:
        """The key to change: how many there are, or what each reserves if that is more than there are of them."""
        of_each = self.keys[{"CPU": 0, "GPU": 1}.get(resource, 2)]
        many = self.number is not None and resource == "CPU" and self.count >= self.each.get(resource, 0)
        return str(self.number) if many else of_each


def needs_of(config: Any, plain: dict[str, Any]) -> list[Need]:
    """What RLlib asks Ray for.

    Args:
        config: the AlgorithmConfig.
        plain: as a dict.
    """
    request = config.algo_class.default_resource_request(plain)
    bundles = list(request.bundles)
    learners, runners = config.num_learners, config.num_env_runners
    main = {} if request.head_bundle_is_empty else bundles.pop(0)
    evaluating = len(bundles) - runners - learners
    # Without learners of their own the main process learns, and reserves what a learner does.
    learns = "num_{}_per_learner" if learners == 0 else "num_{}_for_main_process"
    cpus = "num_cpus_for_main_process" if config.num_cpus_per_learner == "auto" else learns.format("cpus")
    of_runner = ("num_cpus_per_env_runner", "num_gpus_per_env_runner", "custom_resources_per_env_runner")
    of_learner = ("num_cpus_per_learner", "num_gpus_per_learner", "custom_resources_per_learner")
    of_main = (cpus, learns.format("gpus"), "custom_resources_for_main_process")
    return [
        Need("main process", 1, main, None, of_main),
        Need("env runners", runners, bundles[0] if runners else {}, "num_env_runners", of_runner),
        Need(
            "evaluation env runners",
            max(0, evaluating),
            bundles[runners] if evaluating > 0 else {},
            "evaluation_num_env_runners",
            of_runner,
        ),
        Need("learners", learners, bundles[-1] if learners else {}, "num_learners", of_learner),
    ]


def local(num_cpus: int | None, num_gpus: int | None) -> dict[str, float]:
    """What a Ray on this machine has.

    Args:
        num_cpus, num_gpus: as given by flags; None for all there are.
    """
    if num_gpus is None:
        import torch

        num_gpus = torch.cuda.device_count()
    return {"CPU": num_cpus or os.cpu_count() or 1, "GPU": num_gpus}


def check(needs: list[Need], there: Mapping[str, float], *, cluster: bool = False) -> None:
    """Whether one trial fits.

    Args:
        needs: see :func:`needs_of`.
        there: what Ray has.
        cluster: whether that is a cluster's; else of this machine.

    Raises:
        SettingError: with the key that asks for most of what is missing.
    """
    for resource in dict.fromkeys(name for need in needs for name in need.each if name not in _NOT_COUNTED):
        total, has = sum(need.of(resource) for need in needs), there.get(resource, 0)
        if total <= has:
            continue
        most = max(needs, key=lambda need, resource=resource: need.of(resource))  # type: ignore[misc]
        shares = ", ".join(_shares(needs, resource))
        where = "in the cluster" if cluster else "here"
        raise SettingError(
            f"config.{most.key(resource)}",
            f"a trial needs {total:g} {_name(resource, total)} ({shares}), Ray has {has:g} {where}; "
            f"{_advice(resource, total, cluster)}",
        )


def _name(resource: str, number: float) -> str:
    return f"{resource}{'' if number == 1 else 's'}" if resource in ("CPU", "GPU") else f"of {resource!r}"


def _shares(needs: list[Need], resource: str) -> Iterator[str]:
    for need in needs:
        if need.of(resource):
            many = f"{need.count} {need.what}" if need.number else need.what
            yield f"{need.of(resource):g} for {many}"


def _advice(resource: str, total: float, cluster: bool) -> str:
    if cluster:
        return "reserve less, or start more nodes"
    if resource == "CPU":
        return f"use fewer, or share the CPUs with --ray-num-cpus {total:g}"
    return "set it to 0" if resource == "GPU" else "leave it out, or join a cluster that has it with --ray-address"
