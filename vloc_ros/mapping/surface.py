"""A place's surface as one oriented, coloured point per occupied voxel: fused from depth here, of a
mesh in `mesh.py`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vloc_ros.compiled import compiled
from vloc_ros.core.arrays import evenly_spread
from vloc_ros.core.grey import is_grey
from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.voxels import AXIS_OFFSET, EMPTY, build_table, cells_of, keys_of, pack, slot_of
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

DEFAULT_VOXEL_M = 0.02
MIN_RANGE_M, MAX_RANGE_M = 0.2, 8.0
MAX_VOXELS = 20_000_000  # 8000 square metres at 2 cm; sums of them and their table take 3 GB
MAX_FRAMES = 1000  # more than this adds time, hardly surface: longer sequences are thinned evenly
PIXELS_PER_FRAME = 80_000
NORMAL_BASELINE_PX = 4
MAX_RELATIVE_STEP = 0.05  # depth step over the baseline, relative to depth, from which on it is an edge
MIN_COSINE = 0.2  # between viewing ray and normal; flatter than this depth is mostly noise
MIN_PIXELS = 4
THINNING_NEIGHBOURS = 48
THINNING_ROUNDS = 4
THINNED_AT_A_TIME = 100_000

# columns of the accumulator: weight, weighted position, normal and colour, pixel count
_WEIGHT, _POSITION, _NORMAL, _COLOR, _COUNT = 0, 1, 4, 7, 10
_COLUMNS = 11


@dataclass(frozen=True, eq=False)
class Surface:
    """One point per occupied voxel, in the map frame: points (N, 3) metres, normals (N, 3) unit, towards the viewer,
    colors (N, 3) RGB float32 in 0..1, counts (N,) int32 pixels (or samples) behind each point."""

    points: Float
    normals: Float
    colors: NDArray[np.float32]
    counts: NDArray[np.int32]
    voxel_size: float

    def __post_init__(self) -> None:
        shapes = [a.shape for a in (self.points, self.normals, self.colors, self.counts)]
        n = len(self.points)
        if shapes != [(n, 3), (n, 3), (n, 3), (n,)]:
            raise ConfigError(f"surface: shapes {shapes} do not belong together")
        if self.voxel_size <= 0:
            raise ConfigError(f"surface: voxel size {self.voxel_size} must be positive")
        if not (np.isfinite(self.points).all() and np.isfinite(self.normals).all()):
            raise ConfigError("surface: a point or normal is not finite")

    def __len__(self) -> int:
        return len(self.points)


def require_in_reach(positions: Float, voxel_size: float) -> None:
    """Raise DatasetError for cameras at positions (N, 3) whose surface would not be in a grid of such voxels."""
    reach = np.abs(positions).max(initial=0.0)
    if not reach + MAX_RANGE_M < (AXIS_OFFSET - 8) * voxel_size:
        raise DatasetError(
            f"surface: cameras are up to {reach:.3g} m from the map's origin, too far for voxels of {voxel_size:g} m: "
            "poses must be in metres, and near their origin"
        )


def fuse_depth(dataset: Dataset, voxel_size: float = DEFAULT_VOXEL_M, advance: Advance = no_advance) -> Surface:
    """Fuse the depth of a data set's frames into a thin surface. Raises DatasetError as `fused`, and for a data set
    without (usable) depth."""
    if not dataset.has_depth:
        raise DatasetError("surface: the data set has no depth; give a mesh of the place instead")
    surface = fused(dataset, voxel_size, advance)
    if not len(surface):
        raise DatasetError(f"surface: {len(dataset)} frames have no usable depth in {MIN_RANGE_M} .. {MAX_RANGE_M} m")
    return thinned(surface)


def fused(dataset: Dataset, voxel_size: float, advance: Advance = no_advance, grey: bool = True) -> Surface:
    """The depth of a data set's frames, without those that are `grey` if they are not wanted, as thick as its noise.
    Memory grows with the surface, not with the frames.

    Each pixel counts with the inverse variance of structured-light depth (sigma ~ z^2) and the cosine of its viewing
    angle. Raises DatasetError for surfaces of more than MAX_VOXELS.
    """
    indices = evenly_spread(len(dataset), MAX_FRAMES)
    require_in_reach(np.array([dataset.map_from_camera(int(index))[:3, 3] for index in indices]), voxel_size)
    fusion = _Fusion(voxel_size)
    for done, index in enumerate(indices, start=1):
        frame = dataset.frame(int(index), depth=True)
        if frame.depth is not None and (grey or not is_grey(frame.image.rgb)):
            camera = frame.image.camera
            rgb, depth = camera.undistort(frame.image.rgb), undistort_depth(camera, frame.depth)
            fusion.add(camera.undistorted(), frame.map_from_camera, rgb, depth)
        advance(done, len(indices))
    return fusion.surface(min_frames=min(3, 1 + len(indices) // 20))


class _Fusion:
    """Weighted sums per voxel, one row each, in a hash table that grows as the surface does."""

    def __init__(self, voxel_size: float) -> None:
        self._voxel_size = voxel_size
        self._frames_added = 0
        self._used = 0
        self._table = build_table(np.empty(0, dtype=np.int64))
        self._sums: Float = np.zeros((0, _COLUMNS))
        self._frames = np.zeros((0, 2), dtype=np.int32)  # how many frames saw it, the last one that did (from 1)

    def add(self, camera: Camera, map_from_camera: Float, rgb: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
        step = max(1, round(float(np.sqrt(depth.size / PIXELS_PER_FRAME))))
        self._reserve(self._used + len(range(0, depth.shape[0], step)) * len(range(0, depth.shape[1], step)))
        self._frames_added += 1
        intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        self._used = _accumulate(
            depth, rgb, intrinsics, np.ascontiguousarray(map_from_camera), self._voxel_size, step,
            self._table.keys, self._table.rows, self._sums, self._frames, self._frames_added, self._used,
        )  # fmt: skip

    def _reserve(self, rows: int) -> None:
        if self._used > MAX_VOXELS:
            raise DatasetError(
                f"surface: {self._used / 1e6:.0f} million voxels of {self._voxel_size:g} m after {self._frames_added} "
                f"frames, at most {MAX_VOXELS / 1e6:.0f} million are possible: give fewer frames or a smaller place"
            )
        if rows > len(self._sums):
            extra = max(rows, 2 * len(self._sums)) - len(self._sums)
            self._sums = np.concatenate([self._sums, np.zeros((extra, _COLUMNS))])
            self._frames = np.concatenate([self._frames, np.zeros((extra, 2), dtype=np.int32)])
            self._table = build_table(self._keys(), len(self._sums))

    def _keys(self) -> NDArray[np.int64]:
        occupied = self._table.keys != EMPTY
        keys = np.empty(self._used, dtype=np.int64)
        keys[self._table.rows[occupied]] = self._table.keys[occupied]
        return keys

    def surface(self, min_frames: int) -> Surface:
        """What was seen in enough frames by enough pixels, in the order of the voxels' keys."""
        order = np.argsort(self._keys())
        sums, frames = self._sums[order], self._frames[order, 0]
        return _surface_from_sums(sums[(sums[:, _COUNT] >= MIN_PIXELS) & (frames >= min_frames)], self._voxel_size)


