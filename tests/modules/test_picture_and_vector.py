"""Networks that cut a row into a picture and a vector: against torch.nn, their derivatives, and what they refuse."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor, nn

from env_wrappers import make_vec
from rllib_metagrad import MetaGradConfig
from rllib_metagrad.modules.networks import Network, Parameters
from rllib_metagrad.modules.policy import StackedPolicy
from rllib_metagrad.modules.population import EnvSpec
from rllib_metagrad.settings import NetworkSettings
from rllib_metagrad.settings.networks import PICTURE_AND_VECTOR

PICTURE, VECTOR, ACTIONS = (5, 4, 3), 7, 6
ROW = 5 * 4 * 3 + VECTOR


def settings_of(**changed: Any) -> NetworkSettings:
    own: dict[str, Any] = {
        "hiddens": (8, 6),
        "activation": "tanh",
        "filters": ((4, 3, 2), (2, 3, 1)),
        "encoder": PICTURE_AND_VECTOR,
        "picture_hiddens": (9,),
    }
    return NetworkSettings(**{**own, **changed})


class Reference(nn.Module):
    """The same network out of torch.nn, for one policy."""

    def __init__(self, settings: NetworkSettings, extra: int, output_size: int | None) -> None:
        super().__init__()
        channels, convolutions = PICTURE[2], nn.Sequential()
        for out, kernel, stride in settings.filters:
            convolutions += nn.Sequential(nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.Tanh())
            channels = out
        self.convolutions = convolutions
        with torch.no_grad():
            size = convolutions(torch.zeros(1, PICTURE[2], *PICTURE[:2])).numel()
        self.picture, size = self._dense(size, settings.picture_hiddens)
        self.joined, size = self._dense(size + VECTOR + extra, settings.hiddens)
        if output_size is not None:
            self.joined.append(nn.Linear(size, output_size))

    @staticmethod
    def _dense(size: int, widths: tuple[int, ...]) -> tuple[nn.Sequential, int]:
        layers = nn.Sequential()
        for width in widths:
            layers += nn.Sequential(nn.Linear(size, width), nn.Tanh())
            size = width
        return layers, size

    def load(self, leaves: list[Tensor]) -> list[Tensor]:
        """Takes the leaves, and returns those that are left; dense weights are the other way round in torch.nn."""
        own = list(self.parameters())
        with torch.no_grad():
            for parameter, leaf in zip(own, leaves, strict=False):
                parameter.copy_(leaf.T if leaf.dim() == 2 else leaf)
        return leaves[len(own) :]

    def row_of_gradients(self) -> Tensor:
        grads = [p.grad for p in self.parameters()]
        return torch.cat([g.T.reshape(-1) if g.dim() == 2 else g.reshape(-1) for g in grads if g is not None])

    def forward(self, rows: Tensor, extra: Tensor | None = None) -> Tensor:
        """``[n, ROW]``: the picture is the row's beginning, height by height, channels last."""
        pictures = rows[:, : ROW - VECTOR].reshape(-1, *PICTURE).permute(0, 3, 1, 2)
        joined = [self.picture(self.convolutions(pictures).flatten(1)), rows[:, ROW - VECTOR :]]
        return self.joined(torch.cat(joined if extra is None else [*joined, extra], dim=1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("picture_hiddens", [(), (9,)])
@pytest.mark.parametrize("extra", [0, 3])
def test_each_policy_equals_torch_nn_with_gradients(picture_hiddens: tuple[int, ...], extra: int) -> None:
    g = torch.Generator().manual_seed(0)
    settings = settings_of(picture_hiddens=picture_hiddens)
    network = Network((ROW,), ACTIONS, settings, extra_features=extra, picture_shape=PICTURE)
    parameters = Parameters(network.leaves)
    theta = parameters.initialize(3, g).requires_grad_()
    rows = torch.randn(3, 11, ROW, generator=g)
    extras = torch.randn(3, 11, extra, generator=g) if extra else None
    ours = network.apply(parameters.split(theta), rows, extras)
    (gradient,) = torch.autograd.grad(ours.square().sum(), theta)
    for p in range(3):
        reference = Reference(settings, extra, ACTIONS)
        assert reference.load([leaf[p] for leaf in parameters.split(theta)]) == []
        theirs = reference(rows[p], None if extras is None else extras[p])
        torch.testing.assert_close(ours[p], theirs)
        theirs.square().sum().backward()
        torch.testing.assert_close(gradient[p], reference.row_of_gradients())


@pytest.mark.parametrize("share_trunk", [False, True])
def test_policies_with_separate_and_shared_trunks_equal_torch_nn(share_trunk: bool) -> None:
    g = torch.Generator().manual_seed(0)
    settings = settings_of(share_trunk=share_trunk)
    policy = StackedPolicy((ROW,), gym.spaces.Discrete(ACTIONS), settings, critic=True, picture_shape=PICTURE)
    theta = policy.initialize(2, g)
    rows = torch.randn(2, 11, ROW, generator=g)
    actions = torch.randint(ACTIONS, (2, 11), generator=g)
    seen = policy.evaluate(theta, rows, actions, None, 0.0, 11)
    assert seen.values is not None
    torch.testing.assert_close(policy.values(theta, rows, 11), seen.values)
    for p in range(2):
        leaves = [leaf[p] for leaf in policy.parameters.split(theta)]
        if share_trunk:
            trunk = Reference(settings, 0, None)
            actor_weight, actor_bias, critic_weight, critic_bias = trunk.load(leaves)
            hidden = trunk(rows[p])
            logits, values = hidden @ actor_weight + actor_bias, hidden @ critic_weight + critic_bias
        else:
            actor, critic = Reference(settings, 0, ACTIONS), Reference(settings, 0, 1)
            assert critic.load(actor.load(leaves)) == []
            logits, values = actor(rows[p]), critic(rows[p])
        expected = torch.distributions.Categorical(logits=logits).log_prob(actions[p])
        torch.testing.assert_close(seen.log_probs[p], expected)
        torch.testing.assert_close(seen.values[p], values[:, 0])


def test_forward_mode_and_second_derivatives() -> None:
    """A Jacobian-vector product and a Hessian-vector product against finite differences in float64."""
    g = torch.Generator().manual_seed(0)
    network = Network((ROW,), 2, settings_of(hiddens=(5,)), picture_shape=PICTURE)
    parameters = Parameters(network.leaves)
    theta = parameters.initialize(2, g).double()
    direction = torch.randn(theta.shape, generator=g, dtype=torch.float64)
    rows = torch.randn(2, 3, ROW, generator=g, dtype=torch.float64)

    def outputs(at: Tensor) -> Tensor:
        return network.apply(parameters.split(at), rows)

    def gradient(at: Tensor) -> Tensor:
        leaf = at.detach().requires_grad_()
        (grad,) = torch.autograd.grad(outputs(leaf).square().sum(), leaf, create_graph=True)
        return grad

    h = 1e-6
    _, forward = torch.func.jvp(outputs, (theta,), (direction,))
    numeric = (outputs(theta + h * direction) - outputs(theta - h * direction)) / (2 * h)
    torch.testing.assert_close(forward, numeric, rtol=1e-6, atol=1e-8)
    leaf = theta.clone().requires_grad_()
    (grad,) = torch.autograd.grad(outputs(leaf).square().sum(), leaf, create_graph=True)
    (twice,) = torch.autograd.grad(grad, leaf, direction)
    numeric = (gradient(theta + h * direction) - gradient(theta - h * direction)) / (2 * h)
    torch.testing.assert_close(twice, numeric, rtol=1e-5, atol=1e-7)
    _, over = torch.func.jvp(torch.func.grad(lambda at: outputs(at).square().sum()), (theta,), (direction,))
    torch.testing.assert_close(over, twice)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(0)
    network = Network((ROW,), 4, settings_of(), extra_features=2, picture_shape=PICTURE)
    parameters = Parameters(network.leaves)
    theta = parameters.initialize(2, g)
    rows, extra = torch.randn(2, 150, ROW, generator=g), torch.randn(2, 150, 2, generator=g)
    whole = network.apply(parameters.split(theta), rows, extra)
    monkeypatch.setattr("rllib_metagrad.modules.networks._BLOCK", 1)
    torch.testing.assert_close(network.apply(parameters.split(theta), rows, extra), whole)


def test_a_picture_that_fills_the_row_leaves_no_vector() -> None:
    network = Network((60,), 4, settings_of(picture_hiddens=()), picture_shape=PICTURE)
    image = Network(PICTURE, 4, settings_of(encoder=None, picture_hiddens=()))
    assert [leaf.shape for leaf in network.leaves] == [leaf.shape for leaf in image.leaves]
    parameters = Parameters(network.leaves)
    leaves = parameters.split(parameters.initialize(1, torch.Generator().manual_seed(0)))
    rows = torch.rand(1, 3, 60, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network.apply(leaves, rows), image.apply(leaves, rows.reshape(1, 3, *PICTURE)))


def test_without_the_encoder_rows_go_through_dense_layers() -> None:
    plain = NetworkSettings(hiddens=(8,))
    with_picture, without = (Network((ROW,), 2, plain, picture_shape=shape) for shape in (PICTURE, None))
    assert with_picture.leaves == without.leaves


def test_a_network_without_a_picture_refuses() -> None:
    with pytest.raises(ValueError, match=r"picture_and_vector: inputs \(67,\) are no picture and a vector"):
        Network((ROW,), 2, settings_of())
    with pytest.raises(ValueError, match="no picture and a vector"):
        Network(PICTURE, 2, settings_of(), picture_shape=PICTURE)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"encoder": "picture"}, "agent_network.encoder must be picture_and_vector or null, got 'picture'"),
        ({"encoder": 1}, "agent_network.encoder must be picture_and_vector or null, got 1"),
        ({"encodr": "picture_and_vector"}, "agent_network.encodr is no setting of a network; did you mean 'encoder'?"),
        ({"picture_hiddens": [8]}, "agent_network.picture_hiddens needs encoder: picture_and_vector"),
        (
            {"encoder": "picture_and_vector", "picture_hiddens": 8},
            "agent_network.picture_hiddens must be a list of layer widths, got 8",
        ),
    ],
)
def test_settings_are_checked(network: dict[str, Any], message: str) -> None:
    config = MetaGradConfig().environment("gather_trade_build").agents(network=network)
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        config.validate()


def test_environments_without_pictures_are_named() -> None:
    spec = EnvSpec.of(make_vec("escape_room", 1))
    network = {"encoder": PICTURE_AND_VECTOR}
    of_agents = (
        "agent_network.encoder is picture_and_vector, but what 'agent_0' observes in 'escape_room' is no picture"
    )
    config = MetaGradConfig().agents(network=network)
    with pytest.raises(ValueError, match=of_agents):
        config.make_setup(spec, config.make_stacks(spec))
    for key in ("network", "critic_network"):
        of_designer = f"designer_{key}.encoder is picture_and_vector, but what the designer observes in 'escape_room'"
        config = MetaGradConfig().designer(baseline="critic", **{key: network})
        with pytest.raises(ValueError, match=of_designer):
            config.make_setup(spec, config.make_stacks(spec))
