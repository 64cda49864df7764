"""The incentive designer: incentive functions ``mu_eta``, stochastic designers of dual-RL, and constants.

All of them answer one question for the runner, :meth:`Designer.act`: what is the mechanism's input ``u`` at
these states and joint actions? Parameters are one row ``eta [1, D]``.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rllib_metagrad.mechanisms import Mechanism
from rllib_metagrad.modules.distributions import (
    ActionDistribution,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
)
from rllib_metagrad.modules.filters import network_for
from rllib_metagrad.modules.fit import (
    check_encoder,
    constant_outputs,
    designer_facts,
    fitting_mechanism,
    frozen_designer,
)
from rllib_metagrad.modules.networks import Parameters
from rllib_metagrad.modules.own_networks import make_network
from rllib_metagrad.modules.spec import EnvSpec
from rllib_metagrad.settings import (
    DesignerSettings,
    FixedIncentiveSettings,
    IncentiveFunctionSettings,
    IncentiveSettings,
    LearningDesignerSettings,
    NetworkSettings,
    SettingError,
    StochasticDesignerSettings,
)
from rllib_metagrad.settings.import_path import import_class


@dataclass(frozen=True)
class DesignerStep:
    """What a designer did at ``[n]`` steps: outputs ``[n, U]``; actions and log-probabilities of a stochastic one."""

    outputs: Tensor
    actions: Tensor | None = None
    log_probs: Tensor | None = None


class Designer(ABC):
    """Maps (state, joint action) to the mechanism's input.

    Attributes:
        parameters: layout of ``eta [1, D]`` (D may be 0).
        mechanism: takes the outputs.
    """

    parameters: Parameters
    mechanism: Mechanism

    def initialize(self, generator: torch.Generator) -> Tensor:
        """Initial ``eta [1, D]``."""
        return self.parameters.initialize(1, generator)

    @abstractmethod
    def act(
        self, eta: Tensor, states: Tensor, features: Tensor, generator: torch.Generator, greedy: bool = False
    ) -> DesignerStep:
        """Outputs for ``n`` steps.

        Args:
            eta: ``[1, D]``.
            states: ``[n, *state]``.
            features: ``[n, N * F]``, joint actions.
            generator: for stochastic designers.
            greedy: the mode instead of a draw.
        """


class IncentiveFunction(Designer):
    """``mu_eta(s, a)``: a network, squashed by the mechanism; deterministic and differentiable.

    A user's own is a subclass, ``designer_class``: with other :meth:`outputs`, and where it has other parameters a
    constructor that sets ``mechanism`` and ``parameters``.

    Args:
        state_shape: of the designer's observation.
        num_features: N * F, width of the joint action.
        mechanism: whose input it produces.
        settings: of the network.
        output_bias: added to the raw outputs, to start with small (< 0) or large incentives.
        picture_shape: of the picture that states begin with, see :class:`Network`.
    """

    def __init__(
        self,
        state_shape: Sequence[int],
        num_features: int,
        mechanism: Mechanism,
        settings: NetworkSettings,
        output_bias: float = 0.0,
        picture_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.mechanism = mechanism
        self.output_bias = output_bias
        self.network = make_network(
            "designer_network",
            state_shape,
            mechanism.num_outputs,
            settings,
            "incentive_",
            num_features,
            picture_shape,
        )
        self.parameters = Parameters(self.network.leaves)

    def outputs(self, eta: Tensor, states: Tensor, features: Tensor) -> Tensor:
        """``u [n, U]``, differentiable in ``eta``."""
        leaves = self.parameters.split(eta)
        raw = self.network.apply(leaves, states.unsqueeze(0), features.unsqueeze(0)).squeeze(0)
        return self.mechanism.squash(raw + self.output_bias)

    def act(
        self, eta: Tensor, states: Tensor, features: Tensor, generator: torch.Generator, greedy: bool = False
    ) -> DesignerStep:
        """See :class:`Designer`; nothing is drawn."""
        return DesignerStep(self.outputs(eta, states, features))


class StochasticDesigner(Designer):
    """A designer that is itself an RL policy (dual-RL; the AI Economist of Zheng et al. 2020).

    With ``levels`` its action assigns one of them to each output: jointly, ``Discrete(|levels|^U)``, as in
    Yang et al. 2022 for Escape Room, or factorized, one choice an output, as for tax brackets. Without levels
    it draws raw outputs from a Gaussian of fixed standard deviation and squashes them: dual-RL (c).
    """

    def __init__(
        self,
        state_shape: Sequence[int],
        num_features: int,
        mechanism: Mechanism,
        settings: NetworkSettings,
        levels: Sequence[float] | None,
        factorized: bool = False,
        std: float = 1.0,
        picture_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.mechanism = mechanism
        outputs = mechanism.num_outputs
        self.distribution: ActionDistribution
        self._table: Tensor | None = None
        if levels is None:
            self.distribution = DiagonalGaussian(outputs)
        elif factorized:
            self.distribution = MultiCategorical([len(levels)] * outputs)
            self._table = torch.tensor(levels, dtype=torch.float32)
        else:
            self.distribution = Categorical(len(levels) ** outputs)
            self._table = torch.tensor(list(itertools.product(levels, repeat=outputs)), dtype=torch.float32)
        self._fixed_log_std = torch.tensor(float(std)).log()
        self.network = make_network(
            "designer_network",
            state_shape,
            self.distribution.num_outputs,
            settings,
            "incentive_",
            num_features,
            picture_shape,
        )
        self.parameters = Parameters(self.network.leaves)

    def _raw(self, eta: Tensor, states: Tensor, features: Tensor) -> tuple[Tensor, Tensor | None]:
        leaves = self.parameters.split(eta)
        raw = self.network.apply(leaves, states.unsqueeze(0), features.unsqueeze(0)).squeeze(0)
        log_std = self._fixed_log_std.to(raw).expand(raw.shape[-1]) if self.distribution.num_log_std else None
        return raw, log_std

    def decode(self, actions: Tensor) -> Tensor:
        """Actions to the mechanism's input ``[n, U]``."""
        if self._table is None:
            return self.mechanism.squash(actions)
        return self._table.to(actions.device)[actions]

    def act(
        self, eta: Tensor, states: Tensor, features: Tensor, generator: torch.Generator, greedy: bool = False
    ) -> DesignerStep:
        """See :class:`Designer`."""
        raw, log_std = self._raw(eta, states, features)
        if greedy:
            actions = self.distribution.mode(raw, log_std, None)
            return DesignerStep(self.decode(actions), actions)
        actions, log_probs = self.distribution.sample(raw, log_std, None, 0.0, generator)
        return DesignerStep(self.decode(actions), actions, log_probs)

    def evaluate(self, eta: Tensor, states: Tensor, features: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies ``[n]`` of recorded designer actions, differentiable in ``eta``."""
        raw, log_std = self._raw(eta, states, features)
        log_probs = self.distribution.log_prob(raw, log_std, actions, None, 0.0)
        return log_probs, self.distribution.entropy(raw, log_std, None)


class ConstantDesigner(Designer):
    """The same outputs always: no incentives, a fixed table, a legislated tax schedule.

    Raises:
        ValueError: if their number is not the mechanism's.
    """

    def __init__(self, mechanism: Mechanism, outputs: Sequence[float] | None) -> None:
        self.mechanism = mechanism
        self.parameters = Parameters([])
        self._outputs = torch.tensor(constant_outputs(mechanism, outputs), dtype=torch.float32)

    def initialize(self, generator: torch.Generator) -> Tensor:
        """Nothing to learn: ``[1, 0]``."""
        return torch.zeros(1, 0)

    def act(
        self, eta: Tensor, states: Tensor, features: Tensor, generator: torch.Generator, greedy: bool = False
    ) -> DesignerStep:
        """See :class:`Designer`."""
        return DesignerStep(self._outputs.to(states.device).expand(states.shape[0], -1))


class DesignerCritic:
    """``V_phi(s)``, the designer's value function: parameters ``phi [1, D]``."""

    def __init__(self, spec: EnvSpec, settings: NetworkSettings) -> None:
        self.network = make_network(
            "designer_critic_network", spec.state_shape, 1, settings, "value_", 0, spec.state_picture_shape
        )
        self.parameters = Parameters(self.network.leaves)

    def initialize(self, generator: torch.Generator) -> Tensor:
        """Initial ``phi [1, D]``."""
        return self.parameters.initialize(1, generator)

    def values(self, phi: Tensor, states: Tensor) -> Tensor:
        """``V [n]`` of states ``[n, *state]``."""
        leaves = self.parameters.split(phi)
        return self.network.apply(leaves, states.unsqueeze(0)).squeeze(0).squeeze(-1)


class AnswerCritic:
    """``q_i(o, a)`` of a stack's agents (core/response.py): a score for each action, parameters ``[P, D]``."""

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        num_scores: int,
        settings: NetworkSettings,
        picture_shape: tuple[int, ...] | None,
    ) -> None:
        key = "designer_response_critic_network"
        self.network = make_network(key, observation_shape, num_scores, settings, "answer_", None, picture_shape)
        self.parameters = Parameters(self.network.leaves)

    def initialize(self, stack: int, generator: torch.Generator) -> Tensor:
        """Initial ``psi [P, D]``."""
        return self.parameters.initialize(stack, generator)

    def scores(self, psi: Tensor, observations: Tensor) -> Tensor:
        """``[P, n, outputs]`` of observations ``[P, n, *obs]``."""
        return self.network.apply(self.parameters.split(psi), observations)


