"""The newest recording of a place, once it was reconstructed with the others: where their points say that it lies, and
which of the others' views show what it says is there no longer."""

from dataclasses import replace
from typing import Any

import numpy as np

from vloc_ros.datasets.recordings import RecordingList, numbers_of
from vloc_ros.features.cache import FeatureCache, open_features
from vloc_ros.geometry.transforms import apply, rotation_angle
from vloc_ros.mapping.changes import retired_views
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.place_geometry import PlaceGeometry, load_geometry
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.recording_alignment import place_from_aligned
from vloc_ros.progress import Progress
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.stages.feature_stage import FEATURES
from vloc_ros.training.stages.retirement import changes_of
from vloc_ros.training.stages.settings import source_settings
from vloc_ros.training.stages.source_stage import open_sources


def settled(listed: RecordingList, options: MapOptions, progress: Progress) -> RecordingList:
    """The recordings, whose map with these options has its geometry: the newest one moved to where the points that
    others see too say that it is, and without the views of others most of whose points it contradicts."""
    features = open_features(options.workdir / FEATURES)
    (shaped,) = load_geometry(options.workdir)
    views = _retired_views(shaped, features, options, progress)
    update = {**listed.update, "retired_views": views}
    retired = tuple(dict.fromkeys((*listed.retired, *(view["view"] for view in views))))
    return replace(_moved(listed, shaped, features, progress), retired=retired, update=update, settled=True)


def _moved(listed: RecordingList, place: PlaceGeometry, features: FeatureCache, progress: Progress) -> RecordingList:
    shape, newest = place.shape, listed.sources[-1]
    assert isinstance(shape, Reconstruction)
    is_new = numbers_of(shape.names) == newest.number
    moved = place_from_aligned(shape, features, place.depth or DepthCorrection(), is_new)
    before = shape.recorded[is_new]
    centimetres = 100 * np.linalg.norm(apply(moved, before[:, :3, 3]) - before[:, :3, 3], axis=1)
    degrees = np.degrees(rotation_angle(moved[:3, :3], np.eye(3)))
    progress.say(
        f"update: by shared points the new recording is moved by {centimetres.mean():.2f} cm, {degrees:.2f} deg"
    )
    pose = moved @ np.reshape(newest.place_from_recording, (4, 4))
    source = replace(newest, place_from_recording=tuple(pose.ravel().tolist()))
    return replace(listed, sources=(*listed.sources[:-1], source))


def _retired_views(
    shaped: PlaceGeometry, features: FeatureCache, options: MapOptions, progress: Progress
) -> list[dict[str, Any]]:
    """Which views, and why: in JSON's types."""
    (place,) = open_sources(source_settings(options)).places
    changes = changes_of(replace(place, features=features), shaped, progress)
    assert isinstance(shaped.shape, Reconstruction)
    views = retired_views(shaped.shape, changes, numbers_of(shaped.shape.names))
    for view in views:
        progress.say(
            f"update: view {view['view']} is retired, with {view['retired']} of the {view['points']} points that it saw"
        )
    return views
