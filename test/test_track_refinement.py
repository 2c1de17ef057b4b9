"""Key points of tracks that are aligned by the images' patches: on rendered photos whose truth is known."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.photo_scenes import CAMERA, PLANES, picture, poses

from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.sfm.patch_alignment import align, smoothed, templates
from vloc_ros.mapping.sfm.track_refinement import LEAST_ALIGNED, Tracked, refined

RNG = np.random.default_rng(0)
NOISE_PX = 1.0
FRAMES = 5
CORNER, ACROSS, DOWN = np.array(PLANES[0])  # the wall behind


def texture(size: tuple[int, int] = (160, 200)) -> NDArray[np.uint8]:
    grey = np.random.default_rng(1).integers(0, 256, (size[0] // 8, size[1] // 8), np.uint8)
    return np.asarray(cv2.resize(grey, size[::-1], interpolation=cv2.INTER_CUBIC))


def test_patches_are_found_where_they_are() -> None:
    """In an image that is turned, scaled, moved and darker."""
    grey = texture()
    warp = np.array([[1.1, -0.25], [0.2, 0.95]])
    shift = np.array([-4.3, 7.7])
    moved = cv2.warpAffine(grey, np.column_stack([warp, shift]), grey.shape[::-1], flags=cv2.INTER_CUBIC)
    darker = (0.6 * moved + 30).astype(np.uint8)
    pixels = RNG.uniform((40, 40), (150, 110), (60, 2))
    true = pixels @ warp.T + shift
    start = true + RNG.normal(0, NOISE_PX, true.shape)
    warps = np.broadcast_to(warp, (len(true), 2, 2))
    found, similarity = align(smoothed(darker), templates(smoothed(grey), pixels), warps, start)
    inside = ((true > 12) & (true < np.array(grey.shape[::-1]) - 13)).all(axis=1)
    off = np.linalg.norm(found - true, axis=1)[inside]
    assert np.median(off) < 0.05
    assert np.mean(off < 0.2) > 0.9
    assert np.median(similarity[inside]) > 0.95


def test_what_fixes_no_place_is_not_aligned() -> None:
    edge = np.zeros((80, 80), np.uint8)
    edge[:, 40:] = 200
    flat = np.full((80, 80), 90, np.uint8)
    at, identity = np.array([[40.0, 40.0]]), np.eye(2)[None]
    for grey in (edge, flat):
        image = smoothed(grey)
        assert align(image, templates(image, at), identity, at)[1] == -1
    image = smoothed(texture())
    for place in ([[3.0, 60.0]], [[197.0, 60.0]]):  # its patch is not all in the image
        assert align(image, templates(image, np.array(place)), identity, np.array(place))[1] == -1


def tracked_wall() -> tuple[Tracked, NDArray[np.float64]]:
    """Points on a wall, whose key points are off by NOISE_PX, and where these are."""
    shares = np.random.default_rng(2).uniform((0.25, 0.05), (0.75, 0.4), (150, 2))
    positions = CORNER + shares @ np.array([ACROSS, DOWN])
    camera_from_map = invert(np.stack(poses(FRAMES)))
    true = np.stack([CAMERA.project(apply(pose, positions))[0] for pose in camera_from_map], axis=1)
    noisy = true + np.random.default_rng(3).normal(0, NOISE_PX, true.shape)
    frames = np.tile(np.arange(FRAMES), len(positions))
    return Tracked(
        starts=FRAMES * np.arange(len(positions) + 1),
        frames=frames,
        pixels=noisy.reshape(-1, 2),
        positions=positions,
        camera_from_map=camera_from_map,
        project=lambda local: CAMERA.project(local)[0],
        focal=CAMERA.fx,
    ), noisy


def seen_again(tracked: Tracked, frame: int, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where all frames see (N, F, 2) what one of them sees of the wall at pixels (N, 2)."""
    pose = invert(tracked.camera_from_map[frame])
    rays = np.column_stack([(pixels - (CAMERA.cx, CAMERA.cy)) / CAMERA.fx, np.ones(len(pixels))]) @ pose[:3, :3].T
    normal = np.cross(ACROSS, DOWN)
    positions = pose[:3, 3] + rays * (((CORNER - pose[:3, 3]) @ normal) / (rays @ normal))[:, None]
    return np.stack([CAMERA.project(apply(each, positions))[0] for each in tracked.camera_from_map], axis=1)


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    return [np.asarray(cv2.cvtColor(picture(pose), cv2.COLOR_BGR2GRAY)) for pose in poses(FRAMES)]


def test_key_points_of_a_track_come_to_show_one_point(images: list[NDArray[np.uint8]]) -> None:
    tracked, noisy = tracked_wall()
    steps = []
    pixels, good = refined(tracked, images, lambda done, total: steps.append((done, total)))
    kept = (pixels == tracked.pixels).all(axis=1).reshape(-1, FRAMES)
    central = np.argmax(kept & good.reshape(-1, FRAMES), axis=1)
    assert np.mean(central == FRAMES // 2) > 0.9  # that in the middle stays where it is
    rows = np.flatnonzero(central == FRAMES // 2)
    wanted = seen_again(tracked, FRAMES // 2, noisy[rows, FRAMES // 2])
    off = np.linalg.norm(pixels.reshape(-1, FRAMES, 2)[rows] - wanted, axis=2)
    others = good.reshape(-1, FRAMES)[rows] & (np.arange(FRAMES) != FRAMES // 2)
    assert others.mean() > 0.4
    assert np.median(off[others]) < 0.1
    assert np.median(np.linalg.norm(noisy[rows] - wanted, axis=2)[others]) > NOISE_PX  # as it was before
    assert steps[-1] == (2 * FRAMES, 2 * FRAMES)


def test_images_of_which_little_can_be_aligned_keep_their_key_points(images: list[NDArray[np.uint8]]) -> None:
    tracked, _ = tracked_wall()
    dark = [*images[:-1], np.zeros_like(images[-1])]
    pixels, good = refined(tracked, dark)
    of_dark = tracked.frames == FRAMES - 1
    assert good[of_dark].all()
    np.testing.assert_array_equal(pixels[of_dark], tracked.pixels[of_dark])
    assert LEAST_ALIGNED <= good[~of_dark].sum() < (~of_dark).sum()
