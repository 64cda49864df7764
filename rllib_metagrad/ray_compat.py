"""All that we use of Ray's private names, in one file: what an upgrade of Ray must look at first.

Everything else of the package uses Ray by its public names, and these classes and functions.
"""

from __future__ import annotations

import pathlib
from typing import Any, Self

import pyarrow.fs  # type: ignore[import-untyped]
import ray
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule, MultiRLModuleSpec
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, EVALUATION_RESULTS
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger
from ray.tune.registry import ENV_CREATOR, TRAINABLE_CLASS, _global_registry

from rllib_metagrad.weighted_mean import NAME, WeightedMeanStats


def no_connector_states(config: Any) -> None:
    """Tells an AlgorithmConfig that runners hold no connector states to merge or to broadcast."""
    config._dont_auto_sync_env_runner_states = True
    config.broadcast_env_runner_states = False


class CompatConfig(AlgorithmConfig):
    """RLlib's AlgorithmConfig with a public hook for the check of policies, and copies with other values."""

    def with_values(self, **values: Any) -> Self:
        """A copy with other values, frozen if this one is."""
        new = self.copy(copy_frozen=False)
        for key, value in values.items():
            setattr(new, key, value)
        if self._is_frozen:
            new.freeze()
        return new

    @property
    def env_to_module_connector(self) -> Any:
        """The user's factory of connectors, or None."""
        return self._env_to_module_connector

    @property
    def own_rl_module_spec(self) -> Any:
        """The user's RLModuleSpec or MultiRLModuleSpec, or None."""
        return self._rl_module_spec

    def check_policies(self) -> None:
        """Called by :meth:`validate`."""

    def _validate_multi_agent_settings(self) -> None:
        self.check_policies()


def is_registered_trainable(name: str) -> bool:
    """Whether Tune knows a trainable of this name; RLlib's own lookup logs a page where it does not."""
    return bool(_global_registry.contains(TRAINABLE_CLASS, name))


def registered_env(name: str) -> Any:
    """The creator that was registered with Ray for an environment, or None."""
    return _global_registry.get(ENV_CREATOR, name) if _global_registry.contains(ENV_CREATOR, name) else None


def names_of_registered_envs() -> list[str]:
    """Names given to ``register_env`` in this process, for hints."""
    pending = getattr(_global_registry, "_to_flush", {})
    names = [key for category, key in pending if category == ENV_CREATOR]
    return [key.decode() if isinstance(key, bytes) else key for key in names]


def know_weighted_means(logger: MetricsLogger) -> None:
    """Lets a logger of RLlib take :class:`WeightedMeanStats` beside its own kinds and those of the user."""
    logger.stats_cls_lookup = {**logger.stats_cls_lookup, NAME: WeightedMeanStats}


class CompatAlgorithm(Algorithm):
    """RLlib's Algorithm with public hooks where it has private ones."""

    def setup(self, config: Any) -> None:
        """As RLlib's, with means that runners weight."""
        know_weighted_means(self.metrics)
        super().setup(config)

    def copy_to_run_folder(self, file: pathlib.Path) -> str:
        """Puts a file of the working folder, which ends with Ray, into the trial's folder; says where it is to stay."""
        storage = self._storage
        if storage is None:
            return str(file)
        target = f"{storage.trial_fs_path}/{file.name}"
        storage.storage_filesystem.create_dir(storage.trial_fs_path)
        pyarrow.fs.copy_files(str(file), target, destination_filesystem=storage.storage_filesystem)
        return target

    def kill_env_runner(self, index: int) -> None:
        """Ends a remote runner that hangs; Ray starts it again where the config allows it."""
        manager = self.env_runner_group._worker_manager
        ray.kill(manager.actors()[index], no_restart=False)
        manager.set_actor_state(index, healthy=False)

    def before_evaluate(self) -> None:
        """Called before each evaluation."""

    def _before_evaluate(self) -> None:
        super()._before_evaluate()
        self.before_evaluate()

    def _evaluate_with_auto_duration(self, parallel_train_future: Any) -> tuple[None, int, int, list[Any]]:
        """Batches of episodes until training is done, one of each runner at least.

        RLlib's drops what has not come back by then, which is all where iterations are short.
        """
        reports: list[Any] = []
        env_steps = agent_steps = 0
        while True:
            results = self.eval_env_runner_group.foreach_env_runner(
                _sample_a_batch,
                local_env_runner=False,
                timeout_seconds=self.config.evaluation_sample_timeout_s,
            )
            for steps, of_agents, report in results:
                env_steps, agent_steps = env_steps + steps, agent_steps + of_agents
                reports.append(report)
            if not results or parallel_train_future.done():
                break
        if reports:
            self.metrics.aggregate(reports, key=(EVALUATION_RESULTS, ENV_RUNNER_RESULTS))
        return None, env_steps, agent_steps, []

    def clean_results(self, train_results: Any, eval_results: Any) -> Any:
        """Results of training as they are to be reported."""
        return train_results

    def _compile_iteration_results(self, *, train_results: Any, eval_results: Any) -> Any:
        cleaned = self.clean_results(train_results, eval_results)
        return super()._compile_iteration_results(train_results=cleaned, eval_results=eval_results)


def _sample_a_batch(runner: Any) -> tuple[int, int, Any]:
    """Environment steps, agent steps and metrics of an episode of each of a runner's environments."""
    sampled = runner.sample(num_timesteps=1)
    return sum(s.env_steps() for s in sampled), sum(s.agent_steps() for s in sampled), runner.get_metrics()


class CompatEnvRunner(EnvRunner, Checkpointable):
    """RLlib's EnvRunner with public names."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        know_weighted_means(self.metrics)

    @property
    def own_seed(self) -> int | None:
        """Of this runner: the config's and its index."""
        seed: int | None = self._seed
        return seed

    def has_component(self, name: str, components: Any, not_components: Any) -> bool:
        """Whether a part of the state is wanted."""
        return bool(self._check_component(name, components, not_components))


class CompatLearner(TorchLearner):
    """RLlib's TorchLearner with public names, and without optimizers and DDP of its own."""

    _weights_seq_no: int

    @property
    def is_complete(self) -> bool:
        """Whether :meth:`build` has run."""
        return bool(self._is_built)

    @property
    def torch_device(self) -> torch.device:
        """Where tensors live."""
        device: torch.device = self._device
        return device

    @property
    def raw_module(self) -> MultiRLModule:
        """RLlib's modules as they are, out of date or not."""
        return self._module

    @property
    def multi_spec(self) -> MultiRLModuleSpec:
        """Of all modules."""
        return self._module_spec

    @property
    def weights_seq_no(self) -> int:
        """Version of the weights."""
        return self._weights_seq_no

    @weights_seq_no.setter
    def weights_seq_no(self, value: int) -> None:
        self._weights_seq_no = value

    def has_component(self, name: str, components: Any, not_components: Any) -> bool:
        """Whether a part of the state is wanted."""
        return bool(self._check_component(name, components, not_components))

    def configure_optimizers(self) -> None:
        """Ours are functional and need no registration."""

    def _make_modules_ddp_if_necessary(self) -> None:
        """No DDP: gradients are summed in core, exactly."""

    def _get_optimizer_state(self) -> dict[str, Any]:
        return {}

    def _set_optimizer_state(self, state: dict[str, Any]) -> None:
        pass
