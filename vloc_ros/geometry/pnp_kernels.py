"""What is compiled of the refinement of a pose."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled

Float = NDArray[np.float64]

MIN_DEPTH_M = 1e-3


@compiled(error_model="numpy", no_cfunc_wrapper=True)
def add_residuals(
    map_from_camera: Float,
    pixels: Float,
    points: Float,
    sigmas: Float,
    flattening: Float,
    intrinsics: Float,
    scale: float,
    jacobian: Float,
    sums: Float,
) -> float:
    """Add J^T W J of all residuals to `sums` (7, 7), its lower triangle, and return their cost; as `normal_equations`.

    A seventh column of J is the residual itself. `flattening` (N, 2): as `Matches.flattening`. `jacobian` (2, 7) is a
    buffer.
    """
    cost = 0.0
    for i in range(len(points)):
        y0, y1, y2 = (
            points[i, 0] - map_from_camera[0, 3],
            points[i, 1] - map_from_camera[1, 3],
            points[i, 2] - map_from_camera[2, 3],
        )
        z = max(map_from_camera[0, 2] * y0 + map_from_camera[1, 2] * y1 + map_from_camera[2, 2] * y2, MIN_DEPTH_M)
        for k in range(2):
            row, focal = jacobian[k], intrinsics[k]
            slope = (map_from_camera[0, k] * y0 + map_from_camera[1, k] * y1 + map_from_camera[2, k] * y2) / z
            for a in range(3):
                row[a] = -focal / (z * sigmas[i]) * (map_from_camera[a, k] - slope * map_from_camera[a, 2])
            row[3] = y1 * row[2] - y2 * row[1]  # m . (y x dw) = (m x y) . dw, and the move's part is -m
            row[4] = y2 * row[0] - y0 * row[2]
            row[5] = y0 * row[1] - y1 * row[0]
            row[6] = (focal * slope + intrinsics[2 + k] - pixels[i, k]) / sigmas[i]
        f0, f1 = flattening[i, 0], flattening[i, 1]
        for a in range(7):
            along = f0 * jacobian[0, a] + f1 * jacobian[1, a]
            jacobian[0, a] -= f0 * along
            jacobian[1, a] -= f1 * along
        squared = (jacobian[0, 6] * jacobian[0, 6] + jacobian[1, 6] * jacobian[1, 6]) / (scale * scale)
        weight = 1.0 / (1.0 + squared)
        cost += scale * scale / 2 * np.log1p(squared)
        for a in range(7):
            for b in range(a + 1):
                sums[a, b] += weight * (jacobian[0, a] * jacobian[0, b] + jacobian[1, a] * jacobian[1, b])
    return cost
