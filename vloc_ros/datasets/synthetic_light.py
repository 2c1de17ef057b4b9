"""Bakes light into the faces of the synthetic room: lamps, window, sun and ambient occlusion, by marching through voxels."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vloc_ros.datasets.synthetic_render import Faces, Lightmaps

Float = NDArray[np.float64]

NODE_SPACING = 0.07  # metres between light nodes on a face
MAX_NODES = 96  # a side
VOXEL = 0.05  # metres
WALL_SKIN = 0.03  # metres; what lies as flat on a wall as a picture or a rug casts no shadow
REACH = 1.2  # metres; how far ambient occlusion looks
AMBIENT_RAYS = 40
GAMMA = 2.2


@dataclass(frozen=True, eq=False)
class Lights:
    """Point samples of all lamps: positions (N, 3), linear RGB powers (N, 3), axes (N, 3) the way a sample faces (zero:
    all ways). The sun falls in direction `sun` through the opening [low, high] (2, 3) with linear RGB `sun_power`."""

    positions: Float
    powers: Float
    axes: Float
    ambient: Float
    sun: Float
    opening: Float
    sun_power: Float


def bake(faces: Faces, size: Float, lights: Lights, tints: Float, glows: Float) -> Lightmaps:
    """Light of every face in a closed room [0, size]; tints (F, 3) colour it, glows (F,) > 0 replace it (lamps, screens)."""
    occupied = _occupancy(faces, size)
    lengths = np.stack([np.linalg.norm(faces.edges_v, axis=1), np.linalg.norm(faces.edges_u, axis=1)], axis=1)
    nodes = np.clip(np.ceil(lengths / NODE_SPACING).astype(np.int64) + 1, 2, MAX_NODES)
    nodes[glows > 0] = 2
    counts = nodes.prod(axis=1)
    layout = np.column_stack([np.cumsum(counts) - counts, nodes])
    linear = _bake(
        faces.origins,
        faces.edges_u,
        faces.edges_v,
        layout,
        glows,
        occupied,
        size,
        _hemisphere(AMBIENT_RAYS),
        lights.positions,
        lights.powers,
        lights.axes,
        lights.ambient,
        lights.sun,
        lights.opening,
        lights.sun_power,
    )
    values = linear ** (1 / GAMMA) * np.repeat(tints, counts, axis=0)
    return Lightmaps(values.astype(np.float32), layout)


def _hemisphere(count: int) -> Float:
    """Cosine-distributed unit directions (N, 3) around +z, spread by the golden angle."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), k * np.pi * (3 - np.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=1)


def _occupancy(faces: Faces, size: Float) -> NDArray[np.bool_]:
    """Voxels (X, Y, Z) that furniture touches; the walls themselves and what lies flat on them are left out."""
    occupied = np.zeros(np.ceil(size / VOXEL).astype(int), dtype=np.bool_)
    for origin, u, v, triangle in zip(faces.origins, faces.edges_u, faces.edges_v, faces.triangles, strict=True):
        steps = [max(2, int(np.linalg.norm(edge) / VOXEL * 2)) for edge in (u, v)]
        s, t = np.meshgrid(*((np.arange(n) + 0.5) / n for n in steps))
        inside = s + t <= 1 if triangle else np.full(s.shape, True)
        points = origin + s[inside][:, None] * u + t[inside][:, None] * v
        points = points[((points > WALL_SKIN) & (points < size - WALL_SKIN)).all(axis=1)]
        occupied[tuple((points / VOXEL).astype(int).T)] = True
    return occupied


@njit(cache=True, nogil=True)
def _march(start: Float, direction: Float, reach: float, occupied: NDArray[np.bool_], size: Float) -> float:
    """Metres from start until a voxel or a wall stops the ray; `reach` when nothing does."""
    step = 0.7 * VOXEL
    travelled = 0.0
    while travelled < reach:
        x = start[0] + direction[0] * travelled
        y = start[1] + direction[1] * travelled
        z = start[2] + direction[2] * travelled
        if x < 0 or y < 0 or z < 0 or x >= size[0] or y >= size[1] or z >= size[2]:
            return travelled
        if occupied[int(x / VOXEL), int(y / VOXEL), int(z / VOXEL)]:
            return travelled
        travelled += step
    return reach


