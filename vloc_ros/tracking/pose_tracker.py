"""The track of a robot that images, hints and restarts change, from several threads."""

import threading
from dataclasses import dataclass, replace

import numpy as np

from vloc_ros.core.types import RejectionReason, worst_sigma
from vloc_ros.geometry.transforms import Matrix, invert, rotation_angle
from vloc_ros.tracking.history import History
from vloc_ros.tracking.odometry_covariance import OdometryCovariances
from vloc_ros.tracking.pose_filter import Estimate, FilterOptions
from vloc_ros.tracking.state import State, state_of
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, Hint, Track, TrackingOptions, follow

REPLACED = "the map or the track was replaced while this image was worked on"
STANDING_M, STANDING_RAD = 0.02, 0.02  # who has moved less since the last fix stands


@dataclass(frozen=True, eq=False)
class Believed:
    """What is believed at one moment: the last accepted fix, how often the robot was placed anew, and the filter's
    estimate, None where there is no odometry."""

    fix: Fix
    placements: int
    estimate: Estimate | None


class PoseTracker:
    """Which fixes are believed, and what may be believed of the robot meanwhile.

    An image takes the track when it begins and gives it back with its fix: `follow` refuses the fix if somebody has
    replaced the track meanwhile. Where there is odometry and fixes have covariances, a filter says between the fixes
    where the robot is. The lock is held for as long as the filter takes, a millisecond, never for the length of an
    image.
    """

    def __init__(self) -> None:
        self.odometry = OdometryCovariances()  # for who hears messages of odometry
        self._lock = threading.Lock()  # of the four below, which belong together
        self._track = Track()
        self._history = History()
        self._fix_before: Fix | None = None  # the last one
        self._fixed_at_ns = 0  # on the clock of `follow` and `state`
        self._last_stamp_ns = 0  # of the images

    @property
    def fix(self) -> Fix | None:
        """The last accepted one."""
        return self._track.fix

    @property
    def track(self) -> Track:
        """As the last fix, or somebody else, has left it."""
        return self._track

    @property
    def placements(self) -> int:
        """How often the robot was placed anew."""
        return self._track.placements

    @property
    def is_contradicted(self) -> bool:
        """Whether the last fixes say that the robot is elsewhere, or somebody has said so."""
        return self._track.is_contradicted

    def has_moved(self) -> bool:
        """Whether odometry has moved since the last two fixes, so far that another one says something new; True before
        them. Since the last one alone would not do: odometry of its image's stamp may be the newest that is there."""
        fixes, newest = (self._track.fix, self._fix_before), self._history.newest
        return newest is None or any(fix is None or _is_away(fix, newest.odom_from_base) for fix in fixes)

    def nanoseconds_back(self, stamp_ns: int) -> int:
        """By how much a stamp lies before the last image's; negative for one that lies after it."""
        return self._last_stamp_ns - stamp_ns

    def begin(self, stamp_ns: int) -> Track:
        """The track that the image of this stamp goes on with, for `follow`."""
        with self._lock:
            self._last_stamp_ns = stamp_ns
            return self._track

    def follow(self, before: Track, fix: Fix, now_ns: int, options: TrackingOptions) -> bool:
        """Go on with one more fix; whether it places the robot anew. A second one of the same image takes the place of
        the first. Raises RefusedError: outdated if `before` is not the track any more, jump for a fix that contradicts
        it."""
        measurement, options = fix.measurement, replace(options, filter=self._filter(options))
        with self._lock:
            if self._track is not before:
                raise RefusedError(RejectionReason.OUTDATED, REPLACED)
            expected = None
            if measurement is not None:
                expected = self._history.at(fix.stamp_ns, measurement.odom_from_base, options.filter)
            track, contradiction = follow(before, fix, options, expected)
            self._track = track
            if not contradiction:
                self._fixed_at_ns = now_ns
                is_later = before.fix is None or fix.stamp_ns > before.fix.stamp_ns
                self._fix_before = before.fix if track.fix is fix and is_later else self._fix_before
                if measurement is None:
                    self._history = History()
                elif track.placements > before.placements:
                    self._history = History.begun(measurement, options.filter, self._history)
                else:
                    self._history = self._history.with_fix(measurement, options.filter)
        if contradiction:
            raise RefusedError(RejectionReason.JUMP, contradiction)
        return track.placements > before.placements

    def check(self, before: Track, fix: Fix, options: TrackingOptions) -> None:
        """Go on with a second fix of an image whose first one was followed, `before` having gone on with that, and may
        have gone on since. It never places the robot anew, for what it contradicts was published: the next image may.
        Nor is the robot any less lost by it, which may come long after its image. Raises as `follow`; outdated too if
        other fixes contradict the track by now."""
        now = self.require(before)
        fixes, switch = (max(2, count) for count in (options.agreeing_fixes, options.map_switch))
        careful = replace(options, agreeing_fixes=fixes, map_switch=switch)
        self.follow(now, fix, self._fixed_at_ns, careful)

    def require(self, before: Track) -> Track:
        """The track as it is now. Raises RefusedError: outdated if it does not go on from `before`, or fixes contradict
        it."""
        now = self._track
        if now.line is not before.line or now.is_contradicted:
            raise RefusedError(RejectionReason.OUTDATED, REPLACED)
        return now

    def due(self, newest_ns: int) -> range:
        """The stamps whose odometry is to be told by `move`, one after the other, where it is known up to the
        newest."""
        return self._history.due(newest_ns)

    def move(self, stamp_ns: int, odom_from_base: Matrix, options: TrackingOptions) -> None:
        """Odometry says where the robot was at a stamp."""
        with self._lock:
            self._history = self._history.moved(stamp_ns, odom_from_base, self._filter(options))

    def believed(self) -> Believed | None:
        """What was believed last; None before the first fix."""
        with self._lock:
            return self._believed(self._history.newest)

    def believed_of(self, stamp_ns: int, odom_from_base: Matrix, options: TrackingOptions) -> Believed | None:
        """What is believed of a stamp, of which odometry says that; None before the first fix."""
        with self._lock:
            return self._believed(self._history.at(stamp_ns, odom_from_base, self._filter(options)))

    def _believed(self, estimate: Estimate | None) -> Believed | None:
        fix, placements = self._track.fix, self._track.placements
        return None if fix is None else Believed(fix, placements, estimate)

    def estimate(self, stamp_ns: int, odom_from_base: Matrix, options: TrackingOptions) -> Estimate | None:
        """What the filter believes of a stamp, of which odometry says that; None before the first fix."""
        return self._history.at(stamp_ns, odom_from_base, self._filter(options))

    def _filter(self, options: TrackingOptions) -> FilterOptions:
        """With what odometry says itself."""
        return replace(options.filter, said=self.odometry)

    def expect(self, hint: Hint) -> None:
        """The next fix is to be near a hint."""
        with self._lock:
            self._track = self._track.hinted(hint)

    def leave_map(self) -> None:
        """Fixes are in another map from now on: those so far say nothing any more."""
        with self._lock:
            self._forget()

    def restart(self) -> None:
        """Forget where the robot was, and when."""
        self.odometry.clear()
        with self._lock:
            self._forget()
            self._last_stamp_ns = 0

    def _forget(self) -> None:
        """All but how often the robot was placed anew: by that number, who broadcasts knows that a fix does not go on
        from the one before."""
        self._track, self._history = Track(placements=self._track.placements), History()

    def state(self, has_map: bool, now_ns: int, options: TrackingOptions) -> State:
        """What may be believed now."""
        with self._lock:
            since_s = None if self._track.fix is None else (now_ns - self._fixed_at_ns) * 1e-9
            newest = self._history.newest
        if since_s is not None and newest and worst_sigma(newest.covariance[:3, :3]) > options.lost_sigma_m:
            return State.LOST if has_map else State.UNINITIALIZED
        return state_of(has_map, since_s, options.lost_after_s)


def _is_away(fix: Fix, odom_from_base: Matrix) -> bool:
    """Whether odometry has left the place of a fix; True of one without odometry."""
    if fix.odom_from_base is None:
        return True
    step = invert(fix.odom_from_base) @ odom_from_base
    return bool(np.linalg.norm(step[:3, 3]) > STANDING_M or rotation_angle(np.eye(3), step[:3, :3]) > STANDING_RAD)
