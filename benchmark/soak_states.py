"""Whether a relocalizer's states follow from what happened: part of `soak.py`.

The rules are those of docs/ros.md, "States". A message may be late, and a status may be lost where the next one takes
its place; the rules hold in spite of that.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import Status

MARGIN_S = 0.5  # a fix is accepted a little before its pose and its status are published
DELIVERY_S = 5.0  # what is heard may be so old, on a busy computer
NO_FIX, OLD_FIX = "there was no fix in this map", "the last fix is too old"
SOON_S = 1.0  # a state may be told before the fix that it comes from


@dataclass
class StateLog:
    """What was heard of one relocalizer: seconds in each state, how often each followed which, and what nothing
    explains. `lost_after_s` and `lost_sigma_m` are its parameters. Times are in seconds on the clock of the stamps."""

    lost_after_s: float = 2.0
    lost_sigma_m: float = 1.0
    seconds: dict[State, float] = field(default_factory=lambda: defaultdict(float))
    followed: Counter[tuple[State | None, State]] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    _before: Status | None = None
    _heard_s: float = 0.0
    _fixed_s: float | None = None  # when the newest fix of this map was accepted
    _fix_missing: tuple[float, str] | None = None  # since when, and what is to be said if none comes soon

    def restarted(self) -> None:
        """The node begins anew."""
        self._before, self._fixed_s, self._fix_missing = None, None, None

    def fixed(self, at_s: float) -> None:
        """A pose was heard."""
        self._fixed_s, self._fix_missing = max(at_s, self._fixed_s or at_s), None

    def heard(self, status: Status, now_s: float) -> None:
        """A status was heard."""
        before = self._before
        if before and before.map_id and before.map_id != status.map_id:
            self._fixed_s, self._fix_missing = None, None
        if (done_s := fix_time(status)) is not None:
            self.fixed(done_s)
        if before:
            self.seconds[before.state] += now_s - self._heard_s
        if why := self._contradiction(status, now_s):
            text = f"{now_s:.2f}: {before.state.value if before else 'start'} -> {status.state.value}: {why}"
            if why not in (NO_FIX, OLD_FIX):
                self.unexplained.append(text)
            else:
                self._await_fix(text, now_s)
        if before is None or before.state is not status.state:
            self.followed[before.state if before else None, status.state] += 1
        self._before, self._heard_s = status, now_s

    def _await_fix(self, text: str, now_s: float) -> None:
        """Unexplained, unless the fix that is missing is heard soon."""
        since_s, first = self._fix_missing or (now_s, text)
        self._fix_missing = since_s, first
        if now_s - since_s > SOON_S:
            self.unexplained.append(first)
            self._fix_missing = None

    def _contradiction(self, status: Status, now_s: float) -> str:
        """Why this state cannot be; "" if it can."""
        before = self._before
        if status.state is State.UNINITIALIZED:
            return "a map does not go away" if before and before.state is not State.UNINITIALIZED else ""
        if status.state is State.LOCALIZING:
            is_first = before is None or before.state in (State.UNINITIALIZED, State.LOCALIZING)
            return "" if is_first or (before and before.map_id != status.map_id) else "nobody reset the track"
        if self._fixed_s is None:
            return NO_FIX
        if status.state is State.LOST:
            return self._wrongly_lost(status, now_s)
        said_s = done_time(status)
        if said_s is None or said_s - self._fixed_s > self.lost_after_s + MARGIN_S:
            return OLD_FIX
        return "heard too late" if now_s - self._fixed_s > self.lost_after_s + DELIVERY_S else ""

    def _wrongly_lost(self, status: Status, now_s: float) -> str:
        """A fix is accepted after its stamp and before it is heard of, however busy the computer is."""
        image = status.image
        is_fresh = image is not None and image.refusal is None and now_s - image.stamp_ns * 1e-9 < self.lost_after_s
        is_sure = status.sigma_m is None or status.sigma_m <= self.lost_sigma_m
        return "its image is a fix, and the pose is known" if is_fresh and is_sure else ""


def done_time(status: Status) -> float | None:
    """When the image of a status was done, in seconds; None without an image."""
    image = status.image
    return None if image is None else image.stamp_ns * 1e-9 + image.latency_ms * 1e-3


def fix_time(status: Status) -> float | None:
    """The same where the image is a fix."""
    return done_time(status) if status.image and status.image.refusal is None else None
