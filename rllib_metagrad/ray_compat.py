"""All that we use of Ray's private names, in one file: what an upgrade of Ray must look at first.

Everything else of the package uses Ray by its public names, and these classes and functions.
"""

from __future__ import annotations

import pathlib
import tempfile
import uuid
from collections.abc import Iterable
from functools import wraps
from typing import Any, ClassVar, Self

import pyarrow.fs  # type: ignore[import-untyped]
import ray
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.learner_group import LearnerGroup
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule, MultiRLModuleSpec
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, EVALUATION_RESULTS
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger
from ray.tune.registry import ENV_CREATOR, TRAINABLE_CLASS, _global_registry

from rllib_metagrad.state_files import Kind, NotPlainError, dump, parse
from rllib_metagrad.weighted_mean import NAME, WeightedMeanStats


class PlainStates(Checkpointable):
    """A component whose own state is in files of data instead of RLlib's pickle, as far as it is data.

    A state with an object that is none, such as what somebody's environment keeps, stays RLlib's pickle.

    Attributes:
        state_kinds: classes of whose objects the state may be made, beside plain values and arrays.
    """

    state_kinds: ClassVar[Iterable[Kind]] = ()
    #: RLlib tells an algorithm's folder by a pickle of this name; it stays there, empty.
    needs_stub: ClassVar[bool] = False

    def save_to_path(
        self, path: Any = None, *, state: dict[str, Any] | None = None, filesystem: Any = None, **kwargs: Any
    ) -> str:
        """As RLlib's."""
        path = path or pathlib.Path(tempfile.gettempdir()) / uuid.uuid4().hex
        filesystem, folder = _file_system(path, filesystem)
        whole = state or self.get_state()
        names = {name for name, _ in self.get_checkpointable_components()}
        parts = {name: value for name, value in whole.items() if name in names}
        own = {name: value for name, value in whole.items() if name not in names}
        try:
            text, arrays = dump(own, self.state_kinds)
        except NotPlainError:
            return str(super().save_to_path(folder, state=whole, filesystem=filesystem, **kwargs))
        # RLlib writes the parts, and a pickle of what else it is given: nearly nothing, which goes.
        super().save_to_path(folder, state={**parts, "in": ".json"}, filesystem=filesystem, use_msgpack=False)
        stem = f"{folder}/{self.STATE_FILE_NAME}"
        if not self.needs_stub:
            filesystem.delete_file(f"{stem}.pkl")
        for suffix, content in ((".json", text), (".npz", arrays)):
            if content is not None:
                with filesystem.open_output_stream(stem + suffix) as file:
                    file.write(content)
        return folder

    def restore_from_path(
        self,
        path: Any,
        *,
        component: str | None = None,
        filesystem: Any = None,
        data_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """As RLlib's; where there are files of data, no pickle is read.

        Raises:
            NotPlainError: with ``data_only``, if there is none of this component or of one in it.
        """
        filesystem, folder = _file_system(path, filesystem)
        stem = f"{folder}/{self.STATE_FILE_NAME}"
        text = _content(filesystem, f"{stem}.json")
        if text is None and data_only and component is None:
            raise NotPlainError(f"the state in {folder} is a pickle (there is no {self.STATE_FILE_NAME}.json)")
        kwargs["data_only"] = data_only
        if component is not None or text is None:
            super().restore_from_path(folder, component=component, filesystem=filesystem, **kwargs)
            return
        self._restore_all_subcomponents_from_path(path=pathlib.Path(folder), filesystem=filesystem, **kwargs)
        self.set_state(parse(text, _content(filesystem, f"{stem}.npz"), self.state_kinds))


def _file_system(path: Any, filesystem: Any) -> tuple[Any, str]:
    """Where a path is, and what it is called there."""
    path = str(absolute(path, filesystem))
    found: tuple[Any, str] = (filesystem, path) if filesystem else pyarrow.fs.FileSystem.from_uri(path)
    return found


def _content(filesystem: Any, file: str) -> bytes | None:
    """Of a file; None where there is none."""
    if filesystem.get_file_info(file).type == pyarrow.fs.FileType.NotFound:
        return None
    with filesystem.open_input_stream(file) as opened:
        return bytes(opened.read())


class CompatMultiModule(MultiRLModule, PlainStates):
    """RLlib's, whose own state is empty."""


class CompatLearnerGroup(LearnerGroup, PlainStates):
    """RLlib's, whose own state is empty."""


def _take_relative_paths() -> None:
    """Lets RLlib's classes (Algorithm, RLModule, ...) read checkpoints by relative paths, as they write them.

    They hand paths to pyarrow, which takes a relative one for a URI that lacks its scheme. Nothing else changes: such a
    path could only fail.
    """
    for owner in (Algorithm, Checkpointable):
        method = vars(owner)["from_checkpoint"].__func__
        owner.from_checkpoint = classmethod(_from_the_working_directory(method))
    restore = _from_the_working_directory(Checkpointable.restore_from_path)
    Checkpointable.restore_from_path = restore


def _from_the_working_directory(method: Any) -> Any:
    @wraps(method)
    def reads(this: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        filesystem = args[0] if args else kwargs.get("filesystem")
        return method(this, absolute(path, filesystem), *args, **kwargs)

    return reads


def absolute(path: Any, filesystem: Any = None) -> Any:
    """A local path from the root on; URIs, and paths in a filesystem that was given, as they are."""
    local = isinstance(path, str | pathlib.Path) and "://" not in str(path) and not filesystem
    return pathlib.Path(path).absolute() if local else path


_take_relative_paths()


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

    def build_learner_group(
        self, *, env: Any = None, spaces: Any = None, rl_module_spec: Any = None, placement_group: Any = None
    ) -> LearnerGroup:
        """As RLlib's, of our class."""
        spec = rl_module_spec or self.get_multi_rl_module_spec(env=env, spaces=spaces)
        return CompatLearnerGroup(config=self.copy(), module_spec=spec, placement_group=placement_group)

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


class CompatAlgorithm(Algorithm, PlainStates):
    """RLlib's Algorithm with public hooks where it has private ones."""

    needs_stub = True

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


class CompatEnvRunner(EnvRunner, PlainStates):
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


class CompatLearner(TorchLearner, PlainStates):
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
