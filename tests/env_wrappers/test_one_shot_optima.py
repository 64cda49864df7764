"""What is known of the one-shot games without learning: closed forms against grids, brute force and sampled play."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from env_wrappers.one_shot.base import OneShotConfig
from env_wrappers.one_shot.contract import ContractConfig
from env_wrappers.one_shot.public_goods import PublicGoodsConfig
from env_wrappers.one_shot.routing import RoutingConfig

SMALL: list[OneShotConfig] = [
    ContractConfig(),
    ContractConfig(num_agents=3, value=2.0, cost=0.1, temperature=0.5),
    PublicGoodsConfig(num_agents=3, num_levels=4),
    PublicGoodsConfig(num_agents=2, num_levels=3, deadweight=1.5, benefit=2.0, cost=0.5),
    RoutingConfig(num_drivers=4),
    RoutingConfig(num_drivers=3, network="braess", degree=2.0, tolled=("bridge", "up_narrow")),
    RoutingConfig(num_drivers=3, unit="count", edges={"a": ("s", "t", 0, 1, 1), "b": ("s", "t", 2, 0.5, 2)}),
]


def mean_by_enumeration(game: OneShotConfig, design: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """R^ID after payments, and what each action pays the first agent, over all joint actions of agents that play p."""
    joint = np.array(list(itertools.product(range(len(p)), repeat=game.num_players)))
    chance, others = p[joint].prod(-1), p[joint[:, 1:]].prod(-1)
    rewards, made = game.play(joint)
    paid = game.units[joint] @ design
    sign = -1 if isinstance(game, RoutingConfig) else 1
    own = [(others * (rewards + sign * paid)[:, 0])[joint[:, 0] == a].sum() for a in range(len(p))]
    return float(chance @ (made - game.cost_of_funds * paid.sum(-1))), np.array(own)


@pytest.mark.parametrize("game", SMALL, ids=lambda game: f"{game.NAME}_{game.num_players}")
@pytest.mark.parametrize("alpha", [0.1, 0.7, 5.0])
def test_equilibrium_and_welfare_by_enumeration(game: OneShotConfig, alpha: float) -> None:
    for design in (np.zeros(len(game.prices)), np.linspace(0.2, 0.7, len(game.prices))):
        p = game.logit_equilibrium(design, alpha)
        welfare, own = mean_by_enumeration(game, design, p)
        assert game.welfare(design, alpha) == pytest.approx(welfare, rel=1e-9)
        weights = np.exp((own - own.max()) / alpha)
        np.testing.assert_allclose(p, weights / weights.sum(), atol=1e-7)


@pytest.mark.parametrize("game", SMALL, ids=lambda game: f"{game.NAME}_{game.num_players}")
@pytest.mark.parametrize("alpha", [0.1, 0.7])
def test_slope_is_the_derivative_of_welfare(game: OneShotConfig, alpha: float) -> None:
    h = 1e-5
    for design in (np.full(len(game.prices), 0.05), np.linspace(0.3, 0.9, len(game.prices))):
        numeric = [
            (game.welfare(design + step, alpha) - game.welfare(design - step, alpha)) / (2 * h)
            for step in h * np.eye(len(design))
        ]
        np.testing.assert_allclose(game.slope(design, alpha), numeric, rtol=1e-5, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    num_agents=st.integers(1, 4),
    value=st.floats(0.1, 5),
    cost=st.floats(0, 3),
    alpha=st.floats(0.02, 2),
)
def test_bonus_is_best_on_a_grid(num_agents: int, value: float, cost: float, alpha: float) -> None:
    game = ContractConfig(num_agents=num_agents, value=value, cost=cost)
    (best,) = game.optimum(alpha)
    grid = np.linspace(0, max(value, 0.1), 401)
    most = max(game.welfare(np.array([b]), alpha) for b in grid)
    assert game.welfare(np.array([best]), alpha) >= most * (1 - 1e-12)
    if best > 0:
        assert game.slope(np.array([best]), alpha)[0] == pytest.approx(0, abs=1e-9 * num_agents)


def test_bonus_of_the_docs() -> None:
    """W(exp((1 - 0.5) / 0.2 - 1)) = W(4.4817) = 1.26496, by Newton's method."""
    w = 1.0
    for _ in range(50):
        w -= (w * np.exp(w) - np.exp(1.5)) / (np.exp(w) * (1 + w))
    np.testing.assert_allclose(ContractConfig().optimum(0.2), 1 - 0.2 * (1 + w), rtol=1e-12)
    np.testing.assert_allclose(ContractConfig().search_optimum(0.2), 1 - 0.2 * (1 + w), rtol=1e-6)
    assert ContractConfig().optimum(1e-4)[0] == pytest.approx(0.5, abs=2e-3)  # the cost, to eager agents


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 8),
    b=st.floats(0.5, 3),
    c=st.floats(0.5, 3),
    deadweight=st.floats(0, 2),
    alpha=st.floats(0.05, 0.3),
)
def test_subsidy_is_best_at_every_temperature(n: int, b: float, c: float, deadweight: float, alpha: float) -> None:
    """With levels so fine and so high that they do not matter, and where agents would not give less than 0."""
    game = PublicGoodsConfig(
        num_agents=n, benefit=b, cost=c, deadweight=deadweight, num_levels=801, max_level=2.5 * n * b / c
    )
    (best,) = game.optimum(alpha)
    grid = np.linspace(0, n * b, 61)
    continuum = n * (n * b * (b + grid) / c - deadweight * grid * (b + grid) / c - (b + grid) ** 2 / (2 * c))
    wanted = n * (n * b - deadweight * best) * (b + best) / c - n * (b + best) ** 2 / (2 * c)
    assert wanted >= continuum.max() * (1 - 1e-12)
    if best > 0 and (b / c) > 6 * np.sqrt(alpha / c):
        assert game.welfare(np.array([best]), alpha) == pytest.approx(wanted - n * alpha / 2, rel=1e-4)
        assert game.search_optimum(alpha)[0] == pytest.approx(best, rel=1e-3, abs=1e-3)


