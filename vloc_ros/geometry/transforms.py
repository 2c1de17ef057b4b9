"""Rigid transforms as 4x4 matrices named `target_from_source`, and quaternions in xyzw order."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]

POSE_COLUMNS = "tx ty tz qx qy qz qw"  # a pose as seven numbers: position in metres, quaternion; as in TUM files

# Poses written as text carry 6 or 7 digits, KinectFusion's drift a little: more than this is not a rotation.
RIGID_TOLERANCE = 1e-3


def rigid_fault(matrix: ArrayLike) -> str | None:
    """Say what keeps `matrix` from being a rigid 4x4 transform; None if it is one."""
    m = np.asarray(matrix, dtype=np.float64)
    if m.shape != (4, 4):
        return f"shape {m.shape} instead of (4, 4)"
    if not np.isfinite(m).all():
        return "a value that is not finite"
    if not np.allclose(m[3], (0.0, 0.0, 0.0, 1.0), atol=1e-6):
        return f"last row {m[3].tolist()} instead of [0, 0, 0, 1]"
    error = float(np.abs(m[:3, :3] @ m[:3, :3].T - np.eye(3)).max())
    if error > RIGID_TOLERANCE:
        return f"a rotation part that is off orthonormal by {error:.2g}"
    if np.linalg.det(m[:3, :3]) < 0:
        return "a rotation part that mirrors (determinant -1)"
    return None


def first_not_rigid(matrices: Matrix) -> int | None:
    """Index of the first of matrices (N, 4, 4) in which `rigid_fault` finds something; None if there is none."""
    rotations, rows = matrices[:, :3, :3], matrices[:, 3]
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is not rigid
        errors = np.abs(rotations @ np.swapaxes(rotations, 1, 2) - np.eye(3)).max(axis=(1, 2), initial=0.0)
        rigid = (errors <= RIGID_TOLERANCE) & (np.linalg.det(rotations) > 0)
    rigid &= np.isfinite(matrices).all(axis=(1, 2)) & np.isclose(rows, (0.0, 0.0, 0.0, 1.0), atol=1e-6).all(axis=1)
    return None if rigid.all() else int(np.argmin(rigid))


def invert(target_from_source: Matrix) -> Matrix:
    """Inverse of a rigid transform, (..., 4, 4)."""
    rotation_t = np.swapaxes(target_from_source[..., :3, :3], -1, -2)
    inverse = np.zeros_like(target_from_source)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation_t, target_from_source[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def apply(target_from_source: Matrix, points: NDArray[np.floating]) -> Matrix:
    """Transform points (N, 3), metres."""
    moved: Matrix = np.asarray(points, dtype=np.float64) @ target_from_source[:3, :3].T + target_from_source[:3, 3]
    return moved


def from_quaternion(quat_xyzw: ArrayLike, translation: ArrayLike) -> Matrix:
    """4x4 transform from a quaternion (any non-zero length) in xyzw order and a translation in metres."""
    q = np.asarray(quat_xyzw, dtype=np.float64)
    with np.errstate(over="ignore"):  # too long to be one is no direction either
        norm = float(np.linalg.norm(q))
    if not np.isfinite(norm) or norm < 1e-9:
        raise ValueError(f"quaternion {q.tolist()} has no direction")
    x, y, z, w = q / norm
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = np.asarray(translation, dtype=np.float64)
    return matrix


def to_quaternion(rotation: Matrix) -> Matrix:
    """Unit quaternion xyzw, w >= 0, of a 3x3 rotation (Shepperd's method: the largest component first)."""
    m = rotation
    diagonal = np.array([m[0, 0], m[1, 1], m[2, 2]])
    trace = diagonal.sum()
    squares = np.append(1 + 2 * diagonal - trace, 1 + trace)  # 4 x^2, 4 y^2, 4 z^2, 4 w^2
    symmetric = np.array(
        [
            [squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]],
        ]
    )
    largest = symmetric[int(np.argmax(squares))]
    q: Matrix = largest / np.linalg.norm(largest)
    return q if q[3] >= 0 else -q


