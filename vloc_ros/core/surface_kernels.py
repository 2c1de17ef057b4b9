"""What is compiled of drawing a coloured surface: a loop over its points, which are some tens of thousands."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.compiled import compiled


@compiled(error_model="numpy", no_cfunc_wrapper=True)
def draw(
    steps: NDArray[np.int16],
    colors: NDArray[np.uint8],
    from_steps: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    voxel_m: float,
    limits: NDArray[np.float64],
    depths: NDArray[np.float32],
    sums: NDArray[np.float32],
    counts: NDArray[np.int32],
) -> None:
    """Add the colours of the points in front to `sums` (H, W, 3), and to `counts` (H, W) how many they are.

    `from_steps` (3, 4) leads from `steps` (N, 3) to the camera's frame, metres. `depths` (H, W), infinite before: of
    what is in front. A point hides what is behind it as far as its voxel reaches in the image. `limits` (4,): points
    nearer than the first, in metres, are not seen; none covers more than the second, in pixels to either side; one is
    in front as well if it is behind the first one by no more than the third, relative to depth, and the fourth, metres.
    """
    fx, fy, cx, cy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    nearest, widest, relative, behind = limits[0], limits[1], limits[2], limits[3]
    height, width = depths.shape
    m = from_steps
    for turn in range(2):
        for i in range(len(steps)):
            a, b, c = float(steps[i, 0]), float(steps[i, 1]), float(steps[i, 2])
            z = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c + m[2, 3]
            if not z > nearest:
                continue
            x = fx * (m[0, 0] * a + m[0, 1] * b + m[0, 2] * c + m[0, 3]) / z + cx + 0.5
            y = fy * (m[1, 0] * a + m[1, 1] * b + m[1, 2] * c + m[1, 3]) / z + cy + 0.5
            if not (0.0 <= x < width and 0.0 <= y < height):
                continue
            u, v = int(x), int(y)
            if turn == 0:
                reach = int(min(np.ceil(0.5 * voxel_m * fx / z), widest))
                for row in range(max(v - reach, 0), min(v + reach + 1, height)):
                    for column in range(max(u - reach, 0), min(u + reach + 1, width)):
                        if z < depths[row, column]:
                            depths[row, column] = z
            elif z < (1.0 + relative) * depths[v, u] + behind:
                for k in range(3):
                    sums[v, u, k] += colors[i, k]
                counts[v, u] += 1
