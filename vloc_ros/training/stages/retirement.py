"""Of a map of several recordings: the geometry without what is there no longer, and what has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.recordings import Recordings, numbers_of, recordings_below
from vloc_ros.mapping.changes import Changes, find_changes, without_retired
from vloc_ros.mapping.labels import undistorted_depth
from vloc_ros.mapping.place_geometry import Geometry, Place, PlaceGeometry
from vloc_ros.mapping.place_regions import Regions
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.progress import Progress
from vloc_ros.training.stages.source_stage import Sources

LISTED = 20  # landmarks that a map tells the changes of


@dataclass(frozen=True, eq=False)
class Retirement:
    """The `geometry` of what is there; `changes`, where the frames are those of several recordings."""

    geometry: Geometry
    changes: Changes | None = None
    recordings: Recordings | None = None

    def summary(self, regions: Regions) -> Mapping[str, Any]:
        """For Manifest.training: how the newest recording came in, and what it changed."""
        if self.changes is None or self.recordings is None:
            return {}
        listed = self.recordings.listed
        told = {name: value for name, value in listed.update.items() if name != "inputs"}
        frames = {str(part.number): len(part) for part in self.recordings.parts}
        return {
            "update": {
                **told,
                "recordings": frames,
                "retired_frames": len(listed.retired),
                "points": self.changes.counts(),
                "share_seen_again": round(self.changes.share_seen, 3),
                "landmarks": self.changes.by_landmark(regions.positions)[:LISTED],
            }
        }


def changes_of(place: Place, shaped: PlaceGeometry, progress: Progress) -> Changes:
    """What became of the points of a place that several recordings have seen."""
    cache, shape = place.features, shaped.shape
    assert cache is not None
    assert isinstance(shape, Reconstruction)
    frames, size = shaped.frames(place.frames), cache.size

    def depth_at(index: int) -> NDArray[np.float32]:
        frame = frames.frame(index, depth=True)
        assert frame.depth is not None
        return undistorted_depth(frame.image.camera, frame.depth, *size)

    with progress.bar("changes") as advance:
        return find_changes(shape, cache, numbers_of(cache.names), depth_at, advance)


def retire_points(sources: Sources, geometry: Geometry, progress: Progress) -> Retirement:
    """The geometry without points that later recordings contradict; as it is for frames of one recording."""
    recordings = recordings_below(sources.training)
    if recordings is None:
        return Retirement(geometry)
    (place,), (shaped,) = sources.places, geometry.places
    changes = changes_of(place, shaped, progress)
    assert isinstance(shaped.shape, Reconstruction)
    progress.say(f"changes: {changes.describe()}")
    current = replace(shaped, shape=without_retired(shaped.shape, changes))
    return Retirement(Geometry((current,)), changes, recordings)
