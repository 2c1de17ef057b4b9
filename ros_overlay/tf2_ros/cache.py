"""The transforms of one frame to its parent, over time."""

from bisect import bisect_right
from typing import NamedTuple

from tf2_ros.exceptions import ExtrapolationException
from tf2_ros.rigid import Rigid, interpolate


class Sample(NamedTuple):
    """`transform` takes points of the frame to its `parent`, at `stamp_ns`."""

    stamp_ns: int
    parent: str
    transform: Rigid


class Cache:
    """The transforms of the last `duration_ns`; of a static frame, one for all times, which is never cleared."""

    def __init__(self, duration_ns: int, static: bool) -> None:
        self.static = static
        self._duration_ns = duration_ns
        self._samples: list[Sample] = []  # oldest first

    def insert(self, sample: Sample) -> bool:
        """False for one that is too old to be kept."""
        if self.static:
            self._samples = [sample._replace(stamp_ns=0)]  # puts no bound on the latest common time
            return True
        if self._samples:
            oldest_kept = self._samples[-1].stamp_ns - self._duration_ns
            del self._samples[: self._first_after(oldest_kept - 1)]
            if sample.stamp_ns < oldest_kept:
                return False
        place = self._first_after(sample.stamp_ns)
        if not place or self._samples[place - 1] != sample:
            self._samples.insert(place, sample)
        return True

    def at(self, stamp_ns: int) -> Sample:
        """The sample at a time, 0 for the latest. Raises ExtrapolationException, with nothing to say where there is no
        sample at all, as upstream."""
        if not self._samples:
            raise ExtrapolationException("")
        if self.static or stamp_ns == 0:
            return self._samples[-1]
        place = self._first_after(stamp_ns)
        before, after = self._samples[max(place - 1, 0)], self._samples[min(place, len(self._samples) - 1)]
        if before.stamp_ns == stamp_ns:
            return before
        if before is after:  # the first, the last or the only one
            asked, known = seconds(stamp_ns), seconds(before.stamp_ns)
            if len(self._samples) == 1:
                raise ExtrapolationException(
                    f"Lookup would require extrapolation at time {asked}, but only time {known} is in the buffer"
                )
            when, which = ("past", "earliest") if stamp_ns < before.stamp_ns else ("future", "latest")
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the {when}.  Requested time {asked} "
                f"but the {which} data is at time {known}"
            )
        if before.parent != after.parent:
            return before
        ratio = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
        return Sample(stamp_ns, before.parent, interpolate(before.transform, after.transform, ratio))

    def latest(self) -> Sample | None:
        return self._samples[-1] if self._samples else None

    def clear(self) -> None:
        if not self.static:
            self._samples.clear()

    def _first_after(self, stamp_ns: int) -> int:
        return bisect_right(self._samples, stamp_ns, key=lambda sample: sample.stamp_ns)


def seconds(stamp_ns: int) -> str:
    return f"{stamp_ns * 1e-9:.6f}"
