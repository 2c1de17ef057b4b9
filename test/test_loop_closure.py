"""Poses that drift or jump are found out by what frames show, and put right; good ones stay as they are."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rigid_alignment import align_poses, corner_distances
from vloc_ros.geometry.transforms import apply, blended, invert, rotation_angle
from vloc_ros.mapping import loop_closure
from vloc_ros.mapping.frame_features import FrameFeatures, quantized
from vloc_ros.mapping.loop_closure import breaks_what_agreed, close_loops, is_drift, similar_pairs, solve_graph
from vloc_ros.mapping.pose_graph import Edges, optimize, recorded_steps, residuals
from vloc_ros.mapping.relative_poses import RelativePoses, measure_pairs, relative
from vloc_ros.synthetic.drift import drifted

Float = NDArray[np.float64]

CAMERA = Camera(320, 240, 260.0, 260.0, 160.0, 120.0, cropped=True)
FRAMES, POINTS, DIMENSIONS = 64, 900, 32
SECONDS = np.arange(FRAMES) / 2.0
UP = np.array([0.0, 0.0, 1.0])


def looking_out(angle: float, radius: float = 0.6) -> Float:
    """On a circle, with the optical axis away from its centre; z of the map is up."""
    ahead = np.array([np.cos(angle), np.sin(angle), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([np.cross(ahead, UP), -UP, ahead])
    pose[:3, 3] = radius * ahead + 0.1 * np.sin(3 * angle) * UP
    return pose


def seen(poses: Float, recorded: Float) -> FrameFeatures:
    """What frames at `poses` see of random points on walls around them, half a pixel and 3 mm off."""
    rng = np.random.default_rng(3)
    angles, heights = rng.uniform(0, 2 * np.pi, POINTS), rng.uniform(-1.2, 1.2, POINTS)
    distances = rng.uniform(2.2, 3.4, POINTS)
    points = np.column_stack([distances * np.cos(angles), distances * np.sin(angles), heights])
    found = rng.normal(size=(POINTS, DIMENSIONS))
    descriptors = quantized((found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32))
    parts = []
    for pose in poses:
        pixels, depths = CAMERA.project(apply(invert(pose), points))
        inside = np.flatnonzero((depths > 0.1) & (pixels > 0).all(axis=1) & (pixels < (320, 240)).all(axis=1))
        noise = rng.normal(0, 0.5, (len(inside), 2))
        parts.append((pixels[inside] + noise, depths[inside] + rng.normal(0, 0.003, len(inside)), descriptors[inside]))
    pixels, depths, descriptors = (np.concatenate(each) for each in zip(*parts, strict=True))
    starts = np.cumsum([0, *(len(part[0]) for part in parts)], dtype=np.int64)
    names = tuple(f"frame-{index:03d}" for index in range(len(poses)))
    return FrameFeatures(names, recorded, CAMERA, starts, pixels, depths, descriptors)


@pytest.fixture(scope="module")
def truth() -> Float:
    """Twice around."""
    return np.stack([looking_out(angle) for angle in np.linspace(0, 4 * np.pi, FRAMES)])


@pytest.fixture(scope="module")
def exact(truth: Float) -> FrameFeatures:
    return seen(truth, truth)


def error(poses: Float, truth: Float) -> float:
    """After one rigid alignment: metres, and radians as if they were metres; median."""
    return float(np.median(corner_distances(poses, align_poses(truth, poses)[0] @ truth)))


def drifting(truth: Float) -> Float:
    return drifted(truth, SECONDS, 0.01, np.radians(0.4), UP)


def jumping(truth: Float) -> Float:
    """A correction of a SLAM in the second round."""
    jump = np.eye(4)
    jump[:3, 3] = 0.2, -0.1, 0.05
    return np.concatenate([truth[:40], jump @ truth[40:]])


@pytest.mark.parametrize("wrong", [drifting, jumping])
def test_poses_that_contradict_the_images_are_adjusted(wrong: object, truth: Float, exact: FrameFeatures) -> None:
    recorded = wrong(truth)  # type: ignore[operator]
    found = close_loops(replace(exact, map_from_camera=recorded))
    assert found.adjusted
    assert error(found.map_from_camera, truth) < 0.25 * error(recorded, truth)
    assert error(found.map_from_camera, truth) < 0.01
    assert found.pixels_left is not None
    assert found.pixels_left < 2
    assert found.loops > 50
    told = found.disagreements[0]
    metres, radians = found.moved()
    assert 0 < np.median(metres) <= metres.max() < 0.3
    assert told.metres > 0.05 or told.degrees > 1
    assert told.first in exact.names
    assert not found.left
    assert f"{found.loops} of them in two passes" in found.describe()
    assert f"{metres.max():.3f} m, {np.degrees(radians.max()):.2f} deg at most" in found.describe()


def test_good_poses_stay_as_they_were_recorded(
    truth: Float, exact: FrameFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_closure, "solve_graph", None)
    found = close_loops(exact)
    assert not found.adjusted
    assert found.map_from_camera is exact.map_from_camera
    assert found.pairs > loop_closure.MIN_PAIRS
    assert found.pixels_off < 2
    assert not found.disagreements
    assert found.describe().startswith("as recorded; ")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda poses: poses @ np.diag([1.0, -1.0, -1.0, 1.0]),  # axes of OpenGL
        lambda poses: np.stack([invert(pose) for pose in poses]),
    ],
)
def test_what_is_wrong_in_another_way_is_left_to_who_can_name_it(wrong: object, exact: FrameFeatures) -> None:
    recorded = wrong(exact.map_from_camera)  # type: ignore[operator]
    found = close_loops(replace(exact, map_from_camera=recorded))
    assert not found.adjusted
    assert found.map_from_camera is recorded


def test_poses_in_another_unit_are_no_drift(truth: Float, exact: FrameFeatures) -> None:
    pairs = np.array([(index, index + 1) for index in range(0, 60, 4)], dtype=np.int32)
    measured = measure_pairs(exact, pairs)
    assert len(measured)
    assert is_drift(measured, truth)
    centimetres = truth.copy()
    centimetres[:, :3, 3] *= 100
    assert not is_drift(measured, centimetres)


def test_too_few_frames_and_unknown_depth_are_not_checked(exact: FrameFeatures) -> None:
    unknown = replace(exact, depths=np.zeros_like(exact.depths))
    few = seen(exact.map_from_camera[:3], exact.map_from_camera[:3])
    for features in (unknown, few):
        found = close_loops(features)
        assert found.map_from_camera is features.map_from_camera
        assert "not checked" in found.describe()


def test_relative_poses_of_frames_that_show_the_same(truth: Float, exact: FrameFeatures) -> None:
    other = np.array([(0, 32), (1, 32), (0, 16)], dtype=np.int32)  # of the last one, backs are turned to each other
    found = measure_pairs(exact, other)
    np.testing.assert_array_equal(found.pairs, other[:2])
    for pose, expected in zip(found.first_from_second, relative(truth, found.pairs), strict=True):
        assert np.linalg.norm(pose[:3, 3] - expected[:3, 3]) < 0.01
        assert rotation_angle(pose[:3, :3], expected[:3, :3]) < np.radians(0.2)
    assert (found.inliers > 40).all()
    assert (found.pixels_off < 1.5).all()
    assert found.pixels_moved[1] > 10


def test_similar_frames_are_apart_in_time() -> None:
    times = np.arange(120.0)
    similarity = np.exp(-(((np.abs(times[:, None] - times) + 30) % 60 - 30) ** 2) / 50).astype(np.float32)  # two rounds
    pairs = set(map(tuple, similar_pairs(similarity, 5).tolist()))
    assert {(0, 60), (30, 90), (60, 119)} <= pairs  # other passes, whatever neighbours are like
    gaps = np.array([second - first for first, second in pairs])
    assert gaps.min() == 4
    assert (gaps < 120).all()


def test_a_graph_is_solved_and_what_does_not_fit_is_left_behind(truth: Float) -> None:
    """A third of the pairs are wrong, as where doors are alike."""
    rng = np.random.default_rng(0)
    pairs = np.array([(index, index + 32) for index in range(32)] * 3, dtype=np.int32)
    told = relative(truth, pairs)
    wrong = np.arange(len(pairs)) % 3 == 0
    told[wrong, :3, 3] += rng.uniform(-2, 2, (wrong.sum(), 3))
    ones = np.ones(len(pairs))
    measured = RelativePoses(pairs, told, ones.astype(np.int32), ones, ones)
    recorded = drifting(truth)
    assert error(solve_graph(recorded, measured, [""] * len(recorded)), truth) < 0.1 * error(recorded, truth)


def test_the_cameras_of_a_rig_take_turns() -> None:
    """Each frame is tied to the one before it and to the last one of its camera, and no looser than that one."""
    steps, driven = recorded_steps(["front", "left", "front", "left", "left", "front"])
    assert steps.tolist() == [[0, 1], [1, 2], [0, 2], [2, 3], [1, 3], [3, 4], [4, 5], [2, 5]]
    assert driven.tolist() == [[0, 1], [0, 2], [0, 2], [1, 3], [1, 3], [3, 4], [2, 5], [2, 5]]
    one, _ = recorded_steps(["seq-01", "seq-01", "seq-02", "seq-02"])
    assert one.tolist() == [[0, 1], [1, 2], [2, 3]], "sequences one after the other are no rig"


def test_places_that_look_alike_are_not_laid_upon_each_other() -> None:
    """Of a way along x, one frame each half metre, frames at either end look the same."""
    recorded = np.tile(np.eye(4), (FRAMES, 1, 1))
    recorded[:, 0, 3] = np.arange(FRAMES) / 2
    near = np.array([(index, index + gap) for index in range(FRAMES - 10) for gap in (2, 10)], dtype=np.int32)
    alike = np.array([(index, 50 + index) for index in range(10)], dtype=np.int32)
    told = np.concatenate([relative(recorded, near), np.tile(np.eye(4), (len(alike), 1, 1))])
    ones = np.ones(len(told))
    measured = RelativePoses(np.concatenate([near, alike]), told, ones.astype(np.int32), ones, ones)
    folded, torn = recorded.copy(), recorded.copy()
    folded[:, 0, 3] = np.minimum(recorded[:, 0, 3], 25 - recorded[:, 0, 3])
    torn[30:, 0, 3] -= 25
    for wrong in (folded, torn):
        assert breaks_what_agreed(measured, wrong, recorded)
    assert not breaks_what_agreed(measured[np.arange(len(near))], recorded, torn)


def test_residuals_are_in_standard_deviations_and_vanish_where_all_agree(truth: Float) -> None:
    pairs = np.array([(0, 1), (1, 2), (0, 2)], dtype=np.int32)
    told = relative(truth, pairs)
    edges = Edges(pairs, told, np.full((3, 2), 0.01))
    np.testing.assert_allclose(residuals(edges, truth), 0, atol=1e-9)
    moved = truth[:3].copy()
    moved[2, :3, 3] += moved[0, :3, 0] * 0.02
    found = residuals(edges, moved)
    np.testing.assert_allclose(found[2], (2, 0, 0, 0, 0, 0), atol=1e-9)
    np.testing.assert_allclose(optimize(edges, moved, (100.0,))[:3], truth[:3], atol=1e-4)


def test_blended_poses_lie_between(truth: Float) -> None:
    one, other = truth[0], truth[1]
    np.testing.assert_allclose(blended(one, other, 0.0), one, atol=1e-12)
    np.testing.assert_allclose(blended(one, other, 1.0), other, atol=1e-12)
    half = blended(one, other, 0.5)
    assert rotation_angle(one[:3, :3], half[:3, :3]) == pytest.approx(rotation_angle(half[:3, :3], other[:3, :3]))
    np.testing.assert_allclose(half[:3, 3], (one[:3, 3] + other[:3, 3]) / 2)


def test_a_drift_adds_up(truth: Float) -> None:
    turning, aside = drifted(truth, SECONDS, 0.0, np.radians(0.4), UP), drifted(truth, SECONDS, 0.01, 0.0, UP)
    for index in (1, 20, 63):
        turned = rotation_angle(truth[index][:3, :3], turning[index][:3, :3])
        assert turned == pytest.approx(np.radians(0.4) * SECONDS[index])
        way = np.linalg.norm(np.diff(truth[: index + 1, :3, 3], axis=0), axis=1).sum()
        assert np.linalg.norm(aside[index][:3, 3] - truth[index][:3, 3]) == pytest.approx(0.01 * way)