@compiled(inline="always")
def _lift(depth, intrinsics, x, y):  # type: ignore[no-untyped-def]
    """The 3-D point of a pixel in the camera frame."""
    z = depth[y, x]
    return (x - intrinsics[2]) / intrinsics[0] * z, (y - intrinsics[3]) / intrinsics[1] * z, z


@compiled()
def _normal(depth, intrinsics, x, y):  # type: ignore[no-untyped-def]
    """The unit normal, towards the camera, and its cosine to the viewing ray; cosine 0 at edges and holes."""
    z, b = depth[y, x], NORMAL_BASELINE_PX
    for other in (depth[y, x - b], depth[y, x + b], depth[y - b, x], depth[y + b, x]):
        if not abs(other - z) < MAX_RELATIVE_STEP * z:
            return 0.0, 0.0, 0.0, 0.0
    lx, ly, lz = _lift(depth, intrinsics, x - b, y)
    rx, ry, rz = _lift(depth, intrinsics, x + b, y)
    ux, uy, uz = _lift(depth, intrinsics, x, y - b)
    dx, dy, dz = _lift(depth, intrinsics, x, y + b)
    rx, ry, rz, dx, dy, dz = rx - lx, ry - ly, rz - lz, dx - ux, dy - uy, dz - uz
    nx, ny, nz = dy * rz - dz * ry, dz * rx - dx * rz, dx * ry - dy * rx
    px, py, pz = _lift(depth, intrinsics, x, y)
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    if length == 0.0:
        return 0.0, 0.0, 0.0, 0.0
    cosine = -(nx * px + ny * py + nz * pz) / (length * np.sqrt(px * px + py * py + pz * pz))
    return nx / length, ny / length, nz / length, cosine


