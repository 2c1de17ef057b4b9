"""Buildings of rooms of points, and what an image of one of their places shows: no network is run."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vloc_ros import building as building_module
from vloc_ros.building import BuildingLocalizer, load_building
from vloc_ros.core.method import Observation
from vloc_ros.core.query import Query
from vloc_ros.core.types import LandmarkMap
from vloc_ros.localizer import Localizer
from vloc_ros.maps import StoredMap, write_map
from vloc_ros.maps.building import PLACES
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.training.building import put_together

from .map_files import NETWORK, PREVIEW
from .sparse_scenes import FEATURES, POSE, SeenSession, Sight, blank, room

NAMES = ("hall", "attic", "cellar", "kitchen")


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
    session = SeenSession([sight_of(landmark_map)])

    def opened(stored: StoredMap, *_: object) -> Localizer:
        return Localizer(stored.landmark_map, PRAMMethod(), {"extractor": session}, stored.map_id)

    monkeypatch.setattr(building_module, "open_localizer", opened)
    return load_building(directory)


def observation_of(landmark_map: LandmarkMap) -> Observation:
    return Observation(Query.of(blank()), (sight_of(landmark_map),))
