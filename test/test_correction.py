"""The correction field: what it does to a pose, where it does nothing, and that a map without one stays as it was."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.map_files import joined_map, make_map, random_pose

from vloc_ros.core.correction import corrected
from vloc_ros.core.correction_field import CorrectionField, CorrectionKernel
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.types import PoseEstimate
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import from_quaternion, invert, pose_distances

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
ALONE = (RigCamera(CAMERA),)
KERNEL = CorrectionKernel(0.15, math.radians(12))
STEP = np.array([0.01, -0.02, 0.005, 0.004, 0.001, -0.003])


def make_field(count: int = 40, step: np.ndarray = STEP, spread: float = 0.05, places: int = 1) -> CorrectionField:
    """Views around the origin of each place, all off by the same."""
    rng = np.random.default_rng(3)
    poses = np.stack([perturb(np.eye(4), rng.normal(0, spread, 6)) for _ in range(count)])
    weight = KERNEL(*pose_distances(poses, np.eye(4))).sum()
    return CorrectionField(poses, np.tile(step / weight, (count, 1)), np.arange(count, dtype=np.int32) % places, KERNEL)


def make_estimate(pose: np.ndarray, views: tuple[int, ...] = (0,) * 8) -> PoseEstimate:
    count = len(views)
    found = Correspondences(
        np.zeros((count, 2)),
        np.zeros((count, 3)),
        np.ones(count),
        np.zeros(count, np.int32),
        np.array(views, np.int32),
    )
    return PoseEstimate(pose, np.eye(6) * 1e-6, found, np.ones(count, np.bool_), 1.0)


def test_a_pose_near_the_views_is_moved_by_their_correction_and_nothing_else_changes() -> None:
    estimate = make_estimate(np.eye(4))
    moved = corrected(estimate, make_field(), ALONE)
    np.testing.assert_allclose(error_vector(moved.map_from_camera, np.eye(4)), STEP, rtol=1e-4)
    for name in ("covariance", "correspondences", "inliers", "reprojection_rmse_px", "confidence", "place"):
        assert getattr(moved, name) is getattr(estimate, name)


@pytest.mark.parametrize("away", [[1.5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 2.0, 0]])
def test_nothing_happens_where_no_view_is_near(away: list[float]) -> None:
    pose = perturb(np.eye(4), np.array(away))
    assert np.abs(make_field().step(pose)).max() < 1e-6 * np.abs(STEP).max()


def test_without_a_field_the_estimate_is_the_same_one() -> None:
    estimate = make_estimate(np.eye(4))
    assert corrected(estimate, None, ALONE) is estimate


def test_a_step_is_the_sum_of_its_formula() -> None:
    rng = np.random.default_rng(4)
    poses = np.stack([perturb(np.eye(4), rng.normal(0, 0.1, 6)) for _ in range(9)])
    field = CorrectionField(poses, rng.normal(0, 0.01, (9, 6)), np.zeros(9, np.int32), KERNEL)
    pose, expected = perturb(np.eye(4), rng.normal(0, 0.1, 6)), np.zeros(6)
    for view, coefficients in zip(poses, field.coefficients, strict=True):
        error = error_vector(view, pose)
        squares = float(error[:3] @ error[:3]) / 0.15**2 + float(error[3:] @ error[3:]) / math.radians(12) ** 2
        expected += math.exp(-squares / 2) * coefficients
    np.testing.assert_allclose(field.step(pose), expected, rtol=1e-9)


def test_corrections_fade_with_the_distance() -> None:
    field = make_field(spread=1e-6)
    sizes = [np.linalg.norm(field.step(perturb(np.eye(4), np.array([x, 0, 0, 0, 0, 0])))) for x in (0, 0.2, 0.4, 0.8)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.01 * sizes[0]


def test_a_rig_moves_as_its_cameras_say() -> None:
    """Both cameras of a rig see the same error of the rig, and each is told its own step."""
    rng = np.random.default_rng(5)
    rig_step = np.array([0.004, -0.002, 0.003, 0.002, -0.001, 0.0015])
    rig = tuple(RigCamera(CAMERA, from_quaternion(rng.normal(size=4), rng.normal(0, 0.3, 3))) for _ in range(2))
    pose = random_pose(rng)
    cameras = np.stack([each.map_from_camera(pose) for each in rig])
    after = np.stack([each.map_from_camera(perturb(pose, rig_step)) for each in rig])
    steps = np.stack([error_vector(one, other) for one, other in zip(after, cameras, strict=True)])
    field = CorrectionField(cameras, steps, np.zeros(2, np.int32), CorrectionKernel(0.05, 0.05))
    for views in ((0, 1, 1, 0, 1), (0, 0, 0, 0), (1, 1, 1, 1)):
        moved = corrected(make_estimate(pose, views), field, rig)
        np.testing.assert_allclose(error_vector(moved.map_from_camera, pose), rig_step, atol=2e-6)


def test_a_camera_off_its_rigs_origin() -> None:
    rng = np.random.default_rng(6)
    rig = (RigCamera(CAMERA, from_quaternion(rng.normal(size=4), [0.3, 0.1, -0.2])),)
    camera = random_pose(rng)
    field = CorrectionField(camera[np.newaxis], STEP[np.newaxis], np.zeros(1, np.int32), CorrectionKernel(1, 1))
    moved = corrected(make_estimate(camera @ invert(rig[0].rig_from_camera)), field, rig)
    np.testing.assert_allclose(error_vector(rig[0].map_from_camera(moved.map_from_camera), camera), STEP, atol=2e-6)


def test_each_place_has_its_own() -> None:
    landmark_map = replace(joined_map(), correction=make_field(places=2))
    for name, index in (("hall", 0), ("attic", 1)):
        part = landmark_map.correction_of(name)
        assert part is not None
        assert set(part.places.tolist()) == {index}
        only = landmark_map.of_place(name)
        assert only.correction is not None
        assert not only.correction.places.any()
        np.testing.assert_array_equal(only.correction.poses, part.poses)
    assert landmark_map.correction_of("nowhere") is None
    assert landmark_map.correction_of(None) is None  # of several places one has to be named
    one_sided = replace(joined_map(), correction=make_field(places=1))
    assert one_sided.correction_of("attic") is None
    assert one_sided.of_place("attic").correction is None
    assert make_map().correction_of(None) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"poses": np.zeros((3, 4, 4))}, "poses: shape"),
        ({"poses": np.tile(2 * np.eye(4), (40, 1, 1))}, "view 0 has"),
        ({"poses": np.tile(from_quaternion([0, 0, 0, 1], [1e9, 0, 0]), (40, 1, 1))}, "m from the map's origin"),
        ({"coefficients": np.zeros((40, 5))}, "coefficients: shape"),
        ({"coefficients": np.full((40, 6), np.nan)}, "not finite"),
        ({"coefficients": np.full((40, 6), 1.5)}, "row 0 has .*, more than 1"),
        ({"places": np.zeros(3, np.int32)}, "places: shape"),
        ({"poses": np.empty((0, 4, 4)), "coefficients": np.empty((0, 6)), "places": np.empty(0, np.int32)}, "no views"),
    ],
)
def test_fields_that_cannot_be_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"correction: .*{words}|{words}"):
        replace(make_field(), **change)


@pytest.mark.parametrize("name", ["distance_m", "angle_rad"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_kernels_that_cannot_be_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"correction: {name} is"):
        replace(KERNEL, **{name: value})


@pytest.mark.parametrize("index", [-1, 2])
def test_corrections_of_places_that_there_are_not(index: int) -> None:
    field = replace(make_field(), places=np.full(40, index, np.int32))
    with pytest.raises(ConfigError, match=f"correction: places: indices are {index}"):
        replace(joined_map(), correction=field)
