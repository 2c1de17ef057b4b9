"""The rigid transform between two sets of points, or of poses, that belong together."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.transforms import Matrix, nearest_rotation

TRIM, NEAR_M, ROUNDS = 3.0, 0.01, 5  # poses off by more than three medians, and a centimetre, are left out of a fit


def umeyama(source: Matrix, target: Matrix) -> Matrix:
    """The rigid `target_from_source` (4, 4) with the least squared distances between points (N, 3) and (N, 3).

    Umeyama (1991) without scale. The points must not lie on a line.
    """
    centre_source, centre_target = source.mean(axis=0), target.mean(axis=0)
    rotation = nearest_rotation((target - centre_target).T @ (source - centre_source))
    target_from_source = np.eye(4)
    target_from_source[:3, :3] = rotation
    target_from_source[:3, 3] = centre_target - rotation @ centre_source
    return target_from_source


def fit_poses(source: Matrix, target: Matrix) -> Matrix:
    """The same between poses (N, 4, 4) and (N, 4, 4).

    Umeyama of the six points a metre from each camera along its axes: positions alone say next to nothing about the
    rotation when the camera hardly moves, or along a line.
    """
    return umeyama(_corners(source).reshape(-1, 3), _corners(target).reshape(-1, 3))


def align_poses(truth: Matrix, estimates: Matrix, start: Matrix | None = None) -> tuple[Matrix, NDArray[np.bool_]]:
    """`map_from_truth` (4, 4) between poses (N, 4, 4) and (N, 4, 4), and which of them (N,) it was fitted to.

    Poses far off are left out of `fit_poses`, and the fit is done again; the first one is of all poses, or of those
    near a transform to `start` with.
    """
    map_from_truth, good = np.eye(4), np.ones(len(truth), dtype=bool)
    if start is not None:
        good = _near(corner_distances(start @ truth, estimates))
    for _ in range(ROUNDS):
        map_from_truth = fit_poses(truth[good], estimates[good])
        before, good = good, _near(corner_distances(map_from_truth @ truth, estimates))
        if (before == good).all():
            break
    return map_from_truth, good


def _near(distances: Matrix) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = distances <= max(TRIM * float(np.median(distances)), NEAR_M)
    return near


def corner_distances(poses: Matrix, others: Matrix) -> Matrix:
    """(N,) of poses (N, 4, 4), metres: root mean square of the distances of the points a metre from each camera along
    its axes, so that a radian counts about as a metre."""
    squared = np.square(_corners(poses) - _corners(others)).sum(axis=2)
    distances: Matrix = np.sqrt(squared.mean(axis=1))
    return distances


def _corners(poses: Matrix) -> Matrix:
    """(N, 6, 3): the points a metre from each camera along its axes, in both directions."""
    axes = np.swapaxes(poses[:, :3, :3], 1, 2)
    corners: Matrix = poses[:, None, :3, 3] + np.concatenate([axes, -axes], axis=1)
    return corners
