"""camera_info: every kind on docs/ros.md is taken or refused as it says, and what is taken sees the right rays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.documented_cameras import CAMERA, EXAMPLES, Example

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import InfoOptions, read_camera_info

POINT = np.array([[0.1, -0.05, 1.0]])


def camera_of(example: Example, options: InfoOptions = InfoOptions()) -> Camera:  # noqa: B008
    return read_camera_info(example.info, options).of_image(640, 480)


def changed(**changes: Any) -> Example:
    return Example(changes, "")


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_documented_camera_info_is_taken_or_refused_with_its_words(example: Example) -> None:
    if not example.words:
        camera = camera_of(example)
        assert (camera.width, camera.height) == (640, 480)
        return
    with pytest.raises(ConfigError) as caught:
        camera_of(example)
    assert example.words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", sorted({example.words for example in EXAMPLES}))
def test_the_page_has_examples_of_both_kinds(words: str) -> None:
    assert words == words.strip()
    assert "" in {example.words for example in EXAMPLES}


FULL = replace(CAMERA.resized(1280, 960))
FULL_FIELDS = {"width": 1280, "height": 960, "k": FULL.matrix.ravel().tolist()}


def test_a_region_sees_the_rays_of_the_full_image() -> None:
    region = {"x_offset": 40, "y_offset": 480, "width": 640, "height": 480}
    camera = camera_of(changed(**FULL_FIELDS, roi=region))
    np.testing.assert_allclose(camera.project(POINT)[0] + [40, 480], FULL.project(POINT)[0])


@pytest.mark.parametrize("already", [False, True], ids=["as REP-104 says", "in width, height and K already"])
def test_binned_images_have_the_camera_of_their_pixels(already: bool) -> None:
    fields = {} if already else FULL_FIELDS
    assert camera_of(changed(**fields, binning_x=2, binning_y=2)) == CAMERA


def test_all_pixels_are_taken_whatever_the_region_says() -> None:
    region = {"x_offset": 100, "y_offset": 50, "width": 200, "height": 100}
    assert camera_of(changed(roi=region)) == CAMERA


def test_pixels_that_do_not_fill_a_binned_one_are_left_out() -> None:
    sensor = read_camera_info(changed(width=641, height=481, binning_x=2, binning_y=2).info)
    np.testing.assert_allclose(2 * (sensor.sent.project(POINT)[0] + 0.5) - 0.5, sensor.whole.project(POINT)[0])


def test_a_size_that_is_neither_names_both() -> None:
    with pytest.raises(ConfigError, match=r"image: 100x80 pixels, but its camera is 320x240, or 640x480 without"):
        read_camera_info(changed(binning_x=2, binning_y=2).info).of_image(100, 80)


@pytest.mark.parametrize("bad", ["k", "d"])
def test_rectified_images_need_p_alone(bad: str) -> None:
    example = changed(distortion_model="equidistant", **{bad: [1e9] * (9 if bad == "k" else 4)})
    assert camera_of(example, InfoOptions(rectified=True)) == CAMERA


def test_rectified_images_without_p_are_told_so_in_the_users_terms() -> None:
    with pytest.raises(
        ConfigError, match=r"P is zero .*but K is not: are the images not rectified\? unset --rectified"
    ):
        camera_of(changed(p=[0] * 12), InfoOptions(rectified=True, rectified_name="--rectified"))


def test_a_skew_of_rectified_images_is_p_s() -> None:
    with pytest.raises(ConfigError, match=r"P\[0\]\[1\] = 20 is a skew"):
        camera_of(changed(p=[525, 20, 319.5, 0, 0, 525, 239.5, 0, 0, 0, 1, 0]), InfoOptions(rectified=True))


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("offset", [3, 7], ids=["Tx", "Ty"])
def test_a_second_camera_is_taken_as_itself_once_its_own_frame_is_named(rectified: bool, offset: int) -> None:
    p = [525, 0, 319.5, 0, 0, 525, 239.5, 0, 0, 0, 1, 0]
    p[offset] = -63
    with pytest.raises(ConfigError, match=r"12 cm from the first.* set camera_frame to"):
        camera_of(changed(p=p), InfoOptions(rectified))
    assert camera_of(changed(p=p), InfoOptions(rectified, frame_named=True)) == CAMERA


def test_region_and_binning_are_named_with_the_size() -> None:
    with pytest.raises(ConfigError, match=r"^camera_info 640x480, roi 10x20 at \(3, 4\), binning 2x1: "):
        read_camera_info(
            changed(k=[0] * 9, binning_x=2, roi={"x_offset": 3, "y_offset": 4, "width": 10, "height": 20}).info
        )
