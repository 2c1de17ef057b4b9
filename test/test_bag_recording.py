"""A bag becomes a folder of posed keyframes with registered depth: whatever camera saw the depth, and when."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.bag_scenes import CAMERA_FRAME, IMAGES, place, stamp, write_tf
from support.dataset_files import read_all

from vloc_ros.bags import messages
from vloc_ros.bags.depth_topics import DepthOptions
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, RAW_IMAGE, STATIC_TF_TOPIC, TF
from vloc_ros.bags.writer import BagWriter, open_writer
from vloc_ros.cli import main
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_recording import RECORD, RecordingOptions, describe_recording, unpack_recording
from vloc_ros.errors import ConfigError, DatasetError, VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.trajectory import StampedPose, write_tum
from vloc_ros.progress import Silent

COLOR = Camera(64, 48, 55.0, 55.0, 31.5, 23.5)
DEPTH = Camera(48, 36, 44.0, 44.0, 23.5, 17.5)
DEPTH_FRAME = "depth_frame"
COLOR_FROM_DEPTH = np.eye(4)
COLOR_FROM_DEPTH[:3, 3] = -0.06, 0.01, 0.0
FLOOR_Z = 4.0  # of a wall across the map's z axis, which all images look at
TF_POSES = BagOptions(truth=GroundTruthOptions("tf"))


def wall_depth(camera: Camera, map_from_camera: np.ndarray) -> np.ndarray:
    """Depth (H, W) of that wall, in the camera's image as it is."""
    pixels = np.stack(np.meshgrid(np.arange(float(camera.width)), np.arange(float(camera.height))), axis=-1)
    plain = camera.undistorted()
    there = camera.undistort_pixels(pixels.reshape(-1, 2), plain) if camera.is_distorted else pixels.reshape(-1, 2)
    rays = np.column_stack([(there - (plain.cx, plain.cy)) / (plain.fx, plain.fy), np.ones(len(there))])
    slopes = rays @ map_from_camera[2, :3]
    depth = np.where(slopes > 0.1, (FLOOR_Z - map_from_camera[2, 3]) / np.maximum(slopes, 0.1), 0)
    return depth.reshape(camera.height, camera.width).astype(np.float32)