@compiled()
def _accumulate(  # type: ignore[no-untyped-def]
    depth, rgb, intrinsics, map_from_camera, voxel_size, step, keys, rows, sums, frames, frame, used
):
    """Add every `step`-th pixel's position, normal and colour to its voxel's row; returns the rows now in use."""
    m = map_from_camera
    for y in range(NORMAL_BASELINE_PX, depth.shape[0] - NORMAL_BASELINE_PX, step):
        for x in range(NORMAL_BASELINE_PX, depth.shape[1] - NORMAL_BASELINE_PX, step):
            if not MIN_RANGE_M < depth[y, x] < MAX_RANGE_M:
                continue
            nx, ny, nz, cosine = _normal(depth, intrinsics, x, y)
            if cosine < MIN_COSINE:
                continue
            px, py, pz = _lift(depth, intrinsics, x, y)
            qx = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
            qy = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
            qz = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
            key = pack(int(np.floor(qx / voxel_size)), int(np.floor(qy / voxel_size)), int(np.floor(qz / voxel_size)))
            slot = slot_of(keys, key)
            if keys[slot] == EMPTY:
                keys[slot], rows[slot] = key, used
                used += 1
            total = sums[rows[slot]]
            weight = cosine / (pz * pz * pz * pz)
            total[_WEIGHT] += weight
            total[_POSITION] += weight * qx
            total[_POSITION + 1] += weight * qy
            total[_POSITION + 2] += weight * qz
            for k in range(3):
                total[_NORMAL + k] += weight * (m[k, 0] * nx + m[k, 1] * ny + m[k, 2] * nz)
                total[_COLOR + k] += weight * rgb[y, x, k] / 255.0
            total[_COUNT] += 1.0
            if frames[rows[slot], 1] != frame:
                frames[rows[slot], 0] += 1
                frames[rows[slot], 1] = frame
    return used


def _surface_from_sums(sums: Float, voxel_size: float) -> Surface:
    length = np.linalg.norm(sums[:, _NORMAL : _NORMAL + 3], axis=1)
    sums = sums[length > 1e-3 * sums[:, _WEIGHT]]  # normals that cancel: neither side is the surface
    normals = sums[:, _NORMAL : _NORMAL + 3]
    weights = sums[:, _WEIGHT, None]
    return Surface(
        points=sums[:, _POSITION : _POSITION + 3] / weights,
        normals=normals / np.linalg.norm(normals, axis=1, keepdims=True),
        colors=(sums[:, _COLOR : _COLOR + 3] / weights).clip(0.0, 1.0).astype(np.float32),
        counts=sums[:, _COUNT].clip(max=np.iinfo(np.int32).max).astype(np.int32),
        voxel_size=voxel_size,
    )


def voxelised(
    points: Float, normals: Float, colors: NDArray[np.floating], counts: NDArray[np.int32], voxel_size: float
) -> Surface:
    """One mean point, weighted by the counts, per occupied voxel, in the order of the voxels' keys."""
    _, row = np.unique(keys_of(cells_of(points, voxel_size)), return_inverse=True)
    ones = np.ones(len(points))
    columns: Float = np.column_stack([ones, points, normals, colors, ones]) * counts[:, None]
    sums: Float = np.stack([np.bincount(row, columns[:, k]) for k in range(_COLUMNS)], axis=1)
    return _surface_from_sums(sums, voxel_size)


def thinned(surface: Surface) -> Surface:
    """Pull the points of a thick, noisy surface onto its local mean plane (moving least squares), one per voxel again.

    Neighbours count by distance, by how often they were seen and by agreement of normals, so that edges stay sharp and
    the two sides of a thin object stay apart.
    """
    sigma = 2.0 * surface.voxel_size
    for _ in range(THINNING_ROUNDS):
        nearest = np.arange(1, min(THINNING_NEIGHBOURS, len(surface)) + 1)
        tree, moved = cKDTree(surface.points), np.empty_like(surface.points)
        for first in range(0, len(surface), THINNED_AT_A_TIME):  # all neighbours of all points are 0.8 kB each
            part = slice(first, first + THINNED_AT_A_TIME)
            _, indices = tree.query(surface.points[part], k=nearest)
            moved[part] = _project(surface.points, surface.normals, surface.counts, first, indices, sigma)
        surface = voxelised(moved, surface.normals, surface.colors, surface.counts, surface.voxel_size)
    return surface


@compiled()
def _project(points, normals, counts, first, neighbours, sigma):  # type: ignore[no-untyped-def]
    """Move points along their neighbourhood's mean normal onto its weighted mean plane: those from row `first` on that
    the rows of `neighbours` are of."""
    moved = np.empty((neighbours.shape[0], 3))
    for row in range(neighbours.shape[0]):
        i = first + row
        px, py, pz = points[i]
        ax, ay, az = normals[i]
        nx, ny, nz, ox, oy, oz, total = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for j in neighbours[row]:
            dx, dy, dz = points[j, 0] - px, points[j, 1] - py, points[j, 2] - pz
            agreement = ax * normals[j, 0] + ay * normals[j, 1] + az * normals[j, 2]
            if agreement <= 0.0:
                continue
            weight = counts[j] * agreement**4 * np.exp(-(dx * dx + dy * dy + dz * dz) / (2.0 * sigma * sigma))
            nx, ny, nz = nx + weight * normals[j, 0], ny + weight * normals[j, 1], nz + weight * normals[j, 2]
            ox, oy, oz, total = ox + weight * dx, oy + weight * dy, oz + weight * dz, total + weight
        shift = (nx * ox + ny * oy + nz * oz) / (total * (nx * nx + ny * ny + nz * nz))
        moved[row, 0], moved[row, 1], moved[row, 2] = px + shift * nx, py + shift * ny, pz + shift * nz
    return moved
