"""How image after image is searched: in the whole map, near the track, or followed without a network."""

from collections.abc import Callable
from dataclasses import replace

from vloc_ros.core.keyframe import Keyframe
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.prior import prior_of, without_odometry
from vloc_ros.tracking.status import FLOW, GLOBAL, PRIOR
from vloc_ros.tracking.track import FramesAtStamp, TrackingOptions

GLOBAL_EVERY = 10  # images, of which one is searched without the track
# Of a keyframe's points: with fewer, the networks look for new ones before following fails and an image waits for them.
RENEWED_SHARE = 0.65


class SearchPlanner:
    """What the track tells the query of an image, and whether the networks are to see an image that was followed.

    Keeps the last image that the networks localized, while the track goes on from it. An image that places the robot
    anew is not kept: the next one has to confirm it by itself, for what is followed from a wrong pose agrees with it.
    Nor is anything after an image without a fix, whatever the reason. One thread calls.
    """

    def __init__(self, tracker: PoseTracker, every: int = GLOBAL_EVERY) -> None:
        """Every so-many-th image is searched without the track, so that a wrong one cannot feed itself."""
        self.every = every
        self._tracker, self._since = tracker, 0  # images since the last one that was searched without the track
        self._keyframe: Keyframe | None = None
        self._landmark_map: LandmarkMap | None = None  # that it was localized in

    def planned(
        self,
        query: Query,
        landmark_map: LandmarkMap,
        frames: Callable[[], FramesAtStamp | None],
        options: TrackingOptions,
    ) -> Query:
        """The next query with where the track puts it, and the image to follow; as it is where the track is not to be
        asked, or in doubt. `frames`: of its stamp, asked for if they are needed; None where they are not known. The
        `tracker` has been told of the odometry by then."""
        self._since += 1
        prior = self._prior(query.stamp_ns, landmark_map, frames, options) if self.every > 1 else None
        if self._since >= self.every and prior is not None:
            prior = replace(prior, narrows=False) if prior.keyframe else None
        return query if prior is None else replace(query, prior=prior)

    def answered(self, query: Query, result: PoseEstimate | Rejection) -> str:
        """How a planned query was searched, of SEARCHES (`tracking/status.py`)."""
        if isinstance(result, PoseEstimate) and result.is_followed:
            return FLOW
        if query.searched.prior is not None:
            return PRIOR
        self._since = 0
        return GLOBAL

    def add(self, query: Query, estimate: PoseEstimate, landmark_map: LandmarkMap, is_news: bool) -> None:
        """An accepted fix of a query, in the frame of its place; `is_news`: it places the robot anew. That of a check
        may come after those of later images."""
        if is_news:
            self.drop()
        elif not estimate.is_followed and self.every > 1 and not self._is_older(query, landmark_map):
            keyframe = Keyframe(query.in_pinhole_views(), estimate)
            keyframe.prepare()
            self._keyframe, self._landmark_map = keyframe, landmark_map

    def check_of(self, query: Query, estimate: PoseEstimate) -> Query | None:
        """What the networks are to be asked, in the whole map, of an image whose fix was accepted; None where that need
        not be. It is time for a global one, or few of the keyframe's points are left."""
        if not estimate.is_followed or self._keyframe is None:
            return None
        has_few = int(estimate.inliers.sum()) < RENEWED_SHARE * len(self._keyframe.points)
        if self._since < self.every and not has_few:
            return None
        self._since = 0
        return replace(query, prior=None)

    def drop(self) -> None:
        """An image gave no fix."""
        self._keyframe = self._landmark_map = None

    def keyframe_of(self, landmark_map: LandmarkMap, place: str | None) -> Keyframe | None:
        """That of a place of a map, None standing for the only one."""
        keyframe, index_of = self._keyframe, landmark_map.manifest.index_of
        if keyframe is None or self._landmark_map is not landmark_map:
            return None
        return keyframe if index_of(keyframe.estimate.place) == index_of(place) else None

    def _is_older(self, query: Query, landmark_map: LandmarkMap) -> bool:
        """Whether a later image is kept."""
        keyframe = self._keyframe if self._landmark_map is landmark_map else None
        return keyframe is not None and keyframe.query.stamp_ns > query.stamp_ns

    def _prior(
        self,
        stamp_ns: int,
        landmark_map: LandmarkMap,
        frames: Callable[[], FramesAtStamp | None],
        options: TrackingOptions,
    ) -> Prior | None:
        """None where the track is in doubt, or knows too little."""
        fix = self._tracker.fix
        if fix is None or self._tracker.is_contradicted:
            return None
        if stamp_ns - fix.stamp_ns > options.lost_after_s * NS_PER_S or (found := frames()) is None:
            return None
        if found.odom_from_base is None:
            estimate = without_odometry(fix, stamp_ns, options)
        else:
            estimate = self._tracker.estimate(stamp_ns, found.odom_from_base, options)
        place = (fix.place.in_map or fix.place.name) if fix.place else None
        if estimate is None or (place is not None and landmark_map.manifest.index_of(place) is None):
            return None
        prior = prior_of(estimate, found.base_from_camera, fix.floor_from_base, landmark_map.manifest, place)
        return prior and replace(prior, keyframe=self.keyframe_of(landmark_map, place))
