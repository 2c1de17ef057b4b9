"""A bag with odometry: a tracker follows its images, and evaluation and report say what it made of them."""

import json
from dataclasses import replace
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
    write_drive,
    write_tf,
    write_truth,
    write_view,
)

from vloc_ros.bags import messages
from vloc_ros.bags.reader import ODOMETRY
from vloc_ros.bags.writer import open_writer
from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.datasets.drive import LOOKING_AHEAD
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.report.track_section import track_section
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.transforms import Matrix, invert
from vloc_ros.localizer import Localizer
from vloc_ros.tracking.status import PRIOR

BASE_FROM_CAMERA = LOOKING_AHEAD
ODOM_FROM_MAP = perturb(np.eye(4), np.array([5.0, -3.0, 0.0, 0.0, 0.0, 1.0]))
ERROR_M, LEFT_OUT = 0.02, 10


def odom_from_base(index: float) -> Matrix:
    moved: Matrix = ODOM_FROM_MAP @ place(stamp(index)) @ invert(BASE_FROM_CAMERA)
    return moved


def noisy(stamp_ns: int) -> Matrix:
    """What the localizer says: off by centimetres, each time elsewhere."""
    return perturb(
        place(stamp_ns), np.r_[ERROR_M * np.random.default_rng(stamp_ns % 2**32).standard_normal(3), 0, 0, 0]
    )


def write_robot(path: Path, by_tf: bool = True, twist_variance: float = 0.0) -> Path:
    """Images, truth, and exact odometry at twice their rate, from TF or a topic."""
    with open_writer(path, "mcap") as bag:
        write_tf(bag, 0, "base_link", CAMERA_FRAME, BASE_FROM_CAMERA, "/tf_static")
        for half in range(2 * IMAGES):
            index = half / 2
            if by_tf:
                write_tf(bag, index, "odom", "base_link", odom_from_base(index))
            else:
                message = messages.odometry(stamp(index), "odom", "base_link", odom_from_base(index))
                message.twist.covariance[[0, 7, 35]] = twist_variance
                bag.write("/odom", ODOMETRY, stamp(index), message)
            write_truth(bag, index)
            if half % 2 == 0:
                write_view(bag, half // 2)
    return path


@pytest.fixture
def localizer(monkeypatch: pytest.MonkeyPatch) -> Localizer:
    return knowing(monkeypatch, noisy, rejected=[LEFT_OUT])


@pytest.mark.parametrize("by_tf", [True, False])
def test_filtered_poses_are_better_than_fixes_and_there_where_an_image_is_rejected(
    localizer: Localizer, tmp_path: Path, by_tf: bool
) -> None:
    evaluation = evaluated(localizer, write_robot(tmp_path / "bag", by_tf, twist_variance=1e-3))
    assert all(record.tracked for record in evaluation.records)
    track = evaluation.summary()["track"]
    assert track["frames"] == IMAGES
    assert track["filtered_p95_m"] < 0.8 * track["fix_p95_m"]
    dark = evaluation.records[LEFT_OUT]
    assert dark.error is None
    assert dark.tracked is not None
    assert pose_error(dark.tracked.map_from_camera, dark.true_map_from_camera).translation_m < 2 * ERROR_M
    assert track["searched"]["global"] == IMAGES == sum(track["searched"].values()), "each by itself"
    source = evaluation.source["track"]
    assert source["odometry"] == ("TF of 'odom' to 'base_link'" if by_tf else "/odom")
    assert ("options" if by_tf else "twist covariance") in source["noise_of_odometry"]


def test_with_priors_most_images_begin_near_the_track(
    localizer: Localizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, localize = list[Query](), Localizer.localize

    def noted(self: Localizer, query: Query) -> PoseEstimate | Rejection:
        if isinstance(query, Query):  # not the image that warms up
            asked.append(query)
        return localize(self, query)

    monkeypatch.setattr(Localizer, "localize", noted)
    evaluation = evaluated(localizer, write_robot(tmp_path / "bag"), priors=True)
    with_prior = [bool(record.tracked and record.tracked.search == PRIOR) for record in evaluation.records]
    assert with_prior == [query.searched.prior is not None for query in asked]
    assert 0.8 * IMAGES < sum(with_prior) < 0.95 * IMAGES, "but every tenth is global"
    for query in asked:
        if query.prior is not None:
            assert pose_error(query.prior.map_from_rig, place(query.stamp_ns)).translation_m < 2 * ERROR_M
    assert all(record.tracked and record.tracked.cpu_ms is not None for record in evaluation.records)


def test_a_pose_that_odometry_contradicts_is_a_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def jumping(stamp_ns: int) -> Matrix:
        return perturb(place(stamp_ns), np.array([1.0, 0, 0, 0, 0, 0])) if stamp_ns == stamp(7) else place(stamp_ns)

    evaluation = evaluated(knowing(monkeypatch, jumping), write_robot(tmp_path / "bag"))
    jumps = [record.tracked.jump for record in evaluation.records if record.tracked]
    assert [index for index, jump in enumerate(jumps) if jump] == [7]
    assert "jump of 1.00 m" in jumps[7]
    assert evaluation.records[7].error is not None, "it stays a pose of the image"


def test_a_track_survives_a_file_and_is_in_the_report(localizer: Localizer, tmp_path: Path) -> None:
    evaluation = evaluated(localizer, write_robot(tmp_path / "bag"), priors=True)
    evaluation.write_json(tmp_path / "run.json")
    again = Evaluation.read_json(tmp_path / "run.json")
    for one, other in zip(again.records, evaluation.records, strict=True):
        assert one.tracked
        assert other.tracked
        assert (one.tracked.search, one.tracked.cpu_ms) == (other.tracked.search, other.tracked.cpu_ms)
        np.testing.assert_allclose(one.tracked.map_from_camera, other.tracked.map_from_camera, atol=1e-12)
        np.testing.assert_array_equal(one.tracked.covariance, other.tracked.covariance)
    html = track_section(again.records, replace(localizer.landmark_map, mapping_views=np.eye(4)[None]))
    assert html.count("<svg") == 2
    for text in ("The track", "near the track", "in the whole map", "followed without a network", "filtered NEES / 6"):
        assert text in html
    assert "track" in json.loads((tmp_path / "run.json").read_text())


def test_without_odometry_there_is_no_track_and_it_is_said(localizer: Localizer, tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive")
    evaluation = evaluated(localizer, drive)
    assert not any(record.tracked for record in evaluation.records)
    assert "track" not in evaluation.summary()
    assert evaluation.source["track"]["odometry"] is None
    assert track_section(evaluation.records, None) == ""
    with pytest.raises(DatasetError, match="does not connect"):
        evaluated(localizer, drive, priors=True)
    with pytest.raises(DatasetError, match="no topic /wheels"):
        evaluated(localizer, write_robot(tmp_path / "bag"), odometry_topic="/wheels")
