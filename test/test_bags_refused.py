"""What is no bag, or a bag of nothing: the one line that is said of each."""

from pathlib import Path

import pytest
from support.bag_scenes import (
    write_drive,
    write_truth,
)

from vloc_ros.bags.camera_topics import choose_camera
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import open_bag
from vloc_ros.bags.writer import Storage, open_writer
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.errors import DatasetError, VlocError


@pytest.mark.parametrize("suffix", ["mcap", "db3"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_bag_cut_short_is_one_line(tmp_path: Path, suffix: str, keep: float) -> None:
    path = write_drive(tmp_path / "bag", storage="mcap" if suffix == "mcap" else "sqlite3")
    file = path / f"bag.{suffix}"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * keep)])
    for target in (path, file):
        with pytest.raises(VlocError, match=r"bag") as caught, open_bag(target) as bag:
            list(bag_frames(bag, BagOptions(), "map"))
        assert "\n" not in str(caught.value)


def test_a_bag_whose_recorder_died_names_its_files(drive: Path) -> None:
    (drive / "metadata.yaml").unlink()
    with pytest.raises(DatasetError, match=r"no metadata\.yaml.*drive\.mcap"):
        open_bag(drive)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2]",
        "rosbag2_bagfile_information: 3",
        "{",
        "rosbag2_bagfile_information: {version: 99}",
        "rosbag2_bagfile_information: {relative_file_paths: [1]}",
    ],
)
def test_bad_metadata_is_one_line(drive: Path, text: str) -> None:
    (drive / "metadata.yaml").write_text(text)
    with pytest.raises(DatasetError, match=r"metadata\.yaml: it lists no files of a bag; name one .*: drive\.mcap$"):
        open_bag(drive)


def test_what_is_no_bag(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.db3").write_text("hello")
    for path, words in (
        (tmp_path / "none", "no such bag"),
        (tmp_path, r"no metadata\.yaml"),
        (tmp_path / "a.txt", "bag"),
    ):
        with pytest.raises(DatasetError, match=words):
            open_bag(path)
    with pytest.raises(DatasetError, match="no complete ROS 2 bag"):
        open_bag(tmp_path / "a.db3")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_empty_bag(tmp_path: Path, storage: Storage) -> None:
    with open_writer(tmp_path / "bag", storage):
        pass
    with pytest.raises(DatasetError, match="the bag is empty"):
        open_bag(tmp_path / "bag")


def test_a_topic_that_is_not_there_lists_those_that_are(drive: Path) -> None:
    with open_bag(drive) as bag:
        with pytest.raises(DatasetError, match=r"no topic /eye of Image.* /cam/image_raw \(Image, 30 messages\)"):
            choose_camera(bag, "/eye")
        with pytest.raises(DatasetError, match=r"no topic /pose of CameraInfo"):
            choose_camera(bag, "", "/pose")


def test_a_bag_without_images(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        write_truth(bag, 0)
    with (
        open_bag(tmp_path / "bag") as read,
        pytest.raises(DatasetError, match=r"no images of a camera; there are /pose"),
    ):
        choose_camera(read)
