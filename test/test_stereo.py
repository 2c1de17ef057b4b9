"""Depth of stereo pairs: against the exact depth of a wall, through all lenses, in bags and in EuRoC's layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.bag_scenes import CAMERA_FRAME, IMAGES, place, stamp, write_tf
from support.dataset_files import fault, read_all
from support.textured_wall import wall_view

from vloc_ros.bags import messages
from vloc_ros.bags.depth_topics import DepthOptions
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, RAW_IMAGE, STATIC_TF_TOPIC, TF
from vloc_ros.bags.writer import open_writer
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_recording import RecordingOptions, unpack_recording
from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.datasets.rigs import seen_by
from vloc_ros.datasets.stereo import StereoPair
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import from_quaternion, invert

LEFT = Camera(160, 120, 120.0, 120.0, 79.5, 59.5)
WIDE = FisheyeCamera(160, 120, 100.0, 100.0, 79.5, 59.5, (-0.01, 0.004, 0.0, 0.0))
BENT = Camera(192, 144, 130.0, 131.0, 94.0, 70.0, (-0.2, 0.06, 0.001, -0.001))
BESIDE = invert(from_quaternion((0.01, 0.02, -0.01, 1.0), (0.15, 0.003, -0.004)))  # right_from_left
SIDEWAYS = invert(from_quaternion((0.0, 0.0, 0.0, 1.0), (0.15, 0.0, 0.0)))
RIGHT_FRAME = "right_frame"
POSES = BagOptions("/left/image_raw", truth=GroundTruthOptions("tf"))


def require_the_walls(depth: np.ndarray, truth: np.ndarray, pair: StereoPair, known: float = 0.6) -> None:
    """Most pixels have depth, and its error is that of a fraction of a pixel of disparity."""
    both = (depth > 0) & (truth > 0)
    assert both.mean() > known
    error_px = np.abs(1 / depth[both] - 1 / truth[both]) * pair.rectified.fx * pair.baseline_m
    assert np.median(error_px) < 0.25
    assert np.quantile(error_px, 0.98) < 0.8


@pytest.mark.parametrize(
    ("left", "right", "right_from_left"),
    [(LEFT, LEFT, SIDEWAYS), (LEFT, BENT, BESIDE), (BENT, LEFT, BESIDE), (WIDE, WIDE, BESIDE),
     (LEFT, LEFT, invert(BESIDE))],
    ids=["rectified", "right lens", "left lens", "fisheye", "swapped"],
)  # fmt: skip
def test_depth_is_that_of_the_left_image_as_it_is(left: Camera, right: Camera, right_from_left: np.ndarray) -> None:
    pose, pair = place(stamp(0)), StereoPair(left, right, right_from_left)
    seen, truth = wall_view(left, pose)
    depth = pair.depth(seen, wall_view(right, pose @ invert(right_from_left))[0])
    require_the_walls(depth, truth, pair)


def test_what_does_not_match_back_has_no_depth() -> None:
    pair, pose = StereoPair(LEFT, LEFT, SIDEWAYS), np.eye(4)
    other = from_quaternion((0.0, 0.0, 0.0, 1.0), (1.7, -1.1, 0.0))
    depth = pair.depth(wall_view(LEFT, pose)[0], wall_view(LEFT, other)[0])
    assert (depth > 0).mean() < 0.2, "by chance"
    flat = np.full((120, 160, 3), 90, np.uint8)
    assert (pair.depth(flat, flat) > 0).mean() < 0.05


@pytest.mark.parametrize(
    ("right_from_left", "message"),
    [
        (np.eye(4), "0 mm apart, are they the same"),
        (from_quaternion((0, 0, 0, 1), (0, 0, 0.2)), "one camera is in front of the other"),
        (from_quaternion((0, 1, 0, 0), (0.2, 0, 0)), "look in different directions"),
    ],
)
def test_what_is_no_pair_is_refused(right_from_left: np.ndarray, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StereoPair(LEFT, LEFT, right_from_left)


def write_bag(path: Path, right: Camera, right_from_left: np.ndarray, *, tf: bool, every: int = 1) -> None:
    """A drive along the wall; where the right camera is, TF says, or P of its camera_info."""
    with open_writer(path) as bag:
        link = messages.transform(stamp(0), CAMERA_FRAME, RIGHT_FRAME, invert(right_from_left))
        bag.write(STATIC_TF_TOPIC, TF, stamp(0), messages.transforms(*([link] if tf else [])))
        for index in range(IMAGES):
            at, pose = stamp(index), place(stamp(index))
            write_tf(bag, index, "map", CAMERA_FRAME, pose)
            for side, camera, from_left in (("left", LEFT, np.eye(4)), ("right", right, right_from_left)):
                frame = RIGHT_FRAME if tf and side == "right" else CAMERA_FRAME
                info = messages.camera_info(at, frame, camera)
                if side == "right" and not tf:
                    info.p[3] = right_from_left[0, 3] * camera.fx
                bag.write(f"/{side}/camera_info", CAMERA_INFO, at, info)
                if side == "left" or index % every == 0:
                    image = messages.image(at, frame, wall_view(camera, pose @ invert(from_left))[0])
                    bag.write(f"/{side}/image_raw", RAW_IMAGE, at, image)


@pytest.mark.parametrize("tf", [True, False])
def test_a_bag_of_a_stereo_camera_becomes_keyframes_with_depth(tmp_path: Path, tf: bool) -> None:
    right, right_from_left = (BENT, BESIDE) if tf else (LEFT, SIDEWAYS)
    write_bag(tmp_path / "bag", right, right_from_left, tf=tf)
    options = RecordingOptions(POSES, DepthOptions(stereo_topic="/right/image_raw"))
    record = unpack_recording(tmp_path / "bag", tmp_path / "out", options, "map")
    assert record["depth_topic"] == "/right/image_raw"
    pair = StereoPair(LEFT, right, right_from_left)
    for frame in read_all(open_dataset("folder", tmp_path / "out", "all"), depth=True)[::4]:
        assert frame.depth is not None
        require_the_walls(frame.depth, wall_view(LEFT, frame.map_from_camera)[1], pair)


def test_what_is_wrong_with_a_stereo_bag(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", LEFT, np.eye(4), tf=False, every=5)
    for depth, message in (
        (DepthOptions(stereo_topic="/right/image_raw"), "P has no Tx, and both cameras are of frame"),
        (DepthOptions(stereo_topic="/left/image_raw"), "is both the left and the right topic"),
        (DepthOptions("", "/left/camera_info", stereo_topic="/right/image_raw"), "would be the camera_info of both"),
        (DepthOptions(stereo_topic="/rear/image_raw"), "/rear/image_raw"),
    ):
        with pytest.raises(DatasetError, match=message):
            unpack_recording(tmp_path / "bag", tmp_path / "out", RecordingOptions(POSES, depth), "map")
    with pytest.raises(ConfigError, match="depth is of one of them"):
        DepthOptions("/depth", stereo_topic="/right/image_raw")


def test_euroc_has_the_depth_of_its_two_cameras(tmp_path: Path) -> None:
    root, stamps = tmp_path / "V1_01_easy", [1403715273262142976 + k * 50_000_000 for k in range(2)]
    body_from_left = from_quaternion((0.5, -0.5, 0.5, -0.5), (0.02, 0.06, 0.01))
    for name, body_from_camera in (("cam0", body_from_left), ("cam1", body_from_left @ invert(BESIDE))):
        (root / f"mav0/{name}/data").mkdir(parents=True)
        rows = ", ".join(f"{value:.12f}" for value in body_from_camera.ravel())
        (root / f"mav0/{name}/sensor.yaml").write_text(
            f"T_BS:\n  cols: 4\n  rows: 4\n  data: [{rows}]\nresolution: [160, 120]\ncamera_model: pinhole\n"
            "intrinsics: [120.0, 120.0, 79.5, 59.5]\ndistortion_model: radial-tangential\n"
            "distortion_coefficients: [0.0, 0.0, 0.0, 0.0]\n"
        )
        for time in stamps:
            image, _ = wall_view(LEFT, np.linalg.inv(body_from_left) @ body_from_camera)
            cv2.imwrite(str(root / f"mav0/{name}/data/{time}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    (root / "mav0/cam0/data.csv").write_text("".join(f"{time},{time}.png\n" for time in stamps))
    (root / "mav0/state_groundtruth_estimate0").mkdir()
    (root / "mav0/state_groundtruth_estimate0/data.csv").write_text(
        "".join(f"{time},0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0\n" for time in stamps)
    )
    dataset = open_dataset("euroc", root, "all")
    assert dataset.has_depth
    frame, pair = dataset.frame(0, depth=True), StereoPair(LEFT, LEFT, BESIDE)
    assert frame.depth is not None
    require_the_walls(frame.depth, wall_view(LEFT, np.eye(4))[1], pair)
    assert frame.others == ()
    rig = seen_by(dataset, ("cam0", "cam1"))
    (right,) = rig.frame(1).others
    np.testing.assert_allclose(right.rig_from_camera, invert(BESIDE), atol=1e-9)
    np.testing.assert_array_equal(right.image.rgb, read_image(root / f"mav0/cam1/data/{stamps[1]}.png"))
    with pytest.raises(ConfigError, match="cameras cam1, cam0: the first must be cam0, whose poses are known"):
        seen_by(dataset, ("cam1", "cam0"))
    with pytest.raises(ConfigError, match="no camera 'cam2'; there are cam0, cam1"):
        seen_by(dataset, ("cam0", "cam2"))
    (root / "mav0/cam1/sensor.yaml").write_text((root / "mav0/cam0/sensor.yaml").read_text())
    assert "cam1/sensor.yaml: stereo: the cameras are 0 mm apart" in fault("euroc", root)
