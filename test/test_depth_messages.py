"""Depth messages: metres whatever their encoding, byte order and padding; compressed_depth in PNG and RVL."""

import struct
from contextlib import suppress
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.errors import ImageError
from vloc_ros.images.depth import holds_depth, to_depth
from vloc_ros.images.rvl import decode_rvl

HEIGHT, WIDTH = 24, 37


def millimetres() -> NDArray[np.uint16]:
    rng = np.random.default_rng(3)
    values = rng.integers(400, 9000, (HEIGHT, WIDTH)).astype(np.uint16)
    values[rng.uniform(size=values.shape) < 0.3] = 0
    values[2, 3] = 65535
    return values


def expected(values: NDArray[np.uint16]) -> NDArray[np.float64]:
    return np.where(values == 65535, 0, values / 1000.0)


def raw(values: NDArray[np.generic], encoding: str, *, padding: int = 0, big: bool = False) -> SimpleNamespace:
    kind = values.dtype.newbyteorder(">" if big else "<")
    rows = [row.astype(kind).tobytes() + b"\xff" * padding for row in values]
    return SimpleNamespace(
        height=values.shape[0], width=values.shape[1], encoding=encoding, is_bigendian=int(big), step=len(rows[0]),
        data=b"".join(rows),
    )  # fmt: skip


def compressed(content: bytes, how: str, a: float = 0.0, b: float = 0.0) -> SimpleNamespace:
    return SimpleNamespace(format=how, data=struct.pack("<iff", 0, a, b) + content)


def png(values: NDArray[np.uint16]) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def encode_rvl(values: NDArray[np.uint16]) -> bytes:
    """As the paper's listing does it, half a byte after the other."""
    halves: list[int] = []

    def put(number: int) -> None:
        while True:
            rest = number >> 3
            halves.append((number & 7) | (8 if rest else 0))
            number = rest
            if not number:
                return

    flat, place, previous = values.ravel().tolist(), 0, 0
    while place < len(flat):
        for zeros in (True, False):
            end = place
            while end < len(flat) and (flat[end] == 0) is zeros:
                end += 1
            put(end - place)
            for value in () if zeros else flat[place:end]:
                delta, previous = value - previous, value
                put((delta << 1) ^ (delta >> 31))
            place = end
    halves += [0] * (-len(halves) % 8)
    words = [sum(half << (28 - 4 * k) for k, half in enumerate(halves[i : i + 8])) for i in range(0, len(halves), 8)]
    return struct.pack(f"<{len(words)}I", *words)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
def test_raw_depth_is_metres(big: bool, padding: int) -> None:
    values = millimetres()
    assert np.abs(to_depth(raw(values, "16UC1", padding=padding, big=big)) - expected(values)).max() < 1e-6
    metres = expected(values).astype(np.float32)
    metres[0, :4] = np.nan, np.inf, -1, 0
    found = to_depth(raw(metres, "32FC1", padding=padding, big=big))
    assert not found[0, :4].any()
    assert (found[1:] == metres[1:]).all()


@pytest.mark.parametrize("how", ["16UC1; compressedDepth", "16UC1; compressedDepth png"])
def test_png_of_compressed_depth(how: str) -> None:
    values = millimetres()
    assert np.abs(to_depth(compressed(png(values), how)) - expected(values)).max() < 1e-6


def test_float_depth_comes_back_from_its_inverse() -> None:
    metres = np.maximum(expected(millimetres()), 0)
    a, b = 100.0 * 101.0, 1.0 - 101.0 / 10.0  # compressed_depth's for 10 m, and 100 of quantization
    values = np.where(metres > 0, a / np.where(metres > 0, metres, 1) + b, 0).astype(np.uint16)
    found = to_depth(compressed(png(values), "32FC1; compressedDepth png", a, b))
    assert (found[metres == 0] == 0).all()
    assert np.abs(found - metres)[metres > 0].max() < 0.01


def test_rvl_is_lossless() -> None:
    values = millimetres()
    content = struct.pack("<ii", WIDTH, HEIGHT) + encode_rvl(values)
    assert np.abs(to_depth(compressed(content, "16UC1; compressedDepth rvl")) - expected(values)).max() < 1e-6
    nothing = np.zeros(50, np.uint16)
    assert (decode_rvl(encode_rvl(nothing), 50) == nothing).all()


@pytest.mark.parametrize("end", [0, 1, 4, 40, -4])
def test_rvl_that_is_cut_short_is_refused(end: int) -> None:
    values = millimetres()
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode_rvl(encode_rvl(values)[:end], values.size)


def test_noise_is_no_rvl_that_never_ends() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        with suppress(ImageError):
            assert len(decode_rvl(rng.integers(0, 255, 400, np.uint8).tobytes(), 3000)) == 3000


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (raw(millimetres(), "rgb8"), "depth is 16UC1, mono16 or 32FC1"),
        (SimpleNamespace(**{**vars(raw(millimetres(), "16UC1")), "data": b"12"}), "too few"),
        (SimpleNamespace(**{**vars(raw(millimetres(), "16UC1")), "width": 0}), "empty"),
        (compressed(png(millimetres()), "bgr8; jpeg compressed bgr8"), "nor of compressed_depth"),
        (compressed(b"", "16UC1; compressedDepth"), "truncated"),
        (compressed(struct.pack("<ii", 100_000, 100_000), "16UC1; compressedDepth rvl"), "million"),
        (compressed(png(np.zeros((4, 4, 3), np.uint16)), "16UC1; compressedDepth"), "one channel of 16 bits"),
    ],
)
def test_what_is_no_depth_is_one_line(message: SimpleNamespace, said: str) -> None:
    with pytest.raises(ImageError, match="depth image") as caught:
        to_depth(message)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["16UC1; png compressed ", "mono16; png compressed mono16", "png"])
def test_a_png_of_the_transport_compressed_is_of_millimetres(kind: str) -> None:
    values = millimetres()
    message = SimpleNamespace(format=kind, data=np.frombuffer(png(values), np.uint8))
    assert holds_depth(message)
    np.testing.assert_allclose(to_depth(message), expected(values), atol=1e-6)


def test_pictures_of_depth_are_none() -> None:
    for ending in (".jpg", ".png"):
        picture = cv2.imencode(ending, np.full((HEIGHT, WIDTH), 7, np.uint8))[1].tobytes()
        message = SimpleNamespace(format="16UC1; jpeg compressed", data=picture)
        assert not holds_depth(message)
        with pytest.raises(ImageError, match="16 bits"):
            to_depth(message)
