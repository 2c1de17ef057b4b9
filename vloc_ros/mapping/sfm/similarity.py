"""Similarity transforms: what brings a reconstruction of unknown scale into a frame of metres."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import nearest_rotation, rotation_angle

Float = NDArray[np.float64]

TRIM, ROUNDS = 4.0, 5  # what is off by more than so many medians is left out of a fit
LEAST_SPREAD = 0.02  # of the second direction of positions against the first: less is a line


@dataclass(frozen=True, eq=False)
class Similarity:
    """x -> scale * rotation x + translation; rotation (3, 3), translation (3,)."""

    scale: float
    rotation: Float
    translation: Float

    def apply(self, points: Float) -> Float:
        """Points (N, 3)."""
        moved: Float = self.scale * points @ self.rotation.T + self.translation
        return moved

    def apply_to_poses(self, poses: Float) -> Float:
        """Poses (N, 4, 4) of cameras: these stay rigid."""
        moved: Float = poses.copy()
        moved[:, :3, :3] = self.rotation @ poses[:, :3, :3]
        moved[:, :3, 3] = self.apply(poses[:, :3, 3])
        return moved


def umeyama(source: Float, target: Float) -> Similarity:
    """That with the least squared distances between points (N, 3) and (N, 3) (Umeyama, PAMI 1991). Raises DatasetError
    for points on a line, which leave a turn about it open."""
    from_centre, to_centre = source - source.mean(axis=0), target - target.mean(axis=0)
    _require_no_line(from_centre)
    _require_no_line(to_centre)
    return turned_by(nearest_rotation(to_centre.T @ from_centre), source, target)


def turned_by(rotation: Float, source: Float, target: Float) -> Similarity:
    """The same, where the rotation (3, 3) is known."""
    turned = (source - source.mean(axis=0)) @ rotation.T
    scale = float((turned * (target - target.mean(axis=0))).sum() / (turned**2).sum())
    return Similarity(scale, rotation, target.mean(axis=0) - scale * rotation @ source.mean(axis=0))


def common_rotation(source: Float, target: Float) -> tuple[Float, float]:
    """The rotation (3, 3) that turns rotations (N, 3, 3) into (N, 3, 3), and by how many degrees they are off
    (median)."""
    turns = np.einsum("nij,nkj->nik", target, source)
    rotation = nearest_rotation(turns.sum(axis=0))
    return rotation, float(np.median([angle_deg(rotation, turn) for turn in turns]))


def angle_deg(first: Float, second: Float) -> float:
    """Between two rotations (3, 3)."""
    return float(np.degrees(rotation_angle(first, second)))


def robust_umeyama(source: Float, target: Float) -> tuple[Similarity, NDArray[np.bool_]]:
    """The same without those that are far off, and which (N,) it was fitted to. Raises DatasetError as `umeyama`."""
    good = np.ones(len(source), dtype=np.bool_)
    found = umeyama(source, target)
    for _ in range(ROUNDS):
        off = np.linalg.norm(found.apply(source) - target, axis=1)
        kept = off <= max(TRIM * float(np.median(off)), 1e-9)
        if (kept == good).all() or kept.sum() < 3:
            break
        good = kept
        found = umeyama(source[good], target[good])
    return found, good


def _require_no_line(centred: Float) -> None:
    spread = np.linalg.svd(centred, compute_uv=False)
    if not spread[0] > 0 or spread[1] < LEAST_SPREAD * spread[0]:
        raise DatasetError("the positions lie on a line, or at one place: that leaves open how the map is turned")


def upright(poses: Float) -> Float:
    """The rotation (3, 3) after which z is up, from poses (N, 4, 4) of cameras that are held upright: their x axes are
    level, their y axes point down. The first camera looks along y as far as it is level."""
    across, down = poses[:, :3, 0], poses[:, :3, 1]
    up = np.linalg.eigh(across.T @ across)[1][:, 0]
    up = up * (-1.0 if (down @ up).sum() > 0 else 1.0)
    forward = poses[0, :3, 2] - (poses[0, :3, 2] @ up) * up
    if np.linalg.norm(forward) < 1e-6:
        forward = np.linalg.svd(up[None])[2][1]
    forward = forward / np.linalg.norm(forward)
    return np.stack([np.cross(forward, up), forward, up])
