"""Shapes of networks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from rllib_metagrad.settings.base import Expected, SettingError, Settings, Widths, setting
from rllib_metagrad.settings.import_path import as_import_path

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

    custom: Annotated[str | type | None, Expected("an import path")] = setting(
        None,
        "your own `torch.nn.Module` instead, `my_pkg.nets:MyNet` (docs/extending.md); goes with none of the above",
    )
    custom_config: dict[str, Any] = setting({}, "further arguments of that module")

    @field_validator("custom", mode="before")
    @classmethod
    def _by_import_path(cls, value: Any) -> Any:
        """Workers know a class by its import path."""
        return as_import_path("custom", value) if isinstance(value, type) else value

    @model_validator(mode="after")
    def _check_custom(self) -> Self:
        others = sorted(self.model_fields_set - {"custom", "custom_config"})
        if self.custom is not None and others:
            raise SettingError(others[0], "has no effect on a custom network; leave it out, or use custom_config")
        if self.custom is None and self.custom_config:
            raise SettingError("custom_config", "needs custom: an import path of the module that it is for")
        return self

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.picture_hiddens and self.encoder is None:
            raise SettingError("picture_hiddens", f"needs encoder: {PICTURE_AND_VECTOR}")
        return self
