"""What a map's report tells before a robot depends on it: coverage, look-alikes, the recording, and advice."""

from dataclasses import replace

import numpy as np
import pytest
from support.map_files import make_map

from vloc_ros.core.points import Points
from vloc_ros.core.types import LandmarkMap
from vloc_ros.evaluation.advice import coverage_advice, look_alike_advice, recording_advice
from vloc_ros.evaluation.coverage import HEADINGS, REACH_M, Coverage, coverage_of, expected_errors
from vloc_ros.evaluation.look_alikes import look_alikes
from vloc_ros.evaluation.recording import Recording, stretches_of
from vloc_ros.images.quality import image_quality

UPRIGHT = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # a camera that looks along y, z up


def points_at(positions: np.ndarray, descriptors: np.ndarray | None = None, facing: float = -1.0) -> Points:
    """Seen along y from where `facing` says, from 0.5 to 5 m."""
    n = len(positions)
    if descriptors is None:
        descriptors = np.random.default_rng(1).normal(size=(n, 16))
    unit = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
    directions = np.tile([0.0, facing, 0.0], (n, 1))
    zeros = np.zeros(n, dtype=np.int32)
    return Points(positions, unit.astype(np.float16), zeros, zeros, directions, np.tile([0.5, 5.0], (n, 1)))


@pytest.fixture
def one_wall() -> LandmarkMap:
    """A wall at y = 3 with 300 points, seen by cameras at y = 0 that look at it; they see nothing behind them."""
    rng = np.random.default_rng(0)
    wall = np.column_stack([rng.uniform(-2, 2, 300), np.full(300, 3.0), rng.uniform(0, 2, 300)])
    views = np.tile(np.eye(4), (5, 1, 1))
    views[:, :3, :3] = UPRIGHT
    views[:, :3, 3] = np.column_stack([np.linspace(-1, 1, 5), np.zeros(5), np.ones(5)])
    made = make_map(training={"field_of_view_deg": [60.0, 60.0]})
    return replace(made, points=points_at(wall), mapping_views=views, view_places=np.zeros(5, dtype=np.int32))


def test_enough_is_seen_towards_the_wall_and_nothing_away_from_it(one_wall: LandmarkMap) -> None:
    coverage = coverage_of(one_wall, 0)
    assert coverage is not None
    assert coverage.points.shape == (len(coverage.spots), HEADINGS) == coverage.away.shape
    towards = coverage.looking @ [0.0, 1.0, 0.0]
    assert (coverage.points[:, towards > 0.9].max(axis=1) > 20).all()
    assert (coverage.points[:, towards < -0.5] == 0).all()


def test_spots_are_near_mapping_cameras_and_as_high(one_wall: LandmarkMap) -> None:
    coverage = coverage_of(one_wall, 0)
    assert coverage is not None
    cameras = one_wall.mapping_views[:, :3, 3]
    offsets = np.linalg.norm(coverage.spots[:, None] - cameras, axis=2).min(axis=1)
    assert offsets.max() <= REACH_M + 1e-9
    assert np.allclose(coverage.spots[:, 2], 1.0, atol=0.2)  # up is what the map's patches say, about


def test_a_map_that_does_not_know_its_camera_has_no_coverage(one_wall: LandmarkMap) -> None:
    unknown = replace(one_wall, manifest=replace(one_wall.manifest, training={}))
    assert coverage_of(unknown, 0) is None
    assert coverage_of(replace(one_wall, points=None), 0) is None


def coverage(points: list[list[int]], away: list[list[float]]) -> Coverage:
    looking = np.array([[1.0, 0, 0], [0, 1.0, 0], [-1.0, 0, 0], [0, -1.0, 0]])
    spots = np.array([[3.0 * row, 0.0, 1.0] for row in range(len(points))])
    return Coverage(spots, np.zeros(len(spots)), looking, np.array(points), np.array(away))


def test_errors_are_those_of_views_as_far_away() -> None:
    accuracy = {
        "views_hidden_within_0.2": {"frames": 30, "median_translation_m": 0.002},
        "views_hidden_within_0.4": {"frames": 30, "median_translation_m": 0.004},
    }
    enough, none, far = [[50] * 4], [[3] * 4], [[0.9] * 4]
    assert expected_errors(coverage(enough, [[0.3] * 4]), accuracy, 10)[0] == pytest.approx(0.003)
    assert np.isnan(expected_errors(coverage(none, [[0.3] * 4]), accuracy, 10)[0])
    assert np.isnan(expected_errors(coverage(enough, far), accuracy, 10)[0])
    odd = {"views_hidden_within_": 1, "views_hidden_within_x": accuracy, "views_hidden_within_0.3": "none"}
    assert np.isnan(expected_errors(coverage(enough, [[0.3] * 4]), odd, 10)[0])


