"""A map as it is before anything was learned: what measures a network while it learns starts from it."""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.grey import IMAGES, kind_of_images
from vloc_ros.core.manifest import FIELD_OF_VIEW, FOCAL_LENGTH, LENSES, Manifest, places_apart
from vloc_ros.core.types import LandmarkMap
from vloc_ros.mapping.place_geometry import Place
from vloc_ros.mapping.place_regions import Regions
from vloc_ros.training.calibrate import OPEN_GATE
from vloc_ros.training.deployed_spec import deployed_spec
from vloc_ros.training.frames import TrainingFrames
from vloc_ros.training.method_options import DenseOptions
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.stages.source_stage import Sources

CHECKED_COLORS = 50  # of the training images, whether they have any


def untrained_map(
    method: DenseOptions,
    recipe: DenseRecipe,
    frame_id: str,
    grey: float,
    sources: Sources,
    regions: Regions,
    frames: TrainingFrames,
) -> LandmarkMap:
    """With a gate that lets everything through. `grey`: the share of images that lose their colours in training."""
    camera = sources.training.camera(0)
    grid = deployed_spec(frames.camera(0), method.stride, camera, recipe.outputs)
    manifest = Manifest(
        method=method.method,
        frame_id=frame_id,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        image_size=grid.image_size,
        models=grid.models,
        gate=OPEN_GATE,
        training={
            **cameras_of(sources),
            IMAGES: kind_of_images(frames.images[:: max(1, len(frames) // CHECKED_COLORS)], grey),
        },
        places=places_apart([name for name in regions.names if name], frame_id),
    )
    return landmark_map_of(regions, manifest, [poses_of(place) for place in sources.places])


def poses_of(place: Place) -> NDArray[np.float64]:
    """Of the frames of a place (F, 4, 4), as they were recorded."""
    return np.stack([place.frames.map_from_camera(index) for index in range(len(place.frames))])


def cameras_of(sources: Sources) -> dict[str, list[Any]]:
    """For `Manifest.training`: the smallest and the largest field of view and focal length of the frames' cameras, and
    their lens models."""
    parts = [place.frames for place in sources.places]
    cameras = [part.camera(index) for part in parts for index in range(len(part))]
    angles, lengths = [camera.field_of_view_deg for camera in cameras], [float(camera.fx) for camera in cameras]
    return {
        FIELD_OF_VIEW: [min(angles), max(angles)],
        FOCAL_LENGTH: [min(lengths), max(lengths)],
        LENSES: sorted({camera.lens_model for camera in cameras}),
    }


def landmark_map_of(regions: Regions, manifest: Manifest, views: Sequence[NDArray[np.float64]]) -> LandmarkMap:
    """The map of some regions; `views`: poses (F, 4, 4) of the mapping images of each place."""
    return LandmarkMap(
        ids=np.arange(len(regions.positions), dtype=np.int32),
        positions=regions.positions,
        normals=regions.of_landmarks("normals"),
        extents=regions.of_landmarks("extents"),
        observations=regions.of_landmarks("observations"),
        manifest=manifest,
        mapping_views=np.concatenate(views),
        places=regions.place_of_landmark,
        view_places=np.repeat(np.arange(len(views), dtype=np.int32), [len(each) for each in views]),
        points=regions.points,
    )
