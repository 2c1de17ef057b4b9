"""A new method is its own files and one line of the registry: a sparse one, with several proposals and a refinement."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.toy_sparse import HEIGHT, MODELS, WIDTH, extractor, features, recognizer

from vloc_ros.core.gate import gate
from vloc_ros.core.manifest import GateThresholds, Manifest
from vloc_ros.core.points import Points
from vloc_ros.core.query import Query, View
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.drawing.overlay import draw_overlay
from vloc_ros.errors import MapError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import apply, from_quaternion, invert
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.maps import write_map
from vloc_ros.methods import METHODS, MethodEntry

CAMERA = Camera(WIDTH, HEIGHT, 280.0, 280.0, 159.5, 119.5)
POSE = from_quaternion([0.02, -0.05, 0.01, 1.0], [0.1, -0.05, 0.0])
CPU = SessionOptions("onnxruntime", threads=1, max_batch=2)
DECOY, LOOKED_AT, BESIDE = range(3)  # regions
# Ten colours that are far apart, bright enough for the extractor.
COLORS = np.array(
    [
        *((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)),
        *((0, 255, 255), (255, 128, 0), (128, 255, 0), (0, 128, 255), (255, 255, 255)),
    ],
    dtype=np.uint8,
)


def make_map() -> LandmarkMap:
    """Five points of the region that is looked at, five beside it, and a decoy: a poster of the former elsewhere."""
    rng = np.random.default_rng(5)
    wall = np.column_stack([rng.uniform((-0.9, -0.6), (0.9, 0.6), (10, 2)), rng.uniform(2.0, 3.5, 10)])
    decoy = rng.uniform((-0.9, -0.6, 2.0), (0.9, 0.6, 3.5), (5, 3))
    colors = np.concatenate([COLORS[:5], COLORS]) / 255
    positions = np.concatenate([decoy, wall])
    regions = np.repeat(np.array([DECOY, LOOKED_AT, BESIDE], np.int32), 5)
    points = Points(
        positions=positions,
        descriptors=colors.astype(np.float16),
        regions=regions,
        places=np.zeros(15, np.int32),
        directions=np.tile([0.0, 0.0, -1.0], (15, 1)),
        distances=np.tile([0.5, 5.0], (15, 1)),
    )
    gate = GateThresholds(5, 0.9, 8.0, 0.0)
    created = "2026-01-02T03:04:05Z"
    manifest = Manifest("toy_sparse", "map", created, (WIDTH, HEIGHT), MODELS, gate=gate, features=features())
    return LandmarkMap(
        ids=np.array([70, 80, 90], np.int32),
        positions=np.stack([positions[regions == region].mean(axis=0) for region in range(3)]),
        normals=np.tile([0.0, 0.0, -1.0], (3, 1)),
        extents=np.ones(3),
        observations=np.full(3, 9, np.int32),
        manifest=manifest,
        points=points,
    )


def picture(landmark_map: LandmarkMap, camera: Camera, map_from_camera: np.ndarray) -> CameraImage:
    """A dot for each point of the place, which the decoy is not."""
    assert landmark_map.points is not None
    pixels, _ = camera.project(apply(invert(map_from_camera), landmark_map.points.positions[5:]))
    rgb = np.full((camera.height, camera.width, 3), 3, np.uint8)
    for (x, y), color in zip(np.rint(pixels).astype(int), COLORS, strict=True):
        if 0 <= x < camera.width and 0 <= y < camera.height:
            rgb[y, x] = color
    return CameraImage(rgb, camera)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = "support.toy_sparse:no_training"
    monkeypatch.setitem(METHODS, "toy_sparse", MethodEntry("support.toy_sparse:ToySparseMethod", nothing, nothing))


@pytest.fixture
def map_dir(tmp_path: Path) -> Path:
    weights = np.tile(np.array([3.0, 2.0, 1.0], np.float32), (3, 1))  # the decoy looks the likeliest
    networks = {"extractor": {"float32": extractor()}, "recognizer": {"float32": recognizer(weights)}}
    write_map(tmp_path / "map", make_map(), networks, np.zeros((4, 4, 3), np.uint8))  # type: ignore[arg-type]
    return tmp_path / "map"


@pytest.fixture
def localizer(registered: None, map_dir: Path) -> Localizer:
    return load_localizer(map_dir, CPU)


def test_a_map_of_two_networks_and_points_localizes(localizer: Localizer) -> None:
    assert set(localizer.sessions) == {"extractor", "recognizer"}
    localizer.warm_up()
    result = localizer.localize(picture(localizer.landmark_map, CAMERA, POSE))
    assert isinstance(result, PoseEstimate), result
    error = pose_error(result.map_from_camera, POSE)
    assert error.translation_m < 0.03  # dots are whole pixels
    assert error.translation_m < 4 * result.position_sigma_m
    assert error.rotation_rad < 0.01
    assert list(result.timings_ms) == ["preprocess", "network", "matching", "pnp", "guided_matching", "total"]


def test_the_decoy_is_proposed_first_and_refused_and_the_next_proposal_holds(localizer: Localizer) -> None:
    landmark_map, image = localizer.landmark_map, picture(localizer.landmark_map, CAMERA, POSE)
    proposals = list(localizer.method.propose(localizer.observe(image), landmark_map, Stopwatch()))
    assert [set(found.landmark_ids.tolist()) for found in proposals] == [{70}, {80}, {90}]
    result = localizer.localize(image)
    assert isinstance(result, PoseEstimate)
    assert set(result.correspondences.landmark_ids.tolist()) == {80, 90}


def test_refinement_finds_the_points_beside(localizer: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pose of five points finds the other five by guided matching: that makes it precise, but only the five that
    were found without it speak for it."""
    image = picture(localizer.landmark_map, CAMERA, POSE)
    refined = localizer.localize(image)
    monkeypatch.setattr(type(localizer.method), "refine", lambda *_: None)
    plain = localizer.localize(image)
    assert isinstance(refined, PoseEstimate)
    assert isinstance(plain, PoseEstimate)
    assert (refined.inliers.sum(), refined.inlier_count, refined.inlier_ratio) == (10, 5, 1.0)
    assert (plain.inliers.sum(), plain.inlier_count, plain.inlier_ratio) == (5, 5, 1.0)
    assert refined.position_sigma_m < plain.position_sigma_m


