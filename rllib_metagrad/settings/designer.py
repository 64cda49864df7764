"""The incentive designer: what it is and how it learns."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import field_validator, model_validator

from rllib_metagrad.settings.agents import Betas
from rllib_metagrad.settings.base import Expected, Numbers, Scheduled, SettingError, Settings, setting
from rllib_metagrad.settings.import_path import as_import_path
from rllib_metagrad.settings.networks import NetworkSettings

DesignerLoss = Literal["reinforce", "ppo"]
Baseline = Literal["none", "mean", "critic"]
Response = Literal["update", "fisher", "critic", "neumann"]


class DesignerSettings(Settings):
    """Any designer (keys ``designer_*``); one that nobody trains has nothing else."""

    PREFIX = "designer_"
    OWNER = "the designer"

    network: NetworkSettings = setting(
        NetworkSettings(hiddens=(64, 16)), "see the table of networks; without `critic_lstm`"
    )

    objective: Annotated[Any, Expected("an import path or null")] = setting(
        None,
        "R^ID instead of the environment's own: your function of the trajectory, `my_pkg.welfare:worst_off` "
        "(docs/extending.md)",
    )

    @field_validator("objective", mode="before")
    @classmethod
    def _objective_by_import_path(cls, value: Any) -> Any:
        """Workers know a function, class or object by its import path."""
        return as_import_path("designer_objective", value) if callable(value) else value

    @field_validator("objective")
    @classmethod
    def _objective_is_a_path(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, str):
            raise ValueError
        return value

    @model_validator(mode="after")
    def _check_networks(self) -> Self:
        for name in ("network", "critic_network"):
            network = getattr(self, name, None)
            if network is not None and network.critic_lstm is not None:
                key = f"{self.key_of(name)}.critic_lstm"
                raise SettingError(key, "has no meaning: only agents' critics have a memory; leave it out")
        return self


class LearningDesignerSettings(DesignerSettings):
    """A designer with an objective R^ID: its optimizer, its advantages, its critic."""

    loss: DesignerLoss = setting("reinforce", "`reinforce`, or `ppo`: eq. (5)")
    lr: Scheduled = setting(1e-3, "learning rate of Adam", ge=0)
    reward_scale: float = setting(
        1.0, "factor on R^ID in the designer's update, so that the critic's targets are not large", gt=0
    )
    betas: Betas = setting((0.9, 0.999), "Adam's")
    eps: float = setting(1e-8, "Adam's", gt=0)
    grad_clip: float | None = setting(None, "global norm of its gradient at most; null for no clipping", gt=0)
    num_epochs: int = setting(1, "designer steps on one trajectory", ge=1)
    clip_param: float = setting(0.2, "epsilon of eq. (5)", gt=0)
    gamma: float | None = setting(None, "discount of A^ID; null for `gamma`", ge=0, le=1)
    lambda_: float = setting(0.95, "lambda of A^ID", ge=0, le=1)
    normalize_advantages: bool = setting(False, "center and scale A^ID over the batch")
    baseline: Baseline = setting("mean", "`none`, `mean` (of each time step over the batch) or `critic` (V_phi)")
    critic_lr: Scheduled = setting(1e-3, "learning rate of V_phi", ge=0)
    target_tau: float | None = setting(
        None,
        "share of the new parameters in the moving average that V_phi's targets come from; null for none",
        gt=0,
        le=1,
    )
    critic_network: NetworkSettings | None = setting(None, "of V_phi; null for `designer_network`'s shape")

    @model_validator(mode="after")
    def _check_critic(self) -> Self:
        if self.critic_network is not None and self.baseline != "critic":
            raise SettingError("designer_critic_network", f"needs designer_baseline: critic, which is {self.baseline}")
        return self

    @property
    def value_network(self) -> NetworkSettings | None:
        """Shape of V_phi; None without a critic."""
        if self.baseline != "critic":
            return None
        return self.network if self.critic_network is None else self.critic_network


class IncentiveFunctionSettings(LearningDesignerSettings):
    """An incentive function that is trained through the agents' update: MetaGrad's and AMD's."""

    cost: Literal["realized", "outputs"] = setting(
        "realized", "psi: incentives really paid (`realized`) or all outputs (`outputs`)"
    )
    cost_coeff: Scheduled = setting(1.0, "weight of psi (AMD: 4.24e-4)", ge=0)
    cost_lr: Scheduled | None = setting(
        None, "learning rate of an optimizer of its own for psi; null for one common step", ge=0
    )
    class_: Annotated[str | type | None, Expected("an import path")] = setting(
        None, "your own `IncentiveFunction`, `my_pkg.designers:MyDesigner` (docs/extending.md)"
    )
    output_bias: float = setting(0.0, "added to raw outputs, to start with small or large incentives", ge=-1e6)
    interval: int = setting(
        1, "the designer looks through every so many-th of the agents' updates; its critic learns from all", ge=1
    )
    direct_coeff: Scheduled | None = setting(
        None,
        "weight of the direct effect of outputs on R^ID at fixed actions, see docs/response.md; null: 0, as in the "
        "paper, and 1 beside the agents' whole answer",
        ge=0,
    )

    @property
    def direct_weight(self) -> float:
        """Weight of the direct effect."""
        return 0.0 if self.direct_coeff is None else self.direct_coeff

    @field_validator("class_", mode="before")
    @classmethod
    def _class_by_import_path(cls, value: Any) -> Any:
        """Workers know a class by its import path."""
        return as_import_path("designer_class", value) if isinstance(value, type) else value

    @model_validator(mode="after")
    def _check_objective(self) -> Self:
        if self.objective is not None and self.direct_weight != 0:
            raise SettingError(
                "designer_direct_coeff",
                "goes through the mechanism's own R^ID, which designer_objective replaces; leave one of them out",
            )
        return self


