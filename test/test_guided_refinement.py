"""A dense method whose map has points too: its pose is refined with these, and believed for what the network said."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.sparse_scenes import CAMERA, EXTRACTOR, HEIGHT, POSE, WIDTH, SeenSession, Sight, blank, room

from vloc_ros.core.guided_matching import GuidedSettings
from vloc_ros.core.model_spec import NETWORK, GridSpec
from vloc_ros.core.pnp import solve_near
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.localizer import Localizer
from vloc_ros.methods.guided_refinement import guided_correspondences, point_shifts
from vloc_ros.methods.hscnet.method import HSCNetMethod

GRID = GridSpec(WIDTH, HEIGHT, 8, HSCNetMethod.outputs)
OFF = np.array([0.015, -0.01, 0.01])  # metres: all coordinates of the image alike, as far from the mapping views


class Coordinates:
    """A network that sees a wall 3 m away from the camera, and is wrong by OFF."""

    spec, backend, max_batch = GRID.model, "fake", 8

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert set(inputs) == {"image"}
        rows, columns = HEIGHT // 8, WIDTH // 8
        pixels = (np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) + 0.5) * 8 - 0.5
        depths = np.random.default_rng(0).uniform(2.0, 4.0, (rows, columns, 1))
        rays = np.concatenate(
            [(pixels - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy), np.ones_like(depths)], axis=2
        )
        points = apply(POSE, (rays * depths).reshape(-1, 3)) + OFF
        return {
            "coordinates": points.reshape(1, rows, columns, 3).astype(np.float32),
            "confidences": np.full((1, rows, columns), 0.8, np.float32),
            "regions": np.ones((1, rows, columns), np.int32),
        }


@pytest.fixture
def landmark_map() -> LandmarkMap:
    found = room()
    return replace(found, manifest=replace(found.manifest, method="hscnet", models={NETWORK: GRID.model, **EXTRACTOR}))


def localizer_of(landmark_map: LandmarkMap) -> Localizer:
    seen = SeenSession([Sight().tensors(landmark_map, POSE)])
    return Localizer(landmark_map, HSCNetMethod(), {NETWORK: Coordinates(), "extractor": seen})  # type: ignore[dict-item]


def test_points_make_the_pose_of_a_dense_method_precise(landmark_map: LandmarkMap) -> None:
    plain = replace(
        landmark_map, points=None, manifest=replace(landmark_map.manifest, features=None, models=GRID.models)
    )
    alone = Localizer(plain, HSCNetMethod(), {NETWORK: Coordinates()}).localize(blank())  # type: ignore[dict-item]
    refined = localizer_of(landmark_map).localize(blank())
    assert isinstance(alone, PoseEstimate)
    assert isinstance(refined, PoseEstimate)
    assert pose_error(alone.map_from_camera, POSE).translation_m == pytest.approx(np.linalg.norm(OFF), abs=0.002)
    assert pose_error(refined.map_from_camera, POSE).translation_m < 0.004
    assert "guided_matching" in refined.timings_ms
    assert refined.evidence.correspondences == len(alone.correspondences)
    assert refined.inlier_count == alone.inlier_count


def test_around_a_first_pose_windows_are_wider(landmark_map: LandmarkMap) -> None:
    localizer = localizer_of(landmark_map)
    found = localizer.localize(blank())
    assert isinstance(found, PoseEstimate)
    turned = POSE.copy()
    turned[:3, :3] = POSE[:3, :3] @ cv2.Rodrigues(np.array([0.0, 6.0 / CAMERA.fx, 0.0]))[0]  # 6 px off
    again = replace(found, map_from_camera=turned)
    first = replace(again, unguided=None)
    observation = localizer.observe(blank())
    wide, narrow = (
        guided_correspondences(each, observation, landmark_map, GuidedSettings()) for each in (first, again)
    )
    assert wide is not None
    assert narrow is not None
    assert len(wide) > 50
    assert len(narrow) < 0.2 * len(wide)
    refined = solve_near(first, wide, observation.query.cameras)
    assert refined.unguided == first.evidence
    assert pose_error(refined.map_from_camera, POSE).rotation_rad < 0.1 * pose_error(turned, POSE).rotation_rad


def test_a_pose_that_is_refused_in_any_case_is_not_refined(landmark_map: LandmarkMap) -> None:
    refused = localizer_of(landmark_map).gated(min_inliers=5000).localize(blank())
    assert isinstance(refused, Rejection)
    assert "guided_matching" not in refused.timings_ms


def test_points_shift_as_they_are_seen_elsewhere(landmark_map: LandmarkMap) -> None:
    """By what moving them by a standard deviation along their direction does; not at all from that direction."""
    points, camera_from_map = landmark_map.points, invert(POSE)
    assert points is not None
    rows = np.arange(20)
    aside = points.directions[rows] + (0.3, 0.1, 0.0)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    at_camera = POSE[:3, 3] - points.positions[rows]
    at_camera /= np.linalg.norm(at_camera, axis=1, keepdims=True)
    for directions, seen in ((aside, True), (at_camera, False)):
        uncertain = replace(points[rows], directions=directions, sigmas=np.full(20, 1e-4))
        shifts = point_shifts(uncertain, rows, CAMERA, camera_from_map)
        moved = uncertain.positions + directions * 1e-4
        before, after = (CAMERA.project(apply(camera_from_map, each))[0] for each in (uncertain.positions, moved))
        np.testing.assert_allclose(shifts, after - before, rtol=1e-3, atol=1e-6)
        assert (np.abs(shifts).max() > 1e-3) == seen
