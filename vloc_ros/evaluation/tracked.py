"""A tracker along the frames of a bag, as the relocalizer's along a robot's images."""

import time
from collections.abc import Callable

import numpy as np

from vloc_ros.core.places import in_map_frame, map_from_place
from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.bag_odometry import BagOdometry
from vloc_ros.evaluation.records import Tracked
from vloc_ros.geometry.stamps import RESTARTED_NS
from vloc_ros.geometry.transforms import invert, moved_covariance, turned_covariance
from vloc_ros.localizer import Localizer
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.search_planner import GLOBAL_EVERY, SearchPlanner
from vloc_ros.tracking.status import CHECKED, RefusedError
from vloc_ros.tracking.track import Fix, FixPlace, FramesAtStamp, Track, TrackingOptions, located_base


class FrameTracker:
    """Follows the frames of one place one after the other. With `priors`, most frames are searched near the track, or
    followed from the frame before, as on a robot; processor time is that of this process while a frame is localized."""

    def __init__(
        self,
        odometry: BagOdometry,
        localizer: Localizer,
        place: str | None,
        priors: bool,
        options: TrackingOptions | None = None,
    ) -> None:
        self._localizer, self._landmark_map = localizer, localizer.landmark_map
        manifest = self._landmark_map.manifest
        self._odometry, self._options = odometry, options or TrackingOptions()
        self._place = place if len(manifest.places) > 1 else None
        moved = map_from_place(manifest, place)
        self._place_from_map = np.eye(4) if moved is None else invert(moved)
        self._fix_place = FixPlace(self._place) if self._place else None
        self._tracker = PoseTracker()
        self._planner = SearchPlanner(self._tracker, GLOBAL_EVERY if priors else 1)
        self._readings = iter(odometry.readings)
        self._next = next(self._readings, None)
        self._query: Query | None = None  # of the frame that is asked for; None where they are not asked one by one
        self._begun_s = 0.0

    @property
    def noise(self) -> str:
        """What the noise of the odometry is taken from."""
        return str(self._tracker.odometry.verdict)

    def query_of(self, frame: Frame) -> Query:
        """With where the track expects it, if that may be used."""

        def frames() -> FramesAtStamp | None:
            self._catch_up(frame.image.stamp_ns)
            return self._frames(frame)

        self._query = self._planner.planned(frame.query, self._landmark_map, frames, self._options)
        self._begun_s = time.process_time()
        return self._query

    def follow(self, frame: Frame, result: PoseEstimate | Rejection) -> Tracked | None:
        """The filtered pose at the frame's stamp; None before the first fix, and where there is no odometry."""
        cpu_s = None if self._query is None else time.process_time() - self._begun_s
        frames, stamp_ns = self._frames(frame), frame.image.stamp_ns
        if frames is None or frames.odom_from_base is None:
            return None
        if self._tracker.nanoseconds_back(stamp_ns) > RESTARTED_NS:
            self._tracker.restart()
        self._catch_up(stamp_ns)
        query = self._query or frame.query
        search = self._planner.answered(query, result)
        begun_s = time.process_time()
        jump = self._add(query, result, frames, self._follow)
        if not jump and isinstance(result, PoseEstimate) and (check := self._planner.check_of(query, result)):
            search, result = CHECKED, self._localizer.localize(check)
            jump = self._add(check, result, frames, self._check)
        cpu_s = None if cpu_s is None else cpu_s + time.process_time() - begun_s
        estimate = self._tracker.estimate(stamp_ns, frames.odom_from_base, self._options)
        if estimate is None:
            return None
        map_from_camera = estimate.map_from_base @ frames.base_from_camera
        covariance = moved_covariance(estimate.covariance, map_from_camera[:3, 3] - estimate.map_from_base[:3, 3])
        place = self._place_from_map
        placed, covariance = place @ map_from_camera, turned_covariance(covariance, place)
        return Tracked(placed, covariance, search, jump, None if cpu_s is None else 1e3 * cpu_s)

    def _add(
        self,
        query: Query,
        result: PoseEstimate | Rejection,
        frames: FramesAtStamp,
        follow: Callable[[Track, Fix], bool],
    ) -> str:
        """Why the pose of a frame is not believed; "" where it is, or there is none. `follow`: or `check`."""
        stamp_ns = query.stamp_ns
        before = self._tracker.begin(stamp_ns)
        if not isinstance(result, PoseEstimate) or result.place != self._place:
            self._planner.drop()
            return ""
        try:
            is_news = follow(before, self._fix(stamp_ns, result, frames))
        except RefusedError as refused:
            self._planner.drop()
            return refused.refusal.detail
        self._planner.add(query, result, self._landmark_map, is_news)
        return ""

    def _follow(self, before: Track, fix: Fix) -> bool:
        return self._tracker.follow(before, fix, fix.stamp_ns, self._options)

    def _check(self, before: Track, fix: Fix) -> bool:
        self._tracker.check(before, fix, self._options)
        return False

    def _frames(self, frame: Frame) -> FramesAtStamp | None:
        """At a frame; None where they are not known."""
        stamp_ns = frame.image.stamp_ns
        moved = self._odometry.at([stamp_ns])
        mounted = self._odometry.base_from_camera(frame.image.frame_id, stamp_ns)
        return FramesAtStamp(mounted, moved[0][1]) if moved and mounted is not None else None

    def _catch_up(self, stamp_ns: int) -> None:
        """What odometry has said up to a stamp."""
        while self._next is not None and self._next.stamp_ns <= stamp_ns:
            self._tracker.odometry.add(self._next)
            self._next = next(self._readings, None)
        for known_ns, odom_from_base in self._odometry.at(self._tracker.due(stamp_ns)):
            self._tracker.move(known_ns, odom_from_base, self._options)

    def _fix(self, stamp_ns: int, result: PoseEstimate, frames: FramesAtStamp) -> Fix:
        manifest = self._landmark_map.manifest
        return located_base(in_map_frame(result, manifest), frames, manifest.frame_id, stamp_ns, self._fix_place)
