"""Which image's points the next one may be followed from."""

from vloc_ros.core.keyframe import Keyframe
from vloc_ros.core.query import Query
from vloc_ros.core.types import LandmarkMap, PoseEstimate


class Keyframes:
    """Keeps the last image that the networks localized, while the track goes on from it. One thread calls.

    An image that places the robot anew is none: the next one has to confirm it by itself, for what is followed from a
    wrong pose agrees with it. Nor is there one after an image without a fix, whatever the reason.
    """

    def __init__(self) -> None:
        self._keyframe: Keyframe | None = None
        self._landmark_map: LandmarkMap | None = None  # that it was localized in

    def of(self, landmark_map: LandmarkMap, place: str | None) -> Keyframe | None:
        """That of a place of a map, None standing for the only one."""
        keyframe, index_of = self._keyframe, landmark_map.manifest.index_of
        if keyframe is None or self._landmark_map is not landmark_map:
            return None
        return keyframe if index_of(keyframe.estimate.place) == index_of(place) else None

    def add(self, query: Query, estimate: PoseEstimate, landmark_map: LandmarkMap, is_news: bool) -> None:
        """An accepted fix of a query, in the frame of its place; `is_news`: it places the robot anew."""
        if is_news:
            self.drop()
        elif not estimate.is_followed:
            self._keyframe, self._landmark_map = Keyframe(query.in_pinhole_views(), estimate), landmark_map

    def drop(self) -> None:
        """An image gave no fix."""
        self._keyframe = self._landmark_map = None
