"""Fitting a correction field: it finds smooth errors near the views, and is not kept where there is only noise."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.map_files import make_map

from vloc_ros.core.correction_field import CorrectionField
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.records import Estimated, FrameRecord, Rejected
from vloc_ros.geometry.pose_error import error_vector, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import from_quaternion, invert, pose_distances
from vloc_ros.localizer import Localizer
from vloc_ros.methods import get_method
from vloc_ros.training import correction
from vloc_ros.training.correction import CorrectionReport
from vloc_ros.training.pose_pairs import PosePairs

SIZES = np.repeat([0.01, 0.004], 3)  # metres, radians
FRAMES, BLOCK = 250, 10


def true_pose(at: float, place: int = 0) -> np.ndarray:
    """On a path of 6 m, `at` from 0 to 1, that looks around; another one in each place."""
    yaw = 2.5 * math.sin(5 * at + place)
    position = [3 * math.cos(2 * at), 3 * math.sin(2 * at) + 50 * place, 0.2 * math.sin(20 * at)]
    return from_quaternion([0, math.sin(yaw / 2), 0, math.cos(yaw / 2)], position)


def smooth_error(pose: np.ndarray) -> np.ndarray:
    """A step that varies over half a metre or so, and with the direction of view."""
    x, y, _ = pose[:3, 3]
    waves = np.sin([3 * x + 1, 2 * y, 3 * x - y, 2 * x + 2 * y, 3 * y + 1, x - 3 * y])
    return np.asarray(SIZES * (waves + pose[0, 2]))


def make_pairs(
    rng: np.random.Generator, rows: np.ndarray, smooth: float = 1.0, noise: float = 0.2, places: int = 1
) -> PosePairs:
    indices = (rows // BLOCK % places).astype(np.int32)
    true = np.stack([true_pose(row / FRAMES, place) for row, place in zip(rows, indices, strict=True)])
    steps = [smooth * smooth_error(pose) + noise * SIZES * rng.normal(size=6) for pose in true]
    estimated = np.stack([perturb(pose, -step) for pose, step in zip(true, steps, strict=True)])
    return PosePairs(estimated, true, indices, rows // BLOCK, np.zeros(len(rows)))


def fit_correction(mapping: PosePairs, tried: PosePairs) -> tuple[CorrectionField | None, CorrectionReport | None]:
    fitted = correction.fit_correction(mapping, tried)
    return (None, None) if fitted is None else (fitted.field, fitted.report)


def predictions(field: CorrectionField, pairs: PosePairs) -> np.ndarray:
    """The steps of a map's field, place by place as a map has them."""
    steps = np.zeros((len(pairs), 6))
    for place in np.unique(pairs.places):
        views, rows = field.places == place, np.flatnonzero(pairs.places == place)
        steps[rows] = [field[views].step(pose) for pose in pairs.estimated[rows]]
    return steps


def split() -> tuple[np.ndarray, np.ndarray]:
    """Mapping and held-out frames: every fifth block of ten."""
    rows = np.arange(FRAMES)
    held = rows // BLOCK % 5 == 2
    return rows[~held], rows[held]


def errors(pairs: PosePairs, field: CorrectionField | None) -> np.ndarray:
    steps = pairs.steps - (0 if field is None else predictions(field, pairs))
    return np.asarray(np.linalg.norm(steps.reshape(-1, 2, 3), axis=2))


@pytest.mark.parametrize("places", [1, 2])
def test_smooth_errors_are_found_near_the_views(places: int) -> None:
    rng = np.random.default_rng(0)
    mapping, held_out = split()
    fit = make_pairs(rng, mapping, places=places), make_pairs(rng, held_out, places=places)
    field, report = fit_correction(*fit)
    assert field is not None
    assert report is not None
    assert report.kept
    before, after = np.median(errors(fit[1], None), axis=0), np.median(errors(fit[1], field), axis=0)
    assert (after < 0.6 * before).all()
    np.testing.assert_allclose(before, (report.before_m, report.before_rad))
    np.testing.assert_allclose(after, (report.after_m, report.after_rad))
    assert "not kept" not in report.describe()
    fresh = make_pairs(np.random.default_rng(9), held_out, noise=0.0, places=places)
    assert (np.median(errors(fresh, field), axis=0) < 0.5 * np.median(errors(fresh, None), axis=0)).all()


