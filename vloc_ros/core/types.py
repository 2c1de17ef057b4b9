"""Frozen value types that travel between the stages; validated when made, never mutated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import Manifest
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.extent import Extent
from vloc_ros.geometry.transforms import first_not_rigid, rigid_fault

Float = NDArray[np.float64]

MAX_COORDINATE_M = 1e8  # of a map: farther than anything on the Earth, in whatever frame
UNIT_TOLERANCE = 1e-3  # of the length of a normal

PER_LANDMARK = ("ids", "positions", "normals", "extents", "observations")  # arrays of a map with a row for each


def _finite(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...]) -> None:
    expected = tuple("N" if s is None else s for s in shape)
    if array.ndim != len(shape) or any(s is not None and s != n for s, n in zip(shape, array.shape, strict=True)):
        raise ConfigError(f"{name}: shape {array.shape} instead of {expected}")
    if not np.isfinite(array).all():
        raise ConfigError(f"{name}: {int((~np.isfinite(array)).sum())} values are not finite")


def _no_indices() -> NDArray[np.int32]:
    return np.empty(0, dtype=np.int32)


def _require_indices(name: str, indices: NDArray[np.int32], count: int) -> None:
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < count:
        raise ConfigError(f"{name}: indices are {indices.min()} to {indices.max()}, the map has 0 to {count - 1}")


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
    vsnet label k (1..N) is row k - 1. In a map of several places, coordinates are in the frame of the place that
    `places` (N,) and `view_places` (V,) give as an index into `manifest.places`; empty arrays stand for zeros.
    """

    ids: NDArray[np.int32]
    positions: Float
    normals: Float
    extents: Float
    observations: NDArray[np.int32]
    manifest: Manifest
    mapping_views: Float = field(default_factory=lambda: np.empty((0, 4, 4)))
    method_data: Mapping[str, NDArray[np.generic]] = field(default_factory=lambda: MappingProxyType({}))
    places: NDArray[np.int32] = field(default_factory=_no_indices)
    view_places: NDArray[np.int32] = field(default_factory=_no_indices)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if n == 0:
            raise ConfigError("map: it has no landmarks")
        _finite("map: landmark ids", self.ids, (n,))
        _finite("map: landmark positions", self.positions, (n, 3))
        _finite("map: landmark normals", self.normals, (n, 3))
        _finite("map: landmark extents", self.extents, (n,))
        _finite("map: landmark observation counts", self.observations, (n,))
        _finite("map: mapping views", self.mapping_views, (None, 4, 4))
        self._require_possible()
        for name, count in (("places", n), ("view_places", len(self.mapping_views))):
            indices = getattr(self, name)
            if not len(indices) or not (self.manifest.places or indices.any()):  # of one place: as many as there are
                indices = np.zeros(count, dtype=np.int32)
                object.__setattr__(self, name, indices)
            _finite(f"map: {name}", indices, (count,))
            _require_indices(f"map: {name}", indices, max(1, len(self.manifest.places)))
        if empty := set(range(len(self.manifest.places))).difference(self.places.tolist()):
            raise ConfigError(f"map: place '{self.manifest.places[min(empty)]}' has no landmarks")

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

    def views_of(self, place: str) -> Float:
        """The mapping views (V, 4, 4) of one place, none of one that the map lacks; all in a map of one place."""
        if not self.manifest.places:
            return self.mapping_views
        index = self.manifest.places.index(place) if place in self.manifest.places else -1
        views: Float = self.mapping_views[self.view_places == index]
        return views

    def extent_of(self, place: str) -> Extent | None:
        """The volume of one place, or of a map of one place; None of one whose mapping views are not known: landmarks
        alone do not say from where they can be seen."""
        return self._extents.get(place)

    @cached_property
    def _extents(self) -> dict[str, Extent]:
        names = self.manifest.places or ("",)
        views = {name: self.views_of(name)[:, :3, 3] for name in names}
        return {
            name: Extent.of(self.positions[self.places == index], views[name])
            for index, name in enumerate(names)
            if len(views[name])
        }

    def of_place(self, place: str) -> "LandmarkMap":
        """The landmarks and mapping views of one place as a map of one place, without the method's data; the map itself
        if it is one, place "". Raises ConfigError for a place that it does not have."""
        if place not in (self.manifest.places or ("",)):
            raise ConfigError(f"map: it has no place '{place}', it has {', '.join(self.manifest.places) or 'only one'}")
        if not place:
            return self
        index = self.manifest.places.index(place)
        return LandmarkMap(
            **{name: getattr(self, name)[self.places == index] for name in PER_LANDMARK},
            manifest=replace(self.manifest, frame_id=self.manifest.frame_of(place), places=()),
            mapping_views=self.views_of(place),
        )


