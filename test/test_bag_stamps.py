"""Stamps of bags that cannot be: an image or a pose of which nobody knows when it was is never evaluated."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.bag_scenes import (
    CAMERA_FRAME,
    IMAGES,
    evaluated,
    knowing,
    place,
    stamp,
    worst_m,
    write_tf,
    write_truth,
    write_view,
)

from vloc_ros.bags import messages
from vloc_ros.bags.reader import POSE, TF
from vloc_ros.bags.writer import open_writer
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.trajectory import StampedPose, write_tum


def write_stamped(path: Path, image_at: Callable[[int], int], truth_at: Callable[[int], int]) -> Path:
    """Images and truth whose stamps are these, recorded as ever."""
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index, header=messages.header(image_at(index), CAMERA_FRAME))
            bag.write("/pose", POSE, stamp(index), messages.pose(truth_at(index), "map", place(stamp(index))))
    return path


@pytest.mark.parametrize("same", [0, stamp(3)])
def test_images_that_all_have_one_stamp_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: int) -> None:
    path = write_stamped(tmp_path / "bag", lambda _: same, stamp)
    words = rf"/cam/image_raw: all {IMAGES} images have the stamp {same / 1e9:.3f} s: their driver does not set it"
    with pytest.raises(DatasetError, match=words):
        evaluated(knowing(monkeypatch), path)


@pytest.mark.parametrize("same", [0, stamp(3)])
def test_truth_that_all_has_one_stamp_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: int) -> None:
    for name, image_at in (("zero", lambda _: same), ("right", stamp)):
        path = write_stamped(tmp_path / name, image_at, lambda _: same)
        with pytest.raises(DatasetError, match=rf"/pose: all {IMAGES} poses have the stamp {same / 1e9:.3f} s"):
            evaluated(knowing(monkeypatch), path)


def test_a_link_of_tf_that_all_has_one_stamp_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bag"
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index)
            unstamped = messages.transform(0, "map", CAMERA_FRAME, place(stamp(index)))
            bag.write("/tf", TF, stamp(index), messages.transforms(unstamped))
    with pytest.raises(DatasetError, match=rf"tf: all {IMAGES} poses of 'camera' in 'map' have the stamp 0\.000 s"):
        evaluated(knowing(monkeypatch), path, source="tf")


def test_static_transforms_may_be_sent_again_with_the_same_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bag"
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index)
            write_tf(bag, 0, "base", CAMERA_FRAME, np.eye(4), "/tf_static")
            write_tf(bag, index, "map", "base", place(stamp(index)))
    assert worst_m(evaluated(knowing(monkeypatch), path, source="tf")) < 1e-9


def test_a_truth_file_that_all_has_one_stamp_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_stamped(tmp_path / "bag", lambda _: stamp(3), stamp)
    write_tum(tmp_path / "truth.tum", [StampedPose(stamp(3), np.eye(4))] * 5)
    with pytest.raises(DatasetError, match=r"truth\.tum: all 5 poses have the stamp 1000\.300 s"):
        evaluated(knowing(monkeypatch), path, source=str(tmp_path / "truth.tum"))


def test_single_images_without_a_stamp_of_their_own_are_skipped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the node, which refuses images whose stamp is 0, such as the first ones before there is a /clock."""
    stamps = [0, 0, 0, *(stamp(index) for index in range(3, IMAGES))]
    stamps[10] = stamps[9]
    path = tmp_path / "bag"
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index, header=messages.header(stamps[index], CAMERA_FRAME))
            write_truth(bag, index)
    evaluation = evaluated(knowing(monkeypatch), path)
    assert [record.stamp_ns for record in evaluation.records] == [at for at in dict.fromkeys(stamps) if at]
    assert worst_m(evaluation) < 1e-9
    counts = {name: evaluation.source[name] for name in evaluation.source if name.startswith("skipped")}
    assert counts == {"skipped_without_truth": 0, "skipped_without_stamp": 3, "skipped_repeated_stamp": 1}
