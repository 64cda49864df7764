"""IncentiveLearner: agents that learn under incentives; what to do with the designer is left to subclasses."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_ENV_STEPS_TRAINED,
    NUM_ENV_STEPS_TRAINED_LIFETIME,
    WEIGHTS_SEQ_NO,
)
from torch import Tensor

from rllib_metagrad.algorithms.config_rules import value_at
from rllib_metagrad.core import optimizers
from rllib_metagrad.core.agent_update import (
    AgentSettings,
    AgentState,
    Look,
    Update,
    look,
    update,
)
from rllib_metagrad.core.minibatches import draw_minibatches
from rllib_metagrad.core.optimizers import OptimizerSettings, OptimizerState
from rllib_metagrad.core.reduction import OneLearner, Reduction
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.devices import to_device
from rllib_metagrad.learners.distributed import AllReduce, broadcast
from rllib_metagrad.modules.rl_modules import DESIGNER, RowModule
from rllib_metagrad.process import prepare_torch

COMPONENT_INCENTIVES = "incentive_learner"
NUM_SKIPPED_UPDATES = "num_skipped_updates"


class NonFiniteError(FloatingPointError):
    """A loss or gradient became NaN or infinite."""


class StaleTrajectoryError(RuntimeError):
    """A trajectory was sampled with other weights than the learner's current ones."""


@dataclass
class Parameter:
    """A row of parameters ``[1, D]`` with its own optimiser state."""

    value: Tensor
    optimizer: OptimizerState

    def step(self, grad: Tensor, settings: OptimizerSettings) -> None:
        """One optimiser step downhill."""
        self.value, self.optimizer = optimizers.step(settings, self.value, grad, self.optimizer)


@dataclass(frozen=True)
class AgentsUpdate:
    """What an agents' update was made of: all that its replica needs.

    Attributes:
        trajectory: tau.
        states: of every stack, before the update.
        eta: parameters of the incentive function in force when tau was sampled.
        settings: how the agents learned.
        minibatches: of every stack, the indices of its M steps.
        outcomes: of every stack, what came of it; None if the update was only imagined.
    """

    trajectory: Trajectory
    states: tuple[AgentState, ...]
    eta: Tensor
    settings: AgentSettings
    minibatches: tuple[Sequence[Tensor | None], ...]
    outcomes: tuple[Update, ...] | None = None


