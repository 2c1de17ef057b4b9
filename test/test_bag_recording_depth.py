"""Depth of a bag is registered to its keyframes: whatever camera saw it, and when."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.bag_scenes import CAMERA_FRAME, IMAGES, place, stamp, write_tf
from support.dataset_files import read_all
from support.recording_scenes import (
    COLOR,
    COLOR_FROM_DEPTH,
    DEPTH,
    DEPTH_FRAME,
    TF_POSES,
    Lines,
    fault,
    picture,
    wall_depth,
    write_color,
    write_depth,
    write_static,
)

from vloc_ros.bags import messages
from vloc_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, RAW_IMAGE
from vloc_ros.bags.writer import open_writer
from vloc_ros.cli import main
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_recording import RecordingOptions, describe_recording, unpack_recording
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera


def is_the_walls(folder: Path, share: float, tolerance_m: float = 0.02) -> None:
    dataset = open_dataset("folder", folder, "all")
    for frame in read_all(dataset, depth=True):
        assert frame.depth is not None
        truth = wall_depth(frame.image.camera, frame.map_from_camera)
        known = (frame.depth > 0) & (truth > 0)
        assert known.mean() > share
        assert np.median(np.abs(frame.depth - truth)[known]) < tolerance_m


def test_registered_depth_is_taken_as_it_is(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
            write_depth(bag, stamp(index), COLOR, CAMERA_FRAME, np.eye(4))
    record = unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(TF_POSES), "map")
    dataset = open_dataset("folder", tmp_path / "out", "all")
    assert 10 <= len(dataset) == record["keyframes"] <= IMAGES
    for frame in read_all(dataset, depth=True):
        at = round(float(frame.name) * 1e9)
        assert np.abs(frame.map_from_camera - place(at)).max() < 1e-9
        assert frame.depth is not None
        assert np.abs(frame.depth - wall_depth(COLOR, place(at))).max() < 0.6e-3
        assert (frame.image.rgb == picture(round((at - stamp(0)) / 1e8), COLOR)).all()
    assert "depth of /depth/image_raw" in describe_recording(record)
    is_the_walls(tmp_path / "out", 0.9, 1e-3)


@pytest.mark.parametrize(
    "camera",
    [
        COLOR,
        Camera(64, 48, 55.0, 55.0, 31.5, 23.5, (-0.2, 0.05, 0.001, -0.002)),
        FisheyeCamera(64, 48, 50.0, 50.0, 31.5, 23.5),
    ],
    ids=["pinhole", "plumb_bob", "fisheye"],
)
def test_depth_of_another_camera_and_moment_is_registered(tmp_path: Path, camera: Camera) -> None:
    with open_writer(tmp_path / "bag") as bag:
        write_static(bag)
        for index in range(IMAGES):
            write_color(bag, index, camera)
            write_depth(bag, stamp(index + 0.3), DEPTH, DEPTH_FRAME, COLOR_FROM_DEPTH)
    unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(TF_POSES), "map")
    is_the_walls(tmp_path / "out", 0.5)


def test_depth_comes_before_or_after_its_image_and_only_near_it(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            if index % 3:
                write_depth(bag, stamp(index - 0.2), COLOR, CAMERA_FRAME, np.eye(4))
            write_color(bag, index)
    record = unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(TF_POSES), "map")
    dataset = open_dataset("folder", tmp_path / "out", "all")
    numbers = [round((float(name) * 1e9 - stamp(0)) / 1e8) for name in dataset.names]
    assert all(number % 3 for number in numbers)
    assert record["candidates_without_depth"] == IMAGES / 3
    assert f"{IMAGES // 3} images without depth" in describe_recording(record)
    assert all((frame.depth > 0).any() for frame in read_all(dataset, depth=True) if frame.depth is not None)


@pytest.mark.needs("torch")
def test_a_bag_without_depth_is_refused_before_it_is_unpacked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
    command = ["map", "--dataset", "bag", "--root", tmp_path / "bag", "--poses", "tf", "--out", tmp_path / "map"]
    for method, line in (
        ("pram", "points: the frames have no depth; --colmap takes"),
        ("vsnet", "surface: the frames"),
    ):
        for fresh in ([], ["--fresh"]):
            assert main([str(word) for word in (*command, "--method", method, *fresh)]) == 1
            said = capsys.readouterr().err.splitlines()[-1]
            assert said.startswith(f"vloc: error: {tmp_path / 'bag'}: no topic of depth for /cam/image_raw; {line}")
            assert not list(tmp_path.glob("map.work/recording*"))


def write_damaged(path: Path, damaged: range, damaged_depth: range, topic: str = "/depth/image_raw") -> None:
    """Depth is a PNG of the transport `compressed` where the topic says so."""
    with open_writer(path) as bag:
        for index in range(IMAGES):
            at = stamp(index)
            write_tf(bag, index, "map", CAMERA_FRAME, place(at))
            for info in ("/cam/camera_info", "/depth/camera_info"):
                bag.write(info, CAMERA_INFO, at, messages.camera_info(at, CAMERA_FRAME, COLOR))
            jpeg = messages.jpeg_image(at, CAMERA_FRAME, picture(index, COLOR), 90)
            jpeg.data = jpeg.data[:100] if index in damaged else jpeg.data
            bag.write("/cam/image_raw/compressed", COMPRESSED_IMAGE, at, jpeg)
            depth = messages.depth_image(at, CAMERA_FRAME, wall_depth(COLOR, place(at)))
            depth.data = depth.data[:100] if index in damaged_depth else depth.data
            if topic.endswith("/compressed"):
                values = depth.data.view("<u2").reshape(COLOR.height, COLOR.width)
                jpeg.data, jpeg.format = cv2.imencode(".png", values)[1].reshape(-1), "16UC1; png compressed "
                bag.write(topic, COMPRESSED_IMAGE, at, jpeg)
            else:
                bag.write(topic, RAW_IMAGE, at, depth)


def test_single_damaged_images_are_left_out_and_counted(tmp_path: Path) -> None:
    said = Lines()
    write_damaged(tmp_path / "bag", range(3, 5), range(9, 10))
    record = unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(TF_POSES), "map", said)
    (line,) = [line for line in said.lines if "left out" in line]
    assert line.startswith("warning: 3 images, or their depth, are damaged")
    assert "/cam/image_raw/compressed, image of 1000.300000000 s" in line
    assert "3 damaged images" in describe_recording(record)
    names = open_dataset("folder", tmp_path / "out", "all").names
    assert len(names) == record["keyframes"]
    assert not {f"{1000 + index / 10:.9f}" for index in (3, 4, 9)} & set(names)


def test_a_recording_that_is_damaged_throughout_says_how(tmp_path: Path) -> None:
    write_damaged(tmp_path / "bag", range(IMAGES), range(0))
    assert "image of 1000.000000000 s" in fault(tmp_path, RecordingOptions(TF_POSES))
    write_damaged(tmp_path / "depth" / "bag", range(0), range(IMAGES))
    assert "/depth/image_raw, image of 1000." in fault(tmp_path / "depth", RecordingOptions(TF_POSES))


def test_depth_as_the_transport_compressed_sends_it(tmp_path: Path) -> None:
    write_damaged(tmp_path / "bag", range(0), range(0), "/depth/image_raw/compressed")
    record = unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(TF_POSES), "map")
    assert record["depth_topic"] == "/depth/image_raw/compressed"
    frame = open_dataset("folder", tmp_path / "out", "all").frame(0, depth=True)
    assert frame.depth is not None
    np.testing.assert_allclose(frame.depth, wall_depth(COLOR, frame.map_from_camera), atol=2e-3)


def test_depth_that_is_never_known_is_refused(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            at = stamp(index)
            write_color(bag, index)
            bag.write("/depth/camera_info", CAMERA_INFO, at, messages.camera_info(at, CAMERA_FRAME, COLOR))
            unknown = np.full((COLOR.height, COLOR.width), np.nan, np.float32)
            bag.write("/depth/image_raw", RAW_IMAGE, at, messages.depth_image(at, CAMERA_FRAME, unknown))
    said = fault(tmp_path, RecordingOptions(TF_POSES))
    assert "/depth/image_raw: no depth that is known in any of the " in said
