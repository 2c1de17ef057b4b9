"""Grey images: known as such, and told of where a map knows none."""

from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.core.grey import UNKNOWN_COLORS, UNKNOWN_GREY, color_mismatch, is_grey, kind_of_images
from vloc_ros.core.types import Rejection
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.grayscale import PartlyGrayscale, to_grayscale
from vloc_ros.datasets.subset import Subset
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.shipped import shipped

COLOR_IMAGES = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
GREY_IMAGES = np.stack([to_grayscale(image) for image in COLOR_IMAGES])


def test_an_image_is_grey_if_it_shows_something_without_colours() -> None:
    assert not is_grey(COLOR_IMAGES[0])
    assert is_grey(GREY_IMAGES[0])
    assert not is_grey(np.zeros((40, 60, 3), np.uint8)), "nothing is seen: that is no matter of colours"


@pytest.mark.parametrize(
    ("images", "grey", "kind"),
    [
        (COLOR_IMAGES, 0.0, "colour"),
        (COLOR_IMAGES, 0.3, "colour and grey"),
        (COLOR_IMAGES, 1.0, "grey"),
        (GREY_IMAGES, 0.0, "grey"),
        (GREY_IMAGES, 0.3, "grey"),
        (np.concatenate([COLOR_IMAGES, GREY_IMAGES]), 0.0, "colour and grey"),
    ],
)
def test_a_map_is_for_the_images_that_its_network_learned_from(images: np.ndarray, grey: float, kind: str) -> None:
    assert kind_of_images(images, grey) == kind


def test_the_share_of_grey_frames_is_spread_evenly() -> None:
    room = Subset(open_dataset("synthetic_room", None, "small"), range(6))
    found = [is_grey(PartlyGrayscale(room, 0.5).frame(index).image.rgb) for index in range(6)]
    assert found == [False, True] * 3


@pytest.fixture(scope="module")
def room() -> Dataset:
    return Subset(open_dataset("synthetic_room", None, "small"), [4, 12])


@pytest.fixture(scope="module")
def demo() -> Localizer:
    return load_localizer(shipped("maps/demo_room"))


def test_a_rejected_grey_image_is_told_of_the_map_s_colours(room: Dataset, demo: Localizer) -> None:
    for index in range(len(room)):
        result = demo.localize(PartlyGrayscale(room).frame(index).image)
        assert isinstance(result, Rejection)
        assert result.detail.endswith(f"; {UNKNOWN_GREY}")
        assert not isinstance(demo.localize(room.frame(index).image), Rejection)


def test_what_a_map_knows_is_not_doubted(demo: Localizer) -> None:
    manifest = demo.landmark_map.manifest
    color, grey = COLOR_IMAGES[0], GREY_IMAGES[0]
    for images, doubts in {
        None: (None, UNKNOWN_GREY),
        "colour": (None, UNKNOWN_GREY),
        "grey": (UNKNOWN_COLORS, None),
        "colour and grey": (None, None),
        7: (None, UNKNOWN_GREY),
    }.items():
        known = replace(manifest, training={} if images is None else {"images": images})
        assert (color_mismatch(color, known), color_mismatch(grey, known)) == doubts
