"""Who sets the tax rates, and the component for rates that come from outside.

1.7.1 knows rates that its planner picks from a list, the US federal ones of 2018, those of Saez' formula, and a fixed
schedule (redistribution.py:165). The fixed schedule becomes continuous rates from outside by overwriting it at the
start of each tax period.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from env_wrappers.gather_trade_build.rates import check_rates
from rllib_metagrad.settings import SettingError

#: The package's tax component, and ours. Flat observations are built from sorted names, and this one sorts alike.
PACKAGE_TAX, EXTERNAL_TAX = "PeriodicBracketTax", "PeriodicBracketTaxExternal"
#: ``tax`` in env_config, and what it means for the component.
TAXES: dict[str, dict[str, Any]] = {
    "external": {"tax_model": "fixed-bracket-rates"},
    "us_federal": {"tax_model": "us-federal-single-filer-2018-scaled"},
    "saez": {"tax_model": "saez"},
    "free_market": {"disable_taxes": True},
    "planner": {"tax_model": "model_wrapper"},
}


def num_brackets(settings: dict[str, Any]) -> int:
    """How many brackets a tax component with these arguments has (redistribution.py:231).

    Raises:
        SettingError: unless ``n_brackets`` is a whole number of at least 2.
    """
    if str(settings.get("bracket_spacing", "us-federal")).lower() == "us-federal":
        return 7
    count = settings.get("n_brackets", 5)
    if not isinstance(count, int) or isinstance(count, bool) or count < 2:
        raise SettingError("n_brackets", f"must be a whole number >= 2, got {count!r}")
    return count


def external_tax(foundation: Any) -> Any:
    """The component for rates from outside, a subclass of the package's, in its registry under EXTERNAL_TAX."""
    registry = foundation.components
    if registry.has(EXTERNAL_TAX):
        return registry.get(EXTERNAL_TAX)
    package_tax: Any = registry.get(PACKAGE_TAX)

    class ExternalBracketTax(package_tax):
        """Rates from outside, in force from the first day of a tax period to its last.

        Annealing caps them with the minimum, as the package does.

        Attributes:
            coin_before: ``[N]`` in inventories before the last taxes: what could be taken.
        """

        name = EXTERNAL_TAX
        coin_before: np.ndarray
        _fixed_bracket_rates: Any

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._initial_rates = np.array(self._fixed_bracket_rates, np.float64)
            self._next_rates = self._initial_rates

        def set_rates(self, rates: Sequence[float] | np.ndarray) -> None:
            """Sets ``[brackets]`` rates for the tax periods from the next one that begins.

            Raises:
                ValueError: see :func:`check_rates`.
            """
            self._next_rates = check_rates(rates, self.n_brackets)

        def component_step(self) -> None:
            if self.tax_cycle_pos == 1:
                self._fixed_bracket_rates = self._next_rates
            super().component_step()

        def enact_taxes(self) -> None:
            self.coin_before = np.array([agent.state["inventory"]["Coin"] for agent in self.world.agents], np.float64)
            super().enact_taxes()

        def additional_reset_steps(self) -> None:
            # An episode starts as the first one did, whatever the last one's taxes were.
            self._fixed_bracket_rates = self._next_rates = self._initial_rates
            super().additional_reset_steps()

    return registry.add(ExternalBracketTax)
