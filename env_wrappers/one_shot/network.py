"""Roads: networks of edges whose cost grows with the number that drive on them, and the paths through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np

NetworkName = Literal["pigou", "braess"]
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)
#: More than these are no small network.
MAX_PATHS = 64


class Edge(NamedTuple):
    """A road from tail to head that costs each driver ``constant + slope * x ** degree``, x share or number on it."""

    tail: str
    head: str
    constant: float
    slope: float
    degree: float


def preset(name: NetworkName, degree: float) -> tuple[dict[str, Edge], tuple[str, ...]]:
    """Edges by name from ``s`` to ``t``, and which of them can be tolled.

    Args:
        name: ``pigou``, a road of cost x^degree beside a highway of cost 1; or ``braess``, two ways of cost
            1 + x^degree each, and a bridge of cost 0 from behind the first one's x^degree to before the second one's.
        degree: > 0.
    """
    if name == "pigou":
        return {"road": Edge("s", "t", 0, 1, degree), "highway": Edge("s", "t", 1, 0, 1)}, ("road",)
    edges = {
        "up_narrow": Edge("s", "up", 0, 1, degree),
        "up_wide": Edge("up", "t", 1, 0, 1),
        "down_wide": Edge("s", "down", 1, 0, 1),
        "down_narrow": Edge("down", "t", 0, 1, degree),
        "bridge": Edge("up", "down", 0, 0, 1),
    }
    return edges, ("bridge",)


def simple_paths(edges: Mapping[str, Edge], origin: str, destination: str) -> Iterator[tuple[str, ...]]:
    """Names of the edges of each path that visits no node twice, in the order of the edges."""

    def onward(node: str, visited: frozenset[str], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if node == destination:
            yield path
            return
        for name, edge in edges.items():
            if edge.tail == node and edge.head not in visited:
                yield from onward(edge.head, visited | {edge.head}, (*path, name))

    yield from onward(origin, frozenset({origin}), ())


def cost_table(edges: Mapping[str, Edge], num_drivers: int, in_shares: bool) -> np.ndarray:
    """``[E, N + 1]`` cost of each edge to each driver on it when 0 to N are."""
    on_it = np.arange(num_drivers + 1) / (num_drivers if in_shares else 1)
    return np.array([edge.constant + edge.slope * on_it**edge.degree for edge in edges.values()])
