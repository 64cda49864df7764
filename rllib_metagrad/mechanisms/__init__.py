"""Mechanisms: how the designer's output changes the agents' payoffs."""

from rllib_metagrad.mechanisms.base import ActionIncentives, AgentIncentives, BoundedIncentives, Mechanism
from rllib_metagrad.mechanisms.payments import Payment, Toll
from rllib_metagrad.mechanisms.registry import (
    MECHANISMS,
    check_mechanism,
    find_mechanism,
    make_mechanism,
    mechanism_names,
    output_limits,
    register_mechanism,
)
from rllib_metagrad.mechanisms.subsidies import HouseSubsidy
from rllib_metagrad.mechanisms.taxes import BracketedTax, LinearTax

__all__ = [
    "MECHANISMS",
    "ActionIncentives",
    "AgentIncentives",
    "BoundedIncentives",
    "BracketedTax",
    "HouseSubsidy",
    "LinearTax",
    "Mechanism",
    "Payment",
    "Toll",
    "check_mechanism",
    "find_mechanism",
    "make_mechanism",
    "mechanism_names",
    "output_limits",
    "register_mechanism",
]
