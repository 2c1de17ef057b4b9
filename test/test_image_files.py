"""JPEG and PNG content, of messages and of files: the table of docs/ros.md, and what is checked before decoding."""

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.documented_tables import code_in, table_below
from support.image_messages import KINDS, encoded, message_class

from vloc_ros.datasets.dataset_files import read_depth, read_image
from vloc_ros.errors import DatasetError, ImageError, VlocError
from vloc_ros.images import decode_rgb, jpeg, to_rgb
from vloc_ros.images.limits import MAX_PIXELS

HEIGHT, WIDTH = 48, 64
simplejpeg: Any = vars(jpeg)["simplejpeg"]  # None where it is not installed
RGB = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8), (WIDTH, HEIGHT))
JPEG, PNG = encoded(RGB), encoded(RGB, ".png")
MOSAIC_FORMAT = "bayer_rggb8; png compressed "
ROWS = {row["content of a CompressedImage or a file"]: row for row in table_below("Cameras: encodings", number=2)}
NEEDS_SIMPLEJPEG = pytest.mark.skipif(simplejpeg is None, reason="simplejpeg is not installed")


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def by_opencv(data: bytes) -> np.ndarray:
    """RGB (H, W, 3)."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return bgr[..., ::-1]


def broken_off(seed: int = 0) -> bytes:
    """A JPEG of which little but noise is left, between its markers."""
    noise = np.random.default_rng(seed).integers(0, 255, 200).astype(np.uint8).tobytes()  # 255 would be a marker
    return JPEG[: JPEG.rindex(b"\xff\xda") + 20] + noise + JPEG[-2:]


def png_of_size(width: int, height: int) -> bytes:
    """A right PNG of few bytes, grey, all black."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    rows, left = zlib.compressobj(), (1 + width) * height
    black = b""
    while left > 0:  # not row by row: of narrow images there are millions
        black += rows.compress(bytes(min(left, 1 << 20)))
        left -= 1 << 20
    black += rows.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", black) + chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose header says that it is so large."""
    frame = JPEG.index(b"\xff\xc0")
    return JPEG[: frame + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + JPEG[frame + 9 :]


# What the rows of the page say, as (format, content) of a message.
EXAMPLES: dict[str, list[tuple[str, bytes]]] = {
    "JPEG": [
        ("jpeg", JPEG),
        ("rgb8; jpeg compressed bgr8", encoded(RGB, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        ("mono8; jpeg compressed mono8", encoded(RGB[..., 0])),
        ("", encoded(RGB, ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2)),
    ],
    "JPEG with bytes after its end, as MJPEG cameras write": [("jpeg", JPEG + bytes(n)) for n in (1, 63, 64, 5000)],
    "JPEG that does not end": [("jpeg", JPEG[:n]) for n in (2, 3, 10, 300, -1, -2, -40)]
    + [("jpeg", JPEG[:-2] + bytes(100))],
    "JPEG that libjpeg warns of; needs the Python package `simplejpeg`": [("jpeg", broken_off())],
    "PNG of 8 or 16 bits": [
        ("png", PNG),
        ("rgb16; png compressed bgr16", encoded(RGB.astype(np.uint16) * 257, ".png")),
    ],
    "PNG with a Bayer mosaic, as image_transport makes (`bayer_rggb8; png compressed `)": [
        (MOSAIC_FORMAT, encoded(np.full((HEIGHT, WIDTH), 99, np.uint8), ".png"))
    ],
    "PNG that does not end": [("png", PNG[:n]) for n in (8, 20, 100, -1)],
    "PNG with a damaged part": [("png", flipped(PNG, len(PNG) // 2)), ("png", flipped(PNG, 23))],
    "of more than 64 million pixels": [
        ("jpeg", jpeg_of_size(65500, 65500)),
        ("png", png_of_size(1, MAX_PIXELS + 1)[:100] + PNG[-12:]),
    ],
    "TIFF, WebP, depth as `compressedDepth`, all others": [
        ("rgb8; tiff compressed ", encoded(RGB, ".tiff")),
        ("webp", encoded(RGB, ".webp")),
        ("16UC1; compressedDepth png", bytes(12) + PNG),
        ("jpeg", b"plain text"),
    ],
}


def test_the_examples_are_those_of_the_page() -> None:
    assert list(EXAMPLES) == list(ROWS)


@pytest.mark.parametrize("kind", [*KINDS, "file"])
@pytest.mark.parametrize("content", ROWS)
def test_the_page_says_what_is_taken(content: str, kind: str, tmp_path: Path) -> None:
    row, words = ROWS[content], code_in(ROWS[content]["refused with"])
    if "simplejpeg" in content and simplejpeg is None:
        pytest.skip("simplejpeg is not installed")
    if content.startswith("PNG with a Bayer") and kind == "file":
        pytest.skip("only a message's format says that it is a mosaic")
    for format_, data in EXAMPLES[content]:
        if row["taken"] == "yes":
            rgb = decoded(kind, format_, data, tmp_path)
            assert (rgb.shape, rgb.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
        else:
            with pytest.raises(VlocError) as raised:
                decoded(kind, format_, data, tmp_path)
            assert words[0] in str(raised.value)
            assert "\n" not in str(raised.value)


def decoded(kind: str, format_: str, data: bytes, folder: Path) -> Any:
    if kind != "file":
        return to_rgb(message_class(kind, "CompressedImage")(data, format=format_))
    (folder / "image").write_bytes(data)
    return read_image(folder / "image")


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_named(kind: str) -> None:
    message = message_class(kind, "CompressedImage")
    with pytest.raises(ImageError, match=r"^compressed image of 5 bytes, format 'a\\nb': neither"):
        to_rgb(message(b"hello", format="a\nb"))
    with pytest.raises(ImageError, match=r"^compressed image of 0 bytes, format 'jpeg': it is empty"):
        to_rgb(message(b"", format="jpeg"))


def test_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG[:-9])
    with pytest.raises(DatasetError, match=r"a\.jpg: truncated, the image ends after"):
        read_image(tmp_path / "a.jpg")
    cv2.imwrite(str(tmp_path / "a.png"), RGB)
    with pytest.raises(DatasetError, match=r"a\.png: depth must be one channel of 16 bits, this is 3 of uint8"):
        read_depth(tmp_path / "a.png")


def test_pixels_are_those_of_opencv() -> None:
    for data in (JPEG, PNG, encoded(RGB[..., 0])):
        np.testing.assert_array_equal(decode_rgb(data), by_opencv(data))


def test_the_orientation_of_exif_is_ignored() -> None:
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(turned) + 2).to_bytes(2, "big") + turned
    np.testing.assert_array_equal(decode_rgb(JPEG[:2] + segment + JPEG[2:]), decode_rgb(JPEG))


def test_fill_bytes_before_markers_are_legal() -> None:
    filled = JPEG[:2]
    at = 2
    while JPEG[at + 1] != 0xDA:
        length = int.from_bytes(JPEG[at + 2 : at + 4], "big")
        filled += b"\xff" * 7 + JPEG[at : at + 2 + length]
        at += 2 + length
    filled += b"\xff\xff" + JPEG[at:-2] + b"\xff\xff" + JPEG[-2:]
    np.testing.assert_array_equal(decode_rgb(filled), decode_rgb(JPEG))


def test_a_thumbnail_is_neither_the_end_nor_the_size() -> None:
    thumbnail = b"Exif\0\0" + encoded(RGB[:8, :8])
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = JPEG[:2] + segment + JPEG[2:]
    np.testing.assert_array_equal(decode_rgb(data), decode_rgb(JPEG))
    with pytest.raises(ImageError, match="truncated"):
        decode_rgb(data[:-20])


def test_a_mosaic_as_png_is_that_of_the_raw_message() -> None:
    mosaic = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    raw, compressed = message_class("rosbags", "Image"), message_class("rosbags", "CompressedImage")
    fields = {"height": HEIGHT, "width": WIDTH, "is_bigendian": 0, "step": 2 * WIDTH}
    expected = to_rgb(raw(mosaic.tobytes(), encoding="bayer_gbrg16", **fields))
    png = compressed(encoded(mosaic, ".png"), format="bayer_gbrg16; png compressed ")
    np.testing.assert_array_equal(to_rgb(png), expected)
    with pytest.raises(ImageError, match="a Bayer mosaic is one channel of 8 bits, this is uint16"):
        to_rgb(compressed(encoded(mosaic, ".png"), format=MOSAIC_FORMAT))


@pytest.mark.parametrize("content", [png_of_size(46_000, 5_750), jpeg_of_size(65_500, 30_000)], ids=["png", "jpeg"])
def test_too_large_an_image_is_refused_before_it_takes_memory(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="pixels are more than the 64 million that are decoded"):
        decode_rgb(content)


def test_a_progressive_image_of_endless_scans_is_refused() -> None:
    progressive = encoded(RGB, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = progressive.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="its pixels come in 1010 scans"):
        decode_rgb(progressive[:-2] + progressive[last:-2] * 1000 + progressive[-2:])


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xe0\0\2", b"\xff\xd0", b"\xff\0", b"\0"])
def test_an_endless_header_takes_no_time_to_speak_of(filler: bytes) -> None:
    with pytest.raises(ImageError, match="truncated"):
        decode_rgb(JPEG[:2] + filler * (20_000_000 // len(filler)))


@NEEDS_SIMPLEJPEG
@pytest.mark.parametrize("seed", range(20))
def test_a_jpeg_whose_pixels_break_off_is_refused(seed: int) -> None:
    with pytest.raises(ImageError, match="damaged: "):
        decode_rgb(broken_off(seed))


@NEEDS_SIMPLEJPEG
@pytest.mark.parametrize("stray", [1, 7, 10, 17])
@pytest.mark.parametrize("marker", [b"\xff\xd0", b"\xff\xd9"])
def test_a_few_stray_bytes_behind_the_pixels_are_what_webcams_write(stray: int, marker: bytes) -> None:
    good = encoded(RGB, ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    data = good.replace(marker, bytes(stray) + marker)
    if stray > 15:
        with pytest.raises(ValueError, match=r"1[0-9] extraneous bytes before marker 0xd"):
            simplejpeg.decode_jpeg(data)
    np.testing.assert_array_equal(decode_rgb(good.replace(marker, bytes(min(stray, 15)) + marker)), decode_rgb(good))
    with pytest.raises(ImageError, match=r"damaged: Corrupt JPEG data: [34][0-9] extraneous bytes"):
        decode_rgb(good.replace(marker, bytes(40) + marker))


def test_without_simplejpeg_all_but_the_warnings_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    np.testing.assert_array_equal(decode_rgb(JPEG), by_opencv(JPEG))
    assert decode_rgb(broken_off()).shape == RGB.shape
    with pytest.raises(ImageError, match="truncated"):
        decode_rgb(JPEG[:-2])
