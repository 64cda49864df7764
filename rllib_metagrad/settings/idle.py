"""Settings that act only together with others: given where they cannot, they are a mistake, and said to be one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rllib_metagrad.settings.base import SettingError
from rllib_metagrad.settings.designer import DesignerSettings
from rllib_metagrad.settings.incentives import LookingThroughSettings
from rllib_metagrad.settings.method import MethodSettings


@dataclass(frozen=True)
class Needs:
    """What some keys need.

    Attributes:
        keys: of settings.
        what: what must be set, too, in words.
        missing: whether it is surely not.
    """

    keys: tuple[str, ...]
    what: str
    missing: Callable[[MethodSettings[Any, Any]], bool]


# A loss of a user's own may read whatever it likes.
RULES = (
    Needs(
        ("agent_lambda", "agent_vf_coeff", "agent_critic_lr", "agent_target_tau"),
        "a critic, agent_loss: actor_critic or ppo",
        lambda s: s.agents.loss == "pg",
    ),
    Needs(("agent_clip_param",), "agent_loss: ppo", lambda s: s.agents.loss in ("pg", "actor_critic")),
    Needs(
        ("cloning_lr", "cloning_steps", "cloning_grad_clip"),
        "agent_model: cloned",
        lambda s: s.incentives.agent_model == "oracle",
    ),
    Needs(
        ("designer_lambda", "designer_critic_lr", "designer_target_tau"),
        "designer_baseline: critic",
        lambda s: s.designer.baseline != "critic",
    ),
    Needs(("designer_clip_param",), "designer_loss: ppo", lambda s: s.designer.loss == "reinforce"),
    *(
        Needs(
            tuple(f"designer_response_{name}" for name in names),
            f"designer_response: {' or '.join(responses)}",
            lambda s, responses=responses: s.designer.response not in responses,  # type: ignore[misc]
        )
        for names, responses in (
            (("iterations", "damping", "average", "cross"), ("fisher",)),
            (("least_entropy",), ("fisher", "critic")),
            (("critic_lr", "critic_network"), ("critic",)),
            (("updates",), ("neumann",)),
        )
    ),
    Needs(("designer_std",), "designer_levels: null", lambda s: s.designer.levels is not None),
    Needs(("designer_factorized",), "designer_levels", lambda s: s.designer.levels is None),
    Needs(
        ("designer_num_epochs",),
        "run: MetaGrad, as AMD makes one step on each trajectory",
        lambda s: type(s.incentives) is LookingThroughSettings,
    ),
    Needs(
        ("designer_network",),
        "a designer that learns, run: MetaGrad, AMD or DualRL",
        lambda s: type(s.designer) is DesignerSettings,
    ),
)


def check_idle(settings: MethodSettings[Any, Any], values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses settings that differ from their defaults and do nothing.

    Args:
        settings: of the method.
        values: by config key, as the user gave them.
        defaults: the same of a fresh config; only its keys are looked at.

    Raises:
        SettingError: with what the setting needs.
    """
    for rule in RULES:
        for key in rule.keys:
            if key in defaults and values[key] != defaults[key] and rule.missing(settings):
                raise SettingError(key, f"does nothing without {rule.what}; set that, or leave {key} out")
