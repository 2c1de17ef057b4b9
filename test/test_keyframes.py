"""Keyframes: evenly over the way, none twice, the sharpest of each stretch."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.keyframes import CANDIDATES, STEP_DEG, STEP_M, describe_jumps, steps_between, stretches, way
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.images.quality import sharpness


def walk(xs: NDArray[np.float64], turns_deg: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    poses = np.tile(np.eye(4), (len(xs), 1, 1))
    poses[:, 0, 3] = xs
    for pose, turn in zip(poses, np.zeros(len(xs)) if turns_deg is None else turns_deg, strict=True):
        pose[:3, :3] = cv2.Rodrigues(np.array([0.0, np.radians(turn), 0.0]))[0]
    return poses


def test_a_step_is_a_move_or_a_turn() -> None:
    poses = walk(np.array([0.0, STEP_M, STEP_M]), np.array([0.0, 0.0, STEP_DEG]))
    assert np.allclose(way(poses), [0, 1, 2], atol=1e-6)
    assert np.allclose(steps_between(poses[:1], poses[2:]), np.sqrt(2), atol=1e-6)


def test_stretches_are_as_long_as_each_other_on_the_way() -> None:
    slow_then_fast = np.concatenate([np.linspace(0, 3, 300), np.linspace(3, 9, 60)[1:]])
    poses = walk(slow_then_fast)
    found = stretches(poses, 30)
    assert len(found) == 30
    middles = np.array([poses[rows, 0, 3].mean() for rows in found])
    assert np.abs(np.diff(middles) - 0.3).max() < 0.15
    assert all(1 <= len(rows) <= CANDIDATES for rows in found)
    assert (np.diff(np.concatenate(found)) > 0).all()


def test_a_robot_that_stands_or_comes_back_gives_one_image_of_a_place() -> None:
    stands = walk(np.zeros(500))
    assert len(stretches(stands, 100)) == 1
    there_and_back = walk(np.concatenate([np.linspace(0, 5, 200), np.linspace(5, 0, 200)]))
    assert len(stretches(there_and_back, 1000)) <= 105
    turned_round = walk(np.concatenate([np.linspace(0, 5, 200), np.linspace(5, 0, 200)]), np.repeat([0.0, 180.0], 200))
    assert len(stretches(turned_round, 1000)) >= 190


def test_a_long_drive_of_many_rounds_gives_as_many_as_a_round() -> None:
    turns = np.linspace(0, 2 * np.pi * 12, 6000)
    poses = walk(np.cos(turns), np.degrees(turns))
    poses[:, 2, 3] = np.sin(turns)
    one = len(stretches(poses[:500], 800))
    assert one > 100
    assert one <= len(stretches(poses, 800)) <= 1.1 * one


def test_no_more_than_asked_for_and_none_of_nothing() -> None:
    assert stretches(np.zeros((0, 4, 4)), 10) == []
    assert len(stretches(walk(np.linspace(0, 50, 2000)), 7)) == 7


def test_blur_is_not_sharp_and_contrast_does_not_matter() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    image = cv2.resize(np.dstack([tiles] * 3), (640, 480), interpolation=cv2.INTER_NEAREST)
    blurred = cv2.blur(image, (25, 1))
    pale = (128 + (image.astype(int) - 128) // 2).astype(np.uint8)
    assert sharpness(np.asarray(blurred, np.uint8)) < 0.8 * sharpness(np.asarray(image, np.uint8))
    assert abs(sharpness(pale) / sharpness(np.asarray(image, np.uint8)) - 1) < 0.1


def test_a_jump_of_the_poses_is_said_and_driving_is_none() -> None:
    stamps = np.arange(20, dtype=np.int64) * NS_PER_S // 10
    poses = np.tile(np.eye(4), (20, 1, 1))
    poses[:, 0, 3] = 0.2 * np.arange(20)  # 2 m/s
    assert describe_jumps(stamps, poses) is None
    assert describe_jumps(stamps * 600, poses * np.array([600.0])) is None, "a minute between images"
    poses[12:, 1, 3] += 5.0
    said = describe_jumps(stamps, poses)
    assert said is not None
    assert said.startswith("jump by 5.00 m from 1.100000000 to 1.200000000 s: ")
    poses[16:, 1, 3] -= 3.0
    assert ", and in 1 other places: " in str(describe_jumps(stamps, poses))
    assert describe_jumps(stamps[:1], poses[:1]) is None
