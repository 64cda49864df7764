"""Stacked networks against torch.nn, policy by policy."""

from __future__ import annotations

from typing import get_args

import gymnasium as gym
import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F

from rllib_metagrad.modules.networks import Network, Parameters
from rllib_metagrad.modules.policy import StackedPolicy, make_distribution
from rllib_metagrad.settings import NetworkSettings
from rllib_metagrad.settings.networks import Activation


def test_stacked_layers_equal_linear_layers() -> None:
    g = torch.Generator().manual_seed(0)
    network = Network((4,), 2, NetworkSettings(hiddens=(5, 3), activation="tanh"))
    parameters = Parameters(network.leaves)
    theta = parameters.initialize(3, g)
    x = torch.randn(3, 7, 4, generator=g)
    ours = network.apply(parameters.split(theta), x)
    for p in range(3):
        named = {name: leaf[p] for name, leaf in parameters.named(theta).items()}
        hidden = x[p]
        for i in range(3):
            hidden = F.linear(hidden, named[f"dense{i}_weight"].T, named[f"dense{i}_bias"])
            hidden = torch.tanh(hidden) if i < 2 else hidden
        torch.testing.assert_close(ours[p], hidden)


def test_stacked_convolutions_equal_convolutions() -> None:
    g = torch.Generator().manual_seed(0)
    settings = NetworkSettings(hiddens=(8,), filters=((6, 3, 1), (4, 3, 2)))
    network = Network((9, 7, 3), 5, settings)
    parameters = Parameters(network.leaves)
    theta = parameters.initialize(2, g)
    images = torch.randint(0, 256, (2, 4, 9, 7, 3), generator=g, dtype=torch.uint8)
    ours = network.apply(parameters.split(theta), images)
    for p in range(2):
        named = {name: leaf[p] for name, leaf in parameters.named(theta).items()}
        x = images[p].permute(0, 3, 1, 2).float() / 255
        x = torch.relu(F.conv2d(x, named["conv0_weight"], named["conv0_bias"], padding=1))
        x = torch.relu(F.conv2d(x, named["conv1_weight"], named["conv1_bias"], stride=2, padding=1))
        x = torch.relu(x.flatten(1) @ named["dense0_weight"] + named["dense0_bias"])
        torch.testing.assert_close(ours[p], x @ named["dense1_weight"] + named["dense1_bias"])


