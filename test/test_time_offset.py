"""The offset between clocks of images and poses follows from how both turn; where nothing tells, nothing is said."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.datasets.time_offset import ImageTurns
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.interpolation import trajectory_of
from vloc_ros.geometry.transforms import to_quaternion

CAMERA = Camera(320, 240, 260.0, 260.0, 159.5, 119.5)
PERIOD_NS = 50_000_000
WALL = np.asarray(
    cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (800, 2400), np.uint8), (0, 0), 2), np.uint8
)


def rotation(t: float) -> NDArray[np.float64]:
    """The camera looks around: about y, and a little up and down."""
    yaw, pitch = 0.5 * np.sin(1.3 * t) + 0.2 * np.sin(3.1 * t), 0.15 * np.sin(2.3 * t)
    turn = cv2.Rodrigues(np.array([0.0, yaw, 0.0]))[0] @ cv2.Rodrigues(np.array([pitch, 0.0, 0.0]))[0]
    return np.asarray(turn, dtype=np.float64)


def view(t: float) -> NDArray[np.uint8]:
    """What is far away, through the camera as it is turned at that time."""
    to_wall = np.array([[400.0, 0, 1200], [0, 400, 400], [0, 0, 1]])
    image = cv2.warpPerspective(
        WALL, np.linalg.inv(to_wall @ rotation(t) @ np.linalg.inv(CAMERA.matrix)), (320, 240), flags=cv2.INTER_LINEAR
    )
    return np.dstack([np.asarray(image, np.uint8)] * 3)


def poses_at(stamps_ns: NDArray[np.int64], offset_s: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    poses = np.tile(np.eye(4), (len(stamps_ns), 1, 1))
    for pose, stamp in zip(poses, stamps_ns, strict=True):
        pose[:3, :3] = rotation(stamp / 1e9 - offset_s)
    return poses, np.ones(len(poses), dtype=bool)


@pytest.fixture(scope="module")
def turns() -> ImageTurns:
    found = ImageTurns()
    for index in range(120):
        found.add(index * PERIOD_NS, view(index * PERIOD_NS / 1e9), CAMERA)
    return found


@pytest.mark.parametrize("offset_s", [0.0, 0.137, -0.42])
def test_the_offset_is_found_to_milliseconds(turns: ImageTurns, offset_s: float) -> None:
    found = turns.offset(lambda stamps: poses_at(stamps, offset_s))
    assert found is not None
    assert abs(found.seconds - offset_s) < 0.01
    assert found.correlation > 0.9


def test_poses_that_are_rarer_than_images_do_not_draw_the_offset_to_themselves(turns: ImageTurns) -> None:
    stamps = np.arange(-20, 90, dtype=np.int64) * 100_000_000
    poses, _ = poses_at(stamps, 0.0)
    quaternions = np.stack([to_quaternion(pose[:3, :3]) for pose in poses])
    rare = trajectory_of(stamps, np.hstack([np.zeros((len(stamps), 3)), quaternions]))
    assert rare is not None
    found = turns.offset(lambda asked: rare.at(asked - 230_000_000, 250_000_000))
    assert found is not None
    assert abs(found.seconds - 0.23) < 0.006


@pytest.mark.parametrize(("steady", "told"), [(False, True), (True, False)])
def test_a_steady_turn_tells_no_offset_from_another(steady: bool, told: bool) -> None:
    """Each image has its noise, as corners that are followed do; half a turn later, a steady turn looks the same."""
    rng, found = np.random.default_rng(2), ImageTurns()

    def turned(t: float) -> NDArray[np.float64]:
        yaw = 0.6 * t - 1.5 if steady else 0.5 * np.sin(2.9 * t)
        return np.asarray(cv2.Rodrigues(np.array([0.0, yaw + 0.03 * np.sin(0.7 * t), 0.0]))[0], dtype=np.float64)

    def at(stamps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        poses = np.tile(np.eye(4), (len(stamps), 1, 1))
        poses[:, :3, :3] = [turned(stamp / 1e9) for stamp in stamps]
        return poses, np.ones(len(poses), dtype=bool)

    rates = np.diff([0.6 * index / 20 if steady else 0.5 * np.sin(2.9 * index / 20) for index in range(90)])
    found._pairs = [(index * PERIOD_NS, (index + 1) * PERIOD_NS) for index in range(89)]
    found._turns = [np.array([-rate, 0.0]) + rng.normal(0, 3e-3, 2) for rate in rates]
    offset = found.offset(at)
    assert (offset is not None and offset.most - offset.least < 0.1) == told
    if offset is not None:
        assert max(offset.least, -offset.most) < 0.01


def test_poses_of_another_drive_say_nothing(turns: ImageTurns) -> None:
    def other(stamps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        poses, known = poses_at(stamps, 0.0)
        for pose, stamp in zip(poses, stamps, strict=True):
            pose[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.4 * np.sin(7.9 * stamp / 1e9), 0.0]))[0]
        return poses, known

    assert turns.offset(other) is None


def test_an_offset_beyond_the_search_and_a_camera_that_stands_say_nothing(turns: ImageTurns) -> None:
    still = ImageTurns()
    for index in range(60):
        still.add(index * PERIOD_NS, view(0.0), CAMERA)
    assert still.offset(lambda stamps: poses_at(stamps, 0.0)) is None
    assert ImageTurns().offset(lambda stamps: poses_at(stamps, 0.0)) is None
    unknown = turns.offset(lambda stamps: (poses_at(stamps, 0.0)[0], np.zeros(len(stamps), dtype=bool)))
    assert unknown is None
