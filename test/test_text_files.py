"""Text files of poses and cameras as other tools write them: what is wrong with each is said in one line."""

import os
from pathlib import Path

import pytest
from support.dataset_files import fault, pose_columns, random_pose, read_all, write_depth, write_image

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.recorded import COVARIANCE_FILE, POSE_FILE, STATUS_FILE, read_recording
from vloc_ros.geometry.trajectory import read_tum

BLANKS = "comma-separated? columns are separated by blanks"
POSE = "1 2 3 0 0 0 1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two frames, of which one has the file names that cameras give."""
    root = tmp_path / "mine"
    for name, ending in (("a", ".jpg"), ("DSC_2", ".JPG")):
        write_image(root / "images" / f"{name}{ending}", 64, 48)
    write_depth(root / "depth" / "a.png", 64, 48)
    write_depth(root / "depth" / "DSC_2.PNG", 64, 48)
    (root / "camera.txt").write_text("64 48 50 51 31.5 23.5\n")
    (root / "poses.txt").write_text("".join(f"{name} {pose_columns(random_pose())}\n" for name in ("a", "DSC_2")))
    return root


def test_endings_may_be_in_capitals(folder: Path) -> None:
    frames = read_all(open_dataset("folder", folder, "all"), depth=True)
    assert [frame.name for frame in frames] == ["a", "DSC_2"]


def test_names_with_an_ending_are_told_how_to_be_written(folder: Path) -> None:
    (folder / "poses.txt").write_text(f"a.jpg {POSE}\n")
    assert "images/a.jpg: frames are named without an ending, here 'a', not 'a.jpg'" in fault("folder", folder)
    (folder / "poses.txt").write_text(f"DSC_2.JPG {POSE}\n")
    assert "here 'DSC_2', not 'DSC_2.JPG'" in fault("folder", folder)


@pytest.mark.parametrize("line", ["a,1,2,3,0,0,0,1", "a, 1, 2, 3, 0, 0, 0, 1", "a 1,5 2 3 0 0 0 1"])
def test_poses_with_commas_are_named_as_such(folder: Path, line: str) -> None:
    (folder / "poses.txt").write_text(f"# name\n{line}\n")
    message = fault("folder", folder)
    assert "poses.txt, line 2: " in message
    assert BLANKS in message


def test_a_name_may_have_a_comma(folder: Path) -> None:
    write_image(folder / "images" / "b,c.png", 64, 48)
    (folder / "poses.txt").write_text(f"b,c {POSE}\n")
    assert open_dataset("folder", folder, "all").names == ("b,c",)
    (folder / "poses.txt").write_text("b,c 1 2\n")
    assert BLANKS not in fault("folder", folder)


@pytest.mark.parametrize("line", ["64,48,50,51,31.5,23.5", "64, 48, 50, 51, 31.5, 23.5"])
def test_a_camera_with_commas_is_named_as_such(folder: Path, line: str) -> None:
    (folder / "camera.txt").write_text(line)
    assert BLANKS in fault("folder", folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,1,2,3,0,0,0,1", f"1 values instead of 8; {BLANKS}"),
        ("1, 1, 2, 3, 0, 0, 0, 1", BLANKS),
        (f"1700000000123456789 {POSE}", "stamp 1700000000123456789 is not in seconds: nanoseconds?"),
        (f"1.700000000123456789e18 {POSE}", "is not in seconds: nanoseconds?"),
        (f"1700000000123456 {POSE}", "is not in seconds: microseconds?"),
        (f"1700000000123.5 {POSE}", "is not in seconds: milliseconds?"),
        (f"1e300 {POSE}", "is not in seconds"),
        ("5 1 2 3 0 0 0 0", "has no direction"),
        ("5 1 2 3 0 0 0 inf", "not finite"),
    ],
)
def test_faulty_trajectories(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "truth.tum").write_text(f"# stamp\n1 {POSE}\n{line}\n")
    with pytest.raises(DatasetError) as caught:
        read_tum(tmp_path / "truth.tum")
    assert str(caught.value).startswith(f"{tmp_path / 'truth.tum'}, line 3: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_trajectories_of_other_editors_are_read(tmp_path: Path) -> None:
    """With a byte order mark, the line ends of another system, tabs, and comments at the end of lines."""
    lines = ("# stamp tx ty tz qx qy qz qw", f"1 {POSE}  # the start", "", f"2 {POSE}".replace(" ", "\t"))
    (tmp_path / "truth.tum").write_bytes("\ufeff".encode() + "\r\n".join(lines).encode())
    assert [pose.stamp_ns for pose in read_tum(tmp_path / "truth.tum")] == [1_000_000_000, 2_000_000_000]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for read in (read_tum, read_image):
        with pytest.raises(DatasetError, match="not a regular file"):
            read(tmp_path / "pipe.jpg")


def test_stamps_keep_their_nanoseconds(tmp_path: Path) -> None:
    (tmp_path / "truth.tum").write_text(f"1700000000.123456789 {POSE}\n-0.5 {POSE}\n8999999999 {POSE}\n")
    stamps = [pose.stamp_ns for pose in read_tum(tmp_path / "truth.tum")]
    assert stamps == [1_700_000_000_123_456_789, -500_000_000, 8_999_999_999_000_000_000]


@pytest.mark.parametrize("stamp", ["1e999999999", "1e18", "nan", "inf"])
def test_stamps_of_a_recording_that_cannot_be(tmp_path: Path, stamp: str) -> None:
    for name in (STATUS_FILE, POSE_FILE):
        (tmp_path / name).write_text("")
    (tmp_path / COVARIANCE_FILE).write_text(f"{stamp} {'0 ' * 36}\n")
    with pytest.raises(DatasetError, match=rf"{COVARIANCE_FILE}:1: "):
        read_recording(tmp_path)
