"""What the package keeps from episode to episode, in words that both backends share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def read(original: Any, tax: Any) -> dict[str, Any]:
    """What an environment and its taxes know.

    Args:
        original: the package's environment.
        tax: its tax component, or None.

    Returns:
        episodes, how many are finished; energy_warm_up, how far that is; and of taxes what Saez' formula has: incomes
        ``[K, 2]`` with their marginal rates, the oldest first, their elasticity, and mean_rates ``[brackets]``.
    """
    kept: dict[str, Any] = {
        "episodes": original._completions,
        "energy_warm_up": getattr(original, "_auto_warmup_integrator", 0),
    }
    if tax is not None:
        kept["incomes"] = np.array(tax._local_saez_buffer, np.float64).reshape(-1, 2)
        kept["elasticity"] = float(tax.elas_t)
        kept["mean_rates"] = np.array(tax.running_avg_tax_rates)
    return kept


def write(kept: Mapping[str, Any], original: Any, tax: Any) -> None:
    """Inverse of :func:`read`; what the other backend does not know stays as it is."""
    original._completions = int(kept["episodes"])
    if "energy_warm_up" in kept:
        original._auto_warmup_integrator = kept["energy_warm_up"]
    if tax is not None and "incomes" in kept:
        tax._local_saez_buffer = np.asarray(kept["incomes"]).tolist()
        tax._reached_min_samples = len(kept["incomes"]) >= tax._buffer_size
        tax.elas_t = float(kept["elasticity"])
        tax.running_avg_tax_rates = np.array(kept["mean_rates"])
