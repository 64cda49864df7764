"""IncentiveDesign: the RLlib Algorithm under all of ours. It moves trajectories and weights; learners learn."""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
import pickle
import time
from collections.abc import Iterable
from typing import Any

import ray
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_METRICS_LOGGER, COMPONENT_RL_MODULE
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.utils.checkpoints import try_import_msgpack
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    EVALUATION_RESULTS,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
)

from rllib_metagrad.algorithms import plain_config
from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.algorithms.frozen import read_parameters
from rllib_metagrad.checkpoint_files import CONTENTS, check_whole, policies_of_checkpoint, written_aside
from rllib_metagrad.core.trajectory import Trajectory, concatenate
from rllib_metagrad.env_runner import OBSERVED
from rllib_metagrad.learners.base import NonFiniteError
from rllib_metagrad.lending import environments_for
from rllib_metagrad.metrics import CPU_SECONDS, SAMPLE_SECONDS, STALE_TRAJECTORIES, SYNC_SECONDS, UPDATE_SECONDS
from rllib_metagrad.modules.rl_modules import DESIGNER
from rllib_metagrad.observation_filter import Moments
from rllib_metagrad.old_metrics import with_old_names, without_old_names
from rllib_metagrad.ray_compat import CompatAlgorithm
from rllib_metagrad.state_files import read_state
from rllib_metagrad.weighted_mean import without_plain_means

logger = logging.getLogger("ray.rllib")

#: In checkpoints: which policy acts for which agent, if the user has said so.
MAPPING_FILE = "policy_mapping.json"


