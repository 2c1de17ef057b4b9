"""Bags whose messages or files are damaged: one line each, whatever the libraries below say."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bag_scenes import CAMERA_FRAME, place, rewrite_mcap, stamp, storage_file, write_tf, write_truth, write_view

from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import Message, open_bag
from vloc_ros.bags.writer import Storage, open_writer
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.errors import DatasetError, VlocError

IMAGES = 4
MUTANTS = 60
LENGTHS = [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x10"]  # -1, least, most, 2^28


def write_scene(path: Path, storage: Storage = "mcap", change: Callable[[Message], bytes] | None = None) -> Path:
    """A few images with truth in a topic and in TF; `change` makes other bytes of a message."""
    with open_writer(path, storage) as bag:
        for index in range(IMAGES):
            write_tf(bag, index, "base", CAMERA_FRAME, np.eye(4), "/tf_static")
            write_tf(bag, index, "map", "base", place(stamp(index)))
            write_truth(bag, index)
            write_view(bag, index)
    if change is None:
        return path
    with open_bag(path) as good, open_writer(path.with_name("changed"), storage) as bag:
        for message in good.messages(good.topics):
            bag.write_raw(message.topic, message.msgtype, message.recorded_ns, change(message))
    return path.with_name("changed")


def read_whole(path: Path, truth: str) -> None:
    with open_bag(path) as bag:
        assert list(bag_frames(bag, BagOptions(truth=GroundTruthOptions(truth)), "map"))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("topic", ["/cam/image_raw", "/cam/camera_info", "/pose", "/tf", "/tf_static"])
def test_lengths_that_are_beyond_their_message(tmp_path: Path, topic: str, length: bytes) -> None:
    """Of the frame's name behind the stamp, or of the list of transforms; also negative ones."""
    begin, truth = (4, "tf") if topic.startswith("/tf") else (12, "/pose")

    def change(message: Message) -> bytes:
        raw = message.raw
        return raw[:begin] + length + raw[begin + 4 :] if message.topic == topic else raw

    path = write_scene(tmp_path / "bag", change=change)
    with pytest.raises(DatasetError, match=rf"changed: {topic}[:,] [^\n]+$"):
        read_whole(path, truth)


@pytest.mark.parametrize("value", [1e300, -1e300, float("inf"), float("nan"), 1e-300])
@pytest.mark.parametrize("at", range(7))
def test_poses_that_cannot_be_are_left_out(
    tmp_path: Path, value: float, at: int, recwarn: pytest.WarningsRecorder
) -> None:
    """One pose of the truth has such a number in its position or its quaternion."""

    def change(message: Message) -> bytes:
        if message.topic != "/pose" or message.recorded_ns != stamp(1):
            return message.raw
        begin = len(message.raw) - 8 * (7 - at)
        return message.raw[:begin] + struct.pack("<d", value) + message.raw[begin + 8 :]

    path = write_scene(tmp_path / "bag", change=change)
    with open_bag(path) as bag:
        frames = list(bag_frames(bag, BagOptions(truth=GroundTruthOptions("/pose", max_gap_s=1)), "map"))
    assert len(frames) == IMAGES
    assert all(np.abs(frame.map_from_camera).max() < 10 for frame in frames)
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "indexed", "flat"])
def test_whatever_is_damaged_is_one_line(tmp_path: Path, kind: str) -> None:
    """`benchmark/mutations.py` has more of them; these are also of MCAPs of other recorders."""
    good = write_scene(tmp_path / "good", "sqlite3" if kind == "sqlite3" else "mcap")
    file = storage_file(good)
    if kind in ("indexed", "flat"):
        options: dict[str, Any] = {"use_chunking": kind == "indexed", "enable_crcs": False}
        file = rewrite_mcap(good, tmp_path / "other.mcap", "", **options)
    data, rng = np.frombuffer(file.read_bytes(), np.uint8), np.random.default_rng(5)
    said: list[str] = []
    for _ in range(MUTANTS):
        mutant, at = data.copy(), int(rng.integers(len(data) - 8))
        if rng.random() < 0.5:
            mutant[at : at + 4] = np.frombuffer(LENGTHS[rng.integers(len(LENGTHS))], np.uint8)
        elif rng.random() < 0.5:
            mutant[rng.integers(len(data), size=20)] ^= 1 << int(rng.integers(8))
        else:
            mutant = mutant[:at]
        path = tmp_path / f"mutant{file.suffix}"
        path.write_bytes(mutant.tobytes())
        try:
            read_whole(path, ("/pose", "tf")[int(rng.integers(2))])
        except VlocError as error:
            said.append(str(error))
    assert len(said) > MUTANTS / 10
    assert all("\n" not in words for words in said)


def test_a_topic_that_is_only_counted_is_damage(tmp_path: Path) -> None:
    import sqlite3

    path = storage_file(write_scene(tmp_path / "bag", "sqlite3"))
    with open_bag(path) as bag:
        topics = {topic.name: topic for topic in bag.topics}
        with sqlite3.connect(path) as database:
            database.execute("DELETE FROM messages WHERE topic_id = (SELECT id FROM topics WHERE name = '/pose')")
    shutil.copy(path, tmp_path / "other.db3")
    with open_bag(tmp_path / "other.db3") as bag, pytest.raises(DatasetError, match="/pose: no messages, though"):
        bag.first(topics["/pose"])
