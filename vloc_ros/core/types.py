"""Frozen value types that travel between the stages; validated when made, never mutated."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import no_indices, require_finite, require_indices
from vloc_ros.core.correction_field import CorrectionField
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import MAX_COORDINATE_M, UNIT_TOLERANCE, Manifest
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.points import Points
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.extent import Extent
from vloc_ros.geometry.transforms import first_not_rigid, rigid_fault

Float = NDArray[np.float64]


BLIND = 0.25  # a view with less than this part of the best view's inlier ratio sees something else
PER_LANDMARK = ("ids", "positions", "normals", "extents", "observations")  # arrays of a map with a row for each


def worst_sigma(covariance: Float) -> float:
    """Standard deviation along the worst direction of a covariance (3, 3)."""
    return float(np.sqrt(max(0.0, float(np.linalg.eigvalsh(covariance)[-1]))))


@dataclass(frozen=True, eq=False)
class CameraImage:
    """One image and the camera that took it: RGB uint8 (H, W, 3), matching the camera's size."""

    rgb: NDArray[np.uint8]
    camera: Camera
    stamp_ns: int = 0
    frame_id: str = "camera"

    def __post_init__(self) -> None:
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.size == 0:
            raise ConfigError(f"image: expected RGB uint8 (H, W, 3), got {self.rgb.dtype} {self.rgb.shape}")
        height, width = self.rgb.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            camera = f"{self.camera.width}x{self.camera.height}"
            raise ConfigError(f"image: {width}x{height} pixels, but its camera is {camera}")


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """What a method needs to know of the place: N landmarks in the frame `manifest.frame_id`, metres.

    ids (N,) int32, positions (N, 3), normals (N, 3) unit, extents (N,) patch radius, observations (N,) training images
    that see it. `mapping_views`: poses (V, 4, 4) of these images. `method_data`: arrays that only the method knows. For
    vsnet label k (1..N) is row k - 1. Coordinates are in the frame of the place that `places` (N,) and `view_places`
    (V,) give as an index into `manifest.places`; empty arrays stand for zeros. `points`: what can be matched with the
    descriptors of key points, `correction`: of poses near mapping views, `surface`: of the only place, if the map has
    them.
    """

    ids: NDArray[np.int32]
    positions: Float
    normals: Float
    extents: Float
    observations: NDArray[np.int32]
    manifest: Manifest
    mapping_views: Float = field(default_factory=lambda: np.empty((0, 4, 4)))
    method_data: Mapping[str, NDArray[np.generic]] = field(default_factory=lambda: MappingProxyType({}))
    places: NDArray[np.int32] = field(default_factory=no_indices)
    view_places: NDArray[np.int32] = field(default_factory=no_indices)
    points: Points | None = None
    correction: CorrectionField | None = None
    surface: PlaceSurface | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        if n == 0:
            raise ConfigError("map: it has no landmarks")
        require_finite("map: landmark ids", self.ids, (n,))
        require_finite("map: landmark positions", self.positions, (n, 3))
        require_finite("map: landmark normals", self.normals, (n, 3))
        require_finite("map: landmark extents", self.extents, (n,))
        require_finite("map: landmark observation counts", self.observations, (n,))
        require_finite("map: mapping views", self.mapping_views, (None, 4, 4))
        self._require_possible()
        for name, count in (("places", n), ("view_places", len(self.mapping_views))):
            indices = getattr(self, name)
            if not len(indices) or (len(self.manifest.places) == 1 and not indices.any()):  # as many as there are
                indices = np.zeros(count, dtype=np.int32)
                object.__setattr__(self, name, indices)
            require_finite(f"map: {name}", indices, (count,))
            require_indices(f"map: {name}", indices, len(self.manifest.places))
        if empty := set(range(len(self.manifest.places))).difference(self.places.tolist()):
            raise ConfigError(f"map: place '{self.manifest.place_names[min(empty)]}' has no landmarks")
        if self.points is not None:
            require_indices("points: places", self.points.places, len(self.manifest.places))
            require_indices("points: regions", self.points.regions, n)
            features, found = self.manifest.features, self.points.descriptors.shape[1]
            if features is not None and features.dimensions != found:
                raise ConfigError(
                    f"points: descriptors of {found} numbers, those of the features {features.name!r} have "
                    f"{features.dimensions}: descriptors and features do not belong together"
                )
        if self.correction is not None:
            require_indices("correction: places", self.correction.places, len(self.manifest.places))
        if self.surface is not None and len(self.manifest.places) > 1:
            raise ConfigError(f"surface: it is of one place, the map has {len(self.manifest.places)}")

    def _require_possible(self) -> None:
        """Finite numbers that are no positions, directions, sizes, counts or poses. Raises ConfigError."""
        lengths = np.linalg.norm(np.clip(self.normals, -2, 2), axis=1)
        for what, values, impossible in (
            ("position", self.positions, (np.abs(self.positions) > MAX_COORDINATE_M).any(axis=1)),
            ("normal", self.normals, np.abs(lengths - 1) > UNIT_TOLERANCE),
            ("extent", self.extents, (self.extents < 0) | (self.extents > MAX_COORDINATE_M)),
            ("observation count", self.observations, self.observations < 0),
        ):
            if impossible.any():
                row = int(np.argmax(impossible))
                raise ConfigError(f"map: landmark in row {row} has the {what} {values[row].tolist()}, which cannot be")
        if (view := first_not_rigid(self.mapping_views)) is not None:
            raise ConfigError(f"map: mapping view {view} has {rigid_fault(self.mapping_views[view])}")
        if (np.abs(self.mapping_views[:, :3, 3]) > MAX_COORDINATE_M).any():
            raise ConfigError(f"map: a mapping view is more than {MAX_COORDINATE_M:g} m from the map's origin")

    def __len__(self) -> int:
        return len(self.ids)

    def views_of(self, place: str | None) -> Float:
        """The mapping views (V, 4, 4) of one place, none of one that the map lacks; None stands for the only place."""
        index = self.manifest.index_of(place)
        return self.mapping_views[:0] if index is None else self._views[index]

    @cached_property
    def _views(self) -> list[Float]:
        return [self.mapping_views[self.view_places == index] for index in range(len(self.manifest.places))]

    def extent_of(self, place: str | None) -> Extent | None:
        """The volume of one place, None standing for the only one. None of a place whose mapping views are not known:
        landmarks alone do not say from where they can be seen."""
        index = self.manifest.index_of(place)
        return None if index is None else self._extents[index]

    @cached_property
    def _extents(self) -> list[Extent | None]:
        return [
            Extent.of(self.positions[self.places == index], views[:, :3, 3]) if len(views) else None
            for index, views in enumerate(self._views)
        ]

    def correction_of(self, place: str | None) -> CorrectionField | None:
        """The corrections of one place, None standing for the only one; None where there are none."""
        index = self.manifest.index_of(place)
        return None if index is None else self._corrections[index]

    @cached_property
    def _corrections(self) -> list[CorrectionField | None]:
        field, indices = self.correction, range(len(self.manifest.places))
        return [field[field.places == index] if field and index in field.places else None for index in indices]

    def of_place(self, place: str | None) -> "LandmarkMap":
        """The landmarks, mapping views and corrections of one place as a map of one place, without the method's data
        and points; the map itself if it is one. None stands for the only place. Raises ConfigError for a place that it
        does not have.
        """
        index = self.manifest.require_index(place)
        if len(self.manifest.places) == 1:
            return self
        only = replace(self.manifest.places[index], map_from_place=None)
        correction = self.correction_of(place)
        lenses = {name: lens for name, lens in self.manifest.lenses.items() if name == only.name}
        return LandmarkMap(
            **{name: getattr(self, name)[self.places == index] for name in PER_LANDMARK},
            manifest=replace(self.manifest, frame_id=only.frame_id, places=(only,), lenses=lenses),
            mapping_views=self.views_of(place),
            correction=correction and replace(correction, places=np.zeros(len(correction), np.int32)),
        )


