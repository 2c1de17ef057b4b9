"""A hierarchy's tables where the network is."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vloc_ros.mapping.hierarchy import Hierarchy


class Tree(nn.Module):
    """Offsets of each level's children and centres of their nodes, as in `Hierarchy`, and the leaves' `centers`."""

    def __init__(self, hierarchy: Hierarchy):
        super().__init__()
        self.centers: Tensor
        self._add("centers", hierarchy.leaf_centers, torch.float32)
        for level, (first, centers) in enumerate(zip(hierarchy.first, hierarchy.centers, strict=True)):
            self._add(f"first{level}", first, torch.int32)
            self._add(f"centers{level}", centers, torch.float64)
        self.branching = hierarchy.branching
        self._most = [int(np.diff(first).max()) for first in hierarchy.first]
        # A level where all nodes have as many children as a path can name needs no mask.
        self.ragged = [False, *(len(np.unique(np.diff(first))) > 1 for first in hierarchy.first[1:])]

    def _add(self, name: str, values: NDArray[Any], dtype: torch.dtype) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=dtype), persistent=False)  # regions.npz has them

    def first(self, level: int) -> Tensor:
        """Offsets (N + 1,) int32 of the children of a level's nodes."""
        return self.get_buffer(f"first{level}")

    def assign(self, coordinates: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """`Hierarchy.assign` and `Hierarchy.paths` of coordinates (B, h, w, 3) in places (B,): paths (B, L, h, w) and
        leaves (B, h, w), int64. What is not finite gets some of them."""
        nodes = places.long()[:, None, None].expand(coordinates.shape[:3])
        paths = []
        for level, most in enumerate(self._most):
            offsets = self.first(level).long()
            start = offsets[nodes]
            children = start[..., None] + torch.arange(most, device=nodes.device)
            beyond = children >= offsets[nodes + 1][..., None]
            centers = self.get_buffer(f"centers{level}")[children.masked_fill(beyond, 0)]
            distances = (centers - coordinates[..., None, :].to(centers)).square().sum(dim=-1)
            child = distances.masked_fill(beyond, torch.inf).argmin(dim=-1)
            nodes = start + child
            paths.append(child if level else nodes)
        return torch.stack(paths, dim=1) if paths else nodes.new_zeros(len(nodes), 0, *nodes.shape[1:]), nodes
