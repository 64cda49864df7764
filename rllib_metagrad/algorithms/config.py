"""IncentiveDesignConfig: RLlib's AlgorithmConfig with the keys that every incentive-design algorithm shares.

Keys are flat, as in RLlib: ``agent_*`` for how agents learn, ``designer_*`` for the designer. The methods
:meth:`IncentiveDesignConfig.agents` and :meth:`IncentiveDesignConfig.designer` take them without the prefix.
docs/configuration.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID
from ray.rllib.utils import force_list

from rllib_metagrad.algorithms.keys import Keys
from rllib_metagrad.checkpoint_files import policies_of_checkpoint
from rllib_metagrad.core.losses import LOSSES
from rllib_metagrad.core.reduction import Reduction
from rllib_metagrad.core.state import Setup
from rllib_metagrad.env_runner import ENV_SPEC, IncentiveEnvRunner, build_env
from rllib_metagrad.mechanisms import check_mechanism
from rllib_metagrad.modules.designer import mechanism_name
from rllib_metagrad.modules.population import Stack, make_setup, make_stacks, network_of
from rllib_metagrad.modules.rl_modules import DESIGNER, DesignerModule, PolicyModule
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.ray_compat import no_connector_states
from rllib_metagrad.settings import AgentSettings, SettingError, Settings, nearest
from rllib_metagrad.settings.method import MethodSettings
from rllib_metagrad.settings.methods import Method
from rllib_metagrad.settings.renamed import current
from rllib_metagrad.settings.rllib import RLlibSettings

# RLlib's own training keys that mean nothing here, and what to set instead.
_REPLACED = {
    "lr": "agent_lr and designer_lr",
    "grad_clip": "agent_grad_clip and designer_grad_clip",
    "num_epochs": "agent_num_epochs",
    "minibatch_size": "agent_minibatch_size",
    "train_batch_size": "num_envs_per_env_runner (a batch is one episode or fragment of each environment)",
    "_train_batch_size_per_learner": "num_envs_per_env_runner (a batch is one episode or fragment of each environment)",
}
# Names under which RLlib's dicts reach attributes of another name.
_ALIASES = {
    "create_env_on_driver",
    "custom_eval_function",
    "framework",
    "callbacks",
    "input",
    "lambda",
    "multiagent",
    "num_workers",
    "num_cpus_for_driver",
    "policies",
    "__trial_info__",
}


class IncentiveDesignConfig(AlgorithmConfig):
    """Settings common to MetaGrad and its baselines.

    The keys are the fields of records of settings: ``agents`` here, ``designer`` and ``incentives`` in subclasses,
    which say by their choice of records what kind of designer there is and how it learns.
    """

    agents = Keys(AgentSettings)

    @classmethod
    def records(cls) -> dict[str, type[Settings]]:
        """Records of settings by the method that sets them: agents, designer, incentives."""
        return {name: getattr(cls, name).record for name in ("agents", "designer", "incentives")}

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class)
        self.env_runner_cls = IncentiveEnvRunner
        self.batch_mode = "complete_episodes"
        self.rollout_fragment_length = "auto"
        self.num_envs_per_env_runner = 64
        self.evaluation_config = AlgorithmConfig.overrides(explore=False)
        self.evaluation_duration = 100
        no_connector_states(self)
        self.validate_env_runners_after_construction = True
        for record in self.records().values():
            for key, value in record.defaults().items():
                setattr(self, key, value)

    def set_defaults(self, method: Method) -> None:
        """What a method's defaults are, where they are not its records'."""
        for key, value in method.defaults.items():
            setattr(self, key, value)

    # -- setting ----------------------------------------------------------------------------------------

    def own_keys(self) -> list[str]:
        """All keys of our settings."""
        return [key for record in self.records().values() for key in record.config_keys()]

    def update_from_dict(self, config_dict: dict[str, Any]) -> Self:
        """As RLlib's, but an unknown key is an error that names the nearest valid one.

        Raises:
            SettingError: for an unknown key.
        """
        settable = {key for key in dir(type(self)) if isinstance(getattr(type(self), key), property)}
        known = {key for key in vars(self) if not key.startswith("_")} | settable | _ALIASES
        given = dict(current(key, config_dict[key]) for key in config_dict.keys())  # noqa: SIM118  (Tune may pass an AlgorithmConfig, which is no iterable)
        for key in given:
            if key not in known and not key.startswith("_"):
                raise SettingError(key, f"is no config key of {self.name()}{nearest(key, known)}")
        super().update_from_dict(given)
        return self

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Any:
        """As RLlib's; reads states of an earlier version, too."""
        return super().from_state(dict(current(key, value) for key, value in state.items()))

    def get_state(self) -> dict[str, Any]:
        """As RLlib's, which leaves out whatever equals -1: its mark of a deprecated setting. To ours it is a number."""
        return {**super().get_state(), **{key: getattr(self, key) for key in self.own_keys()}}

    def method_settings(self) -> MethodSettings[Any, Any]:
        """The typed settings; what learns and acts reads these.

        Raises:
            SettingError: one line that says which key, what it must be, and what it is.
        """
        read = {
            name: record.from_keys({key: getattr(self, key) for key in record.config_keys()})
            for name, record in self.records().items()
        }
        return MethodSettings(**read)  # type: ignore[arg-type]

    # -- validation -------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Checks every key.

        Raises:
            ValueError: one line that says which key, what it must be, and what it is.
        """
        settings = self.method_settings()
        RLlibSettings.from_keys({key: getattr(self, key) for key in RLlibSettings.config_keys()})
        defaults = AlgorithmConfig()
        for key, instead in _REPLACED.items():
            if getattr(self, key) != getattr(defaults, key):
                raise SettingError(key.lstrip("_"), f"has no meaning for {self.name()}; set {instead}")
        if self.env is None:
            raise SettingError("env", "is missing; set env: escape_room, for example")
        check_mechanism(mechanism_name(settings.incentives, settings.designer), settings.incentives.mechanism_config)
        self._check_critic_lstm(settings.agents)
        if self.agents_checkpoint is not None:
            policies_of_checkpoint(Path(self.agents_checkpoint))
        self._validate_callbacks()
        envs = self.num_envs_per_env_runner * max(1, self.num_env_runners)
        if self.num_learners > 1 and envs % self.num_learners:
            raise SettingError(
                "num_learners",
                f"is {self.num_learners}, which cannot share {envs} environments equally; make "
                "num_envs_per_env_runner * max(1, num_env_runners) a multiple of it",
            )
        super().validate()

    def _check_critic_lstm(self, agents: AgentSettings) -> None:
        """``critic_lstm`` needs a critic, and one that sees episodes from their start."""
        if agents.network.critic_lstm is None:
            return
        if not LOSSES[agents.loss].needs_critic:
            raise SettingError(
                "agent_network.critic_lstm",
                f"needs a critic, and agent_loss: {agents.loss} has none; leave it out, or set agent_loss: "
                "actor_critic or ppo",
            )
        if self.batch_mode != "complete_episodes":
            raise SettingError(
                "agent_network.critic_lstm",
                f"needs episodes from their first step, and batch_mode: {self.batch_mode} cuts them; "
                "set batch_mode: complete_episodes",
            )

    def _validate_callbacks(self) -> None:
        """Batched runners have no episode objects to hand to callbacks: say so instead of never calling them."""
        for event in ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end"):
            given = [f for f in force_list(getattr(self, f"callbacks_{event}")) if f is not None]
            base = getattr(RLlibCallback, event)
            overriding = [c for c in force_list(self.callbacks_class) if getattr(c, event, base) is not base]
            if given or overriding:
                raise SettingError(
                    "callbacks",
                    f"{event} is never called, as whole batches of episodes are sampled at once; use "
                    "on_sample_end, which receives the trajectories",
                )

    def name(self) -> str:
        """The algorithm's name."""
        return self.algo_class.__name__ if isinstance(self.algo_class, type) else str(self.algo_class)

    # -- what the parts are built from ------------------------------------------------------------------

    def policy_of(self, agent: str) -> str:
        """Id of an agent's policy: the user's mapping, one for all with ``parameter_sharing``, else its own.

        Raises:
            ValueError: if the user's mapping names a policy that is not in ``policies``.
        """
        if set(self.policies) == {DEFAULT_POLICY_ID}:
            return "shared" if self.parameter_sharing else agent
        policy = str(self.policy_mapping_fn(agent, None))
        if policy not in self.policies:
            raise ValueError(
                f"policy_mapping_fn maps agent {agent!r} to {policy!r}, which is not among policies "
                f"{sorted(self.policies)}"
            )
        return policy

    def make_stacks(self, spec: EnvSpec) -> tuple[Stack, ...]:
        """Policies, stacked where they can be."""
        return make_stacks(spec, self.policy_of)

    def make_setup(
        self,
        spec: EnvSpec,
        stacks: Sequence[Stack],
        reduction: Reduction | None = None,
        device: torch.device | None = None,
    ) -> Setup[Any, Any, Any]:
        """Policies and designer, see :func:`population.make_setup`; ``policies_to_train`` says which learn."""
        chosen, learns = self.policies_to_train, None
        if chosen is not None:

            def learns(policy_id: str) -> bool:
                return bool(chosen(policy_id, None) if callable(chosen) else policy_id in chosen)

        return make_setup(self.method_settings(), spec, stacks, learns, reduction, device)

    def get_rollout_fragment_length(self, worker_index: int = 0) -> int:
        """Steps of a fragment with ``batch_mode: truncate_episodes``; ``auto`` is 100."""
        return 100 if self.rollout_fragment_length == "auto" else int(self.rollout_fragment_length)

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """RLlib asks for one; :meth:`get_multi_rl_module_spec` gives the real ones."""
        return RLModuleSpec(module_class=PolicyModule)

    def get_multi_rl_module_spec(
        self,
        *,
        env: Any = None,
        spaces: dict[str, Any] | None = None,
        inference_only: bool = False,
        **kwargs: Any,
    ) -> MultiRLModuleSpec:
        """One module a policy, and the designer's."""
        spec: EnvSpec | None = (spaces or {}).get(ENV_SPEC)
        if spec is None:
            built = build_env(self, 1)
            spec = EnvSpec.of(built)
            built.close()
        stacks = self.make_stacks(spec)
        setup = self.make_setup(spec, stacks)
        modules = {
            policy_id: RLModuleSpec(
                module_class=PolicyModule,
                observation_space=_space_of(stack),
                action_space=stack.action_space,
                model_config={
                    "network": network_of(setup.settings.agents.network, stack),
                    "critic": policy.has_critic,
                    "picture_shape": stack.picture_shape,
                },
            )
            for stack, policy in zip(stacks, setup.policies, strict=True)
            for policy_id in stack.policy_ids
        }
        if DESIGNER in modules:
            raise SettingError("policies", f"cannot hold {DESIGNER!r}: that is the incentive designer's module")
        outputs = setup.designer.mechanism.num_outputs
        modules[DESIGNER] = RLModuleSpec(
            module_class=DesignerModule,
            observation_space=gym.spaces.Box(-np.inf, np.inf, spec.state_shape, np.float32),
            action_space=gym.spaces.Box(-np.inf, np.inf, (outputs,), np.float32),
            model_config={
                "designer": setup.settings.designer,
                "incentives": setup.settings.incentives,
                "env_spec": spec,
            },
        )
        return MultiRLModuleSpec(rl_module_specs=modules)


def _space_of(stack: Stack) -> Any:
    """The processed observation space of a stack's agents."""
    image = stack.observation_dtype == np.uint8
    return gym.spaces.Box(
        0 if image else -np.inf,
        255 if image else np.inf,
        stack.observation_shape,
        stack.observation_dtype.type,
    )
