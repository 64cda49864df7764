"""The user's own RLModules: which policy has which, and what a spec may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule, MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule

from rllib_metagrad.algorithms import policies
from rllib_metagrad.modules.rl_modules import DESIGNER
from rllib_metagrad.settings import SettingError, nearest

if TYPE_CHECKING:
    from rllib_metagrad.algorithms.config import IncentiveDesignConfig

KEY = "rl_module_spec"
#: Fields of a spec that must be as they are by default, and what to do instead.
_FIELDS = {
    "observation_space": "spaces are those of the environment",
    "action_space": "spaces are those of the environment",
    "inference_only": "learners and runners have the whole module",
    "learner_only": "every module is a policy",
    "load_state_path": "set agents_checkpoint",
}


def spec_of(config: IncentiveDesignConfig, policy_id: str) -> RLModuleSpec | None:
    """The RLModule of a policy, or None for a network of ours."""
    given = config.own_rl_module_spec
    if isinstance(given, MultiRLModuleSpec):
        return (given.rl_module_specs or {}).get(policy_id)
    return _as_spec(given)


def _as_spec(given: Any) -> Any:
    """A class is a spec without anything else; it is what YAML can name."""
    return RLModuleSpec(module_class=given) if isinstance(given, type) else given


def check(config: IncentiveDesignConfig) -> None:
    """All that can be said without an environment.

    Raises:
        SettingError: on one line.
    """
    given = config.own_rl_module_spec
    if given is None:
        return
    if isinstance(given, MultiRLModuleSpec):
        _check_several(config, given)
        return
    _check_one(KEY, _as_spec(given))
    if config.agent_network != type(config)().agent_network:
        raise SettingError("agent_network", f"has no effect, as {KEY} is the network of all policies; leave one out")
    for name, own in policies.given(config).own_settings().items():
        if own.network is not None:
            raise SettingError(f"policies.{name}", f"has an agent_network, and {KEY} is that of all; leave one out")


def _check_several(config: IncentiveDesignConfig, given: MultiRLModuleSpec) -> None:
    names = policies.given(config).named()
    if given.multi_rl_module_class not in (None, MultiRLModule):
        raise SettingError(KEY, "cannot have a multi_rl_module_class: policies act by themselves; leave it out")
    for field in ("load_state_path", "inference_only", "observation_space", "action_space"):
        if getattr(given, field, None):
            raise SettingError(KEY, f"cannot have a {field}: {_FIELDS[field]}; leave it out")
    if not isinstance(given.rl_module_specs, Mapping):
        raise SettingError(KEY, f"must hold rl_module_specs by policy, got {given.rl_module_specs!r}")
    own = policies.given(config).own_settings()
    for name, spec in given.rl_module_specs.items():
        if name == DESIGNER:
            raise SettingError(f"{KEY}.{name}", "is the designer; its own network is designer_network: {custom: ...}")
        if names and name not in names:
            raise SettingError(f"{KEY}.{name}", f"is no policy{nearest(name, names)}")
        if name in own and own[name].network is not None:
            raise SettingError(f"policies.{name}", f"has an agent_network, and an RLModule in {KEY}; leave one out")
        _check_one(f"{KEY}.{name}", spec)


def _check_one(key: str, spec: Any) -> None:
    if not isinstance(spec, RLModuleSpec):
        raise SettingError(key, f"must be an RLModuleSpec, a MultiRLModuleSpec or a class of RLModules, got {spec!r}")
    if not (isinstance(spec.module_class, type) and issubclass(spec.module_class, TorchRLModule)):
        raise SettingError(key, f"must have a module_class derived from TorchRLModule, got {spec.module_class!r}")
    for field, instead in _FIELDS.items():
        if getattr(spec, field):
            raise SettingError(key, f"cannot have {field}: {instead}; leave it out")


def check_names(config: IncentiveDesignConfig, known: set[str]) -> None:
    """Specs of policies that are named by the environment's agents are checked once these are known.

    Raises:
        SettingError: for a policy that is not there.
    """
    given = config.own_rl_module_spec
    for name in (given.rl_module_specs or {}) if isinstance(given, MultiRLModuleSpec) else ():
        if name not in known:
            raise SettingError(f"{KEY}.{name}", f"is no policy{nearest(name, known)}")
