"""Routing: drivers choose paths, roads get slower with each that drives on them, and a designer sets tolls."""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Strict, model_validator
from scipy.optimize import minimize, nnls, root
from scipy.special import gammaln, xlog1py, xlogy

from env_wrappers.config import Derived, configured
from env_wrappers.one_shot.base import OneShotConfig, OneShotEnv, OneShotVectorEnv, check_prices, softmax
from env_wrappers.one_shot.network import MAX_PATHS, Edge, NetworkName, cost_table, preset, simple_paths
from rllib_metagrad.settings import SettingError, nearest, setting
from rllib_metagrad.settings.base import Expected, Numbers

_Edge = Annotated[tuple[str, str, float, float, float], Strict(False)]
Edges = Annotated[dict[str, _Edge], Expected("a mapping from names to [tail, head, constant, slope, degree]")]
Names = Annotated[tuple[str, ...], Strict(False), Expected("a list of names")]
_RESIDUAL = 1e-8


class RoutingConfig(OneShotConfig):
    """Keys of the routing game, and what is known of it."""

    NAME = "routing"

    num_drivers: int = setting(10, "N, all from the same origin to the same destination", ge=2)
    network: NetworkName = setting("pigou", "which roads, unless `edges` says")
    degree: float = setting(1.0, "d of the network's roads of cost x^d", gt=0)
    edges: Derived[Edges] = setting(
        None,
        "roads of your own by name: `{road: [s, t, 0, 1, 2]}` leads from s to t and costs each driver 0 + 1 x^2; null: "
        "the network's",
    )
    origin: str = setting("s", "where all drivers start")
    destination: str = setting("t", "where they want to be")
    unit: Literal["share", "count"] = setting("share", "x is the share of all drivers on a road, or their number")
    tolled: Derived[Names] = setting(
        None, "roads that can have a toll; null: all of `edges`, of pigou the road, of braess the bridge"
    )
    tolls: Derived[Numbers] = setting(None, "in force unless a designer sets them, one for each; null: all 0")
    temperature: float = setting(
        0.05, "alpha of the agents that `share_of_optimum` compares with: their `agent_entropy_coeff`", gt=0
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        edges, tolled = preset(self.network, self.degree)
        if self.edges is None:
            self._derive(edges=edges)
        else:
            tolled = tuple(self.edges)
        if self.tolled is None:
            self._derive(tolled=tolled)
        self._check_edges()
        if len(self.paths) < 2 or len(self.paths) > MAX_PATHS:
            count = {0: "no paths", 1: "one path"}.get(len(self.paths), f"more than {MAX_PATHS} paths")
            where = f"from {self.origin!r} to {self.destination!r}"
            raise SettingError("edges", f"have {count} {where}; 2 to {MAX_PATHS} are needed")
        self._derive(tolls=tuple(np.zeros(len(self.tolled)).tolist() if self.tolls is None else self.tolls))
        check_prices(self, self.tolls, (len(self.tolled),))
        return self

    def _check_edges(self) -> None:
        for name, edge in self.roads.items():
            if not name or "/" in name:
                raise SettingError("edges", f"must have names without /, got {name!r}")
            if not (np.isfinite(edge[2:]).all() and edge.constant >= 0 and edge.slope >= 0 and edge.degree > 0):
                rule = "constant + slope * x^degree, none negative, degree > 0"
                raise SettingError("edges", f"must cost {rule}; {name} does not")
        for name in self.tolled:
            if name not in self.edges:
                raise SettingError("tolled", f"has {name!r}, which is no edge{nearest(name, self.edges)}")
        if not self.tolled or len(set(self.tolled)) < len(self.tolled):
            raise SettingError("tolled", f"must name different edges, at least one, got {list(self.tolled)}")

    @cached_property
    def roads(self) -> dict[str, Edge]:
        """``edges`` by name, in their order."""
        return {name: Edge(*edge) for name, edge in self.edges.items()}

    @cached_property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """A paths, each the names of its edges."""
        found = simple_paths(self.roads, self.origin, self.destination)
        return tuple(islice(found, MAX_PATHS + 1))

    @cached_property
    def on_path(self) -> np.ndarray:
        """``[A, E]`` 1 where an edge is on a path."""
        return np.array([[float(name in path) for name in self.edges] for path in self.paths])

    @cached_property
    def costs(self) -> np.ndarray:
        """``[E, N + 1]`` cost of each edge to each driver when 0 to N are on it."""
        return cost_table(self.roads, self.num_drivers, self.unit == "share")

    @property
    def num_players(self) -> int:
        """N."""
        return self.num_drivers

    @property
    def action_names(self) -> tuple[str, ...]:
        """Paths, as ``edge-edge``."""
        return tuple("-".join(path) for path in self.paths)

    @property
    def prices(self) -> tuple[str, ...]:
        """Edges with a toll."""
        return self.tolled

    @cached_property
    def units(self) -> np.ndarray:
        """``[A, U]`` 1 where a tolled edge is on a path."""
        return self.on_path[:, [list(self.edges).index(name) for name in self.tolled]]

    @cached_property
    def design(self) -> np.ndarray:
        """``[U]``."""
        return np.array(self.tolls)

    @property
    def cost_of_funds(self) -> float:
        """0: tolls are transfers, handed back in ways that depend on nobody's path."""
        return 0.0

    def play(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minus travel costs, and their mean."""
        on = self.on_path[actions]  # [B, N, E]
        counts = on.sum(1).astype(np.int64)
        costs = (on * self.costs[np.arange(len(self.costs)), counts][:, None]).sum(-1)
        return -costs, -costs.mean(-1)

    def expected(self, flows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``[E]`` mean cost of edges to a driver when each other is there with chances ``flows [E]``, and its slope.

        The number of others is binomial, and the slope is their number times what one more is expected to add.
        """
        others, q = self.num_drivers - 1, np.clip(flows, 0, 1)
        cost = (_binomial(others, q) * self.costs[:, 1:]).sum(-1)
        slope = others * (_binomial(others - 1, q) * np.diff(self.costs[:, 1:], axis=-1)).sum(-1)
        return cost, slope

    def _answer(self, p: np.ndarray, tolls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``[A]`` mean costs of paths with tolls when drivers play ``p [A]``; ``[A, A]`` their derivative in log p."""
        cost, slope = self.expected(p @ self.on_path)
        by_probability = (self.on_path * slope) @ self.on_path.T
        return self.on_path @ cost + tolls, by_probability @ (np.diag(p) - np.outer(p, p))

    def logit_equilibrium(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """``softmax(-(E[travel cost] + tolls) / alpha)`` over paths, the number of others on each edge binomial.

        It is unique, as costs rise with numbers. By Newton steps, where these fail from high temperatures down.

        Raises:
            RuntimeError: if they do not come to rest.
        """
        tolls = self.units @ design

        def gap(log_odds: np.ndarray, at: float) -> tuple[np.ndarray, np.ndarray]:
            costs, moved = self._answer(softmax(np.append(0, log_odds)), tolls)
            return log_odds + (costs[1:] - costs[0]) / at, np.eye(len(log_odds)) + (moved[1:] - moved[0])[:, 1:] / at

        hottest = max(alpha, self.highest)
        cooling = np.geomspace(hottest, alpha, 1 + int(np.ceil(2 * np.log2(hottest / alpha))))
        for temperatures in ([alpha], cooling):
            log_odds = np.zeros(len(self.paths) - 1)  # against the first path
            for at in temperatures:
                log_odds = root(gap, log_odds, args=(at,), jac=True, tol=1e-13).x
            if np.abs(gap(log_odds, alpha)[0]).max() * alpha < _RESIDUAL:
                return softmax(np.append(0, log_odds))
        raise RuntimeError(f"{self.NAME}: drivers do not come to rest at temperature {alpha:g}; take a higher one")

    def welfare(self, design: np.ndarray, alpha: float) -> float:
        """Minus the mean travel cost of a driver, tolls left out."""
        flows = self.logit_equilibrium(design, alpha) @ self.on_path
        return -float(flows @ self.expected(flows)[0])

    def slope(self, design: np.ndarray, alpha: float) -> np.ndarray:
        """By the implicit function theorem at the equilibrium; all of it is response."""
        p = self.logit_equilibrium(design, alpha)
        _, moved = self._answer(p, self.units @ design)
        # log p = -(costs + tolls) / alpha + a constant, in p's own coordinates.
        answer = -np.linalg.solve(alpha * np.eye(len(p)) + moved, self.units)
        flows = p @ self.on_path
        cost, steeper = self.expected(flows)
        marginal = self.on_path @ (cost + flows * steeper)
        return -((np.diag(p) - np.outer(p, p)) @ marginal) @ answer

    def best_flow(self) -> np.ndarray:
        """``[A]`` shares of paths at the least mean travel cost of a continuum of drivers."""
        start = np.full(len(self.paths), 1 / len(self.paths))
        found = minimize(
            lambda p: (p @ self.on_path) @ self._continuum(p)[0],
            start,
            jac=lambda p: self.on_path @ sum(self._continuum(p)),
            method="SLSQP",
            bounds=[(0, 1)] * len(start),
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1, "jac": lambda p: np.ones_like(p)},
            options={"ftol": 1e-15, "maxiter": 1000},
        )
        return np.asarray(found.x)

    def _continuum(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``[E]`` costs ``l(x)`` and ``x l'(x)`` when shares ``p [A]`` of very many drivers take the paths."""
        x = np.clip(p @ self.on_path, 0, 1) * (1 if self.unit == "share" else self.num_drivers)
        constant, slope, degree = np.array([edge[2:] for edge in self.roads.values()]).T
        varying = slope * x**degree
        return constant + varying, degree * varying

    def optimum(self, alpha: float) -> np.ndarray:
        """Tolls by which a continuum of selfish drivers (N to infinity, alpha to 0) travels at the least cost.

        A driver should pay what it costs the others, ``x l'(x)`` of its edges at the best flow. Only differences
        between paths matter; where tolled edges alone cannot make these, they come as near as they can.
        """
        wanted = self.on_path @ self._continuum(self.best_flow())[1]
        # Tolls and what all paths may pay alike, none negative.
        found, _ = nnls(np.column_stack([self.units, np.ones(len(self.paths))]), wanted)
        return np.asarray(found[:-1])

    def external_costs(self, counts: np.ndarray) -> np.ndarray:
        """``[E]`` what one of ``counts [E]`` drivers on each edge costs the others there: tolls for N drivers."""
        counts = np.asarray(counts)
        edges = np.arange(len(self.costs))
        return (counts - 1).clip(0) * (self.costs[edges, counts] - self.costs[edges, (counts - 1).clip(0)])

    @property
    def highest(self) -> float:
        """Nobody takes a road whose toll is what all roads cost at their fullest."""
        return float(self.costs[:, -1].sum())


def _binomial(count: int, chances: np.ndarray) -> np.ndarray:
    """``[E, count + 1]`` probabilities of 0 to count successes with chances ``[E]``."""
    k, q = np.arange(count + 1), chances[:, None]
    return np.asarray(np.exp(_log_ways(count) + xlogy(k, q) + xlog1py(count - k, -q)))


@lru_cache
def _log_ways(count: int) -> np.ndarray:
    k = np.arange(count + 1)
    return np.asarray(gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1))


@configured(RoutingConfig)
class VectorRouting(OneShotVectorEnv):
    """B routing games; see :class:`~env_wrappers.one_shot.base.OneShotVectorEnv`."""


@configured(RoutingConfig)
class Routing(OneShotEnv):
    """A routing game as a PettingZoo ParallelEnv, see docs/routing.md."""

    VECTOR = VectorRouting
    metadata: ClassVar[dict[str, Any]] = {"name": "routing_v0", "render_modes": [], "is_parallelizable": True}
