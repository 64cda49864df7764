"""Functional networks over a stack of parameter sets.

``P`` policies with parameters of one shape are one matrix ``theta [P, D]``, and one batched matrix product
runs them all: nothing loops over agents. A network knows how to split ``theta`` into its leaves and how to
apply them to inputs ``[P, n, *]``. ``P = 1`` is the ordinary network, e.g. the designer's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rllib_metagrad.settings import NetworkSettings
from rllib_metagrad.settings.networks import PICTURE_AND_VECTOR

# Pictures go through in blocks whose feature maps, this many numbers, stay in a core's cache between two layers: whole
# batches of thousands take a quarter longer.
_BLOCK = 300_000

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    # Of plain operations: F.silu has no forward mode over reverse mode, which the mixed meta-gradient needs.
    "silu": lambda x: x * torch.sigmoid(x),
    "elu": F.elu,
}


@dataclass(frozen=True)
class Leaf:
    """One named parameter: its shape without the stack dimension, and the bound of its uniform start.

    Where ``draw`` is set, that gives the start instead: of a stack, from a generator, of all the leaves that share it.
    """

    name: str
    shape: tuple[int, ...]
    bound: float
    draw: Callable[[int, torch.Generator], dict[str, Tensor]] | None = None

    @property
    def size(self) -> int:
        """Number of scalars."""
        return math.prod(self.shape)


class Network:
    """Layers applied to ``[P, n, *input_shape]``: convolutions of a picture, if there is one, then dense ones.

    Args:
        input_shape: ``(features,)``, or ``(height, width, channels)`` of an image (uint8 images are scaled
            to [0, 1]).
        output_size: width of the last layer; None ends after the last hidden layer.
        settings: widths and activation.
        prefix: of the leaves' names.
        extra_features: further inputs ``[P, n, extra]`` that join after the first dense layer (or, where the
            input has a vector, beside it), e.g. the joint action for an image-based incentive function.
        picture_shape: ``(height, width, channels)`` of the picture that a row of features begins with, channels
            last; None if there is none. Only ``encoder: picture_and_vector`` looks at it.

    Raises:
        ValueError: if the encoder is for a picture and a vector, and there is no picture.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        output_size: int | None,
        settings: NetworkSettings,
        prefix: str = "",
        extra_features: int = 0,
        picture_shape: Sequence[int] | None = None,
    ) -> None:
        self.input_shape = tuple(input_shape)
        self.settings = settings
        self.activation = _ACTIVATIONS[settings.activation]
        self.is_image = len(self.input_shape) == 3
        self.extra_features = extra_features
        self.leaves: list[Leaf] = []
        self.picture_shape: tuple[int, ...] | None = self.input_shape if self.is_image else None
        if settings.encoder == PICTURE_AND_VECTOR:
            if self.is_image or picture_shape is None:
                raise ValueError(f"encoder {settings.encoder}: inputs {self.input_shape} are no picture and a vector")
            self.picture_shape = tuple(picture_shape)
        size = 0 if self.is_image else math.prod(self.input_shape) + extra_features
        if self.picture_shape is not None:
            encoded = self._add_convolutions(prefix, self.picture_shape)
            if not self.is_image:
                self._picture_size = math.prod(self.picture_shape)
                size -= self._picture_size
                for i, width in enumerate(settings.picture_hiddens):
                    self._add(f"{prefix}picture{i}", (encoded, width), (width,), encoded)
                    encoded = width
            size += encoded
        widths = [*settings.hiddens, *([] if output_size is None else [output_size])]
        for i, width_out in enumerate(widths):
            scale = settings.output_scale if output_size is not None and i == len(widths) - 1 else 1.0
            self._add(f"{prefix}dense{i}", (size, width_out), (width_out,), size, scale)
            size = width_out + (extra_features if self.is_image and i == 0 else 0)
        self.output_size = size
        self.num_dense = len(widths)
        self.activate_last = output_size is None

    def _add_convolutions(self, prefix: str, picture_shape: tuple[int, ...]) -> int:
        """Leaves of the convolutions; returns how many numbers they make of a picture."""
        height, width, channels = picture_shape
        self._feature_maps = 1
        for i, (out, kernel, stride) in enumerate(self.settings.filters):
            fan_in = channels * kernel * kernel
            self._add(f"{prefix}conv{i}", (out, channels, kernel, kernel), (out,), fan_in)
            # "Same" padding for odd kernels, so that small maps keep their size.
            height = (height + 2 * (kernel // 2) - kernel) // stride + 1
            width = (width + 2 * (kernel // 2) - kernel) // stride + 1
            channels = out
            self._feature_maps = max(self._feature_maps, height * width * channels)
        return height * width * channels

    def _add(self, name: str, weight: tuple[int, ...], bias: tuple[int, ...], fan_in: int, scale: float = 1.0) -> None:
        # The bound of torch.nn.Linear and Conv2d: Kaiming uniform with a = sqrt(5).
        bound = scale / math.sqrt(fan_in)
        self.leaves += [Leaf(f"{name}_weight", weight, bound), Leaf(f"{name}_bias", bias, bound)]

    def apply(self, leaves: Sequence[Tensor], x: Tensor, extra: Tensor | None = None) -> Tensor:
        """Runs the network.

        Args:
            leaves: of :attr:`leaves`, each ``[P, *shape]``.
            x: ``[P, n, *input_shape]``.
            extra: ``[P, n, extra_features]``.

        Returns:
            ``[P, n, output_size]``.
        """
        if self.picture_shape is None:
            return self._apply(leaves, x, extra)
        size = max(64, _BLOCK // (x.shape[0] * self._feature_maps))
        if x.shape[1] <= size:
            return self._apply(leaves, x, extra)
        extras = [None] * -(-x.shape[1] // size) if extra is None else extra.split(size, dim=1)
        blocks = zip(x.split(size, dim=1), extras, strict=True)
        return torch.cat([self._apply(leaves, *block) for block in blocks], dim=1)

    def _apply(self, leaves: Sequence[Tensor], x: Tensor, extra: Tensor | None) -> Tensor:
        x, i = self._features(leaves, x)
        if extra is not None and not self.is_image:
            x = torch.cat([x, extra], dim=-1)
        for layer in range(self.num_dense):
            weight, bias = leaves[i], leaves[i + 1]
            i += 2
            x = torch.baddbmm(bias.unsqueeze(1), x, weight)
            if layer < self.num_dense - 1 or self.activate_last:
                x = self.activation(x)
            if extra is not None and self.is_image and layer == 0:
                x = torch.cat([x, extra], dim=-1)
        return x

    def _features(self, leaves: Sequence[Tensor], x: Tensor) -> tuple[Tensor, int]:
        """What the dense layers get, ``[P, n, features]`` without extra ones, and how many leaves it took."""
        p, n = x.shape[:2]
        if self.picture_shape is None:
            same = x.dim() == 3 and x.dtype == leaves[0].dtype
            return (x if same else x.reshape(p, n, -1).to(leaves[0].dtype)), 0
        picture = x if self.is_image else x[..., : self._picture_size].unflatten(-1, self.picture_shape)
        features = self._convolve(leaves, picture).reshape(p, n, -1)
        i = 2 * len(self.settings.filters)
        if self.is_image:
            return features, i
        for _ in self.settings.picture_hiddens:
            features = self.activation(torch.baddbmm(leaves[i + 1].unsqueeze(1), features, leaves[i]))
            i += 2
        return torch.cat([features, x[..., self._picture_size :].to(features.dtype)], dim=-1), i

    def _convolve(self, leaves: Sequence[Tensor], x: Tensor) -> Tensor:
        """Convolutions of all P networks in one call each, as groups of channels."""
        p, n = x.shape[:2]
        image = x.dtype == torch.uint8
        # [P, n, H, W, C] -> [n, P * C, H, W], copied in that order: a view would send convolutions of so few channels
        # down a path that takes two and a half times as long.
        x = x.permute(1, 0, 4, 2, 3).flatten(1, 2).to(leaves[0].dtype, memory_format=torch.contiguous_format)
        x = x / 255.0 if image else x
        for layer, (_, kernel, stride) in enumerate(self.settings.filters):
            weight, bias = leaves[2 * layer], leaves[2 * layer + 1]
            x = F.conv2d(x, weight.flatten(0, 1), bias.flatten(), stride=stride, padding=kernel // 2, groups=p)
            x = self.activation(x)
        return x.reshape(n, p, -1).transpose(0, 1)


class Parameters:
    """Several networks' leaves in one row of ``theta``: where each lies, how they start, what they are called."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = list(leaves)
        self.sizes = [leaf.size for leaf in self.leaves]
        self.size = sum(self.sizes)

    def initialize(self, stack: int, generator: torch.Generator) -> Tensor:
        """Start ``[P, D]``, uniform but for a user's own modules; drawn on the CPU: a seed means one on any device."""
        drawn: dict[str, Tensor] = {}
        for leaf in self.leaves:
            if leaf.name in drawn:
                continue
            if leaf.draw is None:
                drawn[leaf.name] = (torch.rand(stack, leaf.size, generator=generator) * 2 - 1) * leaf.bound
            else:
                drawn |= leaf.draw(stack, generator)
        return self.join(drawn, stack)

    def split(self, theta: Tensor) -> list[Tensor]:
        """Leaves ``[P, *shape]`` as views of ``theta [P, D]`` (differentiable)."""
        p = theta.shape[0]
        parts = torch.split(theta, self.sizes, dim=1)
        return [part.view(p, *leaf.shape) for part, leaf in zip(parts, self.leaves, strict=True)]

    def named(self, theta: Tensor) -> dict[str, Tensor]:
        """Leaves by name."""
        return {leaf.name: part for leaf, part in zip(self.leaves, self.split(theta), strict=True)}

    def join(self, named: dict[str, Tensor], stack: int) -> Tensor:
        """Inverse of :meth:`named`.

        Raises:
            KeyError: if a leaf is missing.
        """
        return torch.cat([named[leaf.name].reshape(stack, leaf.size) for leaf in self.leaves], dim=1)
