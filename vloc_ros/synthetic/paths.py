"""Camera paths through a rendered room: smooth loops that keep clear of the furniture."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Loop:
    """An ellipse around `centre`, its wobbling height, and where the camera looks: `gaze` degrees from the direction of
    travel, turning by `turns` more per round. `stray` scales a smooth deviation, at 1 some 0.2 m and 10 degrees."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    height: float
    bob: float
    gaze: float
    turns: int = 0
    pitch: float = -6.0
    stray: float = 0.0
    shake: float = 1.0

    def poses(self, count: int, start: float = 0.0) -> Float:
        """`map_from_camera` (N, 4, 4) at even distances along one round from the angle `start`, without closing it."""
        dense = start + np.linspace(0, 2 * np.pi, 2001)
        steps = np.linalg.norm(np.diff(self._positions(dense)[:, :2], axis=0), axis=1)
        travelled = np.concatenate([[0.0], np.cumsum(steps)])
        angles = np.interp(np.arange(count) * travelled[-1] / count, travelled, dense)
        ahead = self._positions(angles + 1e-4) - self._positions(angles - 1e-4)
        yaw = np.degrees(np.arctan2(ahead[:, 1], ahead[:, 0])) + self.gaze + np.degrees(self.turns * angles)
        yaw += 5 * self.stray * np.sin(2 * angles + 0.4) + 2 * self.shake * np.sin(7 * angles)
        pitch = self.pitch + self.shake * 4 * np.sin(3 * angles + 1) + 4 * self.stray * np.cos(2 * angles)
        roll = self.shake * 2.5 * np.sin(5 * angles + 2)
        return np.stack([_pose(*row) for row in zip(self._positions(angles), yaw, pitch, roll, strict=True)])

    def _positions(self, angles: Float) -> Float:
        """Points (N, 3) at angles around the centre."""
        deviation = 0.15 * self.stray * np.sin(2 * angles + 0.8)
        x = self.centre[0] + (self.radii[0] + deviation) * np.cos(angles)
        y = self.centre[1] + (self.radii[1] + deviation) * np.sin(angles)
        z = self.height + self.bob * np.sin(2 * angles + self.gaze) + 0.07 * self.stray * np.sin(4 * angles)
        return np.stack([x, y, z], axis=1)


def _pose(position: Float, yaw: float, pitch: float, roll: float) -> Float:
    """Camera at `position`, looking `yaw` degrees from east towards north and `pitch` up, rolled clockwise."""
    a, b, c = np.radians([yaw, pitch, roll])
    forward = np.array([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)])
    level = np.cross(forward, UP) / np.cos(b)
    down = np.cross(forward, level)
    right = np.cos(c) * level + np.sin(c) * down
    pose = np.eye(4)
    pose[:3] = np.column_stack([right, np.cross(forward, right), forward, position])
    return pose


# a ground robot on an errand, about the origin: constant height, looking where it goes
DRIVE = Loop(centre=(0.0, 0.0), radii=(1.0, 1.0), height=0.75, bob=0.0, gaze=0.0, pitch=-1.0, shake=0.0)


def mapping_poses(walks: tuple[Loop, ...], count: int = 80) -> Float:
    """`count` poses of every loop, (N, 4, 4)."""
    return np.concatenate([loop.poses(count, start=k) for k, loop in enumerate(walks)])


def revisit_poses(walks: tuple[Loop, ...], count: int = 24) -> Float:
    """`count` poses of every loop, walked again by somebody who strays from it."""
    return np.concatenate([replace(loop, stray=1.0).poses(count, start=k + 0.5) for k, loop in enumerate(walks)])
