"""Data sets as bags: what is in them, and that evaluating one is evaluating the data set."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rosbags.interfaces import ConnectionExtRosbag2
from support import SHIPPED_MAP
from support.dataset_files import random_pose, write_depth, write_image

from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, ODOMETRY, POSE, RAW_IMAGE, TF, open_bag
from vloc_ros.bags.tf import read_transforms
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.bags.writer import open_writer
from vloc_ros.cli import main
from vloc_ros.datasets import Dataset, open_dataset, seven_scenes
from vloc_ros.datasets.bag_export import WriteOptions, write_dataset
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.datasets.drive import LOOKING_AHEAD, OdometryDrift, extrinsics_of, plan_drive, robot_extrinsics
from vloc_ros.datasets.subset import Subset
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.evaluation.alignment import Correction
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.evaluation.evaluate_bag import evaluate_bag
from vloc_ros.evaluation.records import Estimated
from vloc_ros.geometry.camera_info import read_camera_info
from vloc_ros.geometry.transforms import invert
from vloc_ros.images.depth import to_depth
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer

STEPS = 4


@pytest.fixture(scope="module")
def drive() -> Dataset:
    return Subset(open_dataset("synthetic_room", None, "drive"), range(0, 2 * STEPS, 2))


@pytest.fixture(scope="module")
def raw(drive: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "raw"
    write_dataset(path, drive, robot_extrinsics(), WriteOptions(drift=OdometryDrift()))
    return path


def test_evaluating_the_bag_is_evaluating_the_data_set(drive: Dataset, raw: Path) -> None:
    localizer = load_localizer(SHIPPED_MAP, SessionOptions(threads=1))
    direct, through = evaluate(localizer, drive), evaluate_bag(localizer, raw, BagOptions(), Correction())
    assert len(through.records) == STEPS
    for one, other in zip(direct.records, through.records, strict=True):
        assert isinstance(one.outcome, Estimated)
        assert isinstance(other.outcome, Estimated)
        np.testing.assert_array_equal(one.outcome.map_from_camera, other.outcome.map_from_camera)
        np.testing.assert_array_equal(one.outcome.covariance, other.outcome.covariance)
        np.testing.assert_allclose(one.true_map_from_camera, other.true_map_from_camera, atol=1e-12)


def test_raw_images_are_the_same_and_everything_is_there(drive: Dataset, raw: Path) -> None:
    with open_bag(raw) as bag:
        found = {topic.name: (topic.msgtype, topic.count) for topic in bag.topics}
        frames = list(bag_frames(bag, BagOptions(), "map"))
    assert found == {
        "/image": (RAW_IMAGE, STEPS),
        "/camera_info": (CAMERA_INFO, STEPS),
        "/ground_truth/camera_pose": (POSE, STEPS),
        "/odom": (ODOMETRY, STEPS),
        "/tf": (TF, STEPS),
        "/tf_static": (TF, 1),
    }
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image.rgb, drive.frame(index).image.rgb)
        assert frame.image.camera == drive.camera(index)


def test_odometry_and_tf_are_those_of_the_demo(drive: Dataset, raw: Path) -> None:
    plan = plan_drive(drive, robot_extrinsics())
    with open_bag(raw) as bag:
        chain = read_transforms(bag, bag.of_type(TF)).chain("odom", "camera_optical_frame")
        frames = bag_frames(bag, BagOptions(truth=GroundTruthOptions("/odom")), "map")
        by_topic = [frame.map_from_camera for frame in frames]
    stamps = chain.moving[0].trajectory.stamps_ns
    poses, known = chain.at(stamps, 0)
    assert known.all()
    np.testing.assert_allclose(poses, plan.odom_from_base @ robot_extrinsics(), atol=1e-9)
    np.testing.assert_allclose(poses, by_topic, atol=1e-9)
    true_steps = invert(plan.map_from_base[:1]) @ plan.map_from_base
    assert np.abs(plan.odom_from_base - true_steps).max() > 1e-3


def test_static_transforms_reach_late_subscribers(raw: Path) -> None:
    from rosbags.interfaces import QosDurability
    from rosbags.rosbag2 import Reader

    with Reader(raw) as reader:
        (static,) = [c.ext for c in reader.connections if c.topic == "/tf_static"]
        assert isinstance(static, ConnectionExtRosbag2)
        (qos,) = static.offered_qos_profiles
    assert qos.durability == QosDurability.TRANSIENT_LOCAL


# What rosbag2 of ROS 2 Jazzy reads from a bag of version 9, and would throw without (rosbag2_storage/yaml.hpp).
INFORMATION = {
    "version": int,
    "storage_identifier": str,
    "duration": dict,
    "starting_time": dict,
    "message_count": int,
    "topics_with_message_count": list,
    "relative_file_paths": list,
    "compression_format": str,
    "compression_mode": str,
    "files": list,
    "custom_data": (dict, type(None)),
    "ros_distro": str,
}
FILE = {"path": str, "starting_time": dict, "duration": dict, "message_count": int}
TOPIC = {
    "name": str,
    "type": str,
    "serialization_format": str,
    "offered_qos_profiles": list,
    "type_description_hash": str,
}
QOS = {
    "history": str,
    "depth": int,
    "reliability": str,
    "durability": str,
    "deadline": dict,
    "lifespan": dict,
    "liveliness": str,
    "liveliness_lease_duration": dict,
    "avoid_ros_namespace_conventions": bool,
}


def assert_fields(node: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(node) >= set(wanted)
    for name, kind in wanted.items():
        assert isinstance(node[name], kind), name


@pytest.fixture(params=["mcap", "sqlite3"])
def played(request: pytest.FixtureRequest, drive: Dataset, tmp_path: Path) -> Path:
    write_dataset(tmp_path / "bag", drive, LOOKING_AHEAD, WriteOptions(storage=request.param))
    return tmp_path / "bag"


def test_metadata_has_all_that_ros2_bag_play_asks_for(played: Path) -> None:
    information = yaml.safe_load((played / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert_fields(information, INFORMATION)
    assert information["version"] == 9
    assert [file["path"] for file in information["files"]] == information["relative_file_paths"]
    for file in information["files"]:
        assert_fields(file, FILE)
        assert (played / file["path"]).is_file()
    for topic in information["topics_with_message_count"]:
        assert topic["message_count"] > 0
        assert_fields(topic["topic_metadata"], TOPIC)
        for profile in topic["topic_metadata"]["offered_qos_profiles"]:
            assert_fields(profile, QOS)


def test_the_definitions_in_a_bag_are_enough_to_read_it(played: Path) -> None:
    from rosbags.rosbag2 import Reader
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    (file,) = (part for part in played.iterdir() if part.suffix in (".mcap", ".db3"))
    with Reader(file) as reader:  # the file alone, without metadata.yaml
        for connection, _, raw in reader.messages():
            types = get_typestore(Stores.EMPTY)
            types.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
            message = types.deserialize_cdr(raw, connection.msgtype)
            assert bytes(types.serialize_cdr(message, connection.msgtype)) == bytes(raw)


def test_hashes_of_types_are_those_of_an_installed_ros(played: Path) -> None:
    from rosbags.rosbag2 import Reader

    prefixes = [sys.prefix, *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    with Reader(played) as reader:
        digests = {connection.msgtype: connection.digest for connection in reader.connections}
    compared = 0
    for msgtype, digest in digests.items():
        for description in (Path(prefix) / "share" / f"{msgtype}.json" for prefix in prefixes):
            if description.is_file():
                hashes = json.loads(description.read_text())["type_hashes"]
                assert digest == next(found["hash_string"] for found in hashes if found["type_name"] == msgtype)
                compared += 1
    if not compared:
        pytest.skip("ROS 2 is not installed")


def test_without_drift_odometry_is_the_truth(drive: Dataset, tmp_path: Path) -> None:
    write_dataset(tmp_path / "bag", drive, LOOKING_AHEAD, WriteOptions(storage="sqlite3", jpeg_quality=95, rate_hz=2))
    with open_bag(tmp_path / "bag") as bag:
        assert [topic.name for topic in bag.of_type(COMPRESSED_IMAGE)] == ["/image/compressed"]
        frames = list(bag_frames(bag, BagOptions(truth=GroundTruthOptions("/odom")), "map"))
    assert frames[1].image.stamp_ns - frames[0].image.stamp_ns == 500_000_000
    for index, frame in enumerate(frames):
        base_from_map = LOOKING_AHEAD @ invert(drive.map_from_camera(0))  # odometry begins at the base
        np.testing.assert_allclose(frame.map_from_camera, base_from_map @ drive.map_from_camera(index), atol=1e-9)
        off = np.abs(frame.image.rgb.astype(int) - drive.frame(index).image.rgb)
        assert 0 < off.mean() < 4


def test_the_same_data_set_gives_the_same_bag(drive: Dataset, raw: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "raw", drive, robot_extrinsics(), WriteOptions(drift=OdometryDrift()))
    assert (tmp_path / "raw/raw.mcap").read_bytes() == (raw / "raw.mcap").read_bytes()


@pytest.mark.parametrize("room", ["synthetic_room", "synthetic_office"])
def test_a_rooms_drive_is_a_robots_and_all_else_is_in_the_hand(room: str, tmp_path: Path) -> None:
    drive = open_dataset(room, None, "drive")
    mounting = extrinsics_of(drive)
    np.testing.assert_array_equal(mounting, robot_extrinsics())
    bases = np.stack([drive.map_from_camera(index) for index in range(len(drive))]) @ invert(mounting)
    np.testing.assert_allclose(bases[:, 2, 3], 0, atol=1e-9)  # on the floor
    np.testing.assert_allclose(bases[:, 2, 2], 1, atol=1e-9)  # upright
    (tmp_path / "both.txt").write_text("drive/000000\ntest/000000\n")
    for split in ("test", str(tmp_path / "both.txt")):
        np.testing.assert_array_equal(extrinsics_of(open_dataset(room, None, split)), LOOKING_AHEAD)
    np.testing.assert_array_equal(extrinsics_of(Subset(drive, [0, 1])), LOOKING_AHEAD)  # it says nothing of it


def test_nothing_is_overwritten_and_nothing_half_written(drive: Dataset, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(ConfigError, match="bag: is there already"), open_writer(tmp_path / "bag"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"), open_writer(tmp_path / "file" / "bag"):
        pass
    with pytest.raises(DatasetError, match="at least 2 images"):
        write_dataset(tmp_path / "one", Subset(drive, [0]), LOOKING_AHEAD, WriteOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "file"]


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.txt").write_text("drive/000000\ndrive/000001\n")
    out, split = str(tmp_path / "bag"), str(tmp_path / "two.txt")
    common = ["bag", "--dataset", "synthetic_room", "--split", split, "--out", out]
    for arguments, words in [
        (["--jpeg", "101"], "JPEG quality 101"),
        (["--jpeg", "good"], "--jpeg good"),
        (["--rate", "0"], "rate 0"),
        (["--compression", "message"], "compression message is not for mcap, which has none, chunk, file"),
        (["--compression", "chunk", "--storage", "sqlite3"], "compression chunk is not for sqlite3"),
    ]:
        assert main([*common, *arguments]) == 1
        assert words in capsys.readouterr().err
    assert main([*common, "--jpeg", "90", "--compression", "chunk", "--frame-id", "office"]) == 0
    assert "2 images" in capsys.readouterr().out
    with open_bag(tmp_path / "bag") as bag:
        assert bag_frames(bag, BagOptions(), "map").truth.frame_id == "office"
    assert main(common) == 1
    assert "is there already" in capsys.readouterr().err


def test_depth_as_its_own_camera_recorded_it(tmp_path: Path) -> None:
    root, depth_camera = tmp_path / "scene", seven_scenes.DEPTH_CAMERA
    for index in range(2):
        write_image(root / f"seq-01/frame-{index:06d}.color.png", 640, 480)
        write_depth(root / f"seq-01/frame-{index:06d}.depth.png", 640, 480, 1500 + index)
        pose = random_pose()
        (root / f"seq-01/frame-{index:06d}.pose.txt").write_text("\n".join(" ".join(map(str, row)) for row in pose))
    dataset = open_dataset("seven_scenes", root, "all")
    write_dataset(tmp_path / "bag", dataset, LOOKING_AHEAD, WriteOptions(depth="raw"))
    with open_bag(tmp_path / "bag") as bag:
        topic, info = bag.named("/depth/image_raw", RAW_IMAGE), bag.named("/depth/camera_info", CAMERA_INFO)
        depths = [to_depth(bag.read(message)) for message in bag.messages([topic])]
        assert [depth[100, 100] for depth in depths] == pytest.approx([1.5, 1.501])
        assert read_camera_info(bag.read(bag.first(info))).whole == depth_camera
        tree = read_transforms(bag, choose_tf(bag, topic.name), moving=False)
        chain = tree.chain("camera_optical_frame", "depth_optical_frame")
        np.testing.assert_allclose(chain.at(np.zeros(1, np.int64), 0)[0][0], seven_scenes.COLOUR_FROM_DEPTH, atol=1e-9)
    with pytest.raises(ConfigError, match="the depth of this data set is registered"):
        write_dataset(tmp_path / "other", Subset(dataset, [0]), LOOKING_AHEAD, WriteOptions(depth="raw"))
