"""Which of several maps are to be open: those near the robot, and, while it is lost, the others in turn."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.places import map_from_place
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import apply
from vloc_ros.tracking.track import Fix

OPEN_MAPS = 3  # at a time, where nothing else is asked for: each has networks of its own
NEAR_M = 10.0  # from the landmarks of a map
# While the robot is lost, the maps that are open are tried with so many moments before the next ones have their turn;
# those that do not open get so many.
TRIES, PATIENCE = 5, 100

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KnownMap:
    """A map that can be opened. `low` and `high` (3,): what its landmarks span in `frame`, metres; "" and nothing where
    it is not known how the map lies to others."""

    name: str
    uri: str
    frame: str
    low: Float
    high: Float

    @staticmethod
    def of(name: str, uri: str, landmark_map: LandmarkMap) -> "KnownMap":
        """What is to be kept of a map that is not open."""
        manifest = landmark_map.manifest
        moved = [map_from_place(manifest, place) for place in manifest.result_places]
        if any(each is None for each in moved):
            return KnownMap(name, uri, "", np.zeros(3), np.zeros(3))
        parts = [landmark_map.of_place(place).positions for place in manifest.result_places]
        points = np.concatenate(
            [apply(pose, part) for pose, part in zip(moved, parts, strict=True) if pose is not None]
        )
        return KnownMap(name, uri, manifest.frame_id, points.min(axis=0), points.max(axis=0))

    def distance_m(self, fix: Fix) -> float:
        """Of the robot from what the landmarks span; infinite where that is not known."""
        if not self.frame or fix.map_frame != self.frame or not (fix.place and fix.place.is_aligned):
            return float("inf")
        position = fix.map_from_base[:3, 3].copy()
        position[2] = position[2] if fix.height_m is None else fix.height_m
        return float(np.linalg.norm(np.maximum(np.maximum(self.low - position, position - self.high), 0.0)))


def names_of(uris: Sequence[str]) -> list[str]:
    """What maps are called: the last part of each path. Raises ConfigError where two are called alike."""
    names = [Path(os.path.normpath(uri)).name for uri in uris]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"parameter maps: two of them are called {twice[0]!r}, which is how a place is told")
    return names


def maps_to_open(
    known: Sequence[KnownMap], current: str, fix: Fix | None, limit: int, turn: int | None = None
) -> tuple[str, ...]:
    """Names of the maps that should be open, at most `limit`, the current one first: those near the fix, nearest first.
    `turn`: which of the others begins that are tried while the robot is lost; None while it is not."""
    others = [each for each in known if each.name != current]
    near = [(each.distance_m(fix), each.name) for each in others if fix is not None]
    in_turn = [] if turn is None else [others[(turn + k) % len(others)].name for k in range(len(others))]
    wanted = [current, *in_turn, *(name for distance_m, name in sorted(near) if distance_m <= NEAR_M)]
    return tuple(dict.fromkeys(wanted))[:limit]


class MapTurns:
    """Says after each moment which maps should be open. One thread calls."""

    def __init__(self, known: Sequence[KnownMap], limit: int) -> None:
        self._known, self._limit = known, limit
        self._turn, self._tries = 0, 0.0

    def after(self, current: str, fix: Fix | None, is_lost: bool, opened: Collection[str]) -> tuple[str, ...]:
        """`opened`: the names of those that are open now; a turn counts from when all that it wants are."""
        if not is_lost:
            self._tries = 0.0
            return maps_to_open(self._known, current, fix, self._limit)
        wanted = maps_to_open(self._known, current, fix, self._limit, self._turn)
        self._tries += 1 if set(wanted) <= set(opened) else TRIES / PATIENCE
        if self._tries > TRIES:
            self._tries, self._turn = 0.0, self._turn + self._limit - 1
            wanted = maps_to_open(self._known, current, fix, self._limit, self._turn)
        return wanted
