"""The demo: its drive, odometry and figures by their properties."""

import math
import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.drive import (
    LOOKING_AHEAD,
    OdometryDrift,
    drifting_odometry,
    plan_drive,
    robot_extrinsics,
)
from vloc_ros.datasets.subset import Subset
from vloc_ros.demo.answers import Answer, Played
from vloc_ros.demo.picture import draw_plan, plan_of
from vloc_ros.demo.processes import isolate
from vloc_ros.demo.score import PlaceScore, Score, score
from vloc_ros.demo.score_text import table
from vloc_ros.demo.verdict import SHIPPED_MAP, faults
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import Matrix, invert, rotation_angle
from vloc_ros.tracking.status import SEARCHES

NO_DRIFT = OdometryDrift(distance=0, turn=0, pull_deg_per_m=0)
FRAME_NS = 100_000_000


@pytest.fixture(scope="module")
def room() -> Dataset:
    return open_dataset("synthetic_room", None, "drive")


def moved(pose: Matrix | None, metres: float) -> Matrix:
    assert pose is not None
    shifted: Matrix = pose.copy()
    shifted[0, 3] += metres
    return shifted


def answers_of(room: Dataset, kidnap: bool = False, off_m: float = 0.01) -> list[Answer]:
    """A drive on which every image was answered, and every answer was off by as much."""
    drive = plan_drive(room, robot_extrinsics(), kidnap)
    return [
        Answer(
            Played(k * FRAME_NS, drive.map_from_base[k], drive.odom_from_base[k], k in drive.kidnapped),
            reported=True,
            pose=moved(drive.map_from_base[k], off_m),
            latency_ms=60.0,
            localize_ms=50.0,
            from_tf=moved(drive.map_from_base[k], off_m),
        )
        for k in range(len(drive))
    ]


