"""A pose graph: poses that agree best with relative poses that were measured, some of which may be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from scipy.spatial.transform import Rotation

from vloc_ros.geometry.transforms import invert

Float = NDArray[np.float64]

STEPS = 10  # for each scale of the loss
SETTLED = 1e-5  # a step of so many metres and radians is the last
HELD = 1e12  # of the first pose: all measurements are relative to another


@dataclass(frozen=True, eq=False)
class Edges:
    """n relative poses `first_from_second` (n, 4, 4) of pairs (n, 2) of frames, with standard deviations `sigmas`
    (n, 2): metres and radians."""

    pairs: NDArray[np.int32]
    first_from_second: Float
    sigmas: Float

    def __len__(self) -> int:
        return len(self.pairs)


def recorded_steps(cameras: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pairs (n, 2) of frames whose relative poses were recorded: each with the one before it and, where the cameras of
    a rig take turns, with the last one of its own camera; and pairs (n, 2) between which the robot has moved as far: of
    two cameras, as far as one of them since its own last frame."""
    last: dict[str, int] = {}
    pairs, driven = list[tuple[int, int]](), list[tuple[int, int]]()
    for frame, camera in enumerate(cameras):
        before = last.get(camera, frame - 1)
        if frame:
            pairs.append((frame - 1, frame))
            driven.append((before, frame))
        if before < frame - 1:
            pairs.append((before, frame))
            driven.append((before, frame))
        last[camera] = frame
    return np.array(pairs, dtype=np.int32).reshape(-1, 2), np.array(driven, dtype=np.int32).reshape(-1, 2)


def optimize(edges: Edges, start: Float, scales: tuple[float, ...]) -> Float:
    """Poses (F, 4, 4) with the least robust cost, from `start` on: the first one stays.

    Gauss-Newton with the loss of Geman and McClure, whose scale becomes smaller from one of `scales` to the next, in
    standard deviations: with a large one all edges count, and what does not go with the others is left behind then
    (graduated non-convexity; Yang et al., RA-L 2020).
    """
    poses: Float = start
    for scale in scales:
        for _ in range(STEPS):
            step = _step(edges, poses, scale)
            poses = _moved(poses, step)
            if np.abs(step).max(initial=0.0) < SETTLED:
                break
    return poses


def residuals(edges: Edges, poses: Float) -> Float:
    """(n, 6) in standard deviations: of the translation and of the rotation, in axes of the first and second camera."""
    first, second = poses[edges.pairs[:, 0]], poses[edges.pairs[:, 1]]
    found = invert(first) @ second
    turned = np.swapaxes(edges.first_from_second[:, :3, :3], 1, 2) @ found[:, :3, :3]
    off = np.empty((len(edges), 6))
    off[:, :3] = (found[:, :3, 3] - edges.first_from_second[:, :3, 3]) / edges.sigmas[:, :1]
    off[:, 3:] = Rotation.from_matrix(turned).as_rotvec() / edges.sigmas[:, 1:]
    return off


def _step(edges: Edges, poses: Float, scale: float) -> Float:
    """(F, 6): of each pose along the map's axes, and about them."""
    off = residuals(edges, poses)
    weights = (1 + (off**2).sum(axis=1) / scale**2) ** -2.0
    of_first, of_second = _jacobians(edges, poses)
    parts = [(edges.pairs[:, 0], of_first), (edges.pairs[:, 1], of_second)]
    count = len(poses)
    gradient = np.zeros((count, 6))
    rows, columns, values = [], [], []
    cells = np.arange(6)
    for frames, jacobian in parts:
        weighted = np.swapaxes(jacobian, 1, 2) * weights[:, None, None]
        np.add.at(gradient, frames, np.einsum("nij,nj->ni", weighted, off))
        for others, other in parts:
            blocks = weighted @ other
            rows.append(np.broadcast_to((6 * frames[:, None] + cells)[:, :, None], blocks.shape).ravel())
            columns.append(np.broadcast_to((6 * others[:, None] + cells)[:, None, :], blocks.shape).ravel())
            values.append(blocks.ravel())
    held = np.where(np.arange(6 * count) < 6, HELD, 1e-6)  # a frame that nothing reaches stays
    rows.append(np.arange(6 * count))
    columns.append(np.arange(6 * count))
    values.append(held)
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    normal = coo_array(entries, shape=(6 * count, 6 * count)).tocsc()
    solved = splu(normal, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(-gradient.ravel())
    return np.asarray(solved.reshape(count, 6))


def _jacobians(edges: Edges, poses: Float) -> tuple[Float, Float]:
    """(n, 6, 6) of `residuals` by steps of the first and the second pose."""
    first, second = poses[edges.pairs[:, 0]], poses[edges.pairs[:, 1]]
    inverse = np.swapaxes(first[:, :3, :3], 1, 2)
    x, y, z = (second[:, :3, 3] - first[:, :3, 3]).T
    zero = np.zeros_like(x)
    cross = np.moveaxis(np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]), 2, 0)
    of_position = inverse / edges.sigmas[:, :1, None]
    of_turn = np.swapaxes(second[:, :3, :3], 1, 2) / edges.sigmas[:, 1:, None]
    of_first, of_second = np.zeros((len(edges), 6, 6)), np.zeros((len(edges), 6, 6))
    of_first[:, :3, :3], of_second[:, :3, :3] = -of_position, of_position
    of_first[:, :3, 3:] = of_position @ cross
    of_first[:, 3:, 3:], of_second[:, 3:, 3:] = -of_turn, of_turn
    return of_first, of_second


def _moved(poses: Float, step: Float) -> Float:
    moved: Float = poses.copy()
    moved[:, :3, 3] += step[:, :3]
    moved[:, :3, :3] = Rotation.from_rotvec(step[:, 3:]).as_matrix() @ poses[:, :3, :3]
    return moved
