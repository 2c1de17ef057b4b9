"""The map that comes with the project still localizes in the room that it was made of."""

from dataclasses import replace

import pytest
from support import SHIPPED_MAP

from vloc_ros.core.camera_warnings import field_of_view_warnings
from vloc_ros.core.types import CameraImage, PoseEstimate, RejectionReason
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import read_map


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of every eighth test image."""
    dataset = open_dataset("synthetic_room", None, "test")
    return evaluate(load_localizer(SHIPPED_MAP, SessionOptions(threads=1)), Subset(dataset, range(0, len(dataset), 8)))


def test_most_poses_are_right(evaluation: Evaluation) -> None:
    summary = evaluation.summary()
    assert summary["recall_10cm_5deg"] >= 0.8
    assert summary["median_translation_m"] < 0.05


def test_no_wrong_pose_is_believed(evaluation: Evaluation) -> None:
    assert evaluation.summary()["wrong_accepted"] == 0


def test_no_pose_outside_of_the_room_is_believed() -> None:
    """With a focal length twice as long, every pose is wrong, and about half of them lie behind walls."""
    localizer = load_localizer(SHIPPED_MAP, SessionOptions(threads=1))
    extent = localizer.landmark_map.extent_of(None)
    assert extent is not None
    reasons = []
    dataset = open_dataset("synthetic_room", None, "small")
    for frame in (dataset.frame(index) for index in range(0, len(dataset), 2)):
        camera = replace(frame.image.camera, fx=1050.0, fy=1050.0)
        result = localizer.localize(CameraImage(frame.image.rgb, camera))
        if isinstance(result, PoseEstimate):
            assert extent.outside_m(result.map_from_camera[:3, 3]) == 0
        else:
            reasons.append(result.reason)
    assert RejectionReason.OUTSIDE_MAP in reasons


def test_a_focal_length_far_from_its_own_camera_is_doubted() -> None:
    manifest = read_map(SHIPPED_MAP).landmark_map.manifest
    own = open_dataset("synthetic_room", None, "small").camera(0)
    assert not field_of_view_warnings([own], manifest)
    assert len(field_of_view_warnings([replace(own, fx=2 * own.fx, fy=2 * own.fy)], manifest)) == 1


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in SHIPPED_MAP.iterdir()) < 6e6
