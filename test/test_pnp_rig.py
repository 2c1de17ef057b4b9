"""Generalized PnP: cameras on a rig give the rig's pose, and what one of them does not see does no harm."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support import SHIPPED_MAP

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.pnp import solve_pnp
from vloc_ros.core.query import Prior, Query, View
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection, RejectionReason
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.synthetic_room import CAMERA, synthetic_room
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import PoseError, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.rig import RigCamera, camera_step_from_rig_step
from vloc_ros.geometry.transforms import apply, from_quaternion, invert
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.synthetic.living_room import LIVING_ROOM

# To the left and straight on, to the right and turned by some 40 degrees; the rig's frame is in neither.
LEFT = RigCamera(CAMERA.resized(320, 240), from_quaternion([0.0, 0.0, 0.0, 1.0], [-0.15, 0.02, 0.05]))
RIGHT = RigCamera(Camera(240, 240, 190.0, 192.0, 119.0, 121.0), from_quaternion([0, 0.342, 0, 0.94], [0.2, 0.0, 0.1]))
RIG = (LEFT, RIGHT)
TRUTHS = open_dataset(LIVING_ROOM.name, None, "small")
COUNT = 40  # correspondences of a view


def pose_of_rig(index: int = 5) -> np.ndarray:
    """The left camera is where a frame of the room was taken."""
    return np.asarray(TRUTHS.map_from_camera(index) @ invert(LEFT.rig_from_camera))


def seen(rig: tuple[RigCamera, ...], map_from_rig: np.ndarray, noise_px: float = 0.0, seed: int = 0) -> Correspondences:
    """What the rig's rendered views show of the room, at random pixels."""
    rng, parts = np.random.default_rng(seed), []
    for view, each in enumerate(rig):
        pose = each.map_from_camera(map_from_rig)
        _, depth = synthetic_room(LIVING_ROOM).render(each.camera, pose)
        rows, columns = (rng.integers(0, size, COUNT) for size in depth.shape)
        points = apply(pose, each.camera.rays()[rows, columns] * depth[rows, columns, None].astype(float))
        pixels = np.stack([columns, rows], axis=1) + rng.normal(0, noise_px, (COUNT, 2))
        ids = np.arange(COUNT, dtype=np.int32)
        parts.append(
            Correspondences(pixels, points, np.full(COUNT, max(noise_px, 0.1)), ids, np.full(COUNT, view, np.int32))
        )
    return Correspondences.joined(parts)


def error_of(found: PoseEstimate | Rejection, map_from_rig: np.ndarray) -> PoseError:
    assert isinstance(found, PoseEstimate), found
    return pose_error(found.map_from_camera, map_from_rig)


def test_the_pose_is_that_of_the_rig() -> None:
    truth = pose_of_rig()
    found = solve_pnp(seen(RIG, truth), RIG)
    error = error_of(found, truth)
    assert error.translation_m < 1e-5
    assert error.rotation_rad < 1e-5
    assert isinstance(found, PoseEstimate)
    assert found.inlier_ratio == 1.0


def test_one_camera_off_the_rigs_origin_gives_the_rigs_pose_too() -> None:
    truth = pose_of_rig()
    assert error_of(solve_pnp(seen((RIGHT,), truth), (RIGHT,)), truth).translation_m < 1e-5


def test_two_views_are_better_than_one_and_say_so() -> None:
    truth, errors, sigmas = pose_of_rig(), [], []
    for seed in range(20):
        both = seen(RIG, truth, noise_px=1.0, seed=seed)
        one = both[both.views == 0]
        results = [solve_pnp(found, RIG) for found in (one, both)]
        errors.append([error_of(result, truth).translation_m for result in results])
        sigmas.append([result.position_sigma_m for result in results if isinstance(result, PoseEstimate)])
    one_m, both_m = np.sqrt(np.mean(np.square(errors), axis=0))
    assert both_m < one_m
    assert (np.array(sigmas)[:, 1] < np.array(sigmas)[:, 0]).all()


