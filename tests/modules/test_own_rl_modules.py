"""RLModules of a user's own as policies: their numbers, the meta-gradient through them, and what is unfit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent / "core"))
from problems import ACTIONS, OBS, Problem, make_problem
from test_meta_gradient import compare, settings_of

from rllib_metagrad.modules.own_rl_modules import RLModulePolicy, build
from rllib_metagrad.modules.rl_modules import PolicyModule
from rllib_metagrad.settings import SettingError

BOX = gym.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
PICTURE = gym.spaces.Box(0, 255, (4, 4, 2), np.uint8)
SPACES = {
    "discrete": gym.spaces.Discrete(ACTIONS),
    "several": gym.spaces.MultiDiscrete([2, 3]),
    "continuous": gym.spaces.Box(-1, 1, (2,), np.float32),
}


def width_of(space: gym.Space) -> int:
    """Of RLlib's distribution inputs."""
    if isinstance(space, gym.spaces.Discrete):
        return int(space.n)
    return int(np.sum(space.nvec)) if isinstance(space, gym.spaces.MultiDiscrete) else 2 * space.shape[0]


class Apart(TorchRLModule, ValueFunctionAPI):
    """Actor and critic apart; pictures of bytes are flattened and scaled."""

    def setup(self) -> None:
        size = int(np.prod(self.observation_space.shape))
        self.actor = nn.Sequential(nn.Linear(size, 6), nn.Tanh(), nn.Linear(6, width_of(self.action_space)))
        self.critic = nn.Sequential(nn.Linear(size, 4), nn.Tanh(), nn.Linear(4, 1))

    def _seen(self, batch: dict[str, Any]) -> Tensor:
        seen = batch[Columns.OBS]
        return seen.flatten(1).float() / 255 if seen.dtype == torch.uint8 else seen

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.actor(self._seen(batch))}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        return self.critic(self._seen(batch)).squeeze(-1)


class Together(Apart):
    """One trunk, whose output is handed over as EMBEDDINGS."""

    def setup(self) -> None:
        self.trunk = nn.Sequential(nn.Linear(self.observation_space.shape[0], 6), nn.Tanh())
        self.actor, self.critic = nn.Linear(6, width_of(self.action_space)), nn.Linear(6, 1)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        hidden = self.trunk(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: self.actor(hidden), Columns.EMBEDDINGS: hidden}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        hidden = self.trunk(batch[Columns.OBS]) if embeddings is None else embeddings
        return self.critic(hidden).squeeze(-1)


class WithoutValues(TorchRLModule):
    def setup(self) -> None:
        self.actor = nn.Linear(OBS, ACTIONS)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.actor(batch[Columns.OBS])}


class Hot(WithoutValues):
    def _forward_exploration(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: 0.1 * self._forward(batch)[Columns.ACTION_DIST_INPUTS]}


