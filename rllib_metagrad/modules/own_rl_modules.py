"""A user's own RLModule as policies over a stack of parameters, see docs/extending.md."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import gymnasium as gym
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchCategorical,
    TorchDiagGaussian,
    TorchMultiCategorical,
)
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from torch import Tensor, nn

from rllib_metagrad.core.losses import Evaluation
from rllib_metagrad.modules.distributions import Categorical, DiagonalGaussian
from rllib_metagrad.modules.networks import Parameters
from rllib_metagrad.modules.own_networks import FunctionalModule
from rllib_metagrad.modules.policy import StackedPolicy, make_distribution
from rllib_metagrad.settings import SettingError

KEY = "rl_module_spec"


def build(spec: RLModuleSpec, observation_space: gym.Space, action_space: gym.Space) -> TorchRLModule:
    """A module of the user's for these spaces, with fresh parameters from torch's own generator."""
    config = spec.model_config
    plain = dataclasses.asdict(config) if dataclasses.is_dataclass(config) and not isinstance(config, type) else config
    assert spec.module_class is not None
    module: TorchRLModule = spec.module_class(
        observation_space=observation_space,
        action_space=action_space,
        inference_only=False,
        model_config=copy.deepcopy(plain or {}),
        catalog_class=spec.catalog_class,
    )
    return module


class _OneCall(nn.Module):
    """What a module makes of observations as one array: parameters of the distribution, and the value."""

    def __init__(self, module: TorchRLModule, with_values: bool) -> None:
        super().__init__()
        self.own, self.with_values = module, with_values

    def forward(self, observations: Tensor, part: str = "all") -> Tensor:
        """``[n, O]``, the value ``[n, 1]``, or both side by side; ``part`` is ``policy``, ``values`` or ``all``."""
        batch: dict[str, Any] = {Columns.OBS: observations}
        if part == "values":
            return self._values(batch, None)
        made = self.own._forward_train(batch)
        inputs: Tensor = made[Columns.ACTION_DIST_INPUTS]
        if part == "policy" or not self.with_values:
            return inputs
        return torch.cat([inputs, self._values(batch, made.get(Columns.EMBEDDINGS))], dim=-1)

    def _values(self, batch: dict[str, Any], embeddings: Any) -> Tensor:
        # Modules that know of no embeddings need not take them.
        given = {} if embeddings is None else {"embeddings": embeddings}
        values: Tensor = self.own.compute_values(batch, **given)
        return values.unsqueeze(-1)


class RLModulePolicy(StackedPolicy):
    """``P`` RLModules of one class, as pure functions of ``theta [P, D]``.

    They act, in training and evaluation, by what ``_forward_train`` gives as ACTION_DIST_INPUTS; values are those of
    ``compute_values`` (ValueFunctionAPI). Observations arrive as they are in the observation space.

    Args:
        spec: of the user's.
        observation_space: of one agent, as it comes to networks.
        action_space: of one agent.
        critic: whether there is a value function.

    Raises:
        SettingError: on one line, for a module that is more or less than a function of its parameters and observation.
    """

    def __init__(
        self, spec: RLModuleSpec, observation_space: gym.spaces.Box, action_space: gym.Space, critic: bool
    ) -> None:
        self.distribution = make_distribution(action_space)
        self._gaussian = isinstance(self.distribution, DiagonalGaussian)
        self._width = self.distribution.num_outputs * (2 if self._gaussian else 1)
        self.has_critic, self.recurrent = critic, False
        self.trainable, self.own_lr = None, None
        assert spec.module_class is not None
        name = spec.module_class.__name__
        if critic and not issubclass(spec.module_class, ValueFunctionAPI):
            raise SettingError(
                KEY, f"{name} has no values, which agent_loss needs; derive it from ValueFunctionAPI, too, or set pg"
            )
        examples = _examples(observation_space)
        self._network = FunctionalModule(
            KEY,
            name,
            lambda: _OneCall(build(spec, observation_space, action_space), critic),
            [examples],
            self._width + critic,
            "",
        )
        one_call = self._network.module
        assert isinstance(one_call, _OneCall)
        if problem := _problem(one_call.own, examples, self.distribution):
            raise SettingError(KEY, f"{name} {problem}")
        self.parameters = Parameters(self._network.leaves)
        used = [self._used(examples, part) for part in ("policy", *(["values"] if critic else []))]
        self.critic_only = ~used[0]
        self.shares_trunk = critic and bool((used[0] & used[1]).any())

    def _used(self, examples: Tensor, part: str) -> Tensor:
        """``[D]`` bool, the parameters that a part of the outputs depends on."""
        leaves = [leaf.requires_grad_() for leaf in self.parameters.split(torch.zeros(1, self.parameters.size))]
        outputs = self._network.run(leaves, examples.unsqueeze(0), part=part)
        grads = torch.autograd.grad(outputs.sum(), leaves, allow_unused=True)
        sizes = self.parameters.sizes
        return torch.cat([torch.full((n,), g is not None) for n, g in zip(sizes, grads, strict=True)])

    def initialize(self, stack: int, generator: torch.Generator) -> Tensor:
        """Initial ``theta [P, D]``: each module as its constructor leaves it."""
        return self.parameters.initialize(stack, generator)

    def _split(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Means and log standard deviations of RLlib's Gaussian, which are both outputs; else logits."""
        if not self._gaussian:
            return inputs, None
        mean, log_std = inputs.chunk(2, dim=-1)
        return mean, log_std

    def outputs_of(self, leaves: list[Tensor], observations: Tensor) -> tuple[Tensor, Tensor | None]:
        """See the base class; log standard deviations are ``[P, n, D]`` here."""
        return self._split(self._network.run(leaves, observations, part="policy"))

    def evaluate(
        self, theta: Tensor, observations: Tensor, actions: Tensor, masks: Tensor | None, epsilon: float, num_rows: int
    ) -> Evaluation:
        """See :class:`rllib_metagrad.core.agent_update.Policy`."""
        made = self._network.run(self.parameters.split(theta), observations)
        outputs, log_std = self._split(made[..., : self._width])
        return Evaluation(
            self.distribution.log_prob(outputs, log_std, actions, masks, epsilon),
            self.distribution.entropy(outputs, log_std, masks),
            made[..., -1] if self.has_critic else None,
        )

    def values(self, theta: Tensor, observations: Tensor, num_rows: int) -> Tensor:
        """See :class:`rllib_metagrad.core.agent_update.Policy`."""
        return self._network.run(self.parameters.split(theta), observations, part="values").squeeze(-1)

    def load(self, module: TorchRLModule, theta: Tensor) -> TorchRLModule:
        """Puts a row ``[1, D]`` into a module of the user's."""
        names = [name.removeprefix("own.") for name, _ in self._network.module.named_parameters()]
        held = dict(module.named_parameters())
        with torch.no_grad():
            for name, value in zip(names, self.parameters.split(theta), strict=True):
                held[name].copy_(value[0])
        return module