def test_blocks_of_pictures_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs, gradients and directional derivatives of a batch that goes through in blocks, with a rest."""
    g = torch.Generator().manual_seed(0)
    network = Network((6, 6, 3), 4, NetworkSettings(hiddens=(8,), filters=((2, 3, 1),)), extra_features=3)
    parameters = Parameters(network.leaves)
    theta = parameters.initialize(2, g)
    direction, images, extra = (
        torch.randn(shape, generator=g) for shape in (theta.shape, (2, 150, 6, 6, 3), (2, 150, 3))
    )

    def run() -> list[torch.Tensor]:
        leaf = theta.clone().requires_grad_()
        outputs = network.apply(parameters.split(leaf), images, extra)
        (grad,) = torch.autograd.grad(outputs.square().sum(), leaf)
        _, derivative = torch.func.jvp(
            lambda x: network.apply(parameters.split(x), images, extra), (theta,), (direction,)
        )
        return [outputs, grad, derivative]

    whole = run()
    monkeypatch.setattr("rllib_metagrad.modules.networks._BLOCK", 1)
    in_blocks = run()
    for a, b in zip(whole, in_blocks, strict=True):
        torch.testing.assert_close(a, b)


def test_initial_weights_are_torch_linears_range_and_seeded() -> None:
    network = Network((100,), 50, NetworkSettings(hiddens=()))
    parameters = Parameters(network.leaves)
    theta = parameters.initialize(1, torch.Generator().manual_seed(1))
    assert theta.abs().max() <= 0.1
    assert theta.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.05)
    torch.testing.assert_close(theta, parameters.initialize(1, torch.Generator().manual_seed(1)), rtol=0, atol=0)


def test_join_is_the_inverse_of_named() -> None:
    parameters = Parameters(Network((3,), 2, NetworkSettings(hiddens=(4,))).leaves)
    theta = parameters.initialize(5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(parameters.join(parameters.named(theta), 5), theta, rtol=0, atol=0)


def test_categorical_with_masks_and_exploration() -> None:
    distribution = make_distribution(gym.spaces.Discrete(4))
    logits = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).expand(200_000, 4)
    masks = torch.tensor([[True, False, True, True]]).expand(200_000, 4)
    g = torch.Generator().manual_seed(0)
    actions, log_probs = distribution.sample(logits, None, masks, 0.3, g)
    expected = torch.softmax(torch.tensor([1.0, -torch.inf, 3.0, 4.0]), 0) * 0.7
    expected += 0.3 * torch.tensor([1 / 3, 0, 1 / 3, 1 / 3])
    frequencies = torch.bincount(actions, minlength=4) / len(actions)
    torch.testing.assert_close(frequencies, expected, atol=5e-3, rtol=0)
    torch.testing.assert_close(log_probs, torch.log(expected)[actions])
    torch.testing.assert_close(distribution.log_prob(logits, None, actions, masks, 0.3), log_probs)
    without = torch.distributions.Categorical(logits=torch.tensor([1.0, -torch.inf, 3.0, 4.0]).clamp(min=-1e9))
    torch.testing.assert_close(distribution.entropy(logits, None, masks)[0], without.entropy())
    assert distribution.mode(logits, None, torch.tensor([[True, True, True, False]])).unique().tolist() == [2]


def test_multi_categorical_is_the_sum_of_its_parts() -> None:
    distribution = make_distribution(gym.spaces.MultiDiscrete([2, 3]))
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=g)
    actions, log_probs = distribution.sample(logits, None, None, 0.0, g)
    parts = [torch.distributions.Categorical(logits=part) for part in torch.split(logits, [2, 3], -1)]
    torch.testing.assert_close(log_probs, parts[0].log_prob(actions[:, 0]) + parts[1].log_prob(actions[:, 1]))
    torch.testing.assert_close(distribution.entropy(logits, None, None), parts[0].entropy() + parts[1].entropy())


def test_gaussian_equals_torch_distributions() -> None:
    distribution = make_distribution(gym.spaces.Box(-1, 1, (3,)))
    g = torch.Generator().manual_seed(0)
    mean, log_std = torch.randn(6, 3, generator=g), torch.tensor([0.1, -0.2, 0.3])
    actions, log_probs = distribution.sample(mean, log_std, None, 0.0, g)
    reference = torch.distributions.Normal(mean, log_std.exp())
    torch.testing.assert_close(log_probs, reference.log_prob(actions).sum(-1))
    torch.testing.assert_close(distribution.entropy(mean, log_std, None), reference.entropy().sum(-1))


def test_unsupported_action_space_is_named() -> None:
    with pytest.raises(ValueError, match=r"action space Box.*is not supported"):
        make_distribution(gym.spaces.Box(-1, 1, (2, 2)))


@pytest.mark.parametrize("share_trunk", [False, True])
@pytest.mark.parametrize("critic_lstm", [None, 3])
def test_critic_only_marks_what_the_actor_does_not_use(share_trunk: bool, critic_lstm: int | None) -> None:
    settings = NetworkSettings(hiddens=(6,), share_trunk=share_trunk, critic_lstm=critic_lstm)
    policy = StackedPolicy((4,), gym.spaces.Discrete(3), settings, critic=True)
    theta = policy.initialize(2, torch.Generator().manual_seed(0)).requires_grad_()
    seen = policy.evaluate(theta, torch.ones(2, 5, 4), torch.zeros(2, 5, dtype=torch.int64), None, 0.0, 5)
    assert seen.values is not None
    (grad,) = torch.autograd.grad(seen.log_probs.sum(), theta, retain_graph=True)
    assert (grad[:, policy.critic_only] == 0).all()
    (grad,) = torch.autograd.grad(seen.values.sum(), theta)
    assert (grad[:, policy.critic_only] != 0).any()
    assert bool((grad[:, ~policy.critic_only] != 0).any()) == share_trunk


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_has_a_forward_mode_over_reverse_mode(activation: str) -> None:
    """As the mixed meta-gradient needs it: a Hessian-vector product, beside that of two reverse passes."""
    network = Network((4,), 2, NetworkSettings(hiddens=(5,), activation=activation))
    parameters = Parameters(network.leaves)
    g = torch.Generator().manual_seed(0)
    theta, x = parameters.initialize(2, g).double(), torch.randn(2, 7, 4, generator=g, dtype=torch.float64)
    direction = torch.randn(theta.shape, generator=g, dtype=torch.float64)

    def gradient(at: torch.Tensor, create_graph: bool) -> torch.Tensor:
        loss = network.apply(parameters.split(at), x).square().sum()
        return torch.autograd.grad(loss, at, create_graph=create_graph)[0]

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(theta.clone().requires_grad_(), direction)
        product = forward_ad.unpack_dual(gradient(dual, False)).tangent
    leaf = theta.clone().requires_grad_()
    twice = torch.autograd.grad((gradient(leaf, True) * direction).sum(), leaf)[0]
    torch.testing.assert_close(product, twice)
