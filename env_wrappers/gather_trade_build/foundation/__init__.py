"""The original Gather-Trade-Build: ``ai-economist`` 1.7.1, wrapped. Importing this does not import the package."""

from env_wrappers.gather_trade_build.foundation.environment import FoundationEnv

__all__ = ["FoundationEnv"]