@dataclass(frozen=True)
class Evidence:
    """How many of how many correspondences that were found without a pose are inliers of one."""

    inliers: int
    correspondences: int

    def part(self, share: float) -> "Evidence":
        """What is left where only this share of the inliers are inliers still."""
        return Evidence(int(share * self.inliers), self.correspondences)


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """A pose: `map_from_camera` 4x4 (metres), of the rig where the query has one, with covariance 6x6 in ROS order,
    that is x y z then rotation about the map's X Y Z axes (m^2, rad^2), from `inliers` (N,) bool over the
    correspondences. `confidence`: the probability that it is within 5 cm and 5 deg of the truth; None before the map's
    calibration was applied. `place`: in the frame of which of the map's places the pose is; None where it
    has one only. `unguided`: what a pose from guided matching was found with; only this decides whether it is believed,
    because a wrong pose finds correspondences around itself too. None where the correspondences are no guided ones.
    `is_followed`: no network was asked, the correspondences are those of a keyframe; `unguided` is then that part of
    the keyframe's evidence that is left."""

    map_from_camera: Float
    covariance: Float
    correspondences: Correspondences
    inliers: NDArray[np.bool_]
    reprojection_rmse_px: float
    confidence: float | None = None
    timings_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    place: str | None = None
    unguided: Evidence | None = None
    is_followed: bool = False

    def __post_init__(self) -> None:
        if fault := rigid_fault(self.map_from_camera):
            raise ConfigError(f"pose: map_from_camera has {fault}")
        require_finite("pose: covariance", self.covariance, (6, 6))
        require_finite("pose: inliers", self.inliers, (len(self.correspondences),))

    @property
    def evidence(self) -> Evidence:
        """What speaks for the pose: `unguided`, where there is that, the inliers otherwise. Of several views those do
        not count that see something else: a camera that is covered speaks neither for the pose nor against it."""
        return self.unguided or self._evidence_of_views()

    def _evidence_of_views(self) -> Evidence:
        views = self.correspondences.views
        counts = np.bincount(views, minlength=1)
        inliers = np.bincount(views[self.inliers], minlength=len(counts))
        ratios = inliers / np.maximum(counts, 1)
        sees = ratios >= BLIND * ratios.max()
        return Evidence(int(inliers[sees].sum()), int(counts[sees].sum()))

    @property
    def inlier_count(self) -> int:
        """Of the evidence."""
        return self.evidence.inliers

    @property
    def inlier_ratio(self) -> float:
        """Of the evidence."""
        return self.evidence.inliers / max(1, self.evidence.correspondences)

    @property
    def position_sigma_m(self) -> float:
        """Standard deviation of the position along its worst direction."""
        return worst_sigma(self.covariance[:3, :3])

    @property
    def rotation_sigma_rad(self) -> float:
        """Standard deviation of the rotation about its worst axis."""
        return worst_sigma(self.covariance[3:, 3:])


