"""A map of a hall and an attic that look alike, and correspondences of it."""

import math

import numpy as np

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import GateThresholds, Manifest, places_apart
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.pipeline import localize
from vloc_ros.core.query import Query
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pnp import FEW_PRECISE
from vloc_ros.methods.vsnet.method import VSNetMethod

PLACES = ("hall", "attic")
CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
COUNT = 40  # landmarks of each place
SPEC = GridSpec(64, 48, 4, VSNetMethod.outputs)


def joined_map(min_confidence: float = 0.0, places: tuple[str, ...] = PLACES) -> LandmarkMap:
    """Two places that overlap in space; ids are neither numbered from 0 nor in order."""
    rng = np.random.default_rng(0)
    n = 2 * COUNT
    gate = GateThresholds(4, 0.1, math.inf, min_confidence)
    return LandmarkMap(
        ids=rng.permutation(n).astype(np.int32) + 7,
        positions=rng.uniform((-1, -1, 2), (1, 1, 4), (n, 3)),
        normals=np.tile([0.0, 0, -1], (n, 1)),
        extents=np.ones(n),
        observations=np.ones(n, np.int32),
        manifest=Manifest(
            "fake", "map", "today", SPEC.image_size, SPEC.models, gate=gate, places=places_apart(places, "map")
        ),
        mapping_views=np.stack([shifted(0), shifted(1), shifted(2)]),
        places=np.repeat(np.arange(2, dtype=np.int32), COUNT) if places else np.empty(0, np.int32),
        view_places=np.array([0, 1, 1], np.int32) if places else np.empty(0, np.int32),
    )


def shifted(metres: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = metres
    return pose


def seen(landmark_map: LandmarkMap, rows: np.ndarray, sigma: float) -> Correspondences:
    """What a camera at the origin sees of some landmarks, exactly."""
    pixels, _ = CAMERA.project(landmark_map.positions[rows])
    return Correspondences(
        pixels,
        landmark_map.positions[rows],
        np.full(len(rows), sigma),
        landmark_map.ids[rows].astype(np.int32),
        places=landmark_map.places[rows],
    )


class FakeMethod:
    """Sees what it is told to."""

    pnp = FEW_PRECISE
    scales = (1.0,)

    def __init__(self, found: Correspondences) -> None:
        self.found = found

    def preload(self) -> None: ...

    def prepare(self, image: CameraImage, manifest: Manifest, scale: float) -> dict[str, np.ndarray]:
        return {"image": image.rgb}

    def observe(self, inputs: object, sessions: object) -> dict[str, np.ndarray]:
        return {}

    def propose(self, *_: object) -> list[Correspondences]:
        return [self.found]

    def refine(self, *_: object) -> None: ...


class FakeSession:
    spec, backend, max_batch = SPEC.model, "fake", 1

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {}


def image() -> CameraImage:
    return CameraImage(np.zeros((48, 64, 3), np.uint8), CAMERA)


def located(landmark_map: LandmarkMap, found: Correspondences) -> PoseEstimate | Rejection:
    gate = landmark_map.manifest.gate
    return localize(Query.of(image()), landmark_map, FakeMethod(found), {"network": FakeSession()}, gate)  # type: ignore[arg-type]


HALL, ATTIC = np.arange(COUNT), np.arange(COUNT, 2 * COUNT)
