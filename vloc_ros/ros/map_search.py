"""Where images are localized when several maps are open: in the one in use, and, where that may be the wrong one, in
another."""

import threading
from collections.abc import Callable
from dataclasses import replace

from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.errors import ModelError
from vloc_ros.localizer import Localizer
from vloc_ros.ros.map_slot import MapSlot

EVERY = 10  # moments that fit the map in use are tried in another one, too: places may look alike


class MapSearch:
    """Any thread calls; one at a time asks other maps. What another map says is evidence only: the track decides where
    the robot is."""

    def __init__(self, slot: MapSlot, log: Callable[[str], object]) -> None:
        self._slot, self._log = slot, log
        self._lock = threading.Lock()
        self._since = self._turn = 0

    def localize(
        self, query: Query, localizer: Localizer, gated: Callable[[Localizer], Localizer], in_doubt: bool
    ) -> tuple[Localizer, PoseEstimate | Rejection]:
        """The result and the localizer of its map: `localizer`, or another one that is open and finds more inliers.
        `in_doubt`: the robot may be in the map that was tried last. Raises as `Localizer.localize`."""
        result = gated(localizer).localize(query)
        if isinstance(result, PoseEstimate) and result.is_followed:
            self._since += 1
            return localizer, result  # to be published at once
        with self._lock:
            return self._compared(query, localizer, result, gated, in_doubt)

    def _compared(
        self,
        query: Query,
        localizer: Localizer,
        result: PoseEstimate | Rejection,
        gated: Callable[[Localizer], Localizer],
        in_doubt: bool,
    ) -> tuple[Localizer, PoseEstimate | Rejection]:
        """With what another map says, where that is to be asked."""
        self._since += 1
        others = [other for other in self._slot.others if other is not localizer]
        is_due = self._since >= EVERY
        if not others or not (isinstance(result, Rejection) or in_doubt or is_due):
            return localizer, result
        self._since = 0 if is_due else self._since
        self._turn += not in_doubt
        other = others[self._turn % len(others)]
        try:
            found = gated(other).localize(replace(query, prior=None))  # which is of the map in use
        except ModelError as error:
            self._slot.fail(other, str(error))
            self._log(f"map {other.map_id} is not tried any more: {error}")
            return localizer, result
        return (other, found) if is_better(found, result) else (localizer, result)


def is_better(one: PoseEstimate | Rejection, other: PoseEstimate | Rejection) -> bool:
    """Whether more speaks for the first than for the second."""
    if isinstance(one, Rejection) or isinstance(other, Rejection):
        return isinstance(one, PoseEstimate)
    return one.inlier_count > other.inlier_count
