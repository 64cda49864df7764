"""Numba's compiler, with the compiled code kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


#: For functions that create no arrays, over tuples of many: without counting references to each of the arrays in every
#: call, and without checks for division by zero. Takes a fraction of the time to compile.
LEAN = {"_nrt": False, "error_model": "numpy"}


def compiled(function: F, **options: Any) -> F:
    """Compiles a function over arrays at its first call.

    The machine code is kept beside the source or in the user's cache folder. Where neither can be written (a
    read-only container), it is compiled again in every process. Numba looks at the file of ``function`` only: after a
    change of what it calls in another file, delete ``__pycache__/*.nb?`` beside it.

    Args:
        function: in a module.
        options: of ``numba.njit``, e.g. LEAN.
    """
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba: "no locator available"
        return numba.njit(**options)(function)


def lean(function: F) -> F:
    """Compiles a function that is called from Python; see LEAN."""
    return compiled(function, **LEAN)


#: For functions that those call: into their callers, because to pass these tuples takes longer than what is done.
inlined = numba.njit(forceinline=True, **LEAN)
