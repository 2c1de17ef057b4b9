"""Images and camera_info of every kind, good and bad: the relocalizer converts, or says what is wrong and lives on."""

import array
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from support.graph import Graph
from support.robot import Answer, Robot, camera_info, compressed_image, matrix_of, raw_image

from vloc_ros.datasets import Frame
from vloc_ros.geometry.camera import Camera

NAN = float("nan")


def ask(robot: Robot, image: dict[str, Any] | None = None, info: dict[str, Any] | None = None) -> Answer:
    """Send frame 0, its image and camera_info with some fields changed."""
    frame = robot.frames[0]

    def send(stamp_ns: int) -> None:
        robot.send_odometry(frame, stamp_ns)
        robot.infos.publish(camera_info(frame.image.camera, stamp_ns, **(info or {})))
        robot.images.publish(raw_image(frame.image.rgb, stamp_ns, **(image or {})))

    return robot.ask(send)


def error_m(robot: Robot, answer: Answer, frame: Frame) -> float:
    assert answer.is_fix, answer["rejection"]
    pose = matrix_of(robot.camera_pose_of(answer).pose)
    return float(np.linalg.norm(pose[:3, 3] - frame.map_from_camera[:3, 3]))


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    out = np.empty(rgb.shape[:2], np.uint8)
    for place, letter in enumerate(pattern):
        row, column = divmod(place, 2)
        out[row::2, column::2] = rgb[row::2, column::2, "rgb".index(letter)]
    return out


ENCODERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bgr8": lambda rgb: rgb[..., ::-1],
    "rgba8": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA),
    "bgra8": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA),
    "mono8": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY),
    **{f"bayer_{pattern}8": partial(mosaic, pattern=pattern) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    "mono16": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_every_usual_encoding_gives_a_pose_or_an_honest_rejection(robot: Robot, encoding: str) -> None:
    data = np.ascontiguousarray(ENCODERS[encoding](robot.frames[0].image.rgb))
    answer = ask(robot, {"encoding": encoding, "step": data.strides[0], "data": data.tobytes()})
    if "mono" in encoding:  # the map has colours: grey may be too little for it, but is no bad input
        assert "bad_input" not in answer["rejection"]
    else:
        assert answer.is_fix, answer["rejection"]
    if answer.is_fix:
        assert error_m(robot, answer, robot.frames[0]) < 0.15


def test_padded_rows_are_cut(robot: Robot) -> None:
    rgb = robot.frames[0].image.rgb
    padded = np.pad(rgb.reshape(len(rgb), -1), ((0, 0), (0, 32)), constant_values=255)
    answer = ask(robot, {"step": padded.shape[1], "data": padded.tobytes()})
    assert error_m(robot, answer, robot.frames[0]) < 0.1


def test_another_size_is_rescaled_together_with_its_camera(robot: Robot) -> None:
    frame = robot.frames[0]
    image, camera = frame.image, frame.image.camera
    for width, height in ((448, 336), (240, 180)):
        resized = np.asarray(cv2.resize(image.rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

        def send(stamp_ns: int, rgb: np.ndarray = resized, width: int = width, height: int = height) -> None:
            robot.send_odometry(frame, stamp_ns)
            robot.infos.publish(camera_info(camera.resized(width, height), stamp_ns))
            robot.images.publish(raw_image(rgb, stamp_ns))

        answer = robot.ask(send)
        assert error_m(robot, answer, frame) < 0.1


def test_a_distorted_image_is_undistorted(robot: Robot) -> None:
    frame = robot.frames[0]
    bent = replace(frame.image.camera, distortion=(-0.2, 0.05, 0.0, 0.0, 0.0))
    distorted = distort(frame.image.rgb, bent)
    answer = ask(robot, {"data": distorted.tobytes()}, {"d": list(bent.distortion)})
    assert error_m(robot, answer, frame) < 0.1


def distort(rgb: np.ndarray, bent: Camera) -> np.ndarray:
    """What the bent lens sees of the scene that is undistorted in `rgb`."""
    u, v = np.meshgrid(np.arange(bent.width, dtype=np.float64), np.arange(bent.height, dtype=np.float64))
    pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
    straight = cv2.undistortPoints(pixels, bent.matrix, np.array(bent.distortion), P=bent.matrix)
    where = straight.reshape(bent.height, bent.width, 2).astype(np.float32)
    return np.asarray(cv2.remap(rgb, where[..., 0], where[..., 1], cv2.INTER_LINEAR), np.uint8)


def test_rectified_images_go_with_p_not_with_k(robot: Robot) -> None:
    wrong = {"k": [9.0, 0.0, 1.0, 0.0, 9.0, 1.0, 0.0, 0.0, 1.0], "d": [9.0] * 5}
    robot.configure(image_rectified=True)
    answer = ask(robot, info=wrong)
    assert error_m(robot, answer, robot.frames[0]) < 0.1


BAD_IMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown encoding": ({"encoding": "sepia7"}, "bad_input: image 320x240 'sepia7'"),
    "too little data": ({"data": b"\x00" * 1000}, "1000 bytes, its step 960 needs 230400"),
    "step too small": ({"step": 10}, "bad_input: image 320x240 'rgb8'"),
    "no width": ({"width": 0, "height": 0, "step": 0, "data": b""}, "it is empty"),
    "depth": (
        {"encoding": "32FC1", "step": 1280, "data": np.full((240, 320), np.nan, np.float32).tobytes()},
        "its encoding is none of",
    ),
}
BAD_INFOS: dict[str, tuple[dict[str, Any], str]] = {
    "all zeros": ({"k": [0.0] * 9, "p": [0.0] * 12}, "focal length fx=0.0"),
    "not a number": ({"k": [NAN] * 9}, "not all finite"),
    "endless distortion": ({"d": [float("inf")] * 5}, "not all finite"),
    "another size": (
        {"width": 640, "height": 480, "k": [525.0, 0.0, 319.5, 0.0, 525.0, 239.5, 0.0, 0.0, 1.0]},
        "320x240 pixels, but its camera is 640x480",
    ),
    "another resolution": ({"width": 640, "height": 480}, "is it the calibration of another resolution, 320x240"),
    "empty": ({"width": 0, "height": 0}, "image size 0x0 is empty"),
    "another lens": ({"distortion_model": "double_sphere", "d": [0.1] * 2}, "'double_sphere' is not supported"),
    "odd distortion": ({"d": [0.1, 0.2, 0.3]}, "3 distortion coefficients"),
}


@pytest.mark.parametrize("bad", BAD_IMAGES)
def test_a_bad_image_is_said_and_recovered_from(robot: Robot, bad: str) -> None:
    changes, words = BAD_IMAGES[bad]
    expect_bad_input(robot, ask(robot, changes), words)


@pytest.mark.parametrize("bad", BAD_INFOS)
def test_a_bad_camera_info_is_said_and_recovered_from(robot: Robot, bad: str) -> None:
    changes, words = BAD_INFOS[bad]
    expect_bad_input(robot, ask(robot, info=changes), words)


def expect_bad_input(robot: Robot, answer: Answer, words: str) -> None:
    assert answer["rejection"].startswith("bad_input: ")
    assert words in answer["rejection"]
    assert "\n" not in answer["rejection"]
    assert answer["state"] == "localizing"
    assert robot.localize().is_fix


def test_the_frame_of_the_camera_must_be_known(robot: Robot) -> None:
    frame = robot.frames[0]

    def send(stamp_ns: int) -> None:
        robot.infos.publish(camera_info(frame.image.camera, stamp_ns))
        robot.images.publish(raw_image(frame.image.rgb, stamp_ns, frame_id=""))

    expect_bad_input(robot, robot.ask(send), "its header names no frame")


def test_a_wall_is_no_place(robot: Robot) -> None:
    answer = ask(robot, {"data": array.array("B", [128]) * (320 * 240 * 3)})
    assert not answer.is_fix
    assert "bad_input" not in answer["rejection"]
    assert robot.localize().is_fix


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (lambda: 0, "stamp is 0"),
        (lambda: -5 * 10**9, "stamp is negative: -5.000 s"),
        (lambda: time.time_ns() + 3600 * 10**9, "s from the future"),
    ],
    ids=["zero", "negative", "future"],
)
def test_a_stamp_that_cannot_be_is_said_and_recovered_from(robot: Robot, clock: Callable[[], int], words: str) -> None:
    answer = robot.ask(partial(robot.send_image, robot.frames[0]), clock)
    assert answer["rejection"].startswith("bad_stamp: ")
    assert words in answer["rejection"]
    assert robot.localize().is_fix


