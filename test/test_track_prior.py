"""What the track tells a query: where the rig is expected, and that it is not always told."""

from dataclasses import replace

import numpy as np
import pytest
from support.sparse_scenes import POSE, SeenSession, Sight, blank, room

from vloc_ros.core.manifest import Manifest, Place
from vloc_ros.core.places import map_from_place
from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate
from vloc_ros.geometry.pose_error import RIGHT_POSE, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import from_quaternion, pose_vector
from vloc_ros.localizer import Localizer
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.tracking.pose_filter import FilterOptions, Measurement, begin
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.prior import MOST_SIGMA_M, prior_of
from vloc_ros.tracking.search_planner import SearchPlanner
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, FramesAtStamp, TrackingOptions

COVARIANCE = np.diag([0.01**2] * 3 + [0.005**2] * 3)
BASE_FROM_RIG = from_quaternion([0.5, -0.5, 0.5, -0.5], [0.2, 0.1, 0.6])
TILTED = from_quaternion([0.1, -0.05, 0.3, 0.9], [1.0, 2.0, 0.3])
OPTIONS = TrackingOptions()


def manifest_of(*places: Place) -> Manifest:
    return replace(Manifest("pram", "map", "2025-06-01T12:00:00Z", (64, 48), {}), places=places)


def estimate_at(fix: Fix, covariance: np.ndarray = COVARIANCE):  # type: ignore[no-untyped-def]
    return begin(Measurement(1, fix.map_from_base, np.eye(4), covariance), FilterOptions())


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("moved", [None, from_quaternion([0, 0, 0.4, 0.8], [5.0, -3.0, 1.0])])
def test_the_rig_is_expected_where_the_last_fix_was(flat: bool, moved: np.ndarray | None) -> None:
    """On the floor too, and in the place's own frame."""
    fix = Fix(1, TILTED, np.eye(4), covariance=COVARIANCE)
    fix = fix.flattened() if flat else fix
    manifest = manifest_of(Place("hall", "map", None if moved is None else tuple(pose_vector(moved).tolist())))
    prior = prior_of(estimate_at(fix), BASE_FROM_RIG, fix.floor_from_base, manifest, "hall")
    assert prior is not None
    in_map = map_from_place(manifest, "hall")
    expected = TILTED @ BASE_FROM_RIG
    np.testing.assert_allclose(
        prior.map_from_rig if in_map is None else in_map @ prior.map_from_rig, expected, atol=1e-9
    )
    assert np.trace(prior.covariance[:3, :3]) > np.trace(COVARIANCE[:3, :3]), "the lever adds to it"


def test_a_track_that_knows_little_is_no_prior() -> None:
    unsure = estimate_at(Fix(1, TILTED), np.diag([2 * MOST_SIGMA_M**2] * 3 + [1e-4] * 3))
    assert prior_of(unsure, BASE_FROM_RIG, None, manifest_of(Place("hall", "map")), None) is None


def test_a_wrong_track_is_right_again_within_five_images() -> None:
    """One metre and 30 degrees off, and as sure of that as after a good fix; images that are searched near it first."""
    landmark_map = room()
    sessions = {"extractor": SeenSession([Sight().tensors(landmark_map, POSE)])}
    localizer = Localizer(landmark_map, PRAMMethod(), sessions)  # type: ignore[arg-type]
    tracker, count = PoseTracker(), 0
    planner, frames = SearchPlanner(tracker, 5), FramesAtStamp(np.eye(4), np.eye(4))
    wrong = perturb(POSE, np.array([1.0, 0, 0, 0, np.radians(30), 0]))
    tracker.follow(tracker.begin(1), Fix(1, wrong, np.eye(4), covariance=COVARIANCE), 1, OPTIONS)
    is_right = False
    while not is_right and count < 5:
        count += 1
        stamp_ns = count * NS_PER_S
        query = planner.planned(replace(Query.of(blank()), stamp_ns=stamp_ns), landmark_map, lambda: frames, OPTIONS)
        result = localizer.localize(query)
        planner.answered(query, result)
        assert isinstance(result, PoseEstimate)
        assert pose_error(result.map_from_camera, POSE).within(RIGHT_POSE), "nothing wrong is found near a wrong prior"
        fix = Fix(stamp_ns, result.map_from_camera, np.eye(4), covariance=result.covariance)
        try:
            planner.add(query, result, landmark_map, tracker.follow(tracker.begin(stamp_ns), fix, stamp_ns, OPTIONS))
        except RefusedError:
            planner.drop()
            continue
        believed = tracker.believed()
        assert believed is not None
        is_right = pose_error(believed.fix.map_from_base, POSE).within(RIGHT_POSE)
    assert is_right
    assert count == OPTIONS.agreeing_fixes


def test_a_robot_that_stands_has_nothing_new_to_see() -> None:
    tracker, ahead = PoseTracker(), np.eye(4)

    def fix(stamp_ns: int) -> None:
        pose = Fix(stamp_ns, POSE @ ahead, ahead.copy(), covariance=COVARIANCE)
        tracker.follow(tracker.begin(stamp_ns), pose, stamp_ns, OPTIONS)

    assert tracker.has_moved(), "before the first fix"
    fix(1)
    assert tracker.has_moved(), "before the second"
    fix(2)
    assert not tracker.has_moved()
    for step in range(1, 4):
        ahead[0, 3] = 0.01 * step
        tracker.move(2 + step, ahead.copy(), OPTIONS)
    assert tracker.has_moved()
    fix(9)
    assert tracker.has_moved(), "it drove until just now, and nothing newer is known"
    fix(10)
    assert not tracker.has_moved()
