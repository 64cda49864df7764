"""Ray learns the names of our algorithms and environments, without ``import rllib_metagrad`` importing Ray.

``rllib_metagrad.core`` and ``env_wrappers`` stand alone, so importing the package must not start Ray's imports, which
take seconds. Yet ``import rllib_metagrad`` is all that a user of Tune should have to say. ``rllib_metagrad.algorithms``
registers all names at its end; it is imported at once if Ray is there, and else as soon as it is: when the import of
``ray.tune`` and ``ray.rllib`` is complete.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_AWAITED = ("ray.tune", "ray.rllib")
_OURS = "rllib_metagrad."


def register() -> None:
    """Registers algorithms and environments with Ray; again after ``ray.shutdown()``, which forgets them."""
    from ray.tune.registry import register_env, register_trainable

    from env_wrappers import registry
    from rllib_metagrad.algorithms import ALGORITHMS

    for name, algorithm in ALGORITHMS.items():
        register_trainable(name, algorithm)
    for env in registry.names():
        register_env(env, lambda config, env=env: registry.make(env, **config))


def register_when_ray_is_there() -> None:
    """Registers names now if Ray's libraries are imported, or as soon as they are."""
    if any(name in sys.modules for name in _AWAITED):
        import_module("rllib_metagrad.algorithms")
    else:
        sys.meta_path.insert(0, _AfterRay())


class _AfterRay(MetaPathFinder):
    """Finds nothing itself; lets the import of Ray's libraries register our names at its end, once."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _AWAITED:
            return None
        sys.meta_path.remove(self)  # or find_spec would come back here
        spec = find_spec(fullname)
        sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader, self)
        return spec


class _Then(Loader):
    """Another loader, after which names are registered, unless a module around it is still loading.

    Where that is one of ours (a Ray worker imports what it needs and no more), nobody asks for names.
    """

    def __init__(self, loader: Any, finder: _AfterRay) -> None:
        self.loader, self.finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        around = [n for n in sys.modules if n in _AWAITED or n.startswith(_OURS)]
        if not any(_is_loading(name) for name in around if name != module.__name__):
            sys.meta_path.remove(self.finder)
            import_module("rllib_metagrad.algorithms")


def _is_loading(name: str) -> bool:
    """Whether a module's import has begun and not ended: it cannot be imported from yet."""
    return bool(getattr(getattr(sys.modules[name], "__spec__", None), "_initializing", False))