@pytest.fixture(scope="module")
def compressed_robot(module_graph: Graph, frames: list[Frame], shipped_map: object) -> Robot:
    module_graph.start(
        "relocalizer", map=shipped_map, threads=1, image_transport="compressed", tf_mode="none", base_frame=""
    )
    robot = Robot(module_graph, frames, transport=CompressedImage)
    robot.wait_to_be_heard()
    return robot


def ask_compressed(robot: Robot, kind: str = "jpeg", **changes: object) -> Answer:
    def send(stamp_ns: int) -> None:
        frame = robot.frames[0]
        message = compressed_image(frame.image.rgb, stamp_ns, kind)
        for name, value in changes.items():
            setattr(message, name, value(message.data) if callable(value) else value)
        robot.infos.publish(camera_info(frame.image.camera, stamp_ns))
        robot.images.publish(message)

    return robot.ask(send)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_compressed_images(compressed_robot: Robot, kind: str) -> None:
    answer = ask_compressed(compressed_robot, kind)
    assert error_m(compressed_robot, answer, compressed_robot.frames[0]) < 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data[:100], "truncated"),
        (lambda data: data[:0], "it is empty"),
        (lambda data: array.array("B", b"not an image at all"), "neither a JPEG nor a PNG"),
    ],
    ids=["half", "start", "nothing", "text"],
)
def test_a_damaged_file_is_said_and_recovered_from(
    compressed_robot: Robot, change: Callable[[Any], Any], words: str
) -> None:
    answer = ask_compressed(compressed_robot, data=change)
    assert answer["rejection"].startswith("bad_input: compressed image of")
    assert words in answer["rejection"]
    assert ask_compressed(compressed_robot).is_fix


def test_the_same_trouble_is_logged_once_in_a_while(graph: Graph, frames: list[Frame], shipped_map: object) -> None:
    program = graph.start("relocalizer", map=shipped_map, threads=1, tf_mode="none", base_frame="")
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()

    def send_without_info(stamp_ns: int) -> None:
        robot.images.publish(raw_image(frames[0].image.rgb, stamp_ns))

    assert robot.ask(send_without_info)["rejection"].startswith("no_camera_info: ")
    assert len(program.lines("WARN", "no_camera_info")) == 1
    begin_s = time.monotonic()
    for _ in range(5):
        assert not ask(robot, {"encoding": "sepia7"}).is_fix
    took_s = time.monotonic() - begin_s
    assert 1 <= len(program.lines("WARN", "bad_input", "sepia7")) <= 1 + took_s // 10
    assert robot.localize().is_fix
    assert "Traceback" not in program.log