@njit(cache=True, nogil=True)
def _direct(point, normal, occupied, size, positions, powers, axes):  # type: ignore[no-untyped-def]
    """Linear RGB from all lamp samples that the point sees."""
    total = np.zeros(3)
    for k in range(len(positions)):
        offset = positions[k] - point
        distance = np.sqrt((offset * offset).sum())
        direction = offset / max(distance, 1e-6)
        cosine = (direction * normal).sum()
        facing = -(direction * axes[k]).sum() if axes[k].any() else 1.0
        if cosine <= 0 or facing <= 0:
            continue
        reach = max(distance - 0.2, 0.0)  # a lamp is not in its own way
        if _march(point, direction, reach, occupied, size) >= reach:
            total += powers[k] * cosine * facing / (distance * distance + 0.1)
    return total


@njit(cache=True, nogil=True)
def _sunlit(point, normal, occupied, size, sun, opening):  # type: ignore[no-untyped-def]
    """Cosine of the sun at the point if it reaches it through the opening (in a plane x = constant), else 0."""
    cosine = -(sun * normal).sum()
    if cosine <= 0:
        return 0.0
    travel = (point[0] - opening[0, 0]) / sun[0]
    entry = point - travel * sun
    if travel <= 0 or not (opening[0, 1] < entry[1] < opening[1, 1] and opening[0, 2] < entry[2] < opening[1, 2]):
        return 0.0
    reach = max(travel - 0.4, 0.0)
    return cosine if _march(point, -sun, reach, occupied, size) >= reach else 0.0


@njit(cache=True, nogil=True)
def _bake(  # type: ignore[no-untyped-def]
    origins,
    edges_u,
    edges_v,
    layout,
    glows,
    occupied,
    size,
    hemisphere,
    positions,
    powers,
    axes,
    ambient,
    sun,
    opening,
    sun_power,
):
    values = np.empty((layout[-1, 0] + layout[-1, 1] * layout[-1, 2], 3))
    point, direction = np.empty(3), np.empty(3)
    for f in range(len(origins)):
        offset, rows, columns = layout[f]
        if glows[f] > 0:
            values[offset : offset + rows * columns] = glows[f]
            continue
        u, v = edges_u[f], edges_v[f]
        normal = np.array([v[1] * u[2] - v[2] * u[1], v[2] * u[0] - v[0] * u[2], v[0] * u[1] - v[1] * u[0]])
        normal /= np.sqrt((normal * normal).sum())
        along = u / np.sqrt((u * u).sum())
        across = np.array(
            [
                normal[1] * along[2] - normal[2] * along[1],
                normal[2] * along[0] - normal[0] * along[2],
                normal[0] * along[1] - normal[1] * along[0],
            ]
        )
        for i in range(rows):
            for j in range(columns):
                for k in range(3):
                    point[k] = (
                        origins[f, k] + u[k] * j / (columns - 1) + v[k] * i / (rows - 1) + 1.5 * VOXEL * normal[k]
                    )
                    point[k] = min(max(point[k], 0.02), size[k] - 0.02)
                open_share = 0.0
                for ray in hemisphere:
                    for k in range(3):
                        direction[k] = ray[0] * along[k] + ray[1] * across[k] + ray[2] * normal[k]
                    open_share += _march(point, direction, REACH, occupied, size) / REACH
                light = ambient * (open_share / len(hemisphere))
                light += _direct(point, normal, occupied, size, positions, powers, axes)
                light += sun_power * _sunlit(point, normal, occupied, size, sun, opening)
                values[offset + i * columns + j] = light
    return values
