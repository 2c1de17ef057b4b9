"""What is asked: where a camera, or several on a rig, were at a stamp."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from vloc_ros.core.types import CameraImage, Float, PoseEstimate
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.rig import ALONE, RigCamera
from vloc_ros.geometry.transforms import rigid_fault
from vloc_ros.geometry.wide_angle import pinhole_views

if TYPE_CHECKING:  # which is of a query
    from vloc_ros.core.keyframe import Keyframe


@dataclass(frozen=True, eq=False)
class View:
    """An image, and where on the rig its camera sits: `rig_from_camera` (4, 4), metres. `scale`: in which size it is
    looked at, as a part of the size in which it fills the input of the networks. Raises ConfigError for what is no
    pose."""

    image: CameraImage
    rig_from_camera: Float = field(default_factory=lambda: ALONE)
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.rig_from_camera is not ALONE and (fault := rigid_fault(self.rig_from_camera)):
            raise ConfigError(f"view: rig_from_camera has {fault}")

    @property
    def rig_camera(self) -> RigCamera:
        """The camera of the undistorted image, on the rig."""
        return RigCamera(self.image.camera.undistorted(), self.rig_from_camera)

    @property
    def part_count(self) -> int:
        """In how many views `in_pinhole_views` has it."""
        return max(1, len(pinhole_views(self.image.camera)))

    def in_pinhole_views(self) -> "tuple[View, ...]":
        """An image of a wide lens as several pinhole views on the same rig; of any other lens, the view itself."""
        image = self.image
        if not (parts := pinhole_views(image.camera)):
            return (self,)
        return tuple(
            View(
                replace(image, rgb=part.image(image.rgb), camera=part.camera),
                self.rig_from_camera @ part.wide_from_view,
                self.scale,
            )
            for part in parts
        )


@dataclass(frozen=True, eq=False)
class Prior:
    """Where the rig is thought to be before anything is looked at: the track, moved on by odometry.

    `map_from_rig` (4, 4) in the frame of `place`, metres; `covariance` (6, 6) in ROS order, as that of a PoseEstimate.
    A method may narrow its search by it, or ignore it: it never makes a wrong pose acceptable. `keyframe`: an image of
    that place whose points may be followed into the query's views before any network runs. `narrows`: the networks,
    where they run, look there first; otherwise they search as if nothing were known. Raises ConfigError for what is no
    pose or no covariance.
    """

    map_from_rig: Float
    covariance: Float
    place: str = ""
    keyframe: "Keyframe | None" = None
    narrows: bool = True

    def __post_init__(self) -> None:
        if fault := rigid_fault(self.map_from_rig):
            raise ConfigError(f"prior: map_from_rig has {fault}")
        if self.covariance.shape != (6, 6) or not np.isfinite(self.covariance).all():
            raise ConfigError("prior: its covariance is not (6, 6) finite numbers")


@dataclass(frozen=True, eq=False)
class Query:
    """The views of one moment, `stamp_ns`, and what is known before. The pose asked for is that of the rig; a camera
    alone is its own rig. Raises ConfigError where there is no view."""

    views: tuple[View, ...]
    stamp_ns: int
    prior: Prior | None = None

    def __post_init__(self) -> None:
        if not self.views:
            raise ConfigError("query: it has no views")

    @staticmethod
    def of(image: CameraImage, prior: Prior | None = None) -> "Query":
        """One camera alone."""
        return Query((View(image),), image.stamp_ns, prior)

    @property
    def cameras(self) -> tuple[RigCamera, ...]:
        """Those of the views' undistorted images, in which all key points and correspondences are."""
        return tuple(view.rig_camera for view in self.views)

    @property
    def searched(self) -> "Query":
        """As the networks search it: without a prior that is for following only."""
        return self if self.prior is None or self.prior.narrows else replace(self, prior=None)

    def scaled(self, scale: float) -> "Query":
        """The same with this scale of all views."""
        if all(view.scale == scale for view in self.views):
            return self
        return replace(self, views=tuple(replace(view, scale=scale) for view in self.views))

    def in_pinhole_views(self) -> "Query":
        """The same with several views in place of each image of a wide lens, as it is worked on: correspondences are in
        these. Itself where there is no such image."""
        if all(view.part_count == 1 for view in self.views):
            return self
        return replace(self, views=tuple(part for view in self.views for part in view.in_pinhole_views()))


def inliers_by_view(query: Query, estimate: PoseEstimate) -> list[int]:
    """How many correspondences of each of a query's views are inliers of its pose."""
    counts = np.bincount(estimate.correspondences.views[estimate.inliers], minlength=1)
    ends = np.cumsum([view.part_count for view in query.views])
    return [int(counts[end - view.part_count : end].sum()) for view, end in zip(query.views, ends, strict=True)]


def as_query(asked: Query | CameraImage) -> Query:
    """An image alone as a query."""
    return asked if isinstance(asked, Query) else Query.of(asked)
