"""What one policy may have for itself, apart from all other policies."""

from __future__ import annotations

from rllib_metagrad.settings.base import Settings, setting
from rllib_metagrad.settings.networks import NetworkSettings


class PolicySettings(Settings):
    """Settings of one policy, in `policies` (YAML: `{a: {agent_lr: 0.1}}`, Python: `PolicySpec(config=...)`)."""

    PREFIX = "agent_"
    OWNER = "a single policy; set it for all agents"

    lr: float | None = setting(None, "its own constant learning rate; null for that of all", ge=0)
    network: NetworkSettings | None = setting(None, "its own network; null for that of all")
