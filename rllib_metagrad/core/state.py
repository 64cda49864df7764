"""What Algorithm 1 is made of: the functions that act and learn, and the state that learning changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from rllib_metagrad.core import optimizers
from rllib_metagrad.core.agent_update import AgentState, ForwardPass, Lesson, Policy, Update, forward_pass
from rllib_metagrad.core.optimizers import OptimizerState
from rllib_metagrad.core.reduction import OneLearner, Reduction
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.metrics import DESIGNER_GRAD_NORM, Metric
from rllib_metagrad.settings import (
    AgentSettings,
    DesignerSettings,
    IncentiveSettings,
    LearningDesignerSettings,
    OptimizerSettings,
)
from rllib_metagrad.settings.method import MethodSettings


@dataclass(frozen=True)
class Measured:
    """A value of a metric.

    Attributes:
        metric: which.
        value: a number or tensor; ``[P]``, a value for each policy, where there is a stack.
        stack: index of the stack that the value is of, or None.
    """

    metric: Metric
    value: Any
    stack: int | None = None


Metrics = list[Measured]


class NonFiniteError(FloatingPointError):
    """A loss or gradient became NaN or infinite."""


class Mechanism(Protocol):
    """How the designer's outputs ``[T, B, U]`` change payoffs; differentiable in them."""

    @property
    def in_objective(self) -> bool:
        """R^ID has in it what is paid."""
        ...

    def rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """Agents' rewards ``[T, B, N]``."""
        ...

    def incentives(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """What agents receive beyond the environment's rewards, ``[T, B, N]``."""
        ...

    def designer_rewards(self, output: Tensor, trajectory: Trajectory) -> Tensor:
        """R^ID ``[T, B]`` had these outputs been in force and everybody acted as they did."""
        ...


class Designer(Protocol):
    """Any designer: parameters ``eta [1, D]`` and a mechanism that takes its outputs."""

    @property
    def mechanism(self) -> Mechanism:
        """Takes the outputs."""
        ...

    def initialize(self, generator: torch.Generator) -> Tensor:
        """Initial ``eta [1, D]``."""
        ...


class IncentiveFunction(Designer, Protocol):
    """``mu_eta(s, a)``, deterministic and differentiable."""

    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        """``u [n, U]`` at states ``[n, *state]`` and joint actions ``[n, N * F]``."""
        ...


class StochasticDesigner(Designer, Protocol):
    """A designer that is itself a policy."""

    def evaluate(self, eta: Tensor, states: Tensor, features: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies ``[n]`` of recorded designer actions."""
        ...


class Critic(Protocol):
    """``V_phi(s)``, parameters ``phi [1, D]``."""

    def initialize(self, generator: torch.Generator) -> Tensor:
        """Initial ``phi [1, D]``."""
        ...

    def values(self, phi: Tensor, states: Tensor) -> Tensor:
        """``V [n]`` of states ``[n, *state]``."""
        ...


@dataclass(frozen=True)
class Parameter:
    """Parameters ``[1, D]``, or ``[P, D]`` for every policy of a stack, with the state of their optimizer."""

    value: Tensor
    optimizer: OptimizerState

    @classmethod
    def start(cls, value: Tensor) -> Self:
        """With zero moments."""
        return cls(value, OptimizerState(torch.zeros_like(value), torch.zeros_like(value)))

    def step(self, grad: Tensor, settings: OptimizerSettings) -> Self:
        """After one optimizer step downhill."""
        return type(self)(*optimizers.step(settings, self.value, grad, self.optimizer))


class AnswerCritic(Protocol):
    """``q_i(o, a)``: what one agent's action is worth to the designer, given what that agent sees."""

    def initialize(self, stack: int, generator: torch.Generator) -> Tensor:
        """Initial parameters ``[P, D]`` of so many agents' critics."""
        ...

    def scores(self, psi: Tensor, observations: Tensor) -> Tensor:
        """A score ``[P, n, outputs]`` for each action at observations ``[P, n, *obs]``."""
        ...


@dataclass(frozen=True)
class RunningMoments:
    """Exponentially weighted mean and mean square of a vector, to tell a gradient's signal from its noise.

    Attributes:
        total: weighted sum of vectors ``[1, D]``.
        square: weighted sum of their squared lengths.
        weight, weight_square: sums of the weights and of their squares.
    """

    total: Tensor
    square: Tensor
    weight: float = 0.0
    weight_square: float = 0.0

    DECAY = 0.99

    @classmethod
    def start(cls, like: Tensor) -> Self:
        """Of nothing yet."""
        return cls(torch.zeros_like(like), torch.zeros((), dtype=like.dtype, device=like.device))

    def add(self, vector: Tensor) -> Self:
        """With one more."""
        d = self.DECAY
        return type(self)(
            d * self.total + vector,
            d * self.square + (vector * vector).sum(),
            d * self.weight + 1,
            d * d * self.weight_square + 1,
        )

    def signal_to_noise(self) -> float:
        """Length of the mean over the standard deviation of one vector about it; 0 if it is not above chance."""
        count = self.weight * self.weight / self.weight_square if self.weight else 0.0
        if count <= 1.5:
            return 0.0
        mean = self.total / self.weight
        length = float((mean * mean).sum())
        noise = max(float(self.square) / self.weight - length, 0.0) * count / (count - 1)
        signal = max(length - noise / count, 0.0)
        return math.sqrt(signal / noise) if noise > 0 else math.inf if signal else 0.0


@dataclass(frozen=True)
class AnswerMemory:
    """What the designer keeps, from update to update, of how agents answer (core/response.py).

    Attributes:
        count: designer's updates so far.
        v, last_v: running mean of the designer's outer gradient of every stack, ``[P, D]``, and the last one, which is
            not yet in it; None before the first.
        diagonal: running estimate of the diagonal of every stack's curvature, ``[P, D]``; None before the first.
        gradients: of the agents' last update, ``[P, D]``, for ``follower_gap``; None before the first.
        critics: ``q`` of every stack; None where there are none.
        response, direct: moments of the two parts of the designer's gradient; None before the first.
    """

    count: int = 0
    v: tuple[Tensor, ...] | None = None
    last_v: tuple[Tensor, ...] | None = None
    diagonal: tuple[Tensor, ...] | None = None
    gradients: tuple[Tensor, ...] | None = None
    critics: tuple[Parameter, ...] | None = None
    response: RunningMoments | None = None
    direct: RunningMoments | None = None


F_co = TypeVar("F_co", bound=Designer, covariant=True)
D_co = TypeVar("D_co", bound=DesignerSettings, covariant=True)
I_co = TypeVar("I_co", bound=IncentiveSettings, covariant=True)


@dataclass(frozen=True)
class Setup(Generic[F_co, D_co, I_co]):
    """What learning does not change: pure functions of parameters, and settings.

    Attributes:
        policies: one a stack.
        designer: its mechanism included.
        critic: V_phi, or None.
        settings: of agents, designer and method.
        reduction: across learners.
        env_steps: when the settings hold, see :meth:`at`.
        stack_names: of the stacks, for messages.
        answer_critics: of every stack, for ``designer_response: critic``; else empty.
        log_gradients: report the norm of the designer's gradient, too.
    """

    policies: tuple[Policy, ...]
    designer: F_co
    critic: Critic | None
    settings: MethodSettings[D_co, I_co]
    reduction: Reduction = field(default_factory=OneLearner)
    env_steps: int = 0
    stack_names: tuple[str, ...] = ()
    answer_critics: tuple[AnswerCritic, ...] = ()
    log_gradients: bool = False

    def of_gradient(self, grad: Tensor) -> Metrics:
        """The norm of the designer's gradient, where it is wanted."""
        return [Measured(DESIGNER_GRAD_NORM, grad.norm())] if self.log_gradients else []

    def at(self, env_steps: int) -> Self:
        """After so many environment steps: schedules at their values. What learns takes this."""
        return replace(self, settings=self.settings.at(env_steps), env_steps=env_steps)


AnySetup = Setup[Designer, DesignerSettings, IncentiveSettings]


@dataclass(frozen=True)
class AgentsUpdate:
    """What an agents' update was made of: all that its replica needs.

    Attributes:
        trajectory: tau.
        states: of every stack, before the update.
        eta: parameters of the incentive function in force when tau was sampled.
        settings: how the agents learned.
        minibatches: of every stack, the indices of its M steps.
        outcomes: of every stack, what came of it; None if the update was only imagined.
    """

    trajectory: Trajectory
    states: tuple[AgentState, ...]
    eta: Tensor
    settings: AgentSettings
    minibatches: tuple[Sequence[Tensor | None], ...]
    outcomes: tuple[Update, ...] | None = None

    def lessons(self, setup: AnySetup) -> tuple[Lesson, ...]:
        """Of every stack, what its update is a function of."""
        return tuple(
            Lesson(
                policy,
                self.states[i],
                self.trajectory,
                self.trajectory.stacks[i],
                self.settings,
                self.minibatches[i],
                setup.reduction,
            )
            for i, policy in enumerate(setup.policies)
        )


@dataclass(frozen=True)
class AlgorithmState:
    """All that learning changes.

    Attributes:
        agents: theta of every stack, optimizers and target critics included.
        eta: the designer's parameters.
        phi: of its critic, or None.
        phi_target: moving average of ``phi.value``, or None.
        cost_optimizer: of psi, where it has one of its own.
        clones: surrogates of agents that cannot be opened, or None.
        last_update: that the designer looks through next; None at the start, and after an update that was skipped.
        num_seen: how many of the agents' updates came by since the designer looked through one (``interval``).
        memory: of the agents' answer; only ``designer_response: update`` needs none.
    """

    agents: tuple[AgentState, ...]
    eta: Parameter
    phi: Parameter | None
    phi_target: Tensor | None
    cost_optimizer: OptimizerState
    clones: tuple[AgentState, ...] | None = None
    last_update: AgentsUpdate | None = None
    num_seen: int = 0
    memory: AnswerMemory = AnswerMemory()


def initial_state(
    setup: AnySetup, stack_sizes: Sequence[int], generator: torch.Generator, device: torch.device | None = None
) -> AlgorithmState:
    """Fresh parameters, drawn on the CPU so that a seed means the same on every device.

    Args:
        setup: whose.
        stack_sizes: P of every stack.
        generator: draws agents, designer, critic, clones and answers' critics, in this order.
        device: where they go; None for the CPU.
    """
    now = setup.at(0)

    def fresh() -> tuple[AgentState, ...]:
        thetas = [p.initialize(size, generator).to(device) for p, size in zip(setup.policies, stack_sizes, strict=True)]
        target = now.settings.agents.target_tau is not None
        return tuple(
            AgentState(t, optimizers.initial_state(now.settings.agents, t), t.clone() if target else None)
            for t in thetas
        )

    agents = fresh()
    eta = Parameter.start(setup.designer.initialize(generator).to(device))
    phi = None if setup.critic is None else Parameter.start(setup.critic.initialize(generator).to(device))
    has_target = phi is not None and getattr(now.settings.designer, "target_tau", None) is not None
    # A designer that cannot see the agents does not know their start either.
    cloned = getattr(now.settings.incentives, "agent_model", None) == "cloned"
    clones = fresh() if cloned else None
    critics = tuple(
        Parameter.start(critic.initialize(size, generator).to(device))
        for critic, size in zip(setup.answer_critics, stack_sizes, strict=False)
    )
    return AlgorithmState(
        agents=agents,
        eta=eta,
        phi=phi,
        phi_target=phi.value if phi is not None and has_target else None,
        cost_optimizer=Parameter.start(torch.zeros_like(eta.value)).optimizer,
        clones=clones,
        memory=AnswerMemory(critics=critics or None),
    )


def adam(
    setup: Setup[Designer, Any, Any], lr: float, clip: float | None = None, eps: float = 1e-8
) -> OptimizerSettings:
    """The designer's Adam at some rate."""
    betas = setup.settings.designer.betas
    return OptimizerSettings(optimizer="adam", lr=lr, betas=betas, eps=eps, grad_clip=clip)


def designer_adam(setup: Setup[Designer, LearningDesignerSettings, IncentiveSettings]) -> OptimizerSettings:
    """The optimizer of eta."""
    designer = setup.settings.designer
    return adam(setup, designer.lr, designer.grad_clip, designer.eps)


def forward_passes(setup: AnySetup, thetas: Sequence[Tensor], trajectory: Trajectory) -> list[ForwardPass]:
    """Of every stack's policies at ``thetas`` on a trajectory."""
    return [
        forward_pass(policy, theta, trajectory, stack)
        for policy, theta, stack in zip(setup.policies, thetas, trajectory.stacks, strict=True)
    ]


def all_finite(setup: AnySetup, who: str, *tensors: Tensor) -> bool:
    """Whether a step can be taken.

    Raises:
        NonFiniteError: if one is NaN or infinite and ``nan_policy`` is ``error``.
    """
    # A sum is NaN or infinite as soon as one summand is, and costs a third of an elementwise check.
    if all(math.isfinite(tensor.sum()) for tensor in tensors):
        return True
    if setup.settings.incentives.nan_policy == "error":
        raise NonFiniteError(
            f"NaN or infinity in the update of {who} after {setup.env_steps} environment steps; lower its "
            "learning rate, clip its gradient (agent_grad_clip, designer_grad_clip), or set nan_policy: skip"
        )
    return False
