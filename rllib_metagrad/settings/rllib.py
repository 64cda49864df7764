"""RLlib's own keys that we bound closer than RLlib does; their meaning is RLlib's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rllib_metagrad.settings.base import Expected, Settings, setting


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
    rollout_fragment_length: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"], Expected("a whole number >= 1, or auto")
    ] = setting("auto", "steps of a fragment with `batch_mode: truncate_episodes`; `auto` is 100")
    sample_timeout_s: float | None = setting(60.0, "seconds that a remote runner may take for a sample", gt=0)
    # NumPy's legacy seeding, which RLlib uses as well, takes 32 bits.
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Expected("a whole number from 0 to 4294967295")] | None = setting(
        None, "of everything random; null draws another one in each run"
    )