def pose_vector(target_from_source: Matrix) -> Matrix:
    """A rigid transform as the numbers (7,) of POSE_COLUMNS."""
    return np.concatenate([target_from_source[:3, 3], to_quaternion(target_from_source[:3, :3])])


def from_pose_vector(numbers: ArrayLike) -> Matrix:
    """The inverse of `pose_vector`, of a quaternion of any length but zero. Raises ValueError for other than 7 numbers
    and as `from_quaternion`."""
    vector = np.asarray(numbers, dtype=np.float64)
    if vector.shape != (7,):
        raise ValueError(f"{len(vector)} values instead of 7 in a pose")
    return from_quaternion(vector[3:], vector[:3])


def rotation_angle(a: Matrix, b: Matrix) -> float:
    """Angle in radians between two 3x3 rotations; exact for small angles too, where arccos is not."""
    delta = a.T @ b
    sine = np.linalg.norm([delta[2, 1] - delta[1, 2], delta[0, 2] - delta[2, 0], delta[1, 0] - delta[0, 1]]) / 2
    return float(np.arctan2(sine, (np.trace(delta) - 1) / 2))


def nearest_rotation(matrix: Matrix) -> Matrix:
    """The rotation (3, 3) nearest to a matrix (3, 3), and the R of the largest trace(R^T matrix): orthogonal Procrustes
    without reflections (Kabsch 1976, Umeyama 1991)."""
    u, _, vt = np.linalg.svd(matrix)
    rotation: Matrix = (u * (1.0, 1.0, np.sign(np.linalg.det(u @ vt)))) @ vt
    return rotation


def blended(one: Matrix, other: Matrix, share: float) -> Matrix:
    """The pose (4, 4) that is `share` of the way from one to another that is near it: 0 the one, 1 the other."""
    middle = (1 - share) * one + share * other
    middle[:3, :3] = nearest_rotation(middle[:3, :3])
    return np.asarray(middle)


def pose_distances(poses: Matrix, pose: Matrix) -> tuple[Matrix, Matrix]:
    """How far each of poses (N, 4, 4) is from one: metres (N,) and radians (N,)."""
    traces = np.einsum("nij,ij->n", poses[:, :3, :3], pose[:3, :3])
    return np.linalg.norm(poses[:, :3, 3] - pose[:3, 3], axis=1), np.arccos(np.clip((traces - 1) / 2, -1, 1))


def skew(vector: ArrayLike) -> Matrix:
    """3x3 matrix of the cross product: skew(a) @ b = a x b."""
    x, y, z = np.asarray(vector, dtype=np.float64)
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def moved_covariance(covariance: Matrix, lever_map: ArrayLike) -> Matrix:
    """Covariance 6x6 (x y z, rotation about the map's axes) of a pose rigidly attached to another one.

    `covariance` is that of the other pose, `lever_map` the vector from it to the attached one, in map axes, metres:
    a rotation error d turns into a position error d x lever (the adjoint of the lever).
    """
    jacobian = np.eye(6)
    jacobian[:3, 3:] = -skew(lever_map)
    moved: Matrix = jacobian @ covariance @ jacobian.T
    return moved


def turned_covariance(covariance: Matrix, target_from_source: Matrix) -> Matrix:
    """Covariance 6x6 (x y z, rotation about the axes) of a pose that is moved by a transform (4, 4) into another frame:
    both its parts are along the axes of the frame."""
    turn = np.kron(np.eye(2), target_from_source[:3, :3])
    turned: Matrix = turn @ covariance @ turn.T
    return turned


def planar(target_from_source: Matrix) -> Matrix:
    """The nearest motion on the floor: x, y and yaw are kept, z, roll and pitch are zero."""
    yaw = np.arctan2(target_from_source[1, 0], target_from_source[0, 0])
    flat = np.eye(4)
    flat[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    flat[:2, 3] = target_from_source[:2, 3]
    return flat