def make_designer(incentives: IncentiveSettings, designer: DesignerSettings, spec: EnvSpec) -> Designer:
    """The designer of an environment; what kind it is, its settings say.

    Raises:
        ValueError: for an unknown mechanism, outputs that do not fit it, or a frozen designer of another environment.
    """
    if (frozen := frozen_designer(incentives)) is not None:
        for what, here in designer_facts(spec).items():
            if frozen.env[what] != here:
                raise SettingError(
                    "designer_checkpoint",
                    f"its designer does not fit {spec.name}, whose {what} is {here}, in its training "
                    f"{frozen.env[what]}; name a checkpoint of the same game",
                )
        return make_designer(frozen.incentives, frozen.designer, spec)
    mechanism = fitting_mechanism(incentives, designer, spec)
    check_encoder("designer_network", designer.network, spec.state_picture_shape, "the designer", spec.name)
    # What the environment reads is decided before anybody has acted.
    features = 0 if mechanism.read_by_environment else spec.num_features
    shape, picture = spec.state_shape, spec.state_picture_shape
    network = network_for(designer.network, shape, picture)
    if isinstance(designer, IncentiveFunctionSettings):
        made = find_incentive_function(designer)(shape, features, mechanism, network, designer.output_bias, picture)
        if designer.class_ is not None:
            _try_out(made, str(designer.class_), shape, features)
        return made
    if isinstance(designer, StochasticDesignerSettings):
        return StochasticDesigner(
            shape, features, mechanism, network, designer.levels, designer.factorized, designer.std, picture
        )
    constant = incentives.fixed_incentives if isinstance(incentives, FixedIncentiveSettings) else None
    return ConstantDesigner(mechanism, constant)


