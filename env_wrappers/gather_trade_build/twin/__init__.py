"""Gather-Trade-Build in batches: B economies in lockstep, equal to the original's to the last bit."""

from env_wrappers.gather_trade_build.twin.environment import GatherTradeBuild
from env_wrappers.gather_trade_build.twin.vector import VectorGatherTradeBuild

__all__ = ["GatherTradeBuild", "VectorGatherTradeBuild"]
