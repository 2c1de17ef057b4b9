"""Images: what the nodes rely on, of the distribution's cv_bridge or of the overlay's."""

import array

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")

from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

HEIGHT, WIDTH = 6, 8
# Encoding, type and channels of its arrays.
ENCODINGS = [
    ("rgb8", np.uint8, 3),
    ("bgr8", np.uint8, 3),
    ("rgba8", np.uint8, 4),
    ("bgra8", np.uint8, 4),
    ("mono8", np.uint8, 1),
    ("mono16", np.uint16, 1),
    ("rgb16", np.uint16, 3),
    ("8UC1", np.uint8, 1),
    ("8UC3", np.uint8, 3),
    ("16UC1", np.uint16, 1),
    ("16SC2", np.int16, 2),
    ("32SC1", np.int32, 1),
    ("32FC1", np.float32, 1),
    ("64FC3", np.float64, 3),
    ("bayer_rggb8", np.uint8, 1),
    ("bayer_bggr8", np.uint8, 1),
    ("bayer_gbrg8", np.uint8, 1),
    ("bayer_grbg8", np.uint8, 1),
    ("yuv422", np.uint8, 2),
    ("yuv422_yuy2", np.uint8, 2),
]
encodings = pytest.mark.parametrize(("encoding", "dtype", "channels"), ENCODINGS, ids=[name for name, *_ in ENCODINGS])
BRIDGE = CvBridge()
RGB = (200, 100, 50)


def noise(dtype: type, channels: int) -> NDArray[np.generic]:
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def plain(encoding: str = "rgb8", color: tuple[int, ...] = RGB) -> Image:
    return BRIDGE.cv2_to_imgmsg(np.full((HEIGHT, WIDTH, len(color)), color, np.uint8).squeeze(), encoding)


@encodings
def test_there_and_back(encoding: str, dtype: type, channels: int) -> None:
    image = noise(dtype, channels)
    message = BRIDGE.cv2_to_imgmsg(image, encoding, Header(frame_id="camera"))
    assert (message.width, message.height, message.encoding) == (WIDTH, HEIGHT, encoding)
    assert message.step == WIDTH * channels * np.dtype(dtype).itemsize
    assert message.header.frame_id == "camera"
    for desired in ("passthrough", encoding):
        back = BRIDGE.imgmsg_to_cv2(message, desired)
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, image)


@encodings
def test_rows_may_be_padded(encoding: str, dtype: type, channels: int) -> None:
    image = noise(dtype, channels)
    padding = np.full((HEIGHT, 2, *image.shape[2:]), 7, dtype)
    message = BRIDGE.cv2_to_imgmsg(np.concatenate([image, padding], axis=1), encoding)
    message.width = WIDTH
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), image)


@encodings
def test_the_other_byte_order(encoding: str, dtype: type, channels: int) -> None:
    image = noise(dtype, channels)
    message = BRIDGE.cv2_to_imgmsg(image, encoding)
    message.data = array.array("B", image.astype(np.dtype(dtype).newbyteorder(">")).tobytes())
    message.is_bigendian = 1
    back = BRIDGE.imgmsg_to_cv2(message)
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, image)


def test_passthrough_names_the_type_of_the_array() -> None:
    assert BRIDGE.cv2_to_imgmsg(noise(np.uint8, 3)).encoding == "8UC3"
    assert BRIDGE.cv2_to_imgmsg(noise(np.float32, 1)).encoding == "32FC1"


def test_colors_keep_their_meaning() -> None:
    r, g, b = RGB
    grey = round(0.299 * r + 0.587 * g + 0.114 * b)
    expected = {"rgb8": [r, g, b], "bgr8": [b, g, r], "rgba8": [r, g, b, 255], "bgra8": [b, g, r, 255], "mono8": [grey]}
    for source in ("rgb8", "bgr8", "rgba8", "bgra8"):
        message = plain(source, tuple(expected[source]))
        for target, color in expected.items():
            image = BRIDGE.imgmsg_to_cv2(message, target)
            assert image.shape == ((HEIGHT, WIDTH, len(color)) if len(color) > 1 else (HEIGHT, WIDTH))
            np.testing.assert_array_equal(image.reshape(-1, len(color)), np.tile(color, (HEIGHT * WIDTH, 1)))
    for target in ("rgb8", "bgr8"):
        np.testing.assert_array_equal(
            BRIDGE.imgmsg_to_cv2(plain("mono8", (9,)), target), np.full((HEIGHT, WIDTH, 3), 9)
        )


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_bayer_pattern_names_its_first_two_rows(pattern: str) -> None:
    tile = np.array([RGB["rgb".index(letter)] for letter in pattern], np.uint8).reshape(2, 2)
    message = BRIDGE.cv2_to_imgmsg(np.tile(tile, (HEIGHT // 2, WIDTH // 2)), f"bayer_{pattern}8")
    expected = np.tile(np.array(RGB, np.uint8), (HEIGHT, WIDTH, 1))
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "rgb8"), expected)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "bgr8"), expected[..., ::-1])


