"""How large convolutions leave a picture, and filters that leave it small enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rllib_metagrad.settings import NetworkSettings
from rllib_metagrad.settings.networks import PICTURE_AND_VECTOR

#: Numbers that dense layers take from a picture without being slow.
MANY_FEATURES = 20_000
_SMALL_SIDE = 16

Filters = Sequence[Sequence[int]]


def num_features(filters: Filters, picture_shape: Sequence[int]) -> int:
    """How many numbers convolutions make of a picture.

    Args:
        filters: ``[channels, kernel, stride]`` each; odd kernels keep the size but for the stride.
        picture_shape: ``(height, width, channels)``.
    """
    height, width, channels = picture_shape
    for channels, kernel, stride in filters:  # noqa: B007 - the last one counts
        height = (height + 2 * (kernel // 2) - kernel) // stride + 1
        width = (width + 2 * (kernel // 2) - kernel) // stride + 1
    return height * width * channels


def suggested_filters(picture_shape: Sequence[int]) -> list[list[int]]:
    """Strided convolutions until the longer side is at most 16: ``[16, 7, 4]``, ``[32, 5, 2]``, ``[32, 3, 2]``, ..."""
    side = max(picture_shape[:2])
    filters: list[list[int]] = []
    while side > _SMALL_SIDE:
        first = not filters
        stride = 4 if first and side > 4 * _SMALL_SIDE else 2
        filters.append([16 if first else 32, {4: 7, 2: 5 if len(filters) == 1 else 3}[stride], stride])
        side = (side - 1) // stride + 1
    return filters


def network_for(
    network: NetworkSettings,
    shape: Sequence[int],
    picture_shape: Sequence[int] | None,
    has_only_picture: bool = False,
) -> NetworkSettings:
    """The settings with what a user has left open.

    The only picture of an observation goes through convolutions, and large pictures through filters that leave little
    of them.

    Args:
        network: as the user gave it.
        shape: of the input: three axes for a picture.
        picture_shape: of the picture that a row of numbers begins with, or None.
        has_only_picture: whether that picture is the only one in an observation that did not say what it is for.
    """
    if network.custom is not None:
        return network
    changes: dict[str, Any] = {}
    if network.encoder is None and has_only_picture:
        changes["encoder"] = PICTURE_AND_VECTOR
    picture = shape if len(shape) == 3 else picture_shape
    looked_at = len(shape) == 3 or network.encoder is not None or bool(changes)
    default = network.filters == NetworkSettings().filters
    if picture and looked_at and default and num_features(network.filters, picture) > MANY_FEATURES:
        changes["filters"] = tuple(map(tuple, suggested_filters(picture)))
    return network.model_copy(update=changes) if changes else network
