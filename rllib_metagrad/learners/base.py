"""IncentiveLearner: agents that learn under incentives; what to do with the designer is left to subclasses."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ray.rllib.core import COMPONENT_METRICS_LOGGER, COMPONENT_RL_MODULE
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME, WEIGHTS_SEQ_NO
from torch import Tensor

from rllib_metagrad.core.agent_update import ForwardPass
from rllib_metagrad.core.algorithm import agents_step
from rllib_metagrad.core.kinds import KINDS
from rllib_metagrad.core.reduction import OneLearner, Reduction
from rllib_metagrad.core.state import (
    AgentsUpdate,  # noqa: F401  (checkpoints of version 0.1 look for it here)
    AlgorithmState,
    Measured,
    Metrics,
    NonFiniteError,
    Setup,
    initial_state,
)
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.devices import to_device
from rllib_metagrad.learners.distributed import AllReduce, broadcast
from rllib_metagrad.metrics import (
    AGENTS_UPDATE_SECONDS,
    DESIGNER_UPDATE_SECONDS,
    STEPS_TRAINED,
    STEPS_TRAINED_LIFETIME,
    Metric,
)
from rllib_metagrad.modules.networks import Parameters
from rllib_metagrad.modules.population import Stack
from rllib_metagrad.modules.rl_modules import DESIGNER, RowModule
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.old_metrics import without_old_names
from rllib_metagrad.process import prepare_torch
from rllib_metagrad.ray_compat import CompatLearner

COMPONENT_INCENTIVES = "incentive_learner"
__all__ = ["IncentiveLearner", "NonFiniteError", "StaleTrajectoryError"]


class StaleTrajectoryError(RuntimeError):
    """A trajectory was sampled with other weights than the learner's current ones."""


