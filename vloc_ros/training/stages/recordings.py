"""What a map of points tells of the images that it was made from."""

import numpy as np

from vloc_ros.evaluation.recording import Recording
from vloc_ros.images.quality import QUALITIES
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.training.stages.source_stage import Sources


def recordings_of(sources: Sources, geometry: Geometry) -> list[Recording]:
    """Of each place."""
    found = []
    for place in sources.places:
        cache, shape = place.features, geometry.of(place.name).shape
        assert cache is not None
        assert isinstance(shape, Reconstruction)
        moved, turned = shape.pose_changes()
        figures = {name: cache.qualities[:, column].astype(np.float64) for column, name in enumerate(QUALITIES)}
        found.append(
            Recording(
                place.name,
                cache.names,
                **figures,
                key_points=np.array([cache.count(row) for row in range(len(cache))], dtype=np.float64),
                observations=np.bincount(shape.frames, minlength=len(cache)).astype(np.float64),
                moved_m=moved,
                turned_deg=np.degrees(turned),
            )
        )
    return found
