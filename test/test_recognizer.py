"""The recognizer: its loss, what it makes of key points that are not there, what it learns, and its export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.features.types import KeyPoints
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.methods.pram.recognition import CONFIDENCES, LANDMARKS, recognizer_spec
from vloc_ros.progress import Silent
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.pram import recognition
from vloc_ros.training.pram.deploy import DeployedRecognizer, check_recognizer, export_recognizer, network_inputs
from vloc_ros.training.pram.key_point_batches import (
    KeyPointAugmentation,
    KeyPointSettings,
    KeyPointSource,
    altered,
    evenly_drawn,
)
from vloc_ros.training.pram.network import PRESETS, Recognizer, RecognizerSettings
from vloc_ros.training.pram.objective import RecognitionObjective, recognition_loss
from vloc_ros.training.pram.recognition import recognition_precision, recognizer_of, train_recognizer
from vloc_ros.training.pram.recognition_frames import RecognitionFrames, stacked
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.workers import Workers

SIZE = (320, 240)
LANDMARKS_OF_PLACES = (4, 2)
KEY_POINTS, DIMENSIONS = 48, 16
TINY = RecognizerSettings("pooled", 1, 32, 5e-3)
TINY_ATTENTION = RecognizerSettings("attention", 2, 32, 5e-3, heads=2)


def toy_frames(count: int = 24, seed: int = 0) -> RecognitionFrames:
    """Frames of two places. Each landmark has twelve points with descriptors of their own; a frame shows most points of
    two landmarks of its place, and key points of nothing."""
    world, rng = np.random.default_rng(7), np.random.default_rng(seed)
    landmarks = sum(LANDMARKS_OF_PLACES)
    descriptors, pixels = world.normal(size=(landmarks, 12, DIMENSIONS)), world.uniform(0, 1, (landmarks, 12, 2)) * SIZE
    parts = []
    for frame in range(count):
        place = frame % 2
        first = 0 if place == 0 else LANDMARKS_OF_PLACES[0]
        shown = first + rng.choice(LANDMARKS_OF_PLACES[place], 2, replace=False)
        labels = np.concatenate([np.repeat(shown + 1, 12), np.zeros(12)]).astype(np.int32)
        found = np.concatenate([descriptors[shown].reshape(-1, DIMENSIONS), rng.normal(size=(12, DIMENSIONS))])
        found += rng.normal(0, 0.1, found.shape)
        at = np.concatenate([pixels[shown].reshape(-1, 2), rng.uniform(0, 1, (12, 2)) * SIZE]) + rng.normal(
            0, 3, (36, 2)
        )
        order = rng.permutation(36)[: rng.integers(28, 37)]
        units = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
        parts.append((KeyPoints(at[order], np.ones(len(order), np.float32), units[order]), labels[order], place))
    return stacked(parts, KEY_POINTS, np.repeat(np.arange(2, dtype=np.int32), LANDMARKS_OF_PLACES), SIZE)


def network_of(settings: RecognizerSettings) -> Recognizer:
    torch.manual_seed(0)
    return Recognizer(sum(LANDMARKS_OF_PLACES), DIMENSIONS, SIZE, settings).eval()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recognition, "PRESETS", {"small": TINY})
        options = TrainingOptions(epochs=120, batch_size=8)
        return train_recognizer(toy_frames(), "small", options, tmp_path_factory.mktemp("toy"), Workers(), Silent())


def test_stacked_frames_have_the_best_key_points_and_nothing_behind_them() -> None:
    frames = toy_frames(4)
    assert frames.scores.shape == (4, KEY_POINTS)
    assert frames.landmarks == 6
    assert frames.places.tolist() == [0, 1, 0, 1]
    missing = frames.scores == 0
    assert missing.any()
    assert not frames.labels[missing].any()
    some = frames[np.array([1, 3])]
    assert np.array_equal(some.labels, frames.labels[[1, 3]])
    with pytest.raises(ConfigError, match="labels"):
        replace(frames, labels=frames.labels[:2])


def test_the_loss_is_equation_9() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 10, 5)), rng.integers(0, 5, (3, 10))
    labels[0, :6] = 0
    there = np.arange(10)[None] < np.array([[10], [7], [4]])
    expected = 0.0
    for image in range(3):
        rows = [i for i in range(10) if there[image, i]]
        share = sum(labels[image, i] == 0 for i in rows) / len(rows)
        for i in rows:
            probability = np.exp(logits[image, i]) / np.exp(logits[image, i]).sum()
            weight = share if labels[image, i] else 1 - share
            expected -= weight * np.log(probability[labels[image, i]]) / len(rows) / 3
    found = recognition_loss(torch.tensor(logits), torch.tensor(labels), torch.tensor(there))
    assert float(found) == pytest.approx(expected)


def test_the_presets_are_the_paper_s_and_a_small_one() -> None:
    paper, small = (Recognizer(112, 64, SIZE, PRESETS[name]) for name in ("paper", "small"))
    assert len(paper.layers) == 15
    assert paper.head.in_features == 256
    assert PRESETS["paper"].heads == 4
    assert [m.out_features for m in paper.position_encoder if isinstance(m, torch.nn.Linear)] == [32, 64, 128, 256]
    assert sum(p.numel() for p in small.parameters()) < 0.1 * sum(p.numel() for p in paper.parameters())


def test_probabilities_are_those_of_the_share_without_a_landmark() -> None:
    """Bayes' rule: what a loss that weighs both alike has taught, times how many of each there are."""
    even, rare = network_of(TINY), network_of(TINY)
    rare.none_odds.fill_(np.log(0.1 / 0.9))
    batch = KeyPointSource(toy_frames(), KeyPointSettings(2, 0)).batch(0)
    with torch.no_grad():
        balanced = even.probabilities(batch.key_points, batch.scores, batch.descriptors)
        found = rare.probabilities(batch.key_points, batch.scores, batch.descriptors)
    expected = balanced * torch.tensor([0.1] + [0.9] * sum(LANDMARKS_OF_PLACES))
    assert torch.allclose(found, expected / expected.sum(-1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize("settings", [TINY, TINY_ATTENTION], ids=["pooled", "attention"])
def test_key_points_that_are_not_there_change_nothing(settings: RecognizerSettings) -> None:
    network = network_of(settings)
    batch = KeyPointSource(toy_frames(), KeyPointSettings(4, 0, KeyPointAugmentation(share=1.0))).batch(0)
    there = batch.scores > 0
    others = torch.where(there[..., None], batch.descriptors, torch.rand_like(batch.descriptors))
    moved = torch.where(there[..., None], batch.key_points, torch.rand_like(batch.key_points) * 200)
    with torch.no_grad():
        before = network(batch.key_points, batch.scores, batch.descriptors)
        after = network(moved, batch.scores, others)
        fewer = network(batch.key_points[:1, there[0]], batch.scores[:1, there[0]], batch.descriptors[:1, there[0]])
    assert torch.allclose(before[there], after[there], atol=1e-5)
    assert torch.allclose(before[0, there[0]], fewer[0], atol=1e-5)


def test_batches_have_every_frame_once_an_epoch_and_are_the_same_again() -> None:
    frames = toy_frames()
    frames = replace(frames, labels=np.where(frames.scores > 0, np.arange(24)[:, None] + 1, 0).astype(np.int32))
    still = KeyPointAugmentation(share=0.5, roll_deg=0, scale=1, shift=0, tilt=0, jitter_px=0, noise=0, hidden=0)
    source = KeyPointSource(frames, KeyPointSettings(8, 3, still))
    shown = [set(batch.labels[batch.labels > 0].tolist()) for batch in source.batches(range(3), workers=2)]
    assert set().union(*shown) == set(range(1, 25))
    again = KeyPointSource(frames, KeyPointSettings(8, 3, still)).batch(2)
    assert all(torch.equal(a, b) for a, b in zip(vars(again).values(), vars(source.batch(2)).values(), strict=True))
    assert again.labels.shape == (8, KEY_POINTS // 2)


def test_augmentation_moves_an_image_as_a_whole_and_hides_what_leaves_it() -> None:
    source = KeyPointSource(toy_frames(), KeyPointSettings(8, 0, KeyPointAugmentation(share=1.0)))
    still = KeyPointAugmentation(share=1.0, roll_deg=0, scale=1, shift=0, tilt=0, jitter_px=0, noise=0, hidden=0)
    batch = KeyPointSource(toy_frames(), KeyPointSettings(8, 0, still)).batch(0)
    moves = KeyPointAugmentation(jitter_px=0, hidden=0, shift=0.5)
    moved = altered(batch, moves, SIZE, torch.Generator().manual_seed(1))
    for before, after in zip(batch.key_points.double(), moved.key_points.double(), strict=True):
        rows = [[*p, 1, 0, 0, 0, *(-q[0] * p), -q[0]] for p, q in zip(*(_h(before), after), strict=True)]
        rows += [[0, 0, 0, *p, 1, *(-q[1] * p), -q[1]] for p, q in zip(*(_h(before), after), strict=True)]
        singular = np.linalg.svd(np.array(rows, dtype=np.float64), compute_uv=False)
        assert singular[-1] < 1e-3 * singular[-2]  # one homography explains all of them
    outside = ((moved.key_points < -0.5) | (moved.key_points > torch.tensor(SIZE) - 0.5)).any(-1)
    assert outside.any()
    assert not moved.scores[outside].any()
    assert not moved.labels[moved.scores == 0].any()
    assert torch.allclose(moved.descriptors.norm(dim=-1), torch.ones(8, KEY_POINTS), atol=1e-4)
    assert source.batch(0).labels.shape == (8, KEY_POINTS)


def _h(points: torch.Tensor) -> torch.Tensor:
    return points / 100


def test_a_toy_map_is_learned(trained: Trainer) -> None:
    found = recognition_precision(recognizer_of(trained), toy_frames(seed=1))
    assert found.top[0] > 0.9
    assert found.top[0] <= found.top[1] <= found.top[2] <= 1
    assert found.all_key_points > 0.7
    assert found.place == 1.0
    assert "/" in found.describe()


def test_training_goes_on_from_its_checkpoint(trained: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "PRESETS", {"small": TINY})
    iterations = trained.progress.iteration
    directory = trained.checkpoint_path.parent
    options = TrainingOptions(epochs=121, batch_size=8)
    again = train_recognizer(toy_frames(), "small", options, directory, Workers(), Silent(), held_out=toy_frames(4, 2))
    assert again.progress.iteration == iterations + 3


def test_what_is_exported_says_what_was_learned(trained: Trainer) -> None:
    network, frames = recognizer_of(trained), toy_frames(3, seed=2)
    for settings in (None, TINY_ATTENTION):
        network = network if settings is None else network_of(settings)
        content, spec = export_recognizer(network, KEY_POINTS)
        assert spec == recognizer_spec(KEY_POINTS, DIMENSIONS)
        check_recognizer(content, spec, network, frames)
        given = network_inputs(frames, spec)
        with torch.no_grad():
            expected = DeployedRecognizer(network)(*(torch.from_numpy(value) for value in given.values()))
        session = open_session({"float32": content}, spec, SessionOptions("onnxruntime", "float32", max_batch=3))
        found = session.run(given)
        assert found[LANDMARKS].dtype == np.int32
        assert found[CONFIDENCES] == pytest.approx(expected[1].numpy(), abs=5e-3)
        assert (np.diff(found[CONFIDENCES], axis=-1) <= 0).all()
        missing = frames.scores == 0
        assert not found[LANDMARKS][missing].any()
        assert (found[CONFIDENCES][missing] == [1, 0, 0]).all()


def test_only_the_best_key_points_are_recognised(trained: Trainer) -> None:
    network, frames = recognizer_of(trained), toy_frames(3, seed=2)
    content, spec = export_recognizer(network, KEY_POINTS, recognized=20)
    session = open_session({"float32": content}, spec, SessionOptions("onnxruntime", "float32", max_batch=3))
    found = session.run(network_inputs(frames, spec))
    assert found[LANDMARKS].shape == found[CONFIDENCES].shape == (3, KEY_POINTS, 3)
    assert found[LANDMARKS][:, :20].any()
    assert not found[LANDMARKS][:, 20:].any()
    assert (found[CONFIDENCES][:, 20:] == [1, 0, 0]).all()
    fewer = network_inputs(frames, recognizer_spec(20, DIMENSIONS))
    with torch.no_grad():
        expected = DeployedRecognizer(network)(*(torch.from_numpy(value) for value in fewer.values()))
    assert found[CONFIDENCES][:, :20] == pytest.approx(expected[1].numpy(), abs=5e-3)


def test_a_foreign_export_is_refused(trained: Trainer) -> None:
    content, spec = export_recognizer(network_of(TINY), KEY_POINTS)
    with pytest.raises(ModelError, match="agree with what was learned"):
        check_recognizer(content, spec, recognizer_of(trained), toy_frames(3))


def test_one_landmark_cannot_be_told_from_others(tmp_path: Path) -> None:
    frames = toy_frames(2)
    one = replace(frames, labels=np.minimum(frames.labels, 1), place_of_landmark=np.zeros(1, np.int32))
    with pytest.raises(ConfigError, match="nothing to tell apart"):
        train_recognizer(one, "small", TrainingOptions(epochs=1), tmp_path, Workers(), Silent())


def test_prototypes_recognise_landmarks_before_anything_is_learned() -> None:
    frames = toy_frames()
    network = RecognitionObjective(frames, replace(TINY, prototypes=3)).network
    assert network.prototypes.shape == (3 * frames.landmarks, DIMENSIONS)
    lengths = network.prototypes.norm(dim=1).reshape(frames.landmarks, 3)
    shown = np.isin(np.arange(1, frames.landmarks + 1), frames.labels)
    assert torch.allclose(lengths[torch.from_numpy(shown)], torch.ones(()), atol=1e-5)
    assert not lengths[torch.from_numpy(~shown)].any()
    assert recognition_precision(network, toy_frames(seed=1)).top[0] > 0.6
    content, spec = export_recognizer(network, KEY_POINTS)
    check_recognizer(content, spec, network, toy_frames(3, seed=2))


def test_places_are_drawn_evenly() -> None:
    places = np.repeat(np.array([0, 1, 2], np.int32), (50, 7, 4))
    random = np.random.default_rng(0)
    drawn = evenly_drawn(places, random)
    assert len(drawn) == len(places)
    assert sorted(np.bincount(places[drawn]).tolist()) == [20, 20, 21]
    often = np.bincount(drawn, minlength=len(places))
    for place in range(3):
        assert np.ptp(often[places == place]) <= 1
    assert sorted(evenly_drawn(np.zeros(9, np.int32), random).tolist()) == list(range(9))
