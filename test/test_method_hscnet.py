"""The method hscnet: exact scene coordinates give the exact pose, wrong ones are survived, bad outputs are named."""

from dataclasses import replace

import numpy as np
import pytest
from support.mapping_scenes import views, wall_and_box_depth

from vloc_ros.core.manifest import GateThresholds, Manifest, places_apart
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.pipeline import localize
from vloc_ros.core.pnp import solve_pnp
from vloc_ros.core.query import Query
from vloc_ros.core.session import Sessions
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pnp import Matches, PnpSettings, reprojection_errors
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply
from vloc_ros.methods import get_method
from vloc_ros.methods.hscnet.method import HSCNetMethod, heaviest_per_square

SPEC = GridSpec(160, 120, 8, HSCNetMethod.outputs)
CAMERA = Camera(320, 240, 280.0, 280.0, 159.5, 119.5)
SHAPE = (SPEC.height // SPEC.stride, SPEC.width // SPEC.stride)
POSE = views()[11]
LEAVES = 6


class FakeSession:
    spec, backend, max_batch = SPEC.model, "fake", 1

    def __init__(self, outputs: dict[str, np.ndarray]) -> None:
        self.outputs = outputs

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {name: values[np.newaxis] for name, values in self.outputs.items()}


def make_map() -> LandmarkMap:
    positions = np.random.default_rng(0).normal(size=(LEAVES, 3))
    manifest = Manifest(
        "hscnet", "map", "today", SPEC.image_size, SPEC.models, gate=GateThresholds(0, 0.0, np.inf, 0.0)
    )
    ids = np.arange(LEAVES, dtype=np.int32)
    return LandmarkMap(ids, positions, np.tile([0.0, 0, 1], (LEAVES, 1)), np.ones(LEAVES), ids + 9, manifest)


def exact_outputs() -> dict[str, np.ndarray]:
    """What a perfect network says of the wall and the box."""
    rng = np.random.default_rng(1)
    cells = CAMERA.resized(SHAPE[1], SHAPE[0])
    depth = wall_and_box_depth(cells, POSE).astype(float)
    points = apply(POSE, (cells.rays() * depth[..., None]).reshape(-1, 3)).reshape(*SHAPE, 3)
    return {
        "coordinates": points.astype(np.float32),
        "confidences": rng.uniform(0.2, 1.0, SHAPE).astype(np.float32),
        "regions": np.where(depth > 0, rng.integers(1, LEAVES + 1, SHAPE), 0).astype(np.int32),
    }


def image() -> CameraImage:
    return CameraImage(np.zeros((CAMERA.height, CAMERA.width, 3), dtype=np.uint8), CAMERA)


def located(outputs: dict[str, np.ndarray], method: HSCNetMethod | None = None) -> PoseEstimate:
    landmark_map = make_map()
    sessions: Sessions = {"network": FakeSession(outputs)}
    result = localize(Query.of(image()), landmark_map, method or HSCNetMethod(), sessions, landmark_map.manifest.gate)
    assert isinstance(result, PoseEstimate)
    return result


def test_exact_coordinates_give_the_pose_and_every_cell_its_pixel() -> None:
    outputs = exact_outputs()
    found = located(outputs)
    np.testing.assert_allclose(found.map_from_camera, POSE, atol=1e-4)
    pairs = found.correspondences
    assert len(pairs) == (outputs["regions"] > 0).sum()
    matches = Matches(pairs.pixels, pairs.points, pairs.sigmas, pairs.views)
    assert reprojection_errors(POSE, matches, (RigCamera(CAMERA),)).max() < 1e-2
    assert set(pairs.landmark_ids.tolist()) == set(range(LEAVES))
    assert {"preprocess", "network", "coordinates", "pnp", "total"} == set(found.timings_ms)


def test_half_of_the_cells_may_be_wrong() -> None:
    outputs, rng = exact_outputs(), np.random.default_rng(2)
    wrong = rng.random(SHAPE) < 0.5
    outputs["coordinates"][wrong] += rng.normal(0, 1, (int(wrong.sum()), 3)).astype(np.float32)
    outputs["coordinates"][0, 0] = np.nan
    found = located(outputs)
    np.testing.assert_allclose(found.map_from_camera, POSE, atol=2e-3)
    assert found.inlier_ratio < 0.8


def test_cells_below_the_confidence_and_without_region_are_left_out() -> None:
    outputs = exact_outputs()
    confident = (outputs["confidences"] >= 0.6) & (outputs["regions"] > 0)
    pairs = located(outputs, HSCNetMethod(min_confidence=0.6)).correspondences
    assert len(pairs) == confident.sum()
    ratio = (pairs.sigmas.max() / pairs.sigmas.min()) ** 2
    confidences = outputs["confidences"][confident]
    assert ratio == pytest.approx(confidences.max() / confidences.min(), rel=1e-4)
    none = HSCNetMethod(min_confidence=2.0).correspond(outputs, image(), make_map())
    assert len(none) == 0


@pytest.mark.parametrize("most", [1, 7, 60, 300, 1000])
def test_the_heaviest_of_each_square_are_taken(most: int) -> None:
    weights = np.random.default_rng(most).random(SHAPE) * (np.random.default_rng(0).random(SHAPE) > 0.3)
    rows, columns = heaviest_per_square(weights, most)
    assert 0 < len(rows) <= most
    assert (weights[rows, columns] > 0).all()
    side = next(s for s in range(1, 99) if -(-SHAPE[0] // s) * -(-SHAPE[1] // s) <= most)
    squares = [weights[y : y + side, x : x + side] for y in range(0, SHAPE[0], side) for x in range(0, SHAPE[1], side)]
    assert sorted(weights[rows, columns]) == sorted(s.max() for s in squares if s.any())


def test_nothing_to_take() -> None:
    assert [len(part) for part in heaviest_per_square(np.zeros(SHAPE), 10)] == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regions": np.full(SHAPE, LEAVES + 1, dtype=np.int32)}, "regions are 7 to 7, the map has 1 to 6"),
        ({"regions": np.full(SHAPE, -1, dtype=np.int32)}, "regions are -1"),
        ({"confidences": np.ones(SHAPE)}, "float64"),
        ({"coordinates": np.zeros(SHAPE, dtype=np.float32)}, r"\(15, 20\) instead of float32 \(15, 20, 3\)"),
    ],
)
def test_outputs_that_the_map_does_not_promise(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        located({**exact_outputs(), **change})


def test_the_map_names_the_method() -> None:
    assert isinstance(get_method("hscnet"), HSCNetMethod)


def test_all_points_make_hypotheses_where_a_method_says_so() -> None:
    """The most certain hundred are all wrong: only who looks at the others too finds the pose."""
    pairs = located(exact_outputs()).correspondences
    points, certain = pairs.points.copy(), np.argsort(pairs.sigmas, kind="stable")[:100]
    points[certain] = np.random.default_rng(0).normal(0, 3, (100, 3))
    misled = replace(pairs, points=points)
    found = solve_pnp(misled, (RigCamera(CAMERA),), HSCNetMethod().pnp)
    assert isinstance(found, PoseEstimate)
    np.testing.assert_allclose(found.map_from_camera, POSE, atol=1e-3)
    few = solve_pnp(misled, (RigCamera(CAMERA),))
    assert not isinstance(few, PoseEstimate) or not np.allclose(few.map_from_camera, POSE, atol=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        {"max_inlier_angle_rad": 0.0},
        {"max_inlier_angle_rad": np.nan},
        {"ransac_points": 3},
        {"min_iterations": 0},
        {"min_iterations": 50, "max_iterations": 49},
    ],
)
def test_settings_that_make_no_sense(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="pnp"):
        PnpSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("left", "right", "place"), [(0.9, 0.3, "hall"), (0.3, 0.9, "attic")])
def test_the_sum_of_confidences_tells_the_place(left: float, right: float, place: str) -> None:
    """The left half of the cells shows regions of the hall, the right half regions of the attic."""
    one = make_map()
    manifest = replace(one.manifest, places=places_apart(("hall", "attic"), "map"))
    joined = replace(one, manifest=manifest, places=np.arange(LEAVES, dtype=np.int32) % 2)
    outputs = exact_outputs()
    halves = np.repeat([0, 1], SHAPE[1] // 2)[np.newaxis]
    outputs["confidences"][:] = np.where(halves == 0, left, right)
    outputs["regions"] = np.where(outputs["regions"] > 0, halves + 1, 0).astype(np.int32)
    result = localize(
        Query.of(image()), joined, HSCNetMethod(), {"network": FakeSession(outputs)}, joined.manifest.gate
    )
    assert isinstance(result, PoseEstimate)
    assert result.place == place
    assert set(result.correspondences.landmark_ids) == {int(place == "attic")}
    np.testing.assert_allclose(result.map_from_camera, POSE, atol=1e-3)
