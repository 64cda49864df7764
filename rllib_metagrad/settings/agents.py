"""How agents learn."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, Strict, field_validator

from rllib_metagrad.settings.base import Expected, Scheduled, SettingError, Settings, nearest, setting
from rllib_metagrad.settings.import_path import as_import_path, is_import_path
from rllib_metagrad.settings.networks import NetworkSettings

AgentLossName = Literal["pg", "actor_critic", "ppo"]
OptimizerName = Literal["sgd", "adam", "adam_full"]
_Decay = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[tuple[_Decay, _Decay], Strict(False), Expected("two numbers in [0, 1)")]


class OptimizerSettings(Settings):
    """How gradients become a step (core/optimizers.py)."""

    PREFIX = "agent_"
    OWNER = "an optimizer"

    optimizer: OptimizerName = setting(
        "sgd", "`sgd`, `adam` (the designer takes its second moment as a constant) or `adam_full`"
    )
    lr: Scheduled = setting(0.01, "learning rate", ge=0)
    betas: Betas = setting(
        (0.9, 0.999), "Adam's decay of the first and second moment; `[0, .99]` is RMSProp with bias correction"
    )
    eps: float = setting(1e-8, "Adam's, added to the root of the second moment", gt=0)
    eps_root: float | None = setting(
        None,
        "Adam's, added under that root; null: 1e-8 for `adam_full`, which needs one at its first step, else 0",
        ge=0,
    )
    grad_clip: float | None = setting(
        None, "each policy's gradient is scaled down to this global norm at most; null for no clipping", gt=0
    )

    @property
    def root(self) -> float:
        """``eps_root``, or what it is by optimizer."""
        if self.eps_root is not None:
            return self.eps_root
        return 1e-8 if self.optimizer == "adam_full" else 0.0


class AgentSettings(OptimizerSettings):
    """How agents learn (keys ``agent_*``). One update takes :meth:`at` a moment, where schedules are numbers."""

    OWNER = "agents"

    loss: Annotated[Any, Expected("one of pg, actor_critic, ppo or an import path")] = setting(
        "pg",
        "`pg` (returns), `actor_critic` (GAE), `ppo`; or your own, `my_pkg.losses:MyLoss` (docs/extending.md)",
    )
    gamma: float = setting(
        0.99,
        "discount; RLlib's key. The designer's, too, unless `designer_gamma` says otherwise",
        key="gamma",
        ge=0,
        le=1,
    )
    reward_scale: float = setting(
        1.0, "factor on agents' rewards in their update, so that the critic's targets are not large", gt=0
    )
    num_epochs: int = setting(1, "passes over the batch; M of eq. (3) where there are no minibatches", ge=1)
    minibatch_size: int | None = setting(
        None,
        "agent steps of each policy in a step; with `critic_lstm` as many whole episodes as fit into it, at least one",
        ge=1,
    )
    entropy_coeff: Scheduled = setting(0.01, "weight of the entropy bonus", ge=0)
    mean_baseline: bool = setting(
        False, "subtract the batch's mean at each time step: a baseline for `pg`, which has no critic"
    )
    normalize_advantages: bool = setting(False, "center and scale advantages over the batch, for each policy")
    lambda_: float = setting(0.95, "of GAE; `pg` ignores it", ge=0, le=1)
    clip_param: float = setting(0.2, "of PPO", gt=0)
    vf_coeff: float = setting(0.5, "weight of the critic's loss", ge=0)
    critic_lr: float | None = setting(None, "the critic's own learning rate; null for `agent_lr`", ge=0)
    target_tau: float | None = setting(
        None, "share of the new parameters in the target critic's moving average; null for no target", gt=0, le=1
    )
    epsilon: Scheduled = setting(
        0.0, "share of uniform exploration, part of the policy in sampling, update and replica", ge=0, le=1
    )
    network: NetworkSettings = setting(NetworkSettings(hiddens=(64, 32)), "see the table of networks")

    @field_validator("loss", mode="before")
    @classmethod
    def _by_import_path(cls, value: Any) -> Any:
        """Workers know a class, or an object, by its import path; names are those of core/losses.py."""
        names = get_args(AgentLossName)
        if isinstance(value, str) and (value in names or is_import_path(value)):
            return value
        if not (isinstance(value, type) or hasattr(value, "per_step")):
            hint = nearest(value, names, list_at_most=0) or "; or give an import path package.module:Class"
            raise SettingError("agent_loss", f"must be one of {', '.join(names)}, got {value!r}{hint}")
        return as_import_path("agent_loss", value)
