"""The coloured surface of a place: what frames show of it, and what a camera sees of it again."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from support.mapping_scenes import CAMERA, WallAndBox, joined, looking_at, plane, views, wall_and_box_depth

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.datasets import Dataset, Frame
from vloc_ros.datasets.subset import Subset
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping import colored_surface as colored_surface_module
from vloc_ros.mapping.colored_surface import VOXEL_M, colored_surface, placed

WALL, BOX = (200, 120, 40), (40, 80, 160)
CELLS = CAMERA.resized(40, 30)
VIEW = looking_at((0.4, -0.2, 0.2), (0, 1.7, 0))


@dataclass(frozen=True)
class Painted(WallAndBox):
    """The wall and the box in colours of their own; every other frame is grey."""

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = super().frame(index, depth=depth)
        if index % 2:
            rgb = np.repeat(np.arange(CAMERA.height, dtype=np.uint8)[:, None, None], CAMERA.width, axis=1)
            return replace(frame, image=replace(frame.image, rgb=np.repeat(rgb, 3, axis=2)))
        return replace(frame, image=replace(frame.image, rgb=painted(self.poses[index], CAMERA)))


def painted(pose: np.ndarray, camera: Camera) -> np.ndarray:
    """What the camera sees; black where nothing is."""
    depth = wall_and_box_depth(camera, pose)
    points = apply(pose, (camera.rays() * depth[..., None]).reshape(-1, 3))
    colors = np.where(points[:, 1:2] > 1.9, WALL, BOX).astype(np.uint8)
    return np.where(depth.reshape(-1, 1) > 0, colors, 0).astype(np.uint8).reshape(camera.height, camera.width, 3)


@pytest.fixture(scope="module")
def surface() -> PlaceSurface:
    found = colored_surface(Painted(views()))
    assert found is not None
    return found


def test_it_lies_where_the_scene_is_and_has_the_colours_of_frames_that_have_any(surface: PlaceSurface) -> None:
    on_wall = surface.positions[:, 1] > 1.95
    assert np.abs(surface.positions[on_wall, 1] - 2).max() < VOXEL_M
    assert 0.5 < len(surface) * VOXEL_M**2 / (3 * 3) < 2
    np.testing.assert_allclose(np.median(surface.colors[on_wall], axis=0), WALL, atol=4)
    np.testing.assert_allclose(np.median(surface.colors[~on_wall], axis=0), BOX, atol=4)


def test_a_camera_sees_the_front_of_it(surface: PlaceSurface) -> None:
    colors, counts = surface.seen(CELLS, VIEW)
    image = cv2.resize(painted(VIEW, CAMERA), (CELLS.width, CELLS.height), interpolation=cv2.INTER_AREA)
    depth = wall_and_box_depth(CELLS, VIEW)
    inside = cv2.erode((depth > 0).astype(np.uint8), np.ones((3, 3))) > 0
    assert (counts[inside] > 0).mean() > 0.8
    assert (counts[cv2.dilate((depth > 0).astype(np.uint8), np.ones((3, 3))) == 0] == 0).all()
    one_thing = inside & (counts > 0) & (np.abs(depth - cv2.blur(depth, (5, 5))) < 0.05)
    assert np.abs(colors[one_thing] - image[one_thing]).max() < 8, "the box hides the wall behind it"
    behind = VIEW @ np.diag([-1.0, 1.0, -1.0, 1.0])
    assert not surface.seen(CELLS, behind)[1].any()


def test_what_is_seen_is_what_a_plain_projection_sees() -> None:
    """Of one wall, which hides nothing: the mean colour of the points in each cell."""
    wall = plane((-1, 2, -1), (2, 0, 0), (0, 0, 2), (0, -1, 0), voxel=VOXEL_M)
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (len(wall), 3)).astype(np.uint8)
    surface = PlaceSurface.of(wall.points, colors, VOXEL_M)
    found, counts = surface.seen(CELLS, VIEW)
    pixels, _ = CELLS.project(apply(invert(VIEW), surface.positions))
    cells = np.floor(pixels + 0.5).astype(int)
    inside = ((cells >= 0) & (cells < (CELLS.width, CELLS.height))).all(axis=1)
    for row, column in ((15, 20), (10, 12), (20, 25)):
        own = inside & (cells == (column, row)).all(axis=1)
        assert counts[row, column] == own.sum() > 0
        np.testing.assert_allclose(found[row, column], surface.colors[own].mean(axis=0), rtol=1e-5)
    assert counts.sum() == inside.sum()


@pytest.mark.parametrize("frames", [Subset(Painted(views(20)), range(1, 20, 2)), Painted(views(4), has_depth=False)])
def test_there_is_none_without_depth_or_colours(frames: Dataset) -> None:
    assert colored_surface(frames) is None


def test_a_large_place_has_larger_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = plane((-1, 2, -1), (2, 0, 0), (0, 0, 2), (0, -1, 0), voxel=VOXEL_M)
    monkeypatch.setattr(colored_surface_module, "MOST_POINTS", len(wall) // 3)
    coarse = placed(wall)
    assert 0 < len(coarse) <= len(wall) // 3
    assert coarse.voxel_m > 1.5 * VOXEL_M
    far = plane((899, 2, -1), (1, 0, 0), (0, 0, 2), (0, -1, 0), voxel=VOXEL_M)
    both = placed(joined(wall, far))
    assert np.ptp(both.positions[:, 0]) == pytest.approx(901, abs=0.2)
