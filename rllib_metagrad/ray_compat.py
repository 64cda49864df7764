"""All that we use of Ray's private names, in one place: what an upgrade of Ray must look at first."""

from __future__ import annotations

from typing import Any


def no_connector_states(config: Any) -> None:
    """Tells an AlgorithmConfig that runners hold no connector states to merge or to broadcast."""
    config._dont_auto_sync_env_runner_states = True
    config.broadcast_env_runner_states = False
