"""Bags: what is read from good ones, and from those with more than one camera or with messages of other kinds."""

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.bag_scenes import (
    CAMERA,
    CAMERA_FRAME,
    IMAGES,
    evaluated,
    knowing,
    picture,
    place,
    stamp,
    worst_m,
    write_drive,
    write_truth,
    write_view,
)
from support.map_files import joined_map

from vloc_ros.bags import messages
from vloc_ros.bags.camera_topics import choose_camera, read_calibrations
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import CAMERA_INFO, RAW_IMAGE, open_bag
from vloc_ros.bags.writer import COMPRESSIONS_OF, BagWriter, Compression, Storage, open_writer
from vloc_ros.cli import main
from vloc_ros.core.prefetch import prefetch
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.evaluate_bag import frames_named
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import InfoOptions
from vloc_ros.geometry.transforms import Matrix

CASES: list[tuple[Storage, Compression]] = [
    (storage, compression) for storage in COMPRESSIONS_OF for compression in COMPRESSIONS_OF[storage]
]


@pytest.mark.parametrize(("storage", "compression"), CASES)
def test_every_storage_gives_all_images_in_order(tmp_path: Path, storage: Storage, compression: Compression) -> None:
    path = tmp_path / "bag"
    with open_writer(path, storage, compression) as bag:
        for index in range(20):
            write_truth(bag, index)
            write_view(bag, index)
    with open_bag(path) as bag_read:
        frames = list(bag_frames(bag_read, BagOptions(), "map"))
    assert [frame.image.stamp_ns for frame in frames] == [stamp(index) for index in range(20)]
    assert frames[3].name == "1000.300000000"
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image.rgb, picture(index))
        np.testing.assert_allclose(frame.map_from_camera, place(stamp(index)), atol=1e-9)
        assert frame.image.camera == CAMERA
        assert frame.image.frame_id == CAMERA_FRAME


def test_compressed_messages_of_mcap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        write_truth(BagWriter(writer), 0)
        write_view(BagWriter(writer), 0)
    assert worst_m(evaluated(knowing(monkeypatch), tmp_path / "bag")) < 1e-9


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_file_of_a_bag_is_a_bag(tmp_path: Path, storage: Storage) -> None:
    path = write_drive(tmp_path / "bag", storage=storage)
    (file,) = (part for part in path.iterdir() if part.suffix in (".mcap", ".db3"))
    with open_bag(file) as bag:
        assert len(list(bag_frames(bag, BagOptions(), "map"))) == IMAGES


def test_an_unfinished_bag_is_never_left_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with open_writer(tmp_path / "bag") as bag:
            write_view(bag, 0)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_error_of_a_frame_comes_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 5:
            raise DatasetError("five")
        return item

    results = prefetch(iter(range(9)), work, 2, 6)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(DatasetError, match="five"):
        next(results)


def test_only_a_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for index in range(100):
            taken.append(index)
            yield index

    for index, item in enumerate(prefetch(items(), lambda item: item, 2, 6)):
        assert item == index
        assert len(taken) <= index + 1 + 6


