"""Voting-by-segmentation: agreement with a slow reference, and what has to hold whatever the implementation."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from vloc_ros.core.voting import VotingConfig, vote
from vloc_ros.core.voting_kernels import sort_by_label
from vloc_ros.errors import ConfigError, ModelError

BENCHMARK = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmark" / "voting.py"))
make_scene, run_vote, STRIDE = BENCHMARK["make_scene"], BENCHMARK["run_vote"], BENCHMARK["STRIDE"]
BOTH = pytest.mark.parametrize("config", [VotingConfig("irls"), VotingConfig("ransac")], ids=lambda c: c.estimator)


def reference_landmark(scene, label: int, guess_px: np.ndarray, config: VotingConfig) -> np.ndarray:
    """Least-squares intersection of the votes of one label that point at the current estimate, iterated."""
    rows, columns = np.nonzero(scene.labels == label)
    cells = (np.stack([columns, rows], axis=1) + 0.5) * STRIDE - 0.5
    directions = scene.votes[rows, columns].astype(np.float64)
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


def errors_px(scene, voted) -> np.ndarray:
    return np.linalg.norm(voted.pixels - scene.landmarks[voted.labels - 1], axis=1)


def scene_of(labels, landmarks_px):
    """Exact unit votes of `labels` (h, w) for landmarks (N, 2) in network input pixels; confidence 1."""
    y, x = (np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5) * STRIDE - 0.5
    aim = np.asarray(landmarks_px)[np.maximum(labels - 1, 0)] - np.stack([x, y], axis=-1)
    votes = aim / np.maximum(np.linalg.norm(aim, axis=-1, keepdims=True), 1e-9)
    return labels.astype(np.int32), np.ones(labels.shape, np.float32), votes.astype(np.float32)


@BOTH
def test_exact_votes_give_exact_landmarks(config):
    scene = make_scene(wrong_labels=0.0, angle_noise_deg=0.0, noise_px=0.0)
    voted = run_vote(scene, config)
    assert len(voted) > 140
    assert errors_px(scene, voted).max() < 0.02
    assert (np.diff(voted.labels) > 0).all()


@BOTH
def test_agrees_with_the_slow_reference_on_noisy_votes(config):
    scene = make_scene(seed=3)
    voted = run_vote(scene, config)
    reference = np.array(
        [reference_landmark(scene, label, scene.landmarks[label - 1], config) for label in voted.labels]
    )
    apart = np.linalg.norm(voted.pixels - reference, axis=1)
    assert np.median(apart) < 1.0
    truth = scene.landmarks[voted.labels - 1]
    assert np.median(errors_px(scene, voted)) < 1.2 * np.median(np.linalg.norm(reference - truth, axis=1))


@BOTH
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_random_outlier_votes_move_a_landmark_by_a_fraction_of_a_cell(config, share):
    scene = make_scene(wrong_labels=0.0, angle_noise_deg=1.0, noise_px=0.1, seed=1)
    rng = np.random.default_rng(2)
    wrong = rng.random(scene.labels.shape) < share
    angles = rng.uniform(0, 2 * np.pi, wrong.sum())
    scene.votes[wrong] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    voted = run_vote(scene, config)
    assert len(voted) > 140
    assert np.median(errors_px(scene, voted)) < 0.25
    assert np.percentile(errors_px(scene, voted), 95) < 1.0


@BOTH
def test_landmark_outside_the_image(config):
    labels = np.zeros((60, 80), np.int32)
    labels[20:32, :8] = 1
    outside = [-14.0, 104.0]
    voted = vote(*scene_of(labels, [outside]), landmark_count=1, stride=STRIDE, config=config)
    assert voted.pixels == pytest.approx(np.array([outside]), abs=0.05)


@BOTH
def test_nothing_labelled_is_nothing_found(config):
    nothing = np.zeros((60, 80), np.int32)
    voted = vote(*scene_of(nothing, [[0.0, 0.0]]), landmark_count=9, stride=STRIDE, config=config)
    assert len(voted) == 0
    assert voted.pixels.shape == (0, 2)


@BOTH
def test_collinear_and_parallel_votes_are_dropped(config):
    labels = np.zeros((60, 80), np.int32)
    labels[10, 5:60] = 1  # one row, voting along itself
    labels[30:40, 10:40] = 2
    labels_votes = scene_of(labels, [[300.0, 10.5 * STRIDE - 0.5], [100.0, 140.0]])
    labels_votes[2][labels == 2] = (0.6, 0.8)
    assert len(vote(*labels_votes, landmark_count=2, stride=STRIDE, config=config)) == 0


@BOTH
def test_small_segments_and_low_consensus_are_dropped(config):
    labels = np.zeros((60, 80), np.int32)
    labels[5, 5 : 5 + config.min_cells - 1] = 1
    labels[20:40, 20:40] = 2
    labels[20:40, 50:70] = 3
    inputs = scene_of(labels, [[24.0, 30.0], [120.0, 120.0], [240.0, 120.0]])
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 400)
    inputs[2][labels == 2] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    voted = vote(*inputs, landmark_count=3, stride=STRIDE, config=config)
    assert voted.labels.tolist() == [3]
    assert voted.supports.tolist() == [400]


@BOTH
def test_votes_without_direction_and_not_finite_do_not_vote(config):
    scene = make_scene(seed=5)
    rng = np.random.default_rng(0)
    scene.votes[rng.random(scene.labels.shape) < 0.05] = np.nan
    scene.votes[rng.random(scene.labels.shape) < 0.05] = 0.0
    scene.confidences[rng.random(scene.labels.shape) < 0.05] = np.inf
    voted = run_vote(scene, config)
    assert len(voted) > 130
    assert np.isfinite(voted.pixels).all()
    assert np.median(errors_px(scene, voted)) < 1.0


@BOTH
def test_same_input_same_output(config):
    scene = make_scene()
    first, second = run_vote(scene, config), run_vote(scene, config)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.sigmas, second.sigmas)


@BOTH
def test_sigmas_follow_the_noise_and_the_geometry(config):
    quiet = run_vote(make_scene(angle_noise_deg=2.0, noise_px=0.3), config)
    noisy = run_vote(make_scene(angle_noise_deg=8.0, noise_px=1.0), config)
    assert 1.5 * np.median(quiet.sigmas) < np.median(noisy.sigmas)
    assert quiet.sigmas.min() > 0


def test_sigmas_cover_errors_of_independent_votes():
    scene = make_scene(seed=7)
    voted = run_vote(scene, VotingConfig())
    normalised = errors_px(scene, voted) / voted.sigmas
    assert np.mean(normalised < 3) > 0.97  # neighbours' votes count as dependent, so that sigmas are on the safe side


def test_irls_is_at_least_as_accurate_as_ransac():
    scene = make_scene(seed=11)
    irls, ransac = (run_vote(scene, VotingConfig(name)) for name in ("irls", "ransac"))
    assert len(irls) >= len(ransac)
    assert np.median(errors_px(scene, irls)) <= np.median(errors_px(scene, ransac))


def test_sorting_keeps_every_cell_under_its_label():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, (20, 30)).astype(np.int32)
    votes = rng.normal(size=(20, 30, 2)).astype(np.float32)
    confidences = rng.random((20, 30)).astype(np.float32)
    cells, starts = sort_by_label(labels, confidences, votes, 6)
    for label in range(1, 7):
        rows, columns = np.nonzero(labels == label)
        mine = cells[:, starts[label] : starts[label + 1]]
        assert np.array_equal(mine[0], columns)
        assert np.array_equal(mine[1], rows)
        assert np.linalg.norm(mine[2:4], axis=0) == pytest.approx(1.0, abs=1e-5)
        assert mine[4] == pytest.approx(confidences[rows, columns] ** 2)


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_the_map_does_not_have(label):
    labels = np.zeros((4, 4), np.int32)
    labels[1, 1] = label
    with pytest.raises(ModelError, match=f"label {label} outside 0..3"):
        vote(labels, np.ones((4, 4), np.float32), np.ones((4, 4, 2), np.float32), 3, STRIDE, VotingConfig())


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
def test_bad_configurations(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        VotingConfig(**wrong)
