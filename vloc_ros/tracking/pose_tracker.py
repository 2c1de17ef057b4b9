"""The track of a robot that images, hints and restarts change, from several threads."""

import threading

from vloc_ros.core.types import RejectionReason
from vloc_ros.tracking.state import State, state_of
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, Hint, Track, TrackingOptions, follow


class PoseTracker:
    """Which fixes are believed, and what may be believed of the robot meanwhile.

    An image takes the track when it begins and gives it back with its fix: `follow` refuses the fix if somebody has
    replaced the track meanwhile. The lock is held for a few assignments, never for the length of an image.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of the three below, which belong together
        self._track = Track()
        self._fixed_at_ns = 0  # on the clock of `follow` and `state`
        self._last_stamp_ns = 0  # of the images

    @property
    def fix(self) -> Fix | None:
        """The last accepted one."""
        return self._track.fix

    def seconds_back(self, stamp_ns: int) -> float:
        """By how much a stamp lies before the last image's; negative for one that lies after it."""
        return (self._last_stamp_ns - stamp_ns) * 1e-9

    def begin(self, stamp_ns: int) -> Track:
        """The track that the image of this stamp goes on with, for `follow`."""
        with self._lock:
            self._last_stamp_ns = stamp_ns
            return self._track

    def follow(self, before: Track, fix: Fix, now_ns: int, options: TrackingOptions) -> bool:
        """Go on with one more fix; whether it places the robot anew. Raises RefusedError: outdated if `before` is not
        the track any more, jump for a fix that contradicts it."""
        track, contradiction = follow(before, fix, options)
        with self._lock:
            if self._track is not before:
                replaced = "the map or the track was replaced while this image was worked on"
                raise RefusedError(RejectionReason.OUTDATED, replaced)
            self._track = track
            if not contradiction:
                self._fixed_at_ns = now_ns
        if contradiction:
            raise RefusedError(RejectionReason.JUMP, contradiction)
        return track.placements > before.placements

    def expect(self, hint: Hint) -> None:
        """The next fix is to be near a hint."""
        with self._lock:
            self._track = self._track.hinted(hint)

    def leave_map(self) -> None:
        """Fixes are in another map from now on: those so far say nothing any more."""
        with self._lock:
            self._track = Track()

    def restart(self) -> None:
        """Forget where the robot was, and when."""
        with self._lock:
            self._track, self._last_stamp_ns = Track(), 0

    def state(self, has_map: bool, now_ns: int, options: TrackingOptions) -> State:
        """What may be believed now."""
        with self._lock:
            since_s = None if self._track.fix is None else (now_ns - self._fixed_at_ns) * 1e-9
        return state_of(has_map, since_s, options.lost_after_s)
