"""What is kept of every frame of an evaluation, in memory and, without loss, as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vloc_ros.core.nearest_view import NearestView
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.json_parsing import finite_number
from vloc_ros.geometry.pose_error import WRONG_PLACE, PoseError, pose_error
from vloc_ros.geometry.transforms import Matrix, from_pose_vector, pose_vector
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import GLOBAL, SEARCHES


@dataclass(frozen=True)
class Estimated:
    """What is kept of a pose estimate, as in `PoseEstimate`; the sigmas are those along the worst direction."""

    map_from_camera: Matrix
    covariance: Matrix
    confidence: float
    error: PoseError
    inliers: int
    inlier_ratio: float
    reprojection_rmse_px: float
    position_sigma_m: float
    rotation_sigma_deg: float

    def to_json(self) -> dict[str, Any]:
        """In JSON's types; `pose` as POSE_COLUMNS, `covariance` the 36 numbers row by row. Errors are None in the wrong
        place, where they are infinite."""
        in_right_place = self.error.in_right_place
        return {
            "pose": pose_vector(self.map_from_camera).tolist(),
            "covariance": self.covariance.ravel().tolist(),
            "confidence": self.confidence,
            "translation_error_m": self.error.translation_m if in_right_place else None,
            "rotation_error_deg": math.degrees(self.error.rotation_rad) if in_right_place else None,
            "inliers": self.inliers,
            "inlier_ratio": self.inlier_ratio,
            "reprojection_rmse_px": self.reprojection_rmse_px,
            "position_sigma_m": self.position_sigma_m,
            "rotation_sigma_deg": self.rotation_sigma_deg,
        }

    @staticmethod
    def from_json(node: Mapping[str, Any]) -> "Estimated":
        """The inverse of `to_json`; KeyError, TypeError or ValueError for what that never writes."""
        return Estimated(
            map_from_camera=from_pose_vector([finite_number(value) for value in node["pose"]]),
            covariance=np.array([finite_number(value) for value in node["covariance"]]).reshape(6, 6),
            confidence=finite_number(node["confidence"]),
            error=WRONG_PLACE
            if node["translation_error_m"] is None
            else PoseError(
                finite_number(node["translation_error_m"]), math.radians(finite_number(node["rotation_error_deg"]))
            ),
            inliers=int(finite_number(node["inliers"])),
            inlier_ratio=finite_number(node["inlier_ratio"]),
            reprojection_rmse_px=finite_number(node["reprojection_rmse_px"]),
            position_sigma_m=finite_number(node["position_sigma_m"]),
            rotation_sigma_deg=finite_number(node["rotation_sigma_deg"]),
        )


@dataclass(frozen=True)
class Rejected:
    """What is kept of a rejection; `refused` is the pose that the gate did not believe, where there was one."""

    reason: str
    detail: str
    refused: Estimated | None = None


@dataclass(frozen=True, eq=False)
class Tracked:
    """What a tracker made of a frame: the filtered pose of the camera (4, 4) at the frame's stamp, after the frame, and
    its `covariance` (6, 6). `search`: of SEARCHES (`tracking/status.py`), how it was; `jump`: why its pose was not
    believed, "" where it was, or there was none; `cpu_ms`: processor time that it took, None where that is not known.
    """

    map_from_camera: Matrix
    covariance: Matrix
    search: str = GLOBAL
    jump: str = ""
    cpu_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        """In JSON's types; `pose` as POSE_COLUMNS, `covariance` the 36 numbers row by row."""
        return {
            "pose": pose_vector(self.map_from_camera).tolist(),
            "covariance": self.covariance.ravel().tolist(),
            "search": self.search,
            "jump": self.jump,
            "cpu_ms": self.cpu_ms,
        }

    @staticmethod
    def from_json(node: Mapping[str, Any]) -> "Tracked":
        """The inverse of `to_json`; KeyError, TypeError or ValueError for what that never writes."""
        return Tracked(
            map_from_camera=from_pose_vector([finite_number(value) for value in node["pose"]]),
            covariance=np.array([finite_number(value) for value in node["covariance"]]).reshape(6, 6),
            search=SEARCHES[SEARCHES.index(node["search"])],
            jump=str(node["jump"]),
            cpu_ms=None if node["cpu_ms"] is None else finite_number(node["cpu_ms"]),
        )


