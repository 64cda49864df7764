"""A device that is everywhere: tensors that say they are on it, hold their numbers on the CPU, and refuse to mix.

What torch does with a GPU: an operation whose tensors lie on two devices fails, unless those of the CPU are single
numbers, or indices; what a device holds must be fetched by ``cpu()`` before NumPy can read it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

#: Torch counts it among those that its engine runs on the CPU; nothing of it is installed.
DEVICE = torch.device("lazy", 0)
_INDEXING = ("aten.index.Tensor", "aten.index_put", "aten._index_put_impl_", "aten._unsafe_index")

__all__ = ["DEVICE", "OnDevice", "PretendDevice"]


class OnDevice(Tensor):
    """A tensor of the pretended device around one of the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        self = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        self.held = held
        return self  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnDevice({self.held})"


class PretendDevice(TorchDispatchMode):
    """Within it ``device=DEVICE`` is known to whatever makes a tensor."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation of torch; its result is where its tensors are, or where it was asked to be."""
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    away = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    name = str(func)
    if name.startswith("aten._efficientzerotensor"):
        func = torch.ops.aten.zeros.default  # zeros without memory, of tangents; nobody below would know them
    if away and len(away) < len(tensors):
        others = [tensor for tensor in tensors if not isinstance(tensor, OnDevice)]
        indices = name.startswith(_INDEXING) and isinstance(args[0], OnDevice)
        copies = name.startswith("aten.copy_")
        if not (indices or copies or all(tensor.dim() == 0 for tensor in others)):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, found {DEVICE} and cpu")
    target = kwargs.get("device")
    on_device = bool(away) if target is None else torch.device(target).type == DEVICE.type
    on_device = isinstance(args[0], OnDevice) if name.startswith("aten.copy_") else on_device
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}

    def bare(value: Any) -> Any:
        return value.held if isinstance(value, OnDevice) else value

    result = func(*tree_map(bare, args), **tree_map(bare, kwargs))
    if not on_device:
        return result
    # In-place operations return what they were given.
    given = {id(tensor.held): tensor for tensor in away}
    return tree_map(lambda value: given.get(id(value), OnDevice(value)) if isinstance(value, Tensor) else value, result)
