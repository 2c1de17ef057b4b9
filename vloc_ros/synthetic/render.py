"""Renders textured quads and triangles with exact depth: perspective-correct, filtered, antialiased, on one core."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert
from vloc_ros.synthetic.faces import Faces, Lightmaps, Pyramids

Float = NDArray[np.float64]

NEAR = 0.01  # metres; nothing closer is drawn
NODES = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])  # of the doubled grid around a pixel's centre
TENT = np.array([1, 2, 1, 2, 4, 2, 1, 2, 1], dtype=np.float64) / 16  # their weights
LANE, WHOLE = 21, 8192.0  # bits of a colour's sum, and the sum of its weights: 255 * WHOLE must fit
FOOTPRINT_RUN = 4  # pixels of a row that share what was found about the first one's footprint
MAX_TAPS = 6  # texture samples along the longer axis of a pixel's footprint


def render(
    faces: Faces, pyramids: Pyramids, lightmaps: Lightmaps, camera: Camera, map_from_camera: Float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """RGB uint8 (H, W, 3) and z-depth float32 (H, W) in metres, 0 where no face is; exact at the pixels' centres.

    Visibility is sampled twice as densely as the pixels each way, and combined by a tent filter around its centre.
    Raises ConfigError for a camera with distortion.
    """
    if camera.is_distorted:
        raise ConfigError(f"synthetic room: it renders without distortion, the camera has {camera.distortion}")
    camera_from_map = invert(map_from_camera)
    rotation, translation = camera_from_map[:3, :3], camera_from_map[:3, 3]
    origins = faces.origins @ rotation.T + translation
    edges_u, edges_v = faces.edges_u @ rotation.T, faces.edges_v @ rotation.T
    planes = _plane_functions(origins, edges_u, edges_v, camera)
    ids = _rasterize(
        origins, edges_u, edges_v, faces.triangles, planes, camera.fy, camera.cy, camera.height, camera.width
    )
    textures = faces.textures, faces.windows, pyramids.texels, pyramids.layout
    rgb, depth = _shade(ids, planes, (*textures, lightmaps.values, lightmaps.layout))
    return rgb, depth


def _plane_functions(origins: Float, edges_u: Float, edges_v: Float, camera: Camera) -> Float:
    """(F, 3, 3) rows W, S, T: with pixel p = (x, y, 1), W p = 1 / z, S p = s / z, T p = t / z of the face's plane.

    For a ray r at depth 1 and the plane's normal n, 1 / z = n.r / n.o; with the dual a of u, s / z = a.r - a.o / z.
    Faces seen from behind get zeros.
    """
    normals = np.cross(edges_u, edges_v)
    distances = np.einsum("ij,ij->i", normals, origins)
    squares = np.einsum("ij,ij->i", normals, normals)
    front = distances > 1e-12
    inverse_depth = normals / np.where(front, distances, 1.0)[:, None]
    rows = [inverse_depth]
    for dual in (np.cross(edges_v, normals), np.cross(normals, edges_u)):
        dual /= squares[:, None]
        rows.append(dual - np.einsum("ij,ij->i", dual, origins)[:, None] * inverse_depth)
    planes = np.stack(rows, axis=1) @ np.linalg.inv(camera.matrix)
    planes[~front] = 0.0
    return np.ascontiguousarray(planes)


@compiled()
def _row_range(corners: Float, count: int, fy: float, cy: float, height: int) -> tuple[int, int]:
    """First and one past the last row of the doubled grid that a polygon (camera frame), clipped at NEAR, can touch."""
    low, high = np.inf, -np.inf
    for i in range(count):
        p, q = corners[i], corners[(i + 1) % count]
        if p[2] > NEAR:
            y = fy * p[1] / p[2] + cy
            low, high = min(low, y), max(high, y)
        if (p[2] > NEAR) != (q[2] > NEAR):
            k = (NEAR - p[2]) / (q[2] - p[2])
            y = fy * (p[1] + k * (q[1] - p[1])) / NEAR + cy
            low, high = min(low, y), max(high, y)
    if low > high:
        return 0, 0
    rows = 2 * height + 1
    first = int(np.ceil(min(max(2 * low + 1, 0.0), float(rows))))
    last = int(np.floor(min(max(2 * high + 1, -1.0), float(rows - 1))))
    return first, last + 1


@compiled()
def _rasterize(
    origins: Float,
    edges_u: Float,
    edges_v: Float,
    triangles: NDArray[np.bool_],
    planes: Float,
    fy: float,
    cy: float,
    height: int,
    width: int,
) -> NDArray[np.int32]:
    """Index of the nearest face, -1 for none, on the grid (2H + 1, 2W + 1), where node (i, j) is at the pixel
    x = (j - 1) / 2, y = (i - 1) / 2.

    In homogeneous form a face is where S, T, W - S and W - T (of a triangle W - S - T) are not negative: no clipping is
    needed, and a row's span follows from four linear inequalities.
    """
    columns = 2 * width + 1
    nearest = np.zeros((2 * height + 1, columns), dtype=np.float32)
    ids = np.full((2 * height + 1, columns), -1, dtype=np.int32)
    corners = np.empty((4, 3))
    offset, slope = np.empty(4), np.empty(4)
    for f in range(len(origins)):
        plane = planes[f]
        if not plane[0].any():
            continue
        corners[0], corners[1] = origins[f], origins[f] + edges_u[f]
        corners[2] = corners[1] + edges_v[f]
        if triangles[f]:
            corners[2] -= edges_u[f]
        corners[3] = origins[f] + edges_v[f]
        first, last = _row_range(corners, 3 if triangles[f] else 4, fy, cy, height)
        for i in range(first, last):
            y = 0.5 * (i - 1)
            for k in range(3):
                slope[k] = 0.5 * plane[k, 0]
                offset[k] = plane[k, 1] * y + plane[k, 2] - slope[k]
            w_offset, w_slope = offset[0], slope[0]
            offset[0], slope[0] = w_offset - offset[1], w_slope - slope[1]
            offset[3], slope[3] = w_offset - offset[2], w_slope - slope[2]
            if triangles[f]:
                offset[0], slope[0] = offset[0] - offset[2], slope[0] - slope[2]
            low, high = 0.0, columns - 1.0
            for k in range(4):
                if slope[k] > 0.0:
                    low = max(low, -offset[k] / slope[k])
                elif slope[k] < 0.0:
                    high = min(high, -offset[k] / slope[k])
                elif offset[k] < 0.0:
                    high = -1.0
            if low > high + 1e-6:
                continue
            # a hair wider than exact, so that faces that share an edge leave no gap
            for j in range(int(np.ceil(low - 1e-6)), int(np.floor(high + 1e-6)) + 1):
                w = np.float32(w_offset + w_slope * j)
                if w > nearest[i, j]:
                    nearest[i, j] = w
                    ids[i, j] = f
    return ids


@compiled(inline="always")
def _footing(x, y, offset, rows, columns):  # type: ignore[no-untyped-def]
    """Bilinear interpolation at (x, y) in an image (rows, columns) that starts at `offset`; nodes at integers, clamped.

    Gives the index of the upper left node, the steps to its right and lower neighbours, the fractions right and down.
    """
    x = min(max(x, 0.0), columns - 1.0)
    y = min(max(y, 0.0), rows - 1.0)
    j, i = int(x), int(y)
    right = 1 if j + 1 < columns else 0
    down = columns if i + 1 < rows else 0
    return offset + i * columns + j, right, down, x - j, y - i


@compiled(inline="always")
def _light(values, offset, rows, columns, s, t):  # type: ignore[no-untyped-def]
    """Red, green and blue factor of a light map at (s, t) in [0, 1]."""
    a, right, down, fx, fy = _footing(s * (columns - 1), t * (rows - 1), offset, rows, columns)
    b, c, d = a + right, a + down, a + down + right
    w11 = fx * fy
    w01, w10 = fx - w11, fy - w11
    w00 = 1.0 - fx - w10
    return (
        w00 * values[a, 0] + w01 * values[b, 0] + w10 * values[c, 0] + w11 * values[d, 0],
        w00 * values[a, 1] + w01 * values[b, 1] + w10 * values[c, 1] + w11 * values[d, 1],
        w00 * values[a, 2] + w01 * values[b, 2] + w10 * values[c, 2] + w11 * values[d, 2],
    )


@compiled(inline="always")
def _weighed(texel, weight):  # type: ignore[no-untyped-def]
    """The three bytes of a packed texel times a weight, in lanes of LANE bits: one multiplication for all of them."""
    p = np.int64(texel)
    return int(weight) * ((p & 0xFF) | (p & 0xFF00) << (LANE - 8) | (p & 0xFF0000) << (2 * LANE - 16))


@compiled(inline="always")
def _value(planes, f, row, x, y):  # type: ignore[no-untyped-def]
    return planes[f, row, 0] * x + planes[f, row, 1] * y + planes[f, row, 2]


@compiled(inline="always")
def _face_point(planes, f, x, y):  # type: ignore[no-untyped-def]
    """Depth and the parameters s, t in [0, 1] of the face where pixel (x, y) sees its plane, or the nearest ones."""
    z = 1.0 / max(_value(planes, f, 0, x, y), 1e-3)
    s, t = z * _value(planes, f, 1, x, y), z * _value(planes, f, 2, x, y)
    return z, min(max(s, 0.0), 1.0), min(max(t, 0.0), 1.0)


@compiled(inline="always")
def _footprint(f, x, y, planes, textures, windows, pyramids):  # type: ignore[no-untyped-def]
    """How to sample face f's texture for the pixel (x, y): number of samples, pyramid level, and the longer axis of the
    parallelogram that the pixel covers, as fractions of the texture.

    The level is that whose texels are as long as the distance between the samples along that axis.
    """
    z, s, t = _face_point(planes, f, x, y)
    rows, columns = pyramids[textures[f], 0, 1], pyramids[textures[f], 0, 2]
    scale_u, scale_v = z * windows[f, 2] * columns, z * windows[f, 3] * rows
    ux, uy = (planes[f, 1, 0] - s * planes[f, 0, 0]) * scale_u, (planes[f, 1, 1] - s * planes[f, 0, 1]) * scale_u
    vx, vy = (planes[f, 2, 0] - t * planes[f, 0, 0]) * scale_v, (planes[f, 2, 1] - t * planes[f, 0, 1]) * scale_v
    du, dv = (ux, vx) if ux * ux + vx * vx > uy * uy + vy * vy else (uy, vy)
    square = max(du * du + dv * dv, 1e-9)
    elongation = square / max(abs(ux * vy - uy * vx), 1e-9)
    taps = int(min(max(elongation + 0.75, 1.0), float(MAX_TAPS)))
    level = min(max(0.5 * np.log2(np.float32(square / (taps * taps))), 0.0), pyramids.shape[1] - 1.001)
    return taps, level, du / columns, dv / rows


@compiled(inline="always")
def _colour(f, x, y, footprint, planes, textures, windows, texels, pyramids, lights, light_layout):  # type: ignore[no-untyped-def]
    """Colour of face f at pixel (x, y): texture, averaged over the footprint, times light."""
    taps, level, du, dv = footprint
    _, s, t = _face_point(planes, f, x, y)
    texture = textures[f]
    step_u, step_v = du / taps, dv / taps
    first_u = windows[f, 0] + s * windows[f, 2] - 0.5 * (taps - 1) * step_u
    first_v = windows[f, 1] + t * windows[f, 3] - 0.5 * (taps - 1) * step_v
    total = 0
    for k in range(int(level), int(np.ceil(level)) + 1):
        share = (1.0 - abs(level - k)) * WHOLE / taps
        offset, rows, columns = pyramids[texture, k, 0], pyramids[texture, k, 1], pyramids[texture, k, 2]
        for tap in range(taps):
            u, v = (first_u + tap * step_u) * columns - 0.5, (first_v + tap * step_v) * rows - 0.5
            a, right, down, fx, fy = _footing(u, v, offset, rows, columns)
            low, high = share * fy, share - share * fy
            total += _weighed(texels[a], high - high * fx) + _weighed(texels[a + right], high * fx)
            total += _weighed(texels[a + down], low - low * fx) + _weighed(texels[a + down + right], low * fx)
    r, g, b = _light(lights, light_layout[f, 0], light_layout[f, 1], light_layout[f, 2], s, t)
    lane = (1 << LANE) - 1
    return r * (total & lane) / WHOLE, g * (total >> LANE & lane) / WHOLE, b * (total >> 2 * LANE) / WHOLE


@compiled(inline="always")
def _is_uniform(ids, i, j):  # type: ignore[no-untyped-def]
    """Whether the 3x3 nodes around (i, j) see the same face."""
    f = ids[i, j]
    above = (ids[i - 1, j - 1] == f) & (ids[i - 1, j] == f) & (ids[i - 1, j + 1] == f)
    below = (ids[i + 1, j - 1] == f) & (ids[i + 1, j] == f) & (ids[i + 1, j + 1] == f)
    return above & below & (ids[i, j - 1] == f) & (ids[i, j + 1] == f)


@compiled()
def _mixed_colour(row, column, ids, planes, surface):  # type: ignore[no-untyped-def]
    """Colour of a pixel that several faces share: each is shaded once, and weighed by its nodes of the tent."""
    textures, windows, texels, pyramids, lights, light_layout = surface
    i, j = 2 * row + 1, 2 * column + 1
    r, g, b = 0.0, 0.0, 0.0
    done = 0  # bit k: node k of the 3x3 neighbourhood is accounted for
    for k in range(9):
        face = ids[i + NODES[k, 0], j + NODES[k, 1]]
        if done >> k & 1 or face < 0:
            continue
        weight = 0.0
        for other in range(k, 9):
            if ids[i + NODES[other, 0], j + NODES[other, 1]] == face:
                done |= 1 << other
                weight += TENT[other]
        footprint = _footprint(face, column, row, planes, textures, windows, pyramids)
        fr, fg, fb = _colour(
            face, column, row, footprint, planes, textures, windows, texels, pyramids, lights, light_layout
        )
        r, g, b = r + weight * fr, g + weight * fg, b + weight * fb
    return r, g, b


@compiled()
def _shade(ids, planes, surface):  # type: ignore[no-untyped-def]
    """Image and depth from the doubled grid of face indices; surface: textures, windows, texels, pyramids, lights,
    layout of the lights."""
    textures, windows, texels, pyramids, lights, light_layout = surface
    height, width = ids.shape[0] // 2, ids.shape[1] // 2
    rgb = np.zeros((height, width, 3), dtype=np.uint8)
    depth = np.zeros((height, width), dtype=np.float32)
    for row in range(height):
        footprint, owner = (1, 0.0, 0.0, 0.0), -1
        for column in range(width):
            face = ids[2 * row + 1, 2 * column + 1]
            if face >= 0:
                depth[row, column] = 1.0 / _value(planes, face, 0, column, row)
            if face >= 0 and _is_uniform(ids, 2 * row + 1, 2 * column + 1):
                if face != owner or column % FOOTPRINT_RUN == 0:
                    footprint, owner = _footprint(face, column, row, planes, textures, windows, pyramids), face
                r, g, b = _colour(
                    face, column, row, footprint, planes, textures, windows, texels, pyramids, lights, light_layout
                )
            else:
                r, g, b = _mixed_colour(row, column, ids, planes, surface)
            rgb[row, column, 0] = int(min(r + 0.5, 255.0))
            rgb[row, column, 1] = int(min(g + 0.5, 255.0))
            rgb[row, column, 2] = int(min(b + 0.5, 255.0))
    return rgb, depth
