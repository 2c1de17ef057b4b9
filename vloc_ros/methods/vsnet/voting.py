"""Voting-by-segmentation: from labels and votes per cell to landmarks in the image (paper 3.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError, ModelError

# Rows (K, 4) x, y, sigma (output cells) and inlier votes of the segments cells[:, bounds[k, 0] : bounds[k, 1]].
Locate: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float64]]
MIN_SUPPORT = 3  # inlier votes; fewer do not make a landmark


@dataclass(frozen=True, eq=False)
class VoteField:
    """What the network says of each output cell (h, w): labels int32, 0 for no landmark, else 1..N; confidences float32
    in [0, 1], squared they weigh the votes; votes (h, w, 2) float32, directions (x, y) to the landmark; distances
    float32 to it and scales float32, how far off the vote's end is thought to be, in network input pixels."""

    labels: NDArray[np.int32]
    confidences: NDArray[np.float32]
    votes: NDArray[np.float32]
    distances: NDArray[np.float32]
    scales: NDArray[np.float32]


@dataclass(frozen=True)
class VotingSettings:
    """How each label's votes are joined, and which landmarks are believed.

    min_cells: T_s of the paper, smaller segments are dropped, in network output cells.
    min_consensus: share of a segment's votes that must agree on the landmark, to within a few of their scales.
    Raises ConfigError for values that make no sense.
    """

    min_cells: int = 8
    min_consensus: float = 0.4

    def __post_init__(self) -> None:
        if self.min_cells < 3:
            raise ConfigError(f"voting: min_cells={self.min_cells} must be at least 3")
        if not 0 < self.min_consensus <= 1:
            raise ConfigError(f"voting: min_consensus={self.min_consensus} must be in (0, 1]")


@dataclass(frozen=True, eq=False)
class VotedLandmarks:
    """What survived the vote, ascending in label: labels (N,) int32 from 1, pixels (N, 2) and sigmas (N,) in network
    input pixels (pixels may lie outside the image), supports (N,) int32 inlier votes."""

    labels: NDArray[np.int32]
    pixels: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    supports: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)


def vote(
    field: VoteField, landmark_count: int, stride: int, config: VotingSettings, locate: Locate | None = None
) -> VotedLandmarks:
    """Join the votes of every label's cells. Cell (i, j) lies at network input pixel ((j + 0.5) * stride - 0.5,
    (i + 0.5) * stride - 0.5). `locate`: what joins them, the robust mean of where they end if nothing else is given.
    Raises ModelError for a label that the map does not have.
    """
    from vloc_ros.methods.vsnet.voting_cells import sort_by_label  # Numba takes a while to load
    from vloc_ros.methods.vsnet.voting_ends import average_ends

    low, high = int(field.labels.min(initial=0)), int(field.labels.max(initial=0))
    if low < 0 or high > landmark_count:
        raise ModelError(f"network: label {low if low < 0 else high} outside 0..{landmark_count}, the map's landmarks")
    cells, starts = sort_by_label(
        field.labels, field.confidences, field.votes, field.distances, field.scales, landmark_count, stride
    )
    sizes = np.diff(starts)
    labels = np.flatnonzero(sizes >= config.min_cells)
    rows = (locate or average_ends)(cells, np.stack([starts[labels], starts[labels + 1]], axis=1))
    believed = rows[:, 3] >= np.maximum(MIN_SUPPORT, config.min_consensus * sizes[labels])
    rows = rows[believed]
    return VotedLandmarks(
        labels=labels[believed].astype(np.int32),
        pixels=(rows[:, :2] + 0.5) * stride - 0.5,
        sigmas=rows[:, 2] * stride,
        supports=rows[:, 3].astype(np.int32),
    )