def test_the_covariance_is_that_of_the_errors() -> None:
    """Of the rig's position and turn in map axes, which the cameras' levers correlate."""
    truth, whitened = pose_of_rig(), []
    exact = seen(RIG, truth)
    rng = np.random.default_rng(1)
    for _ in range(200):
        noisy = replace(
            exact, pixels=exact.pixels + rng.normal(size=exact.pixels.shape), sigmas=np.ones(len(exact.pixels))
        )
        found = solve_pnp(noisy, RIG)
        assert isinstance(found, PoseEstimate)
        turn = found.map_from_camera[:3, :3] @ truth[:3, :3].T
        small = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
        error = np.concatenate([found.map_from_camera[:3, 3] - truth[:3, 3], small])
        whitened.append(np.linalg.solve(np.linalg.cholesky(found.covariance), error))
    values = np.linalg.eigvalsh(np.array(whitened).T @ np.array(whitened) / len(whitened))
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("view", [0, 1])
def test_a_view_without_correspondences_leaves_it_to_the_other(view: int) -> None:
    truth = pose_of_rig()
    both = seen(RIG, truth)
    assert error_of(solve_pnp(both[both.views == view], RIG), truth).translation_m < 1e-5


def test_views_that_are_too_few_alone_suffice_together() -> None:
    truth = pose_of_rig()
    both = seen(RIG, truth)
    few = both[np.array([0, 7, 13, COUNT, COUNT + 9, COUNT + 17])]
    for view in (0, 1):
        alone = solve_pnp(few[few.views == view], RIG)
        assert isinstance(alone, Rejection)
        assert alone.reason is RejectionReason.TOO_FEW_LANDMARKS
    assert error_of(solve_pnp(few, RIG), truth).translation_m < 1e-4


def test_wrong_correspondences_of_either_view_are_found() -> None:
    truth = pose_of_rig()
    both = seen(RIG, truth, noise_px=0.5)
    wrong = np.arange(len(both)) % 5 < 2
    pixels = np.where(wrong[:, None], np.random.default_rng(3).uniform(0, 240, both.pixels.shape), both.pixels)
    found = solve_pnp(replace(both, pixels=pixels), RIG)
    assert error_of(found, truth).translation_m < 0.02
    assert isinstance(found, PoseEstimate)
    assert found.inliers[~wrong].mean() > 0.95
    assert found.inliers[wrong].sum() <= 4
    again = solve_pnp(replace(both, pixels=pixels), RIG)
    assert isinstance(again, PoseEstimate)
    np.testing.assert_allclose(found.map_from_camera, again.map_from_camera, atol=1e-12)


def test_a_view_without_a_camera_is_one_clear_error() -> None:
    both = seen(RIG, pose_of_rig())
    with pytest.raises(ConfigError, match=r"^correspondences: view 1, of 1 from 0$"):
        solve_pnp(both, RIG[:1])


def test_nonsense_of_all_views_is_rejected() -> None:
    both = seen(RIG, pose_of_rig())
    pixels = np.random.default_rng(4).uniform(0, 240, both.pixels.shape)
    found = solve_pnp(replace(both, pixels=pixels), RIG)
    assert isinstance(found, Rejection) or found.inlier_ratio < 0.3


def test_a_step_of_the_rig_is_the_step_of_each_camera() -> None:
    pose = pose_of_rig()
    step = 1e-4 * np.array([1.0, -2.0, 0.5, 3.0, 1.0, -1.5])
    for each in RIG:
        before = each.map_from_camera(pose)
        expected = each.map_from_camera(perturb(pose, step))
        found = perturb(before, camera_step_from_rig_step(pose, before) @ step)
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_queries_that_cannot_be() -> None:
    image = CameraImage(np.zeros((240, 320, 3), np.uint8), LEFT.camera, stamp_ns=7)
    with pytest.raises(ConfigError, match="no views"):
        Query((), 0)
    with pytest.raises(ConfigError, match="rig_from_camera has a value that is not finite"):
        View(image, np.full((4, 4), np.nan))
    with pytest.raises(ConfigError, match="prior: its covariance"):
        Prior(np.eye(4), np.eye(3))
    with pytest.raises(ConfigError, match="prior: map_from_rig has"):
        Prior(np.zeros((4, 4)), np.eye(6))
    assert Query.of(image).stamp_ns == 7


