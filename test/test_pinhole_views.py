"""Wide images in data sets and queries: cut into views wherever a map is made or asked, whole in between."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import pytest
from support.map_files import make_map
from support.sparse_scenes import POSE, SeenSession, Sight, room
from support.textured_wall import wall_view

from vloc_ros.core.camera_warnings import field_of_view_warnings, lens_model_warnings
from vloc_ros.core.query import Query, View
from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets.pinhole_views import PinholeViews, in_pinhole_views
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.datasets.types import Frame
from vloc_ros.drawing.overlay import draw_overlay
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.geometry.wide_angle import pinhole_views, turned
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.place_geometry import Place
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.untrained_map import cameras_of

WIDE = FisheyeCamera(160, 120, 51.0, 51.0, 79.5, 59.5)  # 180 degrees over its width
NARROW = Camera(160, 120, 130.0, 130.0, 79.5, 59.5)
RIG_FROM_CAMERA = from_quaternion((0.0, 0.2, 0.0, 1.0), (0.1, 0.0, 0.3))


class Walls:
    """Images of a wall, every third of them of a narrow camera."""

    names = tuple(f"{index:03d}" for index in range(12))
    has_depth = True

    def __len__(self) -> int:
        return len(self.names)

    def place(self, index: int) -> str:
        return ""

    def camera(self, index: int) -> Camera:
        return WIDE if index % 3 else NARROW

    def map_from_camera(self, index: int) -> np.ndarray:
        return from_quaternion((0.0, 0.02 * index, 0.0, 1.0), (0.1 * index, 0.0, 0.0))

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        camera, pose = self.camera(index), self.map_from_camera(index)
        rgb, measured = wall_view(camera, pose)
        image = CameraImage(rgb, camera, 10 + index, "eye")
        return Frame(self.names[index], image, pose, measured if depth else None)


def test_a_map_is_made_from_views_and_measured_with_whole_images() -> None:
    training, held_out = split_held_out(Walls(), share=0.2)
    frames = in_pinhole_views(training)
    assert isinstance(frames, PinholeViews)
    wide = [name for name, index in zip(training.names, training.indices, strict=True) if index % 3]
    assert set(frames.names) == {f"{name}@{k}" for name in wide for k in (0, 1)} | set(training.names) - set(wide)
    assert in_pinhole_views(Subset(Walls(), [0, 3])).names == ("000", "003"), "nothing to cut"
    assert not {name.partition("@")[0] for name in frames.names} & set(held_out.names)
    assert [name.partition("@")[0] for name in frames.names] == [Walls.names[index] for index in frames.indices]


def test_a_view_is_a_frame_of_its_own() -> None:
    frames = in_pinhole_views(Subset(Walls(), [1, 3, 4]))
    assert frames.names == ("001@0", "001@1", "003", "004@0", "004@1")
    for index, (row, view) in enumerate(((1, 0), (1, 1), (3, None), (4, 0), (4, 1))):
        frame, parent = frames.frame(index, depth=True), Walls().frame(row, depth=True)
        assert frame.name == frames.names[index]
        assert (frame.image.stamp_ns, frame.image.frame_id) == (10 + row, "eye")
        assert frame.image.camera == frames.camera(index)
        np.testing.assert_array_equal(frame.map_from_camera, frames.map_from_camera(index))
        if view is None:
            assert frame.image.camera == NARROW
            continue
        expected = pinhole_views(WIDE)[view]
        np.testing.assert_allclose(frame.map_from_camera, parent.map_from_camera @ expected.wide_from_view)
        seen, depth = wall_view(frame.image.camera, frame.map_from_camera)
        assert frame.depth is not None
        known = (frame.depth > 0) & (depth > 0) & (depth < 4)
        assert known.mean() > 0.4
        assert np.median(np.abs(frame.depth / np.maximum(depth, 0.1) - 1)[known]) < 0.02
        assert np.corrcoef(frame.image.rgb[known][:, 0], seen[known][:, 0])[0, 1] > 0.9
    assert frames.frame(0).depth is None


def test_a_query_is_cut_on_the_rig() -> None:
    rgb = np.zeros((120, 160, 3), np.uint8)
    narrow, wide = CameraImage(rgb, NARROW, 7), CameraImage(rgb, WIDE, 7, "eye")
    plain = Query.of(narrow)
    assert plain.in_pinhole_views() is plain
    query = Query((View(narrow), View(wide, RIG_FROM_CAMERA)), 7).in_pinhole_views()
    assert query.stamp_ns == 7
    assert [view.image.frame_id for view in query.views] == ["camera", "eye", "eye"]
    assert query.in_pinhole_views() is query, "views are cut no further"
    assert query.views[0].image is narrow
    for found, expected in zip(query.views[1:], pinhole_views(WIDE), strict=True):
        np.testing.assert_allclose(found.rig_from_camera, RIG_FROM_CAMERA @ expected.wide_from_view)
        assert found.image.camera == expected.camera


def test_what_a_map_of_a_wide_camera_says_of_it() -> None:
    frames = in_pinhole_views(Subset(Walls(), [1, 2, 4]))
    told = cameras_of(Sources("", frames, frames, (Place("", frames),)))
    assert told["lens_models"] == ["fisheye"]
    assert told["field_of_view_deg"] == pytest.approx([90.0, 90.0], abs=2.0)
    manifest = replace(make_map().manifest, training=told)
    for warnings in (lens_model_warnings, field_of_view_warnings):
        assert warnings([WIDE, WIDE.resized(320, 240)], manifest) == []
        assert len(warnings([NARROW], manifest)) == 1


@dataclass(frozen=True, eq=False)
class SeenThrough(SeenSession):
    """An extractor that finds in each view what is seen there, one view after the other."""

    max_batch: int = 1
    next_one: "count[int]" = field(default_factory=count)

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        tensors = self.seen[next(self.next_one) % len(self.seen)]
        return {name: tensors[name][None] for name in self.spec.outputs}


def test_a_wide_image_is_localized_by_all_its_views() -> None:
    """Where the camera looks aside, one of its views sees the wall: the pose is that of the camera all the same."""
    landmark_map = room()
    wide = FisheyeCamera(320, 240, 102.0, 102.0, 159.5, 119.5)
    views = pinhole_views(wide)
    for yaw in (0.0, -40.0):
        pose = POSE @ turned(yaw)
        seen = [Sight().tensors(landmark_map, pose @ view.wide_from_view, view.camera) for view in views]
        localizer = Localizer(landmark_map, PRAMMethod(), {"extractor": SeenThrough(seen)})
        image = CameraImage(np.zeros((240, 320, 3), np.uint8), wide, 3)
        result = localizer.localize(image)
        assert isinstance(result, PoseEstimate), result
        assert pose_error(result.map_from_camera, pose).translation_m < 0.02
        assert set(result.correspondences.views.tolist()) <= {0, 1}
        assert "preprocess" in result.timings_ms
        assert len(localizer.observe(image).query.views) == 2
        picture = draw_overlay(localizer, image, result)
        assert picture.shape[1] == sum(view.camera.width for view in views) * 3
        (at_once,) = localizer.localize_all([image])
        assert isinstance(at_once, PoseEstimate)
        np.testing.assert_allclose(at_once.map_from_camera, result.map_from_camera, atol=1e-9)
