"""PRAM from what an extractor finds to a pose, in rooms whose truth is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.sparse_scenes import (
    CAMERA,
    DIMENSIONS,
    EXTRACTOR,
    KEY_POINTS,
    POSE,
    KnowingRecognizer,
    SeenSession,
    Sight,
    blank,
    room,
)

from vloc_ros.core.query import Query, View
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.core.visualization import Visualization
from vloc_ros.drawing.overlay import draw_overlay
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.localizer import Localizer
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.methods.pram.recognition import recognizer_spec
from vloc_ros.methods.pram.search import SearchSettings


def localize(
    landmark_map: LandmarkMap, *sights: Sight, poses: tuple[np.ndarray, ...] = (POSE,), query: Query | None = None
) -> PoseEstimate | Rejection:
    seen = [sight.tensors(landmark_map, pose) for sight, pose in zip(sights, poses, strict=True)]
    localizer = Localizer(landmark_map, PRAMMethod(), {"extractor": SeenSession(seen)})
    return localizer.localize(query or blank())


def test_the_pose_of_a_room() -> None:
    result = localize(room(), Sight())
    assert isinstance(result, PoseEstimate)
    error = pose_error(result.map_from_camera, POSE)
    assert error.translation_m < 0.005
    assert error.rotation_rad < 0.002
    assert list(result.timings_ms) == ["preprocess", "network", "matching", "pnp", "guided_matching", "total"]
    assert result.place is None


def test_guided_matching_adds_what_was_not_matched_but_not_evidence() -> None:
    landmark_map = room()
    method = PRAMMethod(SearchSettings(key_points=120))
    localizer = Localizer(landmark_map, method, {"extractor": SeenSession([Sight().tensors(landmark_map, POSE)])})
    result = localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    assert result.inliers.sum() > 220
    assert result.unguided is not None
    assert result.inlier_count == result.unguided.inliers <= result.unguided.correspondences <= 120
    refused = localizer.gated(min_inliers=121).localize(blank())
    assert isinstance(refused, Rejection)
    assert refused.reason is RejectionReason.TOO_FEW_INLIERS


def test_an_image_of_another_place_is_refused() -> None:
    """Many key points, all of them of a room that the map does not know."""
    seen = Sight().tensors(room(seed=7), POSE)
    result = Localizer(
        room(), PRAMMethod(SearchSettings(min_similarity=0.3)), {"extractor": SeenSession([seen])}
    ).localize(blank())
    assert isinstance(result, Rejection)
    assert result.reason is not RejectionReason.TOO_FEW_LANDMARKS


@pytest.mark.parametrize(("shown", "clutter"), [(0, 0), (3, 0)])
def test_without_texture_there_is_no_pose(shown: int, clutter: int) -> None:
    result = localize(room(), Sight(shown=shown, clutter=clutter))
    assert isinstance(result, Rejection)
    assert result.reason is RejectionReason.TOO_FEW_LANDMARKS
    assert result.detail.startswith(f"{shown} landmarks found, a pose needs 4")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_place_follows_the_matches(place: int) -> None:
    result = localize(room(places=3), Sight(place=place))
    assert isinstance(result, PoseEstimate)
    assert result.place == f"place{place}"
    assert set(result.correspondences.places.tolist()) == {place}
    assert pose_error(result.map_from_camera, POSE).translation_m < 0.005


def test_an_image_of_20_megapixels() -> None:
    """The pose is the same, and pixels and sigmas are those of the large image."""
    landmark_map = room()
    large = CAMERA.resized(5184, 3888)
    seen = Sight().tensors(landmark_map, POSE, large)
    result = Localizer(landmark_map, PRAMMethod(), {"extractor": SeenSession([seen])}).localize(blank(large))
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, POSE).translation_m < 0.005
    assert result.correspondences.pixels.max() > 4000
    small = localize(landmark_map, Sight())
    assert isinstance(small, PoseEstimate)
    assert np.median(result.correspondences.sigmas) == pytest.approx(
        8.1 * np.median(small.correspondences.sigmas), rel=0.01
    )


def test_the_pixels_of_the_gate_are_those_of_the_maps_images() -> None:
    """An image of eight times as many pixels for the same angle may be off by eight times as many; one of fewer pixels
    by as many as before."""
    landmark_map, coarse, fine = room(), CAMERA.resized(320, 240), CAMERA.resized(5184, 3888)
    small = localize(landmark_map, Sight())
    assert isinstance(small, PoseEstimate)
    limit, told = 1.2 * small.reprojection_rmse_px, {"focal_length_px": [CAMERA.fx, CAMERA.fx]}
    knowing = replace(landmark_map, manifest=replace(landmark_map.manifest, training=told))
    for camera, of_map, accepted in ((CAMERA, knowing, True), (coarse, knowing, True), (fine, knowing, True),
                                     (fine, landmark_map, False)):  # fmt: skip
        seen = Sight().tensors(of_map, POSE, camera)
        localizer = Localizer(of_map, PRAMMethod(), {"extractor": SeenSession([seen])})
        result = localizer.gated(max_reprojection_rmse_px=limit).localize(blank(camera))
        assert isinstance(result, PoseEstimate) == accepted
        if isinstance(result, Rejection):
            assert result.reason is RejectionReason.HIGH_REPROJECTION_ERROR
            assert result.detail.endswith(f"above {limit:.2f} px")


def test_an_image_that_is_nearly_a_line() -> None:
    narrow = CAMERA.window(300, 0, 308, 480)
    result = localize(room(), Sight(shown=0, clutter=0), query=Query.of(blank(narrow)))
    assert isinstance(result, Rejection)


def test_a_rig_of_two_cameras() -> None:
    landmark_map = room()
    mounts = (np.eye(4), from_quaternion([0.0, 0.15, 0.0, 1.0], [0.2, 0.0, 0.0]))
    query = Query(tuple(View(blank(), mount) for mount in mounts), 1)
    poses = tuple(POSE @ mount for mount in mounts)
    result = localize(landmark_map, Sight(seed=1), Sight(seed=2), poses=poses, query=query)
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, POSE).translation_m < 0.004
    assert set(result.correspondences.views[result.inliers].tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"points": None}, "needs points, the map has none"),
        (
            {"manifest": replace(room().manifest, features=None)},
            "needs the features of the map's points, the map does not",
        ),
    ],
)
def test_a_map_that_does_not_suit_the_method(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PRAMMethod().check(replace(room(), **changes))


def test_key_points_are_drawn_where_they_are_in_the_image() -> None:
    landmark_map = room()
    tensors = Sight().tensors(landmark_map, POSE)
    large = blank(CAMERA.resized(1280, 960))
    seen = PRAMMethod().visualize(tensors, large, landmark_map)
    assert len(seen.key_points) == 350
    assert seen.key_points + 0.5 == pytest.approx(2 * (tensors["key_points"][:350] + 0.5))


def test_recognised_landmarks_have_their_colours() -> None:
    models = {**EXTRACTOR, "recognizer": recognizer_spec(KEY_POINTS, DIMENSIONS)}
    landmark_map = room(models=models)
    seen = SeenSession([Sight().tensors(landmark_map, POSE)])
    localizer = Localizer(
        landmark_map, PRAMMethod(), {"extractor": seen, "recognizer": KnowingRecognizer(landmark_map)}
    )
    image = blank()
    tensors = localizer.observe(image).tensors[0]
    drawn = localizer.method.visualize(tensors, image, landmark_map)
    assert drawn.key_point_colors is not None
    assert (drawn.key_point_colors.max(axis=1) > 200).sum() == 250  # what shows points; clutter is black
    assert len(np.unique(drawn.key_point_colors, axis=0)) > 3
    picture = draw_overlay(localizer, image, localizer.localize(image))
    assert (picture != picture[..., :1]).any(axis=2).sum() > 1000  # coloured


def test_colours_of_other_key_points_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"colors \(1, 3\) of 2 key points"):
        Visualization(key_points=np.zeros((2, 2)), key_point_colors=np.zeros((1, 3), np.uint8))
