"""Critics with a memory: against torch.nn.LSTM, and what they may and may not see."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor, nn

from rllib_metagrad import MetaGradConfig
from rllib_metagrad.modules.networks import Network, Parameters
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.modules.recurrent import RecurrentNetwork
from rllib_metagrad.settings import NetworkSettings
from rllib_metagrad.settings.networks import PICTURE_AND_VECTOR

P, T, C, OBS, WIDTH = 2, 5, 3, 8, 4


def policy_of(**settings: Any) -> StackedPolicy:
    network = NetworkSettings(hiddens=(6,), filters=((2, 3, 1),), critic_lstm=WIDTH, **settings)
    return StackedPolicy((OBS,), gym.spaces.Discrete(3), network, critic=True, picture_shape=(1, 2, 3))


def run(policy: StackedPolicy, theta: Tensor, observations: Tensor) -> Tensor:
    """Values ``[P, T, C]`` of observations ``[P, T, C, OBS]``."""
    return policy.values(theta, observations.flatten(1, 2), T).reshape(P, T, C)


@pytest.mark.parametrize("share_trunk", [False, True])
@pytest.mark.parametrize("encoder", [None, PICTURE_AND_VECTOR])
def test_values_and_gradients_are_those_of_torch_nn_lstm(share_trunk: bool, encoder: str | None) -> None:
    g = torch.Generator().manual_seed(0)
    policy = policy_of(share_trunk=share_trunk, encoder=encoder)
    theta = policy.initialize(P, g).requires_grad_()
    observations = torch.randn(P, T, C, OBS, generator=g)
    ours = run(policy, theta, observations)
    (gradient,) = torch.autograd.grad(ours.square().sum(), theta, retain_graph=True)
    seen = policy.evaluate(theta, observations.flatten(1, 2), torch.zeros(P, T * C).long(), None, 0.0, T)
    assert seen.values is not None
    torch.testing.assert_close(seen.values.reshape(P, T, C), ours, rtol=0, atol=0)

    prefix = "trunk_" if share_trunk else "critic_"
    settings = NetworkSettings(hiddens=(6,), filters=((2, 3, 1),), encoder=encoder)
    body = Network((OBS,), None, settings, prefix, picture_shape=(1, 2, 3))
    for p in range(P):
        row = theta[p : p + 1].detach().clone().requires_grad_()
        named = policy.parameters.named(row)
        reference = nn.LSTM(6, WIDTH)
        weights = {
            "weight_ih_l0": named["critic_lstm_input_weight"][0].T,
            "weight_hh_l0": named["critic_lstm_hidden_weight"][0].T,
            "bias_ih_l0": named["critic_lstm_bias"][0],
            "bias_hh_l0": torch.zeros(4 * WIDTH),
        }
        hidden = body.apply([named[leaf.name] for leaf in body.leaves], observations[p].reshape(1, T * C, OBS))
        outputs, _ = torch.func.functional_call(reference, weights, (hidden.reshape(T, C, -1),))
        head_weight, head_bias = named["critic_output_dense0_weight"][0], named["critic_output_dense0_bias"][0]
        expected = (outputs @ head_weight + head_bias).squeeze(-1)
        torch.testing.assert_close(ours[p], expected)
        (expected_gradient,) = torch.autograd.grad(expected.square().sum(), row)
        torch.testing.assert_close(gradient[p : p + 1], expected_gradient)


def test_a_value_depends_on_its_own_episode_up_to_now() -> None:
    g = torch.Generator().manual_seed(0)
    policy = policy_of()
    theta = policy.initialize(P, g)
    observations = torch.randn(P, T, C, OBS, generator=g).requires_grad_()
    (grad,) = torch.autograd.grad(run(policy, theta, observations)[:, 2, 1].sum(), observations)
    reached = grad.abs().sum(-1) > 0
    expected = torch.zeros(P, T, C, dtype=torch.bool)
    expected[:, :3, 1] = True
    assert torch.equal(reached, expected)


def test_the_actor_is_the_same_as_without() -> None:
    with_memory, without = (
        policy_of(),
        StackedPolicy((OBS,), gym.spaces.Discrete(3), NetworkSettings(hiddens=(6,)), True),
    )
    thetas = [policy.initialize(P, torch.Generator().manual_seed(0)) for policy in (with_memory, without)]
    size = int((~without.critic_only).sum())
    assert int((~with_memory.critic_only).sum()) == size
    rows = torch.randn(P, 7, OBS)
    actor = thetas[0][:, :size]
    theta = torch.cat([actor, thetas[1][:, size:]], dim=1)
    assert torch.equal(with_memory.outputs(thetas[0], rows)[0], without.outputs(theta, rows)[0])


def test_initial_weights_are_torch_nn_lstms_range() -> None:
    network = RecurrentNetwork((3,), 1, NetworkSettings(hiddens=(50,), critic_lstm=100), "critic_")
    parameters = Parameters(network.leaves)
    named = parameters.named(parameters.initialize(1, torch.Generator().manual_seed(0)))
    for name in ("input_weight", "hidden_weight", "bias"):
        leaf = named[f"critic_lstm_{name}"]
        assert 0.095 < leaf.abs().max() <= 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"agent_loss": "pg"}, "agent_network.critic_lstm needs a critic, and agent_loss: pg has none"),
        (
            {"batch_mode": "truncate_episodes"},
            "agent_network.critic_lstm needs episodes from their first step, and batch_mode: truncate_episodes cuts",
        ),
        (
            {"agent_network": {"critic_lstm": 0}},
            "agent_network.critic_lstm must be a whole number >= 1 or null, got 0",
        ),
        (
            {"designer_network": {"critic_lstm": 8}},
            "designer_network.critic_lstm has no meaning: only agents' critics have a memory; leave it out",
        ),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    known = {"env": "escape_room", "agent_loss": "ppo", "agent_network": {"critic_lstm": 8}}
    config = MetaGradConfig().update_from_dict({**known, **settings})
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        config.validate()
