"""Keys without a prefix: of the mechanism, of sampling and updates, and of each method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import field_validator, model_validator

from rllib_metagrad.settings.base import Expected, Numbers, SettingError, Settings, setting
from rllib_metagrad.settings.designer import DesignerSettings
from rllib_metagrad.settings.import_path import import_path


class IncentiveSettings(Settings):
    """What every algorithm has."""

    num_updates_per_iteration: int = setting(
        1, "updates of designer and agents in one `train()`; RLlib's bookkeeping is paid once", ge=1
    )
    torch_num_threads: int = setting(1, "torch threads in each process", ge=1)
    parameter_sharing: bool = setting(
        False, "one policy for all agents; else each agent its own (unless `policies` says more)"
    )
    policy_mapping: Annotated[dict[str, str] | None, Expected("a mapping from agents to policies")] = setting(
        None,
        'which policy acts for which agent, by name or pattern: `{agent_0: a, "agent_*": b}`; the first '
        "that fits holds. RLlib's `policy_mapping_fn` is asked once for each agent, and what it says then stands here",
    )
    centralized: bool = setting(False, "one policy acts for all agents and earns R^ID")
    greedy_evaluation: bool = setting(False, "evaluate by modes instead of sampling")
    bootstrap_truncated: bool = setting(
        True,
        "where a time limit cuts an episode, critics estimate what would have followed; false: the episode's return "
        "ends there, as in a game of fixed length",
    )
    mechanism: Annotated[str | type | None, Expected("a name or an import path")] = setting(
        None,
        "how outputs pay agents: `action_incentives` (one for each action type), `agent_incentives` (one for each "
        "agent); in `contract` and `public_goods` `payment`, in `routing` `toll`; in economies `bracketed_tax`, "
        "`linear_tax`, in Gather-Trade-Build `house_subsidy` (docs/gather_trade_build.md); "
        "or your own class, `my_pkg.taxes:FlatTax` (docs/extending.md); null: by algorithm",
    )
    mechanism_config: dict[str, Any] = setting(
        {},
        "its settings, see [Mechanisms](#mechanisms)",
    )
    agents_checkpoint: str | None = setting(
        None,
        "folder of a checkpoint, of any of the algorithms, whose policies agents start with; optimizers and the "
        "designer start afresh",
    )
    nan_policy: Literal["error", "skip"] = setting(
        "error", "NaN or infinity in an update: `error` (batch saved, stop) or `skip` (counted)"
    )

    @field_validator("mechanism", mode="before")
    @classmethod
    def _by_import_path(cls, value: Any) -> Any:
        """Workers know a class by its import path."""
        return import_path(value) if isinstance(value, type) else value


class LookingThroughSettings(IncentiveSettings):
    """Of designers that differentiate the agents' update: AMD."""

    meta_gradient: Literal["mixed", "unrolled"] = setting(
        "mixed", "how the agents' update is differentiated: `mixed` or `unrolled`; equal results"
    )


class MetaGradSettings(LookingThroughSettings):
    """Of MetaGrad."""

    pipelined: bool = setting(True, "one trajectory serves as validation and as training data")
    agent_model: Literal["oracle", "cloned"] = setting(
        "oracle", "`cloned` looks through surrogates fitted to the agents' actions"
    )
    cloning_lr: float = setting(1e-2, "learning rate of the behavioral cloning", gt=0)
    cloning_steps: int = setting(10, "steps of the behavioral cloning after each update", ge=1)
    cloning_grad_clip: float | None = setting(
        1.0, "global norm of the surrogates' replicated gradient; null for no clipping", gt=0
    )


@dataclass(frozen=True)
class FrozenDesigner:
    """A trained designer that nobody trains any more, as its checkpoint describes it; its parameters come apart.

    Attributes:
        designer, incentives: its own settings, of which its network and its mechanism are built.
        env: facts by name of the environment that it was trained in, which another one must share.
    """

    designer: DesignerSettings
    incentives: IncentiveSettings
    env: dict[str, Any]


class FixedIncentiveSettings(IncentiveSettings):
    """Of FixedIncentive and Centralized."""

    fixed_incentives: Numbers | None = setting(None, "one value for each output; null for none at all")
    designer_checkpoint: Annotated[str | FrozenDesigner | None, Expected("the folder of a checkpoint")] = setting(
        None,
        "folder of a checkpoint, of any of the algorithms, whose designer plays, frozen, with its own mechanism; not "
        "with `fixed_incentives`, `mechanism`, `mechanism_config` or `centralized`",
    )

    @model_validator(mode="after")
    def _check_one_designer(self) -> Self:
        """A checkpoint's designer brings all that it is made of."""
        if self.designer_checkpoint is None:
            return self
        defaults = type(self).defaults()
        for key in ("fixed_incentives", "mechanism", "mechanism_config"):
            if getattr(self, key) != defaults[key]:
                raise SettingError(
                    key, "does nothing with designer_checkpoint, whose designer has its own; leave it out"
                )
        if self.centralized:
            raise SettingError("designer_checkpoint", "has no meaning with centralized: true, where nobody is paid")
        return self
