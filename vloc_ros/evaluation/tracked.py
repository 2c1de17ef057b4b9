"""A tracker along the frames of a bag, as the relocalizer's along a robot's images."""

import time
from dataclasses import replace

import numpy as np

from vloc_ros.core.places import in_map_frame, map_from_place
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.bag_odometry import BagOdometry
from vloc_ros.evaluation.records import Tracked
from vloc_ros.geometry.stamps import NS_PER_S, RESTARTED_NS
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance, turned_covariance
from vloc_ros.tracking.keyframes import Keyframes
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.prior import GLOBAL_EVERY, GlobalTurns, prior_of
from vloc_ros.tracking.status import FLOW, GLOBAL, PRIOR, RefusedError
from vloc_ros.tracking.track import Fix, TrackingOptions


class FrameTracker:
    """Follows the frames of one place one after the other. With `priors`, most frames are searched near the track, or
    followed from the frame before, as on a robot; processor time is that of this process while a frame is localized."""

    def __init__(
        self,
        odometry: BagOdometry,
        landmark_map: LandmarkMap,
        place: str | None,
        priors: bool,
        options: TrackingOptions | None = None,
    ) -> None:
        manifest = landmark_map.manifest
        self._odometry, self._landmark_map, self._priors = odometry, landmark_map, priors
        self._options = options or TrackingOptions()
        self._place = place if len(manifest.places) > 1 else None
        moved = map_from_place(manifest, place)
        self._place_from_map = np.eye(4) if moved is None else invert(moved)
        self._tracker, self._turns, self._keyframes = PoseTracker(), GlobalTurns(GLOBAL_EVERY), Keyframes()
        self._readings = iter(odometry.readings)
        self._next = next(self._readings, None)
        self._prior: Prior | None = None
        self._begun_s: float | None = None  # None for frames that are not asked one by one

    @property
    def noise(self) -> str:
        """What the noise of the odometry is taken from."""
        return str(self._tracker.odometry.verdict)

    def query_of(self, frame: Frame) -> Query:
        """With where the track expects it, if that may be used."""
        self._prior = self._prior_of(frame) if self._priors and not self._turns.is_next() else None
        self._begun_s = time.process_time()
        return frame.query if self._prior is None else replace(frame.query, prior=self._prior)

    def follow(self, frame: Frame, result: PoseEstimate | Rejection) -> Tracked | None:
        """The filtered pose at the frame's stamp; None before the first fix, and where there is no odometry."""
        cpu_ms = None if self._begun_s is None else (time.process_time() - self._begun_s) * 1e3
        found = self._placed(frame)
        if found is None:
            return None
        (odom_from_base, base_from_camera), stamp_ns = found, frame.image.stamp_ns
        if self._tracker.nanoseconds_back(stamp_ns) > RESTARTED_NS:
            self._tracker.restart()
        self._catch_up(stamp_ns)
        jump = self._add(frame, result, odom_from_base, base_from_camera)
        estimate = self._tracker.estimate(stamp_ns, odom_from_base, self._options)
        if estimate is None:
            return None
        map_from_camera = estimate.map_from_base @ base_from_camera
        covariance = moved_covariance(estimate.covariance, map_from_camera[:3, 3] - estimate.map_from_base[:3, 3])
        place = self._place_from_map
        placed, covariance = place @ map_from_camera, turned_covariance(covariance, place)
        return Tracked(placed, covariance, self._search(result), jump, cpu_ms)

    def _search(self, result: PoseEstimate | Rejection) -> str:
        if isinstance(result, PoseEstimate) and result.is_followed:
            return FLOW
        return GLOBAL if self._prior is None else PRIOR

    def _add(
        self, frame: Frame, result: PoseEstimate | Rejection, odom_from_base: Matrix, base_from_camera: Matrix
    ) -> str:
        """Why the pose of a frame is not believed; "" where it is, or there is none."""
        stamp_ns = frame.image.stamp_ns
        before = self._tracker.begin(stamp_ns)
        if not isinstance(result, PoseEstimate) or result.place != self._place:
            self._keyframes.drop()
            return ""
        fix = self._fix(stamp_ns, result, odom_from_base, base_from_camera)
        try:
            is_news = self._tracker.follow(before, fix, stamp_ns, self._options)
        except RefusedError as refused:
            self._keyframes.drop()
            return refused.refusal.detail
        self._keyframes.add(frame.query, result, self._landmark_map, is_news)
        return ""

    def _placed(self, frame: Frame) -> tuple[Matrix, Matrix] | None:
        """`odom_from_base` and `base_from_camera` at a frame; None where one of them is not known."""
        stamp_ns = frame.image.stamp_ns
        moved = self._odometry.at([stamp_ns])
        mounted = self._odometry.base_from_camera(frame.image.frame_id, stamp_ns)
        return (moved[0][1], mounted) if moved and mounted is not None else None

    def _catch_up(self, stamp_ns: int) -> None:
        """What odometry has said up to a stamp."""
        while self._next is not None and self._next.stamp_ns <= stamp_ns:
            self._tracker.odometry.add(self._next)
            self._next = next(self._readings, None)
        for known_ns, odom_from_base in self._odometry.at(self._tracker.due(stamp_ns)):
            self._tracker.move(known_ns, odom_from_base, self._options)

    def _fix(self, stamp_ns: int, result: PoseEstimate, odom_from_base: Matrix, base_from_camera: Matrix) -> Fix:
        estimate = in_map_frame(result, self._landmark_map.manifest)
        map_from_base = estimate.map_from_camera @ invert(base_from_camera)
        lever = map_from_base[:3, 3] - estimate.map_from_camera[:3, 3]
        covariance = moved_covariance(estimate.covariance, lever)
        return Fix(stamp_ns, map_from_base, odom_from_base, self._landmark_map.manifest.frame_id, covariance=covariance)

    def _prior_of(self, frame: Frame) -> Prior | None:
        fix, stamp_ns, found = self._tracker.fix, frame.image.stamp_ns, self._placed(frame)
        if fix is None or found is None or self._tracker.is_contradicted:
            return None
        if stamp_ns - fix.stamp_ns > self._options.lost_after_s * NS_PER_S:
            return None
        odom_from_base, base_from_camera = found
        self._catch_up(stamp_ns)
        estimate = self._tracker.estimate(stamp_ns, odom_from_base, self._options)
        if estimate is None:
            return None
        prior = prior_of(estimate, base_from_camera, None, self._landmark_map.manifest, self._place)
        return prior and replace(prior, keyframe=self._keyframes.of(self._landmark_map, self._place))
