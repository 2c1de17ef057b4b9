"""What a map tells of the images that it was made from, one by one: how good they were, and how well they fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.evaluation.json_parsing import finite_number

Float = NDArray[np.float64]

BLURRED = 0.75  # of the median sharpness of a recording
DARK, BRIGHT, CLIPPED = 0.12, 0.88, 0.3  # mean grey value, and the share of pixels that are black or white
FEW_KEY_POINTS = 0.3  # of their median


@dataclass(frozen=True, eq=False)
class Recording:
    """F mapping images of a `place`, in the order of recording. `sharpness`, `brightness`, `clipped` (F,): their
    `image_quality`; `key_points` (F,): how many were found in each; `observations` (F,): how many of these observe a
    point of the reconstruction; `moved_m`, `turned_deg` (F,): how far their poses were adjusted. Raises ValueError for
    figures that are not of F images."""

    place: str
    names: tuple[str, ...]
    sharpness: Float
    brightness: Float
    clipped: Float
    key_points: Float
    observations: Float
    moved_m: Float
    turned_deg: Float

    def __post_init__(self) -> None:
        for each in fields(self)[2:]:
            if getattr(self, each.name).shape != (len(self.names),):
                raise ValueError(f"recording: {each.name} is not of {len(self.names)} images")

    def to_json(self) -> dict[str, Any]:
        """In JSON's types."""
        figures = {each.name: [_short(value) for value in getattr(self, each.name)] for each in fields(self)[2:]}
        return {"place": self.place, "names": list(self.names), **figures}

    @staticmethod
    def from_json(node: Mapping[str, Any]) -> "Recording":
        """The inverse of `to_json`; KeyError, TypeError or ValueError for what that never writes."""
        figures = {
            each.name: np.array([finite_number(value) for value in node[each.name]], dtype=np.float64)
            for each in fields(Recording)[2:]
        }
        return Recording(str(node["place"]), tuple(str(name) for name in node["names"]), **figures)

    @property
    def blurred(self) -> NDArray[np.bool_]:
        """Images (F,) that are far less sharp than most of the recording."""
        found: NDArray[np.bool_] = self.sharpness < BLURRED * np.median(self.sharpness)
        return found

    @property
    def badly_exposed(self) -> NDArray[np.bool_]:
        """Images (F,) that are dark, bright, or for a large part nothing but black or white."""
        found: NDArray[np.bool_] = (self.brightness < DARK) | (self.brightness > BRIGHT) | (self.clipped > CLIPPED)
        return found

    @property
    def plain(self) -> NDArray[np.bool_]:
        """Images (F,) with far fewer key points than most: of bare walls, or covered."""
        found: NDArray[np.bool_] = self.key_points < FEW_KEY_POINTS * np.median(self.key_points)
        return found


def _short(value: float) -> float | int:
    """With three digits: a map is to be small."""
    short = float(f"{value:.3g}")
    return int(short) if short.is_integer() else short


def stretches_of(wanted: NDArray[np.bool_], names: Sequence[str], gap: int = 3) -> list[tuple[str, str, int]]:
    """The first and the last name of each stretch of `wanted` images (F,), and how many of them are in it; images no
    farther apart than `gap` are in one stretch. The longest first."""
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return []
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > gap) + 1)
    return [(names[part[0]], names[part[-1]], len(part)) for part in sorted(parts, key=len, reverse=True)]
