"""RLlib's own keys that we bound closer than RLlib does; their meaning is RLlib's."""

from __future__ import annotations

from typing import Literal

from rllib_metagrad.settings.base import Settings, setting


class RLlibSettings(Settings):
    """Checked before Ray starts; read where RLlib reads them."""

    num_env_runners: int = setting(0, "remote env runners; 0 samples in the algorithm's own process", ge=0)
    num_envs_per_env_runner: int = setting(
        64, "environments of each; a batch is one complete episode, or fragment, of each environment", ge=1
    )
    num_learners: int = setting(0, "remote learners; 0 learns in the algorithm's own process", ge=0)
    batch_mode: Literal["complete_episodes", "truncate_episodes"] = setting(
        "complete_episodes", "episodes, or fragments of `rollout_fragment_length` steps"
    )
