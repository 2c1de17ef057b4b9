"""Bakes light into the faces of a rendered room: lamps, window, sun, ambient occlusion, marching through voxels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.synthetic.faces import Faces, Lightmaps

Float = NDArray[np.float64]

NODE_SPACING = 0.07  # metres between light nodes on a face
MAX_NODES = 96  # a side
VOXEL = 0.05  # metres
STEP = VOXEL  # of a ray through the voxels
LIFT = 1.5 * VOXEL  # a ray starts that far above its face, so that it does not hit the face's own voxels
WALL_SKIN = 0.03  # metres; what lies as flat on a wall as a picture or a rug casts no shadow
REACH = 1.2  # metres; how far ambient occlusion looks
AMBIENT_RAYS = 24
BOUNCED = 0.25  # share of the ambient light that reaches the deepest corner
GAMMA = 2.2


@dataclass(frozen=True, eq=False)
class Lights:
    """Point samples of all lamps: positions (N, 3), linear RGB powers (N, 3), axes (N, 3) the way a sample faces (zero:
    all ways). The sun falls in direction `sun` with linear RGB `sun_power` through the opening [low, high] (2, 3),
    which is in a plane x or y = constant."""

    positions: Float
    powers: Float
    axes: Float
    ambient: Float
    sun: Float
    opening: Float
    sun_power: Float


def bake(faces: Faces, size: Float, lights: Lights, tints: Float, glows: Float) -> Lightmaps:
    """Light of every face in a closed room [0, size]; tints (F, 3) colour it, glows (F,) > 0 replace it."""
    lengths = np.stack([np.linalg.norm(faces.edges_v, axis=1), np.linalg.norm(faces.edges_u, axis=1)], axis=1)
    nodes = np.clip(np.ceil(lengths / NODE_SPACING).astype(np.int64) + 1, 2, MAX_NODES)
    nodes[glows > 0] = 2
    counts = nodes.prod(axis=1)
    layout = np.column_stack([np.cumsum(counts) - counts, nodes])
    face = np.repeat(np.arange(len(faces)), counts)
    frames = _frames(faces)[face]
    points = np.clip(_node_points(faces, face, layout) + LIFT * frames[:, 2], 0.02, size - 0.02)
    grid = _occupancy(faces.origins, faces.edges_u, faces.edges_v, faces.triangles, size), size
    open_share = _open_shares(points, frames, _hemisphere(AMBIENT_RAYS), *grid)
    sun_share = _sun_shares(points, frames[:, 2].copy(), lights.sun, lights.opening, *grid)
    bounced = BOUNCED + (1 - BOUNCED) * open_share
    linear = bounced[:, None] * lights.ambient + sun_share[:, None] * lights.sun_power
    linear += _lamp_shares(points, frames[:, 2].copy(), lights.positions, lights.axes, *grid) @ lights.powers
    linear = np.where(glows[face, None] > 0, glows[face, None], linear)
    return Lightmaps((linear ** (1 / GAMMA) * tints[face]).astype(np.float32), layout)


def _frames(faces: Faces) -> Float:
    """(F, 3, 3) rows: unit vectors along u, across it, and off the visible side."""
    normals = np.cross(faces.edges_v, faces.edges_u)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    along = faces.edges_u / np.linalg.norm(faces.edges_u, axis=1, keepdims=True)
    return np.stack([along, np.cross(normals, along), normals], axis=1)


def _node_points(faces: Faces, face: NDArray[np.int64], layout: NDArray[np.int64]) -> Float:
    """Where the light nodes are, (L, 3); `face` (L,) is whose they are."""
    index = np.arange(len(face)) - layout[face, 0]
    rows, columns = layout[face, 1], layout[face, 2]
    s, t = index % columns / (columns - 1), index // columns / (rows - 1)
    points: Float = faces.origins[face] + s[:, None] * faces.edges_u[face] + t[:, None] * faces.edges_v[face]
    return points


def _hemisphere(count: int) -> Float:
    """Cosine-distributed unit directions (N, 3) around +z, spread by the golden angle."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), k * np.pi * (3 - np.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=1)


