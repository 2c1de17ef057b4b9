"""Label images: which landmark's patch each pixel shows, from depth or by rendering the surface."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.landmarks import Landmarks
from vloc_ros.mapping.splatting import Labels, render
from vloc_ros.mapping.surface import Surface
from vloc_ros.mapping.voxels import EMPTY, Ints, build_table, cells_of, find, pack, slot_of

Float = NDArray[np.float64]

BAND = 2  # voxels around the surface in which depth takes its label
MIN_VALID = 0.25  # share of the depth pixels behind a label pixel that must know their depth
MAX_DEPTH_M = 1000.0


class Labeller:
    """Labels images by landmark: 0 for none, k for row k - 1 of the landmarks; safe to share between threads.

    Building it makes a table of all voxels within BAND of the surface; each call is then a lookup or a rendering.
    """

    def __init__(self, surface: Surface, landmarks: Landmarks) -> None:
        self._surface = surface
        self._point_labels = landmarks.point_labels
        keys, self._band_labels = _band(surface, landmarks.point_labels)
        self._table = build_table(keys)

    def label(
        self, camera: Camera, map_from_camera: Float, depth: NDArray[np.float32] | None, width: int, height: int
    ) -> Labels:
        """Label image (height, width) int32 of what `camera` (without its distortion) sees; 0 where no landmark is.

        depth (H, W) metres, 0 unknown, in the camera's image (with its distortion), or None. Pixels of unknown depth
        show the rendered surface. Raises DatasetError if the depth has not the camera's size.
        """
        small = camera.undistorted().resized(width, height)
        rendered = render(self._surface, self._point_labels, small, map_from_camera)
        if depth is None:
            return rendered
        reduced = undistorted_depth(camera, depth, width, height)
        return np.where(reduced > 0, self.look_up(reduced, small, map_from_camera), rendered)

    def look_up(self, depth: NDArray[np.float32], camera: Camera, map_from_camera: Float) -> Labels:
        """Labels (H, W) of the points at depth (H, W) metres of a camera without distortion; 0 where it is unknown."""
        intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        pose = np.ascontiguousarray(map_from_camera, dtype=np.float64)
        labels: Labels = _look_up(depth, intrinsics, pose, self._surface.voxel_size, *self._table, self._band_labels)
        return labels


def undistorted_depth(camera: Camera, depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """`reduce_depth` of depth as `camera` sees it, lens distortion removed. Raises DatasetError for another size."""
    if depth.shape != (camera.height, camera.width):
        raise DatasetError(f"depth image: shape {depth.shape}, but its camera is {camera.width}x{camera.height}")
    return reduce_depth(undistort_depth(camera, depth), width, height)


def reduce_depth(depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Depth at (height, width): the lower median of the known depths behind each pixel, so never a mix across an edge;
    0 where fewer than MIN_VALID of them are known."""
    out = np.zeros((height, width), dtype=np.float32)
    _reduce(np.ascontiguousarray(depth), out)
    return out


@compiled()
def _reduce(depth, out):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    sy, sx = height / out.shape[0], width / out.shape[1]
    values = np.empty((int(np.ceil(sy)) + 1) * (int(np.ceil(sx)) + 1), dtype=np.float32)
    for i in range(out.shape[0]):
        y0 = int(i * sy)
        y1 = max(y0 + 1, min(height, int((i + 1) * sy)))
        for j in range(out.shape[1]):
            x0 = int(j * sx)
            x1 = max(x0 + 1, min(width, int((j + 1) * sx)))
            known = 0
            for y in range(y0, y1):
                for x in range(x0, x1):
                    if depth[y, x] > 0:
                        place = known  # insertion sort
                        while place > 0 and values[place - 1] > depth[y, x]:
                            values[place] = values[place - 1]
                            place -= 1
                        values[place] = depth[y, x]
                        known += 1
            if known > 0 and known >= MIN_VALID * (y1 - y0) * (x1 - x0):
                out[i, j] = values[(known - 1) // 2]


def _band(surface: Surface, point_labels: Labels) -> tuple[Ints, Labels]:
    """Keys of all cells within BAND voxels of the surface, and the label of the point nearest to each cell's centre."""
    reach = range(-BAND, BAND + 1)
    offsets = np.array([(x, y, z) for x in reach for y in reach for z in reach if x * x + y * y + z * z <= BAND * BAND])
    cells, capacity = cells_of(surface.points, surface.voxel_size), 8 * len(surface)
    while True:
        table = build_table(np.empty(0, dtype=np.int64), capacity)
        band_keys, nearest = np.empty(capacity, dtype=np.int64), np.empty(capacity, dtype=np.int32)
        used = _dilate(cells, offsets, surface.points / surface.voxel_size, *table, band_keys, nearest)
        if used >= 0:
            return band_keys[:used], point_labels[nearest[:used]].astype(np.int32)
        capacity *= 2


@compiled()
def _dilate(cells, offsets, points, keys, rows, band_keys, nearest):  # type: ignore[no-untyped-def]
    """Fill the band's keys and nearest points (points in voxels); returns how many, or -1 if there is no room."""
    used = 0
    distance = np.empty(band_keys.shape[0], dtype=np.float32)
    for i in range(cells.shape[0]):
        for o in range(offsets.shape[0]):
            x, y, z = cells[i, 0] + offsets[o, 0], cells[i, 1] + offsets[o, 1], cells[i, 2] + offsets[o, 2]
            key = pack(x, y, z)
            slot = slot_of(keys, key)
            if keys[slot] == EMPTY:
                if used == band_keys.shape[0]:
                    return -1
                keys[slot], rows[slot] = key, used
                band_keys[used], distance[used] = key, np.inf
                used += 1
            row = rows[slot]
            d = (x + 0.5 - points[i, 0]) ** 2 + (y + 0.5 - points[i, 1]) ** 2 + (z + 0.5 - points[i, 2]) ** 2
            if d < distance[row]:
                distance[row], nearest[row] = d, i
    return used


@compiled()
def _look_up(depth, intrinsics, map_from_camera, voxel_size, keys, rows, band_labels):  # type: ignore[no-untyped-def]
    """The label of the band's cell that each pixel's 3-D point lies in."""
    labels = np.zeros(depth.shape, dtype=np.int32)
    m = map_from_camera / voxel_size
    for v in range(depth.shape[0]):
        for u in range(depth.shape[1]):
            z = depth[v, u]
            if not 0.0 < z < MAX_DEPTH_M:
                continue
            x, y = (u - intrinsics[2]) / intrinsics[0] * z, (v - intrinsics[3]) / intrinsics[1] * z
            cx = int(np.floor(m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]))
            cy = int(np.floor(m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]))
            cz = int(np.floor(m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]))
            row = find(keys, rows, pack(cx, cy, cz))
            if row >= 0:
                labels[v, u] = band_labels[row]
    return labels
