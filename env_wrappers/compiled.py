"""Numba's compiler, with the compiled code kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiles a function over arrays at its first call.

    The machine code is kept beside the source or in the user's cache folder. Where neither can be written (a
    read-only container), it is compiled anew in every process.
    """
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # numba: "no locator available"
        return numba.njit(function)
