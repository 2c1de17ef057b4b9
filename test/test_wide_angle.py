"""A wide image as several pinhole views: the same as pinhole cameras there see, depth too."""

import numpy as np
import pytest
from support.textured_wall import wall_view

from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.geometry.wide_angle import field_of_view_deg, pinhole_views, working_camera

K = (-0.012, 0.004, -0.002, 0.0004)
WIDE = FisheyeCamera(320, 240, 102.0, 102.0, 159.5, 119.5, K)  # 180 degrees over its width
NARROW = FisheyeCamera(320, 240, 240.0, 240.0, 159.5, 119.5)
WIDER = FisheyeCamera(320, 240, 80.0, 80.0, 159.5, 119.5)  # beyond that, more than 270 at the corners


@pytest.mark.parametrize("camera", [WIDE, WIDER])
def test_directions_are_those_that_project_to_the_pixels(camera: FisheyeCamera) -> None:
    pixels = np.stack(np.meshgrid(np.arange(0, 320.0, 5), np.arange(0, 240.0, 5)), axis=-1).reshape(-1, 2)
    rays = camera.directions(pixels)
    assert np.abs(np.linalg.norm(rays, axis=1) - 1).max() < 1e-12
    assert np.abs(camera.project_through_lens(rays) - pixels).max() < 1e-6
    assert (rays[:, 2] < 0).any(), "its corners are beside the camera"


def test_what_no_ray_reaches_has_no_direction() -> None:
    small = FisheyeCamera(320, 240, 40.0, 40.0, 159.5, 119.5, (-0.05, 0.0, 0.0, 0.0), cropped=True)
    assert np.isnan(small.directions(np.array([[0.0, 0.0]]))).all()
    assert field_of_view_deg(small)[0] == pytest.approx(180.0)


def test_how_wide_it_is() -> None:
    assert field_of_view_deg(WIDE)[0] == pytest.approx(91.4, abs=0.5)
    assert len(pinhole_views(WIDE)) == 2
    assert len(pinhole_views(WIDER)) == 3
    assert pinhole_views(NARROW) == ()
    assert pinhole_views(Camera(320, 240, 60.0, 60.0, 159.5, 119.5)) == (), "such an image cannot see more"
    assert working_camera(NARROW) == NARROW
    assert working_camera(WIDE) == pinhole_views(WIDE)[0].camera


def test_views_are_what_pinhole_cameras_see() -> None:
    pose = from_quaternion((0.02, 0.1, 0.01, 1.0), (0.3, -0.2, 0.0))
    image, depth = wall_view(WIDE, pose)
    for view in pinhole_views(WIDE):
        expected, true_depth = wall_view(view.camera, pose @ view.wide_from_view)
        found, found_depth = view.image(image), view.depth(depth)
        known = (true_depth > 0) & (found_depth > 0)
        assert known.mean() > 0.5
        near = known & (true_depth < 4)  # farther away, the pattern is finer than the pixels
        assert np.corrcoef(found[near][:, 0], expected[near][:, 0])[0, 1] > 0.97
        assert np.median(np.abs(found_depth / np.maximum(true_depth, 0.1) - 1)[known]) < 0.01
