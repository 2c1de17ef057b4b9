"""Which camera_info of a bag is the images': never another camera's."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.bag_scenes import CAMERA, picture, stamp

from vloc_ros.bags import messages
from vloc_ros.bags.camera_topics import choose_camera, read_calibrations
from vloc_ros.bags.depth_topics import DepthOptions, choose_depth
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import CAMERA_INFO, RAW_IMAGE, open_bag
from vloc_ros.bags.stereo_topics import choose_stereo
from vloc_ros.bags.writer import open_writer
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera_info import InfoOptions


def write_topics(path: Path, images: Mapping[str, str], infos: Mapping[str, str]) -> Path:
    """A message on each topic, with its frame."""
    with open_writer(path) as bag:
        for topic, frame in images.items():
            bag.write(topic, RAW_IMAGE, stamp(0), messages.image(stamp(0), frame, picture(0)))
        for topic, frame in infos.items():
            bag.write(topic, CAMERA_INFO, stamp(0), messages.camera_info(stamp(0), frame, CAMERA))
    return path


@pytest.mark.parametrize(
    ("image", "info"),
    [
        (("/cam/color/image_raw", "color"), ("/cam/depth/camera_info", "color")),
        (("/left/image", "left"), ("/right/camera_info", "right")),
        (("/cam/color/image_raw", "color"), ("/cam/infra1/camera_info", "infra1")),
        (("/robot1/image", "camera"), ("/robot2/camera_info", "camera")),  # robots with equal names of frames
    ],
)
def test_another_cameras_calibration_is_not_lent(tmp_path: Path, image: tuple[str, str], info: tuple[str, str]) -> None:
    path = write_topics(tmp_path / "bag", dict([image]), dict([info]))
    with open_bag(path) as bag:
        with pytest.raises(DatasetError, match=rf"no camera_info for {image[0]}.*{info[0]}"):
            choose_camera(bag)
        assert choose_camera(bag, "", info[0]).info.name == info[0]


@pytest.mark.parametrize(
    ("image", "info"),
    [
        (("/cam/image_raw", "cam"), ("/cam/camera_info", "")),  # beside it, whatever the frames say
        (("/cam/image_raw", "cam"), ("/camera_info", "other")),
        (("/image", "cam"), ("/cam/camera_info", "cam")),  # remapped, but of one frame
        (("/image", ""), ("/cam/camera_info", "cam")),
        (("/cam/depth/image_raw", "d"), ("/cam/depth/camera_info", "d")),  # a depth camera's own
    ],
)
def test_the_cameras_own_calibration_is_found(tmp_path: Path, image: tuple[str, str], info: tuple[str, str]) -> None:
    with open_bag(write_topics(tmp_path / "bag", dict([image]), dict([info]))) as bag:
        assert choose_camera(bag, image[0]).info.name == info[0]


@pytest.mark.parametrize("stamps", [(0, 0), (5, 5)])
def test_calibrations_of_one_stamp_are_refused_where_they_differ(tmp_path: Path, stamps: tuple[int, int]) -> None:
    with open_writer(tmp_path / "bag") as bag:
        bag.write("/image", RAW_IMAGE, stamp(0), messages.image(stamp(0), "c", picture(0)))
        for index, camera in enumerate((CAMERA, CAMERA, CAMERA.resized(8, 6))):
            info = messages.camera_info(stamps[index % 2], "c", camera)
            bag.write("/camera_info", CAMERA_INFO, stamp(index), info)
    words = rf"several calibrations have the stamp {stamps[0] / 1e9:.3f} s"
    with open_bag(tmp_path / "bag") as read, pytest.raises(DatasetError, match=words):
        read_calibrations(read, choose_camera(read).info, InfoOptions())


def test_a_depth_cameras_calibration_is_no_candidate_beside_the_colour_cameras(tmp_path: Path) -> None:
    infos = {"/cam/depth/camera_info": "depth", "/cam/rgb/camera_info": "color"}
    with open_bag(write_topics(tmp_path / "bag", {"/cam/color/image_raw": "color"}, infos)) as bag:
        assert choose_camera(bag).info.name == "/cam/rgb/camera_info"


def test_the_option_that_chooses_is_that_of_the_depth_camera(tmp_path: Path) -> None:
    infos = {"/color_info": "", "/other_info": ""}
    with open_bag(write_topics(tmp_path / "bag", {"/color": "", "/depth": ""}, infos)) as bag:
        camera = choose_camera(bag, "", "/color_info")
        with pytest.raises(DatasetError, match=r"camera_info for /depth, choose one with --depth-info-topic"):
            choose_depth(bag, camera, "camera", DepthOptions(), BagOptions())
        with pytest.raises(DatasetError, match=r"camera_info for /depth, choose one with --stereo-info-topic"):
            choose_stereo(bag, camera, "/depth", "", BagOptions())
