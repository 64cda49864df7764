"""Shapes of networks."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from rllib_metagrad.settings.base import Expected, SettingError, Settings, Widths, setting

Activation = Literal["relu", "tanh", "silu", "elu"]
#: The one encoder that a user names.
PICTURE_AND_VECTOR = "picture_and_vector"

_Positive = Annotated[int, Field(gt=0)]
Filters = Annotated[
    tuple[Annotated[tuple[_Positive, _Positive, _Positive], Strict(False)], ...],
    Strict(False),
    Expected("a list of [channels, kernel, stride]"),
]


class NetworkSettings(Settings):
    """Shape of a network."""

    OWNER = "a network"

    hiddens: Widths = setting((64, 64), "widths of the hidden layers")
    activation: Activation = setting("relu", "after each hidden layer")
    filters: Filters = setting(
        ((6, 3, 1),), "for pictures: `[channels, kernel, stride]` of each convolution before the layers"
    )
    encoder: Literal["picture_and_vector"] | None = setting(
        None,
        "null goes by the input's shape; `picture_and_vector` cuts a row of numbers into the picture that it begins "
        "with and a vector, and joins the vector to what convolutions make of the picture",
    )
    picture_hiddens: Widths = setting(
        (), "with that encoder: widths of dense layers between the convolutions and the joining"
    )
    output_scale: float = setting(1.0, "factor on the initial weights of the output layer", ge=0)
    share_trunk: bool = setting(False, "actor and critic share all but their output layers")
    critic_lstm: int | None = setting(
        None, "agents only: width of an LSTM over the episode before the critic's output layer; null for none", ge=1
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.picture_hiddens and self.encoder is None:
            raise SettingError("picture_hiddens", f"needs encoder: {PICTURE_AND_VECTOR}")
        return self