class IncentiveDesign(CompatAlgorithm):
    """Samples with the current weights, lets designer and agents learn, hands out the new weights."""

    config: IncentiveDesignConfig
    #: Of the algorithm.
    config_class: type[IncentiveDesignConfig]

    @classmethod
    def get_default_config(cls) -> IncentiveDesignConfig:
        """The algorithm's config with its defaults."""
        return cls.config_class()

    def setup(self, config: Any) -> None:
        """Called by RLlib; validates first, so that a wrong config fails with its own message."""
        self._env_steps_sampled = 0
        self._num_stale = 0
        #: Moments of all that agents have observed; None without an observation_filter.
        self.observed: list[Moments] | None = None
        self._seconds = dict.fromkeys((SAMPLE_SECONDS, UPDATE_SECONDS, SYNC_SECONDS), 0.0)
        self._cpu_mark = time.process_time()
        designer = None
        if isinstance(self.config, IncentiveDesignConfig):
            # Asked here, once, for runners, learners, evaluation and checkpoints.
            designer = getattr(self.config, "designer_checkpoint", None)
            self.config = config = self.config.with_mapping(self.env_creator).with_designer()
        super().setup(config)
        if self.config.agents_checkpoint is not None:
            self._load_agents(pathlib.Path(self.config.agents_checkpoint))
        if isinstance(designer, str):  # and no description of one, whose parameters a checkpoint of our own holds
            known = self.get_weights()[DESIGNER]
            held = read_parameters(pathlib.Path(designer))
            self.set_weights({DESIGNER: {name: held[name] for name in known}})

    def _load_agents(self, path: pathlib.Path) -> None:
        """Starts agents with the parameters of a checkpoint, whatever algorithm wrote it; the designer starts anew.

        Raises:
            ValueError: if there is no such checkpoint, or it lacks one of the policies.
        """
        folder, states = policies_of_checkpoint(path), {}
        for policy_id in (name for stack in self.env_runner.stacks for name in stack.policy_ids):
            if not (folder / policy_id).is_dir():
                there = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name != DESIGNER))
                raise ValueError(f"agents_checkpoint: {path} has no policy {policy_id!r}, but {there}")
            states[policy_id] = _parameters(folder / policy_id)
        observed = _observed_of_checkpoint(path)
        if (observed is None) != (not self.env_runner.spec.filtered):
            raise ValueError(
                f"agents_checkpoint: agents of {path} have learned with{'out' if observed is None else ''} an "
                "observation_filter; set it as it was then"
            )
        self._set_observed(observed)
        self.set_weights(states)

    def training_step(self) -> None:
        """``num_updates_per_iteration`` times: sample, update designer and agents, sync weights."""
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        updates = self.config.num_updates_per_iteration
        for i in range(updates):
            self.one_update(report=i == updates - 1)
        for phase, seconds in self._seconds.items():
            phase.log(self.metrics, seconds)
        now = time.process_time()
        CPU_SECONDS.log(self.metrics, now - self._cpu_mark)
        self._cpu_mark = now
        STALE_TRAJECTORIES.log(self.metrics, self._num_stale)
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
            observed = [self.env_runner.pop_observed()]
        else:
            asked = set(group.healthy_env_runner_ids())
            results = group.foreach_env_runner(
                lambda runner: (
                    runner.worker_index,
                    runner.sample(),
                    runner.get_metrics() if report else None,
                    runner.pop_observed(),
                ),
                local_env_runner=False,
                timeout_seconds=self.config.sample_timeout_s,
            )
            results = sorted(results, key=lambda result: result[0])  # whoever answered first
            self._kill_silent(asked - {index for index, *_ in results})
            parts = [part for _, sampled, *_ in results for part in sampled]
            metrics = [m for _, _, m, _ in results if m is not None]
            observed = [moments for *_, moments in results]
            fresh = [part for part in parts if part.weights_seq_no == self._weights_seq_no]
            self._num_stale += len(parts) - len(fresh)
            parts = fresh
        if not parts:
            raise RuntimeError(
                f"none of {self.config.num_env_runners} env runners delivered data "
                f"({group.num_healthy_remote_workers()} are healthy); the last checkpoint is usable: rllib train "
                "--resume goes on from it; see restart_failed_env_runners, sample_timeout_s, max_failures"
            )
        if metrics:
            self.metrics.aggregate(metrics, key=ENV_RUNNER_RESULTS)
        self._observe(moments for moments in observed if moments is not None)
        trajectory = concatenate(parts)
        self._env_steps_sampled += trajectory.env_steps()
        self._seconds[SAMPLE_SECONDS] += time.perf_counter() - start
        return trajectory

    def _observe(self, seen: Iterable[list[Moments]]) -> None:
        """Takes in what the runners' filters of observations have learned."""
        for moments in seen:
            known = self.observed
            self.observed = (
                moments if known is None else [a.with_others(b) for a, b in zip(known, moments, strict=True)]
            )

    def _kill_silent(self, indices: set[int]) -> None:
        """Ends runners that have not answered within ``sample_timeout_s``; Ray starts them anew where it may.

        RLlib would go on asking them, and wait for the timeout in every later call, too: requests queue up behind
        the one that hangs.
        """
        # Those that have died are marked already.
        for index in indices & set(self.env_runner_group.healthy_env_runner_ids()):
            seconds = self.config.sample_timeout_s
            logger.warning("env runner %d did not answer within sample_timeout_s=%g and is ended", index, seconds)
            self.kill_env_runner(index)

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
            # Of tensors and plain values, so that torch.load(weights_only=True) reads it.
            torch.save(dataclasses.asdict(trajectory), path)
            raise NonFiniteError(f"{error}. The batch is saved in {self.copy_to_run_folder(path)}") from error
        if report:
            self.metrics.aggregate(results, key=LEARNER_RESULTS)
        self._seconds[UPDATE_SECONDS] += time.perf_counter() - start

    def sync_weights(self) -> None:
        """Hands the learner's weights to all runners, and waits until they have them."""
        start = time.perf_counter()
        state = self.learner_group.get_state(
            components=COMPONENT_LEARNER + "/" + COMPONENT_RL_MODULE, inference_only=True
        )[COMPONENT_LEARNER]
        self._weights_seq_no = state["weights_seq_no"]
        if self.observed is not None:
            state[OBSERVED] = self.observed
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
        self._seconds[SYNC_SECONDS] += time.perf_counter() - start

    _weights_seq_no = 0

    def step(self) -> dict[str, Any]:
        """As RLlib's; what has another name since version 0.1 stands in results under both."""
        return with_old_names(super().step())

    def clean_results(self, train_results: Any, eval_results: Any) -> Any:
        """RLlib keeps the last evaluation's keys, emptied to NaN, in iterations without one; we leave them out."""
        return train_results if eval_results else {k: v for k, v in train_results.items() if k != EVALUATION_RESULTS}

    def lasting_state(self) -> dict[int, list[Any]]:
        """By runner, the state of its environments that survives resets, see :class:`VectorIncentiveEnv`."""
        local = self.config.num_env_runners == 0
        kept = self.env_runner_group.foreach_env_runner(
            lambda runner: (runner.worker_index, runner.env.get_lasting_state() if runner.env else []),
            local_env_runner=local,
            timeout_seconds=self.config.sample_timeout_s,
        )
        return {index: of_runner for index, of_runner in kept if of_runner}

    def evaluate(self, parallel_train_future: Any = None) -> Any:
        """As RLlib's; a runner of evaluation in this process gets environments for that long, see lending.py."""
        group = self.eval_env_runner_group
        if group is None or group.num_remote_env_runners():
            return with_old_names(super().evaluate(parallel_train_future))
        with environments_for(group.local_env_runner, self.env_runner):
            return with_old_names(super().evaluate(parallel_train_future))

    def before_evaluate(self) -> None:
        """Environments of evaluation get the lasting state of those of training."""
        if self.eval_env_runner_group is not None and (known := self.lasting_state()):
            self.eval_env_runner_group.foreach_env_runner(lambda runner: runner.set_lasting_state(known))
        if self.eval_env_runner_group is not None and (observed := self.observed):
            self.eval_env_runner_group.foreach_env_runner(lambda runner: runner.set_observed(observed))

    # -- modules ----------------------------------------------------------------------------------------

    def set_weights(self, weights: dict[str, Any]) -> None:
        """Parameters by module id, as :meth:`get_weights` gives them, to learners and runners.

        The designer does not look through the agents' last update, which did not lead to these.

        Raises:
            ValueError: for a module that is not there.
        """
        known = self.get_weights()
        if unknown := sorted(set(weights) - set(known)):
            raise ValueError(f"set_weights: there is no module {', '.join(unknown)}, but {', '.join(sorted(known))}")

        def write(learner: Any) -> None:
            for module_id, state in weights.items():
                learner.module[module_id].set_state(state)

        self.learner_group.foreach_learner(write)
        self.sync_weights()

    def agents_state(self) -> dict[str, Any]:
        """All that the agents' learning has come to: see :meth:`take_agents`."""
        found = [one.get() for one in self.learner_group.foreach_learner(lambda learner: learner.get_agents())]
        return {"learner": found[0], "lasting_state": self.lasting_state(), "env_steps": self._env_steps_sampled}

    def take_agents(self, state: dict[str, Any]) -> None:
        """Goes on with another algorithm's agents, which may have another designer.

        Args:
            state: its :meth:`agents_state`: parameters, optimizers, the environment steps that schedules depend on,
                and what environments keep from episode to episode.
        """
        self._env_steps_sampled = state["env_steps"]
        self.learner_group.foreach_learner(lambda learner: learner.set_agents(state["learner"]))
        if known := state["lasting_state"]:
            self.env_runner_group.foreach_env_runner(lambda runner: runner.set_lasting_state(known))
        self.sync_weights()

    def add_module(self, module_id: str, *args: Any, **kwargs: Any) -> Any:
        """Raises a ValueError: policies are stacked when an algorithm is built."""
        raise ValueError(
            f"add_module({module_id!r}): {type(self).__name__} has its policies from its config; build another with "
            "policies and policy_mapping_fn, and start it from a checkpoint of this one with agents_checkpoint"
        )

    def remove_module(self, module_id: str, *args: Any, **kwargs: Any) -> Any:
        """Raises a ValueError: see :meth:`add_module`."""
        raise ValueError(
            f"remove_module({module_id!r}): {type(self).__name__} has its policies from its config; build another with "
            "other policies, or set policies_to_train to freeze some"
        )

    # -- state ------------------------------------------------------------------------------------------

    def save_to_path(self, path: Any = None, *, filesystem: Any = None, **kwargs: Any) -> str:
        """As RLlib's, but a local folder is there only once all of it is: an older one stays until then."""
        if path is None or filesystem is not None or "://" in str(path):
            return str(super().save_to_path(path, filesystem=filesystem, **kwargs))
        target = pathlib.Path(path).absolute()
        with written_aside(target) as folder:
            super().save_to_path(folder, **kwargs)
            if self.config.policy_mapping is not None:
                (folder / MAPPING_FILE).write_text(json.dumps(self.config.policy_mapping))
            plain_config.write(folder, type(self), self.config)
        return str(target)

    def restore_from_path(self, path: Any, *args: Any, **kwargs: Any) -> None:
        """As RLlib's.

        Raises:
            IncompleteCheckpointError: for a folder that holds only a part of a checkpoint.
        """
        if not kwargs.get("filesystem") and "://" not in str(path) and not kwargs.get("component"):
            check_whole(pathlib.Path(path))
            self._take_mapping(pathlib.Path(path) / MAPPING_FILE)
        super().restore_from_path(path, *args, **kwargs)

    def _take_mapping(self, file: pathlib.Path) -> None:
        """Starts anew with a checkpoint's policies where a mapping function says something else today: parameters
        belong to the agents that they were learned for."""
        mapping = json.loads(file.read_text()) if file.is_file() else self.config.policy_mapping
        if mapping != self.config.policy_mapping:
            self.cleanup()
            self.config = self.config.with_values(policy_mapping=mapping)
            self.setup(self.config)

    def get_metadata(self) -> dict[str, Any]:
        """RLlib's, and that a list of contents must be there, too."""
        return {**super().get_metadata(), CONTENTS: True}

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """RLlib's, and what schedules depend on."""
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        state["incentive_design"] = {
            "env_steps_sampled": self._env_steps_sampled,
            "weights_seq_no": self._weights_seq_no,
            "lasting_state": self.lasting_state(),
            OBSERVED: None if self.observed is None else [tuple(moments) for moments in self.observed],
            "policy_mapping": self.config.policy_mapping,
        }
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`get_state`."""
        if COMPONENT_METRICS_LOGGER in state:
            known = without_old_names(without_plain_means(state[COMPONENT_METRICS_LOGGER]))
            state = {**state, COMPONENT_METRICS_LOGGER: known}
        mapping = state.get("incentive_design", {}).get("policy_mapping")
        if mapping is not None and mapping != self.config.policy_mapping:
            raise ValueError(f"policies: this state is of policy_mapping {mapping}, not {self.config.policy_mapping}")
        super().set_state(state)
        if "incentive_design" in state:
            self._env_steps_sampled = state["incentive_design"]["env_steps_sampled"]
            self._weights_seq_no = state["incentive_design"]["weights_seq_no"]
            ours = state["incentive_design"]
            self._set_observed(ours.get(OBSERVED))
            if known := ours.get("lasting_state", ours.get("experience")):  # its name in version 0.1
                self.env_runner_group.foreach_env_runner(lambda runner: runner.set_lasting_state(known))
            if self.config.num_env_runners > 0:
                # RLlib does not wait until remote runners have the weights, and drops them while a request is open.
                self.sync_weights()

    def _set_observed(self, saved: Any) -> None:
        """Goes on from the moments of a checkpoint, here and in all runners."""
        if saved is not None:
            self.observed = observed = [Moments(*moments) for moments in saved]
            self.env_runner_group.foreach_env_runner(lambda runner: runner.set_observed(observed))


def _observed_of_checkpoint(path: pathlib.Path) -> Any:
    """Moments in a checkpoint's state, or None."""
    files = [path / f"{Algorithm.STATE_FILE_NAME}{suffix}" for suffix in (".json", ".pkl", ".msgpck")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return None
    if file.suffix == ".json":
        state = read_state(file)
    else:  # an environment keeps from episode to episode what is no data
        with file.open("rb") as opened:
            state = pickle.load(opened) if file.suffix == ".pkl" else try_import_msgpack(error=True).load(opened)
    return state.get("incentive_design", {}).get(OBSERVED)


def _parameters(folder: pathlib.Path) -> Any:
    """A policy's, by name; of data where they are, else by way of RLlib's module."""
    file = folder / f"{RLModule.STATE_FILE_NAME}.json"
    return read_state(file) if file.is_file() else RLModule.from_checkpoint(folder).get_state()
