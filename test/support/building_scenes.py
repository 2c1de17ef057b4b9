"""Buildings of rooms of points, what an image of one of their places shows, and parts of a wall that SIFT sees."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn  # noqa: F401  # which finds the visual words

from vloc_ros import open_places
from vloc_ros.building import BuildingLocalizer, open_building
from vloc_ros.core.feature_spec import SIFT, SIFT_DIMENSIONS, FeatureSpec
from vloc_ros.core.manifest import GateThresholds, Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.points import Points
from vloc_ros.core.query import Query
from vloc_ros.core.session import Session
from vloc_ros.core.types import CameraImage, LandmarkMap
from vloc_ros.datasets import Frame
from vloc_ros.features.sift import sift
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, from_quaternion
from vloc_ros.localizer import Localizer
from vloc_ros.maps import StoredMap, read_map, write_map
from vloc_ros.maps.building import joined_overview, read_building, write_building
from vloc_ros.maps.names import PLACES
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.training.building import place_index, put_together

from .map_files import NETWORK, PREVIEW
from .sparse_scenes import FEATURES, POSE, SeenSession, Sight, blank, room
from .textured_wall import wall_view

NAMES = ("hall", "attic", "cellar", "kitchen")
SIFT_KEY_POINTS, REGIONS = 600, 4
WALL_CAMERA = Camera(320, 240, 260.0, 260.0, 159.5, 119.5)
WALL_PLACES = {
    "hall": from_quaternion([0.02, -0.03, 0.01, 1.0], [-2.5, -0.2, 0.1]),
    "attic": from_quaternion([0.0, 0.02, 0.03, 1.0], [2.5, 0.3, 0.0]),
}
STEP = np.array([0.03, -0.02, 0.04, 0.01, -0.02, 0.015])  # of a camera from where a place was mapped


def place_map(name: str, seed: int) -> LandmarkMap:
    """A room of its own; mapping views are where the images are taken."""
    one = room(seed=seed, points=600)
    features = replace(FEATURES, extractor_sha256=hashlib.sha256(NETWORK).hexdigest())
    manifest = replace(one.manifest, frame_id=f"map_{name}", places=(), features=features)
    views = np.tile(POSE, (3, 1, 1))
    return replace(one, manifest=manifest, mapping_views=views, view_places=np.zeros(3, np.int32))


def look_alike(one: LandmarkMap, other: LandmarkMap, share: float) -> LandmarkMap:
    """The other room with a share of the first one's points in the place of its own."""
    assert one.points is not None
    assert other.points is not None
    count = int(share * len(one.points))
    arrays = {
        name: np.concatenate([getattr(one.points, name)[:count], getattr(other.points, name)[count:]])
        for name in vars(one.points)
        if name in other.points.__dataclass_fields__
    }
    return replace(other, points=type(one.points)(**arrays))


def write_place(directory: Path, name: str, landmark_map: LandmarkMap) -> None:
    write_map(directory / PLACES / name, landmark_map, {"extractor": {"float32": NETWORK}}, PREVIEW)


def write_rooms(directory: Path, names: Sequence[str] = NAMES) -> dict[str, LandmarkMap]:
    """A building of these places."""
    maps = {name: place_map(name, seed) for seed, name in enumerate(names)}
    for name, landmark_map in maps.items():
        write_place(directory, name, landmark_map)
    put_together(directory, list(maps), "map")
    return maps


def sight_of(landmark_map: LandmarkMap, seed: int = 101) -> dict[str, np.ndarray]:
    return Sight(seed=seed).tensors(landmark_map, POSE)


def seeing(monkeypatch: pytest.MonkeyPatch, directory: Path, landmark_map: LandmarkMap) -> BuildingLocalizer:
    """A localizer of the building whose camera sees a place."""
    return opened_with(monkeypatch, directory, SeenSession([sight_of(landmark_map)]))


def opened_with(monkeypatch: pytest.MonkeyPatch, directory: Path, session: Session) -> BuildingLocalizer:
    """A localizer of the building whose extractor is this one."""

    def opened(stored: StoredMap, *_: object) -> Localizer:
        return Localizer(stored.landmark_map, PRAMMethod(), {"extractor": session}, stored.map_id)

    monkeypatch.setattr(open_places, "open_map", opened)
    return open_building(read_building(directory))


def observation_of(landmark_map: LandmarkMap) -> Observation:
    return Observation(Query.of(blank()), (sight_of(landmark_map),))


def seen_map(name: str, frame: Frame) -> LandmarkMap:
    """What SIFT finds in an image, at its depth: a map in no time, without a network."""
    camera, depth = frame.image.camera, frame.depth
    assert depth is not None
    found = sift(frame.image.rgb, SIFT_KEY_POINTS)
    rows, columns = np.rint(found["key_points"][:, ::-1]).astype(int).clip(0, np.array(depth.shape) - 1).T
    seen = (found["scores"] > 0) & (depth[rows, columns] > 0)
    pixels, z = found["key_points"][seen].astype(np.float64), depth[rows, columns][seen].astype(np.float64)
    rays = np.column_stack([(pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy], np.ones(len(z))])
    positions = apply(frame.map_from_camera, rays * z[:, None])
    away = frame.map_from_camera[:3, 3] - positions
    distances = np.linalg.norm(away, axis=1)
    regions = np.clip(pixels[:, 0] * REGIONS / camera.width, 0, REGIONS - 1).astype(np.int32)
    count = len(np.unique(regions))
    assert count == REGIONS
    size = camera.width, camera.height
    features = FeatureSpec(SIFT, SIFT_KEY_POINTS, SIFT_DIMENSIONS)
    gate = GateThresholds(12, 0.0, 8.0, 0.0)
    manifest = Manifest("pram", f"map_{name}", "2026-01-02T03:04:05Z", size, {}, gate=gate, features=features)
    return LandmarkMap(
        ids=np.arange(count, dtype=np.int32),
        positions=np.stack([positions[regions == region].mean(axis=0) for region in range(count)]),
        normals=np.tile([0.0, 0.0, 1.0], (count, 1)),
        extents=np.ones(count),
        observations=np.full(count, 9, np.int32),
        manifest=manifest,
        mapping_views=frame.map_from_camera[None],
        view_places=np.zeros(1, np.int32),
        points=Points(
            positions=positions,
            descriptors=np.rint(127 * found["descriptors"][seen]).astype(np.int8),
            regions=regions,
            places=np.zeros(len(positions), np.int32),
            directions=away / distances[:, None],
            distances=np.column_stack([0.5 * distances, 2 * distances]),
        ),
    )


def write_seen_rooms(directory: Path, frames: Mapping[str, Frame]) -> None:
    """A building whose places are what one image each shows, with its depth."""
    for name, frame in frames.items():
        write_map(directory / PLACES / name, seen_map(name, frame), {}, PREVIEW)
    maps = {name: read_map(directory / PLACES / name) for name in frames}
    points = [stored.landmark_map.points for stored in maps.values()]
    assert points[0] is not None
    words = points[0].unit_descriptors[:32]  # to learn them takes seconds
    write_building(directory, joined_overview("map", maps), place_index(points, words), maps)


def wall_frame(pose: np.ndarray) -> Frame:
    """What a camera at that pose sees of a wall with a fine pattern: nothing that is far apart looks alike."""
    rgb, depth = wall_view(WALL_CAMERA, pose)
    return Frame("wall", CameraImage(rgb, WALL_CAMERA), pose, depth)


def write_wall_places(directory: Path) -> None:
    """A building whose places are parts of that wall."""
    write_seen_rooms(directory, {name: wall_frame(pose) for name, pose in WALL_PLACES.items()})
