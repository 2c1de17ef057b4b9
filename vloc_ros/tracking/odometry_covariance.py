"""How wrong odometry says that it is: the covariances in the messages of nav_msgs/Odometry.

Two of them may say it. That of the pose grows along the way where somebody has integrated it, as filters of wheels and
inertia do (robot_localization, visual odometry). That of the twist is of the velocity in one message; the errors of
messages are taken to be independent, as who reads them as measurements does. Many drivers fill in neither, or numbers
that stand for nothing; so both are looked at before they are believed.
"""

import threading
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance, rotation_angle, turned_covariance

KEPT_NS, GAP_NS = 10 * NS_PER_S, NS_PER_S // 2
UNKNOWN = 1e3  # a variance (m^2, rad^2, or of a second) from which on it stands for "nobody knows"
LOOKED_AT_AFTER = 0.2  # metres and radians of way, added
LEAST_SIGMA, MOST_SIGMA = 1e-4, 0.5  # after one metre or radian: less is no odometry's, with more it is of no use
NEGATIVE = 0.1  # this part of a growth may be negative, of rounding and of what filters correct
POSITIONS, YAW = slice(0, 2), 5  # what every robot's odometry knows


class Source(Enum):
    """What the noise of the odometry is taken from."""

    OPTIONS = "options"
    POSE = "pose covariance"
    TWIST = "twist covariance"


@dataclass(frozen=True, eq=False)
class OdometryReading:
    """A message: `odom_from_base` (4, 4) at a stamp; `pose_covariance` (6, 6) along the axes of odom and
    `twist_covariance` (6, 6) along those of the base, a second, both in ROS order."""

    stamp_ns: int
    odom_from_base: Matrix
    pose_covariance: Matrix
    twist_covariance: Matrix


@dataclass(frozen=True, eq=False)
class StepNoise:
    """What a step adds: `covariance` (6, 6) along the axes of odom, zero where it is not `known` (6,)."""

    covariance: Matrix
    known: NDArray[np.bool_]

    def filled(self, variances: Matrix) -> Matrix:
        """(6, 6), with these (6,) where nothing is known."""
        filled: Matrix = self.covariance + np.diag(np.where(self.known, 0.0, variances))
        return filled


@dataclass(frozen=True)
class Verdict:
    """What is used, and why; standard deviations of position (m) and heading (rad) after one metre or radian, None
    for the options."""

    source: Source
    why: str = ""
    sigma_m: float | None = None
    sigma_rad: float | None = None

    def __str__(self) -> str:
        if self.sigma_m is None or self.sigma_rad is None:
            return f"as the options say, because {self.why}"
        after = f"{100 * self.sigma_m:.2g} cm and {np.degrees(self.sigma_rad):.2g} deg"
        return f"from the {self.source.value} of its messages, {after} after one metre or radian"


@dataclass(frozen=True, eq=False)
class _Entry:
    """A message; `twists` (6, 6): what those up to it have added by their twist covariances, `way`: metres and radians
    so far."""

    reading: OdometryReading
    twists: Matrix
    way: float

    @property
    def stamp_ns(self) -> int:
        return self.reading.stamp_ns


def _stamp_of(entry: _Entry) -> int:
    return entry.stamp_ns


