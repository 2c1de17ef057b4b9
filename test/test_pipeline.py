"""From an image through a network to a pose, with a network that is known to answer rightly or wrongly."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
import pytest
from voting import CAMERA, Scene, make_scene

from vloc_ros.core import pipeline
from vloc_ros.core.manifest import GateThresholds, Manifest
from vloc_ros.core.model_spec import GridSpec, ModelSpec
from vloc_ros.core.query import Query
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.geometry.camera import Camera
from vloc_ros.methods import METHODS, get_method
from vloc_ros.methods.network_input import network_input
from vloc_ros.methods.vsnet.method import VSNetMethod

SPEC = GridSpec(width=640, height=480, stride=4, outputs=VSNetMethod.outputs)


@dataclass(frozen=True, eq=False)
class FakeSession:
    """Answers every image with the same outputs (without batch axis)."""

    outputs: Mapping[str, np.ndarray]
    spec: ModelSpec = SPEC.model

    backend = "fake"
    max_batch = 1

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        images = inputs["image"]
        assert images.shape == (1, SPEC.height, SPEC.width, 3)
        assert images.dtype == np.uint8
        return {name: output[np.newaxis] for name, output in self.outputs.items()}


def localize(image: CameraImage, landmark_map: LandmarkMap, method: Any, sessions: Any) -> PoseEstimate | Rejection:
    return pipeline.localize(Query.of(image), landmark_map, method, sessions, landmark_map.manifest.gate)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene()


@pytest.fixture(scope="module")
def landmark_map(scene: Scene) -> LandmarkMap:
    n = len(scene.points)
    return LandmarkMap(
        ids=np.arange(n, dtype=np.int32) + 1000,
        positions=scene.points,
        normals=np.tile([0.0, 0.0, 1.0], (n, 1)),
        extents=np.full(n, 0.1),
        observations=np.full(n, 5, dtype=np.int32),
        manifest=Manifest("vsnet", "map", "2025-01-01T00:00:00Z", SPEC.image_size, SPEC.models, gate=GateThresholds()),
    )


def outputs_of(scene: Scene) -> dict[str, np.ndarray]:
    return {field.name: getattr(scene.field, field.name) for field in fields(scene.field)}


def image_of(camera: Camera) -> CameraImage:
    return CameraImage(np.zeros((camera.height, camera.width, 3), np.uint8), camera)


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (1280, 960), (644, 480)])
def test_pose_from_images_of_any_size(scene: Scene, landmark_map: LandmarkMap, size: tuple[int, int]) -> None:
    """The scene's camera is at the map's origin; its image may have another size, the pose is the same."""
    image = image_of(CAMERA.resized(*size))
    result = localize(image, landmark_map, get_method("vsnet"), {"network": FakeSession(outputs_of(scene))})
    assert isinstance(result, PoseEstimate)
    assert np.linalg.norm(result.map_from_camera[:3, 3]) < 0.02
    assert result.map_from_camera[:3, :3] == pytest.approx(np.eye(3), abs=0.005)
    assert result.inlier_ratio > 0.95
    assert result.correspondences.landmark_ids.min() >= 1000
    assert list(result.timings_ms) == ["preprocess", "network", "voting", "pnp", "total"]
    parts = [result.timings_ms[stage] for stage in ("preprocess", "network", "voting", "pnp")]
    assert 0 < sum(parts) <= result.timings_ms["total"]


def test_sigmas_and_pixels_scale_with_the_image(scene: Scene, landmark_map: LandmarkMap) -> None:
    outputs = outputs_of(scene)
    small = VSNetMethod().correspond(outputs, image_of(CAMERA.resized(320, 240)), landmark_map)
    large = VSNetMethod().correspond(outputs, image_of(CAMERA), landmark_map)
    assert large.sigmas == pytest.approx(2 * small.sigmas)
    assert large.pixels + 0.5 == pytest.approx(2 * (small.pixels + 0.5))


def test_nothing_recognised_is_rejected_with_timings(landmark_map: LandmarkMap, scene: Scene) -> None:
    outputs = outputs_of(scene) | {"labels": np.zeros_like(scene.field.labels)}
    result = localize(image_of(CAMERA), landmark_map, VSNetMethod(), {"network": FakeSession(outputs)})
    assert isinstance(result, Rejection)
    assert result.reason is RejectionReason.TOO_FEW_LANDMARKS
    assert "total" in result.timings_ms


def test_a_wrong_map_is_rejected(scene: Scene, landmark_map: LandmarkMap) -> None:
    shuffled = np.random.default_rng(0).permutation(scene.points)
    wrong_map = LandmarkMap(
        landmark_map.ids,
        shuffled,
        landmark_map.normals,
        landmark_map.extents,
        landmark_map.observations,
        landmark_map.manifest,
    )
    assert isinstance(
        localize(image_of(CAMERA), wrong_map, VSNetMethod(), {"network": FakeSession(outputs_of(scene))}), Rejection
    )


def test_another_aspect_ratio(landmark_map: LandmarkMap, scene: Scene) -> None:
    wide = Camera(1280, 720, 900.0, 900.0, 639.5, 359.5)
    with pytest.raises(ConfigError, match=r"1280x720.*640x480"):
        localize(image_of(wide), landmark_map, VSNetMethod(), {"network": FakeSession(outputs_of(scene))})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": None}, "no output 'labels'"),
        ({"labels": np.zeros((120, 160), np.int64)}, r"'labels' is int64 .* instead of int32"),
        ({"confidences": np.zeros((1, 120, 160), np.float32)}, r"\(1, 120, 160\) instead of float32 \(120, 160\)"),
        ({"votes": np.zeros((120, 160, 3), np.float32)}, r"\(120, 160, 3\)"),
        ({"distances": None}, "no output 'distances'"),
        ({"scales": np.ones((120, 160))}, "'scales' is float64 .* instead of float32"),
        ({"labels": np.full((120, 160), 151, np.int32)}, r"label 151 outside 0\.\.150"),
    ],
)
def test_a_network_that_does_not_suit_the_map(
    landmark_map: LandmarkMap, scene: Scene, change: dict[str, np.ndarray | None], words: str
) -> None:
    outputs = {name: array for name, array in (outputs_of(scene) | change).items() if array is not None}
    with pytest.raises(ModelError, match=words):
        localize(image_of(CAMERA), landmark_map, VSNetMethod(), {"network": FakeSession(outputs)})


def test_network_input_is_undistorted_and_scaled() -> None:
    """A distorted line of dots: in the network's input they lie where the undistorted, resized camera projects them."""
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0, (-0.2, 0.05, 0.0, 0.0))
    points = np.array([[x, 0.3, 1.0] for x in (-0.4, 0.0, 0.4)])
    spots, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, np.array(camera.distortion))
    rgb = np.zeros((480, 640, 3), np.uint8)
    for x, y in spots[:, 0]:
        cv2.circle(rgb, (round(x * 16), round(y * 16)), 4 * 16, (255, 255, 255), -1, shift=4)
    seen = network_input(CameraImage(rgb, camera), (320, 240))
    assert seen.shape == (240, 320, 3)
    expected, _ = camera.undistorted().resized(320, 240).project(points)
    count, _, _, centres = cv2.connectedComponentsWithStats((seen[..., 0] > 127).astype(np.uint8))
    assert count == 4
    assert centres[np.argsort(centres[:, 0])] == pytest.approx(
        np.vstack([expected, centres[:1]])[np.argsort(np.append(expected[:, 0], centres[0, 0]))], abs=0.3
    )


def test_methods_load_by_name() -> None:
    for name in METHODS:
        assert hasattr(get_method(name), "propose")
    with pytest.raises(ConfigError, match="known are vsnet"):
        get_method("magic")


def test_stopwatch_adds_up_and_survives_errors() -> None:
    stopwatch = Stopwatch()
    with pytest.raises(ValueError, match="inside"), stopwatch.stage("a"):
        raise ValueError("inside")
    first = stopwatch.timings_ms["a"]
    with stopwatch.stage("a"):
        pass
    assert stopwatch.timings_ms["a"] > first > 0
