"""Poses as odometry would have recorded them: each step is a little off, and what is off adds up."""

import cv2
import numpy as np

from vloc_ros.geometry.transforms import Matrix, invert


def drifted(poses: Matrix, seconds: Matrix, distance_share: float, turn_rad_per_s: float, up: Matrix) -> Matrix:
    """Poses (N, 4, 4) with a drift from the first one on, at times `seconds` (N,).

    The heading turns steadily about `up` (3,), which odometry cannot know, and each step of the position is off by a
    share of its length, in a direction that lies across `up` and always is the same: what adds up the most.
    """
    aside = np.cross(up, (1.0, 0.0, 0.0) if abs(up[0]) < 0.9 * np.linalg.norm(up) else (0.0, 1.0, 0.0))
    aside /= np.linalg.norm(aside)
    found = [poses[0]]
    for before, after, elapsed in zip(poses[:-1], poses[1:], np.diff(seconds), strict=True):
        step = invert(before) @ after
        turned, length = np.eye(4), np.linalg.norm(step[:3, 3])
        turned[:3, :3] = cv2.Rodrigues(turn_rad_per_s * elapsed * up / np.linalg.norm(up))[0]
        pose = found[-1] @ step
        pose[:3, :3] = turned[:3, :3] @ pose[:3, :3]
        pose[:3, 3] += distance_share * length * aside
        found.append(pose)
    return np.stack(found)