def test_guided_inliers_do_not_decide(localizer: Localizer) -> None:
    image = picture(localizer.landmark_map, CAMERA, POSE)
    estimate = localizer.localize(image)
    assert isinstance(estimate, PoseEstimate)
    assert estimate.inliers.sum() == 10
    refused = gate(estimate, replace(localizer.gate, min_inliers=6))
    assert isinstance(refused, Rejection)
    assert refused.detail == "5 inliers, below 6"
    early = localizer.gated(min_inliers=6).localize(image)  # what is refused in any case is not refined
    assert isinstance(early, Rejection)
    assert early.detail == "5 inliers, below 6"
    assert "guided_matching" not in early.timings_ms


def test_where_no_proposal_holds_the_nearest_is_the_rejection(localizer: Localizer) -> None:
    image = picture(localizer.landmark_map, CAMERA, POSE)
    strict = localizer.gated(min_inliers=11)
    result = strict.localize(image)
    assert isinstance(result, Rejection)
    assert result.reason is RejectionReason.TOO_FEW_INLIERS
    assert result.refused is not None
    assert result.refused.inlier_count == 5  # that of the region that is there, not the decoy's
    dark = CameraImage(np.zeros_like(image.rgb), CAMERA)
    nothing = localizer.localize(dark)
    assert isinstance(nothing, Rejection)
    assert nothing.reason is RejectionReason.TOO_FEW_LANDMARKS


def test_a_method_that_proposes_nothing(localizer: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(localizer.method), "propose", lambda *_: [])
    result = localizer.localize(picture(localizer.landmark_map, CAMERA, POSE))
    assert isinstance(result, Rejection)
    assert result.reason is RejectionReason.TOO_FEW_LANDMARKS


def test_two_cameras_and_many_queries(localizer: Localizer) -> None:
    landmark_map = localizer.landmark_map
    mounts = (np.eye(4), from_quaternion([0.0, 0.05, 0.0, 1.0], [0.2, 0.0, 0.0]))
    views = tuple(View(picture(landmark_map, CAMERA, POSE @ mount), mount) for mount in mounts)
    queries = [Query(views, 1), Query.of(views[0].image), Query(views[::-1], 2)]
    expected = [localizer.localize(query) for query in queries]
    found = list(localizer.localize_all(queries))
    for one, other in zip(expected, found, strict=True):
        assert isinstance(one, PoseEstimate)
        assert isinstance(other, PoseEstimate)
        assert pose_error(one.map_from_camera, POSE).translation_m < 0.03
        np.testing.assert_allclose(one.map_from_camera, other.map_from_camera, atol=1e-9)
        assert list(one.timings_ms) == list(other.timings_ms)
    assert set(expected[0].correspondences.views.tolist()) == {0, 1}  # type: ignore[union-attr]


def test_key_points_are_drawn(localizer: Localizer) -> None:
    image = picture(localizer.landmark_map, CAMERA, POSE)
    result = localizer.localize(image)
    drawn = draw_overlay(localizer, image, result)
    tensors = localizer.observe(image).tensors[0]
    seen = localizer.method.visualize(tensors, image, localizer.landmark_map)
    assert seen.colors is None
    assert len(seen.key_points) == 10
    assert (drawn == 255).all(axis=2).sum() > 100  # white circles


def test_what_is_not_registered_or_has_other_networks_is_refused(
    map_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(MapError, match="method 'toy_sparse' is unknown"):
        load_localizer(map_dir, CPU)
    monkeypatch.setitem(METHODS, "toy_sparse", MethodEntry("support.toy_sparse:ToySparseMethod", "", ""))
    whole = make_map()
    lacking = replace(whole, manifest=replace(whole.manifest, models={"extractor": MODELS["extractor"]}))
    write_map(tmp_path / "other", lacking, {"extractor": {"float32": extractor()}}, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(MapError, match="method 'toy_sparse' needs an extractor and a recognizer of its own, the map"):
        load_localizer(tmp_path / "other", CPU)
