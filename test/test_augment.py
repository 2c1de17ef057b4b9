"""Augmentation: image and cells move together, and as a turned camera would see them."""

from dataclasses import replace

import numpy as np
import pytest
from support.training_scenes import NOTHING

from vloc_ros.geometry.camera import Camera
from vloc_ros.training.augment import (
    BORDER,
    Augmentation,
    alter_light,
    nothing,
    occlude,
    warp_cells,
    warp_image,
)

WIDTH, HEIGHT, STRIDE = 160, 112, 4
CAMERA = Camera(WIDTH, HEIGHT, 150.0, 140.0, 82.0, 53.0)
INTRINSICS = np.array([CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy])


def draw(augmentation: Augmentation, seed: int) -> np.ndarray:
    warp: np.ndarray = augmentation.draw_warps(INTRINSICS[None], WIDTH, HEIGHT, np.random.default_rng(seed))[0]
    return warp


def moved_by(warp: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) under a homography."""
    moved = np.column_stack([points, np.ones(len(points))]) @ warp.T
    divided: np.ndarray = moved[:, :2] / moved[:, 2:]
    return divided


@pytest.mark.parametrize("seed", range(12))
def test_image_labels_and_points_move_together(seed: int) -> None:
    """A dot in the image and its blob of labels land where its point does."""
    rng, warp = np.random.default_rng(seed), draw(Augmentation(shear_deg=10.0), seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for _ in range(5):
        point = rng.uniform((30, 30), (WIDTH - 30, HEIGHT - 30))
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[...] = (255 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * 3.0**2)))[..., None]
        blob = np.hypot(x[::2, ::2] + 0.5 - point[0], y[::2, ::2] + 0.5 - point[1]) < 9
        moved = moved_by(warp, point[None])[0]
        if not ((moved > 24) & (moved < (WIDTH - 24, HEIGHT - 24))).all():
            continue
        weight = warp_image(image, warp)[..., 0] * (np.hypot(x - moved[0], y - moved[1]) < 15).astype(float)
        assert [(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()] == pytest.approx(moved, abs=0.35)
        labels = warp_cells(7 * blob.astype(np.uint16), warp, WIDTH, HEIGHT, STRIDE)
        rows, columns = np.nonzero(labels == 7)
        cells = np.array([columns.mean(), rows.mean()]) * STRIDE + 0.5 * STRIDE - 0.5
        assert cells == pytest.approx(moved, abs=0.35 * STRIDE)
        assert set(np.unique(labels)) == {0, 7}


def test_no_warp_changes_nothing() -> None:
    rng, warp = np.random.default_rng(0), draw(NOTHING, 0)
    np.testing.assert_allclose(warp, np.eye(3), atol=1e-12)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warp_image(image, warp), image)
    np.testing.assert_array_equal(alter_light(image, NOTHING.draw_light(1, rng), 0, rng), image)
    at_cells = rng.integers(0, 60000, (HEIGHT // STRIDE, WIDTH // STRIDE)).astype(np.uint16)
    np.testing.assert_array_equal(warp_cells(at_cells, warp, WIDTH, HEIGHT, STRIDE), at_cells)
    finer = at_cells.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(warp_cells(finer, warp, WIDTH, HEIGHT, STRIDE), at_cells)


@pytest.mark.parametrize("seed", range(8))
def test_pan_and_tilt_are_what_a_turned_camera_sees(seed: int) -> None:
    """Without zoom and shift K^-1 warp K is a rotation within the limits, and it moves projections of any depth."""
    turning = replace(NOTHING, pan_deg=10.0, tilt_deg=8.0)
    warp = draw(turning, seed)
    rotation = np.linalg.inv(CAMERA.matrix) @ warp @ CAMERA.matrix
    rotation /= np.cbrt(np.linalg.det(rotation))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    angle = np.degrees(np.arccos((np.trace(rotation) - 1) / 2))
    assert 0 < angle < np.hypot(10, 8)
    points = np.random.default_rng(seed).uniform((-1, -1, 0.5), (1, 1, 6), (50, 3))
    seen, depth = CAMERA.project(points @ rotation.T)
    np.testing.assert_allclose(moved_by(warp, CAMERA.project(points)[0])[depth > 0], seen[depth > 0], atol=1e-6)


@pytest.mark.parametrize("fx_over_fy", [1.0, 1.5])
def test_shear_leans_upright_lines_and_leaves_level_ones(fx_over_fy: float) -> None:
    intrinsics = np.tile([140.0 * fx_over_fy, 140.0, 82.0, 53.0], (300, 1))
    warps = replace(NOTHING, shear_deg=10.0).draw_warps(intrinsics, WIDTH, HEIGHT, np.random.default_rng(0))
    lean = np.degrees(np.arctan(warps[:, 0, 1] / fx_over_fy))
    assert (-10 <= lean.min() < -9) & (9 < lean.max() <= 10)
    np.testing.assert_allclose(warps[:, 1:], np.tile(np.eye(3)[1:], (300, 1, 1)), atol=1e-12)
    np.testing.assert_allclose([moved_by(warp, np.array([[82.0, 53.0]]))[0] for warp in warps], [[82, 53]] * 300)


def test_zoom_is_drawn_from_its_range() -> None:
    zooming = replace(NOTHING, zoom=(np.log(0.7), np.log(1.5)))
    warps = zooming.draw_warps(np.tile(INTRINSICS, (300, 1)), WIDTH, HEIGHT, np.random.default_rng(0))
    np.testing.assert_allclose(warps[:, 0, 0], warps[:, 1, 1])
    scales = warps[:, 0, 0]
    assert (0.7 <= scales.min() < 0.73) & (1.46 < scales.max() <= 1.5)


def test_outside_of_the_image_is_grey_and_has_no_label() -> None:
    warp = np.array([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 1]])
    image = warp_image(np.zeros((HEIGHT, WIDTH, 3), np.uint8), warp)
    labels = warp_cells(np.ones((HEIGHT, WIDTH), np.uint16), warp, WIDTH, HEIGHT, STRIDE)
    assert tuple(image[-1, -1]) == BORDER
    assert labels[-1, -1] == 0
    assert (labels > 0).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("seed", range(6))
def test_measures_move_with_the_labels_and_are_never_mixed(seed: int) -> None:
    """Cells of several channels: each is one that was there, the one that a label of the same cell moved with."""
    rng, warp = np.random.default_rng(seed), draw(Augmentation(shear_deg=10.0), seed)
    labels = rng.integers(1, 60000, (HEIGHT // 2, WIDTH // 2)).astype(np.uint16)
    measures = np.stack([labels * 0.5, -1.0 * labels, labels + 1e5], axis=-1).astype(np.float32)
    measures[labels % 5 == 0] = np.nan
    moved = warp_cells(labels, warp, WIDTH, HEIGHT, STRIDE)
    found = warp_cells(measures, warp, WIDTH, HEIGHT, STRIDE)
    assert moved.dtype == np.int64
    assert found.dtype == np.float32
    expected = np.stack([moved * 0.5, -1.0 * moved, moved + 1e5], axis=-1).astype(np.float32)
    expected[moved % 5 == 0] = np.nan  # among them 0, outside
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_what_shows_nothing(dtype: type) -> None:
    """0 among labels, NaN among measures: outside, and behind an occluder."""
    blank: np.ndarray = np.full(1, nothing(np.dtype(dtype)), dtype)
    np.testing.assert_array_equal(blank, [np.nan if dtype is np.float32 else 0])
    cells: np.ndarray = np.ones((HEIGHT // STRIDE, WIDTH // STRIDE, 3), dtype)
    shrunk = warp_cells(cells, np.diag([0.5, 0.5, 1.0]), WIDTH, HEIGHT, STRIDE)
    np.testing.assert_array_equal(shrunk[-1, -1], np.repeat(blank, 3))
    rng = np.random.default_rng(0)
    occluders = Augmentation(occlusion=1.0).draw_occluders(1, WIDTH, HEIGHT, rng)
    _, kept = occlude(np.zeros((HEIGHT, WIDTH, 3), np.uint8), cells, occluders, 0, rng)
    y, x, height, width = occluders.boxes[0] // STRIDE
    np.testing.assert_array_equal(kept[y + height // 2, x + width // 2], np.repeat(blank, 3))
    assert (cells == 1).all()


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


def test_images_lose_their_colours_at_the_share_asked_for() -> None:
    rng = np.random.default_rng(0)
    intrinsics = np.tile(INTRINSICS, (400, 1))
    assert Augmentation(grey=0.25).draw(intrinsics, WIDTH, HEIGHT, rng).grey.mean() == pytest.approx(0.25, abs=0.07)
    assert Augmentation(grey=1.0).draw(intrinsics, WIDTH, HEIGHT, rng).grey.all()
    states = [np.random.default_rng(1) for _ in range(2)]
    assert not Augmentation().draw(intrinsics, WIDTH, HEIGHT, states[0]).grey.any()
    for each in ("warps", "light", "occluders"):
        getattr(Augmentation(), f"draw_{each}")(
            *{"warps": (intrinsics, WIDTH, HEIGHT), "light": (400,), "occluders": (400, WIDTH, HEIGHT)}[each], states[1]
        )
    assert states[0].random() == states[1].random(), "without it, trainings are what they were"


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
