"""Adaptive incentive design on RLlib: a designer learns payoffs for agents that keep learning.

Importing the package registers its algorithms (``MetaGrad``, ``DualRL``, ``AMD``, ``FixedIncentive``,
``Centralized``) and environments (``escape_room``, ``matrix_game``, ``pettingzoo``) with Ray.
"""

from __future__ import annotations

from ray.tune.registry import register_env, register_trainable

import env_wrappers
from rllib_metagrad.algorithms import (
    ALGORITHMS,
    AMD,
    AMDConfig,
    Centralized,
    CentralizedConfig,
    DualRL,
    DualRLConfig,
    FixedIncentive,
    FixedIncentiveConfig,
    MetaGrad,
    MetaGradConfig,
)

__version__ = "0.1.0"


def register() -> None:
    """Registers algorithms and environments with Ray; again after ``ray.shutdown()``, which forgets them."""
    for name, algorithm in ALGORITHMS.items():
        register_trainable(name, algorithm)
    for env in env_wrappers.names():
        register_env(env, lambda config, env=env: env_wrappers.make(env, **config))


register()

__all__ = [
    "AMD",
    "AMDConfig",
    "Centralized",
    "CentralizedConfig",
    "DualRL",
    "DualRLConfig",
    "FixedIncentive",
    "FixedIncentiveConfig",
    "MetaGrad",
    "MetaGradConfig",
    "register",
]
