"""Points that are followed from an image into later ones, of a wall with a fine pattern: it is known where they go."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from support.sparse_scenes import EXTRACTOR, Sight, room
from support.textured_wall import wall_view

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.keyframe import MIN_SHARE, POINTS, Keyframe
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.core.query import Prior, Query, View
from vloc_ros.core.types import CameraImage, Evidence, PoseEstimate, Rejection
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import apply, from_quaternion, invert
from vloc_ros.localizer import Localizer
from vloc_ros.methods.pram.method import PRAMMethod

CAMERA = Camera(320, 240, 260.0, 260.0, 159.5, 119.5)
HERE = from_quaternion([0.02, -0.03, 0.01, 1.0], [0.1, -0.2, 0.1])
STEP = np.array([0.03, -0.02, 0.04, 0.01, -0.02, 0.015])
THERE = perturb(HERE, STEP)
EXPECTED = perturb(THERE, np.array([0.01, 0.01, -0.01, 0.005, 0.01, -0.005]))  # by odometry
ELSEWHERE = from_quaternion([0.1, 0.05, 0.3, 1.0], [-1.5, 1.0, -0.3])
RIGHT = from_quaternion([0.0, 0.3, 0.0, 1.0], [0.2, 0.0, 0.1])
EVIDENCE = Evidence(80, 100)


def image_at(pose: np.ndarray, camera: Camera = CAMERA) -> CameraImage:
    return CameraImage(wall_view(camera, pose)[0], camera)


def points_seen(pose: np.ndarray, camera: Camera, count: int, view: int = 0) -> Correspondences:
    """So many pixels of the undistorted image, and what is there on the wall."""
    plain = camera.undistorted()
    depth = wall_view(plain, pose)[1]
    pixels = np.random.default_rng(view).uniform((12, 12), (camera.width - 13, camera.height - 13), (count, 2)).round()
    z = depth[pixels[:, 1].astype(int), pixels[:, 0].astype(int)].astype(np.float64)
    rays = np.column_stack([(pixels - (plain.cx, plain.cy)) / (plain.fx, plain.fy), np.ones(count)])
    seen = z > 0
    positions = apply(pose, rays * z[:, None])[seen]
    ids, views = np.arange(len(positions), dtype=np.int32), np.full(len(positions), view, np.int32)
    return Correspondences(pixels[seen], positions, np.ones(len(positions)), ids, views)


def keyframe_of(query: Query, pose: np.ndarray = HERE, count: int = 150) -> Keyframe:
    cameras = zip(query.cameras, [view.image.camera for view in query.views], strict=True)
    parts = [points_seen(each.map_from_camera(pose), lens, count, k) for k, (each, lens) in enumerate(cameras)]
    found = Correspondences.joined(parts)
    inliers = np.ones(len(found), bool)
    estimate = PoseEstimate(pose, 1e-5 * np.eye(6), found, inliers, 0.5, confidence=0.9, unguided=EVIDENCE)
    return Keyframe(query, estimate)


def off_px(found: Correspondences, query: Query, pose: np.ndarray) -> np.ndarray:
    """How far from where the points truly are (N,)."""
    projected = np.empty((len(found), 2))
    for index, each in enumerate(query.cameras):
        rows = found.views == index
        projected[rows] = each.camera.project(apply(invert(each.map_from_camera(pose)), found.points[rows]))[0]
    return np.asarray(np.linalg.norm(projected - found.pixels, axis=1))


@pytest.mark.parametrize(
    "camera",
    [CAMERA, replace(CAMERA, distortion=(-0.2, 0.05, 0.001, -0.001)), CAMERA.resized(800, 600)],
    ids=["pinhole", "distorted", "larger than it is followed"],
)
def test_points_are_found_where_they_have_gone(camera: Camera) -> None:
    keyframe, query = keyframe_of(Query.of(image_at(HERE, camera))), Query.of(image_at(THERE, camera))
    found = keyframe.followed(query, EXPECTED)
    assert len(found) > 0.85 * len(keyframe.points)
    assert np.median(off_px(found, query, THERE)) < 0.25 * camera.width / 320
    assert np.percentile(off_px(found, query, THERE), 95) < 1.0 * camera.width / 320


@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_points_are_found_whatever_the_exposure(gain: float) -> None:
    """Also where somebody has come into a quarter of the image."""
    keyframe, image = keyframe_of(Query.of(image_at(HERE))), image_at(THERE)
    rgb = np.asarray(cv2.convertScaleAbs(image.rgb, alpha=gain), np.uint8)
    rgb[:120, :160] = 0 if gain > 1 else 255
    query = Query.of(CameraImage(rgb, CAMERA))
    found = keyframe.followed(query, HERE)
    assert len(found) > 0.6 * len(keyframe.points)
    assert np.median(off_px(found, query, THERE)) < 0.25


def rig(pose: np.ndarray) -> Query:
    return Query((View(image_at(pose)), View(image_at(pose @ RIGHT), RIGHT)), 0)


def test_a_covered_camera_of_a_rig_has_no_points_to_follow_and_the_other_one_has() -> None:
    keyframe = keyframe_of(rig(HERE))
    seen = keyframe.estimate.correspondences
    seen = seen[seen.views == 1]
    of_one = replace(keyframe.estimate, correspondences=seen, inliers=np.ones(len(seen), bool))
    found = Keyframe(keyframe.query, of_one).followed(rig(THERE), EXPECTED)
    assert set(found.views.tolist()) == {1}
    assert len(found) > 0.8 * len(seen)


def test_points_of_a_rig_are_found_in_the_view_that_showed_them() -> None:
    keyframe, query = keyframe_of(rig(HERE)), rig(THERE)
    found = keyframe.followed(query, EXPECTED)
    assert set(found.views.tolist()) == {0, 1}
    assert len(found) > 0.8 * len(keyframe.points)
    assert np.median(off_px(found, query, THERE)) < 0.25


def covered(rgb: np.ndarray) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, rgb.shape, dtype=np.uint8)


OTHERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "another part of the wall": lambda rgb: image_at(ELSEWHERE).rgb,
    "darkness": lambda rgb: rgb // 60,
    "noise": covered,
    "a flat wall": lambda rgb: np.full_like(rgb, 128),
    "turned round": lambda rgb: np.ascontiguousarray(rgb[::-1, ::-1]),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_shows_something_else_has_few_of_them(other: str) -> None:
    keyframe = keyframe_of(Query.of(image_at(HERE)))
    query = Query.of(CameraImage(OTHERS[other](image_at(HERE).rgb), CAMERA))
    assert len(keyframe.followed(query, HERE)) < MIN_SHARE * len(keyframe.points)


def test_nothing_is_found_far_from_where_it_is_expected_or_by_other_cameras() -> None:
    keyframe, image = keyframe_of(Query.of(image_at(HERE))), image_at(HERE)
    away = perturb(HERE, np.array([1.0, 0, 0, 0, np.radians(30), 0]))
    assert len(keyframe.followed(Query.of(image), away)) < MIN_SHARE * len(keyframe.points)
    behind = perturb(HERE, np.array([0, 0, 0, 0, np.pi, 0]))
    assert not len(keyframe.followed(Query.of(image), behind))
    longer = replace(image, camera=replace(CAMERA, fx=300.0, fy=300.0))
    assert not len(keyframe.followed(Query.of(longer), HERE))
    assert not len(keyframe.followed(Query((View(image), View(image, RIGHT)), 0), HERE))


def test_the_points_that_are_followed_are_all_over_the_image() -> None:
    """Though most of them, and the most certain ones, are in a corner."""
    many = keyframe_of(Query.of(image_at(HERE)), count=2000).estimate
    found = many.correspondences
    corner = (found.pixels < (80, 80)).all(axis=1)
    sigmas = np.where(corner, 0.1, 1.0)
    keyframe = Keyframe(Query.of(image_at(HERE)), replace(many, correspondences=replace(found, sigmas=sigmas)))
    assert len(keyframe.points) == POINTS
    column, row = (keyframe.points.pixels // 80).astype(int).T
    shares = np.bincount(column + 4 * row, minlength=12) / POINTS
    assert shares.min() > 0.5 / 12
    assert shares.max() < 2 / 12
    assert len(keyframe_of(Query.of(image_at(HERE)), count=20).points) == 20


SCALES = PRAMMethod().scales  # in each of which the network is asked, where it finds no pose


@dataclass
class Extractor:
    """Counts how often it is asked, and finds nothing that the map has."""

    asked: int = 0
    spec: ModelSpec = EXTRACTOR["extractor"]
    max_batch: int = 1
    backend: str = "counting"

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        self.asked += len(inputs["image"])
        nothing = Sight(shown=0).tensors(room(), HERE)
        return {name: nothing[name][np.newaxis] for name in self.spec.outputs}


def asked_with(image: CameraImage, keyframe: Keyframe | None) -> tuple[PoseEstimate | Rejection, int]:
    """The result of an image near THERE, and how often the network was asked."""
    extractor = Extractor()
    localizer = Localizer(room(), PRAMMethod(), {"extractor": extractor})
    prior = Prior(EXPECTED, 1e-4 * np.eye(6), keyframe=keyframe)
    return localizer.localize(Query.of(image, prior)), extractor.asked


def test_a_pose_is_found_without_a_network_by_no_more_evidence_than_the_keyframes() -> None:
    result, asked = asked_with(image_at(THERE), keyframe_of(Query.of(image_at(HERE))))
    assert isinstance(result, PoseEstimate)
    assert asked == 0
    assert result.is_followed
    error = pose_error(result.map_from_camera, THERE)
    assert error.translation_m < 0.005
    assert error.rotation_rad < 0.002
    assert MIN_SHARE * EVIDENCE.inliers <= result.evidence.inliers <= EVIDENCE.inliers
    assert result.evidence.correspondences == EVIDENCE.correspondences
    assert result.confidence is not None
    assert set(result.timings_ms) == {"flow", "pnp", "total"}


def test_where_following_fails_the_network_is_asked() -> None:
    keyframe = keyframe_of(Query.of(image_at(HERE)))
    for image, followed in ((image_at(ELSEWHERE), keyframe), (image_at(THERE), None)):
        result, asked = asked_with(image, followed)
        assert asked == len(SCALES)
        assert isinstance(result, Rejection), "this one finds nothing"


def test_a_keyframe_of_little_evidence_gives_no_pose() -> None:
    """As many points as ever: only what the keyframe was found with counts at the gate."""
    keyframe = keyframe_of(Query.of(image_at(HERE)))
    poor = Keyframe(keyframe.query, replace(keyframe.estimate, unguided=Evidence(10, 100)))
    _, asked = asked_with(image_at(THERE), poor)
    assert asked == len(SCALES)


def test_a_brighter_or_blurred_image_is_followed_or_left_to_the_network_but_never_wrong() -> None:
    keyframe, seen = keyframe_of(Query.of(image_at(HERE))), image_at(THERE)
    for rgb in (cv2.convertScaleAbs(seen.rgb, alpha=1.3, beta=10), cv2.GaussianBlur(seen.rgb, (0, 0), 3)):
        result, asked = asked_with(CameraImage(np.asarray(rgb, np.uint8), CAMERA), keyframe)
        assert asked or pose_error(result.map_from_camera, THERE).translation_m < 0.02  # type: ignore[union-attr]
