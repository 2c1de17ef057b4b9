"""Views from beside the path: rendered frames of the room against what the room itself looks like from there."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.lens import through_lens

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets import Frame
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.synthetic_room import open_synthetic_room, synthetic_room
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert, rotation_angle
from vloc_ros.mapping import novel_views
from vloc_ros.mapping.landmarks import build_landmarks
from vloc_ros.mapping.novel_views import MAX_SHIFT, MAX_TURN_DEG, NovelViews
from vloc_ros.mapping.regions import RegionLabeller
from vloc_ros.mapping.surface import fuse_depth

ROOM = open_synthetic_room(None, "train")
PATH = Subset(ROOM, range(0, 120, 3))
WIDTH, HEIGHT = 160, 120
COUNT = 6


@pytest.fixture(scope="module")
def views() -> NovelViews:
    return NovelViews(PATH, COUNT, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def frames(views: NovelViews) -> list[Frame]:
    return [views.frame(number) for number in range(len(views))]


def test_they_show_what_a_camera_there_would_see(frames: list[Frame]) -> None:
    for frame in frames:
        assert frame.depth is not None
        assert (frame.image.camera.width, frame.image.camera.height) == (WIDTH, HEIGHT)
        _, depth = synthetic_room(ROOM.plan).render(frame.image.camera, frame.map_from_camera)
        shown = np.isfinite(frame.depth) & (frame.depth > 0)
        assert shown.mean() > 0.35
        errors = np.abs(frame.depth - depth)[shown] / depth[shown]
        assert np.median(errors) < 0.005
        assert (errors < 0.05).mean() > 0.9


def test_their_colours_are_those_of_the_frames(frames: list[Frame]) -> None:
    for frame in frames:
        assert frame.depth is not None
        rgb, _ = synthetic_room(ROOM.plan).render(frame.image.camera, frame.map_from_camera)
        shown = np.isfinite(frame.depth) & (frame.depth > 0)
        off = [np.abs(frame.image.rgb - np.roll(rgb, by, axis=1).astype(int))[shown].mean() for by in (0, -2, 2)]
        assert off[0] < 0.9 * min(off[1:])  # exposures differ
        assert (frame.image.rgb[np.isinf(frame.depth)] == 114).all()


def test_they_are_beside_the_path_and_not_too_far(frames: list[Frame]) -> None:
    bases = [number * len(PATH) // COUNT for number in range(COUNT)]
    moves = [
        invert(PATH.map_from_camera(base)) @ frame.map_from_camera for base, frame in zip(bases, frames, strict=True)
    ]
    turns = [np.degrees(rotation_angle(np.eye(3), move[:3, :3])) for move in moves]
    shifts = [np.linalg.norm(move[:3, 3]) for move in moves]
    assert max(turns) <= MAX_TURN_DEG
    assert max(turns) > 10
    assert max(shifts) <= MAX_SHIFT * 6  # the room is 6 m long
    assert max(shifts) > 0.1


def test_the_same_seed_gives_the_same_views_and_another_one_others(frames: list[Frame]) -> None:
    again, other = (NovelViews(PATH, COUNT, WIDTH, HEIGHT, seed).frame(5) for seed in (0, 1))
    np.testing.assert_array_equal(again.image.rgb, frames[5].image.rgb)
    np.testing.assert_array_equal(again.map_from_camera, frames[5].map_from_camera)
    assert not np.array_equal(other.map_from_camera, frames[5].map_from_camera)


def test_views_have_names_of_their_own(frames: list[Frame]) -> None:
    names = [frame.name for frame in frames]
    assert len({*names, *PATH.names}) == len(names) + len(PATH)
    crowded = NovelViews(PATH, 3 * len(PATH), WIDTH, HEIGHT)
    assert len({crowded.frame(number).name for number in (0, 1, 2)}) == 3


def test_nothing_is_labelled_where_no_frame_shows_anything(frames: list[Frame]) -> None:
    surface = fuse_depth(Subset(PATH, range(0, 40, 4)), voxel_size=0.06)
    landmarks = build_landmarks(surface, np.ones(len(surface), dtype=np.int32), PATH)
    coordinates = RegionLabeller(surface, landmarks).label(frames[1], WIDTH, HEIGHT)
    assert frames[1].depth is not None
    known = np.atleast_2d(np.isfinite(coordinates).all(-1))
    assert not known[np.isinf(frames[1].depth)].any()
    assert known[np.isfinite(frames[1].depth)].mean() > 0.7


class Blind(DatasetWrapper):
    """Frames whose depth was lost."""

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = self.parent.frame(index, depth=depth)
        return replace(frame, depth=None if index == 0 else np.zeros_like(frame.depth))


class Lens(DatasetWrapper):
    """The same frames through a lens that distorts by up to 20 pixels."""

    def camera(self, index: int) -> Camera:
        return replace(self.parent.camera(index), distortion=(-0.25, 0.08, 0.001, -0.001))

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame, camera = self.parent.frame(index, depth=depth), self.camera(index)
        image = CameraImage(through_lens(frame.image.rgb, camera, cv2.INTER_LINEAR), camera)
        assert frame.depth is not None
        return replace(frame, image=image, depth=through_lens(frame.depth, camera, cv2.INTER_NEAREST))


def test_a_lens_makes_no_difference_to_where_things_are(frames: list[Frame]) -> None:
    for number, frame in enumerate(frames):
        found = NovelViews(Lens(PATH), COUNT, WIDTH, HEIGHT).frame(number)
        assert found.image.camera == frame.image.camera
        np.testing.assert_allclose(found.map_from_camera, frame.map_from_camera, atol=0.1)  # the median depth differs
        _, depth = synthetic_room(ROOM.plan).render(found.image.camera, found.map_from_camera)
        assert found.depth is not None
        shown = np.isfinite(found.depth) & (found.depth > 0)
        assert shown.mean() > 0.3
        errors = np.abs(found.depth - depth)[shown] / depth[shown]
        assert np.median(errors) < 0.003
        assert (errors < 0.05).mean() > 0.93


@pytest.mark.parametrize("number", [0, 1], ids=["no depth", "all unknown"])
def test_where_depth_is_missing_the_frame_stands_for_the_view(number: int) -> None:
    found = NovelViews(Blind(PATH), len(PATH), WIDTH, HEIGHT).frame(number)
    np.testing.assert_array_equal(found.image.rgb, PATH.frame(number).image.rgb)
    np.testing.assert_array_equal(found.map_from_camera, PATH.map_from_camera(number))


def test_where_too_little_is_seen_the_frame_stands_for_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(novel_views, "LEAST_SEEN", 1.0)
    found = NovelViews(PATH, 1, WIDTH, HEIGHT).frame(0)
    np.testing.assert_array_equal(found.map_from_camera, PATH.map_from_camera(0))


def test_no_views_are_fine() -> None:
    assert len(NovelViews(PATH, 0, WIDTH, HEIGHT)) == 0
