"""Augmentation: image, labels and points move together, and as a turned camera would see them."""

from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.core.camera import Camera
from vloc_ros.training.augment import (
    BORDER,
    Augmentation,
    alter_light,
    occlude,
    warp_image,
    warp_labels,
    warp_points,
)

WIDTH, HEIGHT, STRIDE = 160, 112, 4
CAMERA = Camera(WIDTH, HEIGHT, 150.0, 140.0, 82.0, 53.0)
INTRINSICS = np.array([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy])
NONE = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def draw(augmentation: Augmentation, seed: int) -> np.ndarray:
    return augmentation.draw_warps(INTRINSICS[None], WIDTH, HEIGHT, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("seed", range(12))
def test_image_labels_and_points_move_together(seed: int) -> None:
    """A dot in the image and its blob of labels land where its point does."""
    rng, warp = np.random.default_rng(seed), draw(Augmentation(), seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for _ in range(5):
        point = rng.uniform((30, 30), (WIDTH - 30, HEIGHT - 30))
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[...] = (255 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * 3.0**2)))[..., None]
        blob = np.hypot(x[::2, ::2] + 0.5 - point[0], y[::2, ::2] + 0.5 - point[1]) < 9
        moved = warp_points(point[None], warp)[0]
        if not ((moved > 24) & (moved < (WIDTH - 24, HEIGHT - 24))).all():
            continue
        weight = warp_image(image, warp)[..., 0] * (np.hypot(x - moved[0], y - moved[1]) < 15).astype(float)
        assert [(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()] == pytest.approx(moved, abs=0.35)
        labels = warp_labels(7 * blob.astype(np.uint16), warp, WIDTH, HEIGHT, STRIDE)
        rows, columns = np.nonzero(labels == 7)
        cells = np.array([columns.mean(), rows.mean()]) * STRIDE + 0.5 * STRIDE - 0.5
        assert cells == pytest.approx(moved, abs=0.3 * STRIDE)
        assert set(np.unique(labels)) == {0, 7}


def test_no_warp_changes_nothing() -> None:
    rng, warp = np.random.default_rng(0), draw(NONE, 0)
    np.testing.assert_allclose(warp, np.eye(3), atol=1e-12)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warp_image(image, warp), image)
    np.testing.assert_array_equal(alter_light(image, NONE.draw_light(1, rng), 0, rng), image)
    at_cells = rng.integers(0, 60000, (HEIGHT // STRIDE, WIDTH // STRIDE)).astype(np.uint16)
    np.testing.assert_array_equal(warp_labels(at_cells, warp, WIDTH, HEIGHT, STRIDE), at_cells)
    finer = at_cells.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(warp_labels(finer, warp, WIDTH, HEIGHT, STRIDE), at_cells)


@pytest.mark.parametrize("seed", range(8))
def test_pan_and_tilt_are_what_a_turned_camera_sees(seed: int) -> None:
    """Without zoom and shift K^-1 warp K is a rotation within the limits, and it moves projections of any depth."""
    turning = replace(NONE, pan_deg=10.0, tilt_deg=8.0)
    warp = draw(turning, seed)
    rotation = np.linalg.inv(CAMERA.matrix) @ warp @ CAMERA.matrix
    rotation /= np.cbrt(np.linalg.det(rotation))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    angle = np.degrees(np.arccos((np.trace(rotation) - 1) / 2))
    assert 0 < angle < np.hypot(10, 8)
    points = np.random.default_rng(seed).uniform((-1, -1, 0.5), (1, 1, 6), (50, 3))
    seen, depth = CAMERA.project(points @ rotation.T)
    np.testing.assert_allclose(warp_points(CAMERA.project(points)[0], warp)[depth > 0], seen[depth > 0], atol=1e-6)


def test_points_that_go_behind_the_camera_are_nowhere() -> None:
    warp = np.eye(3)
    warp[2, 0] = -1 / 100
    moved = warp_points(np.array([[50.0, 10.0], [150.0, 10.0]]), warp)
    assert np.isfinite(moved[0]).all()
    assert np.isnan(moved[1]).all()


def test_outside_of_the_image_is_grey_and_has_no_label() -> None:
    warp = np.array([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 1]])
    image = warp_image(np.zeros((HEIGHT, WIDTH, 3), np.uint8), warp)
    labels = warp_labels(np.ones((HEIGHT, WIDTH), np.uint16), warp, WIDTH, HEIGHT, STRIDE)
    assert tuple(image[-1, -1]) == BORDER
    assert labels[-1, -1] == 0
    assert (labels > 0).mean() == pytest.approx(0.25, abs=0.03)


def test_occluders_take_the_labels_of_what_they_cover() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    labels = np.ones((HEIGHT // STRIDE, WIDTH // STRIDE), np.int64)
    before = image.copy()
    always = Augmentation(occlusion=1.0, occluder=0.5)
    occluders = always.draw_occluders(60, WIDTH, HEIGHT, rng)
    assert set(occluders.kinds) == {1, 2, 3}
    for index in range(60):
        covered, kept = occlude(image, labels, occluders, index, rng)
        changed = (covered != image).any(axis=2).reshape(HEIGHT // STRIDE, STRIDE, WIDTH // STRIDE, STRIDE)
        assert (kept[changed.any(axis=(1, 3))] == 0).all()
        assert 0 < (kept == 0).mean() < 0.5 * 0.5 + 0.1
        assert changed.any()
    np.testing.assert_array_equal(image, before)
    assert (labels == 1).all()
    none = replace(always, occlusion=0.0).draw_occluders(1, WIDTH, HEIGHT, rng)
    same_image, same_labels = occlude(image, labels, none, 0, rng)
    assert same_image is image
    assert same_labels is labels


def test_light_changes_brightness_but_not_places() -> None:
    rng = np.random.default_rng(0)
    image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    image[:, WIDTH // 2 :] = 160
    means = []
    light = Augmentation().draw_light(30, rng)
    for index in range(30):
        altered = alter_light(image, light, index, rng)
        assert altered.dtype == np.uint8
        assert altered.shape == image.shape
        assert altered[:, WIDTH // 2 + 2 :].mean() > altered[:, : WIDTH // 2 - 2].mean() + 40
        means.append(altered.mean())
    assert np.ptp(means) > 30
