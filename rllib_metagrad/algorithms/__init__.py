"""RLlib Algorithms for incentive design, by the names that ``run:`` takes in YAML files."""

from __future__ import annotations

from rllib_metagrad.algorithms.base import IncentiveDesign
from rllib_metagrad.algorithms.baselines import (
    Centralized,
    CentralizedConfig,
    DualRL,
    DualRLConfig,
    FixedIncentive,
    FixedIncentiveConfig,
)
from rllib_metagrad.algorithms.config import IncentiveDesignConfig
from rllib_metagrad.algorithms.meta_grad import AMD, AMDConfig, MetaGrad, MetaGradConfig
from rllib_metagrad.registration import register
from rllib_metagrad.settings import nearest

ALGORITHMS: dict[str, type[IncentiveDesign]] = {
    "MetaGrad": MetaGrad,
    "DualRL": DualRL,
    "AMD": AMD,
    "FixedIncentive": FixedIncentive,
    "Centralized": Centralized,
}


def get_config_class(name: str) -> type[IncentiveDesignConfig]:
    """Config class of an algorithm.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {name!r}{nearest(name, ALGORITHMS)}")
    return type(ALGORITHMS[name].get_default_config())


__all__ = [
    "ALGORITHMS",
    "AMD",
    "AMDConfig",
    "Centralized",
    "CentralizedConfig",
    "DualRL",
    "DualRLConfig",
    "FixedIncentive",
    "FixedIncentiveConfig",
    "IncentiveDesign",
    "IncentiveDesignConfig",
    "MetaGrad",
    "MetaGradConfig",
    "get_config_class",
]

register()
