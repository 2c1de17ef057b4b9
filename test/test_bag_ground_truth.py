"""Ground truth of bags: sources, interpolation, bad poses, transforms."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from support.bag_scenes import (
    CAMERA_FRAME,
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

from vloc_ros.bags import messages
from vloc_ros.bags.reader import ODOMETRY, STATIC_TF_TOPIC, TF, TRANSFORM, open_bag
from vloc_ros.bags.tf import read_transforms
from vloc_ros.bags.writer import open_writer
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.interpolation import Faults, Trajectory, trajectory_of
from vloc_ros.geometry.trajectory import StampedPose, write_tum
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert, rotation_angle, to_quaternion

BASE_FROM_CAMERA = from_quaternion((0.5, -0.5, 0.5, -0.5), (0.2, 0.0, 0.4))
DENSE = np.arange(-2, IMAGES + 2, 0.1)


def row(pose: Matrix) -> list[float]:
    return [*pose[:3, 3], *to_quaternion(pose[:3, :3])]


def known(trajectory: Trajectory, stamps_ns: Iterable[int], max_gap_ns: int = 10) -> list[bool]:
    known: list[bool] = trajectory.at(np.array(list(stamps_ns)), max_gap_ns)[1].tolist()
    return known


def straight(stamps_ns: Iterable[int]) -> Trajectory:
    """Along x, a metre a nanosecond."""
    stamps = list(stamps_ns)
    trajectory = trajectory_of(stamps, [[t, 0, 0, 0, 0, 0, 1] for t in stamps])
    assert trajectory is not None
    return trajectory


def test_between_poses_position_is_linear_and_rotation_steady() -> None:
    start, end = from_quaternion((0, 0, 0, 1), (0, 0, 0)), from_quaternion((0, 0, np.sin(0.5), np.cos(0.5)), (4, 2, 0))
    trajectory = trajectory_of([100, 200], [row(start), row(end)])
    assert trajectory is not None
    poses, is_known = trajectory.at(np.array([100, 125, 150, 200]), 100)
    assert is_known.all()
    for pose, share in zip(poses, (0, 0.25, 0.5, 1), strict=True):
        np.testing.assert_allclose(pose[:3, 3], np.multiply(share, (4, 2, 0)), atol=1e-12)
        assert rotation_angle(np.eye(3), pose[:3, :3]) == pytest.approx(share * 1.0)


def test_the_shortest_turn_is_taken() -> None:
    quat = np.array([0, 0, np.sin(0.1), np.cos(0.1)])
    trajectory = trajectory_of([0, 10], [[0, 0, 0, *quat], [0, 0, 0, *-quat]])
    assert trajectory is not None
    np.testing.assert_allclose(trajectory.at(np.array([5]), 10)[0][0], from_quaternion(quat, (0, 0, 0)), atol=1e-12)


def test_nothing_is_known_outside_and_in_gaps() -> None:
    trajectory = straight([100, 110, 130, 135])
    asked = [99, 100, 105, 110, 111, 129, 130, 135, 136]
    assert known(trajectory, asked) == [False, True, True, True, False, False, True, True, False]
    assert known(trajectory, asked, 20) == [False, True, True, True, True, True, True, True, False]
    assert known(trajectory, asked, 0) == [False, True, False, True, False, False, True, True, False]


def test_bad_poses_are_counted() -> None:
    stamps = [10, 30, 20, 20, 40, 50, 60]
    rows: list[list[float]] = [[t, 0, 0, 0, 0, 0, 1] for t in stamps]
    rows[3] = [21, 0, 0, 0, 0, 0, 1]  # the second of two at the same time
    rows[4] = [40, 0, 0, 0, 0, 0, 3]
    rows[5] = [50, 0, 0, 0, 0, 0, 0]
    rows[6] = [float("nan"), 0, 0, 0, 0, 0, 1]
    trajectory = trajectory_of(stamps, rows)
    assert trajectory is not None
    assert trajectory.faults == Faults(invalid=2, not_normalized=1, backwards=1, duplicates=1)
    assert trajectory.stamps_ns.tolist() == [10, 20, 30, 40]
    assert trajectory.positions[:, 0].tolist() == [10, 21, 30, 40]
    np.testing.assert_allclose(np.linalg.norm(trajectory.quats_xyzw, axis=1), 1)
    assert trajectory_of([1], [[0, 0, 0, 0, 0, 0, 0]]) is None
    assert trajectory_of([], []) is None


def test_sparse_truth_is_interpolated_to_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_drive(tmp_path / "bag", DENSE + 0.03)
    evaluation = evaluated(knowing(monkeypatch), path)
    assert len(evaluation.records) == IMAGES
    assert worst_m(evaluation) < COARSE_M


def test_images_in_gaps_of_the_truth_are_skipped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truths = [index for index in range(3, IMAGES) if not 10 <= index <= 15]
    path = write_drive(tmp_path / "bag", truths)
    evaluation = evaluated(knowing(monkeypatch), path)
    assert [record.stamp_ns for record in evaluation.records] == [stamp(index) for index in truths]
    assert evaluation.source["skipped_without_truth"] == 9
    lenient = evaluated(knowing(monkeypatch), path, max_gap_s=1.0)
    assert lenient.source["skipped_without_truth"] == 3


def test_truth_of_another_time_says_both_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_drive(tmp_path / "bag", [100, 101])
    with pytest.raises(DatasetError, match=r"images from 1000\.000 to 1002\.900 s, /pose from 1010\.000 to 1010\.1"):
        evaluated(knowing(monkeypatch), path)


def test_truth_with_duplicates_backwards_and_unnormalized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bag"
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index)
            write_truth(bag, index)
            write_truth(bag, index)
            if index > 5:
                write_truth(bag, index - 5, recorded=index)
        stretched = messages.pose(stamp(IMAGES), "map", np.eye(4))
        stretched.pose.orientation.w = 2.0
        bag.write("/pose", "geometry_msgs/msg/PoseStamped", stamp(IMAGES), stretched)
    evaluation = evaluated(knowing(monkeypatch), path)
    assert worst_m(evaluation) < 1e-9
    truth = evaluation.source["truth"]
    assert truth["duplicates"] == IMAGES + IMAGES - 6
    assert truth["backwards"] == IMAGES - 6
    assert (truth["not_normalized"], truth["invalid"], truth["poses"]) == (1, 0, IMAGES + 1)


def test_no_valid_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_writer(tmp_path / "bag") as bag:
        write_view(bag, 0)
        zero = messages.pose(stamp(0), "map", np.eye(4))
        zero.pose.orientation.w = 0.0
        bag.write("/pose", "geometry_msgs/msg/PoseStamped", stamp(0), zero)
    with pytest.raises(DatasetError, match="/pose: it has no valid pose"):
        evaluated(knowing(monkeypatch), tmp_path / "bag")


def test_which_truth_is_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_writer(tmp_path / "bag") as bag:
        write_view(bag, 0)
        bag.write("/odom", ODOMETRY, stamp(0), messages.odometry(stamp(0), "odom", CAMERA_FRAME, np.eye(4)))
    with pytest.raises(DatasetError, match=r"--truth TOPIC, .*there are /odom \(Odometry, 1 messages\)"):
        evaluated(knowing(monkeypatch), tmp_path / "bag")
    with pytest.raises(DatasetError, match="no topic /mocap"):
        evaluated(knowing(monkeypatch), tmp_path / "bag", source="/mocap")
    with pytest.raises(DatasetError, match=r"none\.tum: No such file"):
        evaluated(knowing(monkeypatch), tmp_path / "bag", source=str(tmp_path / "none.tum"))


def mounted(bag, *extra) -> None:  # type: ignore[no-untyped-def]
    """The camera on its base, in /tf_static."""
    mounting = messages.transform(0, "base", CAMERA_FRAME, BASE_FROM_CAMERA)
    bag.write(STATIC_TF_TOPIC, TF, stamp(0), messages.transforms(mounting, *extra))


@pytest.mark.parametrize("kind", [ODOMETRY, TRANSFORM, TF])
def test_truth_of_the_base_through_static_transforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with open_writer(tmp_path / "bag") as bag:
        mounted(bag)
        for index in range(IMAGES):
            write_view(bag, index)
            map_from_base = place(stamp(index)) @ invert(BASE_FROM_CAMERA)
            moved = messages.transform(stamp(index), "map", "base", map_from_base)
            content = {
                ODOMETRY: messages.odometry(stamp(index), "map", "base", map_from_base),
                TRANSFORM: moved,
                TF: messages.transforms(moved),
            }[kind]
            bag.write("/tf" if kind == TF else "/base", kind, stamp(index), content)
    source = "tf" if kind == TF else "/base"
    assert worst_m(evaluated(knowing(monkeypatch), tmp_path / "bag", source=source)) < 1e-9


def test_truth_of_a_frame_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker_from_base = from_quaternion((0, 0, 0.6, 0.8), (0.0, 0.1, 0.2))
    with open_writer(tmp_path / "bag") as bag:
        mounted(bag, messages.transform(0, "base", "marker", invert(marker_from_base)))
        for index in range(IMAGES):
            write_view(bag, index)
            write_truth(bag, index, place(stamp(index)) @ invert(BASE_FROM_CAMERA) @ invert(marker_from_base))
    evaluation = evaluated(knowing(monkeypatch), tmp_path / "bag", frame="marker")
    assert worst_m(evaluation) < 1e-9
    with pytest.raises(DatasetError, match=r"connect 'camera' with 'moon'; its frames are base, camera, marker"):
        evaluated(knowing(monkeypatch), tmp_path / "bag", frame="moon")


def test_chains_of_tf_at_other_times_than_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """map -> odom every 200 ms, odom -> base every 10 ms, base -> camera once."""
    with open_writer(tmp_path / "bag") as bag:
        mounted(bag)
        for index in range(IMAGES):
            write_view(bag, index)
        for time in range(-3, IMAGES + 3, 2):
            drift = messages.transform(stamp(time), "map", "odom", ELSEWHERE)
            bag.write("/tf", TF, stamp(time), messages.transforms(drift))
        for time in DENSE.tolist():
            odom_from_base = invert(ELSEWHERE) @ place(stamp(time)) @ invert(BASE_FROM_CAMERA)
            moved = messages.transform(stamp(time), "odom", "base", odom_from_base)
            bag.write("/tf", TF, stamp(time), messages.transforms(moved))
    evaluation = evaluated(knowing(monkeypatch), tmp_path / "bag", source="tf")
    assert len(evaluation.records) == IMAGES
    assert worst_m(evaluation) < 1e-6
    in_odom = evaluated(knowing(monkeypatch), tmp_path / "bag", source="tf:/odom")  # as in ROS 1
    assert worst_m(in_odom) > 1
    assert in_odom.source["truth"]["frame"] == "odom"
    with pytest.raises(DatasetError, match="TF of /tf, /tf_static does not connect 'camera' with 'mars'"):
        evaluated(knowing(monkeypatch), tmp_path / "bag", source="tf:mars")


def test_loops_and_two_parents_in_tf(tmp_path: Path) -> None:
    def write(name: str, *links: tuple[str, str]) -> Path:
        with open_writer(tmp_path / name) as bag:
            stamped = [messages.transform(stamp(0), parent, child, np.eye(4)) for parent, child in links]
            bag.write("/tf", TF, stamp(0), messages.transforms(*stamped))
        return tmp_path / name

    with open_bag(write("parents", ("a", "c"), ("b", "c"))) as bag, pytest.raises(DatasetError, match="2 parents"):
        read_transforms(bag, bag.of_type(TF)).chain("a", "c")
    with open_bag(write("loop", ("a", "b"), ("b", "a"))) as bag, pytest.raises(DatasetError, match="a loop"):
        read_transforms(bag, bag.of_type(TF)).chain("a", "b")


def test_truth_from_a_tum_file_beside_the_bag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_drive(tmp_path / "bag", [])
    write_tum(tmp_path / "truth.tum", [StampedPose(stamp(i), place(stamp(i))) for i in range(IMAGES)])
    evaluation = evaluated(knowing(monkeypatch), path, source=str(tmp_path / "truth.tum"))
    assert len(evaluation.records) == IMAGES
    assert worst_m(evaluation) < 1e-8