def test_two_cameras_are_a_choice(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for side in ("left", "right"):
            bag.write(f"/{side}/image", RAW_IMAGE, stamp(0), messages.image(stamp(0), side, picture(0)))
            bag.write(f"/{side}/camera_info", CAMERA_INFO, stamp(0), messages.camera_info(stamp(0), side, CAMERA))
        bag.write("/depth/image", RAW_IMAGE, stamp(0), messages.image(stamp(0), "d", picture(0)))
        bag.write("/eye", RAW_IMAGE, stamp(0), messages.image(stamp(0), "e", picture(0)))
    with open_bag(tmp_path / "bag") as read:
        with pytest.raises(DatasetError, match=r"--image-topic; there are /eye .*, /left/image .*, /right/image"):
            choose_camera(read)
        assert choose_camera(read, "/right/image").info.name == "/right/camera_info"
        assert choose_camera(read, "/right/image", "/left/camera_info").info.name == "/left/camera_info"
        with pytest.raises(DatasetError, match=r"--camera-info-topic; there are /left/camera_info"):
            choose_camera(read, "/eye")


def test_an_image_of_another_size_than_its_camera_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(5):
            write_truth(bag, index)
            image = messages.image(stamp(index), CAMERA_FRAME, np.zeros((24 if index == 3 else 12, 16, 3), np.uint8))
            bag.write("/cam/image_raw", RAW_IMAGE, stamp(index), image)
        bag.write("/cam/camera_info", CAMERA_INFO, stamp(0), messages.camera_info(stamp(0), CAMERA_FRAME, CAMERA))
    with pytest.raises(
        DatasetError, match=r"/cam/image_raw, image of 1000\.300000000 s: image: 16x24 .* camera is 16x12"
    ):
        evaluated(knowing(monkeypatch), tmp_path / "bag")


def test_a_camera_info_that_changes_midway_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = CAMERA.resized(8, 6)
    with open_writer(tmp_path / "bag") as bag:
        for index in range(10):
            write_truth(bag, index)
            write_view(bag, index, small if index >= 6 else CAMERA)
    with open_bag(tmp_path / "bag") as read:
        sizes = [frame.image.camera.width for frame in bag_frames(read, BagOptions(), "map")]
    assert sizes == [16] * 6 + [8] * 4
    evaluation = evaluated(knowing(monkeypatch), tmp_path / "bag")
    assert evaluation.source["cameras"] == 2
    assert worst_m(evaluation) < 1e-9


def test_an_uncalibrated_camera(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        info = messages.camera_info(stamp(0), CAMERA_FRAME, CAMERA)
        info.k[:] = 0
        bag.write("/cam/camera_info", CAMERA_INFO, stamp(0), info)
    with open_bag(tmp_path / "bag") as read:
        (topic,) = read.topics
        with pytest.raises(DatasetError, match=r"/cam/camera_info: camera_info 16x12: .*uncalibrated"):
            read_calibrations(read, topic, InfoOptions())
        assert read_calibrations(read, topic, InfoOptions(rectified=True)).at(0, 16, 12) == CAMERA


def test_unknown_types_beside_ours_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer

    for plugin in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
        path = tmp_path / plugin.name
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            strange = writer.add_connection("/strange", "my_msgs/msg/Strange", msgdef="Gone x\n", rihs01="RIHS01_00")
            bag = BagWriter(writer)
            for index in range(3):
                writer.write(strange, stamp(index), b"\0\1\0\0nonsense")
                write_truth(bag, index)
                write_view(bag, index)
        assert len(evaluated(knowing(monkeypatch), path).records) == 3


@pytest.mark.parametrize(
    "changes", [{"encoding": "32FC1"}, {"step": 4}, {"data": np.zeros(9, np.uint8)}, {"height": 0}]
)
def test_an_image_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    with open_writer(tmp_path / "bag") as bag:
        write_truth(bag, 0)
        write_view(bag, 0, **changes)
    with pytest.raises(DatasetError, match=r"/cam/image_raw, image of 1000\.000000000 s: image 16x"):
        evaluated(knowing(monkeypatch), tmp_path / "bag")


IMAGES_OF_MEMORY = 100  # of 0.9 MB each


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_memory_stays_bounded(tmp_path: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
    with open_writer(tmp_path / "bag", storage) as bag:
        for index in range(IMAGES_OF_MEMORY):
            write_truth(bag, index)
            write_view(bag, index, camera)
    held = list[int]()

    def measured(stamp_ns: int) -> Matrix:
        held.append(tracemalloc.get_traced_memory()[0])
        time.sleep(0.005)  # time enough to read too far ahead
        return place(stamp_ns)

    tracemalloc.start()
    try:
        assert len(evaluated(knowing(monkeypatch, measured), tmp_path / "bag").records) == IMAGES_OF_MEMORY
    finally:
        tracemalloc.stop()
    assert max(held) < 40 * camera.width * camera.height * 3  # some are read ahead, a part of the file is unpacked


def test_frames_by_name(drive: Path) -> None:
    names = ["1000.300000000", "1002.100000000"]
    frames = list(frames_named(drive, BagOptions(), "map", names))
    assert [frame.name for frame in frames] == names
    np.testing.assert_array_equal(frames[1].image.rgb, picture(21))


def test_the_command_line(drive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    localizer = knowing(monkeypatch)
    monkeypatch.setattr("vloc_ros.cli.evaluate.opened_map", lambda *_: localizer)
    json_file = drive.parent / "out.json"
    assert main(["evaluate", "--map", "m", "--bag", str(drive), "--json", str(json_file)]) == 0
    out = capsys.readouterr().out
    assert "30 of /cam/image_raw, camera_info /cam/camera_info" in out
    assert "/pose, 30 poses\n" in out
    assert '"skipped_without_truth": 0' in json_file.read_text()
    for arguments, words in [
        ([], "give one of --dataset KIND, --bag BAG, --bags LIST and --recorded DIR"),
        (["--bag", "b", "--dataset", "folder"], "give one of --dataset KIND"),
        (["--bag", str(drive), "--occlude", "0.5"], "--occlude is for data sets"),
        (["--bag", str(drive), "--time-offset", "soon"], "--time-offset soon: neither"),
        (["--bag", str(drive), "--truth-gap", "-1"], "--truth-gap -1"),
    ]:
        assert main(["evaluate", "--map", "m", *arguments]) == 1
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--place: the map is of several places, hall, attic; say in which the bag was recorded"),
        (["--place", "cellar"], "--place 'cellar': the map has no such place, it has hall, attic"),
    ],
)
def test_a_bag_says_in_which_place_of_the_map_it_was_recorded(
    drive: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    localizer = SimpleNamespace(landmark_map=joined_map())
    monkeypatch.setattr("vloc_ros.cli.evaluate.opened_map", lambda *_: localizer)
    assert main(["evaluate", "--map", "m", "--bag", str(drive), *arguments]) == 1
    assert capsys.readouterr().err == f"vloc: error: {words}\n"
