"""Bags as other recorders write them and as people edit them: what can be read is read, and all else is named."""

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.bag_scenes import (
    IMAGES,
    Foreign,
    evaluated,
    knowing,
    stamp,
    storage_file,
    worst_m,
    write_drive,
    write_truth,
    write_view,
)
from support.bag_scenes import rewrite_mcap as rewritten

from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import open_bag
from vloc_ros.bags.writer import Storage, open_writer
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.errors import DatasetError

STORAGES: tuple[Storage, ...] = ("mcap", "sqlite3")


def assert_whole(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = evaluated(knowing(monkeypatch), bag)
    assert [record.stamp_ns for record in evaluation.records] == [stamp(index) for index in range(IMAGES)]
    assert worst_m(evaluation) < 1e-9


@pytest.mark.parametrize("profile", ["", "ros2", "my_robot"])
def test_an_mcap_of_any_profile_is_read(drive: Path, monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    assert_whole(rewritten(drive, drive.parent / "other.mcap", profile), monkeypatch)


@pytest.mark.parametrize(
    "options",
    [
        {"use_chunking": False},
        {"use_statistics": False},
        {"repeat_channels": False},
        {"repeat_schemas": False},
        {"chunk_size": 2000},
    ],
)
def test_an_mcap_with_little_or_no_index_is_read(
    drive: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    assert_whole(rewritten(drive, drive.parent / "other.mcap", **options), monkeypatch)


def test_channels_of_other_encodings_do_no_harm(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = [
        Foreign("/markers", "foxglove.SceneUpdate", "protobuf", b"\x0a\x00"),
        Foreign("/rosbridge", "sensor_msgs/msg/Image", "json"),  # a type of ours, but nothing to be read
        Foreign("/cam/image_raw", "foxglove.RawImage", "protobuf"),  # beside the messages of ROS of the same topic
    ]
    assert_whole(rewritten(drive, drive.parent / "other.mcap", "", extra), monkeypatch)


def test_a_bag_without_messages_of_ros_2_says_what_it_has(drive: Path) -> None:
    with drive.parent.joinpath("ros1.mcap").open("wb") as file:
        from mcap.writer import Writer

        writer = Writer(file)
        writer.start("ros1")
        schema = writer.register_schema("sensor_msgs/Image", "ros1msg", b"")
        writer.add_message(writer.register_channel("/eye", "ros1", schema), 5, b"", 5)
        writer.finish()  # type: ignore[no-untyped-call]
    with pytest.raises(DatasetError, match=r"no messages of ROS 2 .*/eye \(Image in ros1, 1 messages\)"):
        open_bag(drive.parent / "ros1.mcap")


def test_a_bag_of_ros_1_is_named_as_such_with_what_to_do(tmp_path: Path) -> None:
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer(tmp_path / "old.bag") as writer:
        connection = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        text = store.types["std_msgs/msg/String"](data="hello")
        writer.write(connection, 1, store.serialize_ros1(text, "std_msgs/msg/String"))
    with pytest.raises(DatasetError, match=r"old\.bag: a bag of ROS 1.* rosbags-convert --src old\.bag --dst old$"):
        open_bag(tmp_path / "old.bag")


@pytest.mark.parametrize("name", ["pipe.mcap", "bag"])
def test_a_pipe_is_no_bag_and_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DatasetError, match="not a regular file"):
        open_bag(tmp_path / name)


@pytest.mark.parametrize("storage", STORAGES)
def test_metadata_that_disagrees_with_its_storage_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: Storage
) -> None:
    bag = write_drive(tmp_path / "bag", storage=storage)
    assert_whole(bag, monkeypatch)
    metadata = bag / "metadata.yaml"
    whole = yaml.safe_load(metadata.read_text())

    def edit(**fields: object) -> None:
        edited = yaml.safe_load(yaml.safe_dump(whole))
        for topic in edited["rosbag2_bagfile_information"]["topics_with_message_count"]:
            topic["topic_metadata"] |= fields
            topic["message_count"] = 7
        metadata.write_text(yaml.safe_dump(edited))

    for profiles in ([], "", [{"history": 1, "depth": 5}], "- nonsense"):
        edit(offered_qos_profiles=profiles)
        assert_whole(bag, monkeypatch)
    edit(type_description_hash="RIHS01_00", serialization_format="")
    assert_whole(bag, monkeypatch)


def test_messages_in_the_log_of_a_recorder_that_was_killed_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rosbag2 writes SQLite's write-ahead log."""
    bag = write_drive(tmp_path / "bag", storage="sqlite3")
    file = storage_file(bag)
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    late = database.execute("SELECT id, topic_id, timestamp, data FROM messages").fetchall()[-50:]
    database.executemany("DELETE FROM messages WHERE id = ?", [row[:1] for row in late])
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", late)
    database.commit()
    killed = shutil.copytree(bag, tmp_path / "killed")
    database.close()
    assert (killed / f"{file.name}-wal").stat().st_size > 0
    assert_whole(killed, monkeypatch)
    with open_bag(killed / file.name) as read:
        assert sum(topic.count for topic in read.topics) == 3 * IMAGES


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("name", ["run#2", "50%25 done", "what?"])
def test_names_with_special_characters_are_read(tmp_path: Path, storage: Storage, name: str) -> None:
    shutil.copytree(write_drive(tmp_path / "bag", storage=storage), tmp_path / name / "bag")
    with open_bag(tmp_path / name / "bag") as bag:
        assert len(list(bag_frames(bag, BagOptions(), "map"))) == IMAGES


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_in_several_files_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: Storage) -> None:
    parts = []
    for begin in range(0, IMAGES, 10):
        part = tmp_path / f"part_{begin}"
        with open_writer(part, storage) as bag:
            for index in range(begin, begin + 10):
                write_truth(bag, index)
                write_view(bag, index)
        parts.append(part)
    (tmp_path / "bag").mkdir()
    for part in parts:
        shutil.copy(storage_file(part), tmp_path / "bag")
    metadata = yaml.safe_load((parts[0] / "metadata.yaml").read_text())
    metadata["rosbag2_bagfile_information"]["relative_file_paths"] = [storage_file(part).name for part in parts]
    (tmp_path / "bag/metadata.yaml").write_text(yaml.safe_dump(metadata))
    assert_whole(tmp_path / "bag", monkeypatch)
    storage_file(parts[1]).unlink()
    (tmp_path / "bag" / f"part_10{'.mcap' if storage == 'mcap' else '.db3'}").unlink()
    with pytest.raises(DatasetError, match=r"metadata\.yaml lists part_10\.\w+, which is not there; .*: part_0\."):
        open_bag(tmp_path / "bag")


@pytest.mark.parametrize("storage", STORAGES)
def test_a_file_compressed_as_a_whole_is_read_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: Storage
) -> None:
    with open_writer(tmp_path / "bag", storage, "file") as bag:
        for index in range(IMAGES):
            write_truth(bag, index)
            write_view(bag, index)
    assert_whole(storage_file(tmp_path / "bag"), monkeypatch)


def test_messages_come_in_the_order_of_recording_from_overlapping_chunks(drive: Path) -> None:
    path = rewritten(drive, drive.parent / "other.mcap", chunk_size=500)
    with open_bag(path) as bag:
        recorded = [message.recorded_ns for message in bag.messages(bag.topics)]
    assert len(recorded) == 3 * IMAGES
    assert (np.diff(recorded) >= 0).all()
