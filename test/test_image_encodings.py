"""Raw images: the table of docs/ros.md, for the messages of rclpy and of rosbags, against slow references."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.documented_tables import code_in, table_below
from support.image_messages import KINDS, message_class, raw_fields

from vloc_ros.errors import ImageError
from vloc_ros.images import to_rgb
from vloc_ros.images.encodings import ENCODINGS

HEIGHT, WIDTH = 6, 8
Values = NDArray[Any]
ROWS = [(name, row) for row in table_below("Cameras: encodings") for name in code_in(row["`encoding` of an Image"])]
TAKEN = [name for name, row in ROWS if row["taken"] != "no"]
SHARED_COLOURS = [(name, row) for name, row in ROWS if row["taken"].startswith("of even")]
Make = Callable[..., Any]


@pytest.fixture(params=KINDS)
def image(request: pytest.FixtureRequest) -> Make:
    return message_class(request.param, "Image")


def noise(*shape: int, dtype: type = np.uint8) -> Values:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def example(encoding: str) -> tuple[Values, Values, int]:
    """Noise in an encoding, the RGB that it means by a slow reference, and by how much OpenCV may differ."""
    bits = 16 if encoding.endswith("16") else 8
    family = encoding.removesuffix(str(bits))
    order = {"rgb": "rgb", "bgr": "bgr", "rgba": "rgba", "bgra": "bgra", "8UC3": "bgr", "8UC4": "bgra"}.get(family)
    dtype = np.uint16 if bits == 16 else np.uint8
    if order:
        values = noise(HEIGHT, WIDTH, len(order), dtype=dtype)
        return values, in_eight_bits(values[..., [order.index(letter) for letter in "rgb"]]), 0
    if family in ("mono", "8UC1"):
        values = noise(HEIGHT, WIDTH, dtype=dtype)
        return values, in_eight_bits(np.dstack([values] * 3)), 0
    if family.startswith("bayer_"):
        values = noise(HEIGHT, WIDTH, dtype=dtype)
        return values, in_eight_bits(interpolated(values, family.removeprefix("bayer_"))), 0
    if family in ("nv12", "nv21"):
        values = noise(HEIGHT * 3 // 2, WIDTH)
        chroma = values[HEIGHT:].reshape(HEIGHT // 2, WIDTH // 2, 2).repeat(2, axis=0).repeat(2, axis=1)
        u, v = (0, 1) if family == "nv12" else (1, 0)
        return values, from_yuv(values[:HEIGHT], chroma[..., u], chroma[..., v]), 1
    luma = 1 if family in ("uyvy", "yuv422") else 0
    values = noise(HEIGHT, WIDTH, 2)
    both = [values[:, first::2, 1 - luma].repeat(2, axis=1) for first in (0, 1)]
    return values, from_yuv(values[..., luma], *both), 1


def in_eight_bits(values: Values) -> Values:
    return values if values.dtype == np.uint8 else np.round(values / 257).astype(np.uint8)


def from_yuv(y: Values, u: Values, v: Values) -> Values:
    """ITU-R BT.601, as cameras have it: Y from 16 (and below) to 235."""
    y, u, v = 1.164383 * (np.maximum(y, 16) - 16.0), u - 128.0, v - 128.0
    rgb = np.dstack([y + 1.596027 * v, y - 0.391762 * u - 0.812968 * v, y + 2.017232 * u])
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


def interpolated(mosaic: Values, pattern: str) -> Values:
    """The mean of the nearest pixels of each colour, rounded up; the border has the colours of the pixels within."""
    height, width = mosaic.shape
    tile = np.array(["rgb".index(letter) for letter in pattern]).reshape(2, 2)
    colour = np.tile(tile, (height // 2, width // 2))
    rgb = np.zeros((height, width, 3), mosaic.dtype)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            for channel in range(3):
                near = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if colour[row + r, column + c] == channel]
                closest = min(abs(r) + abs(c) for r, c in near)
                found = [int(mosaic[row + r, column + c]) for r, c in near if abs(r) + abs(c) == closest]
                rgb[row, column, channel] = (2 * sum(found) + len(found)) // (2 * len(found))
    return np.pad(rgb[1:-1, 1:-1], ((1, 1), (1, 1), (0, 0)), mode="edge")


def test_the_page_lists_every_encoding() -> None:
    assert sorted(TAKEN) == sorted(ENCODINGS)


@pytest.mark.parametrize("padding", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("encoding", TAKEN)
def test_what_the_page_says_is_taken_means_what_it_says(image: Make, encoding: str, padding: int) -> None:
    values, expected, tolerance = example(encoding)
    rgb = to_rgb(image(**raw_fields(encoding, values, padding, height=HEIGHT)))
    assert rgb.dtype == np.uint8
    assert rgb.flags.writeable
    assert rgb.flags.c_contiguous
    np.testing.assert_allclose(rgb.astype(int), expected, atol=tolerance)


@pytest.mark.parametrize("encoding", [name for name in TAKEN if name.endswith("16")])
def test_sixteen_bits_in_the_other_byte_order(image: Make, encoding: str) -> None:
    values, expected, _ = example(encoding)
    swapped = raw_fields(encoding, values.byteswap(), padding=3, is_bigendian=1)
    np.testing.assert_array_equal(to_rgb(image(**swapped)), expected)


@pytest.mark.parametrize(("encoding", "row"), [(name, row) for name, row in ROWS if row["taken"] == "no"])
def test_what_the_page_says_is_refused_is_refused_so(image: Make, encoding: str, row: dict[str, str]) -> None:
    refused(image(**raw_fields(encoding, noise(HEIGHT, WIDTH, 8))), code_in(row["refused with"])[0])


@pytest.mark.parametrize("change", ["width", "height"])
@pytest.mark.parametrize(("encoding", "row"), SHARED_COLOURS)
def test_pixels_that_share_colours_come_in_pairs(image: Make, encoding: str, row: dict[str, str], change: str) -> None:
    fields = raw_fields(encoding, noise(2 * HEIGHT, 2 * WIDTH), height=HEIGHT, width=WIDTH)
    fields[change] -= 1
    if change in row["taken"]:
        refused(image(**fields), code_in(row["refused with"])[0])
    else:
        assert to_rgb(image(**fields)).shape == (HEIGHT - 1, WIDTH, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": ""}, "image 8x6 '': its encoding is none of"),
        ({"encoding": "a\nb"}, r"image 8x6 'a\nb': its encoding"),
        ({"data": b"123"}, "image 8x6 'rgb8': 3 bytes, its step 24 needs 144"),
        ({"data": b""}, "0 bytes, its step 24 needs 144"),
        ({"step": 0}, "its step is 0, its rows have 24 bytes"),
        ({"step": 23, "data": bytes(200)}, "its step is 23, its rows have 24 bytes"),
        ({"width": 0}, "it is empty"),
        ({"height": 0}, "it is empty"),
        ({"width": 2**32 - 1}, "pixels are more than the 64 million"),
        ({"height": 2**32 - 1}, "pixels are more than the 64 million"),
        ({"height": 2**20}, "144 bytes, its step 24 needs 25165824"),
    ],
)
def test_an_image_that_is_none_is_refused_in_one_line(image: Make, changes: dict[str, Any], words: str) -> None:
    refused(image(**{**raw_fields("rgb8", noise(HEIGHT, WIDTH, 3)), **changes}), words)


def test_more_data_than_needed_are_ignored(image: Make) -> None:
    rgb = noise(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(to_rgb(image(**raw_fields("rgb8", rgb, data=rgb.tobytes() + b"more"))), rgb)


def test_the_pixels_are_no_part_of_the_message(image: Make) -> None:
    for encoding in ("rgb8", "bgr8"):
        message = image(**raw_fields(encoding, noise(HEIGHT, WIDTH, 3)))
        assert not np.shares_memory(to_rgb(message), np.asarray(message.data))


def refused(message: Any, words: str) -> None:
    with pytest.raises(ImageError) as raised:
        to_rgb(message)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
