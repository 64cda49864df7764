"""What each of our config keys may hold: one table, from which every error message follows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rllib_metagrad.modules.networks import PICTURE_AND_VECTOR, NetworkSettings


@dataclass(frozen=True)
class Rule:
    """Accepts a value or says what it must be."""

    expected: str
    accepts: Callable[[Any], bool]

    def check(self, key: str, value: Any) -> None:
        """Raises a ValueError if the value is not acceptable."""
        if not self.accepts(value):
            raise ValueError(f"{key} must be {self.expected}, got {value!r}")


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def number(low: float, high: float = math.inf, *, above: bool = False, none: bool = False) -> Rule:
    """A number in [low, high] (or above low)."""
    bound = f"> {low:g}" if above else f">= {low:g}"
    upper = "" if math.isinf(high) else f" and <= {high:g}"
    return Rule(
        f"a number {bound}{upper}" + (" or null" if none else ""),
        lambda x: (none and x is None) or (_is_number(x) and (x > low if above else x >= low) and x <= high),
    )


def integer(low: int, *, none: bool = False) -> Rule:
    """A whole number of at least ``low``."""
    return Rule(
        f"a whole number >= {low}" + (" or null" if none else ""),
        lambda x: (none and x is None) or (isinstance(x, int) and not isinstance(x, bool) and x >= low),
    )


def schedule(low: float, high: float = math.inf, *, above: bool = False, none: bool = False) -> Rule:
    """A number (or null), or ``[[env_steps, number], ...]`` with increasing steps from 0, interpolated linearly."""
    one = number(low, high, above=above, none=none)

    def accepts(x: Any) -> bool:
        if not isinstance(x, list | tuple):
            return one.accepts(x)
        points = [p for p in x if isinstance(p, list | tuple) and len(p) == 2 and _is_number(p[0])]
        if len(points) != len(x) or not points or points[0][0] != 0:
            return False
        steps = [p[0] for p in points]
        return all(a < b for a, b in itertools.pairwise(steps)) and all(
            p[1] is not None and one.accepts(p[1]) for p in points
        )

    return Rule(one.expected + ", or a schedule [[0, value], [env_steps, value], ...]", accepts)


def choice(*names: str) -> Rule:
    """One of some names."""
    return Rule("one of " + ", ".join(names), lambda x: isinstance(x, str) and x in names)


BOOL = Rule("true or false", lambda x: isinstance(x, bool))
DICT = Rule("a mapping", lambda x: isinstance(x, dict))
NAME = Rule("a name", lambda x: isinstance(x, str))
OPTIONAL_NAME = Rule("a name or null", lambda x: x is None or isinstance(x, str))
BETAS = Rule(
    "two numbers in [0, 1)",
    lambda x: isinstance(x, list | tuple) and len(x) == 2 and all(_is_number(b) and 0 <= b < 1 for b in x),
)
NUMBERS = Rule(
    "a list of numbers or null",
    lambda x: x is None or (isinstance(x, list | tuple) and len(x) > 0 and all(map(_is_number, x))),
)


def network(key: str, value: Any) -> NetworkSettings:
    """A network's settings from a mapping such as ``{hiddens: [64, 32], activation: relu}``.

    Raises:
        ValueError: naming the key and the nearest valid one.
    """
    if isinstance(value, NetworkSettings):
        return value
    DICT.check(key, value)
    widths = Rule(
        "a list of layer widths",
        lambda x: isinstance(x, list | tuple) and all(isinstance(w, int) and w > 0 for w in x),
    )
    rules = {
        "hiddens": widths,
        "activation": choice("relu", "tanh", "silu", "elu"),
        "filters": Rule(
            "a list of [channels, kernel, stride]",
            lambda x: (
                isinstance(x, list | tuple)
                and all(
                    isinstance(f, list | tuple) and len(f) == 3 and all(isinstance(v, int) and v > 0 for v in f)
                    for f in x
                )
            ),
        ),
        "encoder": Rule(
            f"{PICTURE_AND_VECTOR} or null", lambda x: x is None or (isinstance(x, str) and x == PICTURE_AND_VECTOR)
        ),
        "picture_hiddens": widths,
        "output_scale": number(0),
        "share_trunk": BOOL,
        "critic_lstm": integer(1, none=True),
    }
    for name, entry in value.items():
        if name not in rules:
            raise ValueError(unknown(f"key {name!r} in {key}", name, list(rules)))
        rules[name].check(f"{key}.{name}", entry)
    arguments = dict(value)
    if arguments.get("picture_hiddens") and arguments.get("encoder") is None:
        raise ValueError(f"{key}.picture_hiddens needs {key}.encoder: {PICTURE_AND_VECTOR}")
    if arguments.get("critic_lstm") and key != "agent_network":
        raise ValueError(f"{key}.critic_lstm has no meaning: only agents' critics have a memory; leave it out")
    for name in ("hiddens", "picture_hiddens"):
        if name in arguments:
            arguments[name] = tuple(arguments[name])
    if "filters" in arguments:
        arguments["filters"] = tuple(tuple(f) for f in arguments["filters"])
    return NetworkSettings(**arguments)


def check_encoder(key: str, settings: NetworkSettings, picture_shape: Sequence[int] | None, what: str) -> None:
    """Checks that a network finds what its encoder looks at.

    Args:
        key: of the network.
        settings: its settings.
        picture_shape: of the picture that the network's input begins with, or None.
        what: the input, for the message.

    Raises:
        ValueError: if the encoder wants a picture and there is none.
    """
    if settings.encoder is not None and picture_shape is None:
        raise ValueError(f"{key}.encoder is {settings.encoder}, but {what} is no picture with a vector; leave it out")


def check_critic_lstm(settings: NetworkSettings, loss: str, batch_mode: str) -> None:
    """Checks that agents have a critic for ``agent_network.critic_lstm``, and that it sees episodes from their start.

    Raises:
        ValueError: if not.
    """
    if settings.critic_lstm is None:
        return
    if loss == "pg":
        raise ValueError(
            "agent_network.critic_lstm needs a critic, and agent_loss: pg has none; leave it out, or set agent_loss: "
            "actor_critic or ppo"
        )
    if batch_mode != "complete_episodes":
        raise ValueError(
            f"agent_network.critic_lstm needs episodes from their first step, and batch_mode: {batch_mode} cuts them; "
            "set batch_mode: complete_episodes"
        )


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """``unknown <what>; did you mean ...?``"""
    close = get_close_matches(str(name), known, n=1, cutoff=0.6)
    return f"unknown {what}; " + (f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}")


def value_at(spec: float | Sequence[Sequence[float]], env_steps: int) -> float:
    """Value of a number or schedule after so many environment steps."""
    if isinstance(spec, int | float):
        return float(spec)
    points = [(float(t), float(v)) for t, v in spec]
    for (t0, v0), (t1, v1) in itertools.pairwise(points):
        if env_steps < t1:
            return v0 + (v1 - v0) * max(0.0, env_steps - t0) / (t1 - t0)
    return points[-1][1]