def test_poses_in_the_wrong_place_are_counted_and_make_it_bad(room: Dataset) -> None:
    right = [
        replace(answer, played=replace(answer.played, place=place), place=place)
        for k, answer in enumerate(answers_of(room))
        for place in [("ground", "first")[k // 50 % 2]]
    ]
    result = score(right, 3.0)
    assert result.places == PlaceScore(poses=150, wrong=0, changes=2)
    assert "wrong place published" in table(result)
    assert faults(result, SHIPPED_MAP) == []
    one_wrong = score([replace(right[0], place="first"), replace(right[1], pose=None), *right[2:]], 3.0)
    assert one_wrong.places == PlaceScore(poses=149, wrong=1, changes=2)
    assert faults(one_wrong, SHIPPED_MAP) == ["1 poses in the wrong place were published"]
    assert score(answers_of(room), 3.0).places is None


def test_the_robot_stays_on_the_floor(room: Dataset) -> None:
    bases = plan_drive(room, robot_extrinsics()).map_from_base
    np.testing.assert_allclose(bases[:, 2, 3], 0, atol=1e-9)
    np.testing.assert_allclose(bases[:, 2, 2], 1, atol=1e-9)


def test_a_camera_in_the_hand_looks_where_its_base_points_to(room: Dataset) -> None:
    drive = plan_drive(room, LOOKING_AHEAD)
    np.testing.assert_allclose(drive.map_from_base[3, :3, 0], room.map_from_camera(3)[:3, 2])
    np.testing.assert_allclose(drive.map_from_base[3] @ drive.base_from_camera, room.map_from_camera(3), atol=1e-12)


def test_odometry_without_drift_is_the_true_motion(room: Dataset) -> None:
    bases = plan_drive(room, robot_extrinsics()).map_from_base
    odometry = drifting_odometry(bases, frozenset(), NO_DRIFT)
    np.testing.assert_allclose(bases[0] @ odometry, bases, atol=1e-9)


def test_odometry_drifts_smoothly_and_far(room: Dataset) -> None:
    drive = plan_drive(room, robot_extrinsics())
    believed = drive.map_from_base[0] @ drive.odom_from_base
    off_m = np.linalg.norm(believed[:, :3, 3] - drive.map_from_base[:, :3, 3], axis=1)
    assert off_m[0] == 0
    assert 0.3 < off_m[-1] < 0.6
    assert np.abs(np.diff(off_m)).max() < 0.03


def test_odometry_does_not_notice_a_kidnap(room: Dataset) -> None:
    drive = plan_drive(room, robot_extrinsics(), kidnap=True)
    (step,) = drive.kidnapped
    carried_m = np.linalg.norm(drive.map_from_base[step, :3, 3] - drive.map_from_base[step - 1, :3, 3])
    felt = invert(drive.odom_from_base[:-1]) @ drive.odom_from_base[1:]
    assert carried_m > 0.5
    assert np.linalg.norm(felt[:, :3, 3], axis=1).max() < 0.05
    assert max(math.degrees(rotation_angle(np.eye(3), step[:3, :3])) for step in felt) < 10


def test_a_single_image_is_no_drive(room: Dataset) -> None:
    with pytest.raises(DatasetError, match="at least 2"):
        plan_drive(Subset(room, range(1)), LOOKING_AHEAD)


def test_the_figures_are_what_was_put_in(room: Dataset) -> None:
    result = score(answers_of(room, off_m=0.02), first_fix_s=1.5)
    assert result.pose is not None
    assert result.map_to_base is not None
    assert result.odometry_alone is not None
    assert result.pose.metres.p50 == pytest.approx(0.02)
    assert result.map_to_base.metres.p95 == pytest.approx(0.02)
    assert result.recall == 1
    assert result.dropped == 0
    assert result.added_ms is not None
    assert result.added_ms.p50 == pytest.approx(10)
    assert result.odometry_alone.translation_m > 0.3
    assert faults(result, SHIPPED_MAP) == []


def test_dropped_and_wrong_images_count_against_the_recall(room: Dataset) -> None:
    answers = answers_of(room)
    answers[:30] = [Answer(answer.played) for answer in answers[:30]]
    answers[30:60] = [replace(answer, pose=moved(answer.played.map_from_base, 0.06)) for answer in answers[30:60]]
    result = score(answers, first_fix_s=1.0)
    assert result.dropped == 30
    assert result.fixes == 120
    assert result.recall == pytest.approx(90 / 150)
    assert any("60%" in fault for fault in faults(result, SHIPPED_MAP))


def test_recovery_counts_from_the_first_image_at_the_new_place(room: Dataset) -> None:
    answers = answers_of(room, kidnap=True)
    (carried,) = (k for k, answer in enumerate(answers) if answer.played.kidnapped)
    at_once, late, never = list(answers), list(answers), list(answers)
    late[carried : carried + 3] = [replace(answer, pose=None) for answer in late[carried : carried + 3]]
    never[carried:] = [replace(answer, pose=moved(answer.pose, 1.0)) for answer in never[carried:]]
    assert [r.frames for r in score(at_once, 1.0).recoveries if r] == [1]
    (recovery,) = score(late, 1.0).recoveries
    assert recovery is not None
    assert recovery.frames == 4
    assert recovery.seconds == pytest.approx(0.3 + 0.06)
    assert score(never, 1.0).recoveries == (None,)
    assert any("lost" in fault for fault in faults(score(never, 1.0), SHIPPED_MAP))


def test_what_a_covered_camera_costs_is_a_figure_and_in_the_picture(room: Dataset) -> None:
    answers = [replace(answer, inliers={"front": 80, "left": 60}) for answer in answers_of(room)]
    for k in range(50, 100):
        played = replace(answers[k].played, covered="front")
        answers[k] = replace(answers[k], played=played, inliers={"front": 0, "left": 60})
    answers[50] = Answer(answers[50].played)
    answers[51] = replace(answers[51], pose=moved(answers[51].pose, 0.2))
    result = score(answers, first_fix_s=1.0)
    assert result.covered is not None
    assert (result.covered.images, result.covered.dropped) == (50, 1)
    assert result.covered.recall == pytest.approx(48 / 50)
    assert result.inliers == {"front": 80, "left": 60}
    assert "front covered" in table(result)
    plan = plan_of(answers, np.zeros((0, 3)))
    assert len(plan.covered) == 50
    without = draw_plan(replace(plan, covered=np.zeros((0, 3))), "demo", [])
    assert (draw_plan(plan, "demo", []) != without).any()


@pytest.mark.needs("tf2_ros")
def test_each_of_several_cameras_has_topics_and_one_is_covered_in_the_middle(room: Dataset) -> None:
    from vloc_ros.demo.player import DrivePlayer, Rig

    small = replace(room, intrinsics=room.intrinsics.resized(64, 48)).with_cameras(("front", "left"))  # type: ignore[type-var, attr-defined]
    drive = plan_drive(Subset(small, range(0, 150, 25)), robot_extrinsics())
    published: dict[str, list[Any]] = {}

    def create_publisher(_: object, topic: str, *__: object, **___: object) -> Any:
        return SimpleNamespace(publish=published.setdefault(topic, []).append)

    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=10**18))
    node: Any = SimpleNamespace(create_publisher=create_publisher, get_clock=lambda: clock)
    player = DrivePlayer(node, Subset(small, range(0, 150, 25)), drive, 100.0, Rig(("front", "left"), "front"))
    player.prepare(lambda _: None)
    played = list(player.play())
    player.close()
    assert [image.covered for image in played] == ["", "", "front", "front", "", ""]
    means = {name: [np.mean(image.data) for image in published[f"{name}/image"]] for name in ("front", "left")}
    assert max(means["front"][2:4]) < 10
    assert min(means["front"][:2] + means["front"][4:] + means["left"]) > 20
    mountings = published["/tf_static"][0].transforms
    assert [mounting.child_frame_id for mounting in mountings] == ["front_optical_frame", "left_optical_frame"]
    assert player.relocalizer_arguments == ["-p", "cameras:=[front, left]"]