class Chooses(WithoutValues):
    def _forward_inference(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        made = self._forward(batch)
        return {**made, Columns.ACTIONS: made[Columns.ACTION_DIST_INPUTS].argmax(-1)}


class Stateful(WithoutValues):
    def get_initial_state(self) -> dict[str, Any]:
        return {"h": torch.zeros(3)}


class Dropping(WithoutValues):
    def setup(self) -> None:
        self.actor = nn.Sequential(nn.Dropout(), nn.Linear(OBS, ACTIONS))


class Recurrent(WithoutValues):
    def setup(self) -> None:
        self.lstm, self.actor = nn.LSTM(OBS, 4, batch_first=True), nn.Linear(4, ACTIONS)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        hidden, _ = self.lstm(batch[Columns.OBS].unsqueeze(1))
        return {Columns.ACTION_DIST_INPUTS: self.actor(hidden[:, 0])}


class Wide(WithoutValues):
    def setup(self) -> None:
        self.actor = nn.Linear(OBS, ACTIONS + 1)


class OtherDistribution(WithoutValues):
    action_dist_cls = TorchDeterministic

    def setup(self) -> None:
        super().setup()
        self.action_dist_cls = TorchDeterministic


def ppo() -> RLModuleSpec:
    """RLlib's own default module of PPO."""
    config = DefaultModelConfig(fcnet_hiddens=[6], vf_share_layers=True)
    return RLModuleSpec(module_class=DefaultPPOTorchRLModule, catalog_class=PPOCatalog, model_config=config)


@pytest.mark.parametrize(
    ("spec", "space", "observed", "shared"),
    [
        (RLModuleSpec(module_class=Apart), "discrete", BOX, False),
        (RLModuleSpec(module_class=Apart), "several", PICTURE, False),
        (RLModuleSpec(module_class=Together), "continuous", BOX, True),
        (RLModuleSpec(module_class=Together), "several", BOX, True),
        (ppo(), "discrete", BOX, True),
        (ppo(), "continuous", BOX, True),
    ],
)
def test_a_stack_gives_what_each_module_gives(
    spec: RLModuleSpec, space: str, observed: gym.spaces.Box, shared: bool
) -> None:
    policy = RLModulePolicy(spec, observed, SPACES[space], critic=True)
    theta = policy.initialize(3, torch.Generator().manual_seed(1))
    assert not torch.equal(theta[0], theta[1])
    assert torch.equal(theta, policy.initialize(3, torch.Generator().manual_seed(1)))
    assert policy.shares_trunk == shared
    assert 0 < policy.critic_only.sum() < policy.parameters.size
    generator = torch.Generator().manual_seed(2)
    seen = torch.randn(3, 5, *observed.shape, generator=generator)
    if observed is PICTURE:
        seen = (seen.clamp(0, 1) * 255).to(torch.uint8)
    actions, log_probs = policy.act(policy.parameters.split(theta), seen, None, 0.0, generator)
    evaluated = policy.evaluate(theta, seen, actions, None, 0.0, 5)
    torch.testing.assert_close(evaluated.log_probs, log_probs)
    torch.testing.assert_close(evaluated.values, policy.values(theta, seen, 5))
    for row in range(3):
        own = policy.load(build(spec, observed, SPACES[space]), theta[row : row + 1])
        made = own.forward_train({Columns.OBS: seen[row]})
        distribution = _distribution(own, SPACES[space], made[Columns.ACTION_DIST_INPUTS])
        torch.testing.assert_close(evaluated.log_probs[row], distribution.logp(actions[row]))
        torch.testing.assert_close(evaluated.entropy[row], distribution.entropy())
        torch.testing.assert_close(evaluated.values[row], own.compute_values({Columns.OBS: seen[row]}))


def _distribution(own: TorchRLModule, space: gym.Space, inputs: Tensor) -> Any:
    if isinstance(space, gym.spaces.MultiDiscrete):
        from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical

        return TorchMultiCategorical.from_logits(inputs, input_lens=list(space.nvec))
    return own.get_train_action_dist_cls().from_logits(inputs)


@pytest.mark.parametrize("module", [Apart, Together, DefaultPPOTorchRLModule])
@pytest.mark.parametrize(
    ("loss", "optimizer", "steps", "shared"),
    [("pg", "sgd", 1, False), ("ppo", "sgd", 3, False), ("actor_critic", "sgd", 2, True)],
)
def test_mixed_equals_unrolled_equals_finite_differences(
    module: type[TorchRLModule], loss: str, optimizer: str, steps: int, shared: bool
) -> None:
    settings = settings_of(loss, optimizer, steps, None)
    problem = make_problem(settings, shared)
    spec = RLModuleSpec(module_class=module)
    if module is DefaultPPOTorchRLModule:
        config = DefaultModelConfig(fcnet_hiddens=[6], fcnet_activation="tanh", vf_share_layers=True)
        spec = RLModuleSpec(module_class=module, catalog_class=PPOCatalog, model_config=config)
    policy = RLModulePolicy(spec, BOX, SPACES["discrete"], critic=loss != "pg")
    theta = policy.initialize(problem.state.theta.shape[0], torch.Generator().manual_seed(5)).double()
    state = type(problem.state)(theta, type(problem.state.optimizer)(), None)
    compare(Problem(policy, state, problem.trajectory, problem.eta), settings)


@pytest.mark.parametrize(
    ("module", "critic", "message"),
    [
        (WithoutValues, True, "WithoutValues has no values, which agent_loss needs; derive it from ValueFunctionAPI"),
        (Hot, False, "Hot acts in _forward_exploration by other ACTION_DIST_INPUTS than _forward_train gives"),
        (Chooses, False, "Chooses chooses actions in _forward_inference; they are sampled from"),
        (Stateful, False, "Stateful is stateful; a memory of the agents' critic is agent_network"),
        (Dropping, False, r"Dropping gives two answers to one question \(Dropout\?\)"),
        (Recurrent, False, r"Recurrent fails with inputs of shape \(5,\): "),
        (Wide, False, r"Wide must return \(3, 3\) for 3 rows, got \(3, 4\)"),
        (OtherDistribution, False, "OtherDistribution has action_dist_cls TorchDeterministic; leave it out"),
    ],
)
def test_unfit_modules_are_refused_in_one_line(module: type[TorchRLModule], critic: bool, message: str) -> None:
    with pytest.raises(SettingError, match=f"^rl_module_spec {message}") as raised:
        RLModulePolicy(RLModuleSpec(module_class=module), BOX, SPACES["discrete"], critic)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("space", ["discrete", "continuous"])
def test_rllibs_view_unwraps_to_the_users_class(space: str) -> None:
    spec = RLModuleSpec(module_class=Together)
    view = PolicyModule(
        observation_space=BOX,
        action_space=SPACES[space],
        model_config={"network": None, "critic": True, "picture_shape": None, "module": spec},
    )
    theta = view.policy.initialize(1, torch.Generator().manual_seed(3))
    view.write(view.policy.parameters, theta)
    own = view.unwrapped()
    assert type(own) is Together
    seen = {Columns.OBS: torch.randn(4, OBS)}
    key = Columns.ACTION_DIST_INPUTS
    torch.testing.assert_close(view.forward_inference(seen)[key], own.forward_inference(seen)[key])


class Layers(WithoutValues):
    """An own layer between two dense ones, as `model_config["layer"]` names it."""

    def setup(self) -> None:
        self.first, self.actor = nn.Linear(OBS, 4), nn.Linear(4, ACTIONS)
        name = self.model_config["layer"]
        sizes = {"GRUCell": (4, 4), "LSTMCell": (4, 4), "MultiheadAttention": (4, 2)}
        self.layer = getattr(nn, name)(*sizes.get(name, ()))

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        hidden = self.first(batch[Columns.OBS])
        if isinstance(self.layer, nn.MultiheadAttention):
            pairs = torch.stack([hidden, hidden + 1])
            hidden = self.layer(pairs, pairs, pairs)[0].sum(0)
        else:
            made = self.layer(hidden)
            hidden = made[0] if isinstance(made, tuple) else made
        return {Columns.ACTION_DIST_INPUTS: self.actor(hidden)}


@pytest.mark.parametrize("layer", ["GELU", "ELU", "GRUCell", "MultiheadAttention"])
def test_layers_that_go(layer: str) -> None:
    spec = RLModuleSpec(module_class=Layers, model_config={"layer": layer})
    assert RLModulePolicy(spec, BOX, SPACES["discrete"], critic=False).parameters.size > 0


@pytest.mark.parametrize("layer", ["SiLU", "Mish", "LSTMCell"])
def test_layers_without_forward_mode_are_named_by_torch(layer: str) -> None:
    spec = RLModuleSpec(module_class=Layers, model_config={"layer": layer})
    with pytest.raises(SettingError, match=r"^rl_module_spec Layers fails with inputs of shape \(5,\): "):
        RLModulePolicy(spec, BOX, SPACES["discrete"], critic=False)
