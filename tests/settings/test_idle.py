"""Settings that cannot act are refused; in the company that they need they pass."""

from __future__ import annotations

from typing import Any

import pytest

from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.settings import SettingError
from rllib_metagrad.settings.idle import RULES

#: Key: the method, a value, what makes it act.
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "agent_lambda": ("MetaGrad", 0.5, {"agent_loss": "actor_critic"}),
    "agent_vf_coeff": ("DualRL", 0.1, {"agent_loss": "ppo"}),
    "agent_critic_lr": ("AMD", 0.1, {"agent_loss": "actor_critic"}),
    "agent_target_tau": ("FixedIncentive", 0.1, {"agent_loss": "actor_critic"}),
    "agent_clip_param": ("Centralized", 0.1, {"agent_loss": "ppo"}),
    "cloning_lr": ("MetaGrad", 0.1, {"agent_model": "cloned"}),
    "cloning_steps": ("MetaGrad", 3, {"agent_model": "cloned"}),
    "cloning_grad_clip": ("MetaGrad", None, {"agent_model": "cloned"}),
    "designer_lambda": ("MetaGrad", 0.5, {"designer_baseline": "critic"}),
    "designer_critic_lr": ("AMD", 0.1, {"designer_baseline": "critic"}),
    "designer_target_tau": ("DualRL", 0.1, {"designer_baseline": "critic"}),
    "designer_clip_param": ("MetaGrad", 0.1, {"designer_loss": "ppo"}),
    "designer_response_iterations": ("MetaGrad", 5, {"designer_response": "fisher"}),
    "designer_response_damping": ("MetaGrad", 0.5, {"designer_response": "fisher"}),
    "designer_response_average": ("MetaGrad", 0.5, {"designer_response": "fisher"}),
    "designer_response_cross": ("MetaGrad", 2, {"designer_response": "fisher"}),
    "designer_response_least_entropy": ("MetaGrad", 0.1, {"designer_response": "critic"}),
    "designer_response_critic_lr": ("MetaGrad", 0.1, {"designer_response": "critic"}),
    "designer_response_critic_network": ("MetaGrad", {"hiddens": [4]}, {"designer_response": "critic"}),
    "designer_response_updates": ("MetaGrad", 3, {"designer_response": "neumann"}),
    "designer_std": ("DualRL", 0.5, {"designer_levels": None}),
    "designer_factorized": ("DualRL", True, {"designer_levels": [0, 1]}),
    "rollout_fragment_length": ("MetaGrad", 10, {"batch_mode": "truncate_episodes"}),
}
#: Key: a method that makes nothing of it, a value, a method that does.
METHODS = {
    "designer_num_epochs": ("AMD", 3, "MetaGrad"),
    "designer_network": ("FixedIncentive", {"hiddens": [7]}, "DualRL"),
}


def validate(kind: str, **settings: Any) -> None:
    get_config_class(kind)().update_from_dict(
        {"env": "escape_room", "env_config": {"n": 2, "m": 1}, **settings}
    ).validate()


def test_every_rule_has_a_case() -> None:
    assert {key for rule in RULES for key in rule.keys} == {*CASES, *METHODS} - {"rollout_fragment_length"}


@pytest.mark.parametrize("key", CASES)
def test_alone_it_is_refused_and_in_company_it_passes(key: str) -> None:
    kind, value, company = CASES[key]
    alone = {"designer_levels": None} if key == "designer_factorized" else {}
    with pytest.raises(SettingError, match=f"^{key} ") as raised:
        validate(kind, **{key: value}, **alone)
    assert "leave" in str(raised.value)
    assert "\n" not in str(raised.value)
    validate(kind, **{key: value}, **company)


@pytest.mark.parametrize("key", METHODS)
def test_with_a_method_that_makes_nothing_of_it_it_is_refused(key: str) -> None:
    kind, value, other = METHODS[key]
    with pytest.raises(SettingError, match=f"^{key} does nothing without .*{other}.*; .* leave {key} out$"):
        validate(kind, **{key: value})
    validate(other, **{key: value})
    validate("Centralized" if kind == "FixedIncentive" else kind)


@pytest.mark.parametrize("settings", [{"agent_betas": [0, 0.5]}, {"agent_eps": 1e-3}, {"agent_clip_param": 0.2}])
def test_what_is_harmless_or_the_default_passes(settings: dict[str, Any]) -> None:
    validate("MetaGrad", **settings)
