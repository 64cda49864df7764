"""Keys of Gather-Trade-Build: the same for both backends, which check them each in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from env_wrappers.config import Derived, EnvConfig, RenderMode
from env_wrappers.gather_trade_build.rates import Rates
from env_wrappers.text_maps import TextMap
from rllib_metagrad.settings import SettingError, setting
from rllib_metagrad.settings.base import Expected

NAME = "gather_trade_build"
PAPER_SCENARIO, PAPER_MAP = "layout_from_file/simple_wood_and_stone", "env-pure_and_mixed-15x15.txt"
Tax = Literal["external", "us_federal", "free_market", "saez", "planner"]
MapRows = Annotated[TextMap, Expected("the name of a map or rows of text")]
Components = Annotated[tuple[Any, ...], Strict(False), Expected("a list, e.g. [Gather, {Build: {payment: 20}}]")]
Annealing = Annotated[
    tuple[float, Annotated[float, Field(gt=0)]],
    Strict(False),
    Expected(
        "[warmup, slope]: episodes without tax, and the share of the full rate that each further episode allows (> 0)"
    ),
]


class GatherTradeBuildConfig(EnvConfig):
    """Keys of both backends. Of arguments of components and scenario this knows only that they are mappings."""

    NAME = NAME

    scenario: str = setting(PAPER_SCENARIO, "see below; `numba` plays this one")
    map: Derived[MapRows] = setting(
        None,
        "a map of the package, with or without `.txt`; with `numba` also rows of text; null: env-pure_and_mixed-15x15. "
        "Only for scenarios that read one; the size of the world follows from it",
    )
    num_agents: Derived[int] = setting(
        None, "2 to 10; null: 4. one-step-economy takes any number from 2, the covid scenario 51", ge=1
    )
    max_steps: Derived[int] = setting(None, "length of an episode; null: 100, and 2 in one-step-economy", ge=1)
    components: Components | None = setting(
        None,
        "what can be done, in order: a list of names, `{name: arguments}` or `[name, arguments]`; null: see below",
    )
    scenario_config: Mapping[str, Any] | None = setting(
        None, "further arguments of the scenario, by the package's names"
    )
    tax: Tax | None = setting(
        None,
        "who sets the rates, see Taxes: `external` (the designer), `us_federal`, `free_market` (nobody), `saez`, or "
        "`planner` (the designer's choices from a list); null: `external`, if there is a tax component",
    )
    rates: Derived[Rates] = setting(
        None, "with `tax: external`, the rates that every episode starts with, lowest bracket first; null: all 0"
    )
    rate_cap_annealing: Annealing | None = setting(
        None,
        "`[warmup, slope]`: rates are cut off at 0 for `warmup` episodes and then at `slope` more with each; null: no "
        "cap",
    )
    objective: Literal["welfare", "planner"] = setting(
        "welfare",
        "the designer's reward R^ID: `welfare`, productivity times equality after the step; or `planner`, the "
        "package's own reward of its planner, a change of its social welfare",
    )
    rng: Literal["exact", "fast"] = setting(
        "exact",
        "`exact` draws as the original does; `fast`, only of `numba`, has a simpler generator, the same distributions",
    )
    observations: Literal["original", "network"] = setting(
        "original", "`original`, the package's numbers; or `network`, see Observations and actions"
    )
    render_mode: RenderMode | None = setting(
        None, "`human` (the map and belongings as text, a step a block) or `rgb_array`, see Pictures"
    )

    @property
    def for_networks(self) -> bool:
        """Whether observations are for networks."""
        return self.observations == "network"


def entries(components: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Names and arguments of components, each given as a name, ``{name: arguments}`` or ``[name, arguments]``.

    Raises:
        SettingError: for none at all.
    """
    if not components:
        raise SettingError("components", "is empty; name at least one")
    return [
        next(iter(entry.items()))
        if isinstance(entry, Mapping) and len(entry) == 1
        else (entry[0], entry[1])
        if isinstance(entry, list | tuple) and len(entry) == 2
        else (entry, None)
        for entry in components
    ]
