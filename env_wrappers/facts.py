"""What an environment reports to mechanisms, as typed records: facts of its rules, and arrays of each step.

An environment reports both under plain names, so that a new one can add names of its own: facts as the mapping
``mechanism_facts``, arrays as the dict ``context``. The economies of this package fill in the records below, and the
mechanisms of ``rllib_metagrad.mechanisms`` read the same records. A mechanism for another environment may declare
another subclass of :class:`Facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Generic, NamedTuple, Self, TypeVar

Array = TypeVar("Array")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Base of the records of facts: values that can be pickled and compared, such as numbers and tuples."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all facts."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def missing(cls, known: Mapping[str, Any]) -> list[str]:
        """Names without a default that a mapping lacks."""
        return [field.name for field in fields(cls) if field.default is MISSING and field.name not in known]

    @classmethod
    def read(cls, known: Mapping[str, Any]) -> Self:
        """The record, from ``mechanism_facts``; other entries of the mapping are ignored.

        Raises:
            ValueError: naming all facts that the mapping lacks.
        """
        if missing := cls.missing(known):
            raise ValueError(f"mechanism_facts has no {', '.join(missing)}")
        return cls(**{name: known[name] for name in cls.names() if name in known})


@dataclass(frozen=True, kw_only=True)
class DesignerFacts(Facts):
    """How an environment uses the designer's output.

    Attributes:
        reads_designer_output: its own dynamics depend on the output, in the steps marked by ``designer_due``.
    """

    reads_designer_output: bool = False


@dataclass(frozen=True, kw_only=True)
class TaxFacts(Facts):
    """Rules of an economy with income taxes in brackets.

    Attributes:
        bracket_cutoffs: K incomes in coin at which brackets begin, increasing from 0; the last bracket has no end.
        isoelastic_eta: curvature of agents' utility of coin, in [0, 1); 0 is linear.
        energy_cost: utility lost for each unit of labor.
        social_welfare: name of a function in ``rllib_metagrad.mechanisms.welfare`` and its weight of equality in
            [0, 1], where R^ID is the change of that function in a step; None where R^ID is productivity times
            equality after the step.
    """

    bracket_cutoffs: tuple[float, ...]
    isoelastic_eta: float
    energy_cost: float
    social_welfare: tuple[str, float] | None


@dataclass(frozen=True, kw_only=True)
class HouseFacts(Facts):
    """Rules of an economy in which agents build houses.

    Attributes:
        house_action_type: index of the action type that builds a house.
    """

    house_action_type: int


@dataclass(frozen=True, kw_only=True)
class UnitFacts(Facts):
    """Rules of a game in which the designer sets prices on what actions have or do.

    Attributes:
        prices: U names, of the designer's outputs.
        units: for each of A action types U numbers, none negative: how many units of each price it has.
        cost_of_funds: R^ID falls by so much for each unit that agents are paid, and rises for each that they pay.
    """

    prices: tuple[str, ...]
    units: tuple[tuple[float, ...], ...]
    cost_of_funds: float


def merged(*records: Facts) -> dict[str, Any]:
    """Several records as one mapping, for ``mechanism_facts``."""
    return {name: getattr(record, name) for record in records for name in record.names()}


class TaxContext(NamedTuple, Generic[Array]):
    """What taxes are computed from, in each step; none of it depends on the rates of the period that ends in the step.

    Shapes are those of an environment's buffers (numpy); in a trajectory (torch) all have T in front:
    ``[T, B]``, ``[T, B, K]`` and ``[T, B, N]``. All is 0 in rows in which a copy was not stepped.

    Attributes:
        tax_day: ``[B]``, 1 if the step took taxes, else 0.
        rates: ``[B, K]`` marginal rates in force, in [0, 1], after the cap.
        rate_cap: ``[B]`` largest rate that is levied; 1 without annealing.
        income: ``[B, N]`` in coin, since the last taxes and before those of this step.
        coin: ``[B, N]`` in coin, what can be taken, before taxes of this step.
        escrow_coin: ``[B, N]`` in coin, promised in bids and so out of reach of taxes.
        labor: ``[B, N]`` in units of labor, of the episode so far, as it counts in utility.
        previous_utility: ``[B, N]`` utility before this step. On all steps the reward is
            ``(C ** (1 - eta) - 1) / (1 - eta) - energy_cost * labor - previous_utility``, where C is all coin (escrow
            included) after taxes, and eta and energy_cost are those of :class:`TaxFacts`.
    """

    tax_day: Array
    rates: Array
    rate_cap: Array
    income: Array
    coin: Array
    escrow_coin: Array
    labor: Array
    previous_utility: Array

    @staticmethod
    def shapes(num_agents: int, num_brackets: int) -> TaxContext[tuple[int, ...]]:
        """Shapes without B, for :meth:`env_wrappers.vector.VectorIncentiveEnv.allocate`."""
        n, k = (num_agents,), (num_brackets,)
        return TaxContext((), k, (), n, n, n, n, n)

    @staticmethod
    def read(context: Mapping[str, Array]) -> TaxContext[Array]:
        """The record, from ``context``; other entries are ignored.

        Raises:
            ValueError: naming all arrays that the context lacks.
        """
        if missing := [name for name in TaxContext._fields if name not in context]:
            raise ValueError(
                f"the environment's context has no {', '.join(missing)}, which taxes need "
                "(see env_wrappers.facts.TaxContext)"
            )
        return TaxContext(*(context[name] for name in TaxContext._fields))
