"""Adaptive incentive design on RLlib: a designer learns payoffs for agents that keep learning.

Importing the package tells Ray its algorithms (``MetaGrad``, ``DualRL``, ``AMD``, ``FixedIncentive``,
``Centralized``) and environments (``escape_room``, ``cleanup``, ``gather_trade_build``, ...) by name, and imports
neither Ray nor torch itself: ``rllib_metagrad.core`` and ``rllib_metagrad.settings`` stand alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rllib_metagrad.registration import register, register_when_ray_is_there

if TYPE_CHECKING:
    from rllib_metagrad.algorithms import (
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
    from rllib_metagrad.state_files import read_checkpoint

__version__ = "0.1.0"

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
    "read_checkpoint",
    "register",
]


def __getattr__(name: str) -> Any:
    """The algorithms, their configs and what reads checkpoints, imported at their first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "read_checkpoint":  # without Ray
        from rllib_metagrad.state_files import read_checkpoint

        return read_checkpoint
    from rllib_metagrad import algorithms

    return getattr(algorithms, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_when_ray_is_there()
