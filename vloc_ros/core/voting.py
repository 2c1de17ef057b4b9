"""Voting-by-segmentation: from labels and directions per cell to landmarks in the image (paper 3.2)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.voting_kernels import locate, sort_by_label
from vloc_ros.errors import ConfigError, ModelError


@dataclass(frozen=True)
class VotingConfig:
    """How each label's votes are intersected, and which landmarks are believed.

    estimator: `irls`, one robust closed-form fit to all votes of a label, or `ransac`, the paper's.
    min_cells: T_s of the paper, smaller segments are dropped, in network output cells.
    min_consensus: share of a segment's votes that must point at the landmark to within `inlier_angle_deg`.
    hypotheses, seed: of `ransac` only; vote pairs tried per landmark.
    Raises ConfigError for values that make no sense.
    """

    estimator: Literal["irls", "ransac"] = "irls"
    min_cells: int = 8
    min_consensus: float = 0.4
    inlier_angle_deg: float = 12.0
    hypotheses: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.estimator not in ("irls", "ransac"):
            raise ConfigError(f"voting: estimator {self.estimator!r} is unknown, known are 'irls' and 'ransac'")
        if self.min_cells < 3 or self.hypotheses < 1 or self.seed < 0:
            raise ConfigError(
                f"voting: min_cells={self.min_cells} must be at least 3, hypotheses={self.hypotheses} at least 1 "
                f"and seed={self.seed} at least 0"
            )
        if not 0 < self.min_consensus <= 1 or not 0 < self.inlier_angle_deg < 90:
            raise ConfigError(
                f"voting: min_consensus={self.min_consensus} must be in (0, 1] "
                f"and inlier_angle_deg={self.inlier_angle_deg} in (0, 90)"
            )


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
    labels: NDArray[np.int32],
    confidences: NDArray[np.float32],
    votes: NDArray[np.float32],
    landmark_count: int,
    stride: int,
    config: VotingConfig,
) -> VotedLandmarks:
    """Intersect the votes of every label's cells.

    labels (h, w): 0 for no landmark, else 1..landmark_count. confidences (h, w) in [0, 1]: squared, they weigh votes.
    votes (h, w, 2): directions (x, y) to the landmark. Cell (i, j) lies at network input pixel x = (j + 0.5) * stride
    - 0.5, y = (i + 0.5) * stride - 0.5. Raises ModelError for a label that the map does not have.
    """
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > landmark_count:
        raise ModelError(f"network: label {low if low < 0 else high} outside 0..{landmark_count}, the map's landmarks")
    cells, starts = sort_by_label(labels, confidences, votes, landmark_count)
    rows = locate(
        cells,
        starts,
        labels.shape[1],
        config.min_cells,
        config.min_consensus,
        float(np.sin(np.deg2rad(config.inlier_angle_deg))),
        config.hypotheses if config.estimator == "ransac" else 0,
        config.seed,
    )
    return VotedLandmarks(
        labels=rows[:, 0].astype(np.int32),
        pixels=(rows[:, 1:3] + 0.5) * stride - 0.5,
        sigmas=rows[:, 3] * stride,
        supports=rows[:, 4].astype(np.int32),
    )
