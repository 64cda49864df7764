"""RLlib's view of the parameters: one TorchRLModule a policy, and one for the designer.

Sampling and learning run on stacked parameters (modules/networks.py). These modules hold one row each, so that
RLlib's own tools work on it: checkpoints with a folder a module, ``algorithm.get_module("agent_0")``,
``RLModule.from_checkpoint`` in a program that only wants to act.
"""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchCategorical,
    TorchDiagGaussian,
    TorchMultiCategorical,
)
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from torch import Tensor, nn

from rllib_metagrad.modules.designer import make_designer, make_designer_critic
from rllib_metagrad.modules.distributions import DiagonalGaussian, MultiCategorical
from rllib_metagrad.modules.networks import Parameters
from rllib_metagrad.modules.own_rl_modules import RLModulePolicy, build
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.ray_compat import PlainStates
from rllib_metagrad.settings.policies import DESIGNER as DESIGNER  # the id of its module


class RowModule(TorchRLModule, PlainStates):
    """A module whose parameters are one row of a stack.

    Attributes:
        changed: set when parameters were loaded from outside; whoever owns the stack reads them and resets it.
    """

    changed: bool = False

    def hold(self, *layouts: Parameters) -> None:
        """Registers the leaves of the layouts as parameters."""
        self._layouts = layouts
        for layout in layouts:
            for leaf in layout.leaves:
                self.register_parameter(leaf.name, nn.Parameter(torch.zeros(leaf.shape)))

    def read(self, layout: Parameters) -> Tensor:
        """The parameters of a layout as a row ``[1, D]``, detached."""
        held = dict(self.named_parameters())
        if not layout.leaves:
            return torch.zeros(1, 0)
        return layout.join({leaf.name: held[leaf.name].detach() for leaf in layout.leaves}, 1)

    @torch.no_grad()
    def write(self, layout: Parameters, row: Tensor) -> None:
        """Copies a row ``[1, D]`` into the parameters."""
        held = dict(self.named_parameters())
        for name, value in (layout.named(row) if layout.leaves else {}).items():
            held[name].copy_(value[0])

    def set_state(self, state: dict[str, Any]) -> None:
        """As RLlib's, and remembers that the parameters have changed."""
        super().set_state(state)
        self.changed = True


class PolicyModule(RowModule):
    """One agent policy (and its critic).

    ``model_config``: ``network`` (NetworkSettings) or ``module`` (RLModuleSpec of the user's), ``critic`` (bool), and
    ``picture_shape`` of its observations.
    """

    def setup(self) -> None:
        """Called by RLlib to build the module."""
        config = self.model_config
        # Neither "module" nor "picture_shape" is in checkpoints of earlier versions.
        if config.get("module") is not None:
            self.policy: StackedPolicy = RLModulePolicy(
                config["module"], self.observation_space, self.action_space, config["critic"]
            )
        else:
            self.policy = StackedPolicy(
                tuple(self.observation_space.shape),
                self.action_space,
                config["network"],
                config["critic"],
                picture_shape=config.get("picture_shape"),
            )
        self.hold(self.policy.parameters)
        distribution = self.policy.distribution
        if isinstance(distribution, DiagonalGaussian):
            self.action_dist_cls = TorchDiagGaussian
        elif isinstance(distribution, MultiCategorical):
            self.action_dist_cls = TorchMultiCategorical.get_partial_dist_cls(input_lens=distribution.nvec)
        else:
            self.action_dist_cls = TorchCategorical

    def unwrapped(self) -> Any:
        """A module of the user's own class with the current parameters, where there is one; else this module."""
        if not isinstance(self.policy, RLModulePolicy):
            return self
        own = build(self.model_config["module"], self.observation_space, self.action_space)
        return self.policy.load(own, self.read(self.policy.parameters))

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Action-distribution inputs for observations ``[n, *obs]``."""
        observations = torch.as_tensor(batch[Columns.OBS]).unsqueeze(0)
        outputs, log_std = self.policy.outputs(self.read(self.policy.parameters), observations)
        outputs = outputs.squeeze(0)
        if log_std is not None:
            outputs = torch.cat([outputs, log_std.squeeze(0).expand_as(outputs)], dim=-1)
        return {Columns.ACTION_DIST_INPUTS: outputs}


class DesignerModule(RowModule):
    """The designer and its critic. ``model_config``: settings ``designer`` and ``incentives``, and ``env_spec``."""

    def setup(self) -> None:
        """Called by RLlib to build the module."""
        config = self.model_config
        self.designer = make_designer(config["incentives"], config["designer"], config["env_spec"])
        self.critic = make_designer_critic(config["designer"], config["env_spec"])
        self.hold(self.designer.parameters, *([] if self.critic is None else [self.critic.parameters]))

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Incentives ``[n, U]`` for states ``[n, *state]`` and joint actions ``[n, N * F]`` (``action_features``)."""
        step = self.designer.act(
            self.read(self.designer.parameters),
            torch.as_tensor(batch[Columns.OBS]),
            torch.as_tensor(batch["action_features"]),
            torch.Generator().manual_seed(0),
            greedy=True,
        )
        return {"incentives": step.outputs}
