"""Mechanisms: how the designer's output changes the agents' payoffs."""

from rllib_metagrad.mechanisms import subsidies, taxes
from rllib_metagrad.mechanisms.base import Mechanism, make_mechanism, mechanism_names, register_mechanism

register_mechanism("bracketed_tax", taxes.BracketedTax, taxes.FACTS)
register_mechanism("linear_tax", taxes.LinearTax, taxes.FACTS)
register_mechanism("house_subsidy", subsidies.HouseSubsidy, subsidies.FACTS)

__all__ = ["Mechanism", "make_mechanism", "mechanism_names", "register_mechanism"]