def test_nothing_is_said_far_from_the_views() -> None:
    mapping, held_out = split()
    rng = np.random.default_rng(1)
    field, _ = fit_correction(make_pairs(rng, mapping), make_pairs(rng, held_out))
    assert field is not None
    far = true_pose(0.5)
    far[:3, 3] += [0, 0, 3.0]
    turned = true_pose(0.5) @ from_quaternion([1, 0, 0, 0], [0, 0, 0])  # upside down
    for pose in (far, turned):
        assert np.abs(field.step(pose)).max() < 1e-6


def test_wrong_poses_do_no_harm() -> None:
    """A tenth of the frames, as if they had not been there."""
    mapping, held_out = split()
    rng = np.random.default_rng(2)
    pairs, queries = make_pairs(rng, mapping), make_pairs(rng, held_out)
    wrong = rng.random(len(pairs)) < 0.1
    estimated = pairs.estimated.copy()
    for row in np.flatnonzero(wrong):
        estimated[row] = perturb(estimated[row], rng.normal(0, rng.choice([0.05, 1.0]), 6))
    bad = replace(pairs, estimated=estimated)
    (without, _), (with_bad, _) = fit_correction(pairs[~wrong], queries), fit_correction(bad, queries)
    assert (np.median(errors(queries, with_bad), axis=0) < 1.1 * np.median(errors(queries, without), axis=0)).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_field_of_noise_is_not_kept(seed: int) -> None:
    mapping, held_out = split()
    held_out = held_out[: None if seed % 2 else 2 * BLOCK]
    rng = np.random.default_rng(seed)
    field, report = fit_correction(make_pairs(rng, mapping, 0.0, 1.0), make_pairs(rng, held_out, 0.0, 1.0))
    assert field is None
    assert report is not None
    assert not report.kept
    assert report.describe().endswith("not kept")


def test_errors_that_other_frames_do_not_have_are_not_kept() -> None:
    """The mapping frames are off smoothly, the held-out ones are not."""
    mapping, held_out = split()
    rng = np.random.default_rng(3)
    field, _ = fit_correction(make_pairs(rng, mapping), make_pairs(rng, held_out, smooth=0.0, noise=1.0))
    assert field is None


def test_a_block_of_one_bad_frame_does_not_decide() -> None:
    """Errors of a block count by their size, so that many frames are not outvoted by a few."""
    rng = np.random.default_rng(0)
    blocks = np.append(np.repeat(np.arange(16), 6), 16)
    before = rng.uniform(1.0, 2.0, len(blocks))
    after = before * rng.normal(0.85, 0.05, len(blocks))
    before[-1], after[-1] = 0.3, 0.9
    assert correction._is_less(after, before, blocks)
    assert not correction._is_less(before, after, blocks)
    assert not correction._is_less(before * rng.normal(0.99, 0.3, len(blocks)), before, blocks), "no more than chance"
    assert not correction._is_less(after[:6], before[:6], blocks[:6]), "one block says nothing of others"


def test_too_few_poses_tell_nothing() -> None:
    rng = np.random.default_rng(4)
    few, many = make_pairs(rng, np.arange(9)), make_pairs(rng, np.arange(100))
    assert fit_correction(few, many) == (None, None)
    assert fit_correction(many, few) == (None, None)


def test_steps_lead_from_the_estimate_to_the_truth() -> None:
    pairs = make_pairs(np.random.default_rng(5), np.arange(30))
    for estimated, true, step in zip(pairs.estimated, pairs.true, pairs.steps, strict=True):
        assert np.abs(error_vector(perturb(estimated, step), true)).max() < 1e-12
        assert np.abs(invert(perturb(estimated, step)) @ true - np.eye(4)).max() < 1e-12


