"""Both layouts of 7-Scenes, poses from elsewhere, and everything that can be wrong with them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.dataset_files import fault, random_pose, write_depth, write_image

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.seven_scenes import COLOUR_FROM_DEPTH
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert, to_quaternion


def write_scene(root: Path, ending: str, sequences: dict[int, int]) -> Path:
    for sequence, count in sequences.items():
        for i in range(count):
            base = root / f"seq-{sequence:02d}" / f"frame-{i:06d}"
            write_image(base.with_name(base.name + f".color.{ending}"), 640, 480)
            write_depth(base.with_name(base.name + ".depth.png"), 640, 480)
            np.savetxt(base.with_name(base.name + ".pose.txt"), random_pose())
    return root


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """The official layout."""
    root = write_scene(tmp_path / "scene", "png", {1: 2, 2: 1})
    (root / "TrainSplit.txt").write_text("sequence1\r\n")
    (root / "TestSplit.txt").write_text("sequence2\r\n")
    return root


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    """The layout with lists of frames, of which the test frames have no depth."""
    root = write_scene(tmp_path / "subset", "jpg", {1: 3})
    (root / "split_train.txt").write_text("seq-01/frame-000000\nseq-01/frame-000002\n")
    (root / "split_hard_test.txt").write_text("seq-01/frame-000001\n")
    (root / "seq-01" / "frame-000001.depth.png").unlink()
    return root


def write_pseudo_truth(path: Path, poses: dict[str, NDArray[np.float64]], focal: float = 525.5) -> Path:
    lines = []
    for name, map_from_camera in poses.items():
        camera_from_map = invert(map_from_camera)
        x, y, z, w = to_quaternion(camera_from_map[:3, :3])
        lines.append(" ".join(map(str, (name, w, x, y, z, *camera_from_map[:3, 3], focal))))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_official_layout(scene: Path) -> None:
    train = open_dataset("seven_scenes", scene, "train")
    assert train.names == ("seq-01/frame-000000", "seq-01/frame-000001")
    assert open_dataset("seven_scenes", scene, "test").names == ("seq-02/frame-000000",)
    assert len(open_dataset("seven_scenes", scene, "all")) == 3
    assert train.has_depth
    frame = train.frame(1, depth=True)
    assert frame.image.camera == Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
    map_from_depth = np.loadtxt(scene / "seq-01" / "frame-000001.pose.txt")
    np.testing.assert_allclose(frame.map_from_camera @ COLOUR_FROM_DEPTH, map_from_depth, atol=1e-9)


def test_subset_layout(subset: Path) -> None:
    train = open_dataset("seven_scenes", subset, "train")
    assert train.names == ("seq-01/frame-000000", "seq-01/frame-000002")
    assert train.has_depth
    test = open_dataset("seven_scenes", subset, "hard_test")
    assert not test.has_depth
    assert test.frame(0).depth is None
    assert "frame-000001.depth.png" in fault("seven_scenes", subset, "hard_test")
    assert "it has all, hard_test, train" in fault("seven_scenes", subset, "test")


@pytest.mark.parametrize("ending", ["", ".color.png"])
def test_pseudo_ground_truth(subset: Path, tmp_path: Path, ending: str) -> None:
    names = open_dataset("seven_scenes", subset, "train").names
    poses = {name: random_pose() for name in names}
    path = write_pseudo_truth(tmp_path / "pgt.txt", {name + ending: pose for name, pose in poses.items()})
    dataset = open_dataset("seven_scenes", subset, "train", path)
    for i, name in enumerate(names):
        np.testing.assert_allclose(dataset.map_from_camera(i), poses[name], atol=1e-9)
        assert dataset.camera(i).fx == dataset.camera(i).fy == 525.5
    message = fault("seven_scenes", subset, "all", path)
    assert "no pose for 1 of 3 frames, the first is 'seq-01/frame-000001'" in message
    assert str(path) in message


def test_faulty_pseudo_ground_truth(subset: Path, tmp_path: Path) -> None:
    path = tmp_path / "pgt.txt"
    for text, said in (
        ("seq-01/frame-000000 1 0 0 0 0 0 0\n", "line 1: 8 columns"),
        ("seq-01/frame-000000 1 0 0 0 0 0 0 -5\n", "line 1: camera: focal"),
        ("seq-01/frame-000000 2 0 0 0 0 0 0 525\n", "line 1: the quaternion has length 2"),
        ("a 1 0 0 0 0 0 0 525\na.color.png 1 0 0 0 0 0 0 525\n", "line 2: 'a' is there twice"),
        ("", "no line"),
    ):
        path.write_text(text)
        message = fault("seven_scenes", subset, "train", path)
        assert message.startswith(str(path))
        assert said in message
    assert "none.txt" in fault("seven_scenes", subset, "train", tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m * np.diag([2.0, 1, 1, 1]), "orthonormal"),
        (lambda m: m @ np.diag([-1.0, 1, 1, 1]), "mirrors"),
        (lambda m: np.where(np.eye(4)[::-1] > 0, np.nan, m), "not finite"),
        (lambda m: m[:3], "[4, 4, 4]"),
    ],
)
def test_faulty_kinect_pose(scene: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    path = scene / "seq-01" / "frame-000001.pose.txt"
    np.savetxt(path, change(np.loadtxt(path)))
    message = fault("seven_scenes", scene, "train")
    assert message.startswith(str(path))
    assert said in message
    path.unlink()
    assert str(path) in fault("seven_scenes", scene, "train")


def test_faulty_sequences(scene: Path) -> None:
    (scene / "TrainSplit.txt").write_text("sequence1\nsequence7\n")
    assert str(scene / "seq-07") in fault("seven_scenes", scene, "train")
    (scene / "TrainSplit.txt").write_text("sequence1\nseq-01/frame-000000\n")
    assert "twice" in fault("seven_scenes", scene, "train")
    (scene / "TrainSplit.txt").write_text("")
    assert "TrainSplit.txt" in fault("seven_scenes", scene, "train")
    write_image(scene / "seq-02" / "frame-000000.color.png", 320, 240)
    assert "frame-000000.color.png: 320x240" in fault("seven_scenes", scene, "test")


@pytest.mark.parametrize(
    ("split", "count", "has_depth"),
    [
        ("train", 650, True),
        ("test", 200, False),
        ("hard_train", 450, True),
        ("hard_test", 250, None),
        ("all", 850, True),
    ],
)
def test_redkitchen_splits(shared_data: Path, split: str, count: int, has_depth: bool | None) -> None:
    root = shared_data / "redkitchen"
    for poses in (root / "poses_sfm.txt", None):
        dataset = open_dataset("seven_scenes", root, split, poses)
        assert len(dataset) == len(set(dataset.names)) == count
        assert has_depth is None or dataset.has_depth == has_depth