def distorted(camera: Camera, rgb: np.ndarray) -> np.ndarray:
    """What a lens makes of the image that its undistorted camera would have taken."""
    y, x = np.mgrid[: camera.height, : camera.width].astype(np.float32)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)[:, None]
    straight = cv2.undistortPoints(pixels, camera.matrix, np.array(camera.distortion), P=camera.matrix)
    maps = straight.reshape(camera.height, camera.width, 2).astype(np.float32)
    x, y = maps[..., 0], maps[..., 1]
    return np.asarray(cv2.remap(rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return load_localizer(SHIPPED_MAP, SessionOptions("onnxruntime", threads=1))


def test_two_rendered_cameras_one_of_them_with_a_lens_localize_in_the_shipped_map(localizer: Localizer) -> None:
    lens = replace(CAMERA, distortion=(-0.12, 0.03, 0.0, 0.0))
    rig = (RigCamera(CAMERA, LEFT.rig_from_camera), RigCamera(lens, RIGHT.rig_from_camera))
    room, errors, sigmas, inliers = synthetic_room(LIVING_ROOM), [], [], []
    for index in (2, 9, 14):
        truth = np.asarray(TRUTHS.map_from_camera(index) @ invert(LEFT.rig_from_camera))
        views = []
        for each in rig:
            rgb, _ = room.render(each.camera.undistorted(), each.map_from_camera(truth))
            image = distorted(each.camera, rgb) if each.camera.is_distorted else rgb
            views.append(View(CameraImage(image, each.camera), each.rig_from_camera))
        results = [localizer.localize(Query(tuple(some), 0)) for some in (views[:1], views)]
        errors.append([error_of(result, truth).translation_m for result in results])
        sigmas.append([result.position_sigma_m for result in results if isinstance(result, PoseEstimate)])
        both = results[1]
        assert isinstance(both, PoseEstimate)
        assert list(both.timings_ms) == ["preprocess", "network", "voting", "pnp", "total"]
        inliers.append([int(both.inliers[both.correspondences.views == view].sum()) for view in (0, 1)])
        (at_once,) = localizer.localize_all([Query(tuple(views), 0)])
        assert isinstance(at_once, PoseEstimate)
        np.testing.assert_allclose(at_once.map_from_camera, both.map_from_camera, atol=1e-9)
    one, two = np.median(errors, axis=0)
    assert two < 0.03
    assert two <= 1.2 * one
    assert (np.array(sigmas)[:, 1] < np.array(sigmas)[:, 0]).all()
    assert np.median(inliers, axis=0).min() >= 20  # both views have a say


def test_a_view_that_sees_something_else_speaks_neither_for_nor_against_a_pose() -> None:
    both = seen(RIG, pose_of_rig(), noise_px=0.5)
    pixels = np.where(
        both.views[:, None] == 1, np.random.default_rng(5).uniform(0, 240, both.pixels.shape), both.pixels
    )
    found = solve_pnp(replace(both, pixels=pixels), RIG)
    alone = solve_pnp(both[both.views == 0], RIG)
    assert isinstance(found, PoseEstimate)
    assert isinstance(alone, PoseEstimate)
    assert found.evidence.correspondences == alone.evidence.correspondences == COUNT
    assert found.inlier_ratio > 0.9
    whole = solve_pnp(both, RIG)
    assert isinstance(whole, PoseEstimate)
    assert whole.evidence.correspondences == 2 * COUNT
