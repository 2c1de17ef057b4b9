"""A bag becomes a folder of posed keyframes: which are chosen, what is there already, what is refused."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
    write_color,
    write_depth,
)

from vloc_ros.bags import messages
from vloc_ros.bags.depth_topics import DepthOptions
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, RAW_IMAGE
from vloc_ros.bags.writer import open_writer
from vloc_ros.cli import main
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_recording import RECORD, RecordingOptions, describe_recording, unpack_recording
from vloc_ros.errors import ConfigError, DatasetError, VlocError
from vloc_ros.geometry.trajectory import StampedPose, write_tum


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