@dataclass(frozen=True)
class FrameRecord:
    """One frame of an evaluation. `nearest_view`: None for a map that does not say what it was made from. `state`: of a
    live run, what the robot believed once the frame was done; None for images localized one by one. `true_place`: which
    of the map's places the frame is of, `place`: the likeliest, of a rejected frame too, None where nothing speaks
    for any; both None for a map of one place. `tracked`: None where there is no track. `cameras`: of a rig, how many
    inliers each one that had an image gave to the pose."""

    name: str
    stamp_ns: int
    true_map_from_camera: Matrix
    outcome: Estimated | Rejected
    timings_ms: Mapping[str, float]
    nearest_view: NearestView | None = None
    state: State | None = None
    place: str | None = None
    true_place: str | None = None
    tracked: Tracked | None = None
    cameras: Mapping[str, int] = field(default_factory=dict)

    @property
    def error(self) -> PoseError | None:
        """The pose error, None for a rejected frame."""
        return self.outcome.error if isinstance(self.outcome, Estimated) else None

    @property
    def solved(self) -> Estimated | None:
        """The pose, whether the gate believed it or not; None where there was none."""
        return self.outcome if isinstance(self.outcome, Estimated) else self.outcome.refused

    def to_json(self) -> dict[str, Any]:
        """In JSON's types. A rejected frame has `rejected` and `detail` in place of the figures, and these, where there
        was a pose, under `refused`."""
        view = self.nearest_view
        common = {
            "name": self.name,
            "stamp_ns": self.stamp_ns,
            "true_pose": pose_vector(self.true_map_from_camera).tolist(),
            "nearest_view_m": view.distance_m if view else None,
            "nearest_view_deg": view.angle_deg if view else None,
            "latency_ms": dict(self.timings_ms),
            "state": self.state.value if self.state else None,
            "scene": self.place or "",
            "true_scene": self.true_place or "",
            "tracked": self.tracked.to_json() if self.tracked else None,
            "cameras": dict(self.cameras),
        }
        if isinstance(self.outcome, Estimated):
            return {**common, **self.outcome.to_json()}
        refused = self.outcome.refused
        return {
            **common,
            "rejected": self.outcome.reason,
            "detail": self.outcome.detail,
            "refused": refused.to_json() if refused else None,
        }

    @staticmethod
    def from_json(node: Mapping[str, Any]) -> "FrameRecord":
        """The inverse of `to_json`. Raises ConfigError for what that never writes."""
        try:
            view, refused, state = node["nearest_view_m"], node.get("refused"), node.get("state")
            return FrameRecord(
                name=str(node["name"]),
                stamp_ns=int(node["stamp_ns"]),
                true_map_from_camera=from_pose_vector([finite_number(value) for value in node["true_pose"]]),
                outcome=Rejected(str(node["rejected"]), str(node["detail"]), refused and Estimated.from_json(refused))
                if "rejected" in node
                else Estimated.from_json(node),
                timings_ms={str(stage): finite_number(ms) for stage, ms in node["latency_ms"].items()},
                nearest_view=None
                if view is None
                else NearestView(finite_number(view), finite_number(node["nearest_view_deg"])),
                state=None if state is None else State(state),
                place=str(node.get("scene", "")) or None,
                true_place=str(node.get("true_scene", "")) or None,
                tracked=None if node.get("tracked") is None else Tracked.from_json(node["tracked"]),
                cameras={str(name): int(count) for name, count in node.get("cameras", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigError(f"frame record: {type(error).__name__} at {error}") from error


def outcome_of(
    result: PoseEstimate | Rejection, true_map_from_camera: Matrix, true_place: str | None = None
) -> Estimated | Rejected:
    """What is kept of a result; a pose in another place than the true one is infinitely wrong."""

    def estimated(estimate: PoseEstimate) -> Estimated:
        error = pose_error(estimate.map_from_camera, true_map_from_camera)
        return _estimated(estimate, error if result.place == true_place else WRONG_PLACE)

    if isinstance(result, PoseEstimate):
        return estimated(result)
    return Rejected(result.reason.value, result.detail, estimated(result.refused) if result.refused else None)


def _estimated(estimate: PoseEstimate, error: PoseError) -> Estimated:
    assert estimate.confidence is not None  # `localize` calibrates all its poses
    return Estimated(
        map_from_camera=estimate.map_from_camera,
        covariance=estimate.covariance,
        confidence=estimate.confidence,
        error=error,
        inliers=estimate.inlier_count,
        inlier_ratio=estimate.inlier_ratio,
        reprojection_rmse_px=estimate.reprojection_rmse_px,
        position_sigma_m=estimate.position_sigma_m,
        rotation_sigma_deg=math.degrees(estimate.rotation_sigma_rad),
    )


def worst_first(records: Sequence[FrameRecord]) -> list[FrameRecord]:
    """Rejected frames, then those with the largest errors of position."""
    return sorted(records, key=lambda r: r.error.translation_m if r.error else math.inf, reverse=True)
