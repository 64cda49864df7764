"""What fits an environment, as far as it can be told without torch: importing that takes longer than all of this."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from env_wrappers.facts import DesignerFacts
from rllib_metagrad.mechanisms import Mechanism, check_mechanism, make_mechanism, output_limits
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.settings import (
    DesignerSettings,
    FixedIncentiveSettings,
    FrozenDesigner,
    IncentiveFunctionSettings,
    IncentiveSettings,
    NetworkSettings,
    SettingError,
    StochasticDesignerSettings,
)
from rllib_metagrad.settings.method import MethodSettings


def frozen_designer(incentives: IncentiveSettings) -> FrozenDesigner | None:
    """The checkpoint's designer that plays instead of one of these settings, if there is one.

    Raises:
        ValueError: while it is only a path, see ``algorithms/frozen.py``.
    """
    given = incentives.designer_checkpoint if isinstance(incentives, FixedIncentiveSettings) else None
    if isinstance(given, str):
        raise ValueError(f"designer_checkpoint: {given} has not been read")
    return given


def designer_facts(spec: EnvSpec) -> dict[str, Any]:
    """By name, what an environment must have in common with another one for a designer to fit both."""
    return {
        "possible_agents": spec.possible_agents,
        "action_type_names": spec.action_type_names,
        "state_shape": spec.state_shape,
        "action_feature_size": spec.action_feature_size,
    }


def mechanism_name(incentives: IncentiveSettings, designer: DesignerSettings) -> str:
    """The mechanism that the user names, or the usual one of this kind of designer."""
    if (frozen := frozen_designer(incentives)) is not None:
        return mechanism_name(frozen.incentives, frozen.designer)
    if isinstance(incentives.mechanism, str):
        return incentives.mechanism
    continuous = isinstance(designer, StochasticDesignerSettings) and designer.levels is None
    return "agent_incentives" if continuous else "action_incentives"


def check_payments(settings: MethodSettings[Any, Any]) -> None:
    """Checks the mechanism, and that constants are such as it admits, as far as no environment is needed.

    Raises:
        ValueError: on one line.
    """
    frozen = frozen_designer(settings.incentives)
    config = (settings.incentives if frozen is None else frozen.incentives).mechanism_config
    mechanism = mechanism_name(settings.incentives, settings.designer)
    check_mechanism(mechanism, config)
    low, high = output_limits(mechanism, config) or (-math.inf, math.inf)
    for key, values in (
        ("designer_levels", getattr(settings.designer, "levels", None)),
        ("fixed_incentives", getattr(settings.incentives, "fixed_incentives", None)),
    ):
        if values is not None and not values:
            raise SettingError(key, "must not be empty")
        for value in values or ():
            if not low <= value <= high:
                raise SettingError(
                    key,
                    f"must lie between {low:g} and {high:g}, the mechanism_config.scale of {mechanism}; got {value:g}",
                )


def fitting_mechanism(incentives: IncentiveSettings, designer: DesignerSettings, spec: EnvSpec) -> Mechanism:
    """The mechanism, made for an environment.

    Raises:
        ValueError: on one line, if the environment lacks what it needs, or does not read what it decides.
    """
    name = mechanism_name(incentives, designer)
    mechanism = make_mechanism(
        name, spec.num_agents, spec.num_action_types, incentives.mechanism_config, spec.mechanism_facts, spec.name
    )
    if mechanism.read_by_environment and not DesignerFacts.read(spec.mechanism_facts).reads_designer_output:
        raise ValueError(
            f"mechanism {name!r} has nothing to decide in {spec.name}, whose env_config fixes it; "
            "leave it to the designer (tax: external)"
        )
    if mechanism.in_objective and _costs_what_is_paid(designer):
        raise SettingError(
            "designer_cost_coeff",
            f"would count again what is paid, which R^ID of {spec.name} has in it with mechanism {name}; set it to 0",
        )
    return mechanism


def _costs_what_is_paid(designer: DesignerSettings) -> bool:
    """Whether the cost psi of incentives that were paid has a weight."""
    if not isinstance(designer, IncentiveFunctionSettings):
        return False
    return designer.cost == "realized" and designer.cost_coeff != 0


def constant_outputs(mechanism: Mechanism, outputs: Sequence[float] | None) -> list[float]:
    """What a designer that learns nothing puts out: these numbers, or zeros.

    Raises:
        ValueError: if their number is not the mechanism's.
    """
    values = [0.0] * mechanism.num_outputs if outputs is None else list(outputs)
    if len(values) != mechanism.num_outputs:
        raise ValueError(f"fixed_incentives has {len(values)} values, but the mechanism takes {mechanism.num_outputs}")
    return values


def check_encoder(key: str, settings: NetworkSettings, picture: Sequence[int] | None, who: str, env: str) -> None:
    """Checks that a network finds what its encoder looks at.

    Args:
        key: of the network.
        settings: its settings.
        picture: shape of the picture that the network's input begins with, or None.
        who: observes it, for the message.
        env: the environment's name.

    Raises:
        SettingError: if the encoder wants a picture and there is none.
    """
    if settings.encoder is not None and picture is None:
        raise SettingError(
            f"{key}.encoder",
            f"is {settings.encoder}, but what {who} observes in {env!r} is no picture with a vector; leave it out",
        )


def check_fit(settings: MethodSettings[Any, Any], spec: EnvSpec) -> None:
    """Mechanism, constants and encoders; what else may not fit is found when :func:`make_setup` builds all of it.

    Raises:
        ValueError: on one line.
    """
    mechanism = fitting_mechanism(settings.incentives, settings.designer, spec)
    if isinstance(settings.incentives, FixedIncentiveSettings):
        constant_outputs(mechanism, settings.incentives.fixed_incentives)
    for group in spec.groups:
        agent = repr(spec.possible_agents[group.agents[0]])
        check_encoder("agent_network", settings.agents.network, group.picture_shape, agent, spec.name)
    for key in ("designer_network", "designer_critic_network"):
        network = getattr(settings.designer, key.removeprefix("designer_"), None)
        if network is not None:
            check_encoder(key, network, spec.state_picture_shape, "the designer", spec.name)
