"""A user's own torch module: the numbers of the built-in network, differentiated alike; what is unfit is one line."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent / "core"))
from problems import ACTIONS, OBS, Problem, make_problem
from test_meta_gradient import compare, settings_of

from rllib_metagrad import MetaGradConfig
from rllib_metagrad.modules.networks import Network, Parameters
from rllib_metagrad.modules.own_networks import ModuleNetwork, check_networks, make_network
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.settings import NetworkSettings, SettingError

HERE = f"{__name__}:"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Mlp(nn.Sequential):
    """What ``hiddens: [7, 6], activation: tanh`` is."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int, width: int = 7) -> None:
        (size,) = input_shape
        super().__init__(nn.Linear(size, width), nn.Tanh(), nn.Linear(width, 6), nn.Tanh(), nn.Linear(6, num_outputs))


class Joined(nn.Module):
    """The same with a second input, for a designer."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int, num_features: int) -> None:
        super().__init__()
        self.layers = Mlp((input_shape[0] + num_features,), num_outputs)

    def forward(self, states: Tensor, features: Tensor) -> Tensor:
        return self.layers(torch.cat([states, features], dim=-1))


class Attentive(nn.Module):
    """Attention over the observation's numbers, a constant buffer, a LayerNorm and a convolution."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__()
        self.register_buffer("places", torch.randn(input_shape[0], 4))
        self.look, self.norm = nn.Linear(4, 12), nn.LayerNorm(4)
        self.convolution = nn.Conv1d(4, 3, 3, padding=1)
        self.head = nn.Linear(3, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.look(self.norm(x.unsqueeze(-1) * self.places)).chunk(3, dim=-1)
        seen = torch.softmax(query @ key.transpose(-1, -2), dim=-1) @ value
        return self.head(torch.tanh(self.convolution(seen.transpose(-1, -2))).mean(-1))


def as_built_in(theta: Tensor, network: ModuleNetwork) -> Tensor:
    """The module's parameters as those of :class:`Network`, which has weights transposed."""
    leaves = Parameters(network.leaves).split(theta)
    return torch.cat([(leaf.mT if leaf.dim() == 3 else leaf).flatten(1) for leaf in leaves], dim=1)


@pytest.mark.parametrize("stack", [1, 3])
@pytest.mark.parametrize("features", [None, 0, 4])
def test_the_same_mlp_gives_the_same_numbers(stack: int, features: int | None) -> None:
    plain = NetworkSettings(hiddens=(7, 6), activation="tanh")
    built_in = Network((OBS,), 2, plain, extra_features=features or 0)
    custom = NetworkSettings(custom=Mlp if features is None else Joined)
    own = make_network("agent_network", (OBS,), 2, custom, "own_", features)
    assert isinstance(own, ModuleNetwork)
    theta = Parameters(own.leaves).initialize(stack, seeded(0))
    x = torch.randn(stack, 11, OBS, generator=seeded(1))
    extra = None if features is None else torch.randn(stack, 11, features, generator=seeded(2))

    def run(network: Any, theta: Tensor) -> list[Tensor]:
        leaf = theta.clone().requires_grad_()
        parameters = Parameters(network.leaves)
        outputs = network.apply(parameters.split(leaf), x, extra)
        return [outputs, torch.autograd.grad(outputs.square().sum(), leaf)[0]]

    outputs, gradient = run(own, theta)
    expected, expected_gradient = run(built_in, as_built_in(theta, own))
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(as_built_in(gradient, own), expected_gradient)


def test_it_starts_as_its_constructor_leaves_it_under_the_given_seed() -> None:
    own = ModuleNetwork("agent_network", (OBS,), 2, NetworkSettings(custom=Mlp), "own_", None)
    parameters = Parameters(own.leaves)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    theta = parameters.initialize(3, seeded(0))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(4)
    assert torch.equal(theta, parameters.initialize(3, seeded(0)))
    assert not torch.equal(theta, parameters.initialize(3, seeded(1)))
    assert not torch.equal(theta[0], theta[1])
    weight = parameters.named(theta)["own_0__weight"]
    assert weight.shape == (3, 7, OBS)
    assert 0.5 < weight.abs().max() * OBS**0.5 <= 1  # torch.nn.Linear's bound


def test_its_constant_buffers_are_the_same_in_every_process() -> None:
    torch.manual_seed(1)
    first = ModuleNetwork("agent_network", (OBS,), 2, NetworkSettings(custom=Attentive), "", None)
    torch.manual_seed(2)
    second = ModuleNetwork("agent_network", (OBS,), 2, NetworkSettings(custom=Attentive), "", None)
    assert torch.equal(first.module.places, second.module.places)


def problem_with(module: type[nn.Module], problem: Problem, critic: bool, **config: Any) -> Problem:
    """The same problem, with policies of another network."""
    settings = NetworkSettings(custom=module, custom_config=config)
    policy = StackedPolicy((OBS,), gym.spaces.Discrete(ACTIONS), settings, critic)
    theta = policy.initialize(problem.state.theta.shape[0], seeded(5)).double()
    state = type(problem.state)(theta, type(problem.state.optimizer)(), None)
    return Problem(policy, state, problem.trajectory, problem.eta)


@pytest.mark.parametrize("module", [Mlp, Attentive])
@pytest.mark.parametrize(
    ("loss", "optimizer", "steps", "shared"),
    [("pg", "sgd", 1, False), ("ppo", "sgd", 3, False), ("actor_critic", "sgd", 2, True)],
)
def test_mixed_equals_unrolled_equals_finite_differences(
    module: type[nn.Module], loss: str, optimizer: str, steps: int, shared: bool
) -> None:
    settings = settings_of(loss, optimizer, steps, None)
    compare(problem_with(module, make_problem(settings, shared), critic=loss != "pg"), settings)


def test_pictures_reach_it_as_floats_in_the_unit_interval() -> None:
    own = ModuleNetwork("agent_network", (2, 2, 1), 1, NetworkSettings(custom=Brightest), "", None)
    picture = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).reshape(1, 1, 2, 2, 1)
    assert own.apply([torch.ones(1, 1)], picture).item() == 1.0


