"""What a camera's declared intrinsics are off by: pixels come back, and only those of the same camera are touched."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from support.sparse_scenes import CAMERA, POSE, SeenSession, Sight, blank, room

from vloc_ros.core.lens import LensCorrection
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.localizer import Localizer
from vloc_ros.maps.manifest_yaml import decode_manifest, encode_manifest, record_of
from vloc_ros.methods.pram.method import PRAMMethod

DECLARED = Camera(640, 480, 525.0, 520.0, 318.0, 242.0)
LENS = LensCorrection.of(DECLARED, 1.01, -0.04)
FACTOR, K1 = 1.02, -0.08


def bent(pixels: np.ndarray, camera: Camera, factor: float, k1: float) -> np.ndarray:
    """Where the real camera sees what the declared one would see at these pixels."""
    slopes = (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    points = np.column_stack([slopes, np.ones(len(slopes))])
    matrix = camera.matrix * [[factor, 1, 1], [1, factor, 1], [1, 1, 1]]
    return np.asarray(cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.array([k1, 0, 0, 0]))[0][:, 0])


@pytest.mark.parametrize("scale", [1, 2])
def test_pixels_are_where_the_declared_camera_would_see_them(scale: int) -> None:
    camera = DECLARED.resized(640 * scale, 480 * scale)
    pixels = np.random.default_rng(0).uniform(0, (640 * scale, 480 * scale), (200, 2))
    seen = bent(pixels, camera, LENS.focal_factor, LENS.k1)
    assert np.abs(seen - pixels).max() > 1.0
    np.testing.assert_allclose(LENS.moved(seen, camera), pixels, atol=0.02)
    assert LENS.moved(np.empty((0, 2)), camera).shape == (0, 2)


def test_a_right_lens_changes_nothing() -> None:
    pixels = np.random.default_rng(0).uniform(0, (640, 480), (200, 2))
    np.testing.assert_allclose(LensCorrection.of(DECLARED, 1.0, 0.0).moved(pixels, DECLARED), pixels, atol=1e-9)


def test_it_is_of_the_same_camera_only() -> None:
    size = DECLARED.width, DECLARED.height
    assert LENS.is_of(DECLARED, size)
    assert LENS.is_of(DECLARED.resized(1280, 960), size)
    assert LENS.is_of(replace(DECLARED, fx=525.1, distortion=(0.0,) * 5), size)
    wide = FisheyeCamera(640, 480, 525.0, 520.0, 318.0, 242.0)
    of_wide = LensCorrection.of(wide, 1.01, -0.04)
    assert of_wide.is_of(wide, size)
    assert not of_wide.is_of(DECLARED, size)
    for other in (
        wide,
        replace(DECLARED, fx=527.0),
        replace(DECLARED, cy=244.0),
        replace(DECLARED, distortion=(0.1, 0.0, 0.0, 0.0)),
        DECLARED.window(0, 0, 640, 400),
    ):
        assert not LENS.is_of(other, size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"focal_factor": 1.5}, "lens: focal_factor is 1.5, must be in 0.833 .. 1.2"),
        ({"focal_factor": np.nan}, "lens: focal_factor is nan"),
        ({"k1": -0.3}, "lens: k1 is -0.3, must be at most 0.2"),
        ({"fx": 0.0}, "lens: fx 0.0, fy 520.0, cx 318.0, cy 242.0 are of no camera"),
        ({"lens_model": "mirror"}, "lens: lens_model is 'mirror', must be one of pinhole, fisheye"),
    ],
)
def test_what_is_no_correction(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(LENS, **change)


def test_it_says_in_words_what_it_is() -> None:
    assert LENS.describe() == (
        "the camera's focal length is 1.00 % longer than declared, and its undistorted image is still distorted by "
        "9.5 px at the corners"
    )


@pytest.fixture
def landmark_map() -> LandmarkMap:
    found = room()
    name = found.manifest.places[0].name
    return replace(found, manifest=replace(found.manifest, lenses={name: LensCorrection.of(CAMERA, FACTOR, K1)}))


def estimate_of(landmark_map: LandmarkMap, camera: Camera) -> PoseEstimate:
    """Where an image of the real camera is localized that is declared as `camera`."""
    tensors = Sight().tensors(landmark_map, POSE)
    pixels = tensors["key_points"].astype(np.float64)
    seen = {**tensors, "key_points": bent(pixels, CAMERA, FACTOR, K1).astype(np.float32)}
    localizer = Localizer(landmark_map, PRAMMethod(), {"extractor": SeenSession([seen])})
    found = localizer.localize(CameraImage(blank().rgb, camera))
    assert isinstance(found, PoseEstimate)
    return found


def test_the_camera_that_recorded_the_map_is_corrected(landmark_map: LandmarkMap) -> None:
    plain = replace(landmark_map, manifest=replace(landmark_map.manifest, lenses={}))
    without, found = (pose_error(estimate_of(each, CAMERA).map_from_camera, POSE) for each in (plain, landmark_map))
    assert found.translation_m < 0.3 * without.translation_m


def test_another_camera_is_as_declared(landmark_map: LandmarkMap) -> None:
    real = replace(CAMERA, fx=FACTOR * CAMERA.fx, fy=FACTOR * CAMERA.fy)
    plain = replace(landmark_map, manifest=replace(landmark_map.manifest, lenses={}))
    one, other = (estimate_of(each, real).map_from_camera for each in (plain, landmark_map))
    np.testing.assert_array_equal(one, other)


def written(manifest: Manifest) -> bytes:
    """map.yaml, all files of the map being empty."""
    features = manifest.features
    assert features is not None
    nothing = record_of(b"")
    files = dict.fromkeys(("regions.npz", "points.npz", "extractor.onnx"), nothing)
    return encode_manifest(replace(manifest, features=replace(features, extractor_sha256=nothing.sha256)), files)


def test_a_map_keeps_it(landmark_map: LandmarkMap) -> None:
    manifest = landmark_map.manifest
    assert decode_manifest(written(manifest)).manifest.lenses == manifest.lenses
    without = written(replace(manifest, lenses={}))
    assert b"lenses" not in without
    assert not decode_manifest(without).manifest.lenses


def test_a_map_says_what_kind_of_lens_only_of_a_fisheye(landmark_map: LandmarkMap) -> None:
    """So that maps with other lenses are what they were before there was another kind."""
    manifest = landmark_map.manifest
    assert b"lens_model" not in written(manifest)
    (name,) = manifest.lenses
    wide = replace(manifest, lenses={name: replace(manifest.lenses[name], lens_model="fisheye")})
    assert b"lens_model: fisheye" in written(wide)
    assert decode_manifest(written(wide)).manifest.lenses == wide.lenses


def test_a_lens_of_no_place(landmark_map: LandmarkMap) -> None:
    (lens,) = landmark_map.manifest.lenses.values()
    with pytest.raises(ConfigError, match=r"lenses: the map has no place 'attic', it has"):
        replace(landmark_map.manifest, lenses={"attic": lens})


def test_a_damaged_lens(landmark_map: LandmarkMap) -> None:
    body = written(landmark_map.manifest).replace(b"k1: -0.08", b"k1: -0.8")
    body = body[: body.rindex(b"sha256: ")]
    with pytest.raises(MapError, match=r"lens: k1 is -0\.8, must be at most 0\.2"):
        decode_manifest(body + b"sha256: " + record_of(body).sha256.encode() + b"\n")
