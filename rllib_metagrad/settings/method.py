"""All settings of a method together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from rllib_metagrad.settings.agents import AgentSettings
from rllib_metagrad.settings.designer import DesignerSettings
from rllib_metagrad.settings.incentives import IncentiveSettings

D_co = TypeVar("D_co", bound=DesignerSettings, covariant=True)
I_co = TypeVar("I_co", bound=IncentiveSettings, covariant=True)


@dataclass(frozen=True)
class MethodSettings(Generic[D_co, I_co]):
    """What a method is configured by.

    Attributes:
        agents: keys ``agent_*`` and ``gamma``.
        designer: keys ``designer_*``.
        incentives: keys without a prefix.
    """

    agents: AgentSettings
    designer: D_co
    incentives: I_co

    def at(self, env_steps: int) -> Self:
        """The same with every schedule at its value after so many environment steps."""
        return replace(
            self,
            agents=self.agents.at(env_steps),
            designer=self.designer.at(env_steps),
            incentives=self.incentives.at(env_steps),
        )

    @property
    def designer_gamma(self) -> float:
        """The designer's discount: its own, or the agents'."""
        own: float | None = getattr(self.designer, "gamma", None)
        return self.agents.gamma if own is None else own
