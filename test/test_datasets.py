"""Opening datasets, the user's folder, and everything that can be wrong with it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.dataset_files import fault, pose_columns, random_pose, read_all, write_depth, write_image

from vloc_ros.datasets import DATASETS, open_dataset
from vloc_ros.datasets.posed_files import require_depth_of
from vloc_ros.datasets.subset import Subset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import to_quaternion

FOLDER_NAMES = ("a", "b", "sub.dir/c")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    for name, ending in zip(FOLDER_NAMES, ("jpg", "jpeg", "png"), strict=True):
        write_image(root / "images" / f"{name}.{ending}", 64, 48)
        write_depth(root / "depth" / f"{name}.png", 64, 48)
    (root / "camera.txt").write_text("# my camera\n64 48 50 51 31.5 23.5 0.1 -0.2 0.001 0 # k1 k2 p1 p2\n")
    (root / "poses.txt").write_text(
        "# poses\n\n" + "".join(f"{n} {pose_columns(random_pose())}\n" for n in FOLDER_NAMES)
    )
    (root / "split_train.txt").write_text("sub.dir/c\na\n")
    return root


def test_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="'eth3d'.*" + ".*".join(DATASETS)):
        open_dataset("eth3d", None, "train")


@pytest.mark.parametrize("kind", ["seven_scenes", "folder", "tum", "twelve_scenes"])
def test_root_must_be_given_and_be_there(kind: str, tmp_path: Path) -> None:
    assert "root" in fault(kind, None)
    assert str(tmp_path / "none") in fault(kind, tmp_path / "none")
    assert str(tmp_path) in fault(kind, tmp_path)  # an empty directory


def test_folder_gives_what_was_written(folder: Path) -> None:
    dataset = open_dataset("folder", folder, "all")
    assert dataset.names == FOLDER_NAMES
    assert dataset.has_depth
    rows = [line.split() for line in (folder / "poses.txt").read_text().splitlines()[2:]]
    for i, frame in enumerate(read_all(dataset, depth=True)):
        assert frame.image.camera == dataset.camera(i) == Camera(64, 48, 50, 51, 31.5, 23.5, (0.1, -0.2, 0.001, 0.0))
        assert frame.image.rgb.shape == (48, 64, 3)
        assert frame.depth is not None
        assert np.unique(frame.depth[1:-1]).tolist() == [2.0]
        assert not frame.depth[[0, -1]].any(), "0 and 65535 are unknown"
        np.testing.assert_allclose(dataset.map_from_camera(i)[:3, 3], np.array(rows[i][1:4], float))
        np.testing.assert_allclose(
            to_quaternion(frame.map_from_camera[:3, :3]), np.array(rows[i][4:], float), atol=1e-8
        )


def test_images_are_rgb(folder: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(folder / "images" / "sub.dir" / "c.png"), red)
    rgb = open_dataset("folder", folder, "train").frame(0).image.rgb
    assert rgb[0, 0].tolist() == [255, 0, 0]


def test_splits_of_a_folder(folder: Path, tmp_path: Path) -> None:
    assert open_dataset("folder", folder, "train").names == ("sub.dir/c", "a")
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("# mine\nb\n")
    assert open_dataset("folder", folder, str(chosen)).names == ("b",)
    assert "it has all, train" in fault("folder", folder, "tset")
    assert "nowhere.txt" in fault("folder", folder, "nowhere.txt")
    chosen.write_text("b\na\nb\n")
    assert "'b' is listed 2 times" in fault("folder", folder, str(chosen))
    chosen.write_text("b\nghost\n")
    assert "'ghost' has no pose" in fault("folder", folder, str(chosen))
    chosen.write_text("\n# nothing\n")
    assert "chosen.txt" in fault("folder", folder, str(chosen))


def test_folder_takes_other_poses(folder: Path, tmp_path: Path) -> None:
    pose = random_pose()
    (tmp_path / "better.txt").write_text(f"b {pose_columns(pose)}\n")
    dataset = open_dataset("folder", folder, "all", tmp_path / "better.txt")
    assert dataset.names == ("b",)
    np.testing.assert_allclose(dataset.map_from_camera(0), pose, atol=1e-8)


def test_folder_without_depth(folder: Path) -> None:
    for path in (folder / "depth").rglob("*.png"):
        path.unlink()
    dataset = open_dataset("folder", folder, "all")
    assert not dataset.has_depth
    assert all(frame.depth is None for frame in read_all(dataset, depth=False))
    assert str(folder / "depth" / "a.png") in fault("folder", folder)


def test_files_that_are_missing_are_told_when_it_is_opened(folder: Path) -> None:
    dataset = open_dataset("folder", folder, "all")
    part = Subset(dataset, [1, 0])
    require_depth_of(part)
    (folder / "depth" / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"^1 of 2 frames have no depth, .*depth/a\.png: no such file$"):
        require_depth_of(part)
    images = sorted((folder / "images").rglob("*.*g"))
    images[0].unlink()
    line = fault("folder", folder)
    assert line.endswith(": there is no image with this name and .jpg or .jpeg or .png")
    assert str(images[0].with_suffix("")) in line
    for path in images[1:]:
        path.unlink()
    line = fault("folder", folder)
    assert line.startswith(f"{len(images)} of {len(images)} images, ")
    assert all(str(folder / "images" / name) in line for name in FOLDER_NAMES[:3])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 lines"),
        ("64 48\n", "line 1: 2 numbers"),
        ("64 48 0 0 0 0\n", "focal"),
        ("64 48 50 50 nan 24\n", "not finite"),
        ("64 48 50 fifty 32 24\n", "'fifty' is not a number"),
        ("64.5 48 50 50 32 24\n", "whole number"),
        ("64 48 50 50 32 24 0.1\n", "distortion"),
        ("64 48 50 50 63.5 47.5\n", "principal point (63.5, 47.5) is not well inside the 64x48 image"),
        ("64 48 50 50 32 24\n64 48 50 50 32 24\n", "2 lines"),
        ("\xff\xfe", "not a text file"),
    ],
)
def test_faulty_camera(folder: Path, text: str, said: str) -> None:
    (folder / "camera.txt").write_bytes(text.encode("latin-1"))
    message = fault("folder", folder)
    assert str(folder / "camera.txt") in message
    assert said in message


def test_a_camera_may_say_that_its_image_is_a_part_of_a_larger_one(folder: Path) -> None:
    (folder / "camera.txt").write_text("64 48 50 50 63.5 47.5 0.1 0 0 0 cropped\n")
    camera = open_dataset("folder", folder, "all").camera(0)
    assert (camera.cx, camera.distortion, camera.cropped) == (63.5, (0.1, 0.0, 0.0, 0.0), True)


def test_missing_camera_and_poses(folder: Path) -> None:
    (folder / "poses.txt").unlink()
    assert str(folder / "poses.txt") in fault("folder", folder)
    (folder / "camera.txt").unlink()
    assert str(folder / "camera.txt") in fault("folder", folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b 0 0 0 0 0 0\n", "line 2: 7 columns"),
        ("b 0 0 x 0 0 0 1\n", "line 2: 'x' is not a number"),
        ("b nan 0 0 0 0 0 1\n", "line 2: nan 0 0 0 0 0 1 has a value that is not finite"),
        ("b 0 0 0 0 0 0 0\n", "line 2: the quaternion has length 0"),
        ("b 0 -1e300 0 0 0 0 1\n", "line 2: a position of [0.0, -1e+300, 0.0] m cannot be"),
        ("b 0 0 0 1 2 3 4\n", "line 2: the quaternion has length 5.48"),
        ("a 0 0 0 0 0 0 1\n", "line 2: 'a' is there already, in line 1"),
    ],
)
def test_faulty_poses(folder: Path, line: str, said: str) -> None:
    (folder / "poses.txt").write_text("a 0 0 0 0 0 0 1\n" + line)
    message = fault("folder", folder)
    assert str(folder / "poses.txt") in message
    assert said in message


@pytest.mark.parametrize("name", ["images/a.jpg", "images/sub.dir/c.png", "depth/a.png"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9, -3])
def test_truncated_image(folder: Path, name: str, kept: float) -> None:
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept >= 0 else int(kept)])
    message = fault("folder", folder)
    assert message.startswith(f"{path}: ")
    assert any(word in message for word in ("empty", "truncated", "neither"))


def test_thumbnail_does_not_hide_a_truncated_photo(folder: Path) -> None:
    path = folder / "images" / "a.jpg"
    photo = path.read_bytes()
    thumbnail = b"Exif\0\0" + photo  # a whole JPEG, with its end marker, inside an application segment
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path.write_bytes(photo[:2] + segment + photo[2:])
    open_dataset("folder", folder, "all").frame(0)
    path.write_bytes((photo[:2] + segment + photo[2:])[:-20])
    assert "truncated" in fault("folder", folder)


def test_damaged_image(folder: Path) -> None:
    path = folder / "depth" / "a.png"
    data = bytearray(path.read_bytes())
    data[23] ^= 0xFF  # the header's width or height; its checksum fails
    path.write_bytes(bytes(data))
    assert f"{path}: damaged" in fault("folder", folder)
    path.write_text("hello")
    assert f"{path}: neither" in fault("folder", folder)


def test_missing_or_mis_sized_image(folder: Path) -> None:
    write_image(folder / "images" / "b.jpeg", 48, 64)
    assert f"{folder / 'images' / 'b.jpeg'}: 48x64 pixels, but its camera has 64x48" in fault("folder", folder)
    (folder / "images" / "b.jpeg").unlink()
    assert str(folder / "images" / "b") in fault("folder", folder)


def test_faulty_depth(folder: Path) -> None:
    path = folder / "depth" / "b.png"
    write_depth(path, 32, 24)
    assert f"{path}: 32x24 pixels" in fault("folder", folder)
    cv2.imwrite(str(path), np.ones((48, 64), np.uint8))
    assert f"{path}: depth must be one channel of 16 bits, this is 1 of uint8" in fault("folder", folder)
    cv2.imwrite(str(path), np.ones((48, 64, 3), np.uint16))
    assert "3 of uint16" in fault("folder", folder)
    path.unlink()
    assert str(path) in fault("folder", folder)
    assert open_dataset("folder", folder, "all").has_depth


def test_hololens_splits(shared_data: Path) -> None:
    counts = {split: len(open_dataset("folder", shared_data / "hololens", split)) for split in ("train", "test", "all")}
    assert counts == {"train": 283, "test": 50, "all": 333}
