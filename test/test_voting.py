"""Voting-by-segmentation: agreement with a slow reference, and what has to hold whatever the implementation."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from voting import STRIDE, Scene, make_scene, run_vote
from voting_estimators import ESTIMATORS, EstimatorSettings, vote_by

from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.methods.vsnet.voting import VotedLandmarks, VoteField, VotingSettings, vote
from vloc_ros.methods.vsnet.voting_cells import sort_by_label

ALL = pytest.mark.parametrize("config", [EstimatorSettings(estimator=name) for name in ESTIMATORS], ids=ESTIMATORS)
BY_DIRECTION = pytest.mark.parametrize(
    "config", [EstimatorSettings(estimator="irls"), EstimatorSettings(estimator="ransac")], ids=("irls", "ransac")
)


def reference_mean(field: VoteField, label: int) -> np.ndarray:
    """Mean of where the votes of one label end, weighed by confidence, scale and distance from the mean, iterated."""
    rows, columns = np.nonzero(field.labels == label)
    cells = (np.stack([columns, rows], axis=1) + 0.5) * STRIDE - 0.5
    ends = cells + field.distances[rows, columns, None].astype(np.float64) * field.votes[rows, columns]
    scales = np.hypot(field.scales[rows, columns].astype(np.float64), 0.1 * STRIDE)
    precisions = (field.confidences[rows, columns] / scales) ** 2
    estimate = np.median(ends, axis=0)
    for _ in range(50):
        off = np.linalg.norm(ends - estimate, axis=1) / scales
        weights = precisions / (1 + (off / 2) ** 2) ** 2
        estimate = weights @ ends / weights.sum()
    return estimate


def reference_intersection(scene: Scene, label: int, guess_px: np.ndarray, config: EstimatorSettings) -> np.ndarray:
    """Least-squares intersection of the votes of one label that point at the current estimate, iterated."""
    rows, columns = np.nonzero(scene.field.labels == label)
    cells = (np.stack([columns, rows], axis=1) + 0.5) * STRIDE - 0.5
    directions = scene.field.votes[rows, columns].astype(np.float64)
    estimate = guess_px
    for _ in range(20):
        to_landmark = estimate - cells
        distance = np.linalg.norm(to_landmark, axis=1)
        cosine = (directions * to_landmark).sum(axis=1) / np.maximum(distance, 1e-9)
        agree = cosine > np.cos(np.deg2rad(config.inlier_angle_deg))
        normals = np.stack([-directions[:, 1], directions[:, 0]], axis=1)[agree]
        offsets = (normals * cells[agree]).sum(axis=1)
        estimate = np.linalg.lstsq(normals, offsets, rcond=None)[0]
    return estimate


def errors_px(scene: Scene, voted: VotedLandmarks) -> np.ndarray:
    errors: np.ndarray = np.linalg.norm(voted.pixels - scene.landmarks[voted.labels - 1], axis=1)
    return errors


def field_of(labels: np.ndarray, landmarks_px: ArrayLike) -> VoteField:
    """Exact votes of `labels` (h, w) for landmarks (N, 2) in network input pixels; confidence and scale 1."""
    y, x = (np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5) * STRIDE - 0.5
    aim = np.asarray(landmarks_px)[np.maximum(labels - 1, 0)] - np.stack([x, y], axis=-1)
    distances = np.linalg.norm(aim, axis=-1)
    return VoteField(
        labels=labels.astype(np.int32),
        confidences=np.ones(labels.shape, np.float32),
        votes=(aim / np.maximum(distances[..., None], 1e-9)).astype(np.float32),
        distances=distances.astype(np.float32),
        scales=np.ones(labels.shape, np.float32),
    )


def random_directions(rng: np.random.Generator, count: int) -> np.ndarray:
    angles = rng.uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@ALL
def test_exact_votes_give_exact_landmarks(config: EstimatorSettings) -> None:
    scene = make_scene(wrong_labels=0.0, angle_noise_deg=0.0, noise_px=0.0, distance_noise=0.0)
    voted = run_vote(scene, config)
    assert len(voted) > 140
    assert errors_px(scene, voted).max() < 0.02
    assert (np.diff(voted.labels) > 0).all()


@BY_DIRECTION
def test_agrees_with_the_slow_intersection_of_noisy_directions(config: EstimatorSettings) -> None:
    scene = make_scene(seed=3)
    voted = run_vote(scene, config)
    truth = scene.landmarks[voted.labels - 1]
    reference = np.array(
        [reference_intersection(scene, k, start, config) for k, start in zip(voted.labels, truth, strict=True)]
    )
    assert np.median(np.linalg.norm(voted.pixels - reference, axis=1)) < 1.0
    assert np.median(errors_px(scene, voted)) < 1.2 * np.median(np.linalg.norm(reference - truth, axis=1))


@pytest.mark.parametrize("wrong_labels", [0.1, 0.3])
def test_agrees_with_the_slow_mean_of_noisy_ends(wrong_labels: float) -> None:
    scene = make_scene(wrong_labels=wrong_labels, seed=3)
    voted = run_vote(scene, EstimatorSettings(estimator="endpoints"))
    apart = np.linalg.norm(voted.pixels - [reference_mean(scene.field, k) for k in voted.labels], axis=1)
    assert len(voted) > 125
    assert np.percentile(apart, 95) < 0.05
    assert np.median(errors_px(scene, voted)) < 0.5


@ALL
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_random_outlier_votes_move_a_landmark_by_a_fraction_of_a_cell(config: EstimatorSettings, share: float) -> None:
    scene = make_scene(wrong_labels=0.0, angle_noise_deg=1.0, noise_px=0.1, distance_noise=0.02, seed=1)
    rng = np.random.default_rng(2)
    wrong = rng.random(scene.field.labels.shape) < share
    scene.field.votes[wrong] = random_directions(rng, wrong.sum())
    scene.field.distances[wrong] = rng.uniform(0, 100, wrong.sum())
    voted = run_vote(scene, config)
    assert len(voted) > 140
    assert np.median(errors_px(scene, voted)) < 0.25
    assert np.percentile(errors_px(scene, voted), 95) < 1.0


@ALL
def test_landmark_outside_the_image(config: EstimatorSettings) -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[20:32, :8] = 1
    outside = [-14.0, 104.0]
    voted = vote_by(field_of(labels, [outside]), landmark_count=1, stride=STRIDE, config=config)
    assert voted.pixels == pytest.approx(np.array([outside]), abs=0.05)


@ALL
def test_nothing_labelled_is_nothing_found(config: EstimatorSettings) -> None:
    nothing = np.zeros((60, 80), np.int32)
    voted = vote_by(field_of(nothing, [[0.0, 0.0]]), landmark_count=9, stride=STRIDE, config=config)
    assert len(voted) == 0
    assert voted.pixels.shape == (0, 2)


@BY_DIRECTION
def test_collinear_and_parallel_votes_are_dropped(config: EstimatorSettings) -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[10, 5:60] = 1  # one row, voting along itself
    labels[30:40, 10:40] = 2
    field = field_of(labels, [[300.0, 10.5 * STRIDE - 0.5], [100.0, 140.0]])
    field.votes[labels == 2] = (0.6, 0.8)
    assert len(vote_by(field, landmark_count=2, stride=STRIDE, config=config)) == 0


def test_ends_locate_a_landmark_beyond_a_row_of_collinear_votes() -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[10, 5:60] = 1
    landmark = [300.0, 10.5 * STRIDE - 0.5]
    config = EstimatorSettings(estimator="endpoints")
    voted = vote_by(field_of(labels, [landmark]), landmark_count=1, stride=STRIDE, config=config)
    assert voted.pixels == pytest.approx(np.array([landmark]), abs=0.01)


@ALL
def test_small_segments_and_low_consensus_are_dropped(config: EstimatorSettings) -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[5, 5 : 5 + config.min_cells - 1] = 1
    labels[20:40, 20:40] = 2
    labels[20:40, 50:70] = 3
    field = field_of(labels, [[24.0, 30.0], [120.0, 120.0], [240.0, 120.0]])
    field.votes[labels == 2] = random_directions(np.random.default_rng(0), 400)
    voted = vote_by(field, landmark_count=3, stride=STRIDE, config=config)
    assert voted.labels.tolist() == [3]
    assert voted.supports.tolist() == [400]


@ALL
def test_cells_that_are_not_finite_or_have_no_direction_or_scale_do_not_vote(config: EstimatorSettings) -> None:
    field = make_scene(seed=5).field
    rng = np.random.default_rng(0)
    cells = rng.permutation(field.labels.size)
    changes = (
        (field.votes.reshape(-1, 2), (np.nan, np.inf, 0.0)),
        (field.confidences.ravel(), (np.nan, np.inf)),
        (field.distances.ravel(), (np.nan, np.inf, -np.inf)),
        (field.scales.ravel(), (np.nan, np.inf, 0.0, -1.0)),
    )
    values = [(array, value) for array, bad in changes for value in bad]
    bad_cells = np.array_split(cells[: field.labels.size // 5], len(values))
    for (array, value), chosen in zip(values, bad_cells, strict=True):
        array[chosen] = value
    spoilt = vote_by(field, 150, STRIDE, config)
    field.labels.ravel()[np.concatenate(bad_cells)] = 0
    without = vote_by(field, 150, STRIDE, config)
    assert len(without) > 130
    assert np.array_equal(spoilt.pixels, without.pixels)
    assert np.array_equal(spoilt.sigmas, without.sigmas)


@pytest.mark.parametrize(("name", "value"), [("distances", 3e38), ("scales", 3e38), ("scales", 1e-38)])
def test_extreme_ends_neither_break_nor_move_anything(name: str, value: float) -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[20:40, 20:40] = 1
    field = field_of(labels, [[120.0, 120.0]])
    getattr(field, name)[30, ::7] = value
    voted = vote_by(field, landmark_count=1, stride=STRIDE, config=EstimatorSettings(estimator="endpoints"))
    assert voted.pixels == pytest.approx(np.array([[120.0, 120.0]]), abs=0.01)


@ALL
def test_same_input_same_output(config: EstimatorSettings) -> None:
    scene = make_scene()
    first, second = run_vote(scene, config), run_vote(scene, config)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.sigmas, second.sigmas)


@ALL
def test_sigmas_follow_the_noise_and_the_geometry(config: EstimatorSettings) -> None:
    quiet = run_vote(make_scene(angle_noise_deg=2.0, noise_px=0.3, distance_noise=0.03), config)
    noisy = run_vote(make_scene(angle_noise_deg=8.0, noise_px=1.0, distance_noise=0.15), config)
    assert 1.5 * np.median(quiet.sigmas) < np.median(noisy.sigmas)
    assert quiet.sigmas.min() > 0


@ALL
def test_sigmas_cover_errors_of_independent_votes(config: EstimatorSettings) -> None:
    scene = make_scene(seed=7)
    voted = run_vote(scene, config)
    normalised = errors_px(scene, voted) / voted.sigmas
    assert np.mean(normalised < 3) > 0.97  # neighbours' votes count as dependent, so that sigmas are on the safe side


def test_the_estimators_are_ordered_by_accuracy() -> None:
    scene = make_scene(seed=11)
    endpoints, irls, ransac = (
        np.median(errors_px(scene, run_vote(scene, EstimatorSettings(estimator=name)))) for name in ESTIMATORS
    )
    assert endpoints <= irls <= ransac


def test_sorting_keeps_every_cell_under_its_label() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, (20, 30)).astype(np.int32)
    votes = rng.normal(size=(20, 30, 2)).astype(np.float32)
    confidences, distances, scales = (rng.uniform(0.1, 1.0, (3, 20, 30))).astype(np.float32)
    cells, starts = sort_by_label(labels, confidences, votes, distances, scales, 6, np.float32(STRIDE))
    assert starts[-1] == cells.shape[1] == np.count_nonzero(labels)
    for label in range(1, 7):
        rows, columns = np.nonzero(labels == label)
        mine = cells[:, starts[label] : starts[label + 1]]
        assert np.array_equal(mine[0], columns)
        assert np.array_equal(mine[1], rows)
        directions = votes[rows, columns] / np.linalg.norm(votes[rows, columns], axis=1, keepdims=True)
        assert np.allclose(mine[2:4].T, directions, atol=1e-6)
        assert mine[4] == pytest.approx(confidences[rows, columns] ** 2)
        assert mine[5] * STRIDE == pytest.approx(distances[rows, columns])
        assert mine[6] * STRIDE == pytest.approx(scales[rows, columns])


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_the_map_does_not_have(label: int) -> None:
    labels = np.zeros((4, 4), np.int32)
    field = field_of(labels, [[0.0, 0.0]])
    field.labels[1, 1] = label
    with pytest.raises(ModelError, match=f"label {label} outside 0..3"):
        vote(field, 3, STRIDE, VotingSettings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"estimator": "hough"},
        {"min_cells": 2},
        {"min_consensus": 0.0},
        {"inlier_angle_deg": 90.0},
        {"hypotheses": 0},
        {"seed": -1},
    ],
)
def test_bad_configurations(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EstimatorSettings(**wrong)
