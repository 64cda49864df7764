"""IncentiveDesign: the RLlib Algorithm under all of ours. It moves trajectories and weights; learners learn."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import ray
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    EVALUATION_RESULTS,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    TIMERS,
)

from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.core.trajectory import Trajectory, concatenate
from rllib_metagrad.learners.base import NonFiniteError

CPU_SECONDS = "cpu_seconds"
NUM_STALE_TRAJECTORIES = "num_stale_trajectories"


class IncentiveDesign(Algorithm):
    """Samples with the current weights, lets designer and agents learn, hands out the new weights."""

    config: IncentiveDesignConfig

    @classmethod
    def get_default_config(cls) -> IncentiveDesignConfig:
        """For subclasses."""
        raise NotImplementedError

    def setup(self, config: Any) -> None:
        """Called by RLlib; validates first, so that a wrong config fails with its own message."""
        self._env_steps_sampled = 0
        self._num_stale = 0
        self._cpu_mark = time.process_time()
        super().setup(config)

    def training_step(self) -> None:
        """``num_updates_per_iteration`` times: sample, update designer and agents, sync weights."""
        self._seconds = {"sample": 0.0, "update": 0.0, "sync_weights": 0.0}
        updates = self.config.num_updates_per_iteration
        for i in range(updates):
            self.one_update(report=i == updates - 1)
        for phase, seconds in self._seconds.items():
            self.metrics.log_value((TIMERS, phase), seconds, reduce="sum")
        now = time.process_time()
        self.metrics.log_value(CPU_SECONDS, now - self._cpu_mark, reduce="lifetime_sum")
        self._cpu_mark = now
        self.metrics.log_value(NUM_STALE_TRAJECTORIES, self._num_stale, reduce="lifetime_sum")
        self._num_stale = 0

    def one_update(self, report: bool) -> None:
        """Pipelined (section 4.2 of the paper): one trajectory is the validation data of the last agents' update
        and the training data of the next."""
        self.learn(self.sample(report), ("designer", "agents"), report)
        self.sync_weights()

    # -- the three movements ----------------------------------------------------------------------------

    def sample(self, report: bool) -> Trajectory:
        """A trajectory of all runners' environments, sampled with the current weights.

        Args:
            report: also fetch the runners' metrics.

        Raises:
            RuntimeError: if no runner delivered fresh data.
        """
        start = time.perf_counter()
        group = self.env_runner_group
        if self.config.num_env_runners == 0:
            parts = self.env_runner.sample()
            metrics = [self.env_runner.get_metrics()] if report else []
        else:
            results = group.foreach_env_runner(
                lambda runner: (runner.sample(), runner.get_metrics() if report else None),
                local_env_runner=False,
                timeout_seconds=self.config.sample_timeout_s,
            )
            parts = [part for sampled, _ in results for part in sampled]
            metrics = [m for _, m in results if m is not None]
            fresh = [part for part in parts if part.weights_seq_no == self._weights_seq_no]
            self._num_stale += len(parts) - len(fresh)
            parts = fresh
        if not parts:
            raise RuntimeError(
                f"none of {self.config.num_env_runners} env runners delivered data "
                f"({group.num_healthy_remote_workers()} are healthy); the last checkpoint is usable. See "
                "config.fault_tolerance(restart_failed_env_runners=True) and sample_timeout_s"
            )
        if metrics:
            self.metrics.aggregate(metrics, key=ENV_RUNNER_RESULTS)
        trajectory = concatenate(parts)
        self._env_steps_sampled += trajectory.env_steps()
        self._seconds["sample"] += time.perf_counter() - start
        return trajectory

    def learn(self, trajectory: Trajectory, phases: tuple[str, ...], report: bool) -> None:
        """Hands every learner its shard, and waits."""
        start = time.perf_counter()
        learners = max(1, len(self.learner_group))
        shards = [trajectory.shard(i, learners) for i in range(learners)] if learners > 1 else [trajectory]
        try:
            results = self.learner_group.update(
                batches=shards,
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self._env_steps_sampled},
                phases=phases,
                report=report,
            )
        except NonFiniteError as error:
            path = pathlib.Path(self.logdir) / f"non_finite_batch_{self.iteration + 1}.pt"
            torch.save(trajectory, path)
            raise NonFiniteError(f"{error}. The batch is saved in {path}") from error
        if report:
            self.metrics.aggregate(results, key=LEARNER_RESULTS)
        self._seconds["update"] += time.perf_counter() - start

    def sync_weights(self) -> None:
        """Hands the learner's weights to all runners, and waits until they have them."""
        start = time.perf_counter()
        state = self.learner_group.get_state(
            components=COMPONENT_LEARNER + "/" + COMPONENT_RL_MODULE, inference_only=True
        )[COMPONENT_LEARNER]
        self._weights_seq_no = state["weights_seq_no"]
        if self.config.num_env_runners == 0:
            self.env_runner.set_state(state)
        else:
            shared = {**state, COMPONENT_RL_MODULE: ray.put(state[COMPONENT_RL_MODULE])}
            self.env_runner_group.foreach_env_runner(
                "set_state",
                kwargs={"state": shared},
                local_env_runner=False,
                timeout_seconds=self.config.sample_timeout_s,
            )
            self.env_runner.set_state(state)
        self._seconds["sync_weights"] += time.perf_counter() - start

    _weights_seq_no = 0

    def _compile_iteration_results(self, *, train_results: Any, eval_results: Any) -> Any:
        """RLlib keeps the last evaluation's keys, emptied to NaN, in iterations without one; we leave them out."""
        if not eval_results:
            train_results = {k: v for k, v in train_results.items() if k != EVALUATION_RESULTS}
        return super()._compile_iteration_results(train_results=train_results, eval_results=eval_results)

    # -- state ------------------------------------------------------------------------------------------

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """RLlib's, and what schedules depend on."""
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        state["incentive_design"] = {
            "env_steps_sampled": self._env_steps_sampled,
            "weights_seq_no": self._weights_seq_no,
        }
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state`."""
        super().set_state(state)
        if "incentive_design" in state:
            self._env_steps_sampled = state["incentive_design"]["env_steps_sampled"]
            self._weights_seq_no = state["incentive_design"]["weights_seq_no"]