class IncentiveLearner(TorchLearner):
    """Agents learn by :func:`core.agent_update.update`; the designer stays as it is.

    Parameters of each stack are one matrix; RLlib's modules are written from it when somebody looks.
    """

    _weights_seq_no: int
    # RLlib's own build() looks at the module before there are parameters.
    _parameters_built = False

    # -- construction -----------------------------------------------------------------------------------

    def build(self) -> None:
        """Builds modules and parameters; called by RLlib."""
        if self._is_built:
            return
        prepare_torch(self.config.torch_num_threads)
        super().build()
        many = self.config.num_learners > 1
        self.reduction: Reduction = AllReduce() if many else OneLearner()
        self.env_spec = self._module_spec.rl_module_specs[DESIGNER].model_config["env_spec"]
        self.stacks = self.config.make_stacks(self.env_spec)
        self.policies = [self.config.make_policy(stack) for stack in self.stacks]
        self.designer = self.config.make_designer(self.env_spec)
        for policy in self.policies:
            policy.critic_only = policy.critic_only.to(self._device)
            if policy.trainable is not None:
                policy.trainable = policy.trainable.to(self._device)
        # All learners draw the same minibatches and the same start from one seed.
        seed = secrets.randbits(63) if self.config.seed is None else int(self.config.seed)
        mixed = np.random.SeedSequence([seed, 104729]).generate_state(1, np.uint64)[0]
        self.generator = torch.Generator().manual_seed(int(mixed >> np.uint64(1)))
        if many:
            state = broadcast(self.generator.get_state().to(self._device))
            self.generator.set_state(state.cpu())

        settings = self.config.agent_settings(0)
        self.agents: list[AgentState] = []
        for stack, policy in zip(self.stacks, self.policies, strict=True):
            theta = policy.initialize(len(stack.policy_ids), self.generator).to(self._device)
            self.agents.append(self._fresh(theta, settings))
        self.eta = self._parameter(self.designer.initialize(self.generator))
        self.build_designer()
        self.last_update: AgentsUpdate | None = None
        self._looks: list[Look] | None = None
        self._reporting = True
        self._env_steps = 0
        self._logged: dict[tuple[tuple[str, ...], str], list[Any]] = {}
        self._mark_modules_read()
        self._parameters_built = True

    def build_designer(self) -> None:
        """For subclasses: further parameters of the designer."""

    def _fresh(self, theta: Tensor, settings: AgentSettings) -> AgentState:
        target = theta.clone() if settings.target_tau is not None else None
        return AgentState(theta, optimizers.initial_state(settings.optimizer, theta), target)

    def _parameter(self, value: Tensor) -> Parameter:
        value = value.to(self._device)
        return Parameter(value, OptimizerState(torch.zeros_like(value), torch.zeros_like(value)))

    def configure_optimizers(self) -> None:
        """Ours are functional and need no registration."""

    def _make_modules_ddp_if_necessary(self) -> None:
        """No DDP: gradients are summed in core, exactly."""

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
        if trajectory.weights_seq_no != self._weights_seq_no:
            raise StaleTrajectoryError(
                f"trajectory was sampled with weights {trajectory.weights_seq_no}, "
                f"but the learner holds {self._weights_seq_no}"
            )
        if not self.config.bootstrap_truncated:
            trajectory = trajectory.ended_by_time_limits()
        if self._device.type != "cpu":
            trajectory = trajectory.map(lambda x: x.to(self._device, non_blocking=True))
        self._env_steps = int((timesteps or {}).get(NUM_ENV_STEPS_SAMPLED_LIFETIME, self._env_steps))
        eta_in_force = self.eta.value
        self._looks, self._reporting = None, report
        start = time.perf_counter()
        if "designer" in phases:
            self.designer_update(trajectory)
        middle = time.perf_counter()
        if "agents" in phases:
            self.agents_update(trajectory, eta_in_force)
            self.log((ALL_MODULES, NUM_ENV_STEPS_TRAINED), trajectory.env_steps(), reduce="sum")
        self.log(("timers", "designer_update"), middle - start, reduce="sum")
        self.log(("timers", "agents_update"), time.perf_counter() - middle, reduce="sum")
        self._weights_seq_no += 1
        return self.report() if report else {}

    def agents_update(self, trajectory: Trajectory, eta_in_force: Tensor) -> None:
        """Agents learn from the rewards that the trajectory really carried."""
        settings = self.config.agent_settings(self._env_steps)
        rewards = self.designer.mechanism.rewards(trajectory.designer_output, trajectory)
        before, drawn, outcomes = tuple(self.agents), [], []
        looks: Sequence[Look | None] = self._looks or [None] * len(before)
        # Where an update is skipped there is nothing that the designer could look through.
        self.last_update = self._looks = None
        for i, (stack, policy) in enumerate(zip(self.stacks, self.policies, strict=True)):
            group = trajectory.groups[i]
            columns = trajectory.num_envs * group.agents.shape[1]
            minibatches = draw_minibatches(
                trajectory.num_steps, columns, settings, self.generator, whole_columns=policy.recurrent
            )
            drawn.append(minibatches)
            done = update(
                policy, before[i], trajectory, group, rewards, settings, minibatches, self.reduction, seen=looks[i]
            )
            if not self._finite(f"agents {', '.join(stack.policy_ids)}", done.state.theta):
                return
            outcomes.append(done)
            for key, values in done.metrics.items():
                self.log(("agents", str(i), key), values)
        self.agents = [done.state for done in outcomes]
        self.last_update = AgentsUpdate(trajectory, before, eta_in_force, settings, tuple(drawn), tuple(outcomes))

    def looks(self, trajectory: Trajectory) -> list[Look]:
        """The current policies on a trajectory that is next to be learned from, see :class:`Look`."""
        self._looks = [
            look(policy, state.theta, trajectory, group)
            for policy, state, group in zip(self.policies, self.agents, trajectory.groups, strict=True)
        ]
        return self._looks

    def designer_update(self, validation: Trajectory) -> None:
        """For subclasses: the designer learns from data of the agents' current policies."""

    def _finite(self, who: str, *tensors: Tensor) -> bool:
        """Whether all are finite; if not, raises or counts, as ``nan_policy`` says."""
        # A sum is NaN or infinite as soon as one summand is, and costs a third of an elementwise check.
        if all(math.isfinite(tensor.sum()) for tensor in tensors):
            return True
        if self.config.nan_policy == "error":
            raise NonFiniteError(
                f"NaN or infinity in the update of {who} after {self._env_steps} environment steps; lower its "
                "learning rate, clip its gradient (agent_grad_clip, designer_grad_clip), or set nan_policy: skip"
            )
        self.log((ALL_MODULES, NUM_SKIPPED_UPDATES), 1, reduce="sum")
        return False

    # -- metrics ----------------------------------------------------------------------------------------

    def log(self, key: tuple[str, ...], value: Any, reduce: str = "mean") -> None:
        """Notes a value of a metric; tensors are read, and values reduced, only when reporting."""
        self._logged.setdefault((key, reduce), []).append(value)

    def report(self) -> Any:
        """Metrics since the last report, in RLlib's form."""
        trained = 0.0
        for (key, how), noted in self._logged.items():
            values = torch.stack([torch.as_tensor(value, dtype=torch.float64) for value in noted])
            reduction = getattr(values, {"mean": "mean", "sum": "sum", "max": "amax"}[how])
            reduced = reduction(0).reshape(-1).tolist()
            if key[0] == "agents":
                stack = self.stacks[int(key[1])]
                names = [("agents", policy_id, *key[2:]) for policy_id in stack.policy_ids]
            else:
                names = [key]
            for name, value in zip(names, reduced, strict=True):
                self.metrics.log_value(name, value, reduce=how)
            if key == (ALL_MODULES, NUM_ENV_STEPS_TRAINED):
                trained = reduced[0]
        self.metrics.log_value((ALL_MODULES, NUM_ENV_STEPS_TRAINED_LIFETIME), trained, reduce="lifetime_sum")
        self._logged = {}
        return self.metrics.reduce()

    # -- state ------------------------------------------------------------------------------------------

    def module_rows(self) -> list[tuple[RowModule, Any, Tensor]]:
        """(module, layout, row ``[1, D]``) of everything that RLlib's modules show."""
        rows: list[tuple[RowModule, Any, Tensor]] = []
        for stack, policy, state in zip(self.stacks, self.policies, self.agents, strict=True):
            for i, policy_id in enumerate(stack.policy_ids):
                rows.append((self._module[policy_id], policy.parameters, state.theta[i : i + 1]))
        rows.append((self._module[DESIGNER], self.designer.parameters, self.eta.value))
        return rows

    def _mark_modules_read(self) -> None:
        for module, _, _ in self.module_rows():
            module.changed = False

    def _read_modules(self) -> None:
        """Takes over parameters that were loaded into RLlib's modules from outside."""
        rows = self.module_rows()
        if not any(module.changed for module, _, _ in rows):
            return
        self.take_rows([module.read(layout).to(self._device) for module, layout, _ in rows])
        self._mark_modules_read()

    def take_rows(self, rows: list[Tensor]) -> None:
        """Sets parameters from rows in the order of :meth:`module_rows`."""
        start = 0
        for i, stack in enumerate(self.stacks):
            theta = torch.cat(rows[start : start + len(stack.policy_ids)])
            self.agents[i] = replace(self.agents[i], theta=theta)
            start += len(stack.policy_ids)
        self.eta = replace(self.eta, value=rows[start])

    @property
    def module(self) -> Any:
        """RLlib's view of the parameters, up to date."""
        if self._parameters_built:
            self._read_modules()
            for module, layout, row in self.module_rows():
                module.write(layout, row)
        return self._module

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
                WEIGHTS_SEQ_NO: self._weights_seq_no,
                COMPONENT_RL_MODULE: {
                    "agents": [state.theta.cpu().numpy() for state in self.agents],
                    "designer": self.eta.value.cpu().numpy(),
                    "epsilon": value_at(self.config.agent_epsilon, self._env_steps),
                },
            }
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(COMPONENT_INCENTIVES, components, not_components):
            state[COMPONENT_INCENTIVES] = to_device(self.get_own_state(), torch.device("cpu"))
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state` (full states only)."""
        super().set_state(state)
        self._weights_seq_no = int(state.get(WEIGHTS_SEQ_NO, self._weights_seq_no))
        self._read_modules()
        if COMPONENT_INCENTIVES in state:
            self.set_own_state(to_device(state[COMPONENT_INCENTIVES], self._device))

    def get_own_state(self) -> dict[str, Any]:
        """All but the parameters that the modules hold."""
        return {
            "agents": [(state.optimizer, state.target) for state in self.agents],
            "eta_optimizer": self.eta.optimizer,
            # A shard of the trajectory says nothing about the other learners': they start the pipeline anew.
            "last_update": self.last_update if self.config.num_learners <= 1 else None,
            "generator": self.generator.get_state(),
            "env_steps": self._env_steps,
        }

    def set_own_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_own_state`."""
        self.agents = [
            replace(agents, optimizer=optimizer, target=target)
            for agents, (optimizer, target) in zip(self.agents, state["agents"], strict=True)
        ]
        self.eta = replace(self.eta, optimizer=state["eta_optimizer"])
        self.last_update = state["last_update"]
        self.generator.set_state(state["generator"].cpu())  # draws are the CPU's, so that they do not depend on devices
        self._env_steps = state["env_steps"]

    def compute_loss_for_module(self, **kwargs: Any) -> Any:
        """RLlib's per-module loss; here one loss couples all modules, see :meth:`update`."""
        raise NotImplementedError("IncentiveLearner computes its losses in update()")

    def _get_optimizer_state(self) -> dict[str, Any]:
        return {}

    def _set_optimizer_state(self, state: dict[str, Any]) -> None:
        pass