class RejectionReason(Enum):
    """Why there is no pose: the first ones `localize` gives, the others a relocalizer (`tracking/status.py`)."""

    TOO_FEW_LANDMARKS = "too_few_landmarks"
    NO_POSE = "no_pose"
    TOO_FEW_INLIERS = "too_few_inliers"
    LOW_INLIER_RATIO = "low_inlier_ratio"
    HIGH_REPROJECTION_ERROR = "high_reprojection_error"
    LOW_CONFIDENCE = "low_confidence"
    OUTSIDE_MAP = "outside_map"
    AMBIGUOUS_PLACE = "ambiguous_place"
    UNLIKE_SURFACE = "unlike_surface"

    NO_MAP = "no_map"
    NO_CAMERA_INFO = "no_camera_info"
    BAD_STAMP = "bad_stamp"
    BAD_INPUT = "bad_input"
    NO_TRANSFORM = "no_transform"
    JUMP = "jump"
    OUTDATED = "outdated"
    NETWORK_FAILED = "network_failed"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, eq=False)
class Rejection:
    """No pose, and why. `detail` is one line with the values that decided; `refused` the pose that was not believed,
    for those who measure the gate, None where there was none. `place`: the likeliest of the map's places, None
    where nothing in the image speaks for any, or the map has one only."""

    reason: RejectionReason
    detail: str
    refused: PoseEstimate | None = None
    timings_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    place: str | None = None
