"""Networks with a memory of the episode so far, over a stack of parameter sets as in ``networks.py``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rllib_metagrad.modules.networks import Leaf, Network
from rllib_metagrad.settings import NetworkSettings


def lstm(inputs: Tensor, hidden_weight: Tensor) -> Tensor:
    """The recurrence of an LSTM from a state of zeros, with the gates of :class:`torch.nn.LSTM` in its order.

    ``i, f, g, o = inputs_t + h_tm1 W``, ``c_t = sigmoid(f) c_tm1 + sigmoid(i) tanh(g)``, ``h_t = sigmoid(o) tanh(c_t)``
    (Gers et al. 2000). Of plain operations, since the fused ones have no forward-mode derivatives.

    Args:
        inputs: ``[P, T, C, 4 H]``, what the gates get from outside, bias included; C sequences side by side.
        hidden_weight: ``[P, H, 4 H]``.

    Returns:
        ``h``, ``[P, T, C, H]``.
    """
    p, _, columns, width = inputs.shape
    hidden = cell = inputs.new_zeros(p, columns, width // 4)
    outputs = []
    for row in inputs.unbind(1):
        i, f, g, o = torch.baddbmm(row, hidden, hidden_weight).chunk(4, dim=-1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        outputs.append(hidden)
    return torch.stack(outputs, dim=1)


class RecurrentNetwork:
    """A :class:`Network` up to its last hidden layer, an LSTM of what that makes of each step, and an output layer.

    Args:
        input_shape: of one step.
        output_size: width of the last layer.
        settings: of the network; ``critic_lstm`` is the width of the LSTM.
        prefix: of the leaves' names.
        picture_shape: see :class:`Network`.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        output_size: int,
        settings: NetworkSettings,
        prefix: str = "",
        picture_shape: Sequence[int] | None = None,
    ) -> None:
        assert settings.critic_lstm is not None
        width = settings.critic_lstm
        self._body = Network(input_shape, None, settings, prefix, picture_shape=picture_shape)
        head = NetworkSettings(hiddens=(), output_scale=settings.output_scale)
        self._head = Network((width,), output_size, head, f"{prefix}output_")
        bound = 1 / math.sqrt(width)  # torch.nn.LSTM's
        cell = [
            Leaf(f"{prefix}lstm_input_weight", (self._body.output_size, 4 * width), bound),
            Leaf(f"{prefix}lstm_hidden_weight", (width, 4 * width), bound),
            Leaf(f"{prefix}lstm_bias", (4 * width,), bound),
        ]
        self.leaves = [*self._body.leaves, *cell, *self._head.leaves]

    def apply(self, leaves: Sequence[Tensor], x: Tensor, num_rows: int) -> Tensor:
        """Runs the network over sequences.

        Args:
            leaves: of :attr:`leaves`, each ``[P, *shape]``.
            x: ``[P, T * C, *input_shape]``, C sequences, time first.
            num_rows: T.

        Returns:
            ``[P, T * C, output_size]``.
        """
        i = len(self._body.leaves)
        input_weight, hidden_weight, bias = leaves[i : i + 3]
        inputs = torch.baddbmm(bias.unsqueeze(1), self._body.apply(leaves, x), input_weight)
        hidden = lstm(inputs.unflatten(1, (num_rows, -1)), hidden_weight)
        return self._head.apply(leaves[i + 3 :], hidden.flatten(1, 2))
