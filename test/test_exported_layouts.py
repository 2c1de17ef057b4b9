"""Layouts of other tools and data sets: RTAB-Map's export, Cambridge Landmarks, EuRoC."""

from pathlib import Path

import numpy as np
import pytest
from support.dataset_files import fault, pose_columns, random_pose, read_all, write_depth, write_image

from vloc_ros.datasets import open_dataset
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import invert, to_quaternion

POSES = [random_pose() for _ in range(4)]
LOCAL = random_pose()  # of the camera on the robot


def calibration(name: str) -> str:
    """As RTAB-Map writes it, with the camera_matrix of its older versions, which is wrong."""
    local = ", ".join(f"{value:.8e}" for value in LOCAL[:3].ravel())
    return f"""%YAML:1.0
---
camera_name: "{name}"
image_width: 64
image_height: 48
camera_matrix:
   rows: 3
   cols: 3
   data: [ 5.0e+01, 0., 3.15e+01, 0., 0., 5.1e+01, 2.35e+01, 0., 0. ]
distortion_coefficients:
   rows: 1
   cols: 5
   data: [ 0., 0., 0., 0., 0. ]
distortion_model: plumb_bob
projection_matrix:
   rows: 3
   cols: 4
   data: [ 5.0e+01, 0., 3.15e+01, 0., 0., 5.1e+01, 2.35e+01, 0., 0., 0.,
       1., 0. ]
local_transform:
   rows: 3
   cols: 4
   data: [ {local} ]
"""


@pytest.fixture
def rtabmap(tmp_path: Path) -> Path:
    """Three images of four nodes, named by id."""
    root = tmp_path / "export"
    for node in (1, 4, 5):
        write_image(root / f"map_rgb/{node}.jpg", 64, 48)
        write_depth(root / f"map_depth/{node}.png", 32, 24)
        (root / "map_calib").mkdir(exist_ok=True)
        (root / f"map_calib/{node}.yaml").write_text(calibration(str(node)))
    rows = [f"{1700000000.25 + n:.6f} {pose_columns(p)} {n}" for n, p in zip((1, 3, 4, 5), POSES, strict=True)]
    (root / "map_camera_poses.txt").write_text("\n".join(["#timestamp x y z qx qy qz qw id", *rows]) + "\n")
    return root


def test_rtabmap_gives_the_images_of_its_nodes(rtabmap: Path) -> None:
    dataset = open_dataset("rtabmap", rtabmap, "all")
    assert dataset.names == ("1", "4", "5"), "node 3 has no image"
    for frame, pose in zip(read_all(dataset, depth=True), (POSES[0], *POSES[2:]), strict=True):
        assert frame.image.camera == Camera(64, 48, 50.0, 51.0, 31.5, 23.5)
        np.testing.assert_allclose(frame.map_from_camera, pose, atol=1e-6)
        assert frame.depth is not None
        assert np.allclose(frame.depth[2:-2], 2.0)
    (rtabmap / "split_two.txt").write_text("5\n1\n")
    assert open_dataset("rtabmap", rtabmap, "two").names == ("5", "1")


def test_rtabmap_with_poses_of_the_robot_and_images_named_by_stamp(rtabmap: Path) -> None:
    cameras = [open_dataset("rtabmap", rtabmap, "all").map_from_camera(i) for i in range(3)]
    (rtabmap / "map_camera_poses.txt").unlink()
    rows = []
    for node, pose in zip((1, 4, 5), cameras, strict=True):
        stamp = f"{1700000000.25 + node:.6f}"
        rows.append(f"{stamp} {pose_columns(pose @ invert(LOCAL))}")
        for file in rtabmap.rglob(f"{node}.*"):
            file.rename(file.with_name(stamp + file.suffix))
    (rtabmap / "map_poses.txt").write_text("\n".join(rows) + "\n")
    dataset = open_dataset("rtabmap", rtabmap, "all")
    assert dataset.names[0] == "1700000001.250000"
    for index, pose in enumerate(cameras):
        np.testing.assert_allclose(dataset.map_from_camera(index), pose, atol=1e-6)


