"""IncentiveDesignConfig: RLlib's AlgorithmConfig with the keys that every incentive-design algorithm shares.

Keys are flat, as in RLlib: ``agent_*`` for how agents learn, ``designer_*`` for the designer. The methods
:meth:`IncentiveDesignConfig.agents` and :meth:`IncentiveDesignConfig.designer` take them without the prefix.
docs/configuration.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
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

from rllib_metagrad.algorithms import config_rules as rules
from rllib_metagrad.algorithms.config_rules import Rule, value_at
from rllib_metagrad.checkpoint_files import policies_of_checkpoint
from rllib_metagrad.core.agent_update import AgentSettings
from rllib_metagrad.core.optimizers import OptimizerSettings
from rllib_metagrad.env_runner import ENV_SPEC, IncentiveEnvRunner, build_env
from rllib_metagrad.modules.designer import Designer, DesignerSettings, make_designer
from rllib_metagrad.modules.networks import NetworkSettings
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.modules.population import EnvSpec, Stack, make_stacks
from rllib_metagrad.modules.rl_modules import DESIGNER, DesignerModule, PolicyModule
from rllib_metagrad.settings.import_path import import_path

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
    """Settings common to MetaGrad and its baselines; subclasses say what kind of designer there is."""

    #: Kind of designer, see :class:`DesignerSettings`.
    designer_kind: str = "constant"
    #: Mechanism if the user names none.
    default_mechanism: str = "action_incentives"

    #: What each key must be; subclasses extend it.
    RULES: Mapping[str, Rule] = {
        "torch_num_threads": rules.integer(1),
        "num_updates_per_iteration": rules.integer(1),
        "parameter_sharing": rules.BOOL,
        "centralized": rules.BOOL,
        "greedy_evaluation": rules.BOOL,
        "bootstrap_truncated": rules.BOOL,
        "mechanism": rules.OPTIONAL_NAME,
        "mechanism_config": rules.DICT,
        "agents_checkpoint": rules.OPTIONAL_NAME,
        "nan_policy": rules.choice("error", "skip"),
        "agent_loss": rules.choice("pg", "actor_critic", "ppo"),
        "agent_optimizer": rules.choice("sgd", "adam", "adam_full"),
        "agent_lr": rules.schedule(0),
        "agent_reward_scale": rules.number(0, above=True),
        "agent_betas": rules.BETAS,
        "agent_eps": rules.number(0, above=True),
        "agent_eps_root": rules.number(0, none=True),
        "agent_grad_clip": rules.number(0, above=True, none=True),
        "agent_num_epochs": rules.integer(1),
        "agent_minibatch_size": rules.integer(1, none=True),
        "agent_entropy_coeff": rules.schedule(0),
        "agent_vf_coeff": rules.number(0),
        "agent_critic_lr": rules.number(0, none=True),
        "agent_target_tau": rules.number(0, 1, above=True, none=True),
        "agent_lambda": rules.number(0, 1),
        "agent_clip_param": rules.number(0, above=True),
        "agent_epsilon": rules.schedule(0, 1),
        "agent_mean_baseline": rules.BOOL,
        "agent_normalize_advantages": rules.BOOL,
    }

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class)
        self.env_runner_cls = IncentiveEnvRunner
        self.batch_mode = "complete_episodes"
        self.rollout_fragment_length = "auto"
        self.num_envs_per_env_runner = 64
        self.evaluation_config = AlgorithmConfig.overrides(explore=False)
        self.evaluation_duration = 100
        # Runners hold no connector states to merge or to broadcast.
        self._dont_auto_sync_env_runner_states = True
        self.broadcast_env_runner_states = False
        self.validate_env_runners_after_construction = True

        self.torch_num_threads = 1
        self.num_updates_per_iteration = 1
        self.parameter_sharing = False
        self.centralized = False
        self.greedy_evaluation = False
        self.bootstrap_truncated = True
        self.mechanism: str | None = None
        self.mechanism_config: dict[str, Any] = {}
        self.agents_checkpoint: str | None = None
        self.nan_policy = "error"

        self.agent_loss = "pg"
        self.agent_optimizer = "sgd"
        self.agent_lr: Any = 1e-2
        self.agent_reward_scale = 1.0
        self.agent_betas = (0.9, 0.999)
        self.agent_eps = 1e-8
        self.agent_eps_root: float | None = None
        self.agent_grad_clip: float | None = None
        self.agent_num_epochs = 1
        self.agent_minibatch_size: int | None = None
        self.agent_entropy_coeff: Any = 0.01
        self.agent_vf_coeff = 0.5
        self.agent_critic_lr: float | None = None
        self.agent_target_tau: float | None = None
        self.agent_lambda = 0.95
        self.agent_clip_param = 0.2
        self.agent_epsilon: Any = 0.0
        self.agent_mean_baseline = False
        self.agent_normalize_advantages = False
        self.agent_network: Any = {"hiddens": [64, 32]}
        self.designer_network: Any = {"hiddens": [64, 16]}

    # -- setting ----------------------------------------------------------------------------------------

    def agents(self, **settings: Any) -> Self:
        """Sets ``agent_*`` keys, given without the prefix: ``config.agents(loss="ppo", lr=3e-4)``."""
        return self._set_prefixed("agent_", settings)

    def designer(self, **settings: Any) -> Self:
        """Sets ``designer_*`` keys, given without the prefix: ``config.designer(lr=1e-3)``."""
        return self._set_prefixed("designer_", settings)

    def incentives(self, **settings: Any) -> Self:
        """Sets the keys without prefix: ``mechanism``, ``parameter_sharing``, ``num_updates_per_iteration``, ..."""
        return self._set_prefixed("", settings)

    def _set_prefixed(self, prefix: str, settings: dict[str, Any]) -> Self:
        for name, value in settings.items():
            key = prefix + name
            if key not in self.own_keys():
                raise ValueError(rules.unknown(f"setting {key!r}", key, self.own_keys()))
            # Workers know a class by its import path.
            setattr(self, key, import_path(value) if isinstance(value, type) else value)
        return self

    def own_keys(self) -> list[str]:
        """All keys that RLlib does not have."""
        return [*self.RULES, *(key for key in vars(self) if key.endswith("_network"))]

    def update_from_dict(self, config_dict: dict[str, Any]) -> Self:
        """As RLlib's, but an unknown key is an error that names the nearest valid one.

        Raises:
            ValueError: for an unknown key.
        """
        settable = {key for key in dir(type(self)) if isinstance(getattr(type(self), key), property)}
        known = {key for key in vars(self) if not key.startswith("_")} | settable | _ALIASES
        for key in config_dict.keys():  # noqa: SIM118  (Tune may pass an AlgorithmConfig, which is no iterable)
            if key not in known and not key.startswith("_"):
                raise ValueError(rules.unknown(f"config key {key!r}", key, sorted(known)))
        super().update_from_dict(config_dict)
        return self

    def get_state(self) -> dict[str, Any]:
        """As RLlib's, which leaves out whatever equals -1: its mark of a deprecated setting. To ours it is a number."""
        return {**super().get_state(), **{key: getattr(self, key) for key in self.own_keys()}}

    # -- validation -------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Checks every key.

        Raises:
            ValueError: one line that says which key, what it must be, and what it is.
        """
        for key, rule in self.RULES.items():
            rule.check(key, getattr(self, key))
        for key in (key for key in vars(self) if key.endswith("_network")):
            if getattr(self, key) is not None:
                rules.network(key, getattr(self, key))
        defaults = AlgorithmConfig()
        for key, instead in _REPLACED.items():
            if getattr(self, key) != getattr(defaults, key):
                raise ValueError(f"{key.lstrip('_')} has no meaning for {self.name()}; set {instead}")
        if self.env is None:
            raise ValueError("env is missing; set env: escape_room, for example")
        if self.batch_mode not in ("complete_episodes", "truncate_episodes"):
            raise ValueError(f"batch_mode must be complete_episodes or truncate_episodes, got {self.batch_mode!r}")
        rules.check_critic_lstm(self._network("agent_network"), self.agent_loss, self.batch_mode)
        for key in ("num_envs_per_env_runner", "num_env_runners", "num_learners"):
            rules.integer(1 if key == "num_envs_per_env_runner" else 0).check(key, getattr(self, key))
        if self.agents_checkpoint is not None:
            policies_of_checkpoint(Path(self.agents_checkpoint))
        self._validate_callbacks()
        envs = self.num_envs_per_env_runner * max(1, self.num_env_runners)
        if self.num_learners > 1 and envs % self.num_learners:
            raise ValueError(
                f"num_learners={self.num_learners} cannot share {envs} environments equally; make "
                "num_envs_per_env_runner * max(1, num_env_runners) a multiple of it"
            )
        super().validate()

    def _validate_callbacks(self) -> None:
        """Batched runners have no episode objects to hand to callbacks: say so instead of never calling them."""
        for event in ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end"):
            given = [f for f in force_list(getattr(self, f"callbacks_{event}")) if f is not None]
            base = getattr(RLlibCallback, event)
            overriding = [c for c in force_list(self.callbacks_class) if getattr(c, event, base) is not base]
            if given or overriding:
                raise ValueError(
                    f"callbacks: {event} is never called, as whole batches of episodes are sampled at once; use "
                    "on_sample_end, which receives the trajectories"
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
        """Policies, stacked where they can be.

        Raises:
            ValueError: if ``agent_network`` is for observations of another kind.
        """
        for group in spec.groups:
            what = f"what {spec.possible_agents[group.agents[0]]!r} observes in {spec.name!r}"
            rules.check_encoder("agent_network", self._network("agent_network"), group.picture_shape, what)
        return make_stacks(spec, self.policy_of)

    def make_policy(self, stack: Stack) -> StackedPolicy:
        """The functions of one stack's policies; ``policies_to_train`` says which of them learn."""
        policy = stack.make_policy(self._network("agent_network"), critic=self.agent_loss != "pg")
        chosen = self.policies_to_train
        if chosen is not None:
            learns = [chosen(p, None) if callable(chosen) else p in chosen for p in stack.policy_ids]
            policy.trainable = torch.tensor([[float(yes)] for yes in learns])
        return policy

    def designer_settings(self) -> DesignerSettings:
        """What the designer is."""
        return DesignerSettings(
            kind=self.designer_kind,  # type: ignore[arg-type]
            mechanism=self.mechanism or self.default_mechanism,
            mechanism_config=dict(self.mechanism_config),
            network=self._network("designer_network"),
        )

    def designer_critic_settings(self) -> NetworkSettings | None:
        """Network of the designer's critic, or None if there is none."""
        return None

    def make_designer(self, spec: EnvSpec) -> Designer:
        """The designer's functions.

        Raises:
            ValueError: if its networks are for observations of another kind; see :func:`make_designer`, too.
        """
        for key in ("designer_network", "designer_critic_network"):
            if getattr(self, key, None) is not None:
                what = f"what the designer observes in {spec.name!r}"
                rules.check_encoder(key, self._network(key), spec.state_picture_shape, what)
        return make_designer(self.designer_settings(), spec)

    def _network(self, key: str) -> NetworkSettings:
        return rules.network(key, getattr(self, key))

    def agent_settings(self, env_steps: int) -> AgentSettings:
        """How agents learn after so many environment steps: schedules are evaluated."""
        eps_root = self.agent_eps_root
        if eps_root is None:
            eps_root = 1e-8 if self.agent_optimizer == "adam_full" else 0.0
        return AgentSettings(
            loss=self.agent_loss,  # type: ignore[arg-type]
            optimizer=OptimizerSettings(
                self.agent_optimizer,  # type: ignore[arg-type]
                lr=value_at(self.agent_lr, env_steps),
                betas=(self.agent_betas[0], self.agent_betas[1]),
                eps=self.agent_eps,
                eps_root=eps_root,
                grad_clip=self.agent_grad_clip,
            ),
            num_epochs=self.agent_num_epochs,
            minibatch_size=self.agent_minibatch_size,
            gamma=self.gamma,
            lambda_=self.agent_lambda,
            entropy_coeff=value_at(self.agent_entropy_coeff, env_steps),
            vf_coeff=self.agent_vf_coeff,
            critic_lr=self.agent_critic_lr,
            clip_param=self.agent_clip_param,
            mean_baseline=self.agent_mean_baseline,
            normalize_advantages=self.agent_normalize_advantages,
            target_tau=self.agent_target_tau,
            reward_scale=self.agent_reward_scale,
        )

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
        critic = self.agent_loss != "pg"
        modules = {
            policy_id: RLModuleSpec(
                module_class=PolicyModule,
                observation_space=_space_of(stack),
                action_space=stack.action_space,
                model_config={
                    "network": self._network("agent_network"),
                    "critic": critic,
                    "picture_shape": stack.picture_shape,
                },
            )
            for stack in self.make_stacks(spec)
            for policy_id in stack.policy_ids
        }
        if DESIGNER in modules:
            raise ValueError(f"a policy cannot be named {DESIGNER!r}: that is the incentive designer's module")
        outputs = self.make_designer(spec).mechanism.num_outputs
        modules[DESIGNER] = RLModuleSpec(
            module_class=DesignerModule,
            observation_space=gym.spaces.Box(-np.inf, np.inf, spec.state_shape, np.float32),
            action_space=gym.spaces.Box(-np.inf, np.inf, (outputs,), np.float32),
            model_config={
                "designer": self.designer_settings(),
                "critic_network": self.designer_critic_settings(),
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