@pytest.mark.parametrize(
    ("change", "word"),
    [({"first_fix_s": None}, "no image"), ({"first_fix_s": 99.0}, "first fix"), ({"map_to_base": None}, "TF")],
)
def test_what_is_bad_is_named(room: Dataset, change: dict[str, float | None], word: str) -> None:
    good = score(answers_of(room), first_fix_s=1.0)
    worse: Score = replace(good, **change)  # type: ignore[arg-type]
    (fault,) = faults(worse, SHIPPED_MAP)
    assert word in fault


def test_without_truth_there_are_still_figures_and_a_picture(room: Dataset) -> None:
    answers = [replace(answer, played=Played(answer.played.stamp_ns)) for answer in answers_of(room)]
    result = score(answers, first_fix_s=1.0)
    assert result.pose is None
    assert faults(result, SHIPPED_MAP) == []
    assert "latency" in table(result)
    assert draw_plan(plan_of(answers, np.zeros((0, 3))), "bag", []).std() > 5


def test_the_picture_shows_every_path(room: Dataset) -> None:
    plan = plan_of(answers_of(room), np.random.default_rng(0).uniform(-3, 3, (50, 3)))
    picture = draw_plan(plan, "demo", ["a note"])
    without = draw_plan(replace(plan, odometry=np.zeros((0, 3))), "demo", ["a note"])
    assert picture.dtype == np.uint8
    assert (picture != without).any()
    np.testing.assert_allclose(plan.up, [0, 0, 1], atol=1e-9)


def test_the_picture_has_every_fix_in_the_colour_of_its_search(room: Dataset) -> None:
    answers = [replace(answer, search=how) for answer in answers_of(room)[:3] for how in SEARCHES]
    plan = plan_of(answers, np.zeros((0, 3)))
    assert list(plan.fixes_by_search) == list(SEARCHES)
    assert sum(map(len, plan.fixes_by_search.values())) == len(plan.fixes) == len(answers)


def test_nobody_home_is_still_a_picture() -> None:
    assert draw_plan(plan_of([], np.zeros((0, 3))), "demo", []).ndim == 3


def test_the_shells_word_on_discovery_does_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER"):
        monkeypatch.setenv(name, "1")
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.setenv(name, "")  # so that they are as before afterwards
    isolate()
    assert not {"ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER"} & set(os.environ)
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
