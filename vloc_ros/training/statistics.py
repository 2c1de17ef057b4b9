"""The running statistics of batch normalisation, where several batches make one step."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

Result = TypeVar("Result")


class RunningStatistics:
    """The running statistics of all batch normalisations in a network: `tensors`, float."""

    def __init__(self, network: nn.Module):
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        self.tensors = [t for norm in norms for t in (norm.running_mean, norm.running_var) if t is not None]

    def mean_over(self, passes: Sequence[Callable[[], Result]]) -> list[Result]:
        """The results of passes through the network, after which the statistics have moved, as after one pass, towards
        the mean of what the passes saw: the last one counts no more than the first."""
        if len(passes) == 1:
            return [passes[0]()]
        start = [tensor.clone() for tensor in self.tensors]
        sums = [torch.zeros_like(tensor) for tensor in self.tensors]
        results = []
        for each in passes:
            results.append(each())
            for tensor, total, first in zip(self.tensors, sums, start, strict=True):
                total += tensor
                tensor.copy_(first)
        for tensor, total in zip(self.tensors, sums, strict=True):
            tensor.copy_(total / len(passes))
        return results
