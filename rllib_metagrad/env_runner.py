"""IncentiveEnvRunner: RLlib's EnvRunner over batched environments, returning columnar trajectories."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import ray
import torch
from ray.rllib.callbacks.utils import make_callback
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.env import INPUT_ENV_SPACES
from ray.rllib.env.env_context import EnvContext
from ray.rllib.utils import force_list
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO

from env_wrappers.vector import EnvAPIError, VectorIncentiveEnv
from rllib_metagrad import metrics
from rllib_metagrad.core.own_objective import judge
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.environments import build_env, filter_options
from rllib_metagrad.episode_statistics import EpisodeStatistics, StepCounts, extremes_of, means_of
from rllib_metagrad.modules.population import members_of
from rllib_metagrad.modules.rl_modules import DESIGNER
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.observation_filter import Moments, ObservationFilter
from rllib_metagrad.old_metrics import without_old_names
from rllib_metagrad.process import prepare_torch
from rllib_metagrad.ray_compat import CompatEnvRunner
from rllib_metagrad.sampling import Behavior, Sampler
from rllib_metagrad.weighted_mean import without_plain_means

logger = logging.getLogger("ray.rllib")

ENV_SPEC = "__env_spec__"
ONE_BY_ONE = "__one_by_one__"
#: In states: moments of all observations so far.
OBSERVED = "observation_filter"
_MAX_ENV_RESTARTS = 10


class IncentiveEnvRunner(CompatEnvRunner):
    """Samples a population under an incentive designer.

    ``sample()`` returns a list with one :class:`Trajectory` of ``num_envs_per_env_runner`` environments:
    complete episodes (default), or fragments of ``rollout_fragment_length`` steps with
    ``batch_mode="truncate_episodes"``.
    """

    #: There from :meth:`ready` on.
    sampler: Sampler
    statistics: EpisodeStatistics

    def __init__(self, *, config: Any, **kwargs: Any) -> None:
        super().__init__(config=config, **kwargs)
        self.worker_index: int = int(kwargs.get("worker_index") or 0)
        self._env_creator = kwargs.get("env_creator")
        prepare_torch(self.config.torch_num_threads)
        self._callbacks = [cls() for cls in force_list(self.config.callbacks_class)]
        self.generator = torch.Generator()
        self._seed_generator()
        self.env: VectorIncentiveEnv | None = None
        self._module_env: VectorIncentiveEnv | None = None
        self.one_by_one = False
        self._module: MultiRLModule | None = None
        self.filter: ObservationFilter | None = None
        self._observed: list[Moments] | None = None
        known = kwargs.get("spaces") or {}
        # A runner beside remote ones only tells what the environment is like, and they have told it; one of evaluation
        # in the algorithm's process may borrow.
        if self.worker_index == 0 and ENV_SPEC in known:
            self._know(known[ENV_SPEC], known[INPUT_ENV_SPACES], known[ONE_BY_ONE])
        elif self.worker_index or not self.config.in_evaluation:
            self.ready()
        self._weights: dict[str, Any] | None = None
        self._weights_seq_no = 0
        self._needs_reset = True
        self._steps = StepCounts()
        self._env_failures = 0

    def _seed_generator(self) -> None:
        if self.own_seed is None:
            self.generator.seed()
            return
        mixed = np.random.SeedSequence([self.own_seed, 7919]).generate_state(1, np.uint64)[0]
        self.generator.manual_seed(int(mixed >> np.uint64(1)))

    # -- construction -----------------------------------------------------------------------------------

    def ready(self, lent: VectorIncentiveEnv | None = None) -> None:
        """Environments, if there are none yet, and what samples in them.

        Args:
            lent: somebody else's, who goes on to own them; None to make them.
        """
        if self.env is None and lent is None:
            self.make_env()
        elif lent is not None:
            self.env = lent
            self._on_new_env()
        if self._module_env is not self.env:
            self.make_module()

    def make_env(self) -> None:
        """(Re-)creates the environments; unfinished episodes are lost, what finished ones taught is not."""
        kept = [] if self.env is None else self.env.get_lasting_state()
        if self.env is not None:
            self.env.close()
        self.env = build_env(self.config, self.config.num_envs_per_env_runner, self._env_creator, self.worker_index)
        self.env.set_lasting_state(kept)
        context = EnvContext(
            self.config.env_config,
            worker_index=self.worker_index,
            remote=self.config.remote_worker_envs,
            num_workers=self.num_workers,
        )
        self._call_back("on_environment_created", env=self.env, env_context=context)
        self._on_new_env()

    def _on_new_env(self) -> None:
        assert self.env is not None
        if self.config.in_evaluation:
            self.env.end_schedules()
        self._needs_reset = True

    def reset_before_sampling(self) -> None:
        """Environments were used by somebody else: unfinished episodes are dropped."""
        self._needs_reset = True
        self.statistics.restart()

    def _call_back(self, event: str, **kwargs: Any) -> None:
        """RLlib's callbacks of this event: methods of ``callbacks_class`` and functions of the config."""
        make_callback(
            event,
            callbacks_objects=self._callbacks,
            callbacks_functions=getattr(self.config, f"callbacks_{event}"),
            kwargs={"env_runner": self, "metrics_logger": self.metrics, **kwargs},
        )

    def make_module(self) -> None:
        """Builds the functions of policies and designer; their parameters come with :meth:`set_state`."""
        assert self.env is not None
        spaces = (self.env.observation_spaces, self.env.action_spaces)
        options = filter_options(self.config, self.env)
        self._know(EnvSpec.of(self.env, filtered=options is not None), spaces, self.env.one_by_one)
        self._module_env = self.env
        if options is not None:
            self.filter = ObservationFilter(self.spec.groups, options, frozen=self.config.in_evaluation)
            self.set_observed(self._observed)
        self._make_sampler()
        self.statistics = EpisodeStatistics(
            self.env.num_envs,
            self.spec.num_agents,
            self.spec.num_action_types,
            self.designer.mechanism.num_outputs,
            in_objective=self.designer.mechanism.in_objective,
            window=self.config.episodes_smoothed_by_a_runner(),
        )

    def _know(self, spec: EnvSpec, spaces: tuple[Any, Any], one_by_one: bool) -> None:
        """Takes in what the environment is like."""
        self.spec, self._spaces, self.one_by_one = spec, spaces, one_by_one
        self.stacks = self.config.make_stacks(spec)
        setup = self.config.make_setup(spec, self.stacks)
        self.policies, self.designer = setup.policies, setup.designer
        self._judged = judge(setup.settings.designer.objective)
        self._module = None

    def _make_sampler(self) -> None:
        assert self.env is not None
        self.sampler = Sampler(
            self.env,
            self.stacks,
            self.policies,
            self.designer,
            self.generator,
            unsquash=self.config.normalize_actions,
            gamma=self.config.gamma,
            observation_filter=self.filter,
        )

    @property
    def module(self) -> MultiRLModule:
        """RLlib's view of the current parameters, built when asked for."""
        if self._module is None:
            spec = self.config.get_multi_rl_module_spec(spaces=self.get_spaces(), inference_only=True)
            self._module = spec.build()
        if self._weights is not None:
            for stack, policy, theta in zip(self.stacks, self.policies, self._weights["agents"], strict=True):
                for row, policy_id in enumerate(stack.policy_ids):
                    self._module[policy_id].write(policy.parameters, torch.as_tensor(theta)[row : row + 1])
            eta = torch.as_tensor(self._weights["designer"])
            self._module[DESIGNER].write(self.designer.parameters, eta)
        return self._module

    def get_spaces(self) -> dict[str, Any]:
        """Spaces by module id; the environment's under INPUT_ENV_SPACES, its full description under ENV_SPEC, and
        whether its copies are stepped one by one."""
        spaces: dict[str, Any] = {INPUT_ENV_SPACES: self._spaces, ENV_SPEC: self.spec, ONE_BY_ONE: self.one_by_one}
        observed, acted = self._spaces
        for stack in self.stacks:
            for row, policy_id in enumerate(stack.policy_ids):
                agent = self.spec.possible_agents[stack.agents[row, 0]]
                spaces[policy_id] = (observed[agent], acted[agent])
        return spaces

    # -- sampling ---------------------------------------------------------------------------------------

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[Trajectory]:
        """Samples trajectories.

        Args:
            num_timesteps: complete episodes until so many environment steps are taken.
            num_episodes: exactly so many complete episodes count in the metrics.
            explore: with the exploration rate; default is the config's.
            random_actions: uniform actions.
            force_reset: drop unfinished episodes first.

        Returns:
            One trajectory by default; as many as needed with ``num_timesteps`` or ``num_episodes``.

        Raises:
            RuntimeError: before any weights have arrived.
        """
        self.ready()
        behavior = self.behavior(self.config.explore if explore is None else explore, random_actions)
        if force_reset:
            self.reset_before_sampling()
        trajectories: list[Trajectory] = []
        if num_timesteps is None and num_episodes is None:
            complete = self.config.batch_mode == "complete_episodes"
            trajectories.append(self._attempt(lambda: (self._episodes if complete else self._fragment)(behavior)))
        steps = episodes = 0
        while steps < (num_timesteps or 0) or episodes < (num_episodes or 0):
            limit = None if num_episodes is None else num_episodes - episodes
            trajectory = self._attempt(lambda limit=limit: self._episodes(behavior, limit))  # type: ignore[misc]
            trajectories.append(trajectory)
            steps += trajectory.env_steps()
            episodes += trajectory.num_envs
        self._call_back("on_sample_end", samples=trajectories)
        return trajectories

    def behavior(self, explore: bool, random_actions: bool = False) -> Behavior:
        """How to act with the current weights.

        Raises:
            RuntimeError: before any weights have arrived.
        """
        weights = self._weights
        if weights is None:
            raise RuntimeError("IncentiveEnvRunner.sample() was called before set_state() brought any weights")
        return Behavior(
            thetas=[torch.as_tensor(theta) for theta in weights["agents"]],
            eta=torch.as_tensor(weights["designer"]),
            epsilon=1.0 if random_actions else float(weights["epsilon"]) if explore else 0.0,
            greedy=self.config.greedy_evaluation and not explore,
            weights_seq_no=self._weights_seq_no,
        )

    def _attempt(self, rollout: Callable[[], Trajectory]) -> Trajectory:
        """Runs a rollout; a crashed environment is made anew and its data dropped, if the config says so."""
        for attempt in range(_MAX_ENV_RESTARTS + 1):
            try:
                return rollout()
            except EnvAPIError:
                raise  # A broken environment stays broken.
            except Exception:
                if not self.config.restart_failed_sub_environments or attempt == _MAX_ENV_RESTARTS:
                    raise
                logger.exception("an environment of runner %d crashed; making it anew", self.worker_index)
                self._env_failures += 1
                self.make_env()
                self._module_env = self.env
                self._make_sampler()
                # What has finished before is sound, and not reported yet.
                self.statistics.restart()
        raise AssertionError("unreachable")

    def _episodes(self, behavior: Behavior, limit: int | None = None) -> Trajectory:
        trajectory = self._judged(self.sampler.episodes(behavior))
        self.statistics.restart()
        # The batched reset has cut whatever a fragment had begun.
        self._needs_reset = True
        self.statistics.add_complete(trajectory, self._incentives(trajectory), limit, self.sampler.episode_metrics[0])
        return self._count(trajectory)

    def _fragment(self, behavior: Behavior) -> Trajectory:
        length = self.config.get_rollout_fragment_length(self.worker_index)
        reset, self._needs_reset = self._needs_reset, False
        if reset:
            self.statistics.restart()
        trajectory = self._judged(self.sampler.fragment(behavior, length, reset))
        self.statistics.add(trajectory, self._incentives(trajectory), self.sampler.episode_metrics)
        return self._count(trajectory)

    def _incentives(self, trajectory: Trajectory) -> np.ndarray:
        return self.designer.mechanism.incentives(trajectory.designer_output, trajectory).numpy()

    def _count(self, trajectory: Trajectory) -> Trajectory:
        self._steps.add(trajectory)
        return trajectory

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the designer's outputs: the mechanism's, action types, agents, or numbers."""
        if self.designer.mechanism.output_names is not None:
            return self.designer.mechanism.output_names
        count = self.designer.mechanism.num_outputs
        for names in (self.spec.action_type_names, self.spec.possible_agents):
            if len(names) == count:
                return names
        return tuple(str(i) for i in range(count))

    # -- metrics ----------------------------------------------------------------------------------------

    def get_metrics(self) -> Any:
        """Metrics of the episodes finished since the last call; :mod:`rllib_metagrad.metrics` explains each."""
        log = self.metrics
        members = members_of(self.stacks)
        self._steps.log(log, self.spec.possible_agents, members)
        metrics.ENV_FAILURES.log(log, self._env_failures)
        self._env_failures = 0
        metrics.EPISODES.log(log, self.statistics.num_finished)
        metrics.EPISODES_LIFETIME.log(log, self.statistics.num_finished)
        totals = self.statistics.pop()
        if totals is None:
            return log.reduce()
        for metric, value in extremes_of(totals):
            metric.log(log, value)
        names = (self.spec.possible_agents, self.spec.action_type_names, self.output_names)
        for metric, value, weight in means_of(totals, *names, members):
            metric.log_mean(log, value, weight)
        return log.reduce()

    def pop_observed(self) -> list[Moments] | None:
        """What the filter of observations has learned since the last call; None: there is no filter."""
        return None if self.filter is None else self.filter.pop()

    def set_observed(self, moments: Sequence[Sequence[np.ndarray]] | None) -> None:
        """The filter goes on from moments that all runners share."""
        if moments is not None:
            self._observed = [Moments(*one) for one in moments]
            if self.filter is not None:
                self.filter.set(self._observed)

    def set_lasting_state(self, saved: dict[int, list[Any]]) -> None:
        """Environments go on with what those of the runner of the same index kept from episode to episode.

        In evaluation, and where there was no such runner, those of all are taken. In evaluation schedules are over
        whatever they were.
        """
        if self.env is None:
            return  # A runner beside remote ones.
        everybodys = [kept for of_runner in saved.values() for kept in of_runner]
        own = None if self.config.in_evaluation else saved.get(self.worker_index)
        self.env.set_lasting_state(everybodys if own is None else own)
        if self.config.in_evaluation:
            self.env.end_schedules()

    # -- state ------------------------------------------------------------------------------------------

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Weights (if asked for), and what exact resume needs: generator, environments, unfinished episodes."""
        state: dict[str, Any] = {
            WEIGHTS_SEQ_NO: self._weights_seq_no,
            "worker_index": self.worker_index,
            "generator": self.generator.get_state().numpy(),
            "metrics": self.metrics.get_state(),
            OBSERVED: None if self._observed is None else [(*moments,) for moments in self._observed],
        }
        if self.env is not None:
            state["statistics"] = self.statistics.get_state()
        if self.env is not None and self.env.resumable and not self._needs_reset:
            state["env"] = self.env.get_state()
            if self.sampler.in_force is not None:
                state["in_force"] = self.sampler.in_force.output.copy()
        if self.has_component(COMPONENT_RL_MODULE, components, not_components):
            state[COMPONENT_RL_MODULE] = self._weights
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes weights and, from a checkpoint of this very runner, everything else."""
        weights = state.get(COMPONENT_RL_MODULE)
        if isinstance(weights, ray.ObjectRef):
            weights = ray.get(weights)
        if weights is not None:
            self._weights = weights
            self._weights_seq_no = int(state.get(WEIGHTS_SEQ_NO, self._weights_seq_no))
        self.set_observed(state.get(OBSERVED))
        # A restored runner receives the local runner's state: its weights, but not its random numbers.
        if state.get("worker_index") != self.worker_index or "generator" not in state:
            return
        self.generator.set_state(torch.from_numpy(np.array(state["generator"])))
        if self.env is not None and "env" in state and self.env.resumable:
            self.env.set_state(state["env"])
            if self.sampler.in_force is not None:
                self.sampler.in_force.output[:] = state["in_force"]
            self._needs_reset = False
        if self.env is not None and "statistics" in state:
            self.statistics.set_state(state["statistics"])
        self.metrics.set_state(without_old_names(without_plain_means(state["metrics"])))

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """For checkpoints."""
        return (), {"config": self.config}

    def get_checkpointable_components(self) -> list[tuple[str, Checkpointable]]:
        """None: parameters are saved by the learner."""
        return []

    def assert_healthy(self) -> None:
        """Fails if the constructor did not complete."""
        assert self.metrics is not None

    def stop(self) -> None:
        """Closes the environments."""
        if self.env is not None:
            self.env.close()
            self.env = None
