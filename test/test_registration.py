"""Depth in the colour camera: planes, edges, a slow reference, and the real scenes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.dataset_files import RNG

from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.datasets.registration import register_depth
from vloc_ros.datasets.seven_scenes import COLOUR_FROM_DEPTH, DEPTH_CAMERA
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, from_quaternion, invert


def depth_of_plane(camera: Camera, normal: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
    """z of the plane normal . x = distance (normal in the camera's frame) for each pixel."""
    return np.asarray(distance / (camera.rays() @ normal))


def test_registering_to_the_same_camera_changes_nothing() -> None:
    depth = RNG.uniform(0.5, 4, (480, 640)).astype(np.float32)
    depth[RNG.random(depth.shape) < 0.3] = 0
    np.testing.assert_allclose(register_depth(depth, DEPTH_CAMERA, DEPTH_CAMERA, np.eye(4)), depth, rtol=1e-6)


def test_registered_plane_is_the_plane_and_has_no_holes() -> None:
    normal = np.array([0.4, -0.3, 0.86])
    normal /= np.linalg.norm(normal)
    depth = depth_of_plane(DEPTH_CAMERA, normal, 2.0)
    colour = Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
    registered = register_depth(depth.astype(np.float32), DEPTH_CAMERA, colour, COLOUR_FROM_DEPTH)
    moved_normal = COLOUR_FROM_DEPTH[:3, :3] @ normal
    expected = depth_of_plane(colour, moved_normal, 2.0 + float(moved_normal @ COLOUR_FROM_DEPTH[:3, 3]))
    slope = max(float(np.abs(np.diff(expected, axis=axis)).max()) for axis in (0, 1))
    inside = registered[60:-60, 60:-60]
    assert (inside > 0).all()
    assert np.abs(inside - expected[60:-60, 60:-60]).max() < 1.01 * slope  # half a pixel in x and in y


def test_registration_agrees_with_a_slow_reference() -> None:
    depth = RNG.uniform(0.5, 4, (48, 64)).astype(np.float32)
    depth[RNG.random(depth.shape) < 0.3] = 0
    source, target = Camera(64, 48, 58.5, 57.0, 31.0, 24.0), Camera(60, 40, 52.0, 53.0, 30.0, 19.0)
    target_from_source = from_quaternion((0.02, -0.05, 0.01, 1.0), (0.05, -0.02, -1.0))  # some land behind the camera
    expected = np.zeros((40, 60))
    points = (source.rays() * depth[..., None])[depth > 0]
    pixels, z = target.project(apply(target_from_source, points))
    for (x, y), w in zip(pixels, z, strict=True):
        if w > 0 and -0.5 <= x < 59.5 and -0.5 <= y < 39.5:
            i, j = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
            expected[i, j] = min(expected[i, j] or np.inf, w)
    assert (expected > 0).sum() > 300
    np.testing.assert_allclose(register_depth(depth, source, target, target_from_source), expected, atol=1e-5)


def test_the_wall_does_not_shine_through_the_table() -> None:
    depth = np.full((480, 640), 3.0, np.float32)
    depth[150:350, 200:400] = 1.0
    colour = Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
    registered = register_depth(depth, DEPTH_CAMERA, colour, COLOUR_FROM_DEPTH)
    near = (np.abs(registered - 1) < 0.05).astype(np.uint8)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(near)
    assert count == 2
    left, top, width, height = boxes[1, :4]
    assert abs(width - 200 * 525 / 585) < 4
    assert abs(height - 200 * 525 / 585) < 4
    assert (near[top + 3 : top + height - 3, left + 3 : left + width - 3] == 1).all()
    assert (registered == 0).any(), "what only the colour camera sees, beside the table, is unknown"


def warped_depth_errors(a: Frame, b: Frame) -> NDArray[np.float64]:
    """|depth that a predicts in b - depth of b| at every fourth pixel both know, metres."""
    assert a.depth is not None
    assert b.depth is not None
    known = np.zeros(a.depth.shape, bool)
    known[::4, ::4] = a.depth[::4, ::4] > 0
    points = a.image.camera.rays()[known] * a.depth[known][:, None]
    pixels, z = b.image.camera.project(apply(invert(b.map_from_camera) @ a.map_from_camera, points))
    x, y = np.rint(pixels).T
    seen = (z > 0) & (x >= 0) & (x < b.image.camera.width) & (y >= 0) & (y < b.image.camera.height)
    there = b.depth[y[seen].astype(int), x[seen].astype(int)]
    return np.asarray(np.abs(z[seen] - there)[there > 0])


@pytest.mark.parametrize("poses", ["poses_sfm.txt", None])
def test_registered_depth_agrees_between_frames(shared_data: Path, poses: str | None) -> None:
    root = shared_data / "redkitchen"
    dataset = open_dataset("seven_scenes", root, "train", root / poses if poses else None)
    for i, j in ((100, 120), (240, 280), (400, 415), (600, 620)):
        a, b = dataset.frame(i, depth=True), dataset.frame(j, depth=True)
        errors = warped_depth_errors(a, b)
        assert len(errors) > 5000
        assert np.median(errors) < 0.02  # not registered: 0.03 to 0.06 m


def test_registered_depth_edges_lie_on_colour_edges(shared_data: Path) -> None:
    """Moving the registered depth by six pixels any way takes its edges off the edges of the image."""
    root = shared_data / "redkitchen"
    dataset = open_dataset("seven_scenes", root, "train", root / "poses_sfm.txt")
    shifts = ((0, 0), (0, -6), (0, 6), (-6, 0), (6, 0))
    strengths = []
    for i in range(0, 650, 40):
        frame = dataset.frame(i, depth=True)
        assert frame.depth is not None
        grey = cv2.GaussianBlur(cv2.cvtColor(frame.image.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1)
        gradient = np.minimum(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)), 100)
        farthest = cv2.dilate(frame.depth, np.ones((5, 5), np.uint8))
        outline = (frame.depth > 0) & (farthest > frame.depth + 0.2)  # the near side of a jump
        strengths.append([gradient[np.roll(outline, shift, axis=(0, 1))].mean() / gradient.mean() for shift in shifts])
    there, *moved = np.mean(strengths, axis=0)
    assert there > 1.05 * max(moved), (there, moved)


def test_hololens_depth_agrees_between_frames(shared_data: Path) -> None:
    dataset = open_dataset("folder", shared_data / "hololens", "train")
    errors = warped_depth_errors(dataset.frame(0, depth=True), dataset.frame(10, depth=True))
    assert np.median(errors) < 0.02
