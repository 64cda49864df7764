"""Which records of settings each method has, by the name that ``run:`` takes: known without RLlib's classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rllib_metagrad.settings.agents import AgentSettings
from rllib_metagrad.settings.base import Settings
from rllib_metagrad.settings.designer import (
    DesignerSettings,
    IncentiveFunctionSettings,
    MetaGradDesignerSettings,
    StochasticDesignerSettings,
)
from rllib_metagrad.settings.incentives import (
    FixedIncentiveSettings,
    IncentiveSettings,
    LookingThroughSettings,
    MetaGradSettings,
)
from rllib_metagrad.settings.method import MethodSettings


@dataclass(frozen=True)
class Method:
    """The settings of a method.

    Attributes:
        designer, incentives: their records; all methods have the agents' in common.
        defaults: by config key, where they are not the record's.
    """

    designer: type[DesignerSettings]
    incentives: type[IncentiveSettings]
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def records(self) -> dict[str, type[Settings]]:
        """Records by the method of the config that sets them: agents, designer, incentives."""
        return {"agents": AgentSettings, "designer": self.designer, "incentives": self.incentives}

    def config_defaults(self) -> dict[str, Any]:
        """Defaults of all keys."""
        return {k: v for record in self.records.values() for k, v in record.defaults().items()} | self.defaults

    def settings(self, given: dict[str, Any]) -> MethodSettings[Any, Any]:
        """The typed settings of a config.

        Args:
            given: values by config key, of others as well.

        Raises:
            SettingError: one line that says which key, what it must be, and what it is.
        """
        values = self.defaults | given
        read = {
            name: record.from_keys({key: values[key] for key in record.config_keys() if key in values})
            for name, record in self.records.items()
        }
        return MethodSettings(**read)  # type: ignore[arg-type]


#: Typed signatures of config.designer() and config.incentives() name the same records in algorithms/; a test compares.
METHODS = {
    "MetaGrad": Method(MetaGradDesignerSettings, MetaGradSettings),
    "DualRL": Method(StochasticDesignerSettings, IncentiveSettings),
    "AMD": Method(IncentiveFunctionSettings, LookingThroughSettings, {"designer_cost_coeff": 4.24e-4}),
    "FixedIncentive": Method(DesignerSettings, FixedIncentiveSettings),
    "Centralized": Method(DesignerSettings, FixedIncentiveSettings, {"centralized": True}),
}
