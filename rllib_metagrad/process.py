"""Settings of torch in a process that samples or learns."""

from __future__ import annotations

import torch
import torch.utils.deterministic


def prepare_torch(num_threads: int) -> None:
    """Sets threads, and takes back one side effect of a seed.

    With a seed RLlib asks torch for deterministic algorithms, and torch then also fills every new tensor with NaN, so
    that code which reads memory it never wrote is found out. No result depends on that, and it costs a fifth of the
    time where tensors are large.
    """
    torch.set_num_threads(num_threads)
    # A property of the module object, which annotations do not show.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