class Frames:
    """As much of a data set as `with_correction` looks at."""

    def __init__(self, pairs: PosePairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)


def evaluated(localizer: Any, frames: Any, progress: Any, workers: int = 1) -> Evaluation:
    """Instead of localizing images. Every seventh frame has no pose at all."""
    rows = frames.indices if isinstance(frames, Subset) else range(len(frames))
    parent: Any = frames.parent if isinstance(frames, Subset) else frames
    pairs: PosePairs = parent.pairs
    records = []
    for done, row in enumerate(rows, start=1):
        estimated, true = pairs.estimated[row], pairs.true[row]
        found = Estimated(estimated, np.eye(6), 1.0, pose_error(estimated, true), 50, 1.0, 1.0, 0.1, 0.1)
        outcome = Rejected("no_pose", "") if done % 7 == 0 else found
        records.append(FrameRecord(f"{row}", row, true, outcome, {}))
        progress(done, len(frames))
    return Evaluation(tuple(records))


def test_a_map_gets_its_field_from_its_own_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "evaluate", evaluated)
    rng, (mapping, held_out) = np.random.default_rng(7), split()
    learned: Any = Frames(make_pairs(rng, mapping))
    asked: Any = Frames(make_pairs(rng, held_out))
    localizer: Any = Localizer(make_map(), get_method("vsnet"), {})
    records = evaluated(localizer, asked, lambda done, of: None).records
    steps = list[tuple[int, int]]()
    fitted = correction.fitted_correction(
        localizer, learned, records, PosePairs.of([]), lambda *done: steps.append(done)
    )
    assert fitted is not None
    assert fitted.report.kept
    assert fitted.field is not None
    assert steps[-1] == (200, 200)
    assert steps == sorted(steps)
    assert set(fitted.report.figures()) >= {"kept", "median_translation_m_with", "median_translation_m_without"}
    assert correction.fitted_correction(localizer, learned, records[:9], PosePairs.of([])) is None


def test_frames_with_hidden_views_stand_in_for_held_out_ones() -> None:
    """Where too few are held out; and a field says the same of them as one that was never told of the hidden views."""
    rng, (mapping, held_out) = np.random.default_rng(10), split()
    learned, beside = make_pairs(rng, mapping), make_pairs(rng, held_out)
    hidden = replace(beside, hidden=rng.uniform(0.05, 0.3, len(beside)))
    fitted = correction.fit_correction(learned, hidden)
    assert fitted is not None
    assert fitted.report.kept
    found = fitted.steps(hidden)
    process = fitted.process
    for row in range(0, len(hidden), 7):
        metres, radians = pose_distances(process.pairs.true, hidden.true[row])
        far = metres + radians >= hidden.hidden[row]
        pairs = process.pairs[far]
        noise = process.inverse  # of all: its covariance without some is that of the others
        covariance = np.linalg.inv(noise)[np.ix_(far, far)]
        told = process.kernel(*pose_distances(pairs.true, hidden.estimated[row])) @ np.linalg.inv(covariance)
        np.testing.assert_allclose(found[row], fitted.gain * told @ pairs.steps, atol=1e-9)
    assert (far.sum() < len(far)) or hidden.hidden[row] < 0.06


def test_a_field_has_no_more_views_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction, "evaluate", evaluated)
    monkeypatch.setattr(correction, "MOST_VIEWS", 100)
    rng, (mapping, held_out) = np.random.default_rng(8), split()
    learned: Any = Frames(make_pairs(rng, mapping))
    asked: Any = Frames(make_pairs(rng, held_out))
    localizer = Localizer(make_map(), get_method("vsnet"), {})
    records = evaluated(localizer, asked, lambda done, of: None).records
    fitted = correction.fitted_correction(localizer, learned, records, PosePairs.of([]))
    assert fitted is not None
    assert fitted.field is not None
    assert 50 < len(fitted.field) <= 100
