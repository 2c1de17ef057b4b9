"""Ways to join votes that are compared with the robot's: from their directions alone, by IRLS or by RANSAC."""

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from voting_directions import intersect_directions

from vloc_ros.errors import ConfigError
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.methods.vsnet.voting import VotedLandmarks, VoteField, VotingSettings, vote

Estimator = Literal["endpoints", "irls", "ransac"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)


@dataclass(frozen=True)
class EstimatorSettings(VotingSettings):
    """`endpoints`: the robot's, the robust mean of where a label's votes end; or, from their directions alone, `irls`,
    one robust closed-form intersection of all of them, or `ransac`, the paper's.

    inlier_angle_deg: of `irls` and `ransac` only; the angle within which a direction agrees with a landmark.
    hypotheses, seed: of `ransac` only; vote pairs tried per landmark.
    Raises ConfigError for values that make no sense.
    """

    estimator: Estimator = "endpoints"
    inlier_angle_deg: float = 12.0
    hypotheses: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator not in ESTIMATORS:
            raise ConfigError(f"voting: estimator {self.estimator!r} is unknown, known are {', '.join(ESTIMATORS)}")
        if not 0 < self.inlier_angle_deg < 90:
            raise ConfigError(f"voting: inlier_angle_deg={self.inlier_angle_deg} must be in (0, 90)")
        if self.hypotheses < 1 or self.seed < 0:
            raise ConfigError(
                f"voting: hypotheses={self.hypotheses} must be at least 1 and seed={self.seed} at least 0"
            )


def vote_by(field: VoteField, landmark_count: int, stride: int, config: EstimatorSettings) -> VotedLandmarks:
    """`vote`, by the estimator of the settings."""
    if config.estimator == "endpoints":
        return vote(field, landmark_count, stride, config)
    return vote(field, landmark_count, stride, config, partial(_intersect, width=field.labels.shape[1], config=config))


def _intersect(
    cells: NDArray[np.float32], bounds: NDArray[np.int64], width: int, config: EstimatorSettings
) -> NDArray[np.float64]:
    inlier_sine = float(np.sin(np.deg2rad(config.inlier_angle_deg)))
    hypotheses = config.hypotheses if config.estimator == "ransac" else 0
    rows = intersect_directions(
        tuple(cells[:5]), bounds, width, config.min_consensus, inlier_sine, hypotheses, config.seed
    )
    return np.asarray(rows)


@dataclass(frozen=True)
class EstimatingMethod(VSNetMethod):
    """VS-Net with another estimator."""

    settings: EstimatorSettings = EstimatorSettings()

    def vote(self, field: VoteField, landmark_count: int, stride: int) -> VotedLandmarks:
        return vote_by(field, landmark_count, stride, self.settings)
