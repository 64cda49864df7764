"""What a mechanism is, and the two that pay additive incentives.

A mistake in a mechanism's name, settings or facts is told before torch is imported, which takes longer than all that is
checked: mechanisms use tensors by their methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from env_wrappers.facts import Facts
from rllib_metagrad.settings import Settings, setting

if TYPE_CHECKING:
    from torch import Tensor

    from rllib_metagrad.core.trajectory import Trajectory


class Mechanism(ABC):
    """Maps the designer's output u to each agent's reward: ``r_i = R_i(s, a, u)``, Yang et al. 2022, section 3.

    A pure function of a trajectory that is differentiable in u, so that rewards can be recomputed under another
    incentive function, with gradients. A subclass is all that there is to a mechanism; its class body declares:

    * ``Config``, the settings that ``mechanism_config`` may hold, with defaults and bounds;
    * ``needs``, which facts it must know of the environment's rules;
    * ``output_names`` or ``num_outputs`` (attributes or cached properties), and ``read_by_environment``.

    A constructor of its own is not needed. Where there is one, it takes ``num_agents`` and ``num_action_types``, also
    ``facts`` if ``needs`` is set, and settings as further keywords.

    Attributes:
        read_by_environment: the environment's own dynamics depend on the output (a tax that moves coin). The designer
            then decides before the steps that read it (``designer_due``), from the state alone.
        in_objective: what is paid counts in R^ID already, as much as it should: net returns and dual-RL take no more
            off, and the cost psi would count it again.
        num_agents: N.
        num_action_types: number of types that agents' actions have.
        config: the settings.
        facts: of the environment; only where ``needs`` is set.
    """

    Config: ClassVar[type[Settings]] = Settings
    needs: ClassVar[type[Facts] | None] = None
    read_by_environment: ClassVar[bool] = False
    in_objective: ClassVar[bool] = False
    config: Settings
    facts: Facts

    def __init__(self, num_agents: int, num_action_types: int, facts: Facts | None = None, **config: Any) -> None:
        """Raises a SettingError for settings that cannot be."""
        self.num_agents, self.num_action_types = num_agents, num_action_types
        self.config = self.Config.from_keys(config)
        if facts is not None:
            self.facts = facts

    @cached_property
    def output_names(self) -> tuple[str, ...] | None:
        """U names, for reports; None where outputs belong to action types or agents."""
        return None

    @cached_property
    def num_outputs(self) -> int:
        """U, outputs of the designer in a step; as many as there are names."""
        if self.output_names is None:
            raise NotImplementedError(f"{type(self).__name__} must have output_names or num_outputs")
        return len(self.output_names)

    @abstractmethod
    def squash(self, raw: Tensor) -> Tensor:
        """Maps the network's unbounded outputs ``[..., U]`` into the set of admissible outputs."""

    @abstractmethod
    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """What each agent really receives beyond its environment reward, ``[T, B, N]``; differentiable in ``output``.

        Args:
            output: ``[T, B, U]``, squashed.
            trajectory: what was played.
        """

    def rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """Agents' rewards ``[T, B, N]`` under ``output [T, B, U]``."""
        return trajectory.rewards + self.incentives(output, trajectory)

    def designer_rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """R^ID ``[T, B]`` if ``output [T, B, U]`` had been in force and all agents had acted as they did.

        Its derivative is the direct effect of the output: zero for additive incentives. Override it if the output
        changes R^ID directly (e.g. taxes).
        """
        return trajectory.designer_rewards

    def to_environment(self, output: Tensor) -> Tensor:
        """What the environment's step takes, ``[B, ...]``, of outputs ``[B, U]``; if ``read_by_environment``."""
        return output


class BoundedIncentives(Mechanism):
    """Incentives in ``(0, scale)``, by a sigmoid (Yang et al. 2022, section 4.2) or ``(1 + x / (1 + |x|)) / 2``.

    A sigmoid's slope vanishes exponentially, in float32 it is zero beyond 17: an incentive that has reached its bound
    can then never be lowered again. The slope of softsign falls only as ``1 / x^2``.
    """

    class Config(Settings):
        """Bound and shape."""

        scale: float = setting(2.0, "largest incentive", gt=0)
        squash: Literal["sigmoid", "softsign"] = setting(
            "sigmoid", "how raw outputs are bounded: `sigmoid`, or `softsign`, which can be lowered again at the bound"
        )

    config: Config

    def squash(self, raw: Tensor) -> Tensor:
        """Scaled sigmoid or softsign, elementwise."""
        scale = self.config.scale
        if self.config.squash == "softsign":
            return (0.5 * scale) * (1 + raw / (raw.abs() + 1))
        return scale * raw.sigmoid()


class ActionIncentives(BoundedIncentives):
    """An additive incentive for each action type, paid to every agent whose action is of that type."""

    @cached_property
    def num_outputs(self) -> int:
        """One for each action type."""
        return self.num_action_types

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """``u[type of the agent's action]`` if the agent acted, else 0."""
        return output.gather(-1, trajectory.action_types) * trajectory.active


class AgentIncentives(BoundedIncentives):
    """An additive incentive for each agent, whatever it did: dual-RL (c) of Yang et al. 2022, section 4.2."""

    @cached_property
    def num_outputs(self) -> int:
        """One for each agent."""
        return self.num_agents

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """``u[agent]`` if the agent acted, else 0."""
        return output * trajectory.active
