"""Rigid transforms in plain floats: quaternions as (x, y, z, w), of about unit length, as they were sent."""

from math import acos, hypot, isfinite, sin, sqrt
from typing import NamedTuple

Floats = tuple[float, ...]


class Rigid(NamedTuple):
    """Rotation, then translation."""

    rotation: Floats
    translation: Floats

    def after(self, first: "Rigid") -> "Rigid":
        """The transform that applies `first` and then this one."""
        moved = _rotate(self.rotation, first.translation)
        return Rigid(_multiply(self.rotation, first.rotation), _blend(1.0, moved, 1.0, self.translation))

    def inverse(self) -> "Rigid":
        x, y, z, w = self.rotation
        back = (-x, -y, -z, w)
        return Rigid(back, tuple(-value for value in _rotate(back, self.translation)))


IDENTITY = Rigid((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))


def normalized(q: Floats) -> Floats:
    """Unit quaternion with the sign that a conversion from a matrix gives: w positive, or else the largest of x, y, z.

    Raises ValueError for one that is zero or not finite.
    """
    norm = hypot(*q)
    if not isfinite(norm) or norm == 0.0:
        raise ValueError(f"quaternion {q} is no rotation")
    leading = q[3] if abs(q[3]) > 0.5 * norm else max(q[:3], key=abs)
    return tuple(value / (norm if leading > 0 else -norm) for value in q)


def interpolate(a: Rigid, b: Rigid, ratio: float) -> Rigid:
    """Between a (ratio 0) and b (ratio 1): straight for the translation, the shorter great arc for the rotation."""
    translation = _blend(1.0 - ratio, a.translation, ratio, b.translation)
    dot, lengths = _dot(a.rotation, b.rotation), sqrt(squared_length(a.rotation) * squared_length(b.rotation))
    angle = acos(min(abs(dot) / lengths, 1.0))
    if angle == 0.0:
        return Rigid(a.rotation, translation)
    weight_b = sin(ratio * angle) / sin(angle) * (-1.0 if dot < 0 else 1.0)
    return Rigid(_blend(sin((1.0 - ratio) * angle) / sin(angle), a.rotation, weight_b, b.rotation), translation)


def squared_length(q: Floats) -> float:
    """1 for a rotation."""
    return _dot(q, q)


def _dot(a: Floats, b: Floats) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _multiply(a: Floats, b: Floats) -> Floats:
    (ax, ay, az, aw), (bx, by, bz, bw) = a, b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def _rotate(q: Floats, point: Floats) -> Floats:
    return _multiply(_multiply(q, (*point, 0.0)), (-q[0], -q[1], -q[2], q[3]))[:3]


def _blend(weight_a: float, a: Floats, weight_b: float, b: Floats) -> Floats:
    return tuple(weight_a * p + weight_b * q for p, q in zip(a, b, strict=True))
