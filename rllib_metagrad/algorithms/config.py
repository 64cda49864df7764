"""IncentiveDesignConfig: RLlib's AlgorithmConfig with the keys that every incentive-design algorithm shares.

Keys are flat, as in RLlib: ``agent_*`` for how agents learn, ``designer_*`` for the designer. The methods
:meth:`IncentiveDesignConfig.agents` and :meth:`IncentiveDesignConfig.designer` take them without the prefix.
docs/configuration.md lists all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rllib_metagrad.algorithms import checks, policies, rl_module_specs
from rllib_metagrad.algorithms.frozen import read_settings
from rllib_metagrad.algorithms.keys import Keys
from rllib_metagrad.checkpoint_files import policies_of_checkpoint
from rllib_metagrad.core.losses import check_loss, find_loss
from rllib_metagrad.core.own_objective import find_objective
from rllib_metagrad.core.reduction import Reduction
from rllib_metagrad.core.state import Setup
from rllib_metagrad.env_runner import ENV_SPEC, IncentiveEnvRunner
from rllib_metagrad.environments import build_env, filter_options
from rllib_metagrad.modules.designer import find_incentive_function
from rllib_metagrad.modules.fit import check_payments, frozen_designer
from rllib_metagrad.modules.own_networks import check_networks
from rllib_metagrad.modules.population import Stack, make_setup, make_stacks, network_of
from rllib_metagrad.modules.rl_modules import DESIGNER, DesignerModule, PolicyModule
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.ray_compat import CompatConfig, CompatMultiModule, no_connector_states
from rllib_metagrad.settings import (
    AgentSettings,
    FixedIncentiveSettings,
    IncentiveFunctionSettings,
    SettingError,
    Settings,
    nearest,
)
from rllib_metagrad.settings.idle import check_idle
from rllib_metagrad.settings.method import MethodSettings
from rllib_metagrad.settings.methods import Method
from rllib_metagrad.settings.renamed import current
from rllib_metagrad.settings.rllib import RLlibSettings
from rllib_metagrad.settings.rllib_keys import PUBLIC, WRITTEN, check_name, check_values
from rllib_metagrad.settings.together import check_batches, check_critics, check_response

# Names under which RLlib's dicts reach attributes of another name.
_ALIASES = set(WRITTEN.values())
# What Tune leaves in a trial's config for its Trainable, which has read it by then.
_NOTES_OF_TUNE = {"__trial_info__", "__stdout_file__", "__stderr_file__"}


class IncentiveDesignConfig(CompatConfig):
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
        self.metrics_num_episodes_for_smoothing: int | None = None
        # Whatever stands in these two is the user's.
        self.policies: Any = {}
        self.policy_mapping_fn: Any = None
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
        known = {*vars(self), *_ALIASES}
        given = dict(current(key, config_dict[key]) for key in config_dict.keys())  # noqa: SIM118  (Tune may pass an AlgorithmConfig, which is no iterable)
        given = {key: value for key, value in given.items() if key not in _NOTES_OF_TUNE}
        given = {PUBLIC.get(key, key): checks.imported(key, value) for key, value in given.items()}
        for key in given:
            self._check_known(key, known)
        checks.check_mappings(given)
        if "policies" in given:
            given["policies"] = policies.specs(given["policies"])
        for key in {"callbacks", "callbacks_class"} & set(given):
            classes = checks.callback_classes(given[key])
            given[key] = classes if isinstance(given[key], list) else classes[0]
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
        """The typed settings; what learns and acts reads these. A designer that is a checkpoint's is read from there.

        Raises:
            SettingError: one line that says which key, what it must be, and what it is.
        """
        read = {
            name: record.from_keys({key: getattr(self, key) for key in record.config_keys()})
            for name, record in self.records().items()
        }
        incentives = read["incentives"]
        if isinstance(incentives, FixedIncentiveSettings) and isinstance(incentives.designer_checkpoint, str):
            frozen = read_settings(Path(incentives.designer_checkpoint))
            read["incentives"] = incentives.replace(designer_checkpoint=frozen)
        return MethodSettings(**read)  # type: ignore[arg-type]

    # -- validation -------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Checks every key.

        Raises:
            ValueError: one line that says which key, what it must be, and what it is.
        """
        fresh = vars(type(self)())
        for key in vars(self):
            if key not in fresh and key != "class":  # which RLlib leaves behind when it restores a config
                self._check_known(key, fresh)
        check_values(vars(self), fresh, self.name(), bool(self.in_evaluation))
        settings = self.method_settings()
        rllib = RLlibSettings.from_keys({key: getattr(self, key) for key in RLlibSettings.config_keys()})
        check_idle(settings, vars(self), {key: fresh[key] for key in self.own_keys()})
        checks.check_environment(self)
        check_payments(settings)
        check_response(settings)
        check_loss(settings.agents)
        networks = [own.network for own in policies.given(self).own_settings().values() if own.network is not None]
        loss, networks = settings.agents.loss, [settings.agents.network, *networks]
        check_critics(rllib, loss, find_loss(loss).needs_critic, networks)
        own = {"agent_network": settings.agents.network, "designer_network": settings.designer.network}
        critics = ("critic_network", "response_critic_network")
        check_networks({**own, **{f"designer_{key}": getattr(settings.designer, key, None) for key in critics}})
        self._check_own_designer(settings)
        if self.agents_checkpoint is not None:
            policies_of_checkpoint(Path(self.agents_checkpoint))
        checks.check_connectors(self)
        rl_module_specs.check(self)
        checks.check_callbacks(self)
        checks.check_classes(self)
        check_batches(rllib, bool(self.in_evaluation))
        super().validate()
        if not self.in_evaluation:
            checks.check_evaluation_config(self)
            checks.with_key("evaluation_config", lambda: self.get_evaluation_config_object().validate())

    def _check_known(self, key: str, known: Iterable[str]) -> None:
        """Refuses a key that there is not, by the new name of an old one or the nearest."""
        check_name(key)
        if key not in known:
            hint = nearest(key, [name for name in known if not name.startswith("_")])
            raise SettingError(key, f"is no config key of {self.name()}{hint}")

    def _check_own_designer(self, settings: MethodSettings[Any, Any]) -> None:
        designer = settings.designer
        if isinstance(designer, IncentiveFunctionSettings):
            find_incentive_function(designer)
        if designer.objective is not None:
            find_objective(designer.objective)
            if self.centralized:
                raise SettingError(
                    "designer_objective",
                    "has no meaning with centralized: true, where the one policy earns the environment's R^ID; "
                    "leave one of them out",
                )

    def name(self) -> str:
        """The algorithm's name."""
        return self.algo_class.__name__ if isinstance(self.algo_class, type) else str(self.algo_class)

    # -- what the parts are built from ------------------------------------------------------------------

    def policy_of(self, agent: str) -> str:
        """Name of an agent's policy, see :class:`Policies`."""
        return policies.given(self).policy_of(agent)

    def check_policies(self) -> None:
        """Called by :meth:`validate`, see :class:`Policies`."""
        policies.given(self).check()

    def with_mapping(self, env_creator: Any = None) -> Self:
        """This config; if its policies are a function's to name, a copy in which it was asked, see
        :func:`policies.asked`. A copy of the environment tells the agents' names and is thrown away."""
        if not policies.asks(self):
            return self
        env = build_env(self, 1, env_creator)
        agents = tuple(env.possible_agents)
        env.close()
        return policies.asked(self, agents)

    def with_designer(self) -> Self:
        """This config; if its designer is a checkpoint's, a copy that describes it: workers need no folder."""
        if not isinstance(getattr(self, "designer_checkpoint", None), str):
            return self
        return self.with_values(designer_checkpoint=frozen_designer(self.method_settings().incentives))

    def make_stacks(self, spec: EnvSpec) -> tuple[Stack, ...]:
        """Policies, stacked where they can be."""
        given, module_of = policies.given(self), partial(rl_module_specs.spec_of, self)
        stacks = make_stacks(spec, given.policy_of, given.own_settings(), module_of)
        rl_module_specs.check_names(self, {name for stack in stacks for name in stack.policy_ids})
        return stacks

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

        own = policies.given(self).own_settings()
        return make_setup(self.method_settings(), spec, stacks, learns, reduction, device, own, self.log_gradients)

    def get_rollout_fragment_length(self, worker_index: int = 0) -> int:
        """Steps of a fragment with ``batch_mode: truncate_episodes``; ``auto`` is 100."""
        return 100 if self.rollout_fragment_length == "auto" else int(self.rollout_fragment_length)

    def episodes_smoothed_by_a_runner(self) -> int | None:
        """How many episodes a runner's metrics are means over; None for those of the iteration."""
        smoothed = self.metrics_num_episodes_for_smoothing
        if smoothed is None or self.in_evaluation:
            return None
        return max(1, math.ceil(smoothed / max(1, self.num_env_runners)))

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
            spec = EnvSpec.of(built, filtered=filter_options(self, built) is not None)
            built.close()
        stacks = self.make_stacks(spec)
        setup = self.make_setup(spec, stacks)
        modules = {
            policy_id: RLModuleSpec(
                module_class=PolicyModule,
                observation_space=stack.observation_space,
                action_space=stack.action_space,
                model_config={
                    "network": network_of(setup.settings.agents.network, stack),
                    "critic": policy.has_critic,
                    "picture_shape": stack.picture_shape,
                    "module": stack.module,
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
        return MultiRLModuleSpec(multi_rl_module_class=CompatMultiModule, rl_module_specs=modules)
