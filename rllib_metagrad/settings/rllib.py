"""RLlib's own keys that we bound closer than RLlib does; their meaning is RLlib's, see rllib_keys.py for all others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from rllib_metagrad.settings.base import Expected, Settings, setting

_Seed = Annotated[int, Field(ge=0, lt=2**31), Expected("a whole number from 0 to 2147483647")]
_Count = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(ge=0)]
_Resources = Annotated[dict[str, _Share], Expected("a mapping from names to numbers >= 0")]


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
    rollout_fragment_length: Annotated[_Count | Literal["auto"], Expected("a whole number >= 1 or auto")] = setting(
        "auto", "steps of a fragment; `auto` is 100"
    )
    sample_timeout_s: float | None = setting(60.0, "a runner that is silent for so long is ended; null waits", gt=0)
    seed: _Seed | None = setting(None, "of everything that is drawn; null draws it")
    evaluation_interval: int | None = setting(None, "iterations from one evaluation to the next; null for none", ge=1)
    evaluation_duration: Annotated[_Count | Literal["auto"], Expected("a whole number >= 1 or auto")] = setting(
        100, "of an evaluation, in `evaluation_duration_unit`; `auto` goes with `evaluation_parallel_to_training`"
    )
    evaluation_duration_unit: Literal["episodes", "timesteps"] = setting("episodes", "episodes or environment steps")
    evaluation_num_env_runners: int = setting(
        0, "remote env runners for evaluation; 0: in the algorithm's process", ge=0
    )
    evaluation_sample_timeout_s: float | None = setting(120.0, "the same for evaluation; null waits", gt=0)
    num_cpus_per_env_runner: float = setting(1, "a part of one is allowed", ge=0)
    num_gpus_per_env_runner: float = setting(0, "a part of one is allowed", ge=0)
    custom_resources_per_env_runner: _Resources = setting({}, "of Ray's, by name")
    num_cpus_per_learner: Annotated[_Share | Literal["auto"], Expected("a number >= 0 or auto")] = setting(
        "auto", "`auto` is 1, and 0 beside a GPU"
    )
    num_gpus_per_learner: float = setting(0, "a part of one is allowed", ge=0)
    custom_resources_per_learner: _Resources = setting({}, "of Ray's, by name")
    num_cpus_for_main_process: float = setting(1, "a part of one is allowed", ge=0)
    custom_resources_for_main_process: _Resources = setting({}, "of Ray's, by name")
    min_time_s_per_iteration: float | None = setting(
        None, "updates go on for so long; null: no longer than needed", ge=0
    )
    min_sample_timesteps_per_iteration: int = setting(0, "updates go on for so many environment steps", ge=0)
    min_train_timesteps_per_iteration: int = setting(0, "updates go on for so many steps learned from", ge=0)
    metrics_num_episodes_for_smoothing: int | None = setting(
        None,
        "metrics of training are means over so many episodes, the last ones; null: over those of the iteration",
        ge=1,
    )
    observation_filter: Literal["NoFilter", "MeanStdFilter"] = setting(
        "NoFilter", "`MeanStdFilter` standardizes what agents' policies see by running means and standard deviations"
    )
    log_gradients: bool = setting(
        False, "also log `learners/designer/gradients_default_optimizer_global_norm`; policies' are always logged"
    )
    max_num_env_runner_restarts: int = setting(1000, "of each runner", ge=0)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        """Tune draws NumPy's integers."""
        return value.item() if type(value).__module__ == "numpy" else value
