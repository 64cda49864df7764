"""What a trial needs of CPUs, GPUs and custom resources, and what Ray has: a trial that does not fit waits for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rllib_metagrad.cli.rllib_keys import KEYS
from rllib_metagrad.settings import SettingError
from rllib_metagrad.settings.rllib import RLlibSettings

__all__ = ["Need", "check", "local", "needs_of", "needs_of_plain"]

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


def needs_of_plain(plain: Mapping[str, Any]) -> list[Need]:
    """What RLlib will ask Ray for, told before Ray is imported; a test compares it with :func:`needs_of`.

    Args:
        plain: values by config key; missing ones have their defaults.
    """
    values = {**KEYS, **RLlibSettings.defaults(), **plain}
    learners = values["num_learners"]
    evaluation = values["evaluation_config"] if isinstance(values["evaluation_config"], Mapping) else {}
    cpus, gpus = values["num_cpus_per_learner"], values["num_gpus_per_learner"]
    cpus = (1 if gpus == 0 else 0) if cpus == "auto" else cpus
    main = values["num_cpus_for_main_process"]
    of_main = {
        "CPU": main if learners else max(cpus, main),
        "GPU": 0 if learners else gpus,
        **values["custom_resources_for_main_process"],
    }
    of_learner = {"CPU": cpus, "GPU": gpus, **(values["custom_resources_per_learner"] or {})}
    return _needs(
        values,
        of_main,
        _of_runner(values),
        _of_runner({**values, **evaluation}),
        of_learner,
        values["evaluation_num_env_runners"],
    )


def _of_runner(values: Mapping[str, Any]) -> dict[str, float]:
    cpus, gpus = values["num_cpus_per_env_runner"], values["num_gpus_per_env_runner"]
    return {"CPU": cpus, "GPU": gpus, **values["custom_resources_per_env_runner"]}


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
    evaluating = max(0, len(bundles) - runners - learners)
    return _needs(
        vars(config),
        main,
        bundles[0] if runners else {},
        bundles[runners] if evaluating else {},
        bundles[-1] if learners else {},
        evaluating,
    )


def _needs(
    values: Mapping[str, Any],
    of_main: Mapping[str, float],
    of_runner: Mapping[str, float],
    of_evaluation: Mapping[str, float],
    of_learner: Mapping[str, float],
    evaluating: int,
) -> list[Need]:
    """Of a trial's processes, from what one of each reserves."""
    learners, runners = values["num_learners"], values["num_env_runners"]
    # Without learners of their own the main process learns, and reserves what a learner does.
    learns = "num_{}_per_learner" if learners == 0 else "num_{}_for_main_process"
    cpus = "num_cpus_for_main_process" if values["num_cpus_per_learner"] == "auto" else learns.format("cpus")
    runner_keys = ("num_cpus_per_env_runner", "num_gpus_per_env_runner", "custom_resources_per_env_runner")
    learner_keys = ("num_cpus_per_learner", "num_gpus_per_learner", "custom_resources_per_learner")
    main_keys = (cpus, learns.format("gpus"), "custom_resources_for_main_process")
    return [
        Need("main process", 1, of_main, None, main_keys),
        Need("env runners", runners, of_runner, "num_env_runners", runner_keys),
        Need("evaluation env runners", evaluating, of_evaluation, "evaluation_num_env_runners", runner_keys),
        Need("learners", learners, of_learner, "num_learners", learner_keys),
    ]


def local(needs: Sequence[Need], num_cpus: int | None, num_gpus: int | None) -> dict[str, float]:
    """What a Ray on this machine has.

    Its GPUs are counted only where some are needed: torch must be imported for it.

    Args:
        needs: of a trial.
        num_cpus, num_gpus: as given by flags; None for all there are.
    """
    if num_gpus is None and any(need.of("GPU") for need in needs):
        import torch

        num_gpus = torch.cuda.device_count()
    return {"CPU": num_cpus or os.cpu_count() or 1, "GPU": num_gpus or 0}


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
