"""Where something was at any time, from poses at some times. Needs scipy."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from vloc_ros.geometry.transforms import Matrix

Stamps = NDArray[np.int64]
Known = NDArray[np.bool_]

UNIT_TOLERANCE = 1e-2  # written with few digits, a unit quaternion is still this close to length 1
MAX_VALUE = 1e9  # of a position in metres; what is computed with larger ones is noise
LEAST_LENGTH = 1e-9  # of a quaternion that has a direction


@dataclass(frozen=True)
class Faults:
    """What was wrong with the poses of a trajectory, each a number of poses, and what was done about it.

    `invalid` (not finite, farther away than MAX_VALUE, or a quaternion of length 0): left out. `not_normalized` (off by
    more than 1 %): normalized. `backwards` (a stamp before the one before): sorted in. `duplicates` (of a stamp): the
    last one counts.
    """

    invalid: int = 0
    not_normalized: int = 0
    backwards: int = 0
    duplicates: int = 0


@dataclass(frozen=True, eq=False)
class Trajectory:
    """N >= 1 poses `parent_from_child`: stamps (N,) in nanoseconds, strictly increasing, positions (N, 3) in metres,
    unit quaternions (N, 4) in xyzw order."""

    stamps_ns: Stamps
    positions: Matrix
    quats_xyzw: Matrix
    faults: Faults

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def at(self, stamps_ns: Stamps, max_gap_ns: int) -> tuple[Matrix, Known]:
        """Poses (M, 4, 4) at the stamps (M,), and which of them are known (M,); the others are the identity.

        Known is a pose at its stamp, and between two poses at most `max_gap_ns` apart: positions on the straight line,
        rotations by the shortest turn at constant speed (slerp). Nothing is known before the first and after the last.
        """
        after = np.searchsorted(self.stamps_ns, stamps_ns)
        inside = after < len(self)
        after = np.minimum(after, len(self) - 1)
        exact = inside & (self.stamps_ns[after] == stamps_ns)
        before = np.where(exact, after, np.maximum(after - 1, 0))
        gaps_ns = self.stamps_ns[after] - self.stamps_ns[before]
        known = exact | (inside & (stamps_ns > self.stamps_ns[0]) & (gaps_ns <= max_gap_ns))
        poses = np.tile(np.eye(4), (len(known), 1, 1))
        if known.any():
            shares = (stamps_ns - self.stamps_ns[before])[known] / np.maximum(gaps_ns[known], 1)
            poses[known] = self._between(before[known], after[known], shares)
        return poses, known

    def _between(self, before: NDArray[np.intp], after: NDArray[np.intp], shares: Matrix) -> Matrix:
        start = Rotation.from_quat(self.quats_xyzw[before])
        turn = (start.inv() * Rotation.from_quat(self.quats_xyzw[after])).as_rotvec()
        poses = np.tile(np.eye(4), (len(shares), 1, 1))
        poses[:, :3, :3] = (start * Rotation.from_rotvec(turn * shares[:, None])).as_matrix()
        steps = self.positions[after] - self.positions[before]
        poses[:, :3, 3] = self.positions[before] + steps * shares[:, None]
        return poses


@dataclass
class PoseLog:
    """Collects stamped poses, whatever they are like, 64 bytes each."""

    _stamps_ns: array = field(default_factory=lambda: array("q"))  # type: ignore[type-arg]
    _values: array = field(default_factory=lambda: array("d"))  # type: ignore[type-arg]

    def add(self, stamp_ns: int, position: Sequence[float], quat_xyzw: Sequence[float]) -> None:
        self._stamps_ns.append(stamp_ns)
        self._values.extend((*position, *quat_xyzw))

    def trajectory(self) -> Trajectory | None:
        """The poses in order, see `Faults` for what is done about bad ones; None where none is left."""
        stamps, values = np.array(self._stamps_ns, dtype=np.int64), np.array(self._values).reshape(-1, 7)
        return _trajectory(stamps, values)


def trajectory_of(stamps_ns: ArrayLike, values: ArrayLike) -> Trajectory | None:
    """The same of stamps (N,) and rows (N, 7) of POSE_COLUMNS."""
    return _trajectory(np.asarray(stamps_ns, dtype=np.int64), np.asarray(values, dtype=np.float64).reshape(-1, 7))


def _trajectory(stamps_ns: Stamps, values: Matrix) -> Trajectory | None:
    backwards = int((np.diff(stamps_ns) < 0).sum())
    possible = np.max(np.abs(values), axis=1, initial=0.0) <= MAX_VALUE  # nan is not, either
    lengths = np.zeros(len(values))
    lengths[possible] = np.linalg.norm(values[possible, 3:], axis=1)
    valid = lengths > LEAST_LENGTH
    if not valid.any():
        return None
    stamps_ns, values, lengths = stamps_ns[valid], values[valid], lengths[valid]
    order = np.argsort(stamps_ns, kind="stable")
    last = np.append(np.diff(stamps_ns[order]) > 0, True)  # of its stamp
    chosen = order[last]
    faults = Faults(
        invalid=int((~valid).sum()),
        not_normalized=int((abs(lengths - 1) > UNIT_TOLERANCE).sum()),
        backwards=backwards,
        duplicates=len(order) - len(chosen),
    )
    return Trajectory(stamps_ns[chosen], values[chosen, :3], values[chosen, 3:] / lengths[chosen, None], faults)