@pytest.mark.parametrize(("encoding", "luma"), [("yuv422", 1), ("yuv422_yuy2", 0)])
def test_yuv_is_two_bytes_a_pixel(encoding: str, luma: int) -> None:
    image = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)  # chroma 128 is grey
    image[..., luma] = np.linspace(16, 235, WIDTH).astype(np.uint8)
    rgb = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, encoding), "rgb8").astype(int)
    assert np.ptp(rgb, axis=2).max() <= 1
    np.testing.assert_allclose(rgb[0, :, 0], (image[0, :, luma] - 16.0) * 255 / 219, atol=2)


def test_white_stays_white_in_another_depth() -> None:
    deep = BRIDGE.cv2_to_imgmsg(np.array([[0, 257 * 100, 65535]], np.uint16), "mono16")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(deep, "mono8"), [[0, 100, 255]])
    flat = BRIDGE.cv2_to_imgmsg(np.array([[0, 100, 255]], np.uint8), "mono8")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(flat, "mono16"), [[0, 257 * 100, 65535]])
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(deep, "rgb8")[..., 0], [[0, 100, 255]])


def test_depth_images_become_floats_with_the_same_numbers() -> None:
    depth = noise(np.uint16, 1)
    image = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(depth, "16UC1"), "32FC1")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, depth)


def test_a_conversion_copies() -> None:
    message = plain()
    image = BRIDGE.imgmsg_to_cv2(message, "rgb8")
    image[:] = 0
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "rgb8")[0, 0], RGB)


@pytest.mark.parametrize(
    ("encoding", "desired"),
    [
        ("rgb9", "passthrough"),
        ("rgb8", "rgb9"),
        ("8UC3", "rgb8"),
        ("32FC1", "mono8"),
        ("16UC1", "8UC3"),
        ("bayer_rggb8", "rgba8"),
        ("rgb8", "bayer_rggb8"),
        ("rgb8", "yuv422"),
    ],
)
def test_what_cannot_be_converted_is_an_error(encoding: str, desired: str) -> None:
    message = Image(width=2, height=2, encoding=encoding, step=16)
    message.data = array.array("B", bytes(32))
    with pytest.raises(CvBridgeError):
        BRIDGE.imgmsg_to_cv2(message, desired)


def test_other_errors() -> None:
    assert issubclass(CvBridgeError, TypeError)
    with pytest.raises(CvBridgeError):
        BRIDGE.cv2_to_imgmsg(noise(np.uint8, 3), "mono8")
    with pytest.raises(TypeError):
        BRIDGE.cv2_to_imgmsg([[1, 2], [3, 4]])
    with pytest.raises(TypeError):
        BRIDGE.cv2_to_compressed_imgmsg([[1, 2], [3, 4]])
    short = plain()
    short.data = short.data[:-1]
    with pytest.raises(TypeError):
        BRIDGE.imgmsg_to_cv2(short)


def test_png_is_lossless() -> None:
    bgr = noise(np.uint8, 3)
    message = BRIDGE.cv2_to_compressed_imgmsg(bgr, "png")
    assert message.format == "png"
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message), bgr)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message, "bgr8"), bgr)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message, "rgb8"), bgr[..., ::-1])
    depth = noise(np.uint16, 1)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(BRIDGE.cv2_to_compressed_imgmsg(depth, "png")), depth)


def test_jpeg_is_almost() -> None:
    bgr = np.full((HEIGHT, WIDTH, 3), RGB[::-1], np.uint8)
    message = BRIDGE.cv2_to_compressed_imgmsg(bgr)
    assert message.format == "jpg"
    assert bytes(message.data[:2]) == b"\xff\xd8"
    np.testing.assert_allclose(BRIDGE.compressed_imgmsg_to_cv2(message, "bgr8"), bgr, atol=3)


def test_what_is_no_compressed_image() -> None:
    message = CompressedImage(format="jpeg")
    message.data = array.array("B", b"no image")
    assert BRIDGE.compressed_imgmsg_to_cv2(message) is None
    with pytest.raises(CvBridgeError):
        BRIDGE.compressed_imgmsg_to_cv2(message, "rgb8")
