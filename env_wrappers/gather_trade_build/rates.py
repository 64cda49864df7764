"""Marginal tax rates, as the economies check them."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import SkipValidation

from rllib_metagrad.settings import SettingError
from rllib_metagrad.settings.base import Expected

#: The key ``rates``; records call :func:`check_rates`, which knows how many brackets there are.
Rates = Annotated[tuple[float, ...], SkipValidation, Expected("a number from 0 to 1 for each tax bracket")]


def check_rates(rates: Any, brackets: int, env: str = "gather_trade_build") -> np.ndarray:
    """Marginal tax rates.

    Args:
        rates: one number a bracket, lowest bracket first.
        brackets: how many there must be.
        env: the environment, for messages.

    Returns:
        ``[brackets]`` float64, a copy.

    Raises:
        SettingError: unless there are that many, all between 0 and 1.
    """
    key = f"{env}: rates"
    try:
        values = np.array(rates, np.float64)
    except (TypeError, ValueError):
        raise SettingError(key, f"must be {brackets} numbers, got {_shown(rates)}") from None
    if values.shape != (brackets,):
        got = f"{values.size}" if values.ndim == 1 else f"an array of shape {values.shape}"
        raise SettingError(key, f"must be {brackets} numbers, one a tax bracket, got {got}")
    if not ((values >= 0) & (values <= 1)).all():
        raise SettingError(key, f"must be between 0 and 1, got {_shown(values.tolist())}")
    return values


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