def _examples(space: gym.spaces.Box) -> Tensor:
    """Three observations."""
    generator = torch.Generator().manual_seed(0)
    if space.dtype.name == "uint8":
        return torch.randint(256, (3, *space.shape), generator=generator, dtype=torch.uint8)
    return torch.rand(3, *space.shape, generator=generator)


def _problem(module: TorchRLModule, examples: Tensor, distribution: Any) -> str | None:
    """What a module does that nobody would ask it for here."""
    if module.is_stateful():
        return "is stateful; a memory of the agents' critic is agent_network: {critic_lstm: 64}, policies have none"
    kinds = {Categorical: TorchCategorical, DiagonalGaussian: TorchDiagGaussian}
    wanted = kinds.get(type(distribution), TorchMultiCategorical)
    if module.action_dist_cls is not None and not issubclass(module.action_dist_cls, wanted):
        return f"has action_dist_cls {module.action_dist_cls.__name__}; leave it out, actions are of {wanted.__name__}"
    with torch.no_grad():
        learned = module._forward_train({Columns.OBS: examples})[Columns.ACTION_DIST_INPUTS]
        for method in ("_forward_exploration", "_forward_inference"):
            acted = getattr(module, method)({Columns.OBS: examples})
            if set(acted) & {Columns.ACTIONS, Columns.ACTIONS_FOR_ENV}:
                return f"chooses actions in {method}; they are sampled from the ACTION_DIST_INPUTS of _forward_train"
            inputs = acted.get(Columns.ACTION_DIST_INPUTS)
            if inputs is None or not torch.allclose(inputs, learned, atol=1e-5):
                return f"acts in {method} by other ACTION_DIST_INPUTS than _forward_train gives; leave {method} out"
    return None
