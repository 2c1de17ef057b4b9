"""Layouts of RGB-D data sets that others have made: TUM RGB-D and 12 Scenes."""

import sys
from pathlib import Path

import numpy as np
import pytest
from support.dataset_files import fault, pose_columns, random_pose, read_all, write_depth, write_image

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.tum_rgbd import CAMERAS
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera

POSES = [random_pose() for _ in range(4)]


@pytest.fixture
def tum(tmp_path: Path) -> Path:
    """Four images, depth 4 ms later, poses at the images' times but for the last."""
    root = tmp_path / "desk"
    stamps = [f"{1305031102.175304 + 0.05 * k:.6f}" for k in range(4)]
    later = [f"{1305031102.179304 + 0.05 * k:.6f}" for k in range(4)]
    for stamp, depth in zip(stamps, later, strict=True):
        write_image(root / f"rgb/{stamp}.png", 64, 48)
        write_depth(root / f"depth/{depth}.png", 64, 48, 10_000)
    (root / "camera.txt").write_text("64 48 50 51 31.5 23.5\n")
    (root / "rgb.txt").write_text("# color images\n" + "".join(f"{s} rgb/{s}.png\n" for s in stamps))
    (root / "depth.txt").write_text("".join(f"{s} depth/{s}.png\n" for s in later))
    poses = zip(stamps[:3], POSES, strict=False)
    (root / "groundtruth.txt").write_text("".join(f"{s} {pose_columns(pose)}\n" for s, pose in poses))
    (root / "split_two.txt").write_text(f"{stamps[2]}\n{stamps[0]}\n")
    return root


def test_tum_gives_images_with_their_depth_and_pose(tum: Path) -> None:
    dataset = open_dataset("tum", tum, "all")
    assert len(dataset) == 3, "one image has no pose"
    for frame, pose in zip(read_all(dataset, depth=True), POSES, strict=False):
        assert frame.image.camera == Camera(64, 48, 50.0, 51.0, 31.5, 23.5)
        assert frame.depth is not None
        assert np.allclose(frame.depth[1:-1], 2.0), "5000 are a metre"
        np.testing.assert_allclose(frame.map_from_camera, pose, atol=1e-6)
    assert open_dataset("tum", tum, "two").names == (dataset.names[2], dataset.names[0])


def test_tum_interpolates_poses_and_takes_associations(tum: Path) -> None:
    stamps = [line.split()[0] for line in (tum / "rgb.txt").read_text().splitlines()[1:]]
    lines = [line for line in (tum / "groundtruth.txt").read_text().splitlines() if line.split()[0] != stamps[1]]
    (tum / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    middle = open_dataset("tum", tum, "all").map_from_camera(1)
    assert np.allclose(middle[:3, 3], (POSES[0][:3, 3] + POSES[2][:3, 3]) / 2, atol=1e-6)
    depths = [line.split()[0] for line in (tum / "depth.txt").read_text().splitlines()]
    pairs = [f"{d} depth/{d}.png {s} rgb/{s}.png" for s, d in zip(stamps[:2], depths, strict=False)]
    (tum / "associations.txt").write_text("\n".join(pairs) + "\n")
    assert open_dataset("tum", tum, "all").names == tuple(stamps[:2])


def test_the_cameras_of_the_benchmark_are_known_by_name(tum: Path) -> None:
    (tum / "camera.txt").unlink()
    assert "no camera.txt, and it is none of the sequences of freiburg1" in fault("tum", tum)
    named = tum.rename(tum.with_name("rgbd_dataset_freiburg2_desk"))
    assert open_dataset("tum", named, "all").camera(0) == CAMERAS["freiburg2"]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("rgb.txt", "1305031102.1\n", "line 1: 1 columns, expected 'stamp file'"),
        ("rgb.txt", "now rgb/a.png\n", "line 1"),
        ("depth.txt", "5.0 depth/a.png\n", "no depth is within 0.02 s of an image"),
        ("depth.txt", "# none\n", "lists no files"),
        ("groundtruth.txt", "5.0 0 0 0 0 0 0 1\n", "no image of"),
        ("groundtruth.txt", "5.0 0 0 0 0 0 0\n", "7 values instead of 8"),
        ("associations.txt", "1 a\n", "2 columns"),
        ("split_all2.txt", "", ""),
    ],
)
def test_tum_faults(tum: Path, file: str, text: str, said: str) -> None:
    (tum / file).write_text(text)
    if said:
        message = fault("tum", tum)
        assert said in message
        assert str(tum) in message
    else:
        assert "lists no names" in fault("tum", tum, "all2")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    root = tmp_path / "apt1" / "kitchen"
    for number in range(6):
        base = root / "data" / f"frame-{number:06d}"
        write_image(base.with_name(base.name + ".color.jpg"), 128, 96)
        write_depth(base.with_name(base.name + ".depth.png"), 64, 48)
        rows = "\n".join(" ".join(f"{value:.9f}" for value in row) for row in random_pose())
        base.with_name(base.name + ".pose.txt").write_text("-INF -INF\n" if number == 4 else rows + "\n")
    (root / "info.txt").write_text(
        "m_versionNumber = 4\nm_sensorName = StructureSensor\nm_colorWidth = 128\nm_colorHeight = 96\n"
        "m_calibrationColorIntrinsic = 115 0 64 0 0 116 48 0 0 0 1 0 0 0 0 1\n"
    )
    (root / "split.txt").write_text(
        "sequence0 [frames=2]  [start=0 ; end=1]\nsequence1 [frames=4]  [start=2 ; end=5]\n"
    )
    return root


