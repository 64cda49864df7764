"""Cleanup, a sequential social dilemma: a readable ParallelEnv and a fast batched twin."""

from env_wrappers.cleanup.environment import Cleanup
from env_wrappers.cleanup.vector import VectorCleanup

__all__ = ["Cleanup", "VectorCleanup"]
