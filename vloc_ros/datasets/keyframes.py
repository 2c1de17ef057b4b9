"""Which images of a recording a map is made from: spread evenly over the way of the camera, and sharp.

A way is measured in steps: a step is a move of STEP_M or a turn of STEP_DEG, whatever of both together.
"""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.interpolation import Stamps
from vloc_ros.geometry.stamps import NS_PER_S, format_stamp

Float = NDArray[np.float64]

STEP_M, STEP_DEG = 0.05, 3.0  # images nearer to each other show nothing new
SEEN_AGAIN = 0.6  # steps from an image that was chosen before: a robot that stands, or comes by again
CANDIDATES = 4  # of which the sharpest is chosen
JUMP_M, FASTEST_M_PER_S = 1.0, 10.0  # a robot goes no farther, or no faster, from one image to the next


def way(map_from_camera: Float) -> Float:
    """How many steps (N,) the camera has gone from the first of its poses (N, 4, 4) to each."""
    if len(map_from_camera) == 0:
        return np.zeros(0)
    return np.concatenate([[0.0], np.cumsum(steps_between(map_from_camera[:-1], map_from_camera[1:]))])


def steps_between(poses: Float, others: Float) -> Float:
    """Steps (N,) from each of the poses (N, 4, 4) to the other one."""
    moved = np.linalg.norm(others[:, :3, 3] - poses[:, :3, 3], axis=1)
    cosines = (np.einsum("nij,nij->n", poses[:, :3, :3], others[:, :3, :3]) - 1) / 2
    turned = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    steps: Float = np.hypot(moved / STEP_M, turned / STEP_DEG)
    return steps


def stretches(map_from_camera: Float, most: int) -> list[NDArray[np.intp]]:
    """Rows of the poses (N, 4, 4), in the order of recording, of each of which one image is to be chosen: at most
    `most` stretches. Each is a step, or as many steps as it takes to have no more stretches than that. Steps where the
    camera was before, looking the same way, are left out. Of a stretch CANDIDATES rows are given, spread evenly."""
    if not len(map_from_camera):
        return []
    steps = way(map_from_camera).astype(np.intp)
    new: list[NDArray[np.intp]] = []
    middles = np.empty_like(map_from_camera[:1]).repeat(len(np.unique(steps)), axis=0)
    for rows in np.split(np.arange(len(steps)), np.flatnonzero(np.diff(steps)) + 1):
        middle, seen = map_from_camera[rows[len(rows) // 2]], middles[: len(new)]
        if len(new) and steps_between(np.broadcast_to(middle, seen.shape), seen).min() < SEEN_AGAIN:
            continue
        middles[len(new)] = middle
        new.append(rows)
    joined = [
        np.concatenate(new[part[0] : part[-1] + 1]) for part in np.array_split(np.arange(len(new)), min(most, len(new)))
    ]
    return [_spread(rows) for rows in joined]


def _spread(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(CANDIDATES, len(rows))).astype(np.intp))]


def describe_jumps(stamps_ns: Stamps, map_from_camera: Float) -> str | None:
    """Where poses (N, 4, 4) at their stamps (N,) go farther from one to the next than a robot can, if they do: its
    localization has jumped, or it was carried."""
    apart = np.linalg.norm(np.diff(map_from_camera[:, :3, 3], axis=0), axis=1)
    possible = np.maximum(JUMP_M, FASTEST_M_PER_S * np.abs(np.diff(stamps_ns)) / NS_PER_S)
    rows = np.flatnonzero(apart > possible)
    if not len(rows):
        return None
    row = int(rows[apart[rows].argmax()])
    before, behind = (format_stamp(int(stamp)) for stamp in stamps_ns[row : row + 2])
    others = f", and in {len(rows) - 1} other places" if len(rows) > 1 else ""
    return (
        f"jump by {apart[row]:.2f} m from {before} to {behind} s{others}: the map is right only if images tell how the "
        "parts before and behind it belong together"
    )
