"""Methods of version 0.1 that have another name now; the old ones work for one version, with a warning."""

from __future__ import annotations

import warnings
from typing import Any

_NAMES = {"get_experience": "get_lasting_state", "set_experience": "set_lasting_state"}


class RenamedMethods:
    """Base of environments: a subclass may still define, and anyone may still call, a method by its old name."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for old, new in _NAMES.items():
            if old in vars(cls) and new not in vars(cls):
                _warn(f"{cls.__name__}.{old}", new)
                setattr(cls, new, vars(cls)[old])

    def get_experience(self) -> Any:
        """Deprecated: ``get_lasting_state``."""
        _warn("get_experience", "get_lasting_state")
        return self.get_lasting_state()  # type: ignore[attr-defined]

    def set_experience(self, saved: Any) -> None:
        """Deprecated: ``set_lasting_state``."""
        _warn("set_experience", "set_lasting_state")
        self.set_lasting_state(saved)  # type: ignore[attr-defined]


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is now called {new}; the old name goes with the next version", FutureWarning, stacklevel=3)