class OdometryCovariances:
    """The last seconds of messages, and which of their covariances are believed. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self._looked_at: _Entry | None = None
        self.verdict = Verdict(Source.OPTIONS, "nothing has come yet")

    def clear(self) -> None:
        """Forget the messages, but not what they were found to be."""
        with self._lock:
            self._entries, self._looked_at = [], None

    def add(self, reading: OdometryReading) -> Verdict | None:
        """The new verdict, where it is another source than before, or the first; otherwise None."""
        with self._lock:
            before = self._entries[-1] if self._entries else None
            if before and not 0 < reading.stamp_ns - before.stamp_ns <= GAP_NS:
                self._entries, self._looked_at, before = [], None, None
            entry = _Entry(reading, np.zeros((6, 6)), 0.0) if before is None else _after(before, reading)
            self._entries.append(entry)
            self._trim(reading.stamp_ns - KEPT_NS)
            if self._looked_at is None:
                self._looked_at = entry
            if entry.way - self._looked_at.way < LOOKED_AT_AFTER:
                return None
            verdict, old = _judged(self._looked_at, entry), self.verdict
            self._looked_at, self.verdict = entry, verdict
            return verdict if (verdict.source, verdict.why) != (old.source, old.why) else None

    def between(self, one_ns: int, other_ns: int) -> StepNoise | None:
        """What the odometry between two stamps adds; None where the options are to be used, or no messages are."""
        if self.verdict.source is Source.OPTIONS:
            return None
        first_ns, last_ns = sorted((one_ns, other_ns))
        with self._lock:
            entries = self._entries
            if len(entries) < 2 or first_ns < entries[0].stamp_ns or last_ns > entries[-1].stamp_ns + GAP_NS:
                return None
            start = min(bisect_right(entries, first_ns, key=_stamp_of) - 1, len(entries) - 2)
            end = max(min(bisect_left(entries, last_ns, key=_stamp_of), len(entries) - 1), start + 1)
            before, after = entries[start], entries[end]
        found = _added(self.verdict.source, before, after)
        if found is None:
            return None
        share = (last_ns - first_ns) / (after.stamp_ns - before.stamp_ns)
        return StepNoise(share * found.covariance, found.known)

    def _trim(self, oldest_ns: int) -> None:
        half = len(self._entries) // 2
        if self._entries[half].stamp_ns < oldest_ns:
            del self._entries[:half]


def _after(before: _Entry, reading: OdometryReading) -> _Entry:
    step = invert(before.reading.odom_from_base) @ reading.odom_from_base
    way = float(np.linalg.norm(step[:3, 3])) + rotation_angle(np.eye(3), step[:3, :3])
    seconds = (reading.stamp_ns - before.reading.stamp_ns) / NS_PER_S
    of_twist = _usable(reading.twist_covariance, _known(reading.twist_covariance))
    twist = turned_covariance(of_twist, reading.odom_from_base)
    return _Entry(reading, before.twists + seconds**2 * twist, before.way + way)


def _judged(start: _Entry, end: _Entry) -> Verdict:
    """What to believe, by the way between two messages."""
    way, reasons = end.way - start.way, []
    for source in (Source.POSE, Source.TWIST):
        found = _added(source, start, end)
        if found is None:
            reasons.append(f"the {source.value} does not grow as that of integrated motion")
            continue
        sigma_m, sigma_rad = (
            float(np.sqrt(np.diag(found.covariance)[rows].max() / way)) for rows in (POSITIONS, slice(YAW, YAW + 1))
        )
        if all(LEAST_SIGMA <= sigma <= MOST_SIGMA for sigma in (sigma_m, sigma_rad)):
            return Verdict(source, "", sigma_m, sigma_rad)
        reasons.append(f"the {source.value} {'says nothing' if not found.covariance.any() else 'is not plausible'}")
    return Verdict(Source.OPTIONS, " and ".join(reasons))


def _added(source: Source, start: _Entry, end: _Entry) -> StepNoise | None:
    """What the way between two messages adds; None where the covariance has not grown."""
    if source is Source.TWIST:
        return StepNoise(end.twists - start.twists, _known(end.reading.twist_covariance))
    known = _known(end.reading.pose_covariance)
    lever = end.reading.odom_from_base[:3, 3] - start.reading.odom_from_base[:3, 3]
    before = moved_covariance(_usable(start.reading.pose_covariance, known), lever)
    sizes, axes = np.linalg.eigh(_usable(end.reading.pose_covariance - before, known))
    grown, shrunk = sizes.clip(min=0), -sizes.clip(max=0).sum()
    if shrunk > NEGATIVE * grown.sum():
        return None
    return StepNoise(axes @ np.diag(grown) @ axes.T, known)


def _known(covariance: Matrix) -> NDArray[np.bool_]:
    """Of which of the six it says anything."""
    variances = np.diag(covariance)
    known: NDArray[np.bool_] = np.isfinite(covariance).all(axis=1) & (variances > 0) & (variances < UNKNOWN)
    return known


def _usable(covariance: Matrix, known: NDArray[np.bool_]) -> Matrix:
    """Symmetric, and zero where nothing is known."""
    usable: Matrix = np.where(np.outer(known, known), covariance + covariance.T, 0.0) / 2
    return usable
