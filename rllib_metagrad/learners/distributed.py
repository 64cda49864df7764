"""Sums over RLlib's learners, by torch.distributed (gloo on CPUs, nccl on GPUs)."""

from __future__ import annotations

import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
from torch import Tensor


class AllReduce:
    """Every learner holds a share of each sum; see :class:`rllib_metagrad.core.reduction.Reduction`."""

    def sum(self, share: Tensor) -> Tensor:
        """All-reduced sum, detached."""
        total = share.detach().clone()
        dist.all_reduce(total)
        return total

    def differentiable_sum(self, share: Tensor) -> Tensor:
        """All-reduced sum whose backward all-reduces the cotangents."""
        total: Tensor = dist_nn.all_reduce(share)
        return total


def broadcast(tensor: Tensor) -> Tensor:
    """The first learner's tensor, on all of them."""
    result = tensor.detach().clone()
    dist.broadcast(result, src=0)
    return result
