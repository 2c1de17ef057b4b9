"""Ground truth of another frame or clock: alignment, time offset."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bag_scenes import (
    COARSE_M,
    ELSEWHERE,
    IMAGES,
    evaluated,
    knowing,
    place,
    stamp,
    worst_m,
    write_drive,
    write_truth,
    write_view,
)

from vloc_ros.bags.writer import open_writer
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.alignment import Correction, align
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.geometry.rigid_alignment import align_poses, umeyama
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert, rotation_angle


def test_umeyama_finds_the_motion() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    for seen in (points, points * (1, 1, 0)):
        np.testing.assert_allclose(umeyama(seen, seen @ ELSEWHERE[:3, :3].T + ELSEWHERE[:3, 3]), ELSEWHERE, atol=1e-12)


@pytest.mark.parametrize("extent", [(0.0, 0.0, 0.0), (2.0, 0.0, 0.0), (0.02, 0.01, 0.02)])
def test_alignment_of_a_camera_that_hardly_moves_or_on_a_line(extent: tuple[float, float, float]) -> None:
    """Noise of 5 mm and 0.2 deg: the rotation must not come from the noise of the positions."""
    rng = np.random.default_rng(0)
    truth = np.stack([from_quaternion((0, 0, 0, 1), rng.uniform(-1, 1, 3) * extent) for _ in range(50)])
    noise = [from_quaternion((*rng.normal(0, 0.0017, 3), 1), rng.normal(0, 0.005, 3)) for _ in truth]
    found, good = align_poses(truth, ELSEWHERE @ truth @ np.stack(noise))
    assert good.mean() > 0.9
    assert np.rad2deg(rotation_angle(found[:3, :3], ELSEWHERE[:3, :3])) < 0.2
    assert np.linalg.norm(found[:3, 3] - ELSEWHERE[:3, 3]) < 0.01


def test_truth_of_another_frame_is_aligned_and_that_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of the estimates are far off: neither they nor the rejected ones turn the truth."""
    wrong = {stamp(index) for index in (2, 9, 14, 21)}

    def pose(stamp_ns: int) -> Matrix:
        return ELSEWHERE @ place(stamp_ns) @ from_quaternion((0, 0, 0, 1), (3.0 * (stamp_ns in wrong), 0, 0))

    path = write_drive(tmp_path / "bag")
    localizer = knowing(monkeypatch, pose, rejected=[5])
    evaluation = evaluated(localizer, path, Correction(align=True))
    errors = [record.error for record in evaluation.records]
    assert errors[5] is None
    assert sorted(error.translation_m for error in errors if error)[-5] < 1e-6
    assert max(error.rotation_rad for error in errors if error) < 1e-6
    found = evaluation.source["alignment"]
    assert found["frames"] == IMAGES - 5
    assert found["median_after_m"] < 1e-6 < 1 < found["median_before_m"]
    np.testing.assert_allclose(
        from_quaternion(found["map_from_truth"][3:], found["map_from_truth"][:3]), ELSEWHERE, atol=1e-6
    )
    assert worst_m(evaluated(localizer, path)) > 1
    assert "alignment" not in evaluated(localizer, path).source


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("offset_s", [0.0, 0.0537, -0.31])
def test_the_time_offset_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset_s: float, aligned: bool
) -> None:
    path = tmp_path / "bag"
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index)
        for time in np.arange(-15, IMAGES + 15, 0.1):
            write_truth(bag, time, place(stamp(time) - offset_s * NS_PER_S))
    there = ELSEWHERE if aligned else np.eye(4)
    localizer = knowing(monkeypatch, lambda stamp_ns: there @ place(stamp_ns))
    evaluation = evaluated(localizer, path, Correction(align=aligned, search_offset=True))
    found = evaluation.source["time_offset_search"]
    assert found["offset_s"] == pytest.approx(offset_s, abs=1e-3)
    assert found["dropped"] == 0
    assert worst_m(evaluation) < COARSE_M
    assert worst_m(evaluated(localizer, path, Correction(align=aligned, offset_s=offset_s))) < COARSE_M


def test_an_offset_that_cannot_be_found_is_not_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Correction(search_offset=True)
    standing = tmp_path / "standing"
    with open_writer(standing) as bag:
        for index in range(IMAGES):
            write_view(bag, index)
            write_truth(bag, index, np.eye(4))
    with pytest.raises(DatasetError, match="the camera hardly moves"):
        evaluated(knowing(monkeypatch, lambda _: np.eye(4)), standing, search)
    with pytest.raises(DatasetError, match="needs 3 accepted poses, there are 0"):
        evaluated(knowing(monkeypatch, rejected=range(IMAGES)), standing, search)


def test_alignment_needs_accepted_poses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_drive(tmp_path / "bag")
    localizer = knowing(monkeypatch, rejected=range(2, IMAGES))
    with pytest.raises(DatasetError, match="needs 3 accepted poses, there are 2"):
        evaluated(localizer, path, Correction(align=True))


def test_realigning_what_is_aligned_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation: Evaluation = evaluated(knowing(monkeypatch), write_drive(tmp_path / "bag"))
    np.testing.assert_allclose(align(evaluation.records).map_from_truth, np.eye(4), atol=1e-9)
    moved = [replace(r, true_map_from_camera=invert(ELSEWHERE) @ r.true_map_from_camera) for r in evaluation.records]
    np.testing.assert_allclose(align(moved).map_from_truth, ELSEWHERE, atol=1e-9)
