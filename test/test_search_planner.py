"""How image after image is searched: which are followed, which the networks check, and what they see first."""

from dataclasses import replace

import numpy as np
import pytest
from support.sparse_scenes import POSE, blank, room

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.keyframe import Keyframe
from vloc_ros.core.query import Query
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.search_planner import RENEWED_SHARE, SearchPlanner
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, FramesAtStamp, TrackingOptions

COVARIANCE = np.diag([0.01**2] * 3 + [0.005**2] * 3)
OPTIONS = TrackingOptions()
FRAMES = FramesAtStamp(np.eye(4), np.eye(4))
POINTS = 40
MAP = room()


def estimate_of(inliers: int = POINTS, is_followed: bool = False) -> PoseEstimate:
    found = Correspondences(np.zeros((POINTS, 2)), np.ones((POINTS, 3)), np.ones(POINTS), np.arange(POINTS, dtype="i4"))
    return PoseEstimate(POSE, COVARIANCE, found, np.arange(POINTS) < inliers, 0.5, 0.9, is_followed=is_followed)


class Drive:
    """A track along images that are followed where there is something to follow, for as long as `left` points are."""

    def __init__(self, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Keyframe, "points", estimate_of().correspondences)
        monkeypatch.setattr(Keyframe, "prepare", lambda keyframe: None)
        self.tracker, self.count, self.left = PoseTracker(), 0, POINTS
        self.planner = SearchPlanner(self.tracker, every)
        self.checked = False

    def image(self, is_seen: bool = True) -> str:
        """How the next image was searched; `is_seen`: by the networks, too."""
        self.count += 1
        query = replace(Query.of(blank()), stamp_ns=self.count * NS_PER_S // 30)
        query = self.planner.planned(query, MAP, lambda: FRAMES, OPTIONS)
        follows = query.prior is not None and query.prior.keyframe is not None and self.left > 0
        result = estimate_of(self.left, True) if follows else estimate_of()
        refused = Rejection(RejectionReason.NO_POSE, "nothing is seen")
        search = self.planner.answered(query, result if follows or is_seen else refused)
        self.checked = False
        if not follows and not is_seen:
            self.planner.drop()
            return search
        self.planner.add(query, result, MAP, self.follow(query))
        if (check := self.planner.check_of(query, result)) is not None:
            assert check.prior is None
            self.planner.add(check, estimate_of(), MAP, is_news=False)
            self.checked = True
        return search

    def follow(self, query: Query) -> bool:
        fix = Fix(query.stamp_ns, POSE, np.eye(4), covariance=COVARIANCE)
        return self.tracker.follow(self.tracker.begin(fix.stamp_ns), fix, fix.stamp_ns, OPTIONS)


def test_every_so_many_th_image_is_published_as_it_was_followed_and_then_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drive = Drive(4, monkeypatch)
    assert [drive.image() for _ in range(2)] == ["global", "prior"], "who was placed anew is seen twice"
    told = [(drive.image(), drive.checked) for _ in range(10)]
    assert [search for search, _ in told] == ["flow"] * 10
    assert [is_checked for _, is_checked in told] == [
        False,
        False,
        True,
        False,
        False,
        False,
        True,
        False,
        False,
        False,
    ]


def test_where_nothing_is_followed_every_so_many_th_image_is_searched_without_the_track(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while the points of the one before are lost in every image."""
    drive = Drive(3, monkeypatch)
    drive.left = 0
    assert [drive.image() for _ in range(9)] == ["global", "prior", "prior"] * 3
    drive = Drive(3, monkeypatch)
    drive.image()
    assert [drive.image(is_seen=False) for _ in range(6)] == ["prior", "prior", "global"] * 2
    assert not drive.checked


def test_every_image_by_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(1, monkeypatch)
    assert {drive.image() for _ in range(4)} == {"global"}
    assert drive.planner.keyframe_of(MAP, None) is None


def test_the_networks_look_for_new_points_before_too_few_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(100, monkeypatch)
    for _ in range(3):
        drive.image()
    assert not drive.checked
    first = drive.planner.keyframe_of(MAP, None)
    drive.left = int(RENEWED_SHARE * POINTS) - 1
    assert drive.image() == "flow"
    assert drive.checked
    assert drive.planner.keyframe_of(MAP, None) is not first


def test_a_track_in_doubt_or_long_without_a_fix_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(100, monkeypatch)
    assert [drive.image() for _ in range(3)] == ["global", "prior", "flow"]
    elsewhere = POSE.copy()
    elsewhere[0, 3] += 3.0
    fix = Fix(drive.count * NS_PER_S // 30 + 1, elsewhere, np.eye(4), covariance=COVARIANCE)
    with pytest.raises(RefusedError):
        drive.tracker.check(drive.tracker.begin(fix.stamp_ns), fix, OPTIONS)
    drive.planner.drop()
    assert [drive.image() for _ in range(2)] == ["global", "flow"]
    drive.count += 30 * int(OPTIONS.lost_after_s + 1)
    assert drive.image() == "global"


def test_only_a_confirmed_fix_of_the_networks_is_followed() -> None:
    hall: LandmarkMap = room()
    attic, query, by_network = room(), Query.of(blank()), estimate_of()
    planner = SearchPlanner(PoseTracker())
    planner.add(query, by_network, hall, is_news=True)
    assert planner.keyframe_of(hall, None) is None, "it placed the robot anew, and may be wrong"
    planner.add(query, by_network, hall, is_news=False)
    first = planner.keyframe_of(hall, None)
    assert first is not None
    assert first.estimate is by_network
    planner.add(query, estimate_of(is_followed=True), hall, is_news=False)
    assert planner.keyframe_of(hall, None) is first, "what was followed is not followed on: errors would add up"
    assert planner.keyframe_of(attic, None) is None
    assert planner.keyframe_of(hall, "nowhere") is None
    planner.add(replace(query, stamp_ns=query.stamp_ns - 1), estimate_of(), hall, is_news=False)
    assert planner.keyframe_of(hall, None) is first, "an earlier image, which was checked meanwhile, is of no use"
    planner.drop()
    assert planner.keyframe_of(hall, None) is None
    planner.add(query, by_network, hall, is_news=False)
    planner.add(query, by_network, hall, is_news=True)
    assert planner.keyframe_of(hall, None) is None
