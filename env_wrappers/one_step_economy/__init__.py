"""The one-step economy of the AI Economist: taxes are set, everybody chooses how long to work, taxes are taken."""

from env_wrappers.one_step_economy.environment import OneStepEconomy
from env_wrappers.one_step_economy.vector import VectorOneStepEconomy

__all__ = ["OneStepEconomy", "VectorOneStepEconomy"]
