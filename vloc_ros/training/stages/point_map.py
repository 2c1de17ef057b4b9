"""The map of a sparse method before it is calibrated."""

import hashlib
from dataclasses import replace
from datetime import datetime, timezone

from vloc_ros.core.feature_spec import EXTRACTOR, FeatureSpec
from vloc_ros.core.grey import BOTH, IMAGES
from vloc_ros.core.manifest import Manifest, places_apart
from vloc_ros.core.model_spec import ModelSpec, Role
from vloc_ros.core.types import LandmarkMap
from vloc_ros.mapping.hidden_views import observed_points
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.place_regions import Regions
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.methods.pram.method import RECOGNIZER
from vloc_ros.methods.pram.recognition import recognizer_spec
from vloc_ros.training.cached_frames import CachedFrames
from vloc_ros.training.calibrate import OPEN_GATE
from vloc_ros.training.hidden_samples import HiddenViews
from vloc_ros.training.method_options import SparseOptions
from vloc_ros.training.stages.feature_stage import features_of, used_key_points
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.sparse_export_stage import RoleNetworks
from vloc_ros.training.stages.untrained_map import cameras_of, landmark_map_of


def point_map(
    method: SparseOptions,
    frame_id: str,
    sources: Sources,
    geometry: Geometry,
    regions: Regions,
    networks: RoleNetworks,
) -> LandmarkMap:
    """With a gate that lets everything through; its mapping views are where the reconstruction has put them."""
    found = features_of(sources)[0]
    features = feature_spec(found.features, used_key_points(method, sources), networks)
    specs: dict[Role, ModelSpec] = {
        EXTRACTOR: features.model(*found.size),
        RECOGNIZER: recognizer_spec(features.key_points, features.dimensions),
    }
    manifest = Manifest(
        method=method.method,
        frame_id=frame_id,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        image_size=found.size,
        models={role: specs[role] for role in networks},
        features=features,
        gate=OPEN_GATE,
        training={**cameras_of(sources), IMAGES: BOTH},  # local features see no colours
        places=places_apart([name for name in regions.names if name], frame_id),
    )
    shapes = [_reconstruction(geometry, name) for name in regions.names]
    lenses = {
        place.name: shape.lens_correction(source.frames.camera(0).resized(*found.size))
        for place, shape, source in zip(manifest.places, shapes, sources.places, strict=True)
    }
    return landmark_map_of(regions, replace(manifest, lenses=lenses), [shape.map_from_camera for shape in shapes])


def hidden_views(landmark_map: LandmarkMap, sources: Sources, geometry: Geometry) -> HiddenViews:
    """The mapping frames of `point_map`'s map, and what its points are made of."""
    points, features, caches = landmark_map.points, landmark_map.manifest.features, features_of(sources)
    assert points is not None
    assert features is not None
    places = []
    for number, (name, cache) in enumerate(zip(sources.names, caches, strict=True)):
        place = geometry.of(name)
        assert isinstance(place.shape, Reconstruction)
        places.append(observed_points(points[points.rows_of(number)], place.shape, cache, place.depth))
    return HiddenViews(CachedFrames(sources.training, tuple(caches), features.key_points), places)


def feature_spec(found: FeatureSpec, key_points: int, networks: RoleNetworks) -> FeatureSpec:
    """Features as the map's own extractor finds them: so many `key_points`."""
    network = networks[EXTRACTOR]["float32"] if EXTRACTOR in networks else None
    digest = None if network is None else hashlib.sha256(network).hexdigest()
    return FeatureSpec(found.name, key_points, found.dimensions, digest)


def _reconstruction(geometry: Geometry, place: str) -> Reconstruction:
    shape = geometry.of(place).shape
    assert isinstance(shape, Reconstruction)
    return shape
