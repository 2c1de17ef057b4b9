"""Mapping frames, localized as if the mapping views near them had never been taken: what a map says of views as far
from its own as tomorrow's will be.

Frames that were held out lie between mapping frames a centimetre away. Leaving out more of them would cost the map its
points; hiding views costs it nothing, and says how errors grow with the distance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.core.points import Points
from vloc_ros.core.prefetch import prefetch
from vloc_ros.core.types import LandmarkMap
from vloc_ros.core.visibility import visible_points
from vloc_ros.evaluation.evaluate import CORES
from vloc_ros.evaluation.records import Estimated, outcome_of
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import pose_distances
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.hidden_views import ObservedPoints
from vloc_ros.progress import Advance, no_advance
from vloc_ros.training.cached_frames import CachedFrames, reading_caches
from vloc_ros.training.correction import BLOCK
from vloc_ros.training.samples import Sample, sample_of

Float = NDArray[np.float64]

# `NearestView.view_distance` within which views are hidden: metres and radians in one. Each frame has one of them.
DISTANCES = (0.1, 0.2, 0.4, 0.8)
MOST_FRAMES = 120


@dataclass(frozen=True, eq=False)
class HiddenViews:
    """The mapping frames of a map of PRAM, and what its points are made of, place after place."""

    frames: CachedFrames
    places: Sequence[ObservedPoints]

    def map_without(
        self, landmark_map: LandmarkMap, place: int, camera: Camera, pose: Float, distance: float
    ) -> LandmarkMap | None:
        """The map as it would be had no view been taken nearer than that to the pose (4, 4) of a camera in a place, as
        far as that camera sees it; None where no points are left in the place."""
        observed = self.places[place]
        seen = np.zeros(len(observed.points), dtype=np.bool_)
        seen[visible_points(observed.points, place, RigCamera(camera.undistorted()), pose)] = True
        metres, radians = pose_distances(observed.map_from_camera, pose)
        hidden = metres + radians < distance
        points = None if hidden.all() else observed.without(hidden, seen)
        if points is None:
            return None
        others = (each.points if number != place else points for number, each in enumerate(self.places))
        kept = np.ones(len(landmark_map.mapping_views), dtype=np.bool_)
        kept[landmark_map.view_places == place] = ~hidden
        return replace(
            landmark_map,
            points=joined(list(others)),
            mapping_views=landmark_map.mapping_views[kept],
            view_places=landmark_map.view_places[kept],
        )

    def samples(self, localizer: Localizer, advance: Advance = no_advance) -> list[Sample]:
        """What the localizer, which has neither calibration nor gate nor field, says of some of the frames."""
        caches, rows = reading_caches(localizer), evenly_spread(len(self.frames), MOST_FRAMES).tolist()
        asked = zip(rows, cycle((*DISTANCES[1:], DISTANCES[0])), strict=False)
        found = []
        for sample in prefetch(asked, lambda one: self._sample(caches, *one), CORES, 2 * CORES):
            found.append(sample)
            advance(len(found), len(rows))
        return [sample for sample in found if sample is not None]

    def _sample(self, localizer: Localizer, row: int, distance: float) -> Sample | None:
        frame, (place, _) = self.frames.frame(row), self.frames.locate(row)
        without = self.map_without(localizer.landmark_map, place, frame.image.camera, frame.map_from_camera, distance)
        if without is None:
            return None
        true_place = frame.place if len(without.manifest.places) > 1 else None
        result = replace(localizer, landmark_map=without).localize(frame.image)
        outcome = outcome_of(result, frame.map_from_camera, true_place)
        solved = outcome if isinstance(outcome, Estimated) else outcome.refused
        if solved is None:
            return None
        block = row // BLOCK
        return sample_of(solved, frame.map_from_camera, true_place, without, novel=True, hidden=distance, block=block)


def joined(parts: Sequence[Points]) -> Points:
    """The points of several places as those of one map."""
    return (
        parts[0]
        if len(parts) == 1
        else Points(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Points.__dataclass_fields__}
        )
    )


def errors_by_distance(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """For the map's accuracy: the median error of the frames with hidden views by the distance within which these are
    hidden; nothing where there are no such frames."""
    found = {}
    for distance in DISTANCES:
        asked = [sample.estimate.error for sample in samples if sample.hidden == distance]
        errors = [error for error in asked if error.in_right_place]
        if errors:
            found[f"views_hidden_within_{distance:g}"] = {
                "frames": len(errors),
                "median_translation_m": float(np.median([error.translation_m for error in errors])),
                "median_rotation_deg": math.degrees(float(np.median([error.rotation_rad for error in errors]))),
            }
    return found