class MetaGradDesignerSettings(IncentiveFunctionSettings):
    """MetaGrad's: how far it looks into the agents' answer (docs/response.md)."""

    response: Response = setting(
        "update",
        "what the designer sees of the agents' answer: one `update` (the paper's); the whole of it by `fisher` (a "
        "linear solve) or `critic` (learned); or `neumann`: many updates, continuous actions, too (docs/response.md)",
    )
    response_iterations: int = setting(10, "`fisher`: steps of conjugate gradients in an update of the designer", ge=1)
    response_damping: float = setting(
        0.1, "`fisher`: added to the agents' curvature, as a share of its mean eigenvalue", ge=0
    )
    response_average: float = setting(
        0.9,
        "`fisher`: how much of its past the running mean of the designer's outer gradient keeps in an update; 0 for "
        "none",
        ge=0,
        lt=1,
    )
    response_cross: int = setting(
        0, "`fisher`: rounds in an update of the designer that count in how agents' answers move each other's", ge=0
    )
    response_least_entropy: float = setting(
        0.0, "`fisher`, `critic`: least entropy coefficient that the designer counts on, where the agents' falls", ge=0
    )
    response_updates: int = setting(10, "`neumann`: K, how many of the agents' updates are looked through", ge=1)
    response_critic_lr: Scheduled = setting(3e-3, "`critic`: its learning rate", ge=0)
    response_critic_network: NetworkSettings | None = setting(None, "`critic`: its shape; null for `agent_network`'s")
    response_kl: Scheduled | None = setting(
        None,
        "largest step of the designer, as the KL divergence by which it moves the agents' answer (nats a step of an "
        "agent); null for no limit",
        gt=0,
    )

    @property
    def direct_weight(self) -> float:
        """Weight of the direct effect: beside the whole answer it is 1."""
        if self.response != "update":
            return 1.0
        return super().direct_weight

    @model_validator(mode="after")
    def _check_response(self) -> Self:
        if self.response != "update" and self.direct_coeff not in (None, 1):
            raise SettingError(
                "designer_direct_coeff",
                f"is {self.direct_coeff}, but beside the agents' whole answer (designer_response: {self.response}) the "
                "direct effect has weight 1; leave it out",
            )
        return self


class StochasticDesignerSettings(LearningDesignerSettings):
    """A designer that is itself an RL policy: dual-RL's."""

    network: NetworkSettings = setting(
        NetworkSettings(hiddens=(64, 32)), "see the table of networks; without `critic_lstm`"
    )
    levels: Numbers | None = setting(
        (0.0, 1.1), "incentive levels to choose from; null for continuous incentives, one for each agent"
    )
    factorized: bool = setting(False, "one choice for each output instead of one joint choice")
    std: float = setting(1.0, "standard deviation of continuous incentives before squashing", gt=0)
    entropy_coeff: Scheduled = setting(0.01, "weight of the entropy bonus of the designer's own policy", ge=0)