class Brightest(nn.Module):
    def __init__(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(num_outputs))

    def forward(self, picture: Tensor) -> Tensor:
        return self.factor * picture.flatten(1).amax(-1, keepdim=True)


# -- what is unfit -----------------------------------------------------------------------------------------


class Around(nn.Module):
    """An MLP with something around it."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__()
        self.layers = Mlp(input_shape, num_outputs)
        self.add(num_outputs)

    def add(self, num_outputs: int) -> None: ...

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class RunningStatistics(Around):
    def add(self, num_outputs: int) -> None:
        self.layers.append(nn.BatchNorm1d(num_outputs))


class BatchStatistics(Around):
    def add(self, num_outputs: int) -> None:
        self.layers.append(nn.BatchNorm1d(num_outputs, track_running_stats=False))


class Dropping(Around):
    def add(self, num_outputs: int) -> None:
        self.layers.insert(1, nn.Dropout(0.5))


class Frozen(Around):
    def add(self, num_outputs: int) -> None:
        self.layers[0].requires_grad_(False)


class Recurrent(Around):
    def add(self, num_outputs: int) -> None:
        self.cell = nn.LSTM(num_outputs, num_outputs, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(self.layers(x).unsqueeze(1))[0].squeeze(1)


class Counting(Around):
    def add(self, num_outputs: int) -> None:
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return self.layers(x)


class OneTooMany(Mlp):
    def __init__(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__(input_shape, num_outputs + 1)


class Nothing(Around):
    def add(self, num_outputs: int) -> None:
        self.layers = nn.Sequential()


class Failing(Around):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x[:, :2])


class NoArguments(nn.Module):
    def __init__(self) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (RunningStatistics, "changes its buffer layers.5.running_mean when it runs (BatchNorm's running"),
        (BatchStatistics, "mixes rows (BatchNorm?): each row of the output must depend on the same row of the input"),
        (Dropping, "gives two answers to one question (Dropout?)"),
        (Frozen, "has a parameter that must not learn, layers.0.weight: make it a buffer"),
        (Recurrent, "fails with inputs of shape (5,): "),
        (Counting, "changes its buffer count when it runs"),
        (OneTooMany, "must return (3, 2) for 3 rows, got (3, 3)"),
        (Nothing, "has no parameters"),
        (Failing, "fails with inputs of shape (5,): RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_unfit_modules_are_refused_in_one_line(module: type[nn.Module], message: str) -> None:
    with pytest.raises(SettingError, match="^agent_network.custom " + re.escape(f"{HERE}{module.__name__} ")) as caught:
        ModuleNetwork("agent_network", (OBS,), 2, NetworkSettings(custom=module), "", None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "custom", "config", "message"),
    [
        ("agent_network", "no_such_nets:Net", {}, "no_such_nets:Net: cannot import no_such_nets"),
        ("agent_network", f"{HERE}Mlpp", {}, "has no Mlpp; did you mean 'Mlp'?"),
        ("agent_network", f"{HERE}seeded", {}, "is not a class derived from torch.nn.modules.module.Module"),
        ("agent_network", "Mlp", {}, "'Mlp' is no import path package.module:Class"),
        ("agent_network", f"{HERE}NoArguments", {}, "its constructor must take (input_shape, num_outputs)"),
        ("agent_network", f"{HERE}Mlp", {"widht": 3}, "must take (input_shape, num_outputs, widht=)"),
        ("agent_network", f"{HERE}Joined", {}, "must take (input_shape, num_outputs)"),
        ("designer_network", f"{HERE}Attentive", {}, "must take (input_shape, num_outputs, num_features=)"),
        ("designer_critic_network", f"{HERE}NoArguments", {}, "(input_shape, num_outputs, num_features=)"),
    ],
)
def test_mistakes_are_one_line_before_there_is_an_environment(
    key: str, custom: str, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=f"^{key}.custom ") as caught:
        check_networks({key: NetworkSettings(custom=custom, custom_config=config)})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"custom": f"{HERE}Mlp", "hiddens": (8,)}, "hiddens has no effect on a custom network"),
        ({"custom": f"{HERE}Mlp", "critic_lstm": 4}, "critic_lstm has no effect on a custom network"),
        ({"custom": f"{HERE}Mlp", "share_trunk": True}, "share_trunk has no effect on a custom network"),
        ({"custom_config": {"width": 3}}, "custom_config needs custom"),
        ({"custom": 3}, "custom must be an import path or null, got 3"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=f"^{re.escape(message)}"):
        NetworkSettings(**given)


def test_settings_pickled_before_there_was_such_a_network() -> None:
    settings = NetworkSettings(hiddens=(3,))
    settings.__dict__.pop("custom")
    assert pickle.loads(pickle.dumps(settings)).custom is None


def test_configs_are_checked_before_ray() -> None:
    config = MetaGradConfig().environment("escape_room").designer(network={"custom": Mlp})
    with pytest.raises(SettingError, match=r"^designer_network.custom .* must take .*num_features="):
        config.validate()
    config = MetaGradConfig().environment("escape_room").agents(network={"custom": Mlp, "custom_config": {"width": 9}})
    config.designer(network={"custom": Joined})
    config.validate()
    assert config.method_settings().agents.network.custom == f"{HERE}Mlp"
