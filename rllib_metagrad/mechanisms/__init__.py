"""Mechanisms: how the designer's output changes the agents' payoffs."""

from rllib_metagrad.mechanisms.base import Mechanism, make_mechanism, mechanism_names, register_mechanism

__all__ = ["Mechanism", "make_mechanism", "mechanism_names", "register_mechanism"]
