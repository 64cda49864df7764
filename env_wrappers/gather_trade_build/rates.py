"""Tax rates, and the cap that is annealed on them, as both backends check them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np


def check_rates(rates: Any, brackets: int) -> np.ndarray:
    """Marginal tax rates.

    Args:
        rates: one number a bracket, lowest bracket first.
        brackets: how many there must be.

    Returns:
        ``[brackets]`` float64, a copy.

    Raises:
        ValueError: unless there are that many, all between 0 and 1.
    """
    try:
        values = np.array(rates, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"gather_trade_build: rates must be {brackets} numbers, got {_shown(rates)}") from error
    if values.shape != (brackets,):
        got = f"{values.size}" if values.ndim == 1 else f"an array of shape {values.shape}"
        raise ValueError(f"gather_trade_build: rates must be {brackets} numbers, one a tax bracket, got {got}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"gather_trade_build: rates must be between 0 and 1, got {_shown(values.tolist())}")
    return values


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_annealing(value: Any) -> tuple[float, float]:
    """Warm-up in episodes, and the share of the full rate that each further episode allows.

    Raises:
        ValueError: unless these are two finite numbers, the second above 0.
    """
    numbers = list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else []
    if len(numbers) != 2 or not all(isinstance(n, Real) and np.isfinite(float(n)) for n in numbers) or numbers[1] <= 0:
        raise ValueError(
            f"gather_trade_build: rate_cap_annealing must be [warmup, slope]: episodes without tax, and the share of "
            f"the full rate that each further episode allows (> 0), got {value!r}"
        )
    return float(numbers[0]), float(numbers[1])