def picture(index: int, camera: Camera, blur: float = 0.0) -> np.ndarray:
    tiles = np.random.default_rng(index // 2).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(tiles, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), blur) if blur else image, dtype=np.uint8)


def write_color(bag: BagWriter, index: int, camera: Camera = COLOR, blur: float = 0.0) -> None:
    at = stamp(index)
    write_tf(bag, index, "map", CAMERA_FRAME, place(at))
    bag.write("/cam/camera_info", CAMERA_INFO, at, messages.camera_info(at, CAMERA_FRAME, camera))
    bag.write("/cam/image_raw", RAW_IMAGE, at, messages.image(at, CAMERA_FRAME, picture(index, camera, blur)))


def write_depth(bag: BagWriter, at: int, camera: Camera, frame: str, color_from_depth: np.ndarray) -> None:
    depth = wall_depth(camera, place(at) @ color_from_depth)
    bag.write("/depth/camera_info", CAMERA_INFO, at, messages.camera_info(at, frame, camera))
    bag.write("/depth/image_raw", RAW_IMAGE, at, messages.depth_image(at, frame, depth))


def write_static(bag: BagWriter) -> None:
    link = messages.transform(stamp(0), CAMERA_FRAME, DEPTH_FRAME, COLOR_FROM_DEPTH)
    bag.write(STATIC_TF_TOPIC, TF, stamp(0), messages.transforms(link))


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


def test_the_sharpest_of_a_stretch_is_chosen(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index, blur=0.0 if index % 2 else 2.0)
    options = RecordingOptions(TF_POSES, keyframes=12)
    unpack_recording(tmp_path / "bag", tmp_path / "out", options, "map")
    names = open_dataset("folder", tmp_path / "out", "all").names
    numbers = [round((float(name) * 1e9 - stamp(0)) / 1e8) for name in names]
    assert len(numbers) <= 12
    assert sum(number % 2 for number in numbers) >= 0.8 * len(numbers)


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
    options, out = RecordingOptions(TF_POSES), tmp_path / "out"
    first = unpack_recording(tmp_path / "bag", out, options, "map")
    marked = next((out / "images").iterdir())
    marked.write_bytes(b"")
    assert unpack_recording(tmp_path / "bag", out, options, "map") == first
    assert marked.read_bytes() == b""
    unpack_recording(tmp_path / "bag", out, RecordingOptions(TF_POSES, keyframes=15), "map")
    assert json.loads((out / RECORD).read_text())["keyframes"] <= 15
    assert {path.stem for path in (out / "images").iterdir()} == set(open_dataset("folder", out, "all").names)
    (out / RECORD).unlink()  # as an interrupted run leaves it
    unpack_recording(tmp_path / "bag", out, options, "map")
    read_all(open_dataset("folder", out, "all"), depth=False)


def test_poses_that_have_changed_are_read_again(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
    file, out = tmp_path / "slam.tum", tmp_path / "out"
    options = RecordingOptions(BagOptions(truth=GroundTruthOptions(str(file), option="--poses")))

    def write(x: float) -> None:
        poses = [StampedPose(stamp(index), place(stamp(index))) for index in range(IMAGES)]
        write_tum(file, [replace(pose, map_from_camera=shifted(pose.map_from_camera, x)) for pose in poses])

    def shifted(pose: np.ndarray, x: float) -> np.ndarray:
        moved = np.array(pose)
        moved[0, 3] += x
        return moved

    write(0.0)
    unpack_recording(tmp_path / "bag", out, options, "map")
    before = open_dataset("folder", out, "all").map_from_camera(0)
    write(0.5)
    unpack_recording(tmp_path / "bag", out, options, "map")
    assert open_dataset("folder", out, "all").map_from_camera(0)[0, 3] == pytest.approx(before[0, 3] + 0.5, abs=1e-6)


def test_a_failed_attempt_leaves_what_is_there(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
    out = tmp_path / "out"
    first = unpack_recording(tmp_path / "bag", out, RecordingOptions(TF_POSES), "map")
    few = BagOptions(truth=GroundTruthOptions("tf", offset_s=IMAGES / 10 - 0.5, option="--poses"))
    with pytest.raises(DatasetError, match=r"keyframes are too few for a map.* 2\d have no pose"):
        unpack_recording(tmp_path / "bag", out, RecordingOptions(few), "map")
    assert unpack_recording(tmp_path / "bag", out, RecordingOptions(TF_POSES), "map") == first
    (out / RECORD).write_text("[]")
    assert unpack_recording(tmp_path / "bag", out, RecordingOptions(TF_POSES), "map") == first


def test_fresh_deletes_nothing_before_the_bag_was_looked_at(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from vloc_ros.training.map_options import MapOptions
    from vloc_ros.training.pram.options import PRAMOptions
    from vloc_ros.training.stages.build_map import build_map

    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
    work = tmp_path / "map.work"
    work.mkdir()
    for name, text in (("stages.json", '{"format": 2, "stages": {}}'), ("kept", "")):
        (work / name).write_text(text)
    wrong = RecordingOptions(BagOptions("/nope", truth=GroundTruthOptions("tf", option="--poses")))
    asked = MapOptions(
        "bag", tmp_path / "bag", "all", tmp_path / "map", work, PRAMOptions(), fresh=True, recording=wrong
    )
    with pytest.raises(DatasetError, match="no topic /nope"):
        build_map(asked)
    inside = replace(asked, dataset="folder", root=work / "recording")
    with pytest.raises(ConfigError, match=r"--root .* lies in --workdir .*, which --fresh empties"):
        build_map(inside)
    assert (work / "kept").exists()


def test_clocks_that_cannot_be_compared_are_said_to_be_so(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
    assert "give --time-offset SECONDS" in fault(tmp_path, RecordingOptions(TF_POSES, search_offset=True))
    unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(TF_POSES), "map")


def fault(tmp_path: Path, options: RecordingOptions) -> str:
    with pytest.raises(VlocError) as caught:
        unpack_recording(tmp_path / "bag", tmp_path / "out", options, "map")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / RECORD).exists()
    return str(caught.value)


def test_faults_are_one_line(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
            write_depth(bag, stamp(index), DEPTH, DEPTH_FRAME, COLOR_FROM_DEPTH)
            bag.write("/rgbd/depth", RAW_IMAGE, stamp(index), messages.image(stamp(index), "x", picture(0, DEPTH)))
    named = DepthOptions("/depth/image_raw")
    assert "--depth-topic" in fault(tmp_path, RecordingOptions(TF_POSES))
    assert "give --depth-to-color FILE" in fault(tmp_path, RecordingOptions(TF_POSES, named))
    color = DepthOptions("/rgbd/depth", "/depth/camera_info", np.eye(4))
    assert "16UC1" in fault(tmp_path, RecordingOptions(TF_POSES, color))
    other_clock = BagOptions(truth=GroundTruthOptions("tf", offset_s=500, option="--poses"))
    assert "no image has ground truth" in fault(tmp_path, RecordingOptions(other_clock, DepthOptions("none")))
    nowhere = BagOptions(truth=GroundTruthOptions("", option="--poses"))
    assert "choose the poses with --poses TOPIC" in fault(tmp_path, RecordingOptions(nowhere))


def test_a_robot_that_stands_still_has_recorded_no_map(tmp_path: Path) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
            at = stamp(index)
            write_tf(bag, index, "world", CAMERA_FRAME + "_fixed", place(at))
    options = BagOptions(truth=GroundTruthOptions("tf:still", option="--poses"))
    assert "does not connect" in fault(tmp_path, RecordingOptions(options))
    with pytest.raises(VlocError, match="--keyframes 3: at least 10"):
        RecordingOptions(TF_POSES, keyframes=3)


class Lines(Silent):
    """What is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_poses_that_jump_are_said_and_equal_stamps_are_counted(tmp_path: Path) -> None:
    jumped = np.eye(4)
    jumped[0, 3] = 5.0
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            at = stamp(index)
            write_tf(bag, index, "map", CAMERA_FRAME, jumped @ place(at) if index >= 20 else place(at))
            bag.write("/cam/camera_info", CAMERA_INFO, at, messages.camera_info(at, CAMERA_FRAME, COLOR))
            for _ in range(2 if index == 5 else 1):
                bag.write("/cam/image_raw", RAW_IMAGE, at, messages.image(at, CAMERA_FRAME, picture(index, COLOR)))
    said = Lines()
    record = unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(TF_POSES), "map", said)
    (jump,) = [line for line in said.lines if "jump by" in line]
    assert jump.startswith("warning: the poses of tf jump by ")
    assert "from 1001.900000000 to 1002.000000000 s" in jump
    assert "1 images with the stamp of another one" in describe_recording(record)


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


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl_c"]
)
def test_what_was_not_finished_is_not_left_and_is_done_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Whether the disk is full, or somebody presses Ctrl-C, among the images or when the last file is written."""
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_color(bag, index)
    options, real = RecordingOptions(TF_POSES), Path.write_bytes
    written: list[Path] = []

    def failing(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) == 7:
            raise error
        return real(path, content)

    for where, stand_in in (("pathlib.Path.write_bytes", failing), ("vloc_ros.files.atomic_file", raising(error))):
        with monkeypatch.context() as patch:
            patch.setattr(where, stand_in)
            with pytest.raises((VlocError, KeyboardInterrupt)) as caught:
                unpack_recording(tmp_path / "bag", tmp_path / "out", options, "map")
        if isinstance(error, OSError):
            assert "cannot be written: No space left on device" in str(caught.value)
            assert "\n" not in str(caught.value)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bag"]
    record = unpack_recording(tmp_path / "bag", tmp_path / "out", options, "map")
    assert len(open_dataset("folder", tmp_path / "out", "all")) == record["keyframes"]


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("dataset", "options", "flag"),
    [
        ("bag", ["--poses", "tf", "--out", "{root}/map"], "--out"),
        ("images", ["--scale", "none", "--accept-no-scale", "--out", "{root}/map"], "--out"),
        ("images", ["--scale", "markers:0.1", "--out", "{root}.map", "--workdir", "{root}/work"], "--workdir"),
    ],
)
def test_a_map_among_what_it_is_made_of_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str, options: list[str], flag: str
) -> None:
    """The next run would read what this one has written."""
    root = tmp_path / "my recording"
    root.mkdir()
    words = [word.format(root=root) for word in options]
    assert main(["map", "--dataset", dataset, "--root", str(root), *words]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"vloc: error: {flag} {root}/")
    assert said.endswith(f": lies in --root {root}, all of which is read")
    assert not list(root.iterdir())
