"""Cameras whose lens model is not the map's, or whose focal length is far from it, are warned of, others not."""

from dataclasses import replace

import pytest
from support.map_files import make_map

from vloc_ros.core.camera_warnings import field_of_view_warnings, lens_model_warnings
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
MANIFEST = replace(make_map().manifest, training={"field_of_view_deg": [62.7, 62.7]})


@pytest.mark.parametrize("factor", [0.5, 0.75, 4 / 3, 2.0])
def test_a_focal_length_of_another_resolution_is_named_with_both_fields_of_view(factor: float) -> None:
    camera = replace(CAMERA, fx=525.0 * factor)
    (doubt,) = field_of_view_warnings([camera, camera], MANIFEST)
    assert f"{camera.field_of_view_deg:.1f} deg" in doubt
    assert "62.7 deg" in doubt
    assert f"fx = {camera.fx:.6g}" in doubt


def test_the_same_field_of_view_in_another_resolution_is_none() -> None:
    assert field_of_view_warnings([CAMERA.resized(320, 240), CAMERA.resized(1280, 960)], MANIFEST) == []
    assert field_of_view_warnings([replace(CAMERA, fx=600.0)], MANIFEST) == []


def test_a_map_of_several_cameras_takes_all_between() -> None:
    wide = replace(MANIFEST, training={"field_of_view_deg": [40.0, 90.0]})
    assert field_of_view_warnings([replace(CAMERA, fx=focal) for focal in (320.0, 525.0, 900.0)], wide) == []
    assert len(field_of_view_warnings([replace(CAMERA, fx=focal) for focal in (200.0, 1200.0)], wide)) == 2


@pytest.mark.parametrize("told", [None, "wide", [62.7], [0.0, 10.0], [70.0, 60.0], [60.0, 190.0], [float("nan")] * 2])
def test_a_map_that_does_not_know_its_cameras_says_nothing(told: object) -> None:
    manifest = replace(MANIFEST, training={} if told is None else {"field_of_view_deg": told})
    assert manifest.field_of_view_deg is None
    assert field_of_view_warnings([replace(CAMERA, fx=5.0)], manifest) == []


FISHEYE = FisheyeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)


@pytest.mark.parametrize(
    ("recorded", "doubted"),
    [
        (["pinhole"], "fisheye"),
        (["fisheye"], "pinhole"),
        (["fisheye", "pinhole"], ""),
        (None, ""),
        ("lens", ""),
        ([3], ""),
    ],
    ids=str,
)
def test_a_lens_of_another_kind_than_the_maps_is_named_once(recorded: object, doubted: str) -> None:
    manifest = replace(MANIFEST, training={} if recorded is None else {"lens_models": recorded})
    doubts = lens_model_warnings([CAMERA, FISHEYE, CAMERA.resized(320, 240), FISHEYE.resized(320, 240)], manifest)
    assert [doubt.partition(" lens")[0] for doubt in doubts] == [f"the camera has a {doubted}"] * bool(doubted)
    assert all(f"was made with a {recorded[0]} lens" in doubt for doubt in doubts if isinstance(recorded, list))
    assert field_of_view_warnings([CAMERA, FISHEYE], MANIFEST) == []