def test_what_is_wrong_with_an_rtabmap_export(rtabmap: Path) -> None:
    poses, yaml = rtabmap / "map_camera_poses.txt", rtabmap / "map_calib/4.yaml"
    text = yaml.read_text()
    yaml.write_text(text.replace("5.1e+01, 2.35e+01, 0., 0., 0.,\n       1., 0. ]", "5.1e+01 ]"))
    assert "4.yaml: projection_matrix is 6 values, expected 12 numbers" in fault("rtabmap", rtabmap)
    yaml.write_text(text.replace("image_width: 64", "image_width: many"))
    assert "4.yaml: image_width and image_height are 'many' and 48, expected pixels" in fault("rtabmap", rtabmap)
    yaml.write_text(text[: len(text) // 2])
    assert "4.yaml: " in fault("rtabmap", rtabmap)
    yaml.unlink()
    assert "4.yaml: it is not there, and" in fault("rtabmap", rtabmap)
    yaml.write_text(text)
    write_depth(rtabmap / "map_depth/5.png", 32, 32)
    assert "5.png: 32x32 pixels, of another shape than its image's 64x48" in fault("rtabmap", rtabmap)
    poses.write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    assert "line 1: 12 columns, expected 'stamp x y z qx qy qz qw id': export with" in fault("rtabmap", rtabmap)
    poses.write_text("1.0 0 0 0 0 0 0 1 77\n")
    assert "no image of a node that has a pose" in fault("rtabmap", rtabmap)
    poses.unlink()
    assert "no NAME_camera_poses.txt in it" in fault("rtabmap", rtabmap)
    (rtabmap / "map_camera_poses_0.txt").write_text("")
    assert "of several cameras side by side" in fault("rtabmap", rtabmap)
    (rtabmap / "map_rgb").rename(rtabmap / "map_left")
    assert "of a stereo camera" in fault("rtabmap", rtabmap)


@pytest.fixture
def cambridge(tmp_path: Path) -> Path:
    """Two training images and a test image; the reconstruction calls them .jpg, as the published ones do."""
    root = tmp_path / "ShopFacade"
    rows, cameras = [], []
    for name, pose, radial in zip(
        ("seq2/frame00001", "seq2/frame00002", "seq1/frame00001"), POSES, (0, -0.05, 0.02), strict=False
    ):
        write_image(root / f"{name}.png", 64, 36)
        x, y, z, w = to_quaternion(pose[:3, :3].T)
        position = " ".join(f"{value:.9f}" for value in pose[:3, 3])
        rows.append(f"{name}.png {position} {w:.9f} {x:.9f} {y:.9f} {z:.9f}\n")
        cameras.append(f"{name}.jpg\t56.5 {w} {x} {y} {z} {position} {radial} 0\n")
    header = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
    (root / "dataset_train.txt").write_text(header + "".join(rows[:2]))
    (root / "dataset_test.txt").write_text(header + rows[2])
    points = "\n2\n1.0 2.0 3.0 255 255 255 1 0 17 1.5 2.5\n"
    (root / "reconstruction.nvm").write_text(f"NVM_V3 \n\n3\n{''.join(cameras)}{points}")
    return root


def test_cambridge_gives_cameras_of_the_reconstruction(cambridge: Path) -> None:
    train = open_dataset("cambridge", cambridge, "train")
    assert train.names == ("seq2/frame00001", "seq2/frame00002")
    assert not train.has_depth
    for frame, pose in zip(read_all(train, depth=False), POSES, strict=False):
        np.testing.assert_allclose(frame.map_from_camera, pose, atol=1e-6)
        assert frame.image.camera.fx == 56.5
        assert (frame.image.camera.cx, frame.image.camera.cy) == (31.5, 17.5)
    assert not train.camera(0).is_distorted
    assert open_dataset("cambridge", cambridge, "test").names == ("seq1/frame00001",)
    assert len(open_dataset("cambridge", cambridge, "all")) == 3


@pytest.mark.parametrize("index", [1, 2])
def test_cambridge_undistorts_as_visual_sfm_does(cambridge: Path, index: int) -> None:
    """VisualSFM: a point measured at m from the image's centre, in focal lengths, is at m (1 + d |m|^2) undistorted."""
    camera, d = open_dataset("cambridge", cambridge, "all").camera(index), (0, -0.05, 0.02)[index]
    measured = np.array([[0.0, 0.0], [20.0, 10.0], [-31.0, 17.0]]) / 56.5
    undistorted = measured * (1 + d * np.square(measured).sum(axis=1, keepdims=True))
    pixels = camera.undistort_pixels(measured * 56.5 + [31.5, 17.5], camera.undistorted())
    np.testing.assert_allclose((pixels - [31.5, 17.5]) / 56.5, undistorted, atol=2e-5)


def test_what_is_wrong_with_a_cambridge_scene(cambridge: Path) -> None:
    nvm, train = cambridge / "reconstruction.nvm", cambridge / "dataset_train.txt"
    text = nvm.read_text()
    assert "no such file" in fault("cambridge", cambridge, "train").lower(), "it has no depth"
    for damaged, message in (
        ("NVM_V2\n", "it does not begin with NVM_V3"),
        ("NVM_V3\n\nmany\n", "line 3: 'many' is not the number of cameras"),
        (text.split("seq1")[0], "2 different cameras, it says 3: cut short?"),
        (text.replace(" 0\n", "\n"), "line 4: 10 columns, expected 'name focal"),
        (text.replace("56.5", "-1", 1), "fx"),
        (text.replace("seq1/", "seq9/"), "1 of 1 images have no camera in reconstruction.nvm"),
    ):
        nvm.write_text(damaged)
        assert message in fault("cambridge", cambridge, "test" if "seq9" in damaged else "train", depth=False)
    nvm.write_text(text)
    train.write_text(train.read_text() + "seq2/frame00003.png 1 2 3\n")
    assert "line 6: 4 columns, expected 'name X Y Z W P Q R'" in fault("cambridge", cambridge, "train")
    assert "--poses other.txt is not for it" in fault("cambridge", cambridge, "train", Path("other.txt"))


SENSOR = """#Default imu sensor yaml file
sensor_type: camera
comment: VI-Sensor cam0 (MT9M034)

# Sensor extrinsics wrt. the body-frame.
T_BS:
  cols: 4
  rows: 4
  data: [{}]

# Camera specific definitions.
rate_hz: 20
resolution: [64, 48]
camera_model: pinhole
intrinsics: [50.0, 51, 31.5, 23.5] #fu, fv, cu, cv
distortion_model: {}
distortion_coefficients: [-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05]
"""
STAMPS = [1403636579763555584 + k * 50_000_000 for k in range(4)]


def sensor(lens: str = "radial-tangential") -> str:
    return SENSOR.format(", ".join(f"{value:.12f}" for value in LOCAL.ravel()), lens)


@pytest.fixture
def euroc(tmp_path: Path) -> Path:
    """Four images; poses at the first two and the last stamp, half a second apart at the end."""
    root = tmp_path / "MH_01_easy"
    cam, truth = root / "mav0/cam0", root / "mav0/state_groundtruth_estimate0"
    for stamp in STAMPS:
        write_image(cam / f"data/{stamp}.png", 64, 48)
    truth.mkdir()
    (cam / "sensor.yaml").write_text(sensor())
    (cam / "data.csv").write_text("#timestamp [ns],filename\n" + "".join(f"{s},{s}.png\n" for s in STAMPS))
    rows = [_truth_row(stamp, pose) for stamp, pose in zip((STAMPS[0], STAMPS[1], STAMPS[3]), POSES, strict=False)]
    (truth / "data.csv").write_text("#timestamp, p_RS_R_x [m], ...\n" + "".join(rows))
    return root


def _truth_row(stamp: int, pose: np.ndarray) -> str:
    x, y, z, w = to_quaternion(pose[:3, :3])
    values = (*pose[:3, 3], w, x, y, z, *np.zeros(9))
    return f"{stamp}," + ",".join(f"{value:.9f}" for value in values) + "\n"


def test_euroc_gives_the_poses_of_its_camera(euroc: Path) -> None:
    dataset = open_dataset("euroc", euroc, "all")
    assert dataset.names == tuple(map(str, STAMPS))
    assert not dataset.has_depth
    frame = dataset.frame(1)
    lens = (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)
    assert frame.image.camera == Camera(64, 48, 50.0, 51.0, 31.5, 23.5, lens)
    np.testing.assert_allclose(frame.map_from_camera, POSES[1] @ LOCAL, atol=1e-6)
    body = dataset.map_from_camera(2) @ invert(LOCAL)
    np.testing.assert_allclose(body[:3, 3], (POSES[1][:3, 3] + POSES[2][:3, 3]) / 2, atol=1e-6)
    (euroc / "mav0/cam0/sensor.yaml").write_text(sensor("equidistant"))
    assert isinstance(open_dataset("euroc", euroc / "mav0", "all").camera(0), FisheyeCamera)


def test_euroc_leaves_out_images_without_poses_and_takes_a_tum_file(euroc: Path) -> None:
    truth = euroc / "mav0/state_groundtruth_estimate0/data.csv"
    truth.write_text("".join(truth.read_text().splitlines(keepends=True)[:3]))
    assert open_dataset("euroc", euroc, "all").names == tuple(map(str, STAMPS[:2]))
    tum = euroc / "slam.tum"
    tum.write_text(f"{STAMPS[3] / 1e9:.9f} {pose_columns(POSES[3])}\n")
    tum.write_text(f"{STAMPS[3] // 10**9}.{STAMPS[3] % 10**9:09d} {pose_columns(POSES[3])}\n")
    assert open_dataset("euroc", euroc, "all", tum).names == (str(STAMPS[3]),)


def test_what_is_wrong_with_a_euroc_sequence(euroc: Path) -> None:
    yaml, csv = euroc / "mav0/cam0/sensor.yaml", euroc / "mav0/cam0/data.csv"
    truth = euroc / "mav0/state_groundtruth_estimate0/data.csv"
    for damaged, message in (
        (sensor("fov"), "distortion_model 'fov', known are 'pinhole' and radial-tangential"),
        (sensor().replace("resolution: [64, 48]", "resolution: 64x48"), "resolution is '64x48', expected 2 numbers"),
        (sensor().replace("51,", "-51,"), "fy"),
        (sensor().replace("data: [", "data: [7, "), "T_BS is 17 values, expected 12 or 16 numbers"),
        ("T_BS: [", "no YAML that can be read"),
        ("- 1\n", "it has no keys"),
    ):
        yaml.write_text(damaged)
        assert message in fault("euroc", euroc)
    yaml.write_text(sensor())
    assert "No such file" in fault("euroc", euroc), "it has no depth"
    for path, damaged, message in (
        (csv, "12 13\n", "line 1: 1 columns, expected at least 2, with commas"),
        (csv, "1.5,a.png\n", "line 1: '1.5' is no stamp in nanoseconds"),
        (csv, "17,17.png\n", "no image of"),
        (truth, "17,1,2,3\n", "line 1: 4 columns, expected at least 8"),
        (truth, "", "it has no line of data"),
    ):
        before = path.read_text()
        path.write_text(damaged)
        assert message in fault("euroc", euroc)
        path.write_text(before)
