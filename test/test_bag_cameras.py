"""Bags: camera_infos are taken and refused as docs/ros.md says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bag_scenes import CAMERA_FRAME, knowing, stamp, write_drive, write_truth
from support.documented_cameras import CAMERA, EXAMPLES, Example

from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import CAMERA_INFO, RAW_IMAGE, open_bag
from vloc_ros.bags.writer import open_writer
from vloc_ros.cli import main
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.errors import DatasetError


def write_camera(path: Path, example: Example) -> Path:
    """A bag of one image with this camera_info."""
    right = messages.camera_info(stamp(0), CAMERA_FRAME, CAMERA)
    fields = example.fields
    numbers = {name: np.array(fields[name], dtype=np.float64) for name in "dkrp"}
    roi = replace(right.roi, **fields["roi"])
    with open_writer(path) as bag:
        write_truth(bag, 0)
        bag.write("/cam/camera_info", CAMERA_INFO, stamp(0), replace(right, **{**fields, **numbers, "roi": roi}))
        image = messages.image(stamp(0), CAMERA_FRAME, np.zeros((480, 640, 3), np.uint8))
        bag.write("/cam/image_raw", RAW_IMAGE, stamp(0), image)
    return path


def image_in(path: Path, **options: object) -> CameraImage:
    with open_bag(path) as bag:
        (frame,) = bag_frames(bag, BagOptions(**options), "map")  # type: ignore[arg-type]
        return frame.image


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_documented_camera_info_is_taken_or_refused_with_its_words(tmp_path: Path, example: Example) -> None:
    path = write_camera(tmp_path / "bag", example)
    if not example.words:
        assert image_in(path).camera.width == 640
        return
    with pytest.raises(DatasetError) as caught:
        image_in(path)
    assert example.words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_advice_names_the_options_of_the_command_line(tmp_path: Path) -> None:
    path = write_camera(tmp_path / "bag", Example({"distortion_model": "double_sphere"}, ""))
    with pytest.raises(DatasetError, match=r"rectify the images \(image_proc\) and set --rectified$"):
        image_in(path)
    assert image_in(path, rectified=True).camera == CAMERA
    second = Example({"p": [525, 0, 319.5, -63, 0, 525, 239.5, 0, 0, 0, 1, 0]}, "")
    path = write_camera(tmp_path / "stereo", second)
    with pytest.raises(DatasetError, match="set --camera-frame to"):
        image_in(path)
    assert image_in(path, camera_frame="right").frame_id == "right"


def test_a_focal_length_far_from_the_maps_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_drive(tmp_path / "drive")
    localizer = knowing(monkeypatch)
    manifest = replace(localizer.landmark_map.manifest, training={"field_of_view_deg": [62.7, 62.7]})
    aware = replace(localizer, landmark_map=replace(localizer.landmark_map, manifest=manifest))
    monkeypatch.setattr("vloc_ros.cli.evaluate.opened_map", lambda *_: aware)
    assert main(["evaluate", "--map", "m", "--bag", str(path)]) == 0
    (warning,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
    assert "43.6 deg" in warning
    assert "62.7 deg" in warning
