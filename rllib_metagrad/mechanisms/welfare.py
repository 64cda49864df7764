"""Social welfare as a function of what agents own, differentiable; definitions of ``ai-economist`` 1.7.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

# Up to here the package takes the exact Gini index.
_EXACT_GINI = 29

#: Of income before taxes, coin and utility after them, ``[..., N]`` each, to ``[...]``.
SocialWelfare: TypeAlias = "Callable[[Tensor, Tensor, Tensor], Tensor]"


def productivity_times_equality(coin: Tensor) -> Tensor:
    """``sum C * (1 - gini)``, with the Gini index normalized to [0, 1].

    Args:
        coin: ``[..., N]``.

    Returns:
        ``[...]`` in coin. For 30 agents and more the Gini index is the package's estimate.
    """
    n, total = coin.shape[-1], coin.sum(-1)
    if n <= _EXACT_GINI:
        gaps = (coin.unsqueeze(-1) - coin.unsqueeze(-2)).abs().sum((-1, -2))
        return total - gaps / (2 * n) * (n / (n - 1))
    return 2 / (n + 1) * coin.sort(-1).values.cumsum(-1).sum(-1)


def inverse_income_weighted_utility(income: Tensor, coin: Tensor, utility: Tensor) -> Tensor:
    """Mean utility with weights of 1 / max(income, 1); weights do not depend on taxes."""
    return _weighted(utility, income)


def inverse_coin_weighted_utility(income: Tensor, coin: Tensor, utility: Tensor) -> Tensor:
    """Mean utility with weights of 1 / max(coin, 1)."""
    return _weighted(utility, coin)


def inverse_coin_weighted_coin(income: Tensor, coin: Tensor, utility: Tensor) -> Tensor:
    """Mean coin with weights of 1 / max(coin, 1)."""
    return _weighted(coin, coin)


def _weighted(values: Tensor, wealth: Tensor) -> Tensor:
    weights = 1 / wealth.clamp(min=1)
    return (weights * values).sum(-1) / weights.sum(-1)


def equality_times_mean_coin(equality_weight: float) -> SocialWelfare:
    """Equality times mean coin; with a weight below 1, equality is mixed with 1."""

    def welfare(income: Tensor, coin: Tensor, utility: Tensor) -> Tensor:
        equal = productivity_times_equality(coin) / coin.shape[-1]
        return equality_weight * equal + (1 - equality_weight) * coin.mean(-1)

    return welfare


def social_welfare(name: str, equality_weight: float) -> SocialWelfare:
    """A social welfare function by the name that ``ai-economist`` has for it.

    Args:
        name: of the function.
        equality_weight: in [0, 1]; only ``coin_eq_times_productivity`` uses it.

    Raises:
        ValueError: if there is none of this name.
    """
    known = {
        "inv_income_weighted_utility": inverse_income_weighted_utility,
        "inv_coin_weighted_utility": inverse_coin_weighted_utility,
        "inv_income_weighted_coin_endowments": inverse_coin_weighted_coin,
        "coin_eq_times_productivity": equality_times_mean_coin(equality_weight),
    }
    if name not in known:
        raise ValueError(f"unknown social welfare {name!r}; known: {', '.join(known)}")
    return known[name]
