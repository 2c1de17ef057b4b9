"""The map that comes with the project still localizes in the room that it was made of."""

from pathlib import Path

import pytest

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer

MAP = Path(__file__).resolve().parents[1] / "maps" / "demo_room"


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of every eighth test image."""
    dataset = open_dataset("synthetic_room", None, "test")
    return evaluate(load_localizer(MAP, SessionOptions(threads=1)), Subset(dataset, range(0, len(dataset), 8)))


def test_most_poses_are_right(evaluation: Evaluation) -> None:
    summary = evaluation.summary()
    assert summary["recall_10cm_5deg"] >= 0.8
    assert summary["median_translation_m"] < 0.05


def test_no_wrong_pose_is_believed(evaluation: Evaluation) -> None:
    assert evaluation.summary()["wrong_accepted"] == 0


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in MAP.iterdir()) < 6e6
