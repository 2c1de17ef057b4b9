"""Matching the key points of two frames whose poses and depth are known: only what the geometry allows is compared."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled
from vloc_ros.core.prefetch import prefetch
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]

MIN_COSINE = 0.82
RADIUS_PX = 5.0  # from where depth and poses put a key point in the other image
DEPTH_TOLERANCE = 0.05  # of the depth: how far both frames' measurements of one point may be apart
PREFETCHED = 8  # pairs on the way


@dataclass(frozen=True, eq=False)
class KeyPointMatches:
    """M matches: rows (M, 2) of FrameFeatures' key points, and the cosines (M,) of their descriptors."""

    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)


def match_pairs(
    features: FrameFeatures,
    map_from_camera: Float,
    pairs: NDArray[np.int32],
    radius_px: float = RADIUS_PX,
    min_cosine: float = MIN_COSINE,
    threads: int = 1,
    advance: Advance = no_advance,
) -> KeyPointMatches:
    """Mutual nearest neighbours in descriptors of all pairs (n, 2) of frames, among the key points that lie within
    `radius_px` of where the other's depth and the poses (F, 4, 4) put it, and whose depths agree where both are known.
    """
    order = np.lexsort((features.pixels[:, 1], features.frames))  # of each frame from top to bottom
    least = round(min_cosine * 127 * 127)
    shape = (features.camera.width, features.camera.height)
    camera_from_map = invert(map_from_camera)

    def match(pair: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        a, b = pair.tolist()
        rows, dots = _match_pair(
            features.starts[a], features.starts[a + 1], features.starts[b], features.starts[b + 1],
            order, features.pixels, features.rays, features.depths, features.descriptors,
            camera_from_map[b] @ map_from_camera[a], camera_from_map[a] @ map_from_camera[b],
            features.intrinsics, shape, radius_px, least,
        )  # fmt: skip
        return rows, dots

    found = []

    def items() -> Iterator[NDArray[np.int32]]:
        yield from pairs

    for each in prefetch(items(), match, threads, PREFETCHED * threads):
        found.append(each)
        advance(len(found), len(pairs))
    rows = np.concatenate([np.zeros((0, 2), np.int64), *(rows for rows, _ in found)])
    dots = np.concatenate([np.zeros(0, np.float32), *(dots for _, dots in found)])
    return KeyPointMatches(rows, dots / np.float32(127 * 127))


@compiled()
def _match_pair(  # type: ignore[no-untyped-def]
    first_a, end_a, first_b, end_b, order, pixels, rays, depths, descriptors,
    b_from_a, a_from_b, intrinsics, shape, radius, least,
):  # fmt: skip
    """Rows (M, 2) of a's and b's key points that are each other's best, and the dot products (M,) of descriptors."""
    best_of_a = np.full(end_a - first_a, -1, np.int64)
    best_of_b = np.full(end_b - first_b, -1, np.int64)
    dot_of_a = np.full(end_a - first_a, least, np.int64)
    dot_of_b = np.full(end_b - first_b, least, np.int64)
    _seek(
        first_a, end_a, first_b, end_b, order, pixels, rays, depths, descriptors,
        b_from_a, intrinsics, shape, radius, best_of_a, best_of_b, dot_of_a, dot_of_b,
    )  # fmt: skip
    _seek(
        first_b, end_b, first_a, end_a, order, pixels, rays, depths, descriptors,
        a_from_b, intrinsics, shape, radius, best_of_b, best_of_a, dot_of_b, dot_of_a,
    )  # fmt: skip
    rows = np.empty((end_a - first_a, 2), np.int64)
    dots = np.empty(end_a - first_a, np.float32)
    count = 0
    for i in range(end_a - first_a):
        j = best_of_a[i]
        if j >= 0 and best_of_b[j] == i:
            rows[count, 0], rows[count, 1], dots[count] = first_a + i, first_b + j, dot_of_a[i]
            count += 1
    return rows[:count].copy(), dots[:count].copy()


@compiled()
def _seek(  # type: ignore[no-untyped-def]
    first, end, other_first, other_end, order, pixels, rays, depths, descriptors,
    other_from_own, intrinsics, shape, radius, best, best_of_other, dot, dot_of_other,
):  # fmt: skip
    """Compare each key point whose depth is known with those of the other frame near to where it should be there, and
    keep the best of both."""
    m = other_from_own
    for i in range(first, end):
        d = depths[i]
        if d <= 0:
            continue
        x, y = rays[i, 0] * d, rays[i, 1] * d
        z = m[2, 0] * x + m[2, 1] * y + m[2, 2] * d + m[2, 3]
        if z < 0.05:
            continue
        u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * d + m[0, 3]) / z * intrinsics[0] + intrinsics[2]
        v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * d + m[1, 3]) / z * intrinsics[1] + intrinsics[3]
        if u < -radius or v < -radius or u > shape[0] + radius or v > shape[1] + radius:
            continue
        low, high = other_first, other_end
        while low < high:  # the first one that is not too far above
            middle = (low + high) // 2
            if pixels[order[middle], 1] < v - radius:
                low = middle + 1
            else:
                high = middle
        for place in range(low, other_end):
            j = order[place]
            dx, dy = pixels[j, 0] - u, pixels[j, 1] - v
            if dy > radius:
                break
            if dx * dx + dy * dy > radius * radius or (depths[j] > 0 and abs(depths[j] - z) > DEPTH_TOLERANCE * z):
                continue
            product = 0
            for k in range(descriptors.shape[1]):
                product += np.int32(descriptors[i, k]) * np.int32(descriptors[j, k])
            if product > dot[i - first]:
                best[i - first], dot[i - first] = j - other_first, product
            if product > dot_of_other[j - other_first]:
                best_of_other[j - other_first], dot_of_other[j - other_first] = i - first, product
