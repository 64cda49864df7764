"""Settings of agents, designers, methods and networks: the ground floor, which imports nothing of the house."""

from rllib_metagrad.settings.agents import AgentSettings, OptimizerSettings
from rllib_metagrad.settings.base import Scheduled, SettingError, Settings, nearest, setting
from rllib_metagrad.settings.designer import (
    DesignerSettings,
    IncentiveFunctionSettings,
    LearningDesignerSettings,
    MetaGradDesignerSettings,
    StochasticDesignerSettings,
)
from rllib_metagrad.settings.incentives import (
    FixedIncentiveSettings,
    FrozenDesigner,
    IncentiveSettings,
    LookingThroughSettings,
    MetaGradSettings,
)
from rllib_metagrad.settings.method import MethodSettings
from rllib_metagrad.settings.networks import NetworkSettings
from rllib_metagrad.settings.schedule import Schedule

__all__ = [
    "AgentSettings",
    "DesignerSettings",
    "FixedIncentiveSettings",
    "FrozenDesigner",
    "IncentiveFunctionSettings",
    "IncentiveSettings",
    "LearningDesignerSettings",
    "LookingThroughSettings",
    "MetaGradDesignerSettings",
    "MetaGradSettings",
    "MethodSettings",
    "NetworkSettings",
    "OptimizerSettings",
    "Schedule",
    "Scheduled",
    "SettingError",
    "Settings",
    "StochasticDesignerSettings",
    "nearest",
    "setting",
]