def test_advice_names_where_to_stand_which_way_to_look_and_why() -> None:
    found = coverage_advice(coverage([[50, 50, 50, 50], [50, 50, 2, 50]], [[0.1] * 4, [0.1, 0.1, 0.9, 0.1]]), 10)
    (line,) = found
    assert "(3.0, 0.0, 1.0) towards (1.0, 0.0, 1.0): 2 of the 10 points" in line
    assert "no mapping image looks there" in line
    assert "In 1 of 4 directions" in line
    assert "look there, but" in coverage_advice(coverage([[50, 50, 2, 50]], [[0.1] * 4]), 10)[0]
    assert coverage_advice(coverage([[50] * 4], [[0.1] * 4]), 10) == []
    off_path = replace(coverage([[0] * 4], [[0.1] * 4]), off_path_m=np.array([0.9]))  # which may be behind a wall
    assert coverage_advice(off_path, 10) == []


def test_two_equal_doors_are_found_with_how_many_points_they_share() -> None:
    rng = np.random.default_rng(2)
    door, descriptors = rng.uniform(-0.5, 0.5, (30, 3)), rng.normal(size=(30, 32))
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # the other one is on the wall beside
    other = door @ turn.T + [5.0, 1.0, 0.0]
    rest = rng.uniform(-4, 4, (100, 3)) + np.array([0.0, 0.0, 20.0])
    everything = np.concatenate([descriptors, descriptors, rng.normal(size=(100, 32))])
    (found,) = look_alikes(points_at(np.concatenate([door, other, rest]), everything), 0)
    assert found.points >= 28
    assert found.apart_m == pytest.approx(np.linalg.norm([5.0, 1.0, 0.0]), abs=0.3)
    assert len(look_alike_advice([found], 20)) == 1
    assert look_alike_advice([found], 40) == []


def test_equal_descriptors_that_are_arranged_otherwise_do_not_look_alike() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.uniform(-0.5, 0.5, (30, 3)), rng.uniform(-0.5, 0.5, (30, 3)) + np.array([5.0, 0.0, 0.0])
    descriptors = rng.normal(size=(30, 32))
    assert look_alikes(points_at(np.concatenate([one, other]), np.concatenate([descriptors] * 2)), 0) == []


def recording(**changed: np.ndarray) -> Recording:
    names, ones = tuple(f"image_{row}" for row in range(20)), np.ones(20)
    figures = {
        "sharpness": ones,
        "brightness": 0.5 * ones,
        "clipped": 0 * ones,
        "key_points": 500 * ones,
        "observations": 300 * ones,
        "moved_m": 0.001 * ones,
        "turned_deg": 0.02 * ones,
    }
    return Recording("", names, **{**figures, **changed})


def test_a_good_recording_gets_no_advice_and_comes_back_from_json() -> None:
    good = recording()
    assert recording_advice(good) == []
    again = Recording.from_json(good.to_json())
    assert again.names == good.names
    assert np.array_equal(again.moved_m, good.moved_m)


def test_blurred_dark_and_plain_images_are_named() -> None:
    blurred, dark, plain = np.ones(20), np.full(20, 0.5), np.full(20, 500.0)
    blurred[4:7], dark[10:12], plain[15] = 0.3, 0.05, 20
    told = recording_advice(recording(sharpness=blurred, brightness=dark, key_points=plain))
    assert [line.split(" images")[0] for line in told] == ["3 of 20", "2 of 20", "1 of 20"]
    assert "image_4 to image_6" in told[0]


def test_stretches_join_what_is_near() -> None:
    wanted = np.zeros(20, dtype=np.bool_)
    wanted[[1, 3, 10]] = True
    assert stretches_of(wanted, recording().names) == [("image_1", "image_3", 2), ("image_10", "image_10", 1)]


def test_figures_of_fewer_images_are_refused() -> None:
    with pytest.raises(ValueError, match="sharpness is not of 20 images"):
        recording(sharpness=np.ones(3))


def test_image_quality_tells_dark_bright_and_clipped() -> None:
    grey = np.full((48, 64, 3), 128, dtype=np.uint8)
    half = grey.copy()
    half[:, 32:] = 255
    sharp, brightness, clipped = image_quality(grey).tolist()
    assert (sharp, clipped) == (0, 0)
    assert brightness == pytest.approx(128 / 255)
    assert image_quality(half)[2] == pytest.approx(0.5)
    assert image_quality(np.zeros((48, 64, 3), dtype=np.uint8))[1:].tolist() == [0, 1]