class IncentiveLearner(CompatLearner):
    """Agents learn by :func:`core.algorithm.agents_step`; the designer stays as it is.

    The algorithm is in core; here are RLlib's build, devices, sums over learners, modules and checkpoints. Parameters
    of each stack are one matrix; RLlib's modules are written from it when somebody looks.

    Attributes:
        setup: functions and settings.
        state: all that learning changes.
    """

    state_kinds = KINDS
    # RLlib's own build() looks at the module before there are parameters.
    _parameters_built = False

    # -- construction -----------------------------------------------------------------------------------

    def build(self) -> None:
        """Builds modules and parameters; called by RLlib."""
        if self.is_complete:
            return
        prepare_torch(self.config.torch_num_threads)
        super().build()
        many = self.config.num_learners > 1
        reduction: Reduction = AllReduce() if many else OneLearner()
        spec: EnvSpec = self.multi_spec.rl_module_specs[DESIGNER].model_config["env_spec"]
        self.stacks: tuple[Stack, ...] = self.config.make_stacks(spec)
        setup = self.config.make_setup(spec, self.stacks, reduction, self.torch_device)
        self._layouts: list[Parameters] = [policy.parameters for policy in setup.policies]
        self._layouts += [part.parameters for part in (setup.designer, setup.critic) if part is not None]
        self.setup: Setup[Any, Any, Any] = setup
        # All learners draw the same minibatches and the same start from one seed.
        seed = secrets.randbits(63) if self.config.seed is None else int(self.config.seed)
        mixed = np.random.SeedSequence([seed, 104729]).generate_state(1, np.uint64)[0]
        self.generator = torch.Generator().manual_seed(int(mixed >> np.uint64(1)))
        if many:
            drawn = broadcast(self.generator.get_state().to(self.torch_device))
            self.generator.set_state(drawn.cpu())
        sizes = [len(stack.policy_ids) for stack in self.stacks]
        self.state: AlgorithmState = initial_state(self.setup, sizes, self.generator, self.torch_device)
        self._replica_due = True
        self._env_steps = 0
        self._logged: dict[tuple[Metric, int | None], list[Any]] = {}
        self._mark_modules_read()
        self._parameters_built = True

    # -- learning ---------------------------------------------------------------------------------------

    def update(
        self,
        training_data: TrainingData | None = None,
        *,
        timesteps: dict[str, Any] | None = None,
        phases: Sequence[str] = ("designer", "agents"),
        report: bool = True,
        **kwargs: Any,
    ) -> Any:
        """One iteration of Algorithm 1 on one trajectory.

        Args:
            training_data: with the trajectory (this learner's shard) as ``batch`` or only one of ``batches``.
            timesteps: with NUM_ENV_STEPS_SAMPLED_LIFETIME, for schedules.
            phases: ``designer`` takes the trajectory as validation of the last agents' update, ``agents``
                makes the next one on it.
            report: return metrics of all updates since the last report, else nothing.

        Raises:
            StaleTrajectoryError: if the trajectory was not sampled with the current weights.
            NonFiniteError: if a gradient is NaN or infinite and ``nan_policy`` is ``error``.
        """
        self._read_modules()
        assert training_data is not None
        trajectory: Trajectory = training_data.batch if training_data.batch is not None else training_data.batches[0]
        if trajectory.weights_seq_no != self.weights_seq_no:
            raise StaleTrajectoryError(
                f"trajectory was sampled with weights {trajectory.weights_seq_no}, "
                f"but the learner holds {self.weights_seq_no}"
            )
        if not self.setup.settings.incentives.bootstrap_truncated:
            trajectory = trajectory.ended_by_time_limits()
        if self.torch_device.type != "cpu":
            trajectory = trajectory.map(lambda x: x.to(self.torch_device, non_blocking=True))
        self._env_steps = int((timesteps or {}).get(NUM_ENV_STEPS_SAMPLED_LIFETIME, self._env_steps))
        now, eta_in_force, forward = self.setup.at(self._env_steps), self.state.eta.value, None
        start = time.perf_counter()
        if "designer" in phases:
            self.state, forward, metrics = self.designer_step(now, trajectory, report)
            self._log(metrics)
        middle = time.perf_counter()
        if "agents" in phases:
            self.state, metrics = agents_step(now, self.state, trajectory, eta_in_force, self.generator, forward)
            if self.state.last_update is not None:
                metrics.append(Measured(STEPS_TRAINED, trajectory.env_steps()))
            self._log(metrics)
        self._log([Measured(DESIGNER_UPDATE_SECONDS, middle - start)])
        self._log([Measured(AGENTS_UPDATE_SECONDS, time.perf_counter() - middle)])
        self.weights_seq_no += 1
        return self.report() if report else {}

    def designer_step(
        self, now: Setup[Any, Any, Any], validation: Trajectory, report: bool
    ) -> tuple[AlgorithmState, Sequence[ForwardPass] | None, Metrics]:
        """The designer learns from data of the agents' current policies; here it does not.

        Args:
            now: functions, and settings at this moment.
            validation: the trajectory.
            report: whether metrics are wanted that cost something.

        Returns:
            The new state, forward passes that the agents' step may use, and metrics.
        """
        return self.state, None, []

    # -- metrics ----------------------------------------------------------------------------------------

    def _log(self, measured: Metrics) -> None:
        """Notes values; tensors are read, and values reduced, only when reporting."""
        for one in measured:
            self._logged.setdefault((one.metric, one.stack), []).append(one.value)

    def report(self) -> Any:
        """Metrics since the last report, in RLlib's form."""
        trained = 0.0
        for (metric, stack), noted in self._logged.items():
            values = torch.stack([torch.as_tensor(value, dtype=torch.float64) for value in noted])
            reduction = getattr(values, {"mean": "mean", "sum": "sum", "max": "amax"}[metric.reduce])
            reduced = reduction(0).reshape(-1).tolist()
            if stack is None:
                metric.log(self.metrics, reduced[0])
            else:
                for policy_id, value in zip(self.stacks[stack].policy_ids, reduced, strict=True):
                    metric.of(policy_id).log(self.metrics, value)
            if metric == STEPS_TRAINED:
                trained = reduced[0]
        STEPS_TRAINED_LIFETIME.log(self.metrics, trained)
        self._logged, self._replica_due = {}, True
        return self.metrics.reduce()

    # -- state ------------------------------------------------------------------------------------------

    def module_rows(self) -> list[tuple[RowModule, Parameters, Tensor]]:
        """(module, layout, row ``[1, D]``) of everything that RLlib's modules show: agents, designer, its critic."""
        rows: list[tuple[RowModule, Parameters, Tensor]] = []
        for stack, layout, agents in zip(self.stacks, self._layouts, self.state.agents, strict=False):
            for i, policy_id in enumerate(stack.policy_ids):
                rows.append((self.raw_module[policy_id], layout, agents.theta[i : i + 1]))
        designer = [self.state.eta] if self.state.phi is None else [self.state.eta, self.state.phi]
        for layout, parameter in zip(self._layouts[len(self.stacks) :], designer, strict=True):
            rows.append((self.raw_module[DESIGNER], layout, parameter.value))
        return rows

    def _mark_modules_read(self) -> None:
        for module, _, _ in self.module_rows():
            module.changed = False

    def _read_modules(self) -> None:
        """Takes over parameters that were loaded into RLlib's modules from outside."""
        rows = self.module_rows()
        if not any(module.changed for module, _, _ in rows):
            return
        self._set_rows([module.read(layout).to(self.torch_device) for module, layout, _ in rows])
        # The agents' last update did not lead to these.
        self.state = replace(self.state, last_update=None)
        self._mark_modules_read()

    def _set_rows(self, rows: list[Tensor]) -> None:
        """Sets parameters from rows in the order of :meth:`module_rows`; optimizers stay."""
        agents, start = [], 0
        for stack, old in zip(self.stacks, self.state.agents, strict=True):
            agents.append(replace(old, theta=torch.cat(rows[start : start + len(stack.policy_ids)])))
            start += len(stack.policy_ids)
        eta, phi = replace(self.state.eta, value=rows[start]), self.state.phi
        if phi is not None:
            phi = replace(phi, value=rows[start + 1])
        self.state = replace(self.state, agents=tuple(agents), eta=eta, phi=phi)

    @property
    def module(self) -> Any:
        """RLlib's view of the parameters, up to date."""
        if self._parameters_built:
            self._read_modules()
            for module, layout, row in self.module_rows():
                module.write(layout, row)
        return self.raw_module

    def get_state(
        self,
        components: Any = None,
        *,
        not_components: Any = None,
        inference_only: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """State for checkpoints; with ``inference_only`` what runners need, as a few large arrays."""
        if inference_only:
            self._read_modules()
            return {
                WEIGHTS_SEQ_NO: self.weights_seq_no,
                COMPONENT_RL_MODULE: {
                    "agents": [agents.theta.cpu().numpy() for agents in self.state.agents],
                    "designer": self.state.eta.value.cpu().numpy(),
                    "epsilon": self.setup.settings.agents.at(self._env_steps).epsilon,
                },
            }
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if self.has_component(COMPONENT_INCENTIVES, components, not_components):
            state[COMPONENT_INCENTIVES] = to_device(self.get_own_state(), torch.device("cpu"))
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state` (full states only)."""
        if COMPONENT_METRICS_LOGGER in state:
            state = {**state, COMPONENT_METRICS_LOGGER: without_old_names(state[COMPONENT_METRICS_LOGGER])}
        super().set_state(state)
        self.weights_seq_no = int(state.get(WEIGHTS_SEQ_NO, self.weights_seq_no))
        self._read_modules()
        if COMPONENT_INCENTIVES in state:
            self.set_own_state(to_device(state[COMPONENT_INCENTIVES], self.torch_device))

    def get_agents(self) -> dict[str, Any]:
        """The agents' side alone, on the CPU: parameters, optimizers, targets, and the steps that schedules count."""
        self._read_modules()
        return {
            "policies": [stack.policy_ids for stack in self.stacks],
            "agents": to_device(self.state.agents, torch.device("cpu")),
            "env_steps": self._env_steps,
        }

    def set_agents(self, saved: dict[str, Any]) -> None:
        """Inverse of :meth:`get_agents`, in a learner of any method whose agents are the same.

        Raises:
            ValueError: if policies are others.
        """
        if saved["policies"] != (own := [stack.policy_ids for stack in self.stacks]):
            raise ValueError(f"policies are {own}, not {saved['policies']}")
        agents = to_device(saved["agents"], self.torch_device)
        # The agents' last update did not lead to these.
        self.state = replace(self.state, agents=agents, last_update=None)
        self._env_steps = saved["env_steps"]

    def get_own_state(self) -> dict[str, Any]:
        """All but the parameters that the modules hold."""
        state = self.state
        return {
            "agents": [(agents.optimizer, agents.target) for agents in state.agents],
            "eta_optimizer": state.eta.optimizer,
            "phi_optimizer": None if state.phi is None else state.phi.optimizer,
            "phi_target": state.phi_target,
            "cost_optimizer": state.cost_optimizer,
            "clones": state.clones,
            # A shard of the trajectory says nothing about the other learners': they start the pipeline afresh.
            "last_update": state.last_update if self.config.num_learners <= 1 else None,
            "num_seen": state.num_seen,
            "memory": state.memory,
            "generator": self.generator.get_state(),
            "env_steps": self._env_steps,
        }

    def set_own_state(self, saved: dict[str, Any]) -> None:
        """Inverse of :meth:`get_own_state`."""
        now = self.state
        agents = [
            replace(old, optimizer=optimizer, target=target)
            for old, (optimizer, target) in zip(now.agents, saved["agents"], strict=True)
        ]
        clones = saved.get("clones")
        self.state = replace(
            now,
            agents=tuple(agents),
            eta=replace(now.eta, optimizer=saved["eta_optimizer"]),
            phi=None if now.phi is None else replace(now.phi, optimizer=saved["phi_optimizer"]),
            phi_target=saved.get("phi_target"),
            cost_optimizer=saved.get("cost_optimizer", now.cost_optimizer),
            clones=None if clones is None else tuple(clones),
            last_update=saved["last_update"],
            num_seen=saved.get("num_seen", saved.get("looked_at", 0)),  # its name in 0.1
            memory=saved.get("memory", now.memory),
        )
        self.generator.set_state(saved["generator"].cpu())  # draws are the CPU's, so that they do not depend on devices
        self._env_steps = saved["env_steps"]

    def compute_loss_for_module(self, **kwargs: Any) -> Any:
        """RLlib's per-module loss; here one loss couples all modules, see :meth:`update`."""
        raise NotImplementedError("IncentiveLearner computes its losses in update()")