def test_what_the_cost_psi_would_find_instead() -> None:
    """psi counts what a subsidy costs for what is given now; that more is given, and paid for, it leaves out."""
    game = PublicGoodsConfig(num_agents=6, deadweight=0.5, num_levels=2001, max_level=20.0)
    made = PublicGoodsConfig(**{**game.model_dump(), "deadweight": 0.0})
    alpha, n, b = 0.2, 6, 1.0
    without_answer = (n - 1 - 0.5) * b / (1 + 0.5)
    s = np.array([without_answer])
    given_each = game.logit_equilibrium(s, alpha) @ game.levels
    assert made.slope(s, alpha)[0] - 0.5 * n * given_each == pytest.approx(0, abs=1e-6)
    assert game.slope(s, alpha)[0] < -1
    assert game.optimum(alpha)[0] < without_answer


@pytest.mark.parametrize("degree", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_pigou(degree: float) -> None:
    game = RoutingConfig(degree=degree, num_drivers=400, temperature=0.002)
    d = degree
    np.testing.assert_allclose(game.optimum(0), d / (d + 1), rtol=1e-5)
    share, cost = (d + 1) ** (-1 / d), 1 - d * (d + 1) ** (-(d + 1) / d)
    np.testing.assert_allclose(game.best_flow()[0], share, rtol=1e-5)
    np.testing.assert_allclose(game.logit_equilibrium(game.optimum(0), 0.002)[0], share, rtol=0.01)
    assert -game.welfare(game.optimum(0), 0.002) == pytest.approx(cost, rel=0.01)
    assert -game.welfare(np.zeros(1), 0.002) == pytest.approx(1, rel=0.02)
    grid = np.linspace(0, 1, 101)
    best = min(x ** (d + 1) + 1 - x for x in grid)
    assert cost == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("num_drivers", [2, 5, 10, 40])
def test_pigou_with_few_drivers(num_drivers: int) -> None:
    """With d = 1 a driver should pay (k - 1) / N, k on the road; on average (N - 1) / 2N, whatever the temperature."""
    n = num_drivers
    game = RoutingConfig(num_drivers=n)
    for k in range(1, n + 1):
        np.testing.assert_allclose(game.external_costs(np.array([k, n - k])), [(k - 1) / n, 0], atol=1e-12)
    for alpha in (0.02, 0.05, 0.5):
        np.testing.assert_allclose(game.search_optimum(alpha), (n - 1) / (2 * n), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    num_drivers=st.integers(2, 9),
    roads=st.lists(
        st.tuples(st.floats(0, 2), st.floats(0, 2), st.sampled_from([0.5, 1.0, 2.0, 4.0])), min_size=2, max_size=4
    ),
    unit=st.sampled_from(["share", "count"]),
)
def test_external_costs_are_what_the_others_lose(
    num_drivers: int, roads: list[tuple[float, float, float]], unit: str
) -> None:
    """At the division of least cost, by brute force, nobody gains by another road that it would pay for likewise."""
    game = RoutingConfig(
        num_drivers=num_drivers, unit=unit, edges={f"r{i}": ("s", "t", *road) for i, road in enumerate(roads)}
    )
    edges = np.arange(len(roads))

    def total(counts: np.ndarray) -> float:
        return float(counts @ game.costs[edges, counts])

    divisions = [
        np.array(c) for c in itertools.product(range(num_drivers + 1), repeat=len(roads)) if sum(c) == num_drivers
    ]
    best = min(divisions, key=total)
    pays = game.costs[edges, best] + game.external_costs(best)
    for e in edges[best > 0]:
        gone = best - (edges == e)
        assert total(best) - total(gone) == pytest.approx(pays[e], abs=1e-9)
        for f in edges[edges != e]:
            joined = gone + (edges == f)
            assert pays[e] <= (game.costs[edges, joined] + game.external_costs(joined))[f] + 1e-9


def test_braess() -> None:
    crowd = {"network": "braess", "num_drivers": 400}
    game, alpha = RoutingConfig(**crowd), 0.002
    np.testing.assert_allclose(game.optimum(0), [0.5], atol=1e-5)
    assert -game.welfare(np.zeros(1), alpha) == pytest.approx(2, rel=0.01)
    assert -game.welfare(np.array([0.55]), alpha) == pytest.approx(1.5, rel=0.01)
    # Marginal costs on all roads that get slower do the same.
    roads = RoutingConfig(**crowd, tolled=("up_narrow", "down_narrow"))
    np.testing.assert_allclose(roads.optimum(0), [0.5, 0.5], atol=1e-5)
    # To agents that err the bridge is best closed.
    few = RoutingConfig(network="braess")
    assert few.search_optimum(0.05)[0] > 1
    assert few.welfare(np.array([2.0]), 0.05) == pytest.approx(-1.55, abs=1e-6)


def test_tolls_that_differ_by_a_constant_do_the_same() -> None:
    game = RoutingConfig(tolled=("road", "highway"))
    p = [game.logit_equilibrium(np.array(tolls), 0.05) for tolls in ([0.45, 0.0], [0.75, 0.3])]
    np.testing.assert_allclose(*p, atol=1e-9)


@pytest.mark.parametrize("config", [{"degree": 8.0, "num_drivers": 200}, {"network": "braess", "num_drivers": 60}])
def test_cold_drivers_come_to_rest(config: dict[str, Any]) -> None:
    game = RoutingConfig(**config)
    for alpha in (1e-3, 1e-4):
        p = game.logit_equilibrium(np.zeros(1), alpha)
        costs, _ = game._answer(p, np.zeros(len(p)))
        assert costs[p > 0.01].max() - costs.min() < 12 * alpha


@pytest.mark.parametrize(
    ("edges", "paths"),
    [
        ({"a": ("s", "u", 0, 1, 1), "b": ("u", "s", 0, 1, 1), "c": ("u", "t", 0, 1, 1), "d": ("s", "t", 1, 0, 1)}, 2),
        ({f"{i}{j}": (str(i), str(j), 0, 1, 1) for i in range(4) for j in range(4) if i != j}, 5),
    ],
)
def test_paths_visit_no_node_twice(edges: dict[str, Any], paths: int) -> None:
    ends = ("s", "t") if "a" in edges else ("0", "3")
    game = RoutingConfig(edges=edges, origin=ends[0], destination=ends[1])
    assert len(game.paths) == len(set(game.paths)) == paths
    for path in game.paths:
        nodes = [game.roads[path[0]].tail, *(game.roads[name].head for name in path)]
        assert (nodes[0], nodes[-1]) == ends
        assert len(set(nodes)) == len(nodes)