@dataclass(frozen=True, eq=False)
class Correspondences:
    """2-D to 3-D correspondences: pixels (N, 2) in the undistorted image of a view, map points (N, 3) in metres, pixel
    sigma (N,) (one standard deviation per axis, > 0), landmark ids (N,); and of which of the query's `views` (N,) and
    of the map's `places` (N,) they are, as indices. Empty arrays of these stand for zeros."""

    pixels: Float
    points: Float
    sigmas: Float
    landmark_ids: NDArray[np.int32]
    views: NDArray[np.int32] = field(default_factory=_no_indices)
    places: NDArray[np.int32] = field(default_factory=_no_indices)

    def __post_init__(self) -> None:
        n = len(self.pixels)
        _finite("correspondences: pixels", self.pixels, (n, 2))
        _finite("correspondences: map points", self.points, (n, 3))
        _finite("correspondences: pixel sigmas", self.sigmas, (n,))
        _finite("correspondences: landmark ids", self.landmark_ids, (n,))
        for name in ("views", "places"):
            if not len(indices := getattr(self, name)):
                object.__setattr__(self, name, np.zeros(n, dtype=np.int32))
            elif indices.shape != (n,) or indices.min() < 0:
                raise ConfigError(f"correspondences: {name} are no {n} indices")
        if n and float(self.sigmas.min()) <= 0:
            raise ConfigError(f"correspondences: pixel sigma {float(self.sigmas.min())} must be positive")

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, mask: NDArray[np.bool_] | NDArray[np.intp]) -> "Correspondences":
        return Correspondences(**{name: array[mask] for name, array in vars(self).items()})

    @staticmethod
    def joined(parts: Sequence["Correspondences"]) -> "Correspondences":
        """All of them, in order; the part itself where there is one."""
        if len(parts) < 2:
            return parts[0] if parts else Correspondences.empty()
        return Correspondences(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))

    @staticmethod
    def empty() -> "Correspondences":
        return Correspondences(np.empty((0, 2)), np.empty((0, 3)), np.empty(0), np.empty(0, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """A pose: `map_from_camera` 4x4 (metres), of the rig where the query has one, with covariance 6x6 in ROS order,
    that is x y z then rotation about the map's X Y Z axes (m^2, rad^2), from `inliers` (N,) bool over the
    correspondences. `confidence`: the probability that it is within 5 cm and 5 deg of the truth; None before the map's
    calibration was applied. `place`: in the frame of which of the map's places the pose is; "" for a map of one
    place."""

    map_from_camera: Float
    covariance: Float
    correspondences: Correspondences
    inliers: NDArray[np.bool_]
    reprojection_rmse_px: float
    confidence: float | None = None
    timings_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    place: str = ""

    def __post_init__(self) -> None:
        if fault := rigid_fault(self.map_from_camera):
            raise ConfigError(f"pose: map_from_camera has {fault}")
        _finite("pose: covariance", self.covariance, (6, 6))
        _finite("pose: inliers", self.inliers, (len(self.correspondences),))

    @property
    def inlier_count(self) -> int:
        return int(self.inliers.sum())

    @property
    def inlier_ratio(self) -> float:
        return self.inlier_count / max(1, len(self.inliers))

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
    for those who measure the gate, None where there was none. `place`: the likeliest of the map's places, "" where
    nothing in the image speaks for any, or the map is of one place."""

    reason: RejectionReason
    detail: str
    refused: PoseEstimate | None = None
    timings_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    place: str = ""