def find_incentive_function(designer: IncentiveFunctionSettings) -> type[IncentiveFunction]:
    """The class of the incentive function: ours, or the user's own.

    Raises:
        SettingError: on one line, if there is no such class.
    """
    if designer.class_ is None:
        return IncentiveFunction
    try:
        return import_class(str(designer.class_), IncentiveFunction)
    except ValueError as error:
        raise SettingError("designer_class", str(error)) from error


def _try_out(designer: IncentiveFunction, name: str, shape: Sequence[int], num_features: int) -> None:
    """Runs a user's incentive function at made-up states: it must give ``[n, U]``, differentiable in eta."""
    generator = torch.Generator().manual_seed(0)
    states = torch.rand(3, *shape, generator=generator)
    features = torch.rand(3, num_features, generator=generator)
    problem = None
    try:
        eta = designer.initialize(generator).requires_grad_()
        outputs = designer.outputs(eta, states, features)
        wanted = (3, designer.mechanism.num_outputs)
        if tuple(outputs.shape) != wanted:
            problem = f"must return outputs {wanted} for 3 steps, got {tuple(outputs.shape)}"
        elif not outputs.requires_grad:
            problem = "has outputs that do not depend on eta; use what parameters.split(eta) gives, and detach nothing"
    except Exception as error:  # a user's designer may raise anything
        problem = f"fails at made-up states: {type(error).__name__}: {' '.join(str(error).split())}"
    if problem is not None:
        raise SettingError("designer_class", f"{name} {problem}")


def make_designer_critic(designer: DesignerSettings, spec: EnvSpec) -> DesignerCritic | None:
    """V_phi, or None if the designer has no critic."""
    network = designer.value_network if isinstance(designer, LearningDesignerSettings) else None
    if network is None:
        return None
    check_encoder("designer_critic_network", network, spec.state_picture_shape, "the designer", spec.name)
    return DesignerCritic(spec, network_for(network, spec.state_shape, spec.state_picture_shape))
