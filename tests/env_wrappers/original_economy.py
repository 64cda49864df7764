"""The original economy for parity tests: ``ai-economist`` 1.7.1 with tax rates from outside."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from types import ModuleType
from typing import Any

import numpy as np

TAX = "PeriodicBracketTaxOutside"


def load() -> Any:
    """``ai_economist.foundation`` and a tax component for outside rates; ImportError where it is not installed."""
    stand_ins: dict[str, Any] = {"GPUtil": ModuleType("GPUtil"), "Crypto": ModuleType("Crypto")}
    stand_ins["GPUtil"].getAvailable = list
    stand_ins["Crypto.PublicKey"] = ModuleType("Crypto.PublicKey")
    stand_ins["Crypto.PublicKey"].RSA = None
    missing = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(missing)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            foundation = importlib.import_module("ai_economist.foundation")
    finally:
        for name in missing:
            sys.modules.pop(name, None)
    if foundation.components.has(TAX):
        return foundation
    package_tax: Any = foundation.components.get("PeriodicBracketTax")

    class Outside(package_tax):
        """Rates that are overwritten at the start of a period."""

        name = TAX
        wanted: Any = None

        def component_step(self) -> None:
            if self.tax_cycle_pos == 1 and self.wanted is not None:
                self._fixed_bracket_rates = self.wanted
            super().component_step()

        def additional_reset_steps(self) -> None:
            self._fixed_bracket_rates = self.wanted = np.zeros(self.n_brackets)
            super().additional_reset_steps()

    foundation.components.add(Outside)
    return foundation


class OriginalEconomy:
    """One economy with a generator of its own.

    Args:
        config: of the twin.
        tax: arguments for the package's tax component instead of rates from outside.
        file: name of the map file to read; None takes the rows of the twin.
    """

    def __init__(self, config: Any, tax: dict[str, Any] | None = None, file: str | None = None) -> None:
        settings = dict(config.settings)
        taxes: dict[str, Any] = {
            "tax_model": "fixed-bracket-rates",
            "fixed_bracket_rates": [0.0] * len(config.cutoffs),
            **config.tax_settings,
        }
        if config.annealing:
            taxes["tax_annealing_schedule"] = list(config.annealing)
        layout = ";".join(config.rows)
        if file is not None:
            settings["env_layout_file"] = file
        arguments = dict(
            components=[
                ("Build", dict(config.build)),
                ("ContinuousDoubleAuction", dict(config.market)),
                ("Gather", dict(config.gather)),
                (
                    TAX if tax is None else "PeriodicBracketTax",
                    taxes if tax is None else {**config.tax_settings, **tax},
                ),
            ],
            n_agents=config.num_agents,
            episode_length=config.max_steps,
            world_size=[len(config.rows), len(config.rows[0])],
            multi_action_mode_agents=False,
            multi_action_mode_planner=True,
            flatten_observations=True,
            flatten_masks=True,
            **settings,
        )
        foundation = load()
        scenario = importlib.import_module("ai_economist.foundation.scenarios.simple_wood_and_stone.layout_from_file")
        opened = getattr(scenario, "open", open)
        if file is None:
            scenario.open = lambda *_: io.StringIO(layout)  # type: ignore[attr-defined]
        np.int = int  # type: ignore[attr-defined]
        try:
            self.env: Any = foundation.make_env_instance("layout_from_file/simple_wood_and_stone", **arguments)
        finally:
            scenario.open = opened  # type: ignore[attr-defined]
            del np.int  # type: ignore[attr-defined]
        self.tax = self.env.get_component("PeriodicTax")
        self.state: Any = np.random.RandomState(0).get_state()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    @contextlib.contextmanager
    def _own_generator(self) -> Any:
        outside = np.random.get_state()
        np.random.set_state(self.state)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
        finally:
            self.state = np.random.get_state()
            np.random.set_state(outside)

    def reset(self) -> dict[str, Any]:
        """Observations."""
        with self._own_generator():
            return self.env.reset()  # type: ignore[no-any-return]

    def step(self, actions: np.ndarray, planner: list[int] | None = None) -> tuple[Any, Any, bool]:
        """Observations, rewards, and whether the episode is over."""
        given: dict[str, Any] = {str(i): int(action) for i, action in enumerate(actions)}
        if planner is not None:
            given["p"] = planner
        with self._own_generator():
            observations, rewards, done, _ = self.env.step(given)
        self.env.replay_log["step"].clear()
        return observations, rewards, done["__all__"]
