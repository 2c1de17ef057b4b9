"""Which way is up in a place, and where its walls run: a map does not say it."""

import math

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import LandmarkMap

Float = NDArray[np.float64]

LEVEL = math.cos(math.radians(30))  # patches that are less off than this may be floors, tables and ceilings
UPRIGHT = math.sin(math.radians(20))  # and these walls


def upright_axes(landmark_map: LandmarkMap) -> Float:
    """Rows: two level directions along the walls, the wider first, and up; right-handed, so that nothing is mirrored.

    A map does not say where up is. Cameras are mostly held upright, if tilted; from their mean the direction is
    pulled to the normals of the patches around it. Without mapping views it starts where the landmarks spread least.
    """
    positions = landmark_map.positions - landmark_map.positions.mean(axis=0)
    upwards = -landmark_map.mapping_views[:, :3, 1].sum(axis=0)  # a camera's y points down
    up = _unit(upwards) if np.linalg.norm(upwards) > 0 else _by_spread(positions)[0]
    for _ in range(10):
        facing = landmark_map.normals @ up
        near = np.abs(facing) > LEVEL
        total = (landmark_map.normals[near] * np.sign(facing[near])[:, np.newaxis]).sum(axis=0)
        up = _unit(total) if np.linalg.norm(total) > 0 else up
    level = np.linalg.svd(up[np.newaxis])[2][1:]
    across = _along_walls(landmark_map.normals, _by_spread(positions @ level.T)[-1] @ level, up)
    return np.stack([across, np.cross(up, across), up])


def _by_spread(points: Float) -> Float:
    """Rows: the main directions of centred points (N, D), that of the least spread first."""
    return np.asarray(np.linalg.eigh(points.T @ points)[1].T, dtype=np.float64)


def _along_walls(normals: Float, across: Float, up: Float) -> Float:
    """`across`, turned about `up` by at most 45 degrees to where upright patches face, in steps of 90 degrees."""
    upright = normals[np.abs(normals @ up) < UPRIGHT]
    angles = np.arctan2(upright @ np.cross(up, across), upright @ across)
    turn = float(np.angle(np.exp(4j * angles).sum())) / 4
    return math.cos(turn) * across + math.sin(turn) * np.cross(up, across)


def _unit(vector: Float) -> Float:
    return vector / float(np.linalg.norm(vector))