@compiled()
def _occupancy(origins, edges_u, edges_v, triangles, size):  # type: ignore[no-untyped-def]
    """Voxels (X, Y, Z) that furniture touches; the walls themselves and what lies flat on them are left out."""
    occupied = np.zeros((int(size[0] / VOXEL) + 1, int(size[1] / VOXEL) + 1, int(size[2] / VOXEL) + 1), dtype=np.bool_)
    for f in range(len(origins)):
        ux, uy, uz = edges_u[f, 0], edges_u[f, 1], edges_u[f, 2]
        vx, vy, vz = edges_v[f, 0], edges_v[f, 1], edges_v[f, 2]
        columns = max(2, int(np.sqrt(ux * ux + uy * uy + uz * uz) / VOXEL * 2))
        rows = max(2, int(np.sqrt(vx * vx + vy * vy + vz * vz) / VOXEL * 2))
        for i in range(rows):
            for j in range(columns):
                s, t = (j + 0.5) / columns, (i + 0.5) / rows
                x, y, z = (
                    origins[f, 0] + s * ux + t * vx,
                    origins[f, 1] + s * uy + t * vy,
                    origins[f, 2] + s * uz + t * vz,
                )
                outside = triangles[f] and s + t > 1
                if not outside and min(x, y, z, size[0] - x, size[1] - y, size[2] - z) > WALL_SKIN:
                    occupied[int(x / VOXEL), int(y / VOXEL), int(z / VOXEL)] = True
    return occupied


@compiled()
def _march(x, y, z, dx, dy, dz, reach, occupied, size):  # type: ignore[no-untyped-def]
    """Metres from a point along a unit direction until a voxel or a wall stops the ray; `reach` when nothing does."""
    travelled = 0.0
    while travelled < reach:
        if x < 0 or y < 0 or z < 0 or x >= size[0] or y >= size[1] or z >= size[2]:
            return travelled
        if occupied[int(x / VOXEL), int(y / VOXEL), int(z / VOXEL)]:
            return travelled
        x, y, z = x + STEP * dx, y + STEP * dy, z + STEP * dz
        travelled += STEP
    return reach


@compiled()
def _open_shares(points, frames, hemisphere, occupied, size):  # type: ignore[no-untyped-def]
    """How open the half space off each point's face is, (L,) 0..1."""
    shares = np.zeros(len(points))
    for n in range(len(points)):
        for k in range(len(hemisphere)):
            a, b, c = hemisphere[k, 0], hemisphere[k, 1], hemisphere[k, 2]
            dx = a * frames[n, 0, 0] + b * frames[n, 1, 0] + c * frames[n, 2, 0]
            dy = a * frames[n, 0, 1] + b * frames[n, 1, 1] + c * frames[n, 2, 1]
            dz = a * frames[n, 0, 2] + b * frames[n, 1, 2] + c * frames[n, 2, 2]
            shares[n] += _march(points[n, 0], points[n, 1], points[n, 2], dx, dy, dz, REACH, occupied, size)
    return shares / (REACH * len(hemisphere))


@compiled()
def _lamp_shares(points, normals, lamps, axes, occupied, size):  # type: ignore[no-untyped-def]
    """What reaches each point of each lamp sample's power, (L, N): cosines over squared distance, 0 in its shadow."""
    shares = np.zeros((len(points), len(lamps)))
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for k in range(len(lamps)):
            dx, dy, dz = lamps[k, 0] - x, lamps[k, 1] - y, lamps[k, 2] - z
            distance = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-6)
            dx, dy, dz = dx / distance, dy / distance, dz / distance
            cosine = max(dx * normals[n, 0] + dy * normals[n, 1] + dz * normals[n, 2], 0.0)
            if axes[k, 0] != 0 or axes[k, 1] != 0 or axes[k, 2] != 0:
                cosine *= max(-dx * axes[k, 0] - dy * axes[k, 1] - dz * axes[k, 2], 0.0)
            reach = max(distance - 0.2, 0.0)  # a lamp is not in its own way
            if cosine > 0 and _march(x, y, z, dx, dy, dz, reach, occupied, size) >= reach:
                shares[n, k] = cosine / (distance * distance + 0.1)
    return shares


@compiled()
def _sun_shares(points, normals, sun, opening, occupied, size):  # type: ignore[no-untyped-def]
    """Cosine (L,) of the sun where it comes in through the opening, in a plane x or y = constant, else 0."""
    across = 0 if opening[0, 0] == opening[1, 0] else 1  # the axis through the opening
    along = 1 - across
    shares = np.zeros(len(points))
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        cosine = -sun[0] * normals[n, 0] - sun[1] * normals[n, 1] - sun[2] * normals[n, 2]
        travel = (points[n, across] - opening[0, across]) / sun[across]
        entry, entry_z = points[n, along] - travel * sun[along], z - travel * sun[2]
        inside = opening[0, along] < entry < opening[1, along] and opening[0, 2] < entry_z < opening[1, 2]
        reach = max(travel - 0.15, 0.0)
        if cosine > 0 and inside and _march(x, y, z, -sun[0], -sun[1], -sun[2], reach, occupied, size) >= reach:
            shares[n] = cosine
    return shares
