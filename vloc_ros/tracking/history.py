"""The last seconds of a filtered track, so that what comes late is applied at its stamp."""

from dataclasses import dataclass, replace

import numpy as np

from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, rotation_angle
from vloc_ros.tracking.pose_filter import Estimate, FilterOptions, Measurement, begin, corrected, predicted

KEPT_NS = 5 * NS_PER_S  # images that come later than that are lost
# Odometry is taken at multiples of this. Were it taken whenever somebody looks, the way between two fixes would be a
# little longer or shorter each time, and the same bag would give another track at another speed.
GRID_NS = NS_PER_S // 20
LEAST_M, LEAST_RAD = 0.005, 0.005  # less motion than that makes no new moment, only a later one


@dataclass(frozen=True, eq=False)
class Moment:
    """The estimate of a stamp, after the fix of that stamp if there was one."""

    estimate: Estimate
    fix: Measurement | None = None


@dataclass(frozen=True, eq=False)
class History:
    """Moments in the order of their stamps; none before the first fix. `until_ns`: odometry is known up to there."""

    moments: tuple[Moment, ...] = ()
    until_ns: int = 0

    @staticmethod
    def begun(fix: Measurement, options: FilterOptions, before: "History | None" = None) -> "History":
        """Of one fix, which places the robot; what was learned of the odometry `before` is kept."""
        learned = before.newest if before else None
        return History((Moment(begin(fix, options, learned), fix),), fix.stamp_ns)

    @property
    def newest(self) -> Estimate | None:
        """None before the first fix."""
        return self.moments[-1].estimate if self.moments else None

    def at(self, stamp_ns: int, odom_from_base: Matrix, options: FilterOptions) -> Estimate | None:
        """What was, or will be, believed of a stamp: from the last moment before it, moved on by odometry. None before
        the first fix."""
        if not self.moments:
            return None
        return predicted(self.moments[self._index(stamp_ns)].estimate, stamp_ns, odom_from_base, options)

    def due(self, newest_ns: int) -> range:
        """The stamps whose odometry is to be told next, if it is known up to the newest; none before the first fix."""
        if not self.moments:
            return range(0)
        return range((max(self.until_ns, newest_ns - KEPT_NS) // GRID_NS + 1) * GRID_NS, newest_ns + 1, GRID_NS)

    def moved(self, stamp_ns: int, odom_from_base: Matrix, options: FilterOptions) -> "History":
        """With the odometry of a later stamp; itself for one that is not later. The way between two fixes is the sum
        of such steps, not the straight line."""
        if not self.moments or stamp_ns <= self.until_ns:
            return self
        last = next((m for m in reversed(self.moments) if m.fix is None), self.moments[0]).estimate.odom_from_base
        step_m = np.linalg.norm(odom_from_base[:3, 3] - last[:3, 3])
        if step_m < LEAST_M and rotation_angle(odom_from_base[:3, :3], last[:3, :3]) < LEAST_RAD:
            return replace(self, until_ns=stamp_ns)
        return replace(self._with(stamp_ns, odom_from_base, None, options), until_ns=stamp_ns)

    def with_fix(self, fix: Measurement, options: FilterOptions) -> "History":
        """Corrected by a fix at its stamp, in place of an earlier one of that stamp, and all that came after it done
        again; itself if the stamp lies before all that is kept."""
        if not self.moments:
            return History.begun(fix, options)
        if fix.stamp_ns < self.moments[0].estimate.stamp_ns:
            return self
        return self._with(fix.stamp_ns, fix.odom_from_base, fix, options)

    def _with(
        self, stamp_ns: int, odom_from_base: Matrix, fix: Measurement | None, options: FilterOptions
    ) -> "History":
        """With one more moment, and all that came after it done again."""
        before, after = self._around(stamp_ns, fix is not None)
        here = predicted(before[-1].estimate, stamp_ns, odom_from_base, options)
        moments = [*before, Moment(corrected(here, fix, options) if fix else here, fix)]
        for later in after:
            told = later.estimate
            estimate = predicted(moments[-1].estimate, told.stamp_ns, told.odom_from_base, options)
            moments.append(replace(later, estimate=corrected(estimate, later.fix, options) if later.fix else estimate))
        return self._trimmed(tuple(moments))

    def _around(self, stamp_ns: int, is_fix: bool) -> "tuple[tuple[Moment, ...], tuple[Moment, ...]]":
        """The moments before and after a new one of a stamp, without one that a fix replaces."""
        for index, moment in enumerate(self.moments[1:], start=1):
            if is_fix and moment.fix is not None and moment.fix.stamp_ns == stamp_ns:
                return self.moments[:index], self.moments[index + 1 :]
        index = self._index(stamp_ns) + 1
        return self.moments[:index], self.moments[index:]

    def _index(self, stamp_ns: int) -> int:
        """Of the last moment not after a stamp; of the first one if there is none."""
        later = (index for index, moment in enumerate(self.moments) if moment.estimate.stamp_ns > stamp_ns)
        return max(0, next(later, len(self.moments)) - 1)

    def _trimmed(self, moments: tuple[Moment, ...]) -> "History":
        oldest_ns = moments[-1].estimate.stamp_ns - KEPT_NS
        kept = tuple(m for m in moments[:-1] if m.estimate.stamp_ns >= oldest_ns) + moments[-1:]
        return replace(self, moments=kept)