def test_twelve_scenes_has_the_authors_splits(scene: Path) -> None:
    assert open_dataset("twelve_scenes", scene, "test").names == ("frame-000000", "frame-000001")
    train = open_dataset("twelve_scenes", scene, "train")
    assert train.names == ("frame-000002", "frame-000003", "frame-000005"), "one has no pose"
    assert len(open_dataset("twelve_scenes", scene, "all")) == 5
    for frame in read_all(train, depth=True):
        assert frame.image.camera == Camera(128, 96, 115.0, 116.0, 64.0, 48.0)
        assert frame.depth is not None
        assert np.unique(frame.depth[2:-2]).tolist() == [2.0]


def test_a_file_that_is_no_frame_of_twelve_scenes_is_named(scene: Path) -> None:
    (scene / "data" / "frame-000003 (1).color.jpg").touch()
    assert "frame-000003 (1).color.jpg: is no frame" in fault("twelve_scenes", scene, "test")


def test_twelve_scenes_faults(scene: Path, tmp_path: Path) -> None:
    assert "has poses of its own" in fault("twelve_scenes", scene, poses=tmp_path / "other.txt")
    (scene / "split.txt").write_text("sequence0\n")
    assert "does not say where a sequence ends" in fault("twelve_scenes", scene, "train")
    info = scene / "info.txt"
    info.write_text(info.read_text().replace("115 0 64", "115 64"))
    assert "15 numbers instead of a 4x4 matrix" in fault("twelve_scenes", scene)
    for wrong in ("m_colorWidth = 128.5", "m_colorWidth = 128 96", "m_colorWidth ="):
        info.write_text(wrong + "\nm_colorHeight = 96\nm_calibrationColorIntrinsic = 1\n")
        assert "not a whole number of pixels" in fault("twelve_scenes", scene)
    info.write_text("m_colorWidth = 128\n")
    assert "does not say m_colorHeight, m_calibrationColorIntrinsic" in fault("twelve_scenes", scene)
    for path in (scene / "data").iterdir():
        path.unlink()
    info.write_text("")
    assert str(info) in fault("twelve_scenes", scene)


def test_without_scipy_it_is_said_what_to_install(tum: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("scipy", "vloc_ros.geometry.interpolation"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "vloc_ros.datasets.tum_rgbd")
    with pytest.raises(
        ConfigError, match=r"reading tum needs the Python package 'scipy.*': .*requirements/offline.txt"
    ):
        open_dataset("tum", tum, "all")
